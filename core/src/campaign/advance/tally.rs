//! One pass over the hosts: everything that the rules count.

use std::collections::{BTreeMap, HashSet};

use crate::campaign::CampaignState;
use crate::campaign::counters::{Counters, Outcome};
use crate::campaign::snapshot::{HostStanding, Snapshot};
use crate::ids::{HostId, JobId};
use crate::job::JobState;
use crate::limits;
use crate::reason::{Reason, Value};
use crate::time::Timestamp;

/// What was counted.
pub(super) struct Tally<'s> {
    /// Every host.
    pub all: Counters,
    /// Hosts that are not left out: what shares are shares of.
    pub members: usize,
    /// Hosts without a job that could still have one.
    pub waiting: usize,
    /// How many of those may still be started under `max_hosts`.
    pub may_start: usize,
    /// Whether `max_hosts` were started.
    pub is_capped: bool,
    /// Jobs that are not over.
    pub open: usize,
    /// Jobs that take up a place in flight: neither over nor waiting for proof or their next try alone.
    pub in_flight: usize,
    /// Jobs that wait between two tries.
    pub next_tries: Vec<&'s HostStanding>,
    /// Hosts that hold a place of a wave: at work, or ended with a result.
    pub placed: usize,
    /// The whole campaign.
    pub campaign: Errors,
    /// Hosts on which the failure came back, or another appeared, since the last resume.
    pub relapsed: Vec<&'s HostStanding>,
    /// By wave.
    pub waves: Vec<Wave>,
    /// Jobs that no agent has begun and that were not recalled yet.
    pub unbegun: Vec<JobId>,
    /// Jobs whose last try is over and that wait for another, which no agent has begun.
    pub between: Vec<JobId>,
    /// Values of the group label that have a job in flight.
    pub groups: HashSet<&'s str>,
    /// Values of the group label, with the hosts that may be down after their job.
    pub down: BTreeMap<&'s str, Vec<HostId>>,
    /// Jobs in flight, by site.
    pub at_sites: BTreeMap<&'s str, u32>,
    /// Jobs in flight that cost the network, by site.
    pub sites: BTreeMap<&'s str, u32>,
    /// When the next host would count as silent.
    pub next_silence: Option<Timestamp>,
    /// What is still at work.
    pub at_work: Counters,
}

/// Errors among the hosts that were started.
#[derive(Default)]
pub(super) struct Errors {
    /// Hosts on which the agent began.
    pub started: usize,
    /// Those in error.
    pub all: Counted,
    /// Those in error since somebody resumed the campaign last.
    pub fresh: Counted,
}

/// Outcomes and their number.
#[derive(Default)]
pub(super) struct Counted(Counters);

/// One wave's hosts.
#[derive(Default)]
pub(super) struct Wave {
    /// Errors among those that were started.
    pub errors: Errors,
    /// Hosts that have, or had, a job in it.
    pub touched: usize,
    /// Hosts that hold a place in it.
    pub placed: usize,
    /// Hosts that answered, and whose outcome speaks of the remediation.
    pub reached: usize,
    /// Those that came to such an outcome.
    pub ended: usize,
    /// Those that are proved.
    pub proved: usize,
    /// Those that are not, and that a person accepted by resuming.
    pub accepted: usize,
    /// Jobs that are not over.
    pub open: usize,
    /// When its last job ended.
    pub last_end: Option<Timestamp>,
    /// How they stand.
    pub outcomes: Counters,
}

impl Counted {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.0.add(outcome);
    }

    pub(super) fn sum(&self) -> usize {
        self.0.sum() as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sum() == 0
    }

    pub(super) fn told(&self) -> Value {
        Value::counts(&self.0, Outcome::ALL)
    }
}

impl<'s> Tally<'s> {
    pub(super) fn of(s: &'s Snapshot, now: Timestamp) -> Self {
        let mut tally = Self {
            all: Counters::default(),
            members: 0,
            waiting: 0,
            may_start: 0,
            is_capped: false,
            open: 0,
            in_flight: 0,
            next_tries: Vec::new(),
            placed: 0,
            campaign: Errors::default(),
            relapsed: Vec::new(),
            waves: s.waves.iter().map(|_| Wave::default()).collect(),
            unbegun: Vec::new(),
            between: Vec::new(),
            groups: s.groups_busy.iter().map(String::as_str).collect(),
            down: BTreeMap::new(),
            at_sites: s.sites_at_work.iter().map(|(site, jobs)| (site.as_str(), *jobs)).collect(),
            sites: s.sites_busy.iter().map(|(site, jobs)| (site.as_str(), *jobs)).collect(),
            next_silence: None,
            at_work: Counters::default(),
        };
        let resumed = s.started.filter(|at| s.state_since > *at).map(|_| s.state_since);
        for (group, hosts) in &s.groups_down {
            let news = hosts.iter().filter(|(_, since)| resumed.is_none_or(|at| **since > at));
            tally.down.entry(group).or_default().extend(news.map(|(host, _)| *host));
        }
        let mut had_job = 0;
        for host in &s.hosts {
            tally.members += usize::from(!host.excluded || host.job.is_some());
            had_job += usize::from(host.job.is_some());
            tally.add(s, host, resumed, now);
        }
        let most = s.definition.max_hosts.map_or(usize::MAX, |most| most as usize);
        // A host whose first job never began has its place among them already.
        let again = s.hosts.iter().filter(|h| h.job.is_some() && h.waits()).count();
        tally.is_capped = had_job >= most;
        tally.may_start = tally.waiting.min(most.saturating_sub(had_job - again));
        tally
    }

