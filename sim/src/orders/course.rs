//! One host, treated in one order until its work goes well or nothing is left to try.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fleetmend_agent::collect::live::Live;
use fleetmend_agent::platform::Platform as _;
use fleetmend_agent::probe::{self, About};
use fleetmend_core::climb::{Climb, Standing, climb};
use fleetmend_core::efficacy::Efficacy;
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Cause, Remediation, Risk};
use fleetmend_core::known::Known;
use fleetmend_core::plan::{Ask, Tried, plan_for};
use fleetmend_core::report::{FailureReport, IncidentKey, Product};
use fleetmend_core::time::{Clock as _, ManualClock, Timestamp};
use fleetmend_core::triage::{priors, probes_for, triage_by};
use fleetmend_core::words::Slug;

use super::{Experiment, Order, articles};
use crate::chance;
use crate::fleet;
use crate::host::deeds::deeds;
use crate::host::{Pace, SimHost};
use crate::model::{Ailment, Model, Work};
use crate::names::Persona;

/// When it all begins: at the same moment each time, so that every file is the same.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_348_800_000);
/// What an agent may do.
const RISK: Risk = Risk::Disruptive;
/// Tries after which anybody gives up.
const MOST: usize = 40;
/// Minutes that asking all probes takes, whatever they say.
const ASKING: f64 = 1.0;
/// Minutes of a restart, where the host has no trouble with it.
const RESTART: f64 = 8.0;
/// How long the host waits for the next run of the work that failed.
const NEXT_RUN: Duration = Duration::from_mins(30);
/// Only the last hours are laid out: what is older tells nothing more here.
const PACE: Pace = Pace {
    every: Duration::from_hours(24),
    step: Duration::ZERO,
    fault_every: None,
    past: Duration::from_hours(30),
};

/// A host and its failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is.
    pub host: String,
    /// The uppermost fault.
    pub model: &'static str,
    /// Its system.
    pub os: OsFamily,
    /// What fails.
    pub product: Product,
}

impl Course {
    /// How many remediations were done.
    pub fn tries(&self) -> u32 {
        u32::try_from(self.done.len()).unwrap_or(u32::MAX)
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// In which order.
    pub order: Order,
    /// Remediations done: several of one try are joined by a plus.
    pub done: Vec<String>,
    /// Minutes they took, restarts and questions included.
    pub minutes: f64,
    /// Restarts.
    pub reboots: u32,
    /// Whether the work goes well in the end, by the hidden truth.
    pub fixed: bool,
    /// Whether something fails in the end that a remediation brought.
    pub harmed: bool,
}

/// One host in all orders, each on a fresh copy of it.
pub(super) async fn all(
    experiment: &Experiment,
    number: u32,
    folder: &Path,
) -> anyhow::Result<(Case, Vec<Course>)> {
    let plan = fleet::Plan {
        hosts: experiment.hosts,
        seed: experiment.seed,
        folder: folder.to_owned(),
        pace: PACE,
        windows: 0.75,
        healthy: 0.0,
        two: 0.15,
        repeating: false,
        collect_every: Duration::from_secs(1),
    };
    let (persona, faults) = fleet::draw(&plan, number);
    let first = faults.first().context("no fault drawn")?;
    let case = Case {
        host: persona.name.clone(),
        model: &first.id,
        os: persona.os,
        product: first.expect.product,
    };
    let mut courses = Vec::new();
    for order in Order::ALL {
        let root = folder.join(order.as_str());
        let mut patient = Patient::lay(experiment, root, &persona, &faults)?;
        let done = match order {
            Order::Evidence => patient.by_evidence().await,
            Order::Article => patient.by_article(),
            Order::Random => patient.by_chance().await,
            Order::Oracle => patient.by_truth(),
        };
        done.with_context(|| format!("{} ({}), order {order}", persona.name, first.id))?;
        courses.push(patient.course(*order));
    }
    Ok((case, courses))
}

/// How often an agent that is blocked looks again, before its order expires.
const LOOKS: u32 = 24;
const LOOK_AGAIN: Duration = Duration::from_mins(10);

/// What an agent finds before the first step.
enum Door {
    Open,
    CauseGone,
    Blocked,
}

struct Patient<'e> {
    experiment: &'e Experiment,
    catalogue: &'static Catalogue,
    clock: Arc<ManualClock>,
    host: SimHost,
    work: Work,
    /// Random bytes of evidence: only an id.
    drawn: u64,
    done: Vec<String>,
    minutes: f64,
    reboots: u32,
}

