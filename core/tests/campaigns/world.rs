//! A small world: hosts with a fate each, a clock that jumps to the next thing that happens, and what a
//! store does with decisions. Nothing here decides anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use fleetmend_core::campaign::{
    Aim, Between, CampaignState, Counters, Decisions, Definition, HostStanding, Outcome, Snapshot,
    WaveStanding, advance, retry,
};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;
use serde_json::{Value, json};

/// Looks at one moment before a world is called restless.
const LOOKS: usize = 64;

/// What becomes of a job on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It ends so: at once where it has not begun, after its minutes where it has.
    Ends(JobState),
    /// It begins, and nothing is heard of the host any more.
    Silent,
    /// The first try seems to go well, and its proof refutes it; the second cures, and costs the network.
    Second,
}

/// A host of the world.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) fate: Fate,
    /// Minutes of work.
    pub(crate) work: i64,
    /// Minutes from its proof to a relapse.
    pub(crate) relapse: Option<i64>,
    /// Minutes from its end to another failure.
    pub(crate) regress: Option<i64>,
    /// Minutes in which it is off.
    pub(crate) off: Vec<Range<i64>>,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) network: bool,
    /// Whether its first try is over.
    pub(crate) tried: bool,
}

impl Host {
    pub(crate) fn new(fate: Fate) -> Self {
        let labels = Vec::new();
        Self {
            fate,
            work: 10,
            relapse: None,
            regress: None,
            off: Vec::new(),
            labels,
            network: false,
            tried: false,
        }
    }

    pub(crate) fn good() -> Self {
        Self::new(Fate::Ends(JobState::Fixed))
    }

    pub(crate) fn bad() -> Self {
        Self::new(Fate::Ends(JobState::Failed))
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.labels.push((key, value.to_string()));
        self
    }

    pub(crate) fn off(mut self, minutes: Range<i64>) -> Self {
        self.off.push(minutes);
        self
    }
}

/// What a person does at some minute.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Halt(bool),
    Pause,
    Resume,
    Retry,
    Joins(Vec<Host>),
    /// From now on the hosts have these fates.
    Mends(Fate),
}

pub(crate) struct World {
    pub(crate) s: Snapshot,
    pub(crate) now: Timestamp,
    began: Timestamp,
    hosts: Vec<Host>,
    deeds: BTreeMap<i64, Vec<Deed>>,
    jobs: u128,
    log: String,
    said: String,
}

