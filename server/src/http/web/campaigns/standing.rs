//! How a campaign stands: its hosts by wave, how near its gate and its limits are.

use fleetmend_core::campaign::{
    CampaignState, Counters, Definition, Outcome, Remedy, Snapshot, WaveStanding,
};
use fleetmend_core::time::Timestamp;

use super::bars::{Gauge, Group, Groups, gauge, meter};
use super::words;
use crate::http::web::i18n::Words;

/// Where a wave stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaveState {
    /// Its gate held, and the next one was opened.
    Done,
    /// Its gate held; the soak is not over.
    Soaking,
    /// Its hosts are worked on.
    Open,
    /// Not opened yet.
    Waiting,
}

impl WaveState {
    /// Its word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Soaking => "soaking",
            Self::Open => "open",
            Self::Waiting => "waiting",
        }
    }
}

/// One wave.
#[derive(Debug)]
pub(crate) struct WaveRow {
    /// From 1.
    pub(crate) number: usize,
    /// Its cumulative share.
    pub(crate) share: String,
    /// The label of its hosts; empty where it is for all.
    pub(crate) label: String,
    /// Where it stands.
    pub(crate) state: WaveState,
    /// Hosts of its own.
    pub(crate) hosts: u64,
    /// The bar.
    pub(crate) bar: String,
    /// The groups with their counts.
    pub(crate) badges: String,
    /// When it was opened.
    pub(crate) opened: Option<Timestamp>,
}

/// How near the gate of the open wave is.
#[derive(Debug)]
pub(crate) struct GateView {
    /// How it stands, in words.
    pub(crate) said: String,
    /// The drawing.
    pub(crate) bar: String,
}

/// How all of it stands.
#[derive(Debug)]
pub(crate) struct Standing {
    /// All hosts as one bar.
    pub(crate) bar: String,
    /// The groups with their counts.
    pub(crate) badges: String,
    /// Its waves.
    pub(crate) waves: Vec<WaveRow>,
    /// The gate of the open wave; `None` where there is none.
    pub(crate) gate: Option<GateView>,
    /// How near the limits are.
    pub(crate) gauges: Vec<Gauge>,
}

/// What is counted of a wave, or of the whole.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    counters: Counters,
    started: u64,
    errors: u64,
    reached: u64,
    ended: u64,
    proved: u64,
}

/// How a campaign stands.
pub(crate) fn standing(s: &Snapshot, now: Timestamp, t: Words) -> Standing {
    let definition = &s.definition;
    let verify_only = definition.remedy == Remedy::VerifyOnly;
    let over = s.state.is_final();
    let mut whole = Count::default();
    let mut waves = vec![Count::default(); definition.waves.len()];
    let mut without_wave = Counters::default();
    for host in &s.hosts {
        let outcome = host.outcome(over, now);
        let state = host.job_state.filter(|_| !host.waits());
        let add = |count: &mut Count| {
            count.counters.add(outcome);
            let Some(state) = state else { return };
            let proved = state == fleetmend_core::job::JobState::Fixed
                || (verify_only && state == fleetmend_core::job::JobState::Failed);
            count.started += u64::from(state.has_begun());
            count.reached +=
                u64::from(state.has_begun() || state == fleetmend_core::job::JobState::Blocked);
            count.ended += u64::from(state.has_begun() && state.is_final());
            count.errors += u64::from(outcome.is_error(verify_only));
            count.proved += u64::from(proved);
        };
        add(&mut whole);
        let index = host.wave.filter(|_| !host.waits()).and_then(|at| usize::try_from(at).ok());
        match index.and_then(|at| waves.get_mut(at)) {
            Some(wave) => add(wave),
            None => without_wave.add(outcome),
        }
    }
    let groups = Groups::of(&whole.counters, verify_only);
    Standing {
        bar: groups.bar(t),
        badges: groups.badges(t),
        gauges: gauges(definition, &whole, &waves, t),
        gate: gate(s, &waves, t),
        waves: rows(s, &waves, without_wave, verify_only, t),
    }
}

fn gauges(d: &Definition, whole: &Count, waves: &[Count], t: Words) -> Vec<Gauge> {
    let limits = &d.thresholds;
    // The wave that is nearest to its limit speaks for all.
    let worst = waves.iter().max_by(|a, b| {
        let rate = |c: &Count| c.errors * 1_000 / c.started.max(1);
        rate(a).cmp(&rate(b))
    });
    let worst = worst.map_or((0, 0), |wave| (wave.errors, wave.started));
    let all = (whole.errors, whole.started);
    [
        ("camp.pauses", limits.pause, all),
        ("camp.pauses_wave", limits.pause_in_wave, worst),
        ("camp.aborts", limits.abort, all),
        ("camp.aborts_wave", limits.abort_in_wave, worst),
    ]
    .into_iter()
    .filter_map(|(key, limit, counts)| gauge(key, limit, counts, t))
    .collect()
}

/// The gate of the last opened wave. The last wave of all has none.
fn gate(s: &Snapshot, waves: &[Count], t: Words) -> Option<GateView> {
    let at = s.waves.len().checked_sub(1)?;
    if at + 1 >= s.definition.waves.len() || s.state.is_final() {
        return None;
    }
    let (wave, gate) = (waves.get(at)?, &s.definition.gate);
    let wanted = (wave.reached * u64::from(gate.success_percent)).div_ceil(100);
    let proved = t.f2("camp.gate_now", t.num(wave.proved), t.n("camp.reached", wave.reached));
    let rule = t.f2(
        "camp.gate_wants",
        t.percent(f64::from(gate.success_percent) / 100.0),
        t.n("count.hosts", gate.least_sample),
    );
    let soak = s.waves.get(at).and_then(|w| w.gate_held).map(|held| {
        let until = held.after(gate.soak.duration());
        t.f("camp.soaks", t.exact(until))
    });
    let said = [Some(format!("{proved}; {rule}")), soak].into_iter().flatten();
    Some(GateView {
        said: said.collect::<Vec<_>>().join("; "),
        bar: meter(wave.proved, wanted.max(1), &proved),
    })
}

