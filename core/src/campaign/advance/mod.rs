//! What a campaign does next: a pure function of how it stands.
//!
//! Level-triggered: it looks at the state alone, so a lost nudge, a repeated look or a look by another
//! replica changes nothing. What it decides is applied in one transaction, and looked at again.

mod gate;
mod pick;
mod tally;
mod thresholds;

use self::gate::Gate;
use self::tally::Tally;
use super::CampaignState;
use super::counters::{Aim, Outcome};
use super::definition::{Membership, Schedule, Zone};
use super::snapshot::{Decisions, HostStanding, Snapshot, Transition};
use crate::ids::HostId;
use crate::reason;
use crate::reason::{Reason, Value};
use crate::time::Timestamp;

/// How often it looks whose clock comes first while a run is due, where hosts go by their own.
const ZONES_LOOK: std::time::Duration = std::time::Duration::from_hours(1);

/// Decides what happens next.
pub fn advance(s: &Snapshot, now: Timestamp) -> Decisions {
    match s.state {
        CampaignState::Draft => waiting(reason!(Draft)),
        CampaignState::AwaitingApproval => waiting(reason!(AwaitsApproval)),
        CampaignState::Cancelled => Decisions::default(),
        CampaignState::Scheduled => scheduled(s, now),
        CampaignState::Running => running(s, now),
        CampaignState::Paused => paused(s, now),
        CampaignState::Aborted => {
            let recall = Tally::of(s, now).recall(CampaignState::Aborted);
            Decisions { recall, ..Decisions::default() }
        }
        CampaignState::Completed | CampaignState::CompletedWithErrors => over(s, now),
    }
}

/// The hosts that `retry` puts back: those that ended in error, or refuted the fix. Each gets a fresh
/// job in the same campaign; what it had is kept in its history.
pub fn retry(s: &Snapshot, now: Timestamp) -> Vec<HostId> {
    // A refuted fix is a result, and may be asked for once more all the same.
    let aim = if s.aim == Aim::Proof { Aim::Cure } else { s.aim };
    let ended = |outcome: Outcome| outcome != Outcome::Silent && outcome.is_error(aim);
    let failed = s.hosts.iter().filter(|host| !host.excluded && ended(host.outcome(false, now)));
    failed.map(|host| host.host).collect()
}

fn waiting(why: Reason) -> Decisions {
    Decisions { waiting_for: vec![why], ..Decisions::default() }
}

fn scheduled(s: &Snapshot, now: Timestamp) -> Decisions {
    match s.definition.next_start(s.state_since, s.hosts.iter().map(|h| &h.labels)) {
        Err(bad) => waiting(reason!(BadSchedule, problem = bad.to_string())),
        Ok(None) => waiting(reason!(NoSchedule)),
        Ok(Some(at)) if now < at => Decisions {
            next_look: Some(match s.definition.zone {
                // Hosts whose day begins sooner may be found meanwhile.
                Zone::Host { .. } => at.min(now.after(ZONES_LOOK)),
                Zone::Named(_) => at,
            }),
            waiting_for: vec![reason!(Scheduled, at = clock(s, at))],
            ..Decisions::default()
        },
        Ok(Some(_)) if s.halted => waiting(reason!(HaltedNoRun)),
        Ok(Some(at)) => new_run(reason!(TimeCame, at = clock(s, at)), now),
    }
}

/// A recurring campaign runs again at its next time; what came while it ran is passed over.
fn over(s: &Snapshot, now: Timestamp) -> Decisions {
    if !matches!(s.definition.schedule, Schedule::Cron { .. } | Schedule::Monthly { .. }) {
        return Decisions::default();
    }
    scheduled(s, now)
}

fn new_run(why: Reason, now: Timestamp) -> Decisions {
    Decisions {
        transition: Some(Transition { to: CampaignState::Running, why }),
        new_run: true,
        next_look: Some(now),
        ..Decisions::default()
    }
}

/// A paused campaign never goes on by itself; it may still come to worse.
fn paused(s: &Snapshot, now: Timestamp) -> Decisions {
    let tally = Tally::of(s, now);
    let transition = thresholds::abort(s, &tally);
    let waits = transition.is_none().then(|| reason!(Paused, work = tally.at_work()));
    let to = transition.as_ref().map_or(CampaignState::Paused, |transition| transition.to);
    let next_look = tally.next_silence;
    Decisions {
        transition,
        recall: tally.recall(to),
        next_look,
        waiting_for: waits.into_iter().collect(),
        ..Decisions::default()
    }
}

