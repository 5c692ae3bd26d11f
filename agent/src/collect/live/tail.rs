//! Following log files: what was added since the last look, over rotation and truncation.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Bytes taken at one look; the rest comes at the next.
pub(crate) const PIECE: u64 = 1024 * 1024;

/// How far a log was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Which file it was: a rotated log is another one.
    pub inode: u64,
    /// Bytes taken.
    pub offset: u64,
}

/// What was added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// Whole lines.
    pub text: Vec<u8>,
    /// Where the text began.
    pub from: Place,
    /// Something that was lost, in words.
    pub note: Option<String>,
    /// Whether nothing more comes to the file that this stood in.
    pub closed: bool,
}

impl Added {
    /// The place after `taken` bytes of the text.
    pub(crate) fn place(&self, taken: usize) -> Place {
        Place { inode: self.from.inode, offset: self.from.offset + taken as u64 }
    }
}

/// What was added to a log since `last`; from its last [`PIECE`] where it was never read. `None`
/// where there is no such log.
pub(crate) fn added(path: &Path, last: Option<Place>) -> io::Result<Option<Added>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    let (inode, len) = (inode(&meta), meta.len());
    let mut note = None;
    let mut begin = 0;
    match last {
        Some(last) if last.inode == inode && last.offset <= len => begin = last.offset,
        Some(last) if last.inode == inode => {
            note = Some(format!("{} was cut: reading it from its start", path.display()));
        }
        Some(last) => {
            // Rotated: its rest stands in the file before, if that is still plain.
            if let Some(rest) = rest_of_rotated(path, last)? {
                return Ok(Some(rest));
            }
            note =
                Some(format!("{} was rotated away; its last lines were not seen", path.display()));
        }
        None => begin = len.saturating_sub(PIECE),
    }
    file.seek(SeekFrom::Start(begin))?;
    let mut text = Vec::new();
    file.take(PIECE).read_to_end(&mut text)?;
    let mut skip = 0;
    if last.is_none() && begin > 0 {
        skip = memchr::memchr(b'\n', &text).map_or(text.len(), |at| at + 1);
    }
    let full = text.len() as u64 == PIECE;
    match memchr::memrchr(b'\n', &text) {
        Some(end) if end >= skip => text.truncate(end + 1),
        // A line longer than a piece: passed over, else nothing would ever come.
        _ if full => skip = text.len(),
        _ => text.truncate(skip),
    }
    text.drain(..skip.min(text.len()));
    let from = Place { inode, offset: begin + skip as u64 };
    Ok(Some(Added { text, from, note, closed: false }))
}

/// What was added to the file that is now called `….1`, if it is the one that was read and has
/// more.
fn rest_of_rotated(path: &Path, last: Place) -> io::Result<Option<Added>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    let mut file = match File::open(Path::new(&name)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let meta = file.metadata()?;
    if inode(&meta) != last.inode || meta.len() < last.offset {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(last.offset))?;
    let mut text = Vec::new();
    file.take(PIECE).read_to_end(&mut text)?;
    if text.is_empty() {
        // All of it was seen: the new file is read from its start.
        return new_file(path);
    }
    // A program that holds the old file open writes there to its end; the next one writes to the new.
    let succeeded = fs::metadata(path).is_ok_and(|new| new.len() > 0);
    let closed = succeeded && (text.len() as u64) < PIECE;
    Ok(Some(Added { text, from: last, note: None, closed }))
}

fn new_file(path: &Path) -> io::Result<Option<Added>> {
    let inode = inode(&fs::metadata(path)?);
    added(path, Some(Place { inode, offset: 0 }))
}

#[cfg(unix)]
fn inode(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_meta: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    /// One look: the text and the place after it.
    fn look(path: &Path, last: Option<Place>) -> (String, Place, bool) {
        let found = added(path, last).expect("readable").expect("there");
        let place = found.place(found.text.len());
        (String::from_utf8(found.text).expect("text"), place, found.note.is_some())
    }

    #[test]
    fn only_whole_new_lines_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert_eq!(added(&path, None).expect("no error"), None);
        append(&path, "one\ntw");
        let (text, place, _) = look(&path, None);
        assert_eq!(text, "one\n");
        append(&path, "o\n");
        let (text, place, _) = look(&path, Some(place));
        assert_eq!(text, "two\n");
        assert_eq!(look(&path, Some(place)).0, "");
    }

    #[test]
    fn rotation_loses_nothing_while_the_old_file_is_plain() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        append(&path, "one\n");
        let (_, place, _) = look(&path, None);
        append(&path, "two\n");
        fs::rename(&path, folder.path().join("log.1")).expect("renamed");
        append(&path, "three\n");
        let (text, place, noted) = look(&path, Some(place));
        assert_eq!((text.as_str(), noted), ("two\n", false));
        let (text, place, noted) = look(&path, Some(place));
        assert_eq!((text.as_str(), noted), ("three\n", false));
        assert_eq!(look(&path, Some(place)).0, "");
    }

    #[test]
    fn a_rotated_log_is_over_once_the_new_one_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        append(&path, "one\n");
        let (_, place, _) = look(&path, None);
        append(&path, "two, and no end\n");
        fs::rename(&path, folder.path().join("log.1")).expect("renamed");
        let closed = || added(&path, Some(place)).expect("readable").expect("there").closed;
        append(&path, "");
        assert!(!closed(), "whoever holds it may go on");
        append(&path, "three\n");
        assert!(closed());
    }

    #[test]
    fn loss_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        append(&path, "one\ntwo\n");
        let (_, place, _) = look(&path, None);
        fs::write(&path, "new\n").expect("cut");
        let (text, place, noted) = look(&path, Some(place));
        assert_eq!((text.as_str(), noted), ("new\n", true));
        let gone = Place { inode: place.inode + 1, offset: 9 };
        assert!(look(&path, Some(gone)).2);
    }
}
