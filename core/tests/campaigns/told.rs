//! The rules as people are told them (docs/campaigns.md), worked out from the list of hosts alone.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::campaign::{HostStanding, Outcome, Remedy, Snapshot, WaveStanding};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;

/// How long a host may be silent.
const SILENT: Duration = Duration::from_mins(15);

/// When somebody resumed it last: what was so by then is accepted.
fn resumed(s: &Snapshot) -> Option<Timestamp> {
    s.started.filter(|at| s.state_since > *at).map(|_| s.state_since)
}

fn is_known(s: &Snapshot, at: Option<Timestamp>) -> bool {
    matches!((at, resumed(s)), (Some(at), Some(resumed)) if at <= resumed)
}

fn is_proof(s: &Snapshot, state: JobState) -> bool {
    let verifies = s.definition.remedy == Remedy::VerifyOnly;
    state == JobState::Fixed || (verifies && state == JobState::Failed)
}

/// Whether the agent began the job that it has, and that job was not found to be none.
fn has_begun(host: &HostStanding) -> bool {
    use JobState as S;
    match host.job_state {
        Some(S::Queued | S::WaitingWindow | S::Blocked | S::Offered) => host.begun.is_some(),
        Some(S::NotReached | S::Cancelled | S::Skipped | S::NotApplicable) | None => false,
        Some(_) => true,
    }
}

fn is_away(host: &HostStanding, now: Timestamp) -> bool {
    !host.reachable && now.as_millis() - host.last_seen.as_millis() >= 15 * 60_000
}

/// How many hosts stand how.
pub(crate) fn counts(s: &Snapshot, now: Timestamp) -> BTreeMap<Outcome, u32> {
    let mut counts = BTreeMap::new();
    for host in &s.hosts {
        *counts.entry(stands(s, host, now)).or_default() += 1;
    }
    counts
}

fn stands(s: &Snapshot, host: &HostStanding, now: Timestamp) -> Outcome {
    use JobState as S;
    let never_began = match host.job_state {
        None => true,
        Some(S::NotReached) => host.begun.is_none(),
        Some(S::Cancelled) => host.recalled && host.begun.is_none(),
        Some(_) => false,
    };
    if never_began && !host.excluded {
        return if s.state.is_final() { Outcome::NotReached } else { Outcome::Waiting };
    }
    let Some(state) = host.job_state else { return Outcome::Excluded };
    let since = host.state_since.expect("since when");
    let quiet = now.as_millis() - host.last_seen.max(since).as_millis();
    let is_quiet = !host.reachable && quiet >= 15 * 60_000;
    let heard = host.last_seen.as_millis() - since.as_millis();
    let waits = has_begun(host) && !state.is_final() && heard < 15 * 60_000;
    if is_quiet && (matches!(state, S::Running | S::Rebooting) || waits) {
        return Outcome::Silent;
    }
    match state {
        S::Queued | S::WaitingWindow | S::Blocked | S::Offered => Outcome::Queued,
        S::Running | S::RebootPending | S::Rebooting => Outcome::Running,
        S::Verifying => Outcome::Verifying,
        S::Fixed => Outcome::Fixed,
        S::Unverified => Outcome::Unverified,
        S::Failed => Outcome::Failed,
        S::RolledBack => Outcome::RolledBack,
        S::TimedOut => Outcome::TimedOut,
        S::NotReached => Outcome::NotReached,
        S::Unknown => Outcome::Unknown,
        S::NotApplicable => Outcome::NotApplicable,
        S::Skipped => Outcome::Skipped,
        S::Cancelled => Outcome::Cancelled,
    }
}

/// Whether a host may be down after its job, so that no other of its group begins.
pub(crate) fn may_be_down(s: &Snapshot, host: &HostStanding, now: Timestamp) -> bool {
    let broken = match host.job_state {
        Some(JobState::Failed) => s.definition.remedy != Remedy::VerifyOnly,
        Some(JobState::TimedOut | JobState::Unknown) => true,
        _ => false,
    };
    let away = is_away(host, now) && !is_known(s, Some(host.last_seen.after(SILENT)));
    has_begun(host) && !host.excluded && (away || (broken && !is_known(s, host.ended)))
}

/// Whether fewer hosts than its limit had a relapse or a regression that nobody accepted.
pub(crate) fn is_quiet(s: &Snapshot) -> bool {
    let of: Vec<_> = s.hosts.iter().filter(|h| has_begun(h) && h.job.is_some()).collect();
    let is_news = |h: &&&HostStanding| {
        [h.relapsed, h.regressed].into_iter().flatten().any(|at| !is_known(s, Some(at)))
    };
    let news = of.iter().filter(is_news).count();
    !s.definition.thresholds.regressions.is_crossed(news, of.len())
}

/// Whether the gate of the last opened wave may be passed.
pub(crate) fn gate_holds(s: &Snapshot, now: Timestamp) -> bool {
    let Some(last) = s.waves.len().checked_sub(1) else { return true };
    let number = u32::try_from(last).expect("few waves");
    let wave = &s.definition.waves[last];
    let of: Vec<_> = s.hosts.iter().filter(|h| h.wave == Some(number) && !h.waits()).collect();
    if of.is_empty() {
        // Nobody was started in it: by rounding, never while somebody could be its canary.
        let labelled = |(key, value): &(String, String)| {
            s.hosts.iter().any(|h| h.waits() && h.labels.get(key) == Some(value))
        };
        return !wave.label.as_ref().is_some_and(labelled);
    }
    let soaked = match s.waves[last] {
        WaveStanding { gate_held: Some(at), .. } => {
            now.since(at) >= s.definition.gate.soak.duration()
        }
        WaveStanding { gate_held: None, .. } => false,
    };
    let (mut good, mut all, mut reached, mut ended, mut placed) = (0, 0, 0, 0, 0);
    for host in of {
        let state = host.job_state.expect("a state");
        let is_over = state.is_final() && state.has_begun();
        placed += usize::from(is_over || !state.is_final());
        ended += usize::from(is_over);
        if state != JobState::Blocked && !has_begun(host) {
            continue;
        }
        reached += 1;
        let is_good = is_proof(s, state);
        let accepted = !is_good && is_over && is_known(s, host.ended);
        good += usize::from(is_good);
        all += usize::from(!accepted);
    }
    let sample = placed.min(s.definition.gate.least_sample as usize).max(1);
    let by_person = reached == 0 && resumed(s).is_some();
    let percent = usize::from(s.definition.gate.success_percent);
    soaked && is_quiet(s) && (by_person || ended >= sample) && good * 100 >= all * percent
}