fn running(s: &Snapshot, now: Timestamp) -> Decisions {
    if s.started.is_none() {
        // Somebody started it by hand; its hosts are not selected yet.
        return if s.halted {
            waiting(reason!(HaltedNoRun))
        } else {
            Decisions { new_run: true, next_look: Some(now), ..Decisions::default() }
        };
    }
    let mut tally = Tally::of(s, now);
    let stop = thresholds::abort(s, &tally)
        .or_else(|| thresholds::pause(s, &tally))
        .or_else(|| thresholds::regressions(s, &tally));
    if let Some(transition) = stop {
        let recall = tally.recall(transition.to);
        return Decisions { transition: Some(transition), recall, ..Decisions::default() };
    }
    let expires = s.expires();
    let expired = expires.is_some_and(|at| now >= at);
    let joining = match s.definition.membership {
        Membership::Joining { until } => Some(until).filter(|until| now < *until && !expired),
        Membership::Static => None,
    };
    let no_more = expired || tally.may_start == 0;
    if tally.open == 0 && no_more && (joining.is_none() || tally.is_capped) {
        return completed(s, &tally, expired);
    }
    let mut decisions = Decisions { next_look: tally.next_silence, ..Decisions::default() };
    if let Some(at) = expires.filter(|_| expired) {
        let (missed, work) = (tally.waiting, tally.at_work());
        let why = reason!(RunExpired, at = clock(s, at), missed = missed, work = work);
        decisions.waiting_for = vec![why];
        decisions.recall = tally.unbegun;
        return decisions;
    }
    look_at(&mut decisions, expires);
    look_at(&mut decisions, joining);
    if s.halted {
        decisions.waiting_for = vec![reason!(Halted, work = tally.at_work())];
        return decisions;
    }
    let held = pick::go_on(s, &mut tally, now, &mut decisions);
    go_further(s, tally, joining, now, &mut decisions);
    if decisions.transition.is_none() {
        decisions.waiting_for.extend(held);
    }
    decisions
}

/// Opens waves and starts hosts that have not begun.
fn go_further(
    s: &Snapshot,
    tally: Tally<'_>,
    joining: Option<Timestamp>,
    now: Timestamp,
    decisions: &mut Decisions,
) {
    if tally.may_start == 0 {
        let joins = joining.map(|until| reason!(MayJoin, at = clock(s, until)));
        let all = reason!(AllStarted, work = tally.at_work());
        decisions.waiting_for = [Some(all), joins].into_iter().flatten().collect();
        return;
    }
    match gate::look(s, &tally, now) {
        Gate::OpenNext => {
            decisions.open_wave = true;
            decisions.next_look = Some(now);
        }
        Gate::Holds => {
            decisions.gate_held = true;
            decisions.next_look = Some(now);
        }
        Gate::Lost => {
            decisions.gate_lost = true;
            decisions.next_look = Some(now);
        }
        Gate::Hopeless(why) => {
            let transition = Transition { to: CampaignState::Paused, why };
            *decisions = Decisions {
                transition: Some(transition),
                recall: tally.unbegun,
                ..Decisions::default()
            };
        }
        Gate::Soaks { until, why } => {
            look_at(decisions, Some(until));
            decisions.waiting_for = vec![why];
        }
        Gate::Awaits(why) => decisions.waiting_for = why,
        Gate::Fills { places } => pick::pick(s, &tally, places, now, decisions),
    }
}

fn completed(s: &Snapshot, tally: &Tally<'_>, expired: bool) -> Decisions {
    let ended = [
        Outcome::Fixed,
        Outcome::Unverified,
        Outcome::Failed,
        Outcome::RolledBack,
        Outcome::TimedOut,
        Outcome::Unknown,
        Outcome::NotApplicable,
        Outcome::Skipped,
        Outcome::Cancelled,
        Outcome::Excluded,
    ];
    let counted = Value::counts(&tally.all, &ended);
    let missed = tally.waiting;
    let why = match s.hosts.len() {
        _ if missed > 0 && expired => reason!(MissedExpired, hosts = counted, missed = missed),
        _ if missed > 0 => reason!(MissedMost, hosts = counted, missed = missed),
        0 => reason!(NoHosts),
        1 => reason!(OneEnded, hosts = counted),
        n => reason!(AllEnded, n = n, hosts = counted),
    };
    let to = if tally.campaign.all.is_empty() {
        CampaignState::Completed
    } else {
        CampaignState::CompletedWithErrors
    };
    Decisions { transition: Some(Transition { to, why }), ..Decisions::default() }
}

/// What is still at work.
fn at_work(outcomes: &super::counters::Counters) -> Reason {
    let of = [Outcome::Queued, Outcome::Running, Outcome::Silent, Outcome::Verifying];
    match Value::counts(outcomes, &of) {
        Value::Counts { counts } if counts.is_empty() => reason!(NothingAtWork),
        hosts => reason!(AtWork, hosts = hosts),
    }
}

/// Whether a host has a label.
fn has_label(host: &HostStanding, (key, value): &(String, String)) -> bool {
    host.labels.get(key) == Some(value)
}

/// Looks again at that moment, unless an earlier one is set.
fn look_at(decisions: &mut Decisions, at: Option<Timestamp>) {
    decisions.next_look = match (decisions.next_look, at) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// A moment by the campaign's own clock.
fn clock(s: &Snapshot, at: Timestamp) -> Value {
    let clock = match super::calendar::zone(s.definition.zone.name()) {
        Ok(zone) => super::calendar::clock_in(&zone, at),
        Err(_) => at.to_string(),
    };
    Value::Moment { at, clock }
}
