//! A recorded host: a machine written down as a readable TOML record, which answers as it stands
//! there and takes what is done to it. Registry, services, volumes and the like are kept in memory;
//! files are real ones below a folder that the caller owns; programs answer as recorded, with the
//! effects that the record declares. What is not recorded is an error that says so, never a guess.
//!
//! Built with debug assertions only, as crash points are: a released agent has no such platform.

mod calls;
mod files;
pub mod hosts;
mod record;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use record::{BadRecord, Call, FileRecord, FolderRecord, Patch, Record, RecordedHost};

/// A recorded host.
#[derive(Debug)]
pub struct Recorded {
    root: PathBuf,
    now: Mutex<Now>,
}

/// How it is now.
#[derive(Debug)]
struct Now {
    record: Record,
    /// What was done to it: changing calls and programs, in order.
    done: Vec<String>,
}

/// All of a recorded host at a moment, to be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The record as it has become.
    pub record: Record,
    /// What lies below its root: sizes of files, `None` for folders.
    pub files: BTreeMap<String, Option<u64>>,
}

impl Recorded {
    /// Lays the host's files out below `root`, an empty folder that stays the caller's.
    pub fn lay_out(record: Record, root: &Path) -> io::Result<Self> {
        files::lay_out(root, &record)?;
        let now = Now { record, done: Vec::new() };
        Ok(Self { root: root.to_owned(), now: Mutex::new(now) })
    }

    /// What was done to it: changing calls and programs, in order.
    pub fn done(&self) -> Vec<String> {
        self.now().done.clone()
    }

    /// How it stands now.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        let record = self.now().record.clone();
        Ok(Snapshot { record, files: files::list(&self.root)? })
    }

    /// Changes it from outside, as a person or another program would.
    pub fn change(&self, patch: &Patch) -> io::Result<()> {
        self.apply(&mut self.now(), patch)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, now: &mut Now, patch: &Patch) -> io::Result<()> {
        let next = now.record.patched(patch).map_err(io::Error::other)?;
        files::change(&self.root, &now.record, &next)?;
        now.record = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
