//! What holds work back by time or by word: spans, freezes, the halt of the fleet.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A span between two moments: from the first on, and before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval {
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
}

impl Interval {
    /// Whether a moment lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A span in which nothing may begin: the end of a quarter, an election, a holiday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Its span.
    pub span: Interval,
    /// Its name for people.
    pub name: String,
}

/// Whether the whole fleet is halted, by the server's word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Halt {
    /// Whether it is.
    pub on: bool,
    /// Why, in words for people.
    pub reason: String,
}
