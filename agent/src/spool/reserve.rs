//! A file that holds room on the disk and nothing else. When the disk is full it is given up, so that
//! the last words of a job can be written; it is made again when there is room.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::state;

const NAME: &str = "reserve";

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// The reserve of a folder, made where it is missing and there is room.
    pub(super) fn open(dir: &Path, bytes: u64) -> Self {
        let path = dir.join(NAME);
        let held = fs::metadata(&path).is_ok_and(|meta| meta.len() >= bytes);
        let mut reserve = Self { path, bytes, held };
        reserve.keep();
        reserve
    }

    /// Makes it, where it was given up and there is room again.
    pub(super) fn keep(&mut self) {
        if self.held || self.bytes == 0 {
            return;
        }
        let size = usize::try_from(self.bytes).unwrap_or(0);
        let file = state::private().create(true).write(true).truncate(true).open(&self.path);
        let made = file.and_then(|mut file| {
            file.write_all(&vec![0; size])?;
            file.sync_data()
        });
        self.held = made.is_ok();
        if !self.held {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives it up. Says whether there was anything to give.
    pub(super) fn spend(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        held && fs::remove_file(&self.path).is_ok()
    }
}
