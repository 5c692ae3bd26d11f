//! Jobs: one host's share of a remediation, their states, and what an agent says of them.

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::ids::JobId;
use crate::time::Timestamp;
use crate::words;

words! {
    /// Where a job stands.
    pub enum JobState ("job state") {
        /// Waits to be offered.
        Queued = "queued",
        /// Waits for its maintenance window.
        WaitingWindow = "waiting_window",
        /// Something on the host stands in its way; named in the detail.
        Blocked = "blocked",
        /// Its order was sent.
        Offered = "offered",
        /// Its steps run.
        Running = "running",
        /// Its steps are done and a restart is needed.
        RebootPending = "reboot_pending",
        /// The host restarts.
        Rebooting = "rebooting",
        /// The failing operation is being repeated, or awaited.
        Verifying = "verifying",
        /// The failing operation works again.
        Fixed = "fixed",
        /// The steps went well; whether it is fixed could not be proved.
        Unverified = "unverified",
        /// Not cured; undo incomplete or none.
        Failed = "failed",
        /// Not cured; all of it undone.
        RolledBack = "rolled_back",
        /// Began, and gave no result by its deadline.
        TimedOut = "timed_out",
        /// Never began.
        NotReached = "not_reached",
        /// Its outcome was hidden by a crash.
        Unknown = "unknown",
        /// The cause was gone when the agent looked.
        NotApplicable = "not_applicable",
        /// The agent refused it: its ceiling, its catalogue or the order itself.
        Skipped = "skipped",
        /// Somebody took it back before it changed anything.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether the job is over.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued
            | Self::WaitingWindow
            | Self::Blocked
            | Self::Offered
            | Self::Running
            | Self::RebootPending
            | Self::Rebooting
            | Self::Verifying => false,
            Self::Fixed
            | Self::Unverified
            | Self::Failed
            | Self::RolledBack
            | Self::TimedOut
            | Self::NotReached
            | Self::Unknown
            | Self::NotApplicable
            | Self::Skipped
            | Self::Cancelled => true,
        }
    }

    /// Whether the agent may have changed something already.
    pub const fn has_begun(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::RebootPending
                | Self::Rebooting
                | Self::Verifying
                | Self::Fixed
                | Self::Unverified
                | Self::Failed
                | Self::RolledBack
                | Self::TimedOut
                | Self::Unknown
        )
    }

    /// Whether the agent has answered, and waits.
    pub const fn has_answered(self) -> bool {
        matches!(self, Self::WaitingWindow | Self::Blocked)
    }

    /// How far a job is on its way. An agent's word never takes a job backwards: repeated and
    /// reordered updates are harmless.
    const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::WaitingWindow => 1,
            Self::Offered => 2,
            Self::Blocked => 3,
            Self::Running => 4,
            Self::RebootPending => 5,
            Self::Rebooting => 6,
            Self::Verifying => 7,
            Self::Fixed
            | Self::Unverified
            | Self::Failed
            | Self::RolledBack
            | Self::TimedOut
            | Self::NotReached
            | Self::Unknown
            | Self::NotApplicable
            | Self::Skipped
            | Self::Cancelled => 8,
        }
    }

    /// Whether a job may go from this state to `next`.
    ///
    /// Forward only, except that *blocked*, *waiting_window*, *offered* and *queued* change places (a host
    /// may drop its stream before it begins), and that what the server decides without the agent gives way
    /// to what the agent later tells: *timed_out* and *not_reached* by the clock, and *cancelled*
    /// where the agent had begun after all.
    pub const fn can_become(self, next: Self) -> bool {
        match (self, next) {
            (
                Self::Queued | Self::WaitingWindow | Self::Offered | Self::Blocked,
                Self::Queued | Self::WaitingWindow | Self::Offered | Self::Blocked,
            ) => self.rank() != next.rank(),
            (Self::TimedOut | Self::NotReached, _) => {
                next.is_final()
                    && !matches!(next, Self::TimedOut | Self::NotReached | Self::Cancelled)
            }
            (Self::Cancelled, _) => {
                next.is_final() && next.has_begun() && !matches!(next, Self::TimedOut)
            }
            _ => !self.is_final() && next.rank() > self.rank(),
        }
    }
}

