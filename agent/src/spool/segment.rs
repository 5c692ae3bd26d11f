//! One file of the spool: its name is the sequence of its first record.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

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
}

impl Segment {
    /// Reads a segment through, and notes what it holds. A file that cannot be read counts as
    /// empty: its records become a hole, which is told.
    pub(crate) fn scan(path: PathBuf, first: u64) -> Self {
        let bytes = fs::read(&path).unwrap_or_default();
        let (mut at, mut last) = (0, first.saturating_sub(1));
        while let Some(frame) = format::next(&bytes, at) {
            at = frame.end;
            last = last.max(frame.sequence);
        }
        let rest = &bytes[at..];
        let torn = if rest.is_empty() { 0 } else { format::beginnings(rest).max(1) };
        Self { path, first, last, bytes: bytes.len() as u64, torn }
    }

    /// Starts a new segment: the file exists and its name is durable when this returns.
    pub(crate) fn create(dir: &Path, first: u64) -> io::Result<(Self, File)> {
        let path = dir.join(name(first));
        let file = state::private().create(true).append(true).open(&path)?;
        file.set_len(0)?;
        state::sync_dir(dir)?;
        Ok((Self { path, first, last: first - 1, bytes: 0, torn: 0 }, file))
    }

    /// Adds bytes that hold records up to `last`, and makes them durable. What was written of a
    /// refused write is cut off again where the disk lets us.
    pub(crate) fn append(&mut self, file: &mut File, bytes: &[u8], last: u64) -> io::Result<()> {
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_data()) {
            let _ = file.set_len(self.bytes);
            return Err(error);
        }
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

fn name(first: u64) -> String {
    format!("{first:020}.spool")
}