impl<'e> Patient<'e> {
    fn lay(
        experiment: &'e Experiment,
        root: std::path::PathBuf,
        persona: &Persona,
        faults: &[&'static Model],
    ) -> anyhow::Result<Self> {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let by = Arc::clone(&clock) as _;
        let seed = experiment.seed;
        let host = SimHost::create_by(root, persona.clone(), faults, seed, PACE, BEGIN, by)?;
        host.fail_now(BEGIN)?;
        clock.advance(NEXT_RUN);
        let catalogue = fleetmend_catalog::builtin();
        let work = faults.first().context("no fault")?.work;
        let (drawn, done, minutes, reboots) = (0, Vec::new(), 0.0, 0);
        Ok(Self { experiment, catalogue, clock, host, work, drawn, done, minutes, reboots })
    }

    fn course(&self, order: Order) -> Course {
        let harms = |t: &crate::host::Truth| t.brought && t.standing != crate::Standing::Gone;
        Course {
            order,
            done: self.done.clone(),
            minutes: self.minutes,
            reboots: self.reboots,
            fixed: self.is_fixed(),
            harmed: self.host.truth().iter().any(harms),
        }
    }

    fn is_fixed(&self) -> bool {
        self.host.showing(self.work).is_none()
    }

    fn goes_on(&self) -> bool {
        !self.is_fixed() && self.done.len() < MOST
    }

    /// The product's own way: ask, weigh, do the best; climb on what is known then.
    async fn by_evidence(&mut self) -> anyhow::Result<()> {
        let mut tried: Vec<Tried> = Vec::new();
        let mut key = None;
        while self.goes_on() {
            let failure = self.failure().await?;
            let now = failure.incident_key();
            if key.as_ref() != Some(&now) {
                // Another failure than before is another incident.
                tried.clear();
            }
            let evidence = self.ask(&failure, &now).await;
            self.minutes += ASKING;
            // What was known after the last try is known now.
            if let Some(last) = tried.last_mut() {
                let cause = &self.catalogue.causes[&last.cause];
                last.known.push(Known::of(cause, now.subject.as_deref(), &evidence));
            }
            let Some((cause, remediation)) = self.next_step(&failure, &evidence, &tried) else {
                break;
            };
            tried.push(Tried {
                remediation: remediation.id.clone(),
                version: remediation.version,
                cause: cause.id.clone(),
                known: vec![Known::of(cause, now.subject.as_deref(), &evidence)],
            });
            key = Some(now);
            match self.at_the_door(cause, remediation).await {
                Door::Open => self.do_all(&[remediation])?,
                // Nothing is done then, and nothing is counted but the asking.
                Door::CauseGone => {}
                Door::Blocked => break,
            }
        }
        Ok(())
    }

    /// What a job would try next, by the product's own rules.
    fn next_step(
        &self,
        failure: &FailureReport,
        evidence: &[Evidence],
        tried: &[Tried],
    ) -> Option<(&'static Cause, &'static Remediation)> {
        let (key, class) = (failure.incident_key(), failure.update_class);
        let ratio = |strength| self.experiment.ratio(strength);
        let verdict = triage_by(self.catalogue, &key, class, evidence, &ratio);
        let ask = Ask {
            os: self.host.persona().os,
            build: self.host.persona().build,
            allowed: RISK,
            restarts: true,
            subject: key.subject.as_deref(),
            evidence,
            tried,
            efficacy: &Efficacy::default(),
        };
        let step = if tried.is_empty() {
            plan_for(self.catalogue, &verdict, &ask).next()?.clone()
        } else {
            let retry = key.code.as_ref().and_then(|c| self.catalogue.codes.get(c));
            let now = self.clock.now();
            let standing = Standing {
                ask,
                tries: u32::try_from(tried.len()).unwrap_or(u32::MAX),
                retry: retry.map(|code| code.retry),
                draw: 0,
                // Waits are the host's, and nobody's minutes.
                expires: now.after(Duration::from_hours(24 * 365)),
                now,
            };
            match climb(self.catalogue, &verdict, &standing).1 {
                Climb::Try { step, .. } => *step,
                Climb::End { .. } => return None,
            }
        };
        let catalogue = self.catalogue;
        Some((&catalogue.causes[&step.cause], &catalogue.remediations[&step.remediation]))
    }

    /// One of the articles, each step once, whatever it does.
    fn by_article(&mut self) -> anyhow::Result<()> {
        if self.host.persona().os != OsFamily::Windows {
            return Ok(());
        }
        let mut rng = self.chance("article");
        let article = &articles()[rng.usize(0..articles().len())];
        for step in article.step.iter().filter(|s| !s.does.is_empty()) {
            if !self.goes_on() {
                break;
            }
            let catalogue = self.catalogue;
            let all: Vec<_> = step.does.iter().map(|id| &catalogue.remediations[id]).collect();
            self.do_all(&all)?;
        }
        Ok(())
    }

    /// What the catalogue knows against the failure's causes, in any order.
    async fn by_chance(&mut self) -> anyhow::Result<()> {
        let mut rng = self.chance("random");
        let mut done: Vec<Slug> = Vec::new();
        while self.goes_on() {
            let failure = self.failure().await?;
            let left = self.known(&failure);
            let left: Vec<_> = left.into_iter().filter(|r| !done.contains(&r.id)).collect();
            if left.is_empty() {
                break;
            }
            let remediation = left[rng.usize(0..left.len())];
            done.push(remediation.id.clone());
            self.do_all(&[remediation])?;
        }
        Ok(())
    }

    /// The cheapest that works, by the truth.
    fn by_truth(&mut self) -> anyhow::Result<()> {
        let catalogue = self.catalogue;
        let os = self.host.persona().os;
        let may = |r: &&Remediation| r.os == os && r.is_automatic() && r.risk <= RISK;
        let mut all: Vec<_> = catalogue.remediations.values().filter(may).collect();
        all.sort_by_key(|r| (r.minutes, &r.id));
        while self.goes_on() {
            let helps = |r: &&&Remediation| self.host.would_help(self.work, &deeds(r));
            let Some(remediation) = all.iter().find(helps).copied() else { break };
            self.do_all(&[remediation])?;
        }
        Ok(())
    }

    /// Remediations of one try, then the next run of what failed.
    fn do_all(&mut self, remediations: &[&Remediation]) -> anyhow::Result<()> {
        let names: Vec<_> = remediations.iter().map(|r| r.id.to_string()).collect();
        self.done.push(names.join("+"));
        let unit = self.host.showing(self.work).and_then(|m| m.unit.as_deref());
        for remediation in remediations {
            let reboots = self.host.act(self.catalogue, remediation, unit)?;
            // Each host is slower or faster than the catalogue thinks, in every order the same.
            let mut rng = self.chance(remediation.id.as_str());
            let mut minutes = f64::from(remediation.minutes) * (0.6 + 0.8 * rng.f64());
            minutes += f64::from(reboots) * self.restart();
            self.minutes += minutes;
            self.reboots += reboots;
            self.clock.advance(Duration::from_secs_f64(minutes * 60.0));
        }
        self.clock.advance(NEXT_RUN);
        self.host.fail_now(self.clock.now())?;
        self.clock.advance(Duration::from_secs(2));
        Ok(())
    }

    fn restart(&self) -> f64 {
        match self.host.ailment() {
            (Ailment::SlowReboot, lasts) => RESTART + lasts.as_secs_f64() / 60.0,
            _ => RESTART,
        }
    }

    /// What the collectors report of the work that fails.
    async fn failure(&self) -> anyhow::Result<FailureReport> {
        let model = self.host.showing(self.work).context("nothing fails")?;
        let span = PACE.past + Duration::from_hours(24 * 30);
        let mut live = Live::once(self.host.root(), self.catalogue).looking_back(span);
        let observed = live.poll(&self.host, self.clock.now()).await;
        let expect = &model.expect;
        let is = |f: &&FailureReport| {
            f.product == expect.product
                && f.operation == expect.operation
                && f.code.as_ref() == Some(&expect.code)
        };
        let found = observed.failures.iter().rfind(is).cloned();
        found.with_context(|| format!("{} is not reported: {observed:#?}", model.id))
    }

    async fn ask(&mut self, failure: &FailureReport, key: &IncidentKey) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        let probes = probes_for(self.catalogue, key, self.host.persona().os);
        for probe in probes {
            let mut seen = self.answer(&probe.id, About::Failure(failure)).await;
            let share = f64::from(self.experiment.unknown) / 100.0;
            let names = format!("{}/{}", probe.id, self.drawn);
            if self.chance(&names).f64() < share {
                seen.answer = Answer::Unknown;
            }
            evidence.push(seen);
        }
        evidence
    }

