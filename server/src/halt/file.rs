//! The file that halts the fleet, in the server's data directory. That it is there is enough, whatever
//! it holds: `touch` halts too.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::time::SystemTime;

use fleetmend_core::time::Timestamp;
use fleetmend_core::words;
use fleetmend_store::HaltMark;

/// The file's name.
pub const FILE: &str = "halt";
/// The file that holds the server's own name.
const SERVER: &str = "server-id";
/// The most that is read of it.
const MOST: u64 = 4_096;

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
    let bytes = match about.is_file().then(|| first_bytes(&path)) {
        Some(Ok(bytes)) => bytes,
        Some(Err(error)) => return Some(foreign(written, &format!("it cannot be read: {error}"))),
        None => return Some(foreign(written, "it is no file")),
    };
    let text = String::from_utf8_lossy(&bytes);
    let read: Option<HaltMark> = serde_json::from_str(&text).ok();
    Some(match read {
        Some(mark) => HaltMark { by: told(&mark.by), reason: told(&mark.reason), ..mark },
        // Written by hand: its first line is taken for the reason.
        None => foreign(written, text.lines().next().unwrap_or_default().trim()),
    })
}

/// What distinguishes the server of this data directory from others of its database: drawn once and kept
/// there. Where nothing can be kept, the directory's own name.
pub(super) fn server_name(data_dir: &Path) -> String {
    let path = data_dir.join(SERVER);
    let kept = || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.trim().parse::<uuid::Uuid>().ok().map(|id| id.to_string())
    };
    if let Some(id) = kept() {
        return id;
    }
    let id = uuid::Uuid::from_bytes(crate::entropy::bytes()).to_string();
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    match made.and_then(|mut file| file.write_all(id.as_bytes())) {
        Ok(()) => id,
        Err(error) => kept().unwrap_or_else(|| {
            tracing::warn!(%error, path = %path.display(), "the server's own name cannot be kept");
            data_dir.display().to_string()
        }),
    }
}

fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
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
    let mark = &HaltMark { by: told(&mark.by), reason: told(&mark.reason), ..mark.clone() };
    // In one piece: whoever looks meanwhile sees all of it or nothing.
    let draft =
        data_dir.join(format!("{FILE}.{}", uuid::Uuid::from_bytes(crate::entropy::bytes())));
    let done = draw_up(&draft, mark).and_then(|()| std::fs::rename(&draft, &path));
    if let Err(error) = done {
        let _ = std::fs::remove_file(&draft);
        return Err(error);
    }
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

/// Writes a mark into a new file. Whoever runs the command may be root, in a directory that is the
/// server's: no link that lies there is followed, and the server may read what root wrote.
fn draw_up(draft: &Path, mark: &HaltMark) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(draft)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.write_all(&serde_json::to_vec(mark)?)?;
    file.sync_all()
}

/// A text of the file as people, agents and the audit log are told it.
fn told(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    words::cut(&text, 500).to_owned()
}

fn foreign(written: Option<SystemTime>, reason: &str) -> HaltMark {
    let age = written.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let millis = age.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(0));
    let by = "the file halt in the data directory".to_owned();
    HaltMark { by, since: Timestamp::from_millis(millis), reason: told(reason) }
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
    fn a_server_keeps_its_name_with_its_directory() {
        let (one, two) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
        let name = server_name(one.path());
        assert_eq!(server_name(one.path()), name, "after a restart too");
        assert_ne!(server_name(two.path()), name);
        std::fs::write(two.path().join(SERVER), "damaged").expect("written");
        assert_eq!(server_name(two.path()), two.path().display().to_string());
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

    #[test]
    fn a_mark_with_control_characters_is_told_without_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let text =
            r#"{"by":"x\u001b]0;y\u0007","since":"2026-11-22T12:00:00Z","reason":"a\u001b[2Jb"}"#;
        std::fs::write(dir.path().join(FILE), text).expect("written");
        let mark = read(dir.path()).expect("halts");
        assert_eq!((mark.by.as_str(), mark.reason.as_str()), ("x ]0;y ", "a [2Jb"));
    }

    #[cfg(unix)]
    #[test]
    fn no_link_in_the_data_directory_leads_the_writer_elsewhere() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let (data, outside) = (dir.path().join("data"), dir.path().join("outside"));
        std::fs::create_dir(&data).expect("a directory");
        std::fs::write(&outside, "kept").expect("written");
        std::os::unix::fs::symlink(&outside, data.join("halt.new")).expect("a link");
        write(&data, &mark("one")).expect("written");
        assert_eq!(std::fs::read_to_string(&outside).expect("reads"), "kept");
        let mode = std::fs::metadata(data.join(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "the server's user reads it, whoever wrote it");
        assert!(lift(&data).expect("lifted"));
        // A link by the file's own name halts, and is not followed either.
        std::os::unix::fs::symlink(&outside, data.join(FILE)).expect("a link");
        assert_eq!(write(&data, &mark("two")).expect("stands").reason, "it is no file");
        assert!(lift(&data).expect("lifted"));
        assert_eq!(std::fs::read_to_string(&outside).expect("reads"), "kept");
    }
}
