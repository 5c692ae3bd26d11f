//! Which files a path means: itself, or all of a folder, deep, in order of name.

use std::fs;
use std::path::{Path, PathBuf};

/// Files of one path.
const FILES: usize = 100_000;
/// Depth of a folder.
const DEPTH: usize = 64;

/// What a path means.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files, in order.
    pub(super) files: Vec<PathBuf>,
    /// What could not be listed.
    pub(super) notes: Vec<String>,
    /// Whether the path itself is not there.
    pub(super) missing: bool,
}

/// All files of `path`. Links below it are not followed: they may lead in circles or away.
pub(super) fn files(path: &Path) -> Found {
    let mut found = Found::default();
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => walk(path, 0, &mut found),
        Ok(_) => found.files.push(path.to_owned()),
        Err(e) => {
            found.missing = true;
            found.notes.push(format!("{}: {e}", path.display()));
        }
    }
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Found) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            found.notes.push(format!("{}: {e}", folder.display()));
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if found.files.len() >= FILES {
            found.notes.push(format!("{}: more than {FILES} files", folder.display()));
            return;
        }
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() && depth < DEPTH => walk(&path, depth + 1, found),
            Ok(meta) if meta.is_file() => found.files.push(path),
            Ok(_) => found.notes.push(format!("{}: not a file, passed over", path.display())),
            Err(e) => found.notes.push(format!("{}: {e}", path.display())),
        }
    }
}
