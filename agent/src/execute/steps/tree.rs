//! Handles into the host's file tree: every folder on the way is opened by name in its parent's
//! handle, never through a link, so that nobody can turn a step aside while it runs.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::StepError;

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// Folders in folders that are removed.
const DEPTH: u32 = 200;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

impl Folder {
    /// Opens the folder that is the host's `/`, or one of the agent's own.
    pub(super) fn open(path: &Path) -> Result<Self, StepError> {
        rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(Self)
            .map_err(|e| failed("open", path.as_os_str(), e))
    }

    /// The folder `name` in this one; a link is refused.
    pub(super) fn enter(&self, name: &str) -> Result<Self, StepError> {
        rustix::fs::openat(&self.0, name, DIRECTORY, Mode::empty()).map(Self).map_err(|e| {
            match (e, self.kind(name)) {
                (_, Ok(Some(FileType::Symlink))) => {
                    StepError::Impossible(format!("\"{name}\" is a link: steps follow none"))
                }
                _ => failed("open", OsStr::new(name), e),
            }
        })
    }

    /// What `name` is; `None` where there is nothing.
    pub(super) fn kind(&self, name: &str) -> Result<Option<FileType>, StepError> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(failed("look at", OsStr::new(name), e)),
        }
    }

    /// Moves `name` to `other` in `target`. Nothing is ever replaced. `Ok(false)` where the two lie
    /// on different file systems.
    pub(super) fn rename(&self, name: &str, target: &Self, other: &str) -> Result<bool, StepError> {
        let (from, to) = (self.0.as_fd(), target.0.as_fd());
        match rustix::fs::renameat_with(from, name, to, other, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::XDEV) => return Ok(false),
            // File systems that cannot refuse by themselves: look first. The folder is the
            // system's own, so that only root could come between.
            Err(Errno::INVAL | Errno::NOSYS) if target.kind(other)?.is_none() => {
                rustix::fs::renameat(from, name, to, other)
                    .map_err(|e| failed("rename", OsStr::new(name), e))?;
            }
            Err(e) => return Err(failed("rename", OsStr::new(name), e)),
        }
        // Both names durable before anybody says that it is done.
        for folder in [self, target] {
            rustix::fs::fsync(&folder.0).map_err(|e| failed("sync", OsStr::new(name), e))?;
        }
        Ok(true)
    }

    /// Makes a folder.
    pub(super) fn make(&self, name: &str) -> Result<(), StepError> {
        match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(failed("make", OsStr::new(name), e)),
        }
    }

    /// Removes an empty folder; one that is gone or not empty stays as it is.
    pub(super) fn remove_empty(&self, name: &str) -> Result<(), StepError> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(e) => Err(failed("remove", OsStr::new(name), e)),
        }
    }

    /// Removes a thing and all below it. A link is removed itself; what is mounted below is not
    /// entered.
    pub(super) fn remove_all(&self, name: &str) -> Result<(), StepError> {
        let name =
            CString::new(name).map_err(|_| failed("remove", OsStr::new(name), Errno::INVAL))?;
        let device = rustix::fs::fstat(&self.0).map(|stat| stat.st_dev);
        let device = device.map_err(|e| failed("look at", OsStr::new("the folder"), e))?;
        remove(self.0.as_fd(), &name, device, DEPTH)
            .map_err(|e| failed("remove", OsStr::from_bytes(name.to_bytes()), e))
    }
}

fn remove(folder: BorrowedFd<'_>, name: &CStr, device: u64, depth: u32) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    let inner = rustix::fs::openat(folder, name, DIRECTORY, Mode::empty())?;
    if rustix::fs::fstat(&inner)?.st_dev != device {
        return Err(Errno::XDEV);
    }
    let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&inner)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        remove(inner.as_fd(), &name, device, depth)?;
    }
    rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
}

fn failed(what: &str, name: &OsStr, error: Errno) -> StepError {
    StepError::failed(format!("cannot {what} \"{}\": {error}", name.to_string_lossy()))
}
