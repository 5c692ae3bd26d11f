//! Who holds the package tools' locks. They are fcntl locks: that the files exist means nothing.

use std::path::Path;

/// The lock files of dpkg and apt, the widest first.
pub const LOCKS: [&str; 4] = [
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/lock",
    "var/lib/apt/lists/lock",
    "var/cache/apt/archives/lock",
];

/// A lock that a running process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The lock file, as the host calls it.
    pub file: String,
    /// The process; `None` where it lives in another namespace.
    pub pid: Option<i32>,
    /// Its name.
    pub name: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name.as_deref().unwrap_or("unknown program");
        match self.pid {
            Some(pid) => write!(f, "/{} is held by process {pid} ({name})", self.file),
            None => write!(f, "/{} is held by a process of another namespace", self.file),
        }
    }
}

/// The first of `files` that is held, and by whom.
#[cfg(unix)]
pub fn holder(root: &Path, files: &[&str]) -> std::io::Result<Option<Holder>> {
    use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

    for file in files {
        let opened = match std::fs::File::open(root.join(file)) {
            Ok(opened) => opened,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let wanted = Flock {
            start: 0,
            length: 0,
            pid: None,
            typ: FlockType::WriteLock,
            offset_type: FlockOffsetType::Set,
        };
        if let Some(found) = fcntl_getlk(&opened, &wanted)? {
            let pid = found.pid.map(|p| p.as_raw_nonzero().get()).filter(|p| *p > 0);
            let name =
                pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
            let name = name.map(|n| n.trim().to_owned());
            return Ok(Some(Holder { file: (*file).to_owned(), pid, name }));
        }
    }
    Ok(None)
}

/// No such locks exist here.
#[cfg(not(unix))]
pub fn holder(_root: &Path, _files: &[&str]) -> std::io::Result<Option<Holder>> {
    Ok(None)
}
