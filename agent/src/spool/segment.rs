//! One file of the spool: its name is the sequence of its first record.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fleetmend_faults::{Point, crash_point};

use super::format;
use crate::state;

/// What is known of a segment without holding its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// The first sequence it may hold.
    pub first: u64,
    /// The last sequence it holds; below `first` while it is empty.
    pub last: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Frames that seem to have begun behind the last sound one: torn or damaged.
    pub torn: u64,
    /// Records from this sequence on are not this segment's: a write that was refused and could
    /// not be cut off left them, and their numbers were given again.
    pub end: u64,
    /// The mark of the last group that stands here whole.
    pub mark: Option<u64>,
    /// A group that has no end here, where it is the last thing in the segment.
    pub open: Option<OpenGroup>,
}

/// The beginning of a group whose end is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenGroup {
    /// Its mark.
    pub mark: u64,
    /// Its first sequence.
    pub first: u64,
    /// Where it begins in the file.
    pub start: u64,
}

impl Segment {
    /// Reads a segment through, and notes what it holds. A file that cannot be read counts as
    /// empty: its records become a hole, which is told.
    pub(crate) fn scan(path: PathBuf, first: u64, end: u64) -> Self {
        let bytes = fs::read(&path).unwrap_or_default();
        let (mut at, mut last) = (0, first.saturating_sub(1));
        let (mut mark, mut open) = (None, None::<OpenGroup>);
        while let Some(frame) = format::next(&bytes, at) {
            at = frame.end;
            if frame.sequence >= end {
                continue;
            }
            last = last.max(frame.sequence);
            open = frame.mark.filter(|_| frame.more).map(|mark| {
                open.filter(|open| open.mark == mark).unwrap_or(OpenGroup {
                    mark,
                    first: frame.sequence,
                    start: frame.start as u64,
                })
            });
            if !frame.more {
                mark = frame.mark.or(mark);
            }
        }
        let rest = &bytes[at..];
        let torn = if rest.is_empty() { 0 } else { format::beginnings(rest).max(1) };
        Self { path, first, last, bytes: bytes.len() as u64, torn, end, mark, open }
    }

    /// Cuts off a group that never was whole.
    pub(crate) fn cut(&mut self, group: OpenGroup) -> io::Result<()> {
        let file = fs::OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(group.start)?;
        file.sync_all()?;
        (self.bytes, self.last) = (group.start, group.first - 1);
        (self.torn, self.open) = (0, None);
        Ok(())
    }

    /// Starts a new segment: the file exists and its name is durable when this returns.
    pub(crate) fn create(dir: &Path, first: u64) -> io::Result<(Self, File)> {
        let path = dir.join(name(first));
        let file = state::private().create(true).append(true).open(&path)?;
        file.set_len(0)?;
        state::sync_dir(dir)?;
        let (last, end) = (first - 1, u64::MAX);
        Ok((Self { path, first, last, bytes: 0, torn: 0, end, mark: None, open: None }, file))
    }

    /// Adds bytes that hold records up to `last`, and makes them durable. What was written of a
    /// refused write is cut off again where the disk lets us.
    pub(crate) fn append(&mut self, file: &mut File, bytes: &[u8], last: u64) -> io::Result<()> {
        let written = file.write_all(bytes).and_then(|()| {
            crash_point(Point::SpoolAfterWrite);
            file.sync_data()
        });
        if let Err(error) = written {
            if file.set_len(self.bytes).is_err() {
                // What the disk kept of it is torn: the next records go to a new file.
                self.torn = self.torn.max(1);
            }
            return Err(error);
        }
        crash_point(Point::SpoolAfterSync);
        self.bytes += bytes.len() as u64;
        self.last = last;
        Ok(())
    }

    /// Up to `most` bytes from `from` on.
    pub(crate) fn read(&self, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The segments of a folder in order, by their names.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let first = name.strip_suffix(".spool").and_then(|n| n.parse::<u64>().ok());
        if let Some(first) = first.filter(|n| *n > 0) {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a folder's segments through.
pub(crate) fn scan_all(dir: &Path) -> io::Result<Vec<Segment>> {
    let listed = list(dir)?;
    let ends = listed.iter().skip(1).map(|(first, _)| *first).chain([u64::MAX]);
    let ends: Vec<u64> = ends.collect();
    let pairs = listed.into_iter().zip(ends);
    Ok(pairs.map(|((first, path), end)| Segment::scan(path, first, end)).collect())
}

fn name(first: u64) -> String {
    format!("{first:020}.spool")
}