words! {
    /// What a job is for.
    pub enum TaskKind ("task") {
        /// Carries a remediation out, and proves it.
        Remediate = "remediate",
        /// Only finds out whether the failure is gone.
        Verify = "verify",
        /// Takes back what an earlier job did.
        Undo = "undo",
    }
}

words! {
    /// How a job's fix was proved.
    pub enum ProofLevel ("proof") {
        /// The failing operation was repeated and worked.
        Repeated = "repeated",
        /// The next natural run of it worked.
        Observed = "observed",
        /// Only the cause's probes are clean.
        ProbeOnly = "probe_only",
    }
}

words! {
    /// How one step went.
    pub enum StepState ("step state") {
        /// Begun.
        Running = "running",
        /// Nothing to do: it was so already.
        AlreadyDone = "already_done",
        /// Done and checked.
        Done = "done",
        /// Did not work.
        Failed = "failed",
        /// Taken back.
        Undone = "undone",
        /// Could not be taken back.
        UndoFailed = "undo_failed",
        /// Hidden by a crash.
        Unknown = "unknown",
    }
}

/// What an agent says of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step's place in the remediation, from 0.
    pub index: u32,
    /// The step in words: `tool.run dpkg --configure -a`.
    pub title: String,
    /// How it went.
    pub state: StepState,
    /// The exit status, where a program ran.
    pub exit: Option<i32>,
    /// Why it failed, or what was found; at most 2,048 bytes.
    pub detail: String,
    /// Bytes of output that went over the bound and were dropped.
    pub output_dropped: u64,
}

/// What an agent says of a job. Travels through the spool, so it is never lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobUpdate {
    /// The job.
    pub job: JobId,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// Its new state.
    pub state: JobState,
    /// Why, in words for the admin; names the blocker, the refusal or the failure.
    pub detail: String,
    /// The step concerned, where one is.
    pub step: Option<StepReport>,
    /// What the probes say after the attempt.
    pub evidence: Vec<Evidence>,
    /// How the fix was proved, with *fixed*.
    pub proof: Option<ProofLevel>,
    /// When.
    pub at: Timestamp,
}

/// A piece of a job's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLog {
    /// The job.
    pub job: JobId,
    /// Which try.
    pub attempt: u32,
    /// The step's place, from 0.
    pub step: u32,
    /// The piece's place in the step's output, from 0.
    pub sequence: u32,
    /// The text; at most [`crate::limits::LOG_CHUNK_BYTES`]. Bytes that are no UTF-8 were replaced.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::JobState as S;

    #[test]
    fn an_agents_word_never_takes_a_job_backwards() {
        for from in S::ALL {
            for to in S::ALL {
                if from.has_begun() && !to.has_begun() {
                    let late_no = matches!(to, S::NotApplicable | S::Skipped);
                    let by_hand = matches!(to, S::Cancelled | S::NotReached);
                    assert!(!from.can_become(*to) || late_no || by_hand, "{from} became {to}");
                }
                assert!(!(from == to && from.can_become(*to)), "{from} became itself");
            }
        }
    }

    #[test]
    fn final_states_stay_but_for_late_proof() {
        assert!(!S::Fixed.can_become(S::Failed));
        assert!(!S::Cancelled.can_become(S::Running));
        assert!(!S::Cancelled.can_become(S::Skipped) && !S::Cancelled.can_become(S::TimedOut));
        assert!(S::Cancelled.can_become(S::Failed), "what was done is not denied");
        assert!(S::TimedOut.can_become(S::Fixed));
        assert!(!S::TimedOut.can_become(S::Running));
        assert!(S::Offered.can_become(S::Queued), "a dropped stream puts the order back");
        assert!(!S::Running.can_become(S::Queued));
    }
}
