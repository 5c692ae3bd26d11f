//! How far the spool was taken: one small checksummed file, replaced whole.

use std::io;
use std::path::Path;

use fleetmend_core::ids::SpoolEpoch;
use serde::{Deserialize, Serialize};

use crate::state;

const NAME: &str = "position";
/// A second copy, from when the epoch began. It is seldom written, so what damages the one leaves
/// the other.
const LIFE: &str = "epoch";

/// What must survive a restart beside the records themselves. Sequences here are those of the
/// records; on the wire `base` is taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The spool's life as the server knows it.
    pub epoch: SpoolEpoch,
    /// The last sequence before this epoch: the epoch's own count starts at 1 after it.
    pub base: u64,
    /// Everything up to here was acknowledged.
    pub committed: u64,
    /// Everything up to here may have been dropped because the spool was full.
    pub dropped_through: u64,
    /// How many were dropped so.
    pub dropped: u64,
    /// Holes up to here were counted as corrupt.
    pub corrupt_through: u64,
    /// How many records were found damaged.
    pub corrupt: u64,
    /// The mark of the last group that was kept whole, 0 for none: its records may be gone already.
    #[serde(default)]
    pub mark: u64,
}

impl Position {
    /// A new spool's.
    pub(crate) fn new(epoch: SpoolEpoch) -> Self {
        Self {
            epoch,
            base: 0,
            committed: 0,
            dropped_through: 0,
            dropped: 0,
            corrupt_through: 0,
            corrupt: 0,
            mark: 0,
        }
    }

    /// Reads it; `None` where it is missing or damaged, which a caller treats alike.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        Self::read_from(&dir.join(NAME))
    }

    /// How it stood when the epoch began: enough for the server to say how far it is.
    pub(crate) fn read_life(dir: &Path) -> Option<Self> {
        Self::read_from(&dir.join(LIFE))
    }

    fn read_from(path: &Path) -> Option<Self> {
        state::read_checked(path).ok()
    }

    /// Replaces it; durable when this returns.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        self.write_to(&dir.join(NAME))
    }

    /// Replaces the second copy.
    pub(crate) fn write_life(&self, dir: &Path) -> io::Result<()> {
        self.write_to(&dir.join(LIFE))
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        state::write_checked(path, self)
    }
}
