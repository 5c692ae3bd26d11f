//! A trial: one campaign over simulated hosts, each with the parts of a real agent on it, in one
//! process and by a clock of its own. The campaign is decided by the product's own `advance`, what is
//! tried by its own plan; the rest of the server is a thin model, in memory.

mod job;
mod machine;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fleetmend_core::campaign::{
    Aim, CampaignState, Decisions, Definition, HostStanding, Outcome, Snapshot, WaveStanding,
    advance,
};
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::time::{Clock as _, ManualClock, Timestamp};
use fleetmend_core::triage::priors;
use fleetmend_server::enroll::Authority;
use futures_util::{StreamExt as _, stream};

pub use self::job::Done;
use self::job::{Incident, RISK, costs_network};
pub use self::machine::Machine;
use crate::host::deeds::deeds;
use crate::host::{Outcome as Effect, Pace, SimHost, Standing, Truth};
use crate::model::{Ailment, Model, Work};
use crate::names::Persona;

/// When every trial begins.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_348_800_000);
/// Decisions after which a campaign that does not end goes round in a circle.
const ROUNDS: usize = 50_000;
/// Hosts laid out, and at work, at once.
const AT_ONCE: usize = 24;
/// How hosts live in a trial: each of their own runs comes every two hours.
const PACE: Pace = Pace {
    every: Duration::from_hours(2),
    step: Duration::ZERO,
    fault_every: None,
    past: Duration::from_hours(30),
};

/// A host of a trial, and its hidden truth before it.
#[derive(Debug)]
pub struct Patient {
    /// The machine; away while it works.
    machine: Option<Machine>,
    /// What it is.
    pub persona: Persona,
    /// The work that fails.
    pub work: Work,
    /// Whether the truth allows an agent to cure it.
    pub curable: bool,
    /// How the host itself behaves.
    pub ailment: Ailment,
    incident: Option<Incident>,
    /// How its job came out, once it did.
    pub done: Option<Done>,
    until: Option<Timestamp>,
    away: Vec<(Timestamp, Timestamp)>,
}

/// A campaign and its hosts.
#[derive(Debug)]
pub struct Trial {
    catalogue: &'static Catalogue,
    authority: Arc<Authority>,
    clock: Arc<ManualClock>,
    /// The hosts, in the order of the snapshot's.
    pub patients: Vec<Patient>,
    /// How the campaign stands.
    pub snapshot: Snapshot,
    /// What it decided, a line each.
    pub log: Vec<String>,
    due: BinaryHeap<Reverse<(Timestamp, usize, Event)>>,
    started: Vec<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// It comes back from weeks away.
    Back,
    /// Its job ends.
    End,
    /// Something changes in what is heard of it.
    Heard,
}

/// Who takes part.
#[derive(Debug, Clone)]
pub struct Member {
    /// The host.
    pub persona: Persona,
    /// Its faults, the uppermost first.
    pub faults: Vec<&'static Model>,
    /// How it behaves.
    pub ailment: Ailment,
}

impl Trial {
    /// Lays out all hosts with their past, has their failures reported, and starts the campaign.
    pub async fn begin(
        folder: &Path,
        seed: u64,
        members: Vec<Member>,
        definition: Definition,
    ) -> anyhow::Result<Self> {
        crate::usage::many_files();
        let clock = Arc::new(ManualClock::at(BEGIN));
        let authority = Arc::new(Authority::open(&folder.join("server"), Arc::clone(&clock) as _)?);
        let catalogue = fleetmend_catalog::builtin();
        let each = members.into_iter().enumerate().map(|(number, member)| {
            let home = folder.join(number.to_string());
            tokio::spawn(lay_out(catalogue, home, seed, number, member))
        });
        let laid: Vec<_> = stream::iter(each).buffered(AT_ONCE).collect().await;
        let patients: Vec<Patient> =
            laid.into_iter().map(|joined| joined?).collect::<anyhow::Result<_>>()?;
        let hosts = patients.iter().map(|p| standing(catalogue, p)).collect();
        let snapshot = Snapshot {
            definition,
            aim: Aim::Cure,
            state: CampaignState::Running,
            state_since: BEGIN,
            started: Some(BEGIN),
            halted: false,
            freezes: Vec::new(),
            waves: Vec::new(),
            hosts,
            started_last_minute: 0,
            groups_busy: std::collections::BTreeSet::default(),
            groups_down: std::collections::BTreeMap::default(),
            sites_at_work: std::collections::BTreeMap::default(),
            sites_busy: std::collections::BTreeMap::default(),
        };
        let mut due = BinaryHeap::new();
        for (at, patient) in patients.iter().enumerate() {
            if let (Ailment::Offline, Some(until)) = (patient.ailment, patient.until) {
                due.push(Reverse((until, at, Event::Back)));
            }
        }
        let (log, started) = (Vec::new(), Vec::new());
        Ok(Self { catalogue, authority, clock, patients, snapshot, log, due, started })
    }

