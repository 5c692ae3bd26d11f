//! The authority's files: made once, never overwritten, keys readable by their owner only.

use std::io::Write as _;
use std::path::Path;

use super::authority::AuthorityError;

/// Writes a file that must not be there yet, durably and whole: under another name first.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<(), AuthorityError> {
    let err = |source| AuthorityError::File { path: path.to_owned(), source };
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part).map_err(err)?;
    file.write_all(content).map_err(err)?;
    file.sync_all().map_err(err)?;
    // A hard link fails where the name is taken; a rename would overwrite.
    std::fs::hard_link(&part, path).map_err(err)?;
    std::fs::remove_file(&part).map_err(err)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(err)
}

/// Makes a directory that only its owner can enter.
pub(super) fn create_dir(path: &Path) -> Result<(), AuthorityError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

/// Reads a file where it is.
pub(super) fn read(path: &Path) -> Result<Option<String>, AuthorityError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AuthorityError::File { path: path.to_owned(), source }),
    }
}

/// A key that others can read is refused: it may have been read.
#[cfg(unix)]
pub(super) fn check_private(path: &Path) -> Result<(), AuthorityError> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(path)
        .map_err(|source| AuthorityError::File { path: path.to_owned(), source })?;
    if meta.mode() & 0o077 != 0 {
        return Err(AuthorityError::Exposed { path: path.to_owned(), mode: meta.mode() & 0o777 });
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check_private(_: &Path) -> Result<(), AuthorityError> {
    Ok(())
}
