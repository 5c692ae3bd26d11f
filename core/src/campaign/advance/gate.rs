//! What must hold before the next wave begins.

use super::tally::{Tally, Wave};
use super::{clock, has_label};
use crate::campaign::Outcome;
use crate::campaign::snapshot::{HostStanding, Snapshot};
use crate::reason;
use crate::reason::{Reason, Value};
use crate::time::Timestamp;

/// What the gate of the last opened wave says.
pub(super) enum Gate {
    /// The next wave is to be opened.
    OpenNext,
    /// It holds from now on.
    Holds,
    /// It held, and does no longer.
    Lost,
    /// It held a while ago, and the soak is not over.
    Soaks {
        /// When it is over.
        until: Timestamp,
        /// Why nothing more is started until then.
        why: Reason,
    },
    /// It can never hold: a person decides.
    Hopeless(Reason),
    /// Results are awaited.
    Awaits(Vec<Reason>),
    /// The wave still has places.
    Fills {
        /// How many.
        places: usize,
    },
}

pub(super) fn look(s: &Snapshot, tally: &Tally<'_>, now: Timestamp) -> Gate {
    let Some((at, wave)) = last(s, tally) else { return Gate::OpenNext };
    let planned = &s.definition.waves[at];
    let is_last = at + 1 >= s.definition.waves.len();
    let places = places(s, tally, at).saturating_sub(tally.placed);
    let held = s.waves[at].gate_held.filter(|_| !is_last);
    if held.is_some() && wave.touched == 0 {
        // All whose results held it were taken back for another try: it is theirs to hold anew.
        return Gate::Lost;
    }
    let candidates = match &planned.label {
        Some(label) => {
            // Canaries that are off hold the rest only until enough of them were started.
            let is_enough = wave.placed >= least_of(s, wave.placed + places);
            let may_come = |h: &&HostStanding| h.waits() && has_label(h, label);
            s.hosts.iter().filter(may_come).filter(|h| h.reachable || !is_enough).count()
        }
        None => tally.waiting,
    };
    if held.is_none() && places > 0 && candidates > 0 {
        return Gate::Fills { places };
    }
    let number = at + 1;
    if is_last {
        // Nobody waits that it could take: what is left may not start.
        return Gate::Awaits(vec![reason!(NoPlaceLeft, wave = number, work = tally.at_work())]);
    }
    if wave.touched == 0 {
        return empty(s, number, planned.label.as_ref());
    }
    let needed = least_of(s, wave.placed);
    let percent = usize::from(s.definition.gate.success_percent);
    // What a person accepted does not count against it.
    let counted = wave.reached - wave.accepted;
    let by_person = wave.reached == 0 && was_resumed_after(s, wave);
    let holds = by_person
        || (wave.ended >= needed && wave.proved * 100 >= counted * percent && wave.reached > 0);
    match (holds, held) {
        (true, None) => Gate::Holds,
        (false, Some(_)) => Gate::Lost,
        (true, Some(since)) => {
            let until = since.after(s.definition.gate.soak.duration());
            if now >= until {
                return Gate::OpenNext;
            }
            let why = reason!(
                Soaks,
                wave = number,
                waves = s.definition.waves.len(),
                proved = wave.proved,
                reached = wave.reached,
                at = clock(s, until),
            );
            Gate::Soaks { until, why }
        }
        (false, None) if wave.open == 0 => Gate::Hopeless(reason!(
            GateHopeless,
            wave = number,
            proved = wave.proved,
            reached = wave.reached,
            percent = percent,
            least = needed,
            hosts = Value::counts(&wave.outcomes, Outcome::ALL),
        )),
        (false, None) => Gate::Awaits(vec![reason!(
            GateWaits,
            wave = number,
            waves = s.definition.waves.len(),
            percent = percent,
            least = needed,
            proved = wave.proved,
            reached = wave.reached,
            ended = wave.ended,
            hosts = Value::counts(&wave.outcomes, Outcome::ALL),
        )]),
    }
}

/// A wave in which nobody was started: by rounding it has no place of its own, or nobody has its
/// label.
fn empty(s: &Snapshot, number: usize, label: Option<&(String, String)>) -> Gate {
    match label {
        Some(label) if !s.hosts.iter().any(|h| !h.excluded && has_label(h, label)) => {
            let label = format!("{}={}", label.0, label.1);
            Gate::Awaits(vec![reason!(NobodyHasLabel, wave = number, label = label)])
        }
        _ => Gate::OpenNext,
    }
}

/// How many hosts of a wave with so many must have ended, or for a label have been started.
fn least_of(s: &Snapshot, hosts: usize) -> usize {
    hosts.min(s.definition.gate.least_sample as usize).max(1)
}

/// The last opened wave.
fn last<'t>(s: &Snapshot, tally: &'t Tally<'_>) -> Option<(usize, &'t Wave)> {
    let at = s.waves.len().min(s.definition.waves.len()).checked_sub(1)?;
    Some((at, &tally.waves[at]))
}

/// The places of a wave and those before it. A wave for a label has at least one of its own: a
/// canary is never lost by rounding.
fn places(s: &Snapshot, tally: &Tally<'_>, at: usize) -> usize {
    let planned = &s.definition.waves[at];
    let most = s.definition.max_hosts.map_or(usize::MAX, |most| most as usize);
    let share = planned.share.of(tally.members.min(most));
    let before = tally.placed - tally.waves[at].placed;
    if planned.label.is_some() { share.max(before + 1) } else { share }
}

/// Whether a person resumed it after all of a wave's hosts had ended.
fn was_resumed_after(s: &Snapshot, wave: &Wave) -> bool {
    let resumed = s.started.is_some_and(|started| s.state_since > started);
    resumed && wave.open == 0 && wave.last_end.is_none_or(|end| end <= s.state_since)
}
