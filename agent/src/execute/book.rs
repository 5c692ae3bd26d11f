//! What must be remembered of orders across restarts: the highest counter ever taken, the forged
//! ones, and how many jobs were begun today. Written before it is acted on.

use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{StateDir, StateError};

/// The file's name in the state directory.
pub const NAME: &str = "orders.json";

/// The book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Book {
    /// The highest order counter taken.
    pub highest: u64,
    /// Envelopes that were not our server's, or not for this host.
    pub forged: u64,
    /// Rightly signed orders that were refused.
    pub refused: u64,
    /// The day (UTC, since the epoch) that `begun` counts.
    #[serde(default)]
    day: i64,
    /// Jobs begun on that day.
    #[serde(default)]
    begun: u32,
}

impl Book {
    /// Opens it. A damaged book is an error, not a new book: a forgotten counter would let an old
    /// order in again.
    pub fn open(state: &StateDir) -> Result<Self, StateError> {
        Ok(state.read_json(NAME)?.unwrap_or_default())
    }

    /// Makes it durable.
    pub fn save(&self, state: &StateDir) -> Result<(), StateError> {
        state.write_json(NAME, self)
    }

    /// Jobs begun today.
    pub fn begun_today(&self, now: Timestamp) -> u32 {
        if self.day == now.day() { self.begun } else { 0 }
    }

    /// One more job begun.
    pub fn begin(&mut self, now: Timestamp) {
        self.begun = self.begun_today(now).saturating_add(1);
        self.day = now.day();
    }
}
