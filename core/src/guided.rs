//! Work for people: a guided remediation that somebody carries out on a host.

use crate::incident::IncidentState;
use crate::job::JobState;
use crate::words;

words! {
    /// Where a piece of work for people stands.
    pub enum GuidedState ("state of a guided task") {
        /// Waits for somebody.
        Open = "open",
        /// Somebody is at it.
        Doing = "doing",
        /// Done; whether it helped is proved like any fix.
        Done = "done",
        /// Not needed any more, or not to be done.
        Dropped = "dropped",
    }
}

words! {
    /// What is known of the work's success, once it is done.
    pub enum GuidedProof ("proof of guided work") {
        /// The operation works again.
        Proved = "proved",
        /// It still fails.
        Refuted = "refuted",
        /// An agent is at it, or the next natural run is awaited.
        Awaited = "awaited",
    }
}

impl GuidedState {
    /// Whether it is over.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Open | Self::Doing => false,
            Self::Done | Self::Dropped => true,
        }
    }
}

/// Whether done work helped: by the job that was to prove it, else by what became of its incident.
/// A job that could not tell leaves it to the next natural run.
pub const fn proof_of(job: Option<JobState>, incident: IncidentState) -> GuidedProof {
    match (job, incident) {
        (Some(JobState::Fixed), _) | (_, IncidentState::Fixed | IncidentState::Resolved) => {
            GuidedProof::Proved
        }
        (Some(JobState::Failed | JobState::RolledBack), _) => GuidedProof::Refuted,
        _ => GuidedProof::Awaited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_proves_or_refutes_and_else_the_incident_tells() {
        let proof = |job, incident| proof_of(job, incident);
        assert_eq!(proof(Some(JobState::Fixed), IncidentState::Fixed), GuidedProof::Proved);
        assert_eq!(proof(Some(JobState::Failed), IncidentState::Open), GuidedProof::Refuted);
        assert_eq!(proof(Some(JobState::Skipped), IncidentState::Open), GuidedProof::Awaited);
        assert_eq!(proof(None, IncidentState::Resolved), GuidedProof::Proved);
        assert_eq!(proof(None, IncidentState::Open), GuidedProof::Awaited);
    }
}