    /// Lets the campaign go on until it is over, or until somebody would have to decide.
    pub async fn run(&mut self) -> anyhow::Result<CampaignState> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            self.hear(now);
            let decided = advance(&self.snapshot, now);
            self.apply(&decided, now).await?;
            if self.snapshot.state != CampaignState::Running {
                self.finish();
                return Ok(self.snapshot.state);
            }
            let event = self.due.peek().map(|Reverse((at, ..))| *at);
            let again = decided.open_wave || decided.gate_held || decided.gate_lost;
            let look = decided.next_look.filter(|at| again || *at > now);
            let minute = (!decided.start.is_empty()).then(|| now.after(Duration::from_mins(1)));
            let next = [event, look, minute].into_iter().flatten().min();
            let next = next.with_context(|| format!("nothing comes any more: {decided:?}"))?;
            self.clock.set(next.max(now));
            self.happen(next.max(now));
        }
        anyhow::bail!("no end after {ROUNDS} rounds: {:?}", self.log.last())
    }

    /// How every host stands now.
    pub fn outcomes(&self) -> Vec<(Outcome, &Patient)> {
        let over = self.snapshot.state.is_final();
        let now = self.clock.now();
        self.snapshot.hosts.iter().map(|h| h.outcome(over, now)).zip(&self.patients).collect()
    }

    async fn apply(&mut self, decided: &Decisions, now: Timestamp) -> anyhow::Result<()> {
        let snapshot = &mut self.snapshot;
        if decided.open_wave {
            snapshot.waves.push(WaveStanding { opened: now, gate_held: None });
            self.log.push(format!("{now} wave {} opens", snapshot.waves.len()));
        }
        if let Some(wave) = snapshot.waves.last_mut() {
            if decided.gate_held {
                wave.gate_held = Some(now);
            }
            if decided.gate_lost {
                wave.gate_held = None;
            }
        }
        if let Some(to) = &decided.transition {
            (snapshot.state, snapshot.state_since) = (to.to, now);
            self.log.push(format!("{now} {}: {}", to.to, to.why));
        }
        for host in
            snapshot.hosts.iter_mut().filter(|h| h.job.is_some_and(|j| decided.recall.contains(&j)))
        {
            (host.recalled, host.job_state) = (true, Some(JobState::Cancelled));
        }
        let starting: Vec<usize> = decided.start.iter().filter_map(|id| self.at(*id)).collect();
        anyhow::ensure!(starting.len() == decided.start.len(), "a host is not the campaign's");
        let wave = u32::try_from(self.snapshot.waves.len().saturating_sub(1))?;
        for at in &starting {
            let host = &mut self.snapshot.hosts[*at];
            anyhow::ensure!(host.job.is_none() || host.recalled, "a host is started twice");
            let mut random = [0; 10];
            random[6..].copy_from_slice(&u32::try_from(*at)?.to_be_bytes());
            host.job = Some(JobId::at(now, random));
            (host.job_state, host.state_since, host.wave) =
                (Some(JobState::Queued), Some(now), Some(wave));
            host.recalled = false;
            self.started.push(now);
        }
        self.work(starting, now).await
    }

    /// Agents that are there begin at once; all of them work at the same time.
    async fn work(&mut self, starting: Vec<usize>, now: Timestamp) -> anyhow::Result<()> {
        let mut tasks = Vec::new();
        for at in starting {
            let host = &self.snapshot.hosts[at];
            if !host.reachable {
                continue;
            }
            let job = host.job.context("no job")?;
            let patient = &mut self.patients[at];
            let mut machine = patient.machine.take().context("already at work")?;
            machine.clock.set(now.max(machine.clock.now()));
            let (catalogue, authority) = (self.catalogue, Arc::clone(&self.authority));
            let incident = patient.incident.clone().context("no incident")?;
            tasks.push(tokio::spawn(async move {
                let done = job::lead(catalogue, &authority, &mut machine, incident, job).await;
                done.map(|done| (at, machine, done)).with_context(|| format!("host {at}"))
            }));
        }
        for task in tasks {
            let (at, mut machine, done) = task.await??;
            let (patient, host) = (&mut self.patients[at], &mut self.snapshot.hosts[at]);
            patient.away.append(&mut machine.away);
            patient.machine = Some(machine);
            host.begun = done.begun;
            let state = if done.begun.is_some() { JobState::Running } else { JobState::Offered };
            (host.job_state, host.state_since) = (Some(state), Some(now));
            let end = if patient.ailment == Ailment::Silent {
                // It goes down in the midst of it; what came of it is told when it is back.
                let lasts = patient.lasts();
                patient.away.push((now, now.after(lasts)));
                done.ended.max(now.after(lasts))
            } else {
                done.ended
            };
            for (from, until) in &patient.away {
                self.due.push(Reverse((*from, at, Event::Heard)));
                self.due.push(Reverse((*until, at, Event::Heard)));
            }
            self.due.push(Reverse((end, at, Event::End)));
            patient.done = Some(done);
        }
        Ok(())
    }

    /// What is due by now comes to pass.
    fn happen(&mut self, now: Timestamp) {
        while let Some(Reverse((at, number, event))) = self.due.peek().copied() {
            if at > now {
                return;
            }
            self.due.pop();
            if event == Event::End {
                self.end(number, at);
            }
        }
    }

    fn end(&mut self, number: usize, at: Timestamp) {
        let (host, patient) = (&mut self.snapshot.hosts[number], &self.patients[number]);
        let Some(done) = &patient.done else { return };
        (host.job_state, host.state_since, host.ended) = (Some(done.state), Some(at), Some(at));
        host.regressed = done.regressed;
    }

    /// What began comes to its end though the campaign starts nothing more.
    fn finish(&mut self) {
        while let Some(Reverse((at, number, event))) = self.due.pop() {
            if event == Event::End {
                self.end(number, at);
            }
        }
    }

    /// Who is heard of now.
    fn hear(&mut self, now: Timestamp) {
        for (host, patient) in self.snapshot.hosts.iter_mut().zip(&self.patients) {
            let off =
                patient.until.filter(|until| patient.ailment == Ailment::Offline && now < *until);
            let within = |(from, until): &&(Timestamp, Timestamp)| *from <= now && now < *until;
            let away = patient.away.iter().find(within).map(|(from, _)| *from);
            host.reachable = off.is_none() && away.is_none();
            host.last_seen = match (off, away) {
                (Some(_), _) => BEGIN.before(Duration::from_hours(24)),
                (None, Some(from)) => from,
                (None, None) => now,
            };
        }
        self.started.retain(|at| now.since(*at) < Duration::from_mins(1));
        self.snapshot.started_last_minute = u32::try_from(self.started.len()).unwrap_or(u32::MAX);
    }

    fn at(&self, id: HostId) -> Option<usize> {
        self.snapshot.hosts.iter().position(|h| h.host == id)
    }
}

