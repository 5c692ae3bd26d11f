//! What the host's own update and backup programs did when they were asked.

use fleetmend_core::words;
use serde::{Deserialize, Serialize};

words! {
    /// What the update agent of Windows is asked to do, with what its authority approved.
    pub enum UpdateCall ("update call") {
        /// Looks for updates.
        Scan = "scan",
        /// Fetches what it found.
        Download = "download",
        /// Installs what it fetched.
        Install = "install",
    }
}

/// How a run of the host's own update or backup program ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Its HRESULT; 0 where it did well.
    #[serde(default)]
    pub code: u32,
    /// What it was about: titles of updates, places of backups.
    #[serde(default)]
    pub items: Vec<String>,
    /// Whether it wants a restart.
    #[serde(default)]
    pub reboot: bool,
}
