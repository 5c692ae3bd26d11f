//! The volume shadow copy service of Windows.

use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A writer: a program's part in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VssWriter {
    /// Its id (a GUID), the same on every machine.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state: 1 is stable, 6 and above have failed (`VSS_WS_*`).
    pub state: u32,
    /// Its last error as an HRESULT; 0 for none.
    #[serde(default)]
    pub error: u32,
}

/// A provider: what makes snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VssProvider {
    /// Its id (a GUID).
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind: 1 the system's, 2 software, 3 hardware, 4 file share (`VSS_PROV_*`).
    pub kind: u32,
}

/// Room for the shadow copies of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowStorage {
    /// The volume, by id or mount.
    pub volume: String,
    /// Where its copies are kept.
    pub on: String,
    /// Bytes used.
    pub used_bytes: u64,
    /// Bytes that may be used; `None` where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// A shadow copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowCopy {
    /// Its id (a GUID).
    pub id: String,
    /// Its volume, by id or mount.
    pub volume: String,
    /// When it was made.
    pub at: Timestamp,
}