impl Patient {
    /// The hidden truth now.
    pub fn truth(&self) -> Vec<Truth> {
        self.machine.as_ref().map(|m| m.host.truth()).unwrap_or_default()
    }

    /// Whether the work that failed goes well, by the hidden truth.
    pub fn is_fixed(&self) -> bool {
        self.machine.as_ref().is_some_and(|m| m.host.showing(self.work).is_none())
    }

    /// Whether something fails that a remediation brought.
    pub fn is_harmed(&self) -> bool {
        self.truth().iter().any(|t| t.brought && t.standing != Standing::Gone)
    }

    fn lasts(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.since(BEGIN))
    }
}

async fn lay_out(
    catalogue: &'static Catalogue,
    home: PathBuf,
    seed: u64,
    number: usize,
    member: Member,
) -> anyhow::Result<Patient> {
    let clock = Arc::new(ManualClock::at(BEGIN));
    let (persona, faults) = (member.persona, member.faults);
    let work = faults.first().context("a host without a fault")?.work;
    let by = Arc::clone(&clock) as _;
    let host =
        SimHost::create_by(home.join("root"), persona.clone(), &faults, seed, PACE, BEGIN, by)?;
    let host = Arc::new(host);
    std::fs::write(home.join("ceiling.toml"), "risk = \"disruptive\"\nreboot = true\n")?;
    host.fail_now(BEGIN)?;
    clock.advance(Duration::from_secs(2));
    let mut random = [0; 10];
    random[6..].copy_from_slice(&u32::try_from(number)?.to_be_bytes());
    let id = HostId::at(BEGIN, random);
    let mut machine = Machine { host, clock, id, home, counter: 0, away: Vec::new() };
    let found = machine.look(catalogue).await?;
    let known = found.iter().map(|f| (f.product, f.operation)).collect();
    let expect = &machine.host.showing(work).context("nothing fails")?.expect;
    let is = |f: &fleetmend_core::report::FailureReport| {
        f.product == expect.product
            && f.operation == expect.operation
            && f.code.as_ref() == Some(&expect.code)
    };
    let failure = found.into_iter().rfind(is);
    let failure =
        failure.with_context(|| format!("{}: its failure is not reported", persona.name))?;
    let evidence = machine.ask(catalogue, &failure).await?;
    let curable = is_curable(catalogue, &machine.host, work, &failure, &evidence);
    let (drawn, lasts) = machine.host.ailment();
    let lasts = if drawn == member.ailment { lasts } else { Duration::from_hours(24 * 40) };
    Ok(Patient {
        machine: Some(machine),
        persona,
        work,
        curable,
        ailment: member.ailment,
        incident: Some(Incident { failure, evidence, known }),
        done: None,
        until: Some(BEGIN.after(lasts)),
        away: Vec::new(),
    })
}

