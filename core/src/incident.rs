//! Incidents: a failure that stands open on one host, and how it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::code::FailureCode;
use crate::knowledge::{Catalogue, CodeEntry, Retry};
use crate::overdue::OverdueRules;
use crate::report::Operation;
use crate::time::Timestamp;
use crate::words;

words! {
    /// Where an incident stands.
    pub enum IncidentState ("incident state") {
        /// Failing.
        Open = "open",
        /// A job works on it.
        Remediating = "remediating",
        /// A job is done and the proof is awaited.
        Verifying = "verifying",
        /// Proved fixed by a job of ours.
        Fixed = "fixed",
        /// Healthy again without us.
        Resolved = "resolved",
        /// Its update was replaced by another.
        Superseded = "superseded",
        /// Open again within its operation's window after it was fixed or resolved; linked to the
        /// earlier incident.
        Recurred = "recurred",
        /// Somebody decided not to look, with reason, owner and expiry.
        Ignored = "ignored",
    }
}

/// What happens to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentEvent {
    /// The failure was reported again.
    Reported,
    /// A job for it began.
    JobStarted,
    /// A job's steps are done; the proof is awaited.
    JobVerifying,
    /// A job proved it fixed.
    JobFixed,
    /// A job ended without proof, whatever the way.
    JobEndedUnproved,
    /// The host was seen healthy without a job of ours.
    Recovered,
    /// Its update was replaced.
    Superseded,
    /// Somebody ignored it.
    Ignored,
    /// Somebody reopened it, or the ignoring expired.
    Reopened,
}

impl IncidentState {
    /// Whether the incident stands: it is counted in triage and takes new reports.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Remediating | Self::Verifying | Self::Recurred)
    }

    /// The state after `event`; `None` where the event changes nothing.
    ///
    /// A report on an ended incident opens a *new* incident, so it changes nothing here.
    pub const fn after(self, event: IncidentEvent) -> Option<Self> {
        use IncidentEvent as E;
        match (self, event) {
            (Self::Open | Self::Recurred, E::JobStarted) => Some(Self::Remediating),
            (Self::Open | Self::Recurred | Self::Remediating, E::JobVerifying) => {
                Some(Self::Verifying)
            }
            (Self::Open | Self::Recurred | Self::Remediating | Self::Verifying, event) => {
                match event {
                    E::JobFixed => Some(Self::Fixed),
                    E::JobEndedUnproved => match self {
                        Self::Remediating | Self::Verifying => Some(Self::Open),
                        Self::Open
                        | Self::Fixed
                        | Self::Resolved
                        | Self::Superseded
                        | Self::Recurred
                        | Self::Ignored => None,
                    },
                    E::Recovered => Some(Self::Resolved),
                    E::Superseded => Some(Self::Superseded),
                    E::Ignored => Some(Self::Ignored),
                    E::Reported | E::JobStarted | E::JobVerifying | E::Reopened => None,
                }
            }
            (Self::Ignored, E::Reopened) => Some(Self::Open),
            (Self::Ignored, E::Recovered) => Some(Self::Resolved),
            (Self::Ignored | Self::Fixed | Self::Resolved | Self::Superseded, _) => None,
        }
    }
}

/// How long after its end a failure that comes back counts as the old one *recurred*: the time in
/// which the operation is tried again in the ordinary way. `backup_every`: how often a backup of the
/// host is planned.
pub const fn recurs_within(operation: Operation, backup_every: Duration) -> Duration {
    const DAY: u64 = 24;
    match operation {
        Operation::Scan => Duration::from_hours(7 * DAY),
        Operation::Install => Duration::from_hours(40 * DAY),
        Operation::Backup => backup_every.saturating_mul(2),
        Operation::Download
        | Operation::Uninstall
        | Operation::Restore
        | Operation::Snapshot
        | Operation::Upgrade
        | Operation::Repair
        | Operation::Verify
        | Operation::Check
        | Operation::Other => Duration::from_hours(14 * DAY),
    }
}

/// What decides whether a report is an incident, beside its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRules {
    /// Codes of failures that go by themselves.
    pub transient: BTreeSet<FailureCode>,
    /// So many of them are an incident,
    pub failures: u64,
    /// if they are spread over so long a time without a success.
    pub over: Duration,
    /// How often backups are planned, by label.
    pub overdue: OverdueRules,
}

impl Default for IncidentRules {
    fn default() -> Self {
        Self {
            transient: BTreeSet::new(),
            failures: 3,
            over: Duration::from_hours(24),
            overdue: OverdueRules::default(),
        }
    }
}

impl IncidentRules {
    /// The codes that a catalogue says go by themselves.
    pub fn transient_of(catalogue: &Catalogue) -> BTreeSet<FailureCode> {
        let passes = |entry: &&CodeEntry| entry.retry == Retry::Transient;
        catalogue.codes.values().filter(passes).map(|entry| entry.code.clone()).collect()
    }

    /// Whether failures with a code are counted before they are an incident.
    pub fn passes(&self, code: Option<&FailureCode>) -> bool {
        code.is_some_and(|code| self.transient.contains(code))
    }

    /// Whether so many of them, from the first to the last, are an incident.
    pub fn is_enough(&self, failures: u64, first: Timestamp, last: Timestamp) -> bool {
        let lasts = self.failures <= 1 || last.since(first) >= self.over;
        failures >= self.failures && lasts
    }
}

#[cfg(test)]
mod tests {
    use super::{IncidentEvent as E, IncidentState as S};

    #[test]
    fn the_usual_way_to_fixed() {
        let mut state = S::Open;
        for event in [E::JobStarted, E::JobVerifying, E::JobFixed] {
            state = state.after(event).expect("moves on");
        }
        assert_eq!(state, S::Fixed);
    }

    #[test]
    fn an_unproved_job_reopens_and_ended_incidents_stay_ended() {
        assert_eq!(S::Verifying.after(E::JobEndedUnproved), Some(S::Open));
        assert_eq!(S::Open.after(E::JobEndedUnproved), None);
        for ended in [S::Fixed, S::Resolved, S::Superseded] {
            for event in [E::Reported, E::JobStarted, E::JobFixed, E::Recovered, E::Reopened] {
                assert_eq!(ended.after(event), None, "{ended} {event:?}");
            }
        }
    }

    #[test]
    fn backups_come_back_within_two_of_their_own_cycles() {
        let hour = super::Duration::from_hours(1);
        assert_eq!(super::recurs_within(super::Operation::Backup, hour), 2 * hour);
        assert_eq!(super::recurs_within(super::Operation::Scan, hour), 7 * 24 * hour);
        assert_eq!(super::recurs_within(super::Operation::Install, hour), 40 * 24 * hour);
    }

    #[test]
    fn what_passes_is_an_incident_only_after_so_many_over_so_long() {
        let rules = super::IncidentRules::default();
        let at = |hours| super::Timestamp::default().after(super::Duration::from_hours(hours));
        assert!(!rules.is_enough(9, at(0), at(23)), "nine in a day may be one outage");
        assert!(!rules.is_enough(2, at(0), at(90)));
        assert!(rules.is_enough(3, at(0), at(24)));
        assert!(!rules.passes(None));
    }
}
