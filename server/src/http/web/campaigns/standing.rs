//! How a campaign stands: its hosts by wave, how near its gate and its limits are.

use fleetmend_core::campaign::{Aim, CampaignState, Definition};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Campaign, CampaignCounts, HostGroup, Stands};

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
    started: u64,
    errors: u64,
    reached: u64,
    ended: u64,
    proved: u64,
}

/// How a campaign stands, from its counts: nothing here grows with its hosts.
pub(crate) fn standing(c: &Campaign, counts: &CampaignCounts, t: Words) -> Standing {
    let definition = &c.definition;
    let aim = Aim::of(definition, c.undoes.is_some());
    let mut whole = Count::default();
    let mut waves = vec![Count::default(); definition.waves.len()];
    for group in &counts.groups {
        whole.add(group, aim);
        if let Some(wave) = place(group).and_then(|at| waves.get_mut(at)) {
            wave.add(group, aim);
        }
    }
    let groups = groups(c, counts);
    Standing {
        bar: groups.bar(t),
        badges: groups.badges(t),
        gauges: gauges(definition, &whole, &waves, t),
        gate: gate(c, counts, &waves, t),
        waves: rows(c, counts, aim, t),
    }
}

/// All hosts by group.
pub(crate) fn groups(c: &Campaign, counts: &CampaignCounts) -> Groups {
    let aim = Aim::of(&c.definition, c.undoes.is_some());
    let mut groups = Groups::default();
    for group in &counts.groups {
        groups.add(Group::of(group.stands.outcome(), aim), group.hosts);
    }
    groups
}

/// The wave that hosts stand in; `None` where they wait for one, or wait again.
fn place(group: &HostGroup) -> Option<usize> {
    group.state?;
    usize::try_from(group.wave?).ok()
}

impl Count {
    fn add(&mut self, group: &HostGroup, aim: Aim) {
        let Some(state) = group.state else { return };
        let add = |count: &mut u64, counts: bool| *count += if counts { group.hosts } else { 0 };
        add(&mut self.started, group.begun);
        add(&mut self.reached, group.begun || state.has_answered());
        add(&mut self.ended, state.has_begun() && state.is_final());
        add(&mut self.errors, group.stands.outcome().is_error(aim));
        add(&mut self.proved, group.stands.outcome().is_success(aim));
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
fn gate(c: &Campaign, counts: &CampaignCounts, waves: &[Count], t: Words) -> Option<GateView> {
    let at = counts.waves.len().checked_sub(1)?;
    if at + 1 >= c.definition.waves.len() || c.state.is_final() {
        return None;
    }
    let (wave, gate) = (waves.get(at)?, &c.definition.gate);
    let wanted = (wave.reached * u64::from(gate.success_percent)).div_ceil(100);
    let proved = t.f2("camp.gate_now", t.num(wave.proved), t.n("camp.reached", wave.reached));
    let rule = t.f2(
        "camp.gate_wants",
        t.percent(f64::from(gate.success_percent) / 100.0),
        t.n("count.hosts", gate.least_sample),
    );
    let soak = counts.waves.get(at).and_then(|w| w.gate_held).map(|held| {
        let until = held.after(gate.soak.duration());
        t.f("camp.soaks", t.exact(until))
    });
    let said = [Some(format!("{proved}; {rule}")), soak].into_iter().flatten();
    Some(GateView {
        said: said.collect::<Vec<_>>().join("; "),
        bar: meter(wave.proved, wanted.max(1), &proved),
    })
}

fn rows(c: &Campaign, counts: &CampaignCounts, aim: Aim, t: Words) -> Vec<WaveRow> {
    let planned = &c.definition.waves;
    let mut of_waves = vec![Groups::default(); planned.len()];
    let (mut members, mut waiting, mut missed) = (0_u64, 0_u64, 0_u64);
    for group in &counts.groups {
        members += if group.stands == Stands::LeftOut { 0 } else { group.hosts };
        match (place(group).and_then(|at| of_waves.get_mut(at)), group.stands) {
            (Some(groups), stands) => {
                groups.add(Group::of(stands.outcome(), aim), group.hosts);
            }
            (None, Stands::Waiting) => waiting += group.hosts,
            (None, Stands::Job(JobState::NotReached)) => missed += group.hosts,
            (None, _) => {}
        }
    }
    let members = usize::try_from(members).unwrap_or(usize::MAX);
    let most = c.definition.max_hosts.map_or(usize::MAX, |most| most as usize);
    let last = planned.len().saturating_sub(1);
    let mut taken = 0_u64;
    let mut rows = Vec::new();
    for (at, (planned, mut groups)) in planned.iter().zip(of_waves).enumerate() {
        let opened = counts.waves.get(at);
        let is_done = at + 1 < counts.waves.len();
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
            state: state(c, counts, at),
            hosts: groups.sum(),
            bar: groups.bar(t),
            badges: groups.badges(t),
            opened: opened.map(|wave| wave.opened),
        });
    }
    rows
}

