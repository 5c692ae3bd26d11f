//! Following the logs and event files of Windows: what came since the last look, over growth,
//! rotation, truncation and replacement.
//!
//! A file is known by its first bytes and by those before the place where the last look ended, not
//! by its name: whatever was put in its place is read from its beginning. Of a text log that was
//! rotated the rest is read where it lies now, and so is what was begun and rotated after it; a cabinet (`.cab`, in which old logs are packed later)
//! is not opened, and what it hides is said.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::Source;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::draft::Sink;
use super::evtx::{self, Mark};
use super::lines::{Done, Spot, Text};
use super::recognise::{HEAD, recognise};
use super::{Collected, text_log, utf16};

/// Bytes that a file is known by, at its beginning and before a place.
const KNOWN_BY: u64 = 1_024;
/// Files of a folder that are looked at for a log that was moved aside.
const SIBLINGS: usize = 256;

/// How far a file was read, and how to know it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    head: Print,
    /// Before the place in a text log.
    tail: Print,
    /// At the end of the file, whatever was read.
    end: Print,
    spot: Spot,
    mark: Mark,
}

/// A few bytes of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Print {
    from: u64,
    len: u64,
    digest: u64,
}

/// What a look found.
#[derive(Debug)]
pub(crate) struct Followed {
    /// What came since the last look.
    pub found: Collected,
    /// Whether it began where the last look ended, or has read everything again.
    pub went_on: bool,
    /// Where the next look begins.
    pub place: Place,
    /// What could not be seen, in words.
    pub note: Option<String>,
}

impl Place {
    /// Whether the file's ends are those of the last look: with size and time of change the same,
    /// nothing has happened to it.
    pub(crate) fn unchanged(&self, path: &Path) -> bool {
        File::open(path)
            .is_ok_and(|mut file| self.head.is_of(&mut file) && self.end.is_of(&mut file))
    }

    fn fits(&self, file: &mut File) -> bool {
        self.head.is_of(file) && self.tail.is_of(file)
    }
}

impl Print {
    fn take(file: &mut File, from: u64, to: u64) -> io::Result<Self> {
        let len = to.saturating_sub(from);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(len).read_to_end(&mut bytes)?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let digest = digest.iter().take(8).fold(0, |n, b| (n << 8) | u64::from(*b));
        Ok(Self { from, len: bytes.len() as u64, digest })
    }

    fn before(file: &mut File, place: u64) -> io::Result<Self> {
        Self::take(file, place.saturating_sub(KNOWN_BY), place)
    }

    fn is_of(&self, file: &mut File) -> bool {
        Self::take(file, self.from, self.from + self.len).is_ok_and(|found| found == *self)
    }
}

/// Reads what came to `path` since `last`; all of it where it was never read.
pub(crate) fn follow(
    path: &Path,
    last: Option<&Place>,
    catalogue: &Catalogue,
) -> io::Result<Followed> {
    let mut file = super::open(path)?;
    let size = file.metadata()?.len();
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let mut place = Place {
        head: Print::take(&mut file, 0, size.min(KNOWN_BY))?,
        end: Print::before(&mut file, size)?,
        ..Place::default()
    };
    let last = last.filter(|last| **last != Place::default());
    let Some(source) = recognise(&name, &head) else {
        return Ok(Followed { found: Collected::default(), went_on: false, place, note: None });
    };
    if source == Source::Evtx {
        return events(&mut file, last, place, catalogue);
    }
    let mut from = Spot::default();
    let mut note = None;
    let mut before = Collected::default();
    if let Some(last) = last.filter(|last| last.spot.offset > 0) {
        if last.fits(&mut file) {
            from = last.spot;
        } else if let Some((mut old, between)) = moved(path, last) {
            old.seek(SeekFrom::Start(last.spot.offset))?;
            let rest = Text { reader: old, from: last.spot, growing: false };
            let mut sink = Sink::new(catalogue);
            let done = text_log(source, rest, &mut sink)?;
            before = sink.collected(source, done.read.bytes, done.read.cut);
            for whole in between {
                match super::file(&whole, catalogue) {
                    Ok(mut found) => {
                        found.put_before(before);
                        before = found;
                    }
                    Err(e) => note = Some(format!("{} was not seen: {e}", whole.display())),
                }
            }
        } else {
            note = Some(format!(
                "{} was replaced: what was written last to the file before it was not seen",
                path.display()
            ));
        }
    }
    file.seek(SeekFrom::Start(from.offset))?;
    let mut sink = Sink::new(catalogue);
    let done = if utf16::is_wide(&head) {
        // Its bytes cannot be counted by its text: such logs are small, and read whole.
        let text = Text { reader: utf16::Utf8::new(&mut file)?, from, growing: true };
        let done = text_log(source, text, &mut sink)?;
        Done { open: Some(Spot::default()), ..done }
    } else {
        text_log(source, Text { reader: &mut file, from, growing: true }, &mut sink)?
    };
    place.spot = done.next();
    place.tail = Print::before(&mut file, place.spot.offset)?;
    let mut found = sink.collected(source, done.read.bytes, done.read.cut);
    found.put_before(before);
    Ok(Followed { found, went_on: from.offset > 0, place, note })
}

/// Reads the events after the last one seen; all of them where the log was cleared since.
fn events(
    file: &mut File,
    last: Option<&Place>,
    mut place: Place,
    catalogue: &Catalogue,
) -> io::Result<Followed> {
    let mut since = last.map_or(Mark::default(), |last| last.mark);
    loop {
        file.rewind()?;
        let mut sink = Sink::new(catalogue);
        let read = evtx::collect(&mut *file, since, &mut sink)?;
        if read.cleared && since != Mark::default() {
            since = Mark::default();
            continue;
        }
        place.mark = read.last;
        let found = sink.collected(Source::Evtx, read.bytes, read.bad_chunks + read.bad_records);
        return Ok(Followed { found, went_on: since != Mark::default(), place, note: None });
    }
}

/// The log that was read, where it lies now: beside its old place, under another name. And those
/// that were moved aside after it under such a name, the oldest first.
fn moved(path: &Path, last: &Place) -> Option<(File, Vec<PathBuf>)> {
    let mut siblings: Vec<(std::time::SystemTime, PathBuf)> = fs::read_dir(path.parent()?)
        .ok()?
        .flatten()
        .filter(|entry| entry.path() != path && is_text(&entry.path()))
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((about.modified().ok()?, entry.path()))
        })
        .collect();
    siblings.sort_by(|a, b| b.cmp(a));
    siblings.truncate(SIBLINGS);
    let (at, file) = siblings.iter().enumerate().find_map(|(at, (_, path))| {
        let mut file = super::open(path).ok()?;
        last.fits(&mut file).then_some((at, file))
    })?;
    let row = row_of(&siblings[at].1);
    let later = siblings[..at].iter().rev().map(|(_, path)| path);
    Some((file, later.filter(|path| row_of(path) == row).cloned().collect()))
}

/// The name without its number or date: what is moved aside one after the other shares it.
fn row_of(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether a file may be a log that was moved aside.
fn is_text(path: &Path) -> bool {
    let ends = ["log", "old", "bak", "1"];
    path.extension().is_some_and(|e| ends.iter().any(|end| e.eq_ignore_ascii_case(end)))
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
