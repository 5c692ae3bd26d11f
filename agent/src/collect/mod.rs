//! Collectors: each reads one kind of source and makes failure reports of what ended badly there.
//!
//! [`file`] reads a log or event file of Windows on any system; [`live`] watches the package tools
//! of the Linux host it stands on. What a collector calls a failure is a terminal outcome: codes on
//! the way there are evidence, whatever their level.

pub mod draft;
pub mod live;

mod cbs;
mod copied;
mod dism;
mod evtx;
mod follow;
pub(crate) mod lines;
pub(crate) mod names;
mod recognise;
mod reporting_events;
mod setup;
pub(crate) mod stamp;
pub(crate) mod store;
pub(crate) mod text;
pub(crate) mod utf16;
mod windows_update;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, Source};

pub use draft::Recovered;
pub(crate) use evtx::{Mark, runs};
pub use recognise::{HEAD, recognise};
pub use store::{Looked, StoreLook};

use draft::Sink;
use lines::{Done, Text};

/// What was found in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// What kind of source it is; `None` where nobody knows it.
    pub source: Option<Source>,
    /// Failures, in file order.
    pub reports: Vec<FailureReport>,
    /// The latest success of each kind.
    pub recovered: Vec<Recovered>,
    /// Looks at the component store and the protected files, in file order.
    pub looks: Vec<StoreLook>,
    /// What identifiers of updates stand for, in the order in which it was told.
    pub(crate) names: Vec<names::Named>,
    /// The identifiers of the updates that failed events are about, by their records.
    pub(crate) updates: BTreeMap<u64, String>,
    /// Bytes read.
    pub bytes: u64,
    /// Lines, chunks or records that could not be read whole and were passed over.
    pub damaged: u64,
    /// Findings over a bound.
    pub dropped: u64,
}

impl Collected {
    /// Adds what stood in the file before this one.
    fn put_before(&mut self, mut earlier: Self) {
        earlier.reports.append(&mut self.reports);
        earlier.recovered.append(&mut self.recovered);
        earlier.names.append(&mut self.names);
        earlier.looks.append(&mut self.looks);
        // Text logs alone are rotated, and these are of events.
        (self.reports, self.recovered) = (earlier.reports, earlier.recovered);
        (self.names, self.looks) = (earlier.names, earlier.looks);
        self.bytes += earlier.bytes;
        self.damaged += earlier.damaged;
        self.dropped += earlier.dropped;
    }
}

/// Reads one file, whatever kind it turns out to be.
pub fn file(path: &Path, catalogue: &Catalogue) -> io::Result<Collected> {
    let mut file = open(path)?;
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let Some(source) = recognise(&name, &head) else { return Ok(Collected::default()) };
    file.rewind()?;
    read(source, file, catalogue)
}

/// Reads a source of a known kind, whole.
pub fn read(source: Source, reader: impl Read, catalogue: &Catalogue) -> io::Result<Collected> {
    let mut sink = Sink::new(catalogue);
    if source == Source::Evtx {
        let read = evtx::collect(reader, Mark::default(), &mut sink)?;
        let mut found = sink.collected(source, read.bytes, read.bad_chunks + read.bad_records);
        runs::once(&mut found.reports, 0);
        return Ok(found);
    }
    let text = Text::whole(utf16::Utf8::new(reader)?);
    let done = text_log(source, text, &mut sink)?;
    Ok(sink.collected(source, done.read.bytes, done.read.cut))
}

/// Opens a file, and nothing else: a pipe would be waited for, and a device has no end.
fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// Reads a text log with the reader of its kind.
fn text_log(source: Source, text: Text<impl Read>, sink: &mut Sink<'_>) -> io::Result<Done> {
    match source {
        Source::Cbs => cbs::collect(text, sink),
        Source::ReportingEvents => reporting_events::collect(text, sink),
        Source::WindowsUpdate => windows_update::collect(text, sink),
        Source::Dism => dism::collect(text, sink),
        Source::Setup => setup::collect(text, sink),
        Source::Apt | Source::Dpkg | Source::Dnf | Source::Zypper => {
            let (bytes, cut) = copied::collect(text.reader, sink)?;
            let read = lines::Read64 { bytes, cut, ..lines::Read64::default() };
            Ok(Done { read, open: Some(lines::Spot::default()) })
        }
        Source::Evtx | Source::Systemd | Source::Probe | Source::Job => Ok(Done::default()),
    }
}
