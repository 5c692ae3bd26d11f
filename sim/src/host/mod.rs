//! A simulated host: a folder that holds its logs and state, a life that goes on in it, and programs
//! and services that act on it as the real ones would. It stands behind the agent's platform trait,
//! and says that it is simulated.

mod answers;
pub(crate) mod deeds;
pub(crate) mod fault;
mod layout;
mod life;
mod linux;
mod traces;
mod windows;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_agent::platform::{
    Exit, Outcome as UpdateOutcome, Platform, Program, ServiceCall, ServiceSeen, Session,
    UpdateCall,
};
use fleetmend_agent::probe::About;
use fleetmend_core::evidence::Finding;
use fleetmend_core::host::{HostFacts, HostState, OsFamily};
use fleetmend_core::probe::Question;
use fleetmend_core::time::{Clock, SystemClock, Timestamp};
use fleetmend_core::words::Slug;
use tokio::sync::Notify;

pub use self::fault::{Fault, Outcome, Standing};
use self::life::Life;
use crate::chance;
use crate::model::{Ailment, Model, Work, models};
use crate::names::Persona;

/// How fast a simulated host lives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Between two of its own runs of the same work, before jitter.
    pub every: Duration,
    /// How long a program at work takes.
    pub step: Duration,
    /// Mean time until a healthy host gets another fault; `None` for never.
    pub fault_every: Option<Duration>,
    /// How long ago its faults may have begun: its logs hold so much of the past.
    pub past: Duration,
}

/// What is really wrong with a host. Tests ask for it; no server is ever told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The model.
    pub model: &'static str,
    /// The cause, by the catalogue's id.
    pub cause: Slug,
    /// Since when.
    pub since: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// Whether a remediation brought it.
    pub brought: bool,
}

/// A simulated host.
#[derive(Debug)]
pub struct SimHost {
    root: PathBuf,
    seed: u64,
    persona: Persona,
    pace: Pace,
    /// Faults that lie beneath another of the same work, with that one: both fail at one update.
    beneath: Vec<(&'static str, &'static Model)>,
    /// Programs have no clock of the agent's: they go by their host's.
    clock: Arc<dyn Clock>,
    life: Mutex<Life>,
    /// Rings when the host restarts: its agent ends with it.
    restarts: Notify,
}

impl SimHost {
    /// Lays the host's folder out below `root`, with what its past has left in logs and state.
    pub fn create(
        root: PathBuf,
        persona: Persona,
        faults: &[&'static Model],
        seed: u64,
        pace: Pace,
        now: Timestamp,
    ) -> io::Result<Self> {
        Self::create_by(root, persona, faults, seed, pace, now, Arc::new(SystemClock))
    }

    /// As [`SimHost::create`], by another clock than the system's.
    pub fn create_by(
        root: PathBuf,
        persona: Persona,
        faults: &[&'static Model],
        seed: u64,
        pace: Pace,
        now: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        layout::lay_out(&root, &persona, now)?;
        let life = Mutex::new(Life::begin(seed, &persona, now));
        let restarts = Notify::new();
        let lies = |upper: &&'static Model| {
            let upper: &'static Model = upper;
            upper.with.iter().map(move |id| (id.as_str(), upper))
        };
        let beneath = faults.iter().flat_map(lies).collect();
        let host = Self { root, seed, persona, pace, beneath, clock, life, restarts };
        host.past(faults, now)?;
        Ok(host)
    }

    /// What it is.
    pub fn persona(&self) -> &Persona {
        &self.persona
    }

    /// What is really wrong with it, and was.
    pub fn truth(&self) -> Vec<Truth> {
        let life = self.life();
        let of = |f: &Fault| Truth {
            model: &f.model.id,
            cause: f.model.cause.clone(),
            since: f.since,
            standing: f.standing,
            brought: f.brought,
        };
        life.faults.iter().map(of).collect()
    }

    /// Its faults as they stand.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.life().faults.clone()
    }

    /// What is wrong with the host itself, and how long it lasts: by the seed alone.
    pub fn ailment(&self) -> (Ailment, Duration) {
        manner(self.seed, &self.persona)
    }

    /// What doing `deed` would do to the first fault that feels it.
    pub fn would(&self, deed: &str) -> Option<Outcome> {
        self.life().faults.iter().find_map(|fault| fault.feels(deed))
    }

    /// Whether anything fails.
    pub fn is_healthy(&self) -> bool {
        !self.life().faults.iter().any(Fault::fails)
    }

    /// Lives until `now`: does the runs that are due, and says when the next one is.
    pub fn live(&self, now: Timestamp) -> io::Result<Timestamp> {
        self.advance(now)
    }

