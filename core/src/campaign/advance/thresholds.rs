//! When a campaign stops by itself: too many errors among the hosts that were started.

use super::tally::{Counted, Tally};
use crate::campaign::CampaignState;
use crate::campaign::share::ErrorLimit;
use crate::campaign::snapshot::{Snapshot, Transition};
use crate::reason;
use crate::reason::Reason;

/// Ends it for good. What a person accepted by resuming counts too.
pub(super) fn abort(s: &Snapshot, tally: &Tally<'_>) -> Option<Transition> {
    let limits = &s.definition.thresholds;
    let crossed = crossed(limits.abort, "abort", &tally.campaign.all, tally.campaign.started)
        .or_else(|| {
            in_waves(tally, |wave| {
                let errors = &wave.errors;
                crossed(limits.abort_in_wave, "abort_in_wave", &errors.all, errors.started)
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
                crossed(limits.pause_in_wave, "pause_in_wave", &errors.fresh, errors.started)
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
    let wave = first.wave.map_or(0, |wave| wave + 1);
    let (host, limit, more) = (first.host.to_string(), limit.to_string(), hosts - 1);
    let why = match (first.relapsed.is_some(), more) {
        (true, 0) => {
            reason!(
                Relapsed,
                wave = wave,
                host = host,
                hosts = hosts,
                started = started,
                limit = limit
            )
        }
        (true, more) => reason!(
            RelapsedMore,
            wave = wave,
            host = host,
            more = more,
            hosts = hosts,
            started = started,
            limit = limit
        ),
        (false, 0) => {
            reason!(
                Regressed,
                wave = wave,
                host = host,
                hosts = hosts,
                started = started,
                limit = limit
            )
        }
        (false, more) => reason!(
            RegressedMore,
            wave = wave,
            host = host,
            more = more,
            hosts = hosts,
            started = started,
            limit = limit
        ),
    };
    Some(Transition { to: CampaignState::Paused, why })
}

fn in_waves<'t>(
    tally: &'t Tally<'_>,
    judge: impl Fn(&'t super::tally::Wave) -> Option<Reason>,
) -> Option<Reason> {
    let judged = tally.waves.iter().enumerate().find_map(|(at, wave)| Some((at, judge(wave)?)));
    judged.map(|(at, why)| reason!(InWave, wave = at + 1, crossed = why))
}

fn crossed(limit: ErrorLimit, name: &str, errors: &Counted, started: usize) -> Option<Reason> {
    limit.is_crossed(errors.sum(), started).then(|| {
        reason!(
            Crossed,
            errors = errors.sum(),
            started = started,
            hosts = errors.told(),
            limit = limit.to_string(),
            threshold = name,
        )
    })
}
