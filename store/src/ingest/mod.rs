//! Ingest: what agents report goes in by one transaction for many hosts, in the order of each
//! host's spool, each item exactly once.

pub(crate) mod apply;
pub(crate) mod failures;
pub(crate) mod job_news;
pub(crate) mod opening;
pub(crate) mod passing;
pub(crate) mod positions;
pub(crate) mod quarantine;
pub(crate) mod recovery;
pub(crate) mod superseded;

use fleetmend_core::ids::{HostId, IncidentId, JobId, SpoolEpoch};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;

/// Where random bytes for new ids come from.
pub type Random<'a> = &'a mut (dyn FnMut() -> [u8; 10] + Send);

/// One item as the link received it.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// An item that was understood.
    Item(SpoolItem),
    /// An item that could not be understood: it is set aside with this reason, so that it does
    /// not hold up the items behind it.
    Unreadable {
        /// Why not.
        reason: String,
    },
}

impl From<SpoolItem> for Incoming {
    fn from(item: SpoolItem) -> Self {
        Self::Item(item)
    }
}

/// Consecutive items of one host's spool.
#[derive(Debug, Clone)]
pub struct HostItems {
    /// Whose.
    pub host: HostId,
    /// Of which spool.
    pub epoch: SpoolEpoch,
    /// The items with their sequences, ascending.
    pub items: Vec<(u64, Incoming)>,
}

/// What became of one [`HostItems`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOutcome {
    /// Whose.
    pub host: HostId,
    /// Of which spool.
    pub epoch: SpoolEpoch,
    /// The last sequence that is durable: acknowledge it. The next one wanted is one more.
    pub acknowledged: u64,
    /// Items stored now.
    pub applied: u64,
    /// Items that were stored before.
    pub repeated: u64,
    /// Items set aside now (acknowledged too).
    pub quarantined: u64,
    /// Items not taken because one before them is missing.
    pub refused: u64,
    /// The host is unknown, or its place in its life does not let it report: nothing was taken.
    pub foreign: bool,
}

/// What a whole ingest transaction did.
#[derive(Debug, Clone, Default)]
pub struct Ingested {
    /// One for each [`HostItems`], in their order.
    pub outcomes: Vec<IngestOutcome>,
    /// Incidents that opened, ended or took reports; at most 1,000 are named.
    pub incidents: Vec<IncidentId>,
    /// Jobs that have news.
    pub jobs: Vec<JobId>,
    /// Jobs that printed.
    pub logs: Vec<JobId>,
    /// Whether incidents wait for triage: nudge it.
    pub triage: bool,
    /// Whether tries of jobs came to their end: nudge what goes on from there.
    pub ended: bool,
}

/// An item set aside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// Whose.
    pub host: HostId,
    /// Of which spool.
    pub epoch: SpoolEpoch,
    /// Its place.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The item as JSON, cut to 8,192 bytes.
    pub item: String,
}
