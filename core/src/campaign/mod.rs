//! Campaigns: one problem's remediation over many hosts, in waves that stop by themselves.
//!
//! [`Definition`] is what a person writes and what an approval binds; [`Snapshot`] is how it stands;
//! `advance` decides from both what happens next. All of it is pure.

mod advance;
mod approval;
pub mod calendar;
mod counters;
mod definition;
mod planned;
mod share;
mod snapshot;
mod undo;
mod validate;

use crate::words;

pub use self::advance::{advance, retry};
pub use self::approval::{ApprovalFacts, ApprovalPolicy, StandardChange, needs_approval};
pub use self::counters::{Aim, Counters, Outcome};
pub use self::definition::{
    Definition, Gate, Membership, Pace, RebootPolicy, Remedy, RestartNotice, Schedule, Selector,
    Thresholds, Wave, Window, Zone,
};
pub use self::planned::PlannedWave;
pub use self::share::{BadShare, ErrorLimit, Share};
pub use self::snapshot::{
    Between, Decisions, FreezeSpan, HostStanding, Snapshot, Transition, WaveStanding,
};
pub use self::validate::Problem;

words! {
    /// Where a campaign stands.
    pub enum CampaignState ("campaign state") {
        /// Being written: may be edited.
        Draft = "draft",
        /// Needs the approval of a second person.
        AwaitingApproval = "awaiting_approval",
        /// Waits for its time.
        Scheduled = "scheduled",
        /// At work.
        Running = "running",
        /// Starts nothing new; what began goes on.
        Paused = "paused",
        /// Stopped for good by a threshold or a person.
        Aborted = "aborted",
        /// Every host came to its end, none in error.
        Completed = "completed",
        /// Every host came to its end, some in error.
        CompletedWithErrors = "completed_with_errors",
        /// Taken back before it started.
        Cancelled = "cancelled",
    }
}

impl CampaignState {
    /// Whether it is over. `retry` takes one that completed with errors or was aborted up again.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Draft
            | Self::AwaitingApproval
            | Self::Scheduled
            | Self::Running
            | Self::Paused => false,
            Self::Aborted | Self::Completed | Self::CompletedWithErrors | Self::Cancelled => true,
        }
    }
}
