//! What the live collectors remember between looks, and over restarts: one small checksummed file,
//! and a copy of it in case it is damaged.
//!
//! A look whose findings go into the spool is written in three steps: the new place beside the old one
//! ([`Cursor::prepare`]), the findings into the spool under the new place's mark, and the new place
//! over the old one ([`settle`]). A crash between the last two is seen by the mark in the spool.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use fleetmend_core::report::IncidentKey;
use serde::{Deserialize, Serialize};

use super::tail::Place;
use crate::state;

/// The form of the file; another one is started anew.
const VERSION: u32 = 2;
/// The largest file that is read.
const SIZE: u64 = 1024 * 1024;
/// Its name in the state folder.
pub(crate) const FILE: &str = "live-cursor.json";
/// The place after the look whose findings are on their way into the spool.
const NEXT: &str = "live-cursor.next";
/// What the file held when it was last written.
const COPY: &str = "live-cursor.copy";

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    version: u32,
    /// What tells this place from every other: the spool holds it with what was found on the way.
    #[serde(default)]
    pub mark: u64,
    /// How far each log was read.
    pub logs: BTreeMap<String, Place>,
    /// What was told of the files that are read whole.
    #[serde(default)]
    pub files: BTreeMap<String, super::files::Seen>,
    /// What updates are called, and which of their failures were told.
    #[serde(default)]
    pub updates: super::join::Joined,
    /// Failing conditions that were reported and not yet seen to go.
    pub failing: Vec<Failing>,
    /// The same, of systemd's units.
    #[serde(default)]
    pub units: Vec<Failing>,
    /// Milliseconds since the epoch up to which the journal was read.
    pub journal_until: Option<i64>,
    /// When dpkg's files last changed at a dependency check, and what it found.
    pub checked: Option<Checked>,
    /// Ends of apt's runs whose failure was already told apart, as (start, end) of their wall
    /// clocks.
    pub explained: Vec<(i64, i64)>,
}

/// A failing condition that was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failing {
    /// Which incident it is.
    pub key: IncidentKey,
    /// What tells this occurrence from a later one, such as the time of the attempt.
    pub mark: String,
}

/// A dependency check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checked {
    /// When dpkg's files had last changed.
    pub changed: i64,
    /// Whether dependencies were unmet.
    pub broken: bool,
}

impl Cursor {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { version: VERSION, ..Self::default() }
    }

    /// Reads it; a missing one is new. Of a damaged one the copy is taken; where that is damaged
    /// too the logs are read anew. Both come with a note that says so.
    pub(crate) fn load(folder: &Path) -> (Self, Option<String>) {
        let why = match Self::read(&folder.join(FILE)) {
            Ok(cursor) => return (cursor, None),
            Err(error) => error,
        };
        let name = folder.join(FILE);
        match Self::read(&folder.join(COPY)) {
            Ok(cursor) => (cursor, Some(format!("{}: {why}; its copy is used", name.display()))),
            Err(copy) if why.kind() == copy.kind() && why.kind() == io::ErrorKind::NotFound => {
                (Self::new(), None)
            }
            Err(_) => {
                (Self::new(), Some(format!("{}: {why}; the logs are read anew", name.display())))
            }
        }
    }

    /// The place that was prepared and not settled, where there is one.
    pub(crate) fn prepared(folder: &Path) -> Option<Self> {
        Self::read(&folder.join(NEXT)).ok()
    }

    /// Writes it beside the one that holds: it holds once it is [settled](settle).
    pub(crate) fn prepare(&self, folder: &Path) -> io::Result<()> {
        state::replace(&folder.join(NEXT), &self.text()?)
    }

    /// Writes the copy. Not synced: it is for damage, and a crash leaves the file itself sound.
    pub(crate) fn copy(&self, folder: &Path) -> io::Result<()> {
        let mut file =
            state::private().create(true).write(true).truncate(true).open(folder.join(COPY))?;
        file.write_all(&self.text()?)
    }

    fn read(path: &Path) -> io::Result<Self> {
        let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut bytes = Vec::new();
        File::open(path)?.take(SIZE).read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| bad("it is damaged".to_owned()))?;
        let (crc, body) = text.split_once(' ').ok_or_else(|| bad("it is damaged".to_owned()))?;
        if u32::from_str_radix(crc, 16).ok() != Some(crc32fast::hash(body.as_bytes())) {
            return Err(bad("it is damaged (its checksum)".to_owned()));
        }
        match serde_json::from_str::<Self>(body) {
            Ok(cursor) if cursor.version == VERSION => Ok(cursor),
            Ok(cursor) => Err(bad(format!("it has form {}, not {VERSION}", cursor.version))),
            Err(e) => Err(bad(format!("it is damaged ({e})"))),
        }
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let body = serde_json::to_string(self)?;
        Ok(format!("{:08x} {body}", crc32fast::hash(body.as_bytes())).into_bytes())
    }
}

/// The prepared place holds from now on: after a crash there is the old one or the new one.
pub(crate) fn settle(folder: &Path) -> io::Result<()> {
    match fs::rename(folder.join(NEXT), folder.join(FILE)) {
        // Moved already, by a try that could not make it durable.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        moved => moved?,
    }
    state::sync_dir(folder)
}

/// Forgets a prepared place whose findings did not reach the spool.
pub(crate) fn forget(folder: &Path) {
    let _ = fs::remove_file(folder.join(NEXT));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_and_damage_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Cursor::load(folder.path()), (Cursor::new(), None));
        let mut cursor = Cursor::new();
        cursor.logs.insert("a".to_owned(), Place { inode: 1, offset: 2 });
        cursor.prepare(folder.path()).expect("prepared");
        assert_eq!(Cursor::load(folder.path()), (Cursor::new(), None), "not settled");
        assert_eq!(Cursor::prepared(folder.path()), Some(cursor.clone()));
        settle(folder.path()).expect("settled");
        assert_eq!(Cursor::load(folder.path()), (cursor.clone(), None));
        for bad in ["", "{", "{\"version\":9}", "[]", "\u{0}\u{0}"] {
            fs::write(folder.path().join(FILE), bad).expect("written");
            let (anew, note) = Cursor::load(folder.path());
            assert_eq!(anew, Cursor::new(), "{bad}");
            assert!(note.expect("a note").contains("read anew"), "{bad}");
        }
        cursor.copy(folder.path()).expect("copied");
        let (copy, note) = Cursor::load(folder.path());
        assert_eq!(copy, cursor);
        assert!(note.expect("a note").contains("copy is used"));
    }

    #[test]
    fn whatever_byte_is_damaged_the_place_is_the_right_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cursor = Cursor::new();
        cursor.logs.insert("a".to_owned(), Place { inode: 1, offset: 2 });
        cursor.prepare(folder.path()).expect("prepared");
        settle(folder.path()).expect("settled");
        cursor.copy(folder.path()).expect("copied");
        let sound = fs::read(folder.path().join(FILE)).expect("read");
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x41;
            for bytes in [&flipped[..], &sound[..at]] {
                fs::write(folder.path().join(FILE), bytes).expect("written");
                let (read, note) = Cursor::load(folder.path());
                // A digit of the checksum in the other case says the same.
                assert_eq!(read, cursor, "byte {at}: {note:?}");
            }
        }
    }
}
