//! How each host stands, and how many stand so: every host counts once.

use super::CampaignState;
use super::definition::{Definition, Remedy};
use super::snapshot::{HostStanding, Snapshot};
use crate::job::JobState;
use crate::limits;
use crate::time::Timestamp;
use crate::words;

words! {
    /// How a host stands in a campaign.
    pub enum Outcome ("outcome") {
        /// Has no job yet.
        Waiting = "waiting",
        /// Was left out after it was taken in, before it had a job.
        Excluded = "excluded",
        /// Has a job that its agent has not begun.
        Queued = "queued",
        /// Its job runs, or restarts it.
        Running = "running",
        /// Began, and was not heard of since: an error while it lasts.
        Silent = "silent",
        /// Its steps are done; the proof is awaited.
        Verifying = "verifying",
        /// The failing operation works again.
        Fixed = "fixed",
        /// The steps went well; nothing proves the fix.
        Unverified = "unverified",
        /// Not cured; undo incomplete or none.
        Failed = "failed",
        /// Not cured; all of it undone.
        RolledBack = "rolled_back",
        /// Began, and gave no result by its deadline.
        TimedOut = "timed_out",
        /// Never began, and the campaign is over.
        NotReached = "not_reached",
        /// Its outcome was hidden by a crash.
        Unknown = "unknown",
        /// The cause was gone when the agent looked.
        NotApplicable = "not_applicable",
        /// The agent refused it.
        Skipped = "skipped",
        /// Somebody took it back before it changed anything.
        Cancelled = "cancelled",
    }
}

/// What the jobs of a campaign are for: it says which of their ends is a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aim {
    /// To mend hosts: *fixed* is a success.
    #[default]
    Cure,
    /// To prove or refute that they are mended: either answer is a success.
    Proof,
    /// To take back what another campaign did: *rolled back* is a success.
    Undo,
}

impl Aim {
    /// The aim of a definition, in a campaign that takes another one back or does not.
    pub fn of(definition: &Definition, undoes: bool) -> Self {
        match definition.remedy {
            _ if undoes => Self::Undo,
            Remedy::VerifyOnly => Self::Proof,
            _ => Self::Cure,
        }
    }
}

impl Outcome {
    /// Whether it is what a campaign is for.
    pub const fn is_success(self, aim: Aim) -> bool {
        match self {
            Self::Fixed => true,
            Self::Failed => matches!(aim, Aim::Proof),
            Self::RolledBack => matches!(aim, Aim::Undo),
            _ => false,
        }
    }

    /// Whether it counts against the thresholds. What a campaign that only verifies refutes is its
    /// result, and no error of it; so is what was taken back by one that takes back.
    pub const fn is_error(self, aim: Aim) -> bool {
        match self {
            Self::Failed | Self::RolledBack => !self.is_success(aim),
            Self::TimedOut | Self::Unknown | Self::Silent => true,
            Self::Waiting
            | Self::Excluded
            | Self::Queued
            | Self::Running
            | Self::Verifying
            | Self::Fixed
            | Self::Unverified
            | Self::NotReached
            | Self::NotApplicable
            | Self::Skipped
            | Self::Cancelled => false,
        }
    }
}

