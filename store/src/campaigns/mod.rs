//! Campaigns: written, approved, begun, looked at, carried on, and told as one document. What happens
//! next is decided by the core's `advance`; here it is kept, each step in one transaction.

pub(crate) mod apply;
pub(crate) mod approvals;
pub(crate) mod document;
pub(crate) mod freezes;
pub(crate) mod get;
pub(crate) mod moves;
pub(crate) mod results;
pub(crate) mod retry;
pub(crate) mod runs;
pub(crate) mod select;
pub(crate) mod snapshot;
pub(crate) mod standing;
pub(crate) mod undo;
pub(crate) mod write;

use fleetmend_core::campaign::{CampaignState, Definition};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::time::Timestamp;

pub use apply::{Applied, LeftOut, NextStep};
pub use approvals::Approval;
pub use document::CampaignDocument;
pub use freezes::{Freeze, NewFreeze};
pub use moves::CampaignMove;
pub use results::{
    CampaignCounts, HostCounts, HostGroup, HostResult, ResultFilter, Stands, WaveCounts,
};
pub use retry::Retried;
pub use runs::CampaignRun;
pub use select::{Exclusion, Left, Member, NameCount, Preview, Selection};
pub use snapshot::{CampaignLook, NextWork};
pub use undo::{UndoStanding, Undoable};

/// Who acts: a person, by whatever means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// As the audit log has it: `user anna`, `api-token ops`.
    pub actor: &'a str,
    /// The person's name: a token's maker is its person. Empty where none is known.
    pub person: &'a str,
}

/// A campaign, as lists and pages show it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What it shall do.
    pub definition: Definition,
    /// SHA-256 of the definition's canonical form.
    pub digest: String,
    /// Why it needs the approval of a second person; empty where it needs none.
    pub needs: Vec<String>,
    /// Who approved it as it stands.
    pub approved_by: Option<String>,
    /// Where it stands.
    pub state: CampaignState,
    /// Since when.
    pub state_since: Timestamp,
    /// Who or what brought it there.
    pub state_by: String,
    /// Why.
    pub state_reason: String,
    /// Who wrote it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// Who changed it last.
    pub edited_by: String,
    /// When.
    pub edited: Timestamp,
    /// Its present or last run; 0 before the first.
    pub run: u32,
    /// Who began that run.
    pub started_by: Option<String>,
    /// When that run began.
    pub started: Option<Timestamp>,
    /// When that run ended.
    pub run_ended: Option<Timestamp>,
    /// Until when that run begins on hosts that come back.
    pub expires: Option<Timestamp>,
    /// When the planner looks again though nothing happens.
    pub next_look: Option<Timestamp>,
    /// Why nothing more starts now.
    pub waiting_for: Option<String>,
    /// The campaign whose jobs it takes back.
    pub undoes: Option<CampaignId>,
    /// Hosts of that run.
    pub hosts: u64,
    /// Rises with every change.
    pub revision: u64,
}

/// A campaign to be kept.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// Its id.
    pub id: CampaignId,
    /// What is written in it.
    pub text: CampaignText,
    /// The campaign whose jobs it takes back.
    pub undoes: Option<CampaignId>,
}

/// What a person writes in a campaign.
#[derive(Debug, Clone)]
pub struct CampaignText {
    /// What it shall do; valid.
    pub definition: Definition,
    /// Why it needs the approval of a second person; empty where it needs none.
    pub needs: Vec<String>,
}

/// Which campaigns are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// In any of these states.
    pub state: Vec<CampaignState>,
    /// With this in the name, without regard to ASCII case.
    pub search: Option<String>,
    /// With jobs or hosts of this host.
    pub host: Option<fleetmend_core::ids::HostId>,
}
