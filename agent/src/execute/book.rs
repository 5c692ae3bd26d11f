//! What must be remembered of orders across restarts: the highest counter ever taken, the forged
//! ones, and how many jobs were begun today. Written before it is acted on.

use std::path::Path;

use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::{self, Journal};
use crate::state::{StateDir, StateError};

/// The file's name in the state directory.
const NAME: &str = "orders.json";

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
    /// Since when it is another than the one that was damaged, until a later order is taken.
    #[serde(default)]
    anew: Option<Timestamp>,
}

impl Book {
    /// Opens it. A damaged one is set aside and made anew by the journals. They know what was begun
    /// and not what was refused: until a later order is taken, one from before is refused
    /// ([`Book::doubts`]).
    pub fn open(state: &StateDir, journals: &Path, now: Timestamp) -> Result<Self, StateError> {
        match state.read_json(NAME) {
            Err(error @ StateError::Damaged { .. }) => {
                tracing::error!(%error, "the book of orders is made anew by the journals");
                let book = Self::by_journals(journals, now);
                // Where the disk takes neither, the damaged one lies there at the next start, too.
                if let Err(error) = state.set_aside(NAME).and_then(|()| book.save(state)) {
                    tracing::warn!(%error, "the book of orders is in memory until an order is taken");
                }
                Ok(book)
            }
            read => Ok(read?.unwrap_or_default()),
        }
    }

    /// The book as it is on disk, for people; an empty one where it is damaged.
    pub fn peek(state: &StateDir) -> Result<Self, StateError> {
        match state.read_json(NAME) {
            Err(StateError::Damaged { .. }) => Ok(Self::default()),
            read => Ok(read?.unwrap_or_default()),
        }
    }

    fn by_journals(journals: &Path, now: Timestamp) -> Self {
        let mut book = Self { anew: Some(now), ..Self::default() };
        for path in journal::list(journals).unwrap_or_default() {
            let Ok(Some(progress)) = Journal::read(&path) else { continue };
            book.highest = book.highest.max(progress.order.counter);
            if progress.running_since.is_some_and(|at| at.day() == now.day()) {
                book.begin(now);
            }
        }
        book
    }

    /// Why an order of this moment is not taken, its counter notwithstanding.
    pub fn doubts(&self, made: Timestamp) -> Option<String> {
        let anew = self.anew.filter(|anew| made.after(limits::CLOCK_SKEW) < *anew)?;
        Some(format!(
            "this agent's book of orders was damaged and made anew at {anew}: whether this order, which is older, was refused before cannot be told; order it again"
        ))
    }

    /// The counter of an order that is taken.
    pub fn take(&mut self, counter: u64) {
        // All that came before has a lower one.
        (self.highest, self.anew) = (counter, None);
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