    /// What a campaign takes back that comes to this state. One that is aborted tries nothing more on any
    /// host; a paused one holds further tries, for somebody may resume it.
    pub(super) fn recall(self, to: CampaignState) -> Vec<JobId> {
        let Self { mut unbegun, between, .. } = self;
        if to == CampaignState::Aborted {
            unbegun.extend(between);
        }
        unbegun
    }

    /// What is still at work.
    pub(super) fn at_work(&self) -> Reason {
        super::at_work(&self.at_work)
    }

    fn add(
        &mut self,
        s: &Snapshot,
        host: &'s HostStanding,
        resumed: Option<Timestamp>,
        now: Timestamp,
    ) {
        let outcome = host.outcome(false, now);
        self.all.add(outcome);
        let Some(state) = host.state().filter(|_| !host.waits()) else {
            self.waiting += usize::from(host.waits());
            return;
        };
        let is_open = !state.is_final();
        if is_open {
            self.open += 1;
            self.at_work.add(outcome);
        }
        if is_open && host.between.is_some() {
            self.next_tries.push(host);
        } else if is_open && state != JobState::Verifying {
            self.fly(s, host);
        }
        if is_open && !host.has_begun() && !host.recalled {
            self.unbegun.extend(host.job);
        }
        if state == JobState::Queued && host.has_begun() && !host.recalled {
            self.between.extend(host.job);
        }
        if let Some(due) = host.silence_due().filter(|due| *due > now || host.reachable) {
            // One that is there is not silent; it may go at any time.
            let look = if due > now { due } else { now.after(limits::SILENT_AFTER) };
            self.next_silence = Some(self.next_silence.map_or(look, |at| at.min(look)));
        }
        let holds_place = is_open || has_result(state);
        self.placed += usize::from(holds_place);

        // When it came to be as it is: what was so before a resume is accepted.
        let at = host.silent_since(now).or(host.ended).or(host.state_since);
        let known = matches!((at, resumed), (Some(at), Some(resumed)) if at <= resumed);
        let is_error = outcome.is_error(s.aim);
        let is_away = host.away_since(now).is_some_and(|at| resumed.is_none_or(|seen| at > seen));
        // What was put back is as it was before; what ended otherwise in error may not work any more.
        let is_broken = is_error && !known && state != JobState::RolledBack;
        if (is_broken || is_away) && !host.excluded && host.has_begun() {
            let label = s.definition.pace.group_label.as_ref();
            if let Some(group) = label.and_then(|label| host.labels.get(label)) {
                self.down.entry(group).or_default().push(host.host);
            }
        }
        let news = [host.relapsed, host.regressed];
        let is_news = |at: &Timestamp| resumed.is_none_or(|resumed| *at > resumed);
        if host.has_begun() && news.iter().flatten().any(is_news) {
            self.relapsed.push(host);
        }
        let count = |errors: &mut Errors| {
            errors.started += usize::from(host.has_begun());
            if is_error {
                errors.all.add(outcome);
            }
            if is_error && !known {
                errors.fresh.add(outcome);
            }
        };
        count(&mut self.campaign);
        let index = host.wave.and_then(|wave| usize::try_from(wave).ok());
        let Some(wave) = index.and_then(|at| self.waves.get_mut(at)) else { return };
        count(&mut wave.errors);
        wave.touched += 1;
        wave.outcomes.add(outcome);
        wave.open += usize::from(is_open);
        wave.placed += usize::from(holds_place);
        wave.last_end = wave.last_end.max(host.ended);
        let is_proved = outcome.is_success(s.aim);
        let has_answered = state.has_answered() || host.has_begun();
        wave.reached += usize::from(has_answered);
        wave.ended += usize::from(has_result(state));
        wave.proved += usize::from(is_proved);
        wave.accepted += usize::from(has_result(state) && !is_proved && known);
    }

    /// Takes up a place in flight, in its group and in its site.
    pub(super) fn fly(&mut self, s: &Snapshot, host: &'s HostStanding) {
        self.in_flight += 1;
        *self.at_sites.entry(site_of(s, host)).or_default() += 1;
        let pace = &s.definition.pace;
        if let Some(group) = pace.group_label.as_ref().and_then(|label| host.labels.get(label)) {
            self.groups.insert(group);
        }
        if host.network {
            *self.sites.entry(site_of(s, host)).or_default() += 1;
        }
    }
}

/// The site of a host; those without the label are one site together.
pub(super) fn site_of<'s>(s: &Snapshot, host: &'s HostStanding) -> &'s str {
    host.labels.get(&s.definition.pace.site_label).map_or("", String::as_str)
}

/// Whether a job ended with something to say of the remediation.
const fn has_result(state: JobState) -> bool {
    state.is_final() && state.has_begun()
}
