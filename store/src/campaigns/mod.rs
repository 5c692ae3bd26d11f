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
use fleetmend_core::reason::{Reason, joined};
use fleetmend_core::time::Timestamp;

use crate::error::Result;
use crate::row::to_json;

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

/// Why a campaign comes into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why<'a> {
    /// As a person said it; may be empty.
    Words(&'a str),
    /// As it was decided.
    Reasons(&'a [Reason]),
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
    #[serde(serialize_with = "as_texts")]
    pub needs: Vec<Reason>,
    /// Who approved it as it stands.
    pub approved_by: Option<String>,
    /// Where it stands.
    pub state: CampaignState,
    /// Since when.
    pub state_since: Timestamp,
    /// Who or what brought it there.
    pub state_by: String,
    /// Why, in words.
    pub state_reason: String,
    /// The same as reasons; empty where the words are a person's.
    pub state_reasons: Vec<Reason>,
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
    /// Why nothing more starts now, in words.
    pub waiting_for: Option<String>,
    /// The same as reasons.
    pub waiting_reasons: Vec<Reason>,
    /// The campaign whose jobs it takes back.
    pub undoes: Option<CampaignId>,
    /// Hosts of that run.
    pub hosts: u64,
    /// Rises with every change.
    pub revision: u64,
}

impl Campaign {
    /// Whether a second person must approve it, and none has as it stands.
    pub fn lacks_approval(&self) -> bool {
        !self.needs.is_empty() && self.approved_by.is_none()
    }

    /// Whether it waits for that: before it begins, or paused in its midst.
    pub fn awaits_approval(&self) -> bool {
        match self.state {
            CampaignState::AwaitingApproval => true,
            CampaignState::Paused => self.lacks_approval(),
            _ => false,
        }
    }
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
    pub needs: Vec<Reason>,
}

/// Which campaigns are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// In any of these states.
    pub state: Vec<CampaignState>,
    /// Only those that a second person is asked to approve, before they begin or while they are paused.
    pub awaits_approval: bool,
    /// With this in the name, without regard to ASCII case.
    pub search: Option<String>,
    /// With jobs or hosts of this host.
    pub host: Option<fleetmend_core::ids::HostId>,
}

impl Why<'_> {
    /// In words.
    fn text(self) -> String {
        match self {
            Self::Words(text) => text.to_owned(),
            Self::Reasons(reasons) => joined(reasons),
        }
    }

    /// As it is kept beside the words.
    fn kept(self) -> Result<String> {
        match self {
            Self::Words(_) => Ok(String::new()),
            Self::Reasons(reasons) => kept(reasons),
        }
    }
}

/// Reasons as they are kept; empty where there are none.
fn kept(reasons: &[Reason]) -> Result<String> {
    if reasons.is_empty() { Ok(String::new()) } else { to_json(reasons) }
}

/// Reasons as they were kept. Those of a newer version are none: their words stand beside them.
fn read(kept: &str) -> Vec<Reason> {
    serde_json::from_str(kept).unwrap_or_default()
}

/// Reasons in words, each.
fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(ToString::to_string).collect()
}

/// Serialises reasons as words.
fn as_texts<S: serde::Serializer>(
    reasons: &[Reason],
    s: S,
) -> std::result::Result<S::Ok, S::Error> {
    s.collect_seq(reasons.iter().map(ToString::to_string))
}
