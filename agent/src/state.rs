//! The agent's state directory: who may read it, how files in it are replaced, and the lock that
//! keeps a second agent out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It or a file in it cannot be read or written.
    #[error("{what} {path}: {source}; the agent needs its own directory, readable by root only")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another agent runs on it.
    #[error("another agent already uses {0}: stop it first, or give --state-dir another directory")]
    Locked(PathBuf),
    /// A file in it is not what the agent wrote.
    #[error(
        "{path} is damaged: {why}; restore it, or run `fleetmend-agent generalize` and enrol the host anew"
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl StateError {
    /// The system's own word, where there is one.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Io { source, .. } => source,
            other => io::Error::other(other),
        }
    }

    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The directory, checked and open.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

/// What is behind the name of a damaged file that was set aside.
pub(crate) const ASIDE: &str = ".damaged";

/// What stands before the checksum of a file's JSON.
const SEAL: &str = "\ncrc32 ";

/// Held while an agent runs on a state directory.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Makes the directory where it is missing, 0700, and narrows it where it is wider.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        make_dir(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it, made 0700 where it is missing.
    pub fn dir(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.join(name);
        make_dir(&path)?;
        Ok(path)
    }

    /// Takes the lock; a second agent is refused.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.join("lock");
        let file = private().create(true).write(true).truncate(false).open(&path);
        let file = file.map_err(StateError::io("cannot open", &path))?;
        #[cfg(unix)]
        if let Err(error) =
            rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        {
            return Err(if error == rustix::io::Errno::WOULDBLOCK {
                StateError::Locked(self.path.clone())
            } else {
                StateError::io("cannot lock", &path)(error.into())
            });
        }
        Ok(StateLock { _file: file })
    }

    /// Reads a JSON file of ours; `None` where there is none.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io("cannot read", &path)(error)),
        };
        parse(&bytes).map(Some).map_err(|why| StateError::Damaged { path, why })
    }

    /// As [`Self::read_json`]; a damaged one is set aside, and is none.
    pub fn read_or_set_aside<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let error = match self.read_json(name) {
            Ok(read) => return read,
            Err(error) => error,
        };
        tracing::error!(%error, "a file of the agent is begun anew");
        if matches!(error, StateError::Damaged { .. })
            && let Err(error) = self.set_aside(name)
        {
            tracing::warn!(%error, "a damaged file is not kept for whoever looks into it");
        }
        None
    }

    /// Keeps a copy of a damaged file beside it, for whoever looks into it. It is counted until
    /// somebody removes it.
    pub fn set_aside(&self, name: &str) -> Result<(), StateError> {
        let aside = self.join(&format!("{name}{ASIDE}"));
        let kept = fs::read(self.join(name)).and_then(|bytes| replace(&aside, &bytes));
        kept.map_err(StateError::io("cannot write", &aside))
    }

    /// Damaged files that were set aside.
    pub fn files_set_aside(&self) -> u64 {
        let Ok(folder) = fs::read_dir(&self.path) else { return 0 };
        let names = folder.flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().ends_with(ASIDE)).count() as u64
    }

    /// Replaces a JSON file of ours: whole or not at all, on disk when this returns.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let path = self.join(name);
        let bytes = sealed(value)
            .map_err(|error| StateError::Damaged { path: path.clone(), why: error.to_string() })?;
        replace(&path, &bytes).map_err(StateError::io("cannot write", &path))
    }

    /// Removes a file of ours, where it is.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("cannot remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Options for a new file that only its owner reads.
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Replaces a file: written beside it, fsynced, renamed over it, and the folder fsynced.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = private().create(true).write(true).truncate(true).open(&beside)?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // Half a file helps nobody, and on a full disk it holds room.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    drop(file);
    fs::rename(&beside, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Reads a JSON file of ours, with the checksum behind it, or without any; else says why not.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let body = unsealed(bytes).ok_or("its checksum is another")?;
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// A JSON file of ours, with its checksum behind it.
pub(crate) fn sealed<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    let seal = format!("{SEAL}{:08x}\n", crc32fast::hash(&bytes));
    bytes.extend_from_slice(seal.as_bytes());
    Ok(bytes)
}

