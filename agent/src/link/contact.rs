//! When the server was last heard and what stands in the way now: for `status`, and so that one
//! trouble is logged once and not at every try.

use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::trouble::Trouble;
use crate::state::StateDir;

/// The file's name in the state directory.
pub const NAME: &str = "contact.json";

/// What is known of the way to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Contact {
    /// When the server last said something.
    pub heard: Option<Timestamp>,
    /// Whether this host still waits to be accepted.
    pub pending: bool,
    /// The server's clock less ours, in milliseconds, at the last welcome.
    pub clock_ahead_ms: Option<i64>,
    /// What stands in the way, since the last contact.
    pub trouble: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Contact {
    /// Reads it; nothing is known where it cannot be read.
    pub fn read(state: &StateDir) -> Self {
        state.read_json(NAME).ok().flatten().unwrap_or_default()
    }

    /// The server was heard.
    pub fn met(&mut self, state: &StateDir, now: Timestamp) {
        self.heard = Some(now);
        self.trouble = None;
        self.since = None;
        self.save(state);
    }

    /// Something stands in the way. Logged when it is another thing than before.
    pub fn lost(&mut self, state: &StateDir, trouble: &Trouble, now: Timestamp) {
        let words = trouble.to_string();
        if self.trouble.as_ref() == Some(&words) {
            tracing::debug!(trouble = %words, "still no link");
            return;
        }
        tracing::warn!(trouble = %words, "no link to the server; it is tried again by itself");
        self.trouble = Some(words);
        self.since = Some(now);
        self.save(state);
    }

    fn save(&self, state: &StateDir) {
        if let Err(error) = state.write_json(NAME, self) {
            tracing::warn!(%error, "contact not noted");
        }
    }
}
