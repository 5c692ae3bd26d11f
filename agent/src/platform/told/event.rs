//! Event logs of Windows.

use std::collections::BTreeMap;

use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which events are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventQuery<'a> {
    /// The log's name, such as `System`.
    pub channel: &'a str,
    /// Accepted providers; compared without case, for Windows changes it.
    pub providers: &'a [&'a str],
    /// Accepted ids.
    pub ids: &'a [u32],
    /// No older ones.
    pub since: Timestamp,
    /// No more than this many, the newest first.
    pub most: usize,
}

impl EventQuery<'_> {
    /// Whether an event of this log is asked for.
    pub fn takes(&self, channel: &str, event: &Event) -> bool {
        channel.eq_ignore_ascii_case(self.channel)
            && self.providers.iter().any(|p| p.eq_ignore_ascii_case(&event.provider))
            && self.ids.contains(&event.id)
            && event.at >= self.since
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its provider.
    pub provider: String,
    /// Its id.
    pub id: u32,
    /// When it was written.
    pub at: Timestamp,
    /// How grave it is, from 1 (critical) to 5 (verbose), and 0 for what is always written; `None`
    /// where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Its fields by name; unnamed ones are `0`, `1`…
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}
