//! When a campaign stops by itself: too many errors among the hosts that were started.

use super::tally::{Counted, Tally};
use crate::campaign::CampaignState;
use crate::campaign::share::ErrorLimit;
use crate::campaign::snapshot::{Snapshot, Transition};

/// Ends it for good. What a person accepted by resuming counts too.
pub(super) fn abort(s: &Snapshot, tally: &Tally<'_>) -> Option<Transition> {
    let limits = &s.definition.thresholds;
    let crossed = crossed(limits.abort, "abort", &tally.campaign.all, tally.campaign.started)
        .or_else(|| {
            in_waves(tally, |wave| {
                let errors = &wave.errors;
                crossed(limits.abort_in_wave, "abort in wave", &errors.all, errors.started)
            })
        });
    crossed.map(|why| Transition { to: CampaignState::Aborted, why })
}

/// Pauses it. Errors from before the last resume were accepted by the one who resumed.
pub(super) fn pause(s: &Snapshot, tally: &Tally<'_>) -> Option<Transition> {
    let limits = &s.definition.thresholds;
    let crossed = crossed(limits.pause, "pause", &tally.campaign.fresh, tally.campaign.started)
        .or_else(|| {
            in_waves(tally, |wave| {
                let errors = &wave.errors;
                crossed(limits.pause_in_wave, "pause in wave", &errors.fresh, errors.started)
            })
        });
    crossed.map(|why| Transition { to: CampaignState::Paused, why })
}

/// Pauses it: hosts on which the failure came back, or another appeared, in whatever wave. What was so
/// before the last resume was accepted.
pub(super) fn regressions(s: &Snapshot, tally: &Tally<'_>) -> Option<Transition> {
    let limit = s.definition.thresholds.regressions;
    let (hosts, started) = (tally.relapsed.len(), tally.campaign.started);
    let first = tally.relapsed.first().filter(|_| limit.is_crossed(hosts, started))?;
    let what = if first.relapsed.is_some() {
        "the failure came back after its fix"
    } else {
        "another failure appeared after its job began"
    };
    let others = match hosts - 1 {
        0 => String::new(),
        more => format!(", and the like on {more} more"),
    };
    let wave = first.wave.map_or(0, |wave| wave + 1);
    let why = format!(
        "wave {wave}: on host {} {what}{others}: {hosts} of {started} hosts started, more than the \
         {limit} of \"regressions\"",
        first.host
    );
    Some(Transition { to: CampaignState::Paused, why })
}

fn in_waves<'t>(
    tally: &'t Tally<'_>,
    judge: impl Fn(&'t super::tally::Wave) -> Option<String>,
) -> Option<String> {
    let judged = tally.waves.iter().enumerate().find_map(|(at, wave)| Some((at, judge(wave)?)));
    judged.map(|(at, why)| format!("wave {}: {why}", at + 1))
}

fn crossed(limit: ErrorLimit, name: &str, errors: &Counted, started: usize) -> Option<String> {
    limit.is_crossed(errors.sum(), started).then(|| {
        format!(
            "{} of {started} hosts started are in error ({}): more than the {limit} of \"{name}\"",
            errors.sum(),
            errors.in_words()
        )
    })
}