    async fn answer(&mut self, probe: &Slug, about: About<'_>) -> Evidence {
        let mut bytes = [0; 10];
        self.drawn += 1;
        bytes[2..].copy_from_slice(&self.drawn.to_be_bytes());
        let known = &self.catalogue.probes[probe];
        probe::answer(&self.host, known, about, self.clock.now(), &mut || bytes).await
    }

    /// What an agent looks at before a job's first step.
    async fn at_the_door(&mut self, cause: &Cause, remediation: &Remediation) -> Door {
        for probe in &remediation.blockers {
            let mut looks = 0;
            while self.answer(probe, About::Host).await.answer == Answer::Yes {
                looks += 1;
                if looks > LOOKS {
                    return Door::Blocked;
                }
                self.clock.advance(LOOK_AGAIN);
            }
        }
        match cause.gone_by() {
            Some(probe) if self.answer(probe, About::Host).await.answer == Answer::No => {
                Door::CauseGone
            }
            _ => Door::Open,
        }
    }

    /// What the catalogue knows against the causes that the failure may have, that an agent may do.
    fn known(&self, failure: &FailureReport) -> Vec<&'static Remediation> {
        let catalogue = self.catalogue;
        let os = self.host.persona().os;
        let mut known: Vec<&Remediation> = Vec::new();
        for (cause, _) in priors(catalogue, &failure.incident_key(), failure.update_class) {
            let Some(cause) = catalogue.causes.get(&cause) else { continue };
            for remediation in
                cause.remediations.iter().filter_map(|r| catalogue.remediations.get(r))
            {
                let may =
                    remediation.os == os && remediation.is_automatic() && remediation.risk <= RISK;
                if may && !known.iter().any(|r| r.id == remediation.id) {
                    known.push(remediation);
                }
            }
        }
        known
    }

    fn chance(&self, what: &str) -> fastrand::Rng {
        chance::of(self.experiment.seed, &["orders", &self.host.persona().name, what])
    }
}
