//! The files of a recorded host: real ones, below a folder of the test's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fleetmend_core::time::Timestamp;

use super::record::{FileRecord, Record};

/// Makes what the record names, and a stand-in for each program that it has an answer of.
pub(super) fn lay_out(root: &Path, record: &Record) -> io::Result<()> {
    for path in programs(record) {
        write(root, &path, &FileRecord::default())?;
    }
    for (path, file) in &record.file {
        write(root, path, file)?;
    }
    age_folders(root, record)
}

/// Makes what a change of the record makes of its files: what it does not change stays as it has
/// become.
pub(super) fn change(root: &Path, was: &Record, is: &Record) -> io::Result<()> {
    for path in was.file.keys().filter(|path| !is.file.contains_key(*path)) {
        gone(fs::remove_file(below(root, path)))?;
    }
    for path in was.folder.keys().filter(|path| !is.folder.contains_key(*path)) {
        gone(fs::remove_dir_all(below(root, path)))?;
    }
    for path in programs(is) {
        if !below(root, &path).exists() {
            write(root, &path, &FileRecord::default())?;
        }
    }
    for (path, file) in is.file.iter().filter(|(path, file)| was.file.get(*path) != Some(*file)) {
        write(root, path, file)?;
    }
    let mut new = is.clone();
    new.folder.retain(|path, folder| was.folder.get(path) != Some(folder));
    age_folders(root, &new)
}

/// What lies below the root: sizes of files, `None` for folders.
pub(super) fn list(root: &Path) -> io::Result<BTreeMap<String, Option<u64>>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if meta.is_dir() {
                open.push(path);
            }
            found.insert(name, meta.is_file().then_some(meta.len()));
        }
    }
    Ok(found)
}

pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// As [`below`], with the names that are there whatever their case: so Windows compares them.
pub(super) fn find(root: &Path, path: &str) -> PathBuf {
    let mut at = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let exact = at.join(part);
        let same = |entry: &fs::DirEntry| entry.file_name().eq_ignore_ascii_case(part);
        let found = match fs::symlink_metadata(&exact) {
            Ok(_) => None,
            Err(_) => fs::read_dir(&at).into_iter().flatten().flatten().find(same),
        };
        at = found.map_or(exact, |entry| entry.path());
    }
    at
}

/// The programs that the record has answers of.
fn programs(record: &Record) -> impl Iterator<Item = String> + '_ {
    let runs = record.call.keys().filter_map(|words| words.strip_prefix("run "));
    runs.filter_map(|words| words.split(' ').next()).map(str::to_owned)
}

fn write(root: &Path, path: &str, file: &FileRecord) -> io::Result<()> {
    let path = below(root, path);
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    fs::write(&path, file.text.as_deref().unwrap_or_default())?;
    let open = File::options().write(true).open(&path)?;
    if let Some(size) = file.size {
        open.set_len(size)?;
    }
    file.changed.map_or(Ok(()), |at| open.set_modified(moment(at)))
}

/// Folders last: each file that is made changes its folder's age.
fn age_folders(root: &Path, record: &Record) -> io::Result<()> {
    for (path, folder) in &record.folder {
        let path = below(root, path);
        fs::create_dir_all(&path)?;
        if let Some(at) = folder.changed {
            File::open(&path)?.set_modified(moment(at))?;
        }
    }
    Ok(())
}

/// What is gone already needs no removing.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn moment(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}
