//! A recorded host: a machine written down as a readable TOML record, which answers as it stands
//! there and takes what is done to it. Registry, services, volumes and the like are kept in memory;
//! files are real ones below a folder that the caller owns; programs answer as recorded, with the
//! effects that the record declares. What is not recorded is an error that says so, never a guess.
//!
//! Built with debug assertions only, as crash points are: a released agent has no such platform.

mod calls;
mod files;
pub mod hosts;
mod names;
mod record;
mod security;

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
    /// Where the record is written whenever it becomes another.
    lasting: Option<PathBuf>,
}

/// The host while it is asked or changed. One that outlives the process is on disk, as it has
/// become, before anybody else sees it.
struct Guard<'a> {
    now: MutexGuard<'a, Now>,
    lasting: Option<&'a Path>,
    /// How it was, where that matters.
    before: Option<(Record, usize)>,
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
        Ok(Self { root: root.to_owned(), now: Mutex::new(now), lasting: None })
    }

    /// A host that stays when this process ends, however it ends: its files below `root`, its record
    /// in `file`, and beside it what was done. Laid out by `record` where it is not there yet.
    pub fn lasting(record: impl FnOnce() -> Record, root: &Path, file: &Path) -> io::Result<Self> {
        let record = match std::fs::read_to_string(file) {
            Ok(text) => Record::parse(&text).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let record = record();
                std::fs::create_dir_all(root)?;
                files::lay_out(root, &record)?;
                save(file, &record)?;
                record
            }
            Err(error) => return Err(error),
        };
        let done = std::fs::read_to_string(file.with_extension("done")).unwrap_or_default();
        let now = Now { record, done: done.lines().map(str::to_owned).collect() };
        let lasting = Some(file.to_owned());
        Ok(Self { root: root.to_owned(), now: Mutex::new(now), lasting })
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

    fn now(&self) -> Guard<'_> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = self.lasting.as_deref();
        let before = lasting.map(|_| (now.record.clone(), now.done.len()));
        Guard { now, lasting, before }
    }

    fn apply(&self, now: &mut Now, patch: &Patch) -> io::Result<()> {
        let next = now.record.patched(patch).map_err(io::Error::other)?;
        files::change(&self.root, &now.record, &next)?;
        now.record = next;
        Ok(())
    }
}

impl std::ops::Deref for Guard<'_> {
    type Target = Now;
    fn deref(&self) -> &Now {
        &self.now
    }
}

impl std::ops::DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Now {
        &mut self.now
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let (Some(file), Some((record, done))) = (self.lasting, &self.before) else { return };
        if *record != self.now.record
            && let Err(error) = save(file, &self.now.record)
        {
            tracing::error!(%error, "a recorded host is not kept");
        }
        let mut new = self.now.done[*done..].join("\n");
        if *done < self.now.done.len() {
            new.push('\n');
        }
        if !new.is_empty()
            && let Err(error) = note(&file.with_extension("done"), &new)
        {
            tracing::error!(%error, "what was done to a recorded host is not kept");
        }
    }
}

fn save(file: &Path, record: &Record) -> io::Result<()> {
    let text = toml::to_string(record).map_err(io::Error::other)?;
    crate::state::replace(file, text.as_bytes())
}

fn note(file: &Path, lines: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(lines.as_bytes())
}

#[cfg(test)]
mod tests;