/// The JSON of a file without the checksum behind it; `None` where that is another one. A file
/// without one was written by a person, or by an agent before there was any.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let Some(at) = memchr::memmem::rfind(bytes, SEAL.as_bytes()) else { return Some(bytes) };
    let crc = std::str::from_utf8(&bytes[at + SEAL.len()..]).ok()?.trim_end();
    (crc.len() == 8 && u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(&bytes[..at]))
        .then_some(&bytes[..at])
}

/// Reads a file that [`write_checked`] wrote; one that is not whole is an error.
pub fn read_checked<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let text = fs::read_to_string(path)?;
    let body = text.trim_end().split_once(' ').and_then(|(crc, body)| {
        let crc = u32::from_str_radix(crc, 16).ok()?;
        (crc == crc32fast::hash(body.as_bytes())).then_some(body)
    });
    let body = body.ok_or_else(|| bad(format!("{} is damaged", path.display())))?;
    serde_json::from_str(body).map_err(|e| bad(format!("{} is damaged: {e}", path.display())))
}

/// Replaces a small file with a checksum before its JSON: whole or not at all.
pub fn write_checked<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let body = serde_json::to_string(value)?;
    replace(path, format!("{:08x} {body}\n", crc32fast::hash(body.as_bytes())).as_bytes())
}

/// Whether the disk has no room for it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        File::open(path)?.sync_all()
    }
    #[cfg(not(unix))]
    {
        // Windows makes names durable with the file itself.
        let _ = path;
        Ok(())
    }
}

fn make_dir(path: &Path) -> Result<(), StateError> {
    let made = (|| {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            }
        }
        #[cfg(not(unix))]
        fs::create_dir_all(path)?;
        Ok(())
    })();
    made.map_err(StateError::io("cannot make", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused() {
        let dir = tempfile::tempdir().expect("temp");
        let state = StateDir::open(&dir.path().join("state")).expect("opens");
        let held = state.lock().expect("free");
        assert!(matches!(state.lock(), Err(StateError::Locked(_))));
        drop(held);
        state.lock().expect("free again");
    }

    #[test]
    fn a_flipped_byte_is_an_error_and_never_another_value() {
        let dir = tempfile::tempdir().expect("temp");
        let state = StateDir::open(&dir.path().join("state")).expect("opens");
        let value = vec!["/var/lib/one".to_owned(), "/var/lib/two".to_owned()];
        state.write_json("x.json", &value).expect("written");
        let sound = fs::read(state.join("x.json")).expect("read");
        for at in 0..sound.len() {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x41;
            for bytes in [&flipped[..], &sound[..at]] {
                fs::write(state.join("x.json"), bytes).expect("written");
                match state.read_json::<Vec<String>>("x.json") {
                    // Only the line's end is gone, or all of the seal and nothing else.
                    Ok(read) => assert_eq!(read.as_ref(), Some(&value), "byte {at}"),
                    Err(error) => assert!(matches!(error, StateError::Damaged { .. }), "{error}"),
                }
            }
        }
        fs::write(state.join("x.json"), "[\"by hand\"]").expect("written");
        assert_eq!(state.read_json("x.json").expect("read"), Some(vec!["by hand".to_owned()]));
    }

    #[cfg(unix)]
    #[test]
    fn a_wide_directory_is_narrowed_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("state");
        fs::create_dir(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        let state = StateDir::open(&path).expect("opens");
        state.write_json("x.json", &7).expect("written");
        let mode = |p: &Path| fs::metadata(p).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&state.join("x.json"))), (0o700, 0o600));
        assert_eq!(state.read_json::<u8>("x.json").expect("read"), Some(7));
    }
}