/// Whether the truth lets an agent cure the work: against each fault that makes it fail stands a
/// remediation that works, the catalogue has it against the fault's cause, nothing that it knows
/// against the causes in question makes things worse, and the host neither denies the cause nor claims
/// another that it has not.
fn is_curable(
    catalogue: &'static Catalogue,
    host: &SimHost,
    work: Work,
    failure: &fleetmend_core::report::FailureReport,
    evidence: &[Evidence],
) -> bool {
    let os = host.persona().os;
    let build = host.persona().build;
    let faults = host.faults();
    let may = |id: &&fleetmend_core::words::Slug| {
        catalogue.remediations.get(*id).is_some_and(|r| {
            r.os == os && r.is_automatic() && r.risk <= RISK && !r.is_idle_on(build)
        })
    };
    let of = |cause: &fleetmend_core::words::Slug| {
        let cause = catalogue.causes.get(cause);
        let ids = cause.map(|c| c.remediations.iter()).unwrap_or_default();
        ids.filter(may).map(|id| deeds(&catalogue.remediations[id])).collect::<Vec<_>>()
    };
    let asked: Vec<_> = priors(catalogue, &failure.incident_key(), failure.update_class);
    let breaks = faults.iter().any(|f| {
        let felt = |deed: &String| f.feels(deed) == Some(Effect::Worse);
        asked.iter().flat_map(|(cause, _)| of(cause)).flatten().any(|d| felt(&d))
    });
    let cures = |fault: &crate::host::Fault| {
        let helps =
            |d: &String| matches!(fault.feels(d), Some(Effect::Cured | Effect::CuredByBoot));
        let own = catalogue.causes.get(&fault.model.cause).and_then(|c| c.own_probe.as_ref());
        let denied = own
            .is_some_and(|probe| fault.answer(probe) == Some(fleetmend_core::evidence::Answer::No));
        !denied && of(&fault.model.cause).iter().flatten().any(helps)
    };
    // A host that claims a cause which is not there is led astray by its own word.
    let lies = asked.iter().filter_map(|(cause, _)| catalogue.causes.get(cause)).any(|cause| {
        let Some(own) = &cause.own_probe else { return false };
        let speaks = faults.iter().any(|f| f.model.cause == cause.id || f.answer(own).is_some());
        !speaks && evidence.iter().any(|e| e.probe == *own && e.answer == Answer::Yes)
    });
    !breaks && !lies && faults.iter().filter(|f| f.model.work == work).all(cures)
}

fn standing(catalogue: &'static Catalogue, patient: &Patient) -> HostStanding {
    let (machine, incident) = (patient.machine.as_ref(), patient.incident.as_ref());
    let first = machine.zip(incident).and_then(|(m, i)| i.first(catalogue, m));
    let host = machine.map_or_else(|| HostId::at(BEGIN, [0; 10]), |m| m.id);
    // Its whole climb is one piece of work here: it never waits between two tries.
    HostStanding {
        network: first.as_ref().is_some_and(|step| costs_network(catalogue, step)),
        // For what only a person can do there is no job.
        excluded: first.is_none(),
        ..HostStanding::without_job(host, patient.persona.labels(), BEGIN)
    }
}
