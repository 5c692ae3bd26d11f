//! The file that halts the fleet, in the server's data directory. That it is there is enough, whatever
//! it holds: `touch` halts too.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::SystemTime;

use fleetmend_core::time::Timestamp;
use fleetmend_core::words;
use fleetmend_store::HaltMark;

/// The file's name.
pub const FILE: &str = "halt";
/// The most that is read of it.
const MOST: usize = 4_096;

/// Who halted the fleet by the file in `data_dir`; `None` where there is none. A file that cannot be
/// read halts too: to go on by mistake is worse than to wait.
pub fn read(data_dir: &Path) -> Option<HaltMark> {
    let path = data_dir.join(FILE);
    let about = match std::fs::symlink_metadata(&path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(foreign(None, &format!("it cannot be read: {error}"))),
    };
    let written = about.modified().ok();
    let bytes = match about.is_file().then(|| std::fs::read(&path)) {
        Some(Ok(bytes)) => bytes,
        Some(Err(error)) => return Some(foreign(written, &format!("it cannot be read: {error}"))),
        None => return Some(foreign(written, "it is no file")),
    };
    let text = String::from_utf8_lossy(bytes.get(..MOST).unwrap_or(&bytes));
    let read: Option<HaltMark> = serde_json::from_str(&text).ok();
    Some(read.unwrap_or_else(|| {
        // Written by hand: its first line is taken for the reason.
        foreign(written, text.lines().next().unwrap_or_default().trim())
    }))
}

/// Halts the fleet. The mark that lies there already stands.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(data_dir: &Path, mark: &HaltMark) -> std::io::Result<HaltMark> {
    if let Some(first) = read(data_dir) {
        return Ok(first);
    }
    let path = data_dir.join(FILE);
    // In one piece: whoever looks meanwhile sees all of it or nothing.
    let draft = data_dir.join(format!("{FILE}.new"));
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(&serde_json::to_vec(mark)?)?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    std::fs::File::open(data_dir).and_then(|dir| dir.sync_all()).or_else(|error| {
        match error.kind() {
            // Not every system lets a directory be opened; the file is there all the same.
            ErrorKind::PermissionDenied | ErrorKind::Unsupported => Ok(()),
            _ => Err(error),
        }
    })?;
    Ok(mark.clone())
}

/// Lifts the halt of the file. False where there is none.
///
/// # Errors
/// Where the file cannot be taken away.
pub fn lift(data_dir: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(data_dir.join(FILE)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn foreign(written: Option<SystemTime>, reason: &str) -> HaltMark {
    let age = written.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let millis = age.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(0));
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = words::cut(&reason, 500).to_owned();
    let by = "the file halt in the data directory".to_owned();
    HaltMark { by, since: Timestamp::from_millis(millis), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(reason: &str) -> HaltMark {
        let since = "2026-11-22T12:00:00Z".parse().expect("a time");
        HaltMark { by: "command line".to_owned(), since, reason: reason.to_owned() }
    }

    #[test]
    fn what_is_written_is_read_the_first_stands_and_lifting_it_ends_it() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()), None);
        assert_eq!(write(dir.path(), &mark("one")).expect("written"), mark("one"));
        assert_eq!(write(dir.path(), &mark("two")).expect("stands"), mark("one"));
        assert_eq!(read(dir.path()), Some(mark("one")));
        assert!(lift(dir.path()).expect("taken away"));
        assert!(!lift(dir.path()).expect("nothing there"));
        assert_eq!(read(dir.path()), None);
    }

    #[test]
    fn a_file_of_any_content_halts() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        for (text, reason) in
            [("", ""), ("fire in\u{7} Oslo\nsecond", "fire in  Oslo"), ("{\"by\":", "{\"by\":")]
        {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read(dir.path()).expect("halts").reason, reason);
        }
        std::fs::write(&path, [0xff; 10_000]).expect("written");
        assert!(read(dir.path()).expect("halts").reason.len() <= 500);
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("a directory");
        assert_eq!(read(dir.path()).expect("halts").reason, "it is no file");
    }
}