fn state(c: &Campaign, counts: &CampaignCounts, at: usize) -> WaveState {
    let is_last_opened = at + 1 == counts.waves.len();
    let finished = matches!(c.state, CampaignState::Completed | CampaignState::CompletedWithErrors);
    match counts.waves.get(at) {
        None => WaveState::Waiting,
        Some(_) if !is_last_opened || finished => WaveState::Done,
        Some(wave) if wave.gate_held.is_some() => WaveState::Soaking,
        Some(_) => WaveState::Open,
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_core::ids::CampaignId;
    use fleetmend_core::knowledge::Lang;
    use fleetmend_store::{HostCounts, WaveCounts};
    use uuid::Uuid;

    use super::*;

    const EN: Words = Words(Lang::En);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + minute * 60_000)
    }

    fn campaign(state: CampaignState) -> Campaign {
        Campaign {
            id: CampaignId::from(Uuid::from_u128(1)),
            definition: super::super::form::blank(),
            digest: String::new(),
            needs: Vec::new(),
            approved_by: None,
            state,
            state_since: at(0),
            state_by: String::new(),
            state_reason: String::new(),
            state_reasons: Vec::new(),
            created_by: String::new(),
            created: at(0),
            edited_by: String::new(),
            edited: at(0),
            run: 1,
            started_by: None,
            started: Some(at(0)),
            run_ended: None,
            expires: None,
            next_look: None,
            waiting_for: None,
            waiting_reasons: Vec::new(),
            undoes: None,
            hosts: 0,
            revision: 1,
        }
    }

    fn group(wave: Option<u32>, stands: Stands, hosts: u64) -> HostGroup {
        let state = match stands {
            Stands::Job(state) => Some(state).filter(|s| *s != JobState::NotReached),
            Stands::Silent => Some(JobState::Running),
            Stands::Waiting | Stands::LeftOut => None,
        };
        let begun = state.is_some_and(JobState::has_begun);
        HostGroup { wave, stands, state, begun, hosts, relapsed: 0 }
    }

    fn counts(groups: Vec<HostGroup>, opened: u32) -> CampaignCounts {
        let wave = |wave| WaveCounts {
            run: 1,
            wave,
            opened: at(0),
            gate_held: None,
            counts: HostCounts::default(),
        };
        let waves = (0..opened).map(wave).collect();
        CampaignCounts { run: 1, waves, groups, ..CampaignCounts::default() }
    }

    #[test]
    fn every_host_stands_in_one_wave_and_those_that_wait_fill_the_next_ones() {
        let groups = vec![
            group(None, Stands::Waiting, 96),
            // One whose job was taken back waits again, for whatever wave comes.
            group(Some(2), Stands::Waiting, 1),
            group(Some(0), Stands::Job(JobState::Fixed), 1),
            group(Some(2), Stands::Job(JobState::Running), 2),
        ];
        let standing = standing(&campaign(CampaignState::Running), &counts(groups, 3), EN);
        let rows: Vec<_> = standing.waves.iter().map(|w| (w.hosts, w.state.as_str())).collect();
        assert_eq!(rows, [(1, "done"), (0, "done"), (9, "open"), (90, "waiting")]);
        assert!(standing.waves[2].badges.contains("7 waiting"), "{}", standing.waves[2].badges);
        assert!(standing.gate.is_some());
        assert_eq!(standing.gauges.len(), 1, "only the strict default: abort above 5 %");
    }

    #[test]
    fn who_fell_silent_is_an_error_on_the_gauge_too() {
        let groups = vec![
            group(Some(0), Stands::Silent, 1),
            group(Some(0), Stands::Job(JobState::Fixed), 9),
        ];
        let standing = standing(&campaign(CampaignState::Running), &counts(groups, 1), EN);
        assert!(standing.badges.contains("1 error"), "{}", standing.badges);
        assert!(standing.gauges[0].crossed, "1 of 10 is more than 5 %");
    }

    #[test]
    fn what_was_never_reached_is_shown_in_the_waves_it_never_came_to() {
        let groups = vec![
            group(Some(0), Stands::Job(JobState::Failed), 1),
            group(None, Stands::Job(JobState::NotReached), 9),
        ];
        let standing = standing(&campaign(CampaignState::Aborted), &counts(groups, 1), EN);
        assert_eq!(standing.waves.iter().map(|w| w.hosts).sum::<u64>(), 10);
        assert!(standing.badges.contains("9 not reached"), "{}", standing.badges);
        assert!(standing.gauges[0].crossed);
        assert!(standing.gate.is_none(), "nothing opens any more");
    }
}
