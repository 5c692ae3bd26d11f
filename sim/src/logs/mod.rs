//! The marks that a host's work leaves, in the forms that the real collectors read. All text is our
//! own; hosts live in UTC.

pub(crate) mod apt;
pub(crate) mod cbs;
#[expect(dead_code, reason = "the agent's tests write more forms of event")]
pub(crate) mod evtx_file;
pub(crate) mod update;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use fleetmend_core::time::Timestamp;

/// A log larger than this is begun anew, as real ones are rotated.
const LOG: u64 = 48 * 1024;

/// A moment as `2026-11-22 12:03:59`.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_string()[..19].replace('T', " ")
}

/// Its milliseconds.
pub(crate) fn millis(at: Timestamp) -> i64 {
    at.as_millis().rem_euclid(1_000)
}

/// Writes a file below a root, with its folders.
pub(crate) fn put(root: &Path, inside: &str, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let path = root.join(inside);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

/// Adds to a file below a root; one that has grown large becomes `….1`, as logrotate does it.
pub(crate) fn append(root: &Path, inside: &str, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let path = root.join(inside);
    if fs::metadata(&path).is_ok_and(|m| m.len() > LOG) {
        fs::rename(&path, root.join(format!("{inside}.1")))?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes.as_ref())
}