fn rows(
    s: &Snapshot,
    waves: &[Count],
    without_wave: Counters,
    verify_only: bool,
    t: Words,
) -> Vec<WaveRow> {
    let members = s.hosts.iter().filter(|host| !host.excluded || host.job.is_some()).count();
    let most = s.definition.max_hosts.map_or(usize::MAX, |most| most as usize);
    let mut waiting = u64::from(without_wave.get(Outcome::Waiting));
    let mut missed = u64::from(without_wave.get(Outcome::NotReached));
    let last = s.definition.waves.len().saturating_sub(1);
    let mut taken = 0_u64;
    let mut rows = Vec::new();
    for (at, (planned, count)) in s.definition.waves.iter().zip(waves).enumerate() {
        let opened = s.waves.get(at);
        let mut groups = Groups::of(&count.counters, verify_only);
        let is_done = at + 1 < s.waves.len();
        // What has no wave yet will come into those that are still to be filled, in order.
        let places = planned.share.of(members.min(most)) as u64;
        let free = if is_done { 0 } else { places.saturating_sub(taken + groups.sum()) };
        let room = if at == last { u64::MAX } else { free };
        for (pool, group) in [(&mut waiting, Group::Waiting), (&mut missed, Group::NotReached)] {
            let here = (*pool).min(room);
            *pool -= here;
            groups.add(group, here);
        }
        taken += groups.sum();
        rows.push(WaveRow {
            number: at + 1,
            share: words::share(planned.share, t),
            label: planned
                .label
                .as_ref()
                .map(|(key, value)| format!("{key}={value}"))
                .unwrap_or_default(),
            state: state(s, at, opened),
            hosts: groups.sum(),
            bar: groups.bar(t),
            badges: groups.badges(t),
            opened: opened.map(|wave| wave.opened),
        });
    }
    rows
}

fn state(s: &Snapshot, at: usize, opened: Option<&WaveStanding>) -> WaveState {
    let is_last_opened = at + 1 == s.waves.len();
    let finished = matches!(s.state, CampaignState::Completed | CampaignState::CompletedWithErrors);
    match opened {
        None => WaveState::Waiting,
        Some(_) if !is_last_opened || finished => WaveState::Done,
        Some(wave) if wave.gate_held.is_some() => WaveState::Soaking,
        Some(_) => WaveState::Open,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fleetmend_core::campaign::HostStanding;
    use fleetmend_core::host::Labels;
    use fleetmend_core::ids::{HostId, JobId};
    use fleetmend_core::job::JobState;
    use fleetmend_core::knowledge::Lang;
    use uuid::Uuid;

    use super::*;

    const EN: Words = Words(Lang::En);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + minute * 60_000)
    }

    fn host(n: u128, wave: Option<u32>, state: Option<JobState>) -> HostStanding {
        HostStanding {
            host: HostId::from(Uuid::from_u128(n)),
            labels: Labels::new(),
            reachable: true,
            last_seen: at(0),
            busy: false,
            network: false,
            wave,
            job: state.map(|_| JobId::from(Uuid::from_u128(n))),
            job_state: state,
            state_since: Some(at(0)),
            begun: None,
            ended: None,
            recalled: false,
            relapsed: None,
            regressed: None,
            excluded: false,
        }
    }

    fn snapshot(hosts: Vec<HostStanding>, opened: usize) -> Snapshot {
        let wave = WaveStanding { opened: at(0), gate_held: None };
        Snapshot {
            definition: super::super::form::blank(),
            state: CampaignState::Running,
            state_since: at(0),
            started: Some(at(0)),
            halted: false,
            freezes: Vec::new(),
            waves: vec![wave; opened],
            hosts,
            started_last_minute: 0,
            groups_busy: BTreeSet::new(),
            sites_busy: BTreeMap::new(),
        }
    }

    #[test]
    fn every_host_stands_in_one_wave_and_those_that_wait_fill_the_next_ones() {
        let mut hosts = vec![host(0, Some(0), Some(JobState::Fixed))];
        hosts.extend((1..3).map(|n| host(n, Some(2), Some(JobState::Running))));
        hosts.extend((3..100).map(|n| host(n, None, None)));
        let standing = standing(&snapshot(hosts, 3), at(1), EN);
        let rows: Vec<_> = standing.waves.iter().map(|w| (w.hosts, w.state.as_str())).collect();
        assert_eq!(rows, [(1, "done"), (0, "done"), (9, "open"), (90, "waiting")]);
        assert!(standing.waves[2].badges.contains("7 waiting"), "{}", standing.waves[2].badges);
        assert!(standing.gate.is_some());
        assert_eq!(standing.gauges.len(), 1, "only the strict default: abort above 5 %");
    }

    #[test]
    fn what_was_never_reached_is_shown_in_the_waves_it_never_came_to() {
        let mut hosts = vec![host(0, Some(0), Some(JobState::Failed))];
        hosts.extend((1..10).map(|n| host(n, None, None)));
        let mut s = snapshot(hosts, 1);
        s.state = CampaignState::Aborted;
        let standing = standing(&s, at(1), EN);
        assert_eq!(standing.waves.iter().map(|w| w.hosts).sum::<u64>(), 10);
        assert!(standing.badges.contains("9 not reached"), "{}", standing.badges);
        assert!(standing.gauges[0].crossed);
        assert!(standing.gate.is_none(), "nothing opens any more");
    }
}
