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
pub(crate) mod lines;
mod recognise;
mod reporting_events;
mod setup;
pub(crate) mod stamp;
mod text;
pub(crate) mod utf16;
mod windows_update;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, Source};

pub use draft::Recovered;
pub use evtx::ReadEvents;
pub use recognise::{HEAD, recognise};

use draft::Sink;

/// What was found in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// What kind of source it is; `None` where nobody knows it.
    pub source: Option<Source>,
    /// Failures, in file order.
    pub reports: Vec<FailureReport>,
    /// The latest success of each kind.
    pub recovered: Vec<Recovered>,
    /// Bytes read.
    pub bytes: u64,
    /// Lines, chunks or records that could not be read whole and were passed over.
    pub damaged: u64,
    /// Findings over a bound.
    pub dropped: u64,
}

/// Reads one file, whatever kind it turns out to be.
pub fn file(path: &Path, catalogue: &Catalogue) -> io::Result<Collected> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let Some(source) = recognise(&name, &head) else { return Ok(Collected::default()) };
    file.rewind()?;
    read(source, file, catalogue)
}

/// Reads a source of a known kind.
pub fn read(source: Source, reader: impl Read, catalogue: &Catalogue) -> io::Result<Collected> {
    let mut sink = Sink::new(catalogue);
    let (bytes, damaged) = if source == Source::Evtx {
        let read = evtx::collect(reader, &mut sink)?;
        (read.bytes, read.bad_chunks + read.bad_records)
    } else {
        let text = utf16::Utf8::new(reader)?;
        let read = match source {
            Source::Cbs => cbs::collect(text, &mut sink),
            Source::ReportingEvents => reporting_events::collect(text, &mut sink),
            Source::WindowsUpdate => windows_update::collect(text, &mut sink),
            Source::Dism => dism::collect(text, &mut sink),
            Source::Setup => setup::collect(text, &mut sink),
            Source::Apt | Source::Dpkg | Source::Dnf | Source::Zypper => {
                let (bytes, cut) = copied::collect(text, &mut sink)?;
                Ok(lines::Read64 { bytes, cut, ..lines::Read64::default() })
            }
            Source::Evtx | Source::Systemd | Source::Probe | Source::Job => {
                return Ok(Collected::default());
            }
        }?;
        (read.bytes, read.cut)
    };
    let (reports, recovered, dropped) = sink.finish();
    Ok(Collected { source: Some(source), reports, recovered, bytes, damaged, dropped })
}