/// A definition: strict defaults, and what a campaign of the tests changes.
pub(crate) fn definition(changes: &Value) -> Definition {
    let mut value = json!({
        "name": "Interrupted dpkg",
        "reason": "updates fail",
        "selector": { "cause": "apt.dpkg_interrupted" },
    });
    let fields = value.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    serde_json::from_value(value).expect("a definition")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn minutes(count: i64) -> Duration {
    Duration::from_mins(count.unsigned_abs())
}

impl World {
    /// Hosts of one campaign, running since `start`.
    pub(crate) fn new(start: &str, changes: &Value, hosts: Vec<Host>) -> Self {
        let now = at(start);
        let mut world = Self {
            s: Snapshot {
                aim: Aim::of(&definition(changes), false),
                definition: definition(changes),
                state: CampaignState::Running,
                state_since: now,
                started: Some(now),
                halted: false,
                freezes: Vec::new(),
                waves: Vec::new(),
                hosts: Vec::new(),
                started_last_minute: 0,
                groups_busy: std::collections::BTreeSet::new(),
                groups_down: BTreeMap::new(),
                sites_at_work: BTreeMap::new(),
                sites_busy: BTreeMap::new(),
            },
            now,
            began: now,
            hosts: Vec::new(),
            deeds: BTreeMap::new(),
            jobs: 0,
            log: String::new(),
            said: String::new(),
        };
        world.join(hosts);
        world
    }

    pub(crate) fn deed(mut self, minute: i64, deed: Deed) -> Self {
        self.deeds.entry(minute).or_default().push(deed);
        self
    }

    /// Goes on until nothing more happens, and gives the log.
    pub(crate) fn run(mut self) -> String {
        for _ in 0..20_000 {
            let minute = self.minute();
            for deed in self.deeds.remove(&minute).unwrap_or_default() {
                self.act(deed);
            }
            self.live();
            let look = self.settle();
            let Some(next) = self.next(look) else { break };
            self.now = next;
        }
        let counters = Counters::of(&self.s, self.now);
        assert_eq!(counters.sum() as usize, self.s.hosts.len(), "every host counts once");
        let _ = write!(self.log, "end: {}; {}", self.s.state, counters.in_words(Outcome::ALL));
        self.log
    }

    fn minute(&self) -> i64 {
        (self.now.as_millis() - self.began.as_millis()) / 60_000
    }

    fn moment(&self, minute: i64) -> Timestamp {
        self.began.after(minutes(minute))
    }

    pub(crate) fn join(&mut self, hosts: Vec<Host>) {
        for host in hosts {
            let number = u8::try_from(self.hosts.len() % 250).expect("small");
            let high = u8::try_from(self.hosts.len() / 250).expect("small");
            let id = HostId::at(Timestamp::from_millis(0), [0, 0, 0, 0, 0, 0, 0, 0, high, number]);
            self.s.hosts.push(standing(id, &host, self.now));
            self.hosts.push(host);
        }
    }

    fn act(&mut self, deed: Deed) {
        let named = match &deed {
            Deed::Joins(hosts) => format!("{} hosts join", hosts.len()),
            Deed::Mends(fate) => format!("from now on: {fate:?}"),
            other => format!("{other:?}"),
        };
        self.note(&format!("** {named}"));
        let to = |world: &mut Self, state| {
            world.s.state = state;
            world.s.state_since = world.now;
        };
        match deed {
            Deed::Halt(on) => self.s.halted = on,
            Deed::Pause => to(self, CampaignState::Paused),
            Deed::Resume => to(self, CampaignState::Running),
            Deed::Retry => {
                let again = retry(&self.s, self.now);
                // As the store does: what an abort has not reached is not begun by a retry.
                if self.s.state == CampaignState::Aborted {
                    self.s.hosts.iter_mut().for_each(|h| h.excluded |= h.waits());
                }
                for id in again {
                    let host = self.s.hosts.iter_mut().find(|h| h.host == id).expect("its host");
                    (host.wave, host.job, host.job_state) = (None, None, None);
                    (host.begun, host.ended, host.state_since) = (None, None, None);
                }
                to(self, CampaignState::Running);
            }
            Deed::Joins(hosts) => self.join(hosts),
            Deed::Mends(fate) => self.hosts.iter_mut().for_each(|h| h.fate = fate),
        }
    }

    /// What happens on the hosts by now.
    fn live(&mut self) {
        let (now, minute) = (self.now, self.minute());
        self.s.started_last_minute = 0;
        for (standing, host) in self.s.hosts.iter_mut().zip(&mut self.hosts) {
            let silent = host.fate == Fate::Silent && standing.begun.is_some();
            let off = host.off.iter().any(|off| off.contains(&minute));
            standing.reachable = !off && !silent;
            if standing.reachable {
                standing.last_seen = now;
            }
            let state = |standing: &mut HostStanding, state: JobState| {
                standing.job_state = Some(state);
                standing.state_since = Some(now);
                if state.is_final() {
                    standing.ended = Some(now);
                }
            };
            let since =
                standing.state_since.map_or(0, |at| (now.as_millis() - at.as_millis()) / 60_000);
            match (standing.job_state, host.fate) {
                (Some(JobState::Queued), _) if standing.recalled => {
                    // What was done is not denied.
                    let tried = standing.between.take().is_some();
                    state(standing, if tried { JobState::Failed } else { JobState::Cancelled });
                }
                (Some(JobState::Queued), _)
                    if standing.between == Some(Between::Choosing) && since >= 1 =>
                {
                    standing.between = Some(Between::Chosen { from: now });
                    standing.network = true;
                }
                (Some(JobState::Queued), _) if standing.between.is_some() => {}
                (Some(JobState::Queued), Fate::Ends(end))
                    if standing.reachable && !end.has_begun() =>
                {
                    state(standing, end);
                }
                (Some(JobState::Queued), _) if standing.reachable && since >= 1 => {
                    state(standing, JobState::Running);
                    standing.begun = Some(now);
                }
                (Some(JobState::Queued), _) if since >= 24 * 60 => {
                    state(standing, JobState::NotReached);
                }
                (Some(JobState::Running), Fate::Ends(end))
                    if standing.reachable && since >= host.work =>
                {
                    let proves = matches!(end, JobState::Fixed | JobState::Unverified);
                    state(standing, if proves { JobState::Verifying } else { end });
                }
                (Some(JobState::Running), Fate::Second)
                    if standing.reachable && since >= host.work =>
                {
                    state(standing, JobState::Verifying);
                }
                (Some(JobState::Verifying), Fate::Second) if standing.reachable && since >= 2 => {
                    if host.tried {
                        state(standing, JobState::Fixed);
                    } else {
                        state(standing, JobState::Queued);
                        standing.between = Some(Between::Choosing);
                        host.tried = true;
                    }
                }
                (Some(JobState::Running), Fate::Silent) if since >= 240 => {
                    state(standing, JobState::TimedOut);
                }
                (Some(JobState::Verifying), Fate::Ends(end))
                    if standing.reachable && since >= 2 =>
                {
                    state(standing, end);
                }
                (Some(JobState::Fixed), _) => {
                    let due = |after: Option<i64>| after.filter(|it| since >= *it).map(|_| now);
                    standing.relapsed = standing.relapsed.or(due(host.relapse));
                    standing.regressed = standing.regressed.or(due(host.regress));
                }
                _ => {}
            }
        }
    }

    /// Looks until nothing more is decided at this moment.
    fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..LOOKS {
            let decisions = advance(&self.s, self.now);
            assert_eq!(decisions, advance(&self.s, self.now), "the same twice");
            let next = decisions.next_look;
            let moved = is_move(&decisions);
            self.tell(&decisions);
            apply(&mut self.s, &decisions, self.now, &mut self.jobs);
            if !moved {
                let idle = self.s.state == CampaignState::Running;
                assert!(!idle || !decisions.waiting_for.is_empty(), "it waits without a reason");
                return next;
            }
        }
        panic!("it never settles at {}:\n{}", self.now, self.log);
    }

    /// The next moment at which something happens by itself.
    fn next(&self, look: Option<Timestamp>) -> Option<Timestamp> {
        let minute = self.minute();
        let mut next: Option<i64> = self.deeds.keys().next().copied();
        let mut at = |minute: i64| next = Some(next.map_or(minute, |m| m.min(minute)));
        if let Some(look) = look {
            let due = (look.as_millis() - self.began.as_millis() + 59_999).div_euclid(60_000);
            at(due.max(minute + 1));
        }
        for (standing, host) in self.s.hosts.iter().zip(&self.hosts) {
            let since = standing
                .state_since
                .map_or(minute, |at| (at.as_millis() - self.began.as_millis()) / 60_000);
            // Only what bears on the campaign: a job at work, or a host that still waits.
            let open = standing.job_state.is_some_and(|state| !state.is_final());
            if open || (standing.waits() && !self.s.state.is_final()) {
                let edges = host.off.iter().flat_map(|off| [off.start, off.end]);
                edges.filter(|edge| *edge > minute).for_each(&mut at);
            }
            let due = match (standing.job_state, host.fate) {
                (Some(JobState::Queued), _) if standing.reachable || standing.recalled => since + 1,
                (Some(JobState::Queued), _) => since + 24 * 60,
                (Some(JobState::Running), Fate::Silent) => since + 240,
                (Some(JobState::Running), _) => since + host.work,
                (Some(JobState::Verifying), _) => since + 2,
                (Some(JobState::Fixed), _) if !self.s.state.is_final() => {
                    let relapse = host.relapse.filter(|_| standing.relapsed.is_none());
                    let regress = host.regress.filter(|_| standing.regressed.is_none());
                    match relapse.into_iter().chain(regress).min() {
                        Some(after) => since + after,
                        None => continue,
                    }
                }
                _ => continue,
            };
            if due > minute {
                at(due);
            }
        }
        next.map(|minute| self.moment(minute))
    }

    /// A line of the log, where there is something new to say.
    fn tell(&mut self, decisions: &Decisions) {
        let mut words = Vec::new();
        if decisions.new_run {
            words.push("a new run".to_owned());
        }
        if decisions.open_wave {
            words.push(format!("opens wave {}", self.s.waves.len() + 1));
        }
        if decisions.gate_held {
            words.push("the gate holds".to_owned());
        }
        if decisions.gate_lost {
            words.push("the gate is lost".to_owned());
        }
        if !decisions.start.is_empty() {
            words.push(format!("starts {}", decisions.start.len()));
        }
        if !decisions.go_on.is_empty() {
            words.push(format!("{} go on", decisions.go_on.len()));
        }
        if !decisions.recall.is_empty() {
            words.push(format!("recalls {}", decisions.recall.len()));
        }
        if let Some(transition) = &decisions.transition {
            words.push(format!("{}: {}", transition.to, transition.why));
        }
        let why = fleetmend_core::reason::joined(&decisions.waiting_for);
        // Numbers alone are no news.
        let shape: String = why.chars().filter(|c| !c.is_ascii_digit()).collect();
        let news = !words.is_empty() || shape != self.said;
        self.said = shape;
        if !why.is_empty() {
            words.push(format!("waits: {why}"));
        }
        if news && !words.is_empty() {
            self.note(&words.join(" | "));
        }
    }

    fn note(&mut self, words: &str) {
        let (mut started, mut flying, mut ended) = (0, 0, 0);
        for state in self.s.hosts.iter().filter_map(|h| h.job_state) {
            started += 1;
            ended += usize::from(state.is_final());
            flying += usize::from(!state.is_final());
        }
        let (minute, waves) = (self.minute(), self.s.definition.waves.len());
        let _ = writeln!(
            self.log,
            "{:3}:{:02}  wave {}/{waves}  jobs {started:4}  open {flying:3}  ended {ended:4}  {words}",
            minute / 60,
            minute % 60,
            self.s.waves.len(),
        );
    }
}

