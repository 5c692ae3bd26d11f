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
use crate::time::Timestamp;

/// How often it looks whose clock comes first while a run is due, where hosts go by their own.
const ZONES_LOOK: std::time::Duration = std::time::Duration::from_hours(1);

/// Decides what happens next.
pub fn advance(s: &Snapshot, now: Timestamp) -> Decisions {
    match s.state {
        CampaignState::Draft => waiting("it is a draft: nobody has started it"),
        CampaignState::AwaitingApproval => waiting("a second person must approve it"),
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

fn waiting(why: impl Into<String>) -> Decisions {
    Decisions { waiting_for: Some(why.into()), ..Decisions::default() }
}

fn scheduled(s: &Snapshot, now: Timestamp) -> Decisions {
    match s.definition.next_start(s.state_since, s.hosts.iter().map(|h| &h.labels)) {
        Err(bad) => waiting(format!("its schedule cannot be read: {bad}")),
        Ok(None) => waiting("somebody must start it: it has no schedule"),
        Ok(Some(at)) if now < at => Decisions {
            next_look: Some(match s.definition.zone {
                // Hosts whose day begins sooner may be found meanwhile.
                Zone::Host { .. } => at.min(now.after(ZONES_LOOK)),
                Zone::Named(_) => at,
            }),
            waiting_for: Some(format!("it is scheduled for {}", clock(s, at))),
            ..Decisions::default()
        },
        Ok(Some(_)) if s.halted => waiting("the fleet is halted: no run begins"),
        Ok(Some(at)) => new_run(format!("its time came: {}", clock(s, at)), now),
    }
}

/// A recurring campaign runs again at its next time; what came while it ran is passed over.
fn over(s: &Snapshot, now: Timestamp) -> Decisions {
    if !matches!(s.definition.schedule, Schedule::Cron { .. } | Schedule::Monthly { .. }) {
        return Decisions::default();
    }
    scheduled(s, now)
}

fn new_run(why: String, now: Timestamp) -> Decisions {
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
    let waiting_for = transition
        .is_none()
        .then(|| format!("it is paused: somebody must resume or abort it; {}", tally.at_work()));
    let to = transition.as_ref().map_or(CampaignState::Paused, |transition| transition.to);
    let next_look = tally.next_silence;
    Decisions {
        transition,
        recall: tally.recall(to),
        next_look,
        waiting_for,
        ..Decisions::default()
    }
}

fn running(s: &Snapshot, now: Timestamp) -> Decisions {
    if s.started.is_none() {
        // Somebody started it by hand; its hosts are not selected yet.
        return if s.halted {
            waiting("the fleet is halted: no run begins")
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
        decisions.waiting_for = Some(format!(
            "the run expired {}: nothing more is begun, and {} hosts were not reached; {}",
            clock(s, at),
            tally.waiting,
            tally.at_work()
        ));
        decisions.recall = tally.unbegun;
        return decisions;
    }
    look_at(&mut decisions, expires);
    look_at(&mut decisions, joining);
    if s.halted {
        let why = format!("the fleet is halted: nothing begins; {}", tally.at_work());
        decisions.waiting_for = Some(why);
        return decisions;
    }
    let held = pick::go_on(s, &mut tally, now, &mut decisions);
    go_further(s, tally, joining, now, &mut decisions);
    if let (Some(held), None) = (held, &decisions.transition) {
        let why = decisions.waiting_for.take();
        decisions.waiting_for = Some(why.map_or(held.clone(), |why| format!("{why}; {held}")));
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
        let joins = joining.map(|until| format!("; hosts may join until {}", clock(s, until)));
        let why = format!("every host was started: {}", tally.at_work());
        decisions.waiting_for = Some(why + &joins.unwrap_or_default());
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
            decisions.waiting_for = Some(why);
        }
        Gate::Awaits(why) => decisions.waiting_for = Some(why),
        Gate::Fills { places } => pick::pick(s, &tally, places, now, decisions),
    }
}

fn completed(s: &Snapshot, tally: &Tally<'_>, expired: bool) -> Decisions {
    let counted = tally.all.in_words(&[
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
    ]);
    let mut why = match s.hosts.len() {
        0 => "no host was found for it".to_owned(),
        1 => format!("its host came to its end: {counted}"),
        n => format!("all {n} hosts came to their end: {counted}"),
    };
    if tally.waiting > 0 {
        let reason = if expired { "when the run expired" } else { "the most hosts were started" };
        let ended = if counted.is_empty() { "none" } else { counted.as_str() };
        why = format!("{ended}; {} not reached: {reason}", tally.waiting);
    }
    let to = if tally.campaign.all.is_empty() {
        CampaignState::Completed
    } else {
        CampaignState::CompletedWithErrors
    };
    Decisions { transition: Some(Transition { to, why }), ..Decisions::default() }
}

/// What is still at work, in words.
fn at_work(outcomes: super::counters::Counters) -> String {
    let words = outcomes.in_words(&[
        Outcome::Queued,
        Outcome::Running,
        Outcome::Silent,
        Outcome::Verifying,
    ]);
    if words.is_empty() { "nothing is at work".to_owned() } else { format!("at work: {words}") }
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
fn clock(s: &Snapshot, at: Timestamp) -> String {
    match super::calendar::zone(s.definition.zone.name()) {
        Ok(zone) => super::calendar::clock_in(&zone, at),
        Err(_) => at.to_string(),
    }
}