/// How a host stands whose job is in a state and that was heard of.
impl From<JobState> for Outcome {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued | JobState::WaitingWindow | JobState::Blocked | JobState::Offered => {
                Self::Queued
            }
            JobState::Running | JobState::RebootPending | JobState::Rebooting => Self::Running,
            JobState::Verifying => Self::Verifying,
            JobState::Fixed => Self::Fixed,
            JobState::Unverified => Self::Unverified,
            JobState::Failed => Self::Failed,
            JobState::RolledBack => Self::RolledBack,
            JobState::TimedOut => Self::TimedOut,
            JobState::NotReached => Self::NotReached,
            JobState::Unknown => Self::Unknown,
            JobState::NotApplicable => Self::NotApplicable,
            JobState::Skipped => Self::Skipped,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl HostStanding {
    /// How it stands; `over` where its campaign starts nothing more.
    pub fn outcome(&self, over: bool, now: Timestamp) -> Outcome {
        if self.waits() {
            return if over { Outcome::NotReached } else { Outcome::Waiting };
        }
        let Some(state) = self.state() else { return Outcome::Excluded };
        if self.silent_since(now).is_some() { Outcome::Silent } else { state.into() }
    }

    /// Whether a job may still be made for it: it has none, or its last never began and the campaign's
    /// clock or recall ended it, not a person.
    pub fn waits(&self) -> bool {
        !self.excluded
            && match self.state() {
                None => true,
                Some(JobState::NotReached) => self.begun.is_none(),
                Some(JobState::Cancelled) => self.recalled && self.begun.is_none(),
                Some(_) => false,
            }
    }

    /// Whether its agent began the job: it may wait between two tries by now. One that was found not to
    /// apply, or refused, did not begin, whatever it said on its way.
    pub(super) fn has_begun(&self) -> bool {
        self.state()
            .is_some_and(|state| state.has_begun() || (!state.is_final() && self.begun.is_some()))
    }

    /// Where its job stands; a job whose state is not known is queued.
    pub(super) fn state(&self) -> Option<JobState> {
        self.job.map(|_| self.job_state.unwrap_or(JobState::Queued))
    }

    /// Since when it is silent after it began: since then it counts as an error, until it is heard of
    /// again. A host that waits for a restart, a proof or its next try, and was heard of for long enough
    /// meanwhile, may be off: that is no error.
    pub(super) fn silent_since(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.silence_due()?;
        (!self.reachable && now >= due).then_some(due)
    }

    /// Since when nothing was heard of it, where that is longer than a host may be silent.
    pub(super) fn away_since(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.last_seen.after(limits::SILENT_AFTER);
        (!self.reachable && now >= since).then_some(since)
    }

    /// When its silence would count, unless it is heard of before.
    pub(super) fn silence_due(&self) -> Option<Timestamp> {
        let state = self.state()?;
        let since = self.state_since.or(self.begun).unwrap_or(self.last_seen);
        let due = self.last_seen.max(since).after(limits::SILENT_AFTER);
        match state {
            JobState::Running | JobState::Rebooting => Some(due),
            // Its steps are done, or it waits between two tries.
            _ if !state.is_final() && self.has_begun() => {
                (self.last_seen.since(since) < limits::SILENT_AFTER).then_some(due)
            }
            _ => None,
        }
    }
}

/// How many hosts stand how. They add up to the campaign's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters([u32; Outcome::ALL.len()]);

impl Counters {
    /// Counts a campaign's hosts.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let over = snapshot.state.is_final();
        Self::count(snapshot.hosts.iter().map(|host| host.outcome(over, now)))
    }

    /// Counts outcomes.
    pub fn count(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut counters = Self::default();
        for outcome in outcomes {
            counters.add(outcome);
        }
        counters
    }

    /// One more.
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// How many stand so.
    pub const fn get(&self, outcome: Outcome) -> u32 {
        self.0[outcome as usize]
    }

    /// All of them.
    pub fn sum(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Those that stand some way, in words: `3 fixed, 1 failed`.
    pub fn in_words(&self, of: &[Outcome]) -> String {
        let some = of.iter().filter(|outcome| self.get(**outcome) > 0);
        let words = some.map(|outcome| {
            let name = outcome.as_str().replace('_', " ");
            format!("{} {name}", self.get(*outcome))
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Snapshot {
    /// When its run begins nothing more: so long after its start, or after somebody resumed or retried
    /// it last.
    pub fn expires(&self) -> Option<Timestamp> {
        let started = self.started?;
        let since = match self.state {
            CampaignState::Running => started.max(self.state_since),
            _ => started,
        };
        Some(since.after(self.definition.expires.duration()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_end_means_is_said_by_what_the_campaign_is_for() {
        let of = |aim| {
            let said = |outcome: &Outcome| (outcome.is_success(aim), outcome.is_error(aim));
            [Outcome::Fixed, Outcome::Failed, Outcome::RolledBack, Outcome::Unknown]
                .map(|outcome| said(&outcome))
        };
        let (good, bad) = ((true, false), (false, true));
        assert_eq!(of(Aim::Cure), [good, bad, bad, bad]);
        assert_eq!(of(Aim::Proof), [good, good, bad, bad], "a refuted fix is an answer");
        assert_eq!(of(Aim::Undo), [good, bad, good, bad], "taken back is what it is for");
    }
}
