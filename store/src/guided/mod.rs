//! Work for people: guided remediations, who does them, and how far they are.

pub(crate) mod change;
pub(crate) mod list;

use fleetmend_core::guided::{GuidedProof, GuidedState};
use fleetmend_core::ids::{GuidedTaskId, HostId, IncidentId, JobId};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::job::JobState;
use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;

/// A piece of work for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GuidedTask {
    /// Its id.
    pub id: GuidedTaskId,
    /// The host.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// Whether the host is simulated.
    pub simulated: bool,
    /// The incident it is for.
    pub incident: IncidentId,
    /// Where that stands.
    pub incident_state: IncidentState,
    /// What fails.
    pub key: IncidentKey,
    /// The cause it is against.
    pub cause: Slug,
    /// The guided remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// Where it stands.
    pub state: GuidedState,
    /// Who does it.
    pub assignee: Option<String>,
    /// Who or what asked for it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it was done or dropped.
    pub ended: Option<Timestamp>,
    /// Why it was dropped.
    pub reason: Option<String>,
    /// The job that proves it, where an agent was asked, and where that stands.
    pub job: Option<(JobId, Option<JobState>)>,
    /// Steps ticked off.
    pub ticked: u64,
}

impl GuidedTask {
    /// Whether it helped; `None` before it is done.
    pub fn proof(&self) -> Option<GuidedProof> {
        let job = self.job.and_then(|(_, state)| state);
        let proof = fleetmend_core::guided::proof_of(job, self.incident_state);
        (self.state == GuidedState::Done).then_some(proof)
    }
}

/// A piece of work with what was written on it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GuidedDetail {
    /// It.
    pub task: GuidedTask,
    /// The steps that were done, in order.
    pub ticks: Vec<GuidedTick>,
    /// What people wrote, oldest first.
    pub notes: Vec<GuidedNote>,
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GuidedTick {
    /// Its place, from 0.
    pub step: u32,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GuidedNote {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// Work to be asked for.
#[derive(Debug, Clone)]
pub struct NewGuidedTask {
    /// Its id.
    pub id: GuidedTaskId,
    /// The incident; must stand.
    pub incident: IncidentId,
    /// The cause it is against.
    pub cause: Slug,
    /// The guided remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
}

/// Which work is wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct GuidedFilter {
    /// In any of these states.
    pub state: Vec<GuidedState>,
    /// On this host.
    pub host: Option<HostId>,
    /// For this incident.
    pub incident: Option<IncidentId>,
    /// By this remediation.
    pub remediation: Option<String>,
    /// By this person; the empty text for what nobody took.
    pub assignee: Option<String>,
}