    /// Does one run of each work that a fault makes fail, now. Says how many failures were logged.
    pub fn fail_now(&self, now: Timestamp) -> io::Result<usize> {
        let mut life = self.life();
        let works: Vec<Work> =
            life.faults.iter().filter(|f| f.fails()).map(|f| f.model.work).collect();
        for work in &works {
            self.do_work(&mut life, *work, now)?;
        }
        Ok(works.len())
    }

    /// Waits until the host restarts.
    pub async fn restarted(&self) {
        self.restarts.notified().await;
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a program or step did, as the faults feel it.
    fn done(&self, life: &mut Life, deed: &str, now: Timestamp) -> io::Result<()> {
        self.feel(life, deed, now)
    }

    /// The host goes down and comes up again, with another boot id.
    fn restart(&self, now: Timestamp) -> io::Result<()> {
        let mut life = self.life();
        life.boots += 1;
        life.booted = now;
        self.done(&mut life, "boot", now)?;
        drop(life);
        self.restarts.notify_one();
        Ok(())
    }
}

#[async_trait::async_trait]
impl Platform for SimHost {
    fn root(&self) -> &Path {
        &self.root
    }

    fn facts(&self) -> io::Result<HostFacts> {
        Ok(HostFacts {
            name: self.persona.name.clone(),
            os: self.persona.os,
            os_name: self.persona.os_name.to_owned(),
            os_build: self.persona.build.to_owned(),
            arch: "x86_64".to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: format!("{}-{}", self.persona.name, self.life().boots),
            simulated: true,
        })
    }

    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        let now = self.clock.now();
        let args: Vec<&str> = program.args.iter().map(String::as_str).collect();
        let name = program.path.rsplit('/').next().unwrap_or_default();
        let said = match self.persona.os {
            OsFamily::Linux => self.linux_program(name, &args, now)?,
            OsFamily::Windows => self.windows_program(name, &args, now)?,
        };
        let Some(said) = said else {
            let words = format!("a simulated host has no {}", program.path);
            return Err(io::Error::new(io::ErrorKind::NotFound, words));
        };
        if said.at_work && !self.pace.step.is_zero() {
            tokio::time::sleep(self.pace.step).await;
        }
        let bytes = said.text.into_bytes();
        let kept = bytes.len().min(program.max_output);
        sink(&bytes[..kept]);
        let dropped = (bytes.len() - kept) as u64;
        let output = bytes[..kept].to_vec();
        Ok(Exit { status: Some(said.status), timed_out: false, output, dropped })
    }

    async fn answer(&self, question: &Question, about: About<'_>, _: Timestamp) -> Option<Finding> {
        self.answer_for(question, about)
    }

    async fn state(&self, now: Timestamp) -> Option<HostState> {
        Some(self.host_state(now))
    }

    /// Nobody sits at a simulated host.
    async fn sessions(&self) -> io::Result<Vec<Session>> {
        Ok(Vec::new())
    }

    async fn asks_at_boot(&self) -> io::Result<Option<String>> {
        Ok(None)
    }

    async fn service(&self, name: &str, call: ServiceCall) -> io::Result<ServiceSeen> {
        if call != ServiceCall::Look && !self.pace.step.is_zero() {
            tokio::time::sleep(self.pace.step / 4).await;
        }
        self.windows_service(name, call, self.clock.now())
    }

    async fn update(&self, call: UpdateCall, _: Option<&str>) -> io::Result<UpdateOutcome> {
        if call != UpdateCall::Scan || self.persona.os != OsFamily::Windows {
            let words = format!("a simulated host is not asked to {call} updates");
            return Err(io::Error::new(io::ErrorKind::Unsupported, words));
        }
        let now = self.clock.now();
        let mut life = self.life();
        self.look_around(&mut life, now)?;
        self.update_soon(&mut life, now);
        Ok(UpdateOutcome::default())
    }
}

/// What is wrong with a host itself.
fn manner(seed: u64, persona: &Persona) -> (Ailment, Duration) {
    let mut rng = chance::of(seed, &["manner", &persona.name]);
    let mut x = rng.f64();
    for manner in &models().manners {
        if x < manner.share {
            let minutes = rng.u32(manner.minutes.0..=manner.minutes.1);
            return (manner.ailment, Duration::from_mins(u64::from(minutes)));
        }
        x -= manner.share;
    }
    (Ailment::None, Duration::ZERO)
}

/// What a program printed and how it ended.
#[derive(Debug, Default)]
struct Said {
    status: i32,
    text: String,
    /// Whether it worked at something, which takes its time.
    at_work: bool,
}

impl Said {
    fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn worked(status: i32, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), at_work: true }
    }
}