/// A host that was taken in and has no job.
pub(crate) fn standing(id: HostId, host: &Host, now: Timestamp) -> HostStanding {
    let labels = host.labels.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    HostStanding { network: host.network, ..HostStanding::without_job(id, labels, now) }
}

/// Whether decisions change anything.
pub(crate) fn is_move(decisions: &Decisions) -> bool {
    decisions.transition.is_some()
        || decisions.new_run
        || decisions.open_wave
        || decisions.gate_held
        || decisions.gate_lost
        || !decisions.start.is_empty()
        || !decisions.go_on.is_empty()
        || !decisions.recall.is_empty()
}

/// What a store does with decisions, in one transaction.
pub(crate) fn apply(s: &mut Snapshot, decisions: &Decisions, now: Timestamp, jobs: &mut u128) {
    if let Some(wave) = s.waves.last_mut() {
        if decisions.gate_held {
            wave.gate_held = Some(now);
        }
        if decisions.gate_lost {
            wave.gate_held = None;
        }
    }
    if decisions.open_wave {
        s.waves.push(WaveStanding { opened: now, gate_held: None });
    }
    for id in &decisions.start {
        let host = s.hosts.iter_mut().find(|h| h.host == *id).expect("a host of the campaign");
        *jobs += 1;
        host.job = Some(JobId(uuid::Uuid::from_u128(*jobs)));
        host.job_state = Some(JobState::Queued);
        host.state_since = Some(now);
        host.wave = Some(u32::try_from(s.waves.len()).expect("few waves") - 1);
        (host.begun, host.ended, host.recalled) = (None, None, false);
        s.started_last_minute += 1;
    }
    for host in &mut s.hosts {
        if host.job.is_some_and(|job| decisions.recall.contains(&job)) {
            host.recalled = true;
        }
        if host.job.is_some_and(|job| decisions.go_on.contains(&job)) {
            host.between = None;
        }
    }
    if decisions.new_run {
        s.started = Some(now);
        s.waves.clear();
        for host in &mut s.hosts {
            (host.wave, host.job, host.job_state) = (None, None, None);
            (host.begun, host.ended, host.state_since) = (None, None, None);
            (host.relapsed, host.regressed, host.recalled) = (None, None, false);
        }
    }
    if let Some(transition) = &decisions.transition {
        s.state = transition.to;
        s.state_since = now;
    }
}
