//! What the live collectors remember between looks, and over restarts: one small file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use fleetmend_core::report::IncidentKey;
use serde::{Deserialize, Serialize};

use super::tail::Place;

/// The form of the file; another one is started anew.
const VERSION: u32 = 1;
/// The largest file that is read.
const SIZE: u64 = 1024 * 1024;
/// Its name in the state folder.
pub(crate) const FILE: &str = "live-cursor.json";

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    version: u32,
    /// How far each log was read.
    pub logs: BTreeMap<String, Place>,
    /// What was told of the files that are read whole.
    #[serde(default)]
    pub files: BTreeMap<String, super::files::Seen>,
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

    /// Reads it; a missing one is new, a damaged one too, with a note that says so.
    pub(crate) fn load(folder: &Path) -> (Self, Option<String>) {
        let path = folder.join(FILE);
        let damaged = |why: String| {
            let note = format!("{}: {why}; the logs are read anew", path.display());
            (Self::new(), Some(note))
        };
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                if let Err(e) = file.take(SIZE).read_to_end(&mut text) {
                    return damaged(e.to_string());
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return (Self::new(), None),
            Err(e) => return damaged(e.to_string()),
        }
        match serde_json::from_slice::<Self>(&text) {
            Ok(cursor) if cursor.version == VERSION => (cursor, None),
            Ok(cursor) => damaged(format!("it has form {}, not {VERSION}", cursor.version)),
            Err(e) => damaged(format!("it is damaged ({e})")),
        }
    }

    /// Writes it in one piece: after a crash there is the old one or the new one.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(format!("{FILE}.new"));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, folder.join(FILE))?;
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    }
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
        cursor.save(folder.path()).expect("saved");
        assert_eq!(Cursor::load(folder.path()), (cursor, None));
        for bad in ["", "{", "{\"version\":9}", "[]", "\u{0}\u{0}"] {
            fs::write(folder.path().join(FILE), bad).expect("written");
            let (anew, note) = Cursor::load(folder.path());
            assert_eq!(anew, Cursor::new(), "{bad}");
            assert!(note.expect("a note").contains("read anew"), "{bad}");
        }
    }
}
