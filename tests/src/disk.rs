//! A small disk of its own, which can be filled.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::programs::{command, must, run, text};

/// A small file system in memory, gone with its test.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
    /// Removed after the disk.
    folder: Option<tempfile::TempDir>,
}

impl SmallDisk {
    /// Makes one in a folder of its own; `None` (and *skipped* said) where this user may not mount.
    ///
    /// # Panics
    /// Where there is no temporary folder.
    pub fn make(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path().join("disk");
        std::fs::create_dir(&at).expect("a folder");
        let mut disk = Self::make_at(&at, kilobytes)?;
        disk.folder = Some(folder);
        Some(disk)
    }

    /// Makes one over an empty folder that its caller keeps for longer; `None` as above.
    pub fn make_at(at: &Path, kilobytes: u32) -> Option<Self> {
        let size = format!("size={kilobytes}k,mode=700");
        let mounted = run(command("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at));
        if !mounted.status.success() {
            let why = text(&mounted.stderr);
            crate::skip(&format!("nothing can be mounted here (run as root): {}", why.trim()));
            return None;
        }
        Some(Self { at: at.to_owned(), folder: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// Where the ballast cannot be made at all.
    pub fn fill(&self) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.ballast());
        let mut file = file.expect("a ballast");
        // The last bytes too: one at a time, where more do not fit.
        for piece in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![b'x'; piece]).is_ok() {}
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    /// Where there is no ballast.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast goes");
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still holds a file of it lets it go with its end.
        must(command("umount").arg("-l").arg(&self.at));
    }
}
