//! What was left undone for too long. Nobody reports it: it is seen from what a host's state says of
//! its upkeep, from when the host was last heard of, and from the clock. Silence is never health.

mod judge;
mod thresholds;
mod upkeep;

pub use judge::{Judgement, Overdue, Watched, judge};
pub use thresholds::{LabelRule, Limit, OverdueRules, Thresholds};
pub use upkeep::{Upkeep, build_of, foreign_backup};

use crate::code::FailureCode;
use crate::host::Lifecycle;
use crate::words;
use crate::words::Slug;

words! {
    /// What is overdue: the code of the incident that says so.
    pub enum OverdueKind ("overdue kind") {
        /// No successful search for updates.
        ScanStale = "wu.scan_stale",
        /// Others of the fleet have long run a newer build of the same Windows.
        BuildBehind = "wu.build_behind",
        /// No backup since the last one.
        BackupStale = "backup.stale",
        /// No backup by a product whose backups can be read, or none lately beside a product whose backups
        /// cannot. It does not say that there is none.
        BackupVendorUnknown = "backup.vendor_unknown",
        /// A restart is awaited.
        RebootPendingAged = "reboot.pending_aged",
        /// Nothing was heard of the agent.
        AgentSilent = "agent.silent",
    }
}

impl OverdueKind {
    /// The kind that a code stands for.
    pub fn of(code: Option<&FailureCode>) -> Option<Self> {
        match code? {
            FailureCode::Slug(slug) => slug.as_str().parse().ok(),
            FailureCode::Hresult(_) | FailureCode::Exit(_) => None,
        }
    }

    /// Its code.
    pub fn code(self) -> Option<FailureCode> {
        Slug::new(self.as_str()).ok().map(FailureCode::Slug)
    }
}

words! {
    /// How a host does, in a word. *Healthy* is said only where something proves it.
    pub enum Health ("health") {
        /// Nothing that proves it well is known: it has told nothing yet, is silent, or waits to be accepted.
        Unknown = "unknown",
        /// An incident stands.
        Failing = "failing",
        /// No incident stands, and a search for updates, an installation or a backup is known to have worked.
        Healthy = "healthy",
    }
}

/// How a host does. `proved`: whether its state tells of anything that worked.
pub const fn health(lifecycle: Lifecycle, open_incidents: u64, proved: bool) -> Health {
    if open_incidents > 0 {
        Health::Failing
    } else if proved && matches!(lifecycle, Lifecycle::Active) {
        Health::Healthy
    } else {
        Health::Unknown
    }
}

#[cfg(test)]
#[path = "../overdue_tests.rs"]
mod tests;
