//! A host's life: which of its runs are due, what goes wrong in them, and how faults come, feel what
//! is done about them, and go.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use fleetmend_agent::platform::{RunState, ServiceSeen};
use fleetmend_core::host::OsFamily;
use fleetmend_core::step::StartType;
use fleetmend_core::time::Timestamp;

use super::fault::{Fault, Outcome, Standing, another};
use super::{SimHost, layout};
use crate::chance;
use crate::logs::evtx_file::Event;
use crate::model::{Model, Trace, Work, models};
use crate::names::Persona;

/// A host's own runs in its past: one a day.
const DAILY: Duration = Duration::from_hours(24);
/// Events kept of one event file; the oldest go first.
const EVENTS: usize = 48;

/// What changes on a host.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) faults: Vec<Fault>,
    pub(super) boots: u32,
    pub(super) booted: Timestamp,
    /// When each work is due.
    due: BTreeMap<Work, Timestamp>,
    /// When each work last went well.
    pub(super) well: BTreeMap<Work, Timestamp>,
    pub(super) services: BTreeMap<&'static str, ServiceSeen>,
    pub(super) events: BTreeMap<&'static str, EventLog>,
    /// Runs of units, so that each has an invocation of its own.
    pub(super) invocations: u64,
    /// Whether somebody reset the failed unit.
    pub(super) unit_reset: bool,
    /// When a unit last changed.
    pub(super) unit_changed: Timestamp,
    rng: fastrand::Rng,
    /// When the next fault comes.
    next_fault: Option<Timestamp>,
}

/// The latest events of one event file.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    /// The number of the oldest.
    pub(super) first: u64,
    pub(super) events: std::collections::VecDeque<Event>,
}

impl EventLog {
    pub(super) fn add(&mut self, event: Event) {
        self.events.push_back(event);
        while self.events.len() > EVENTS {
            self.events.pop_front();
            self.first += 1;
        }
    }
}

impl Life {
    pub(super) fn begin(seed: u64, persona: &Persona, now: Timestamp) -> Self {
        let mut rng = chance::of(seed, &["life", &persona.name]);
        let stopped = |start| ServiceSeen::new(RunState::Stopped, start);
        let runs = |start| ServiceSeen::new(RunState::Running, start);
        let services = match persona.os {
            OsFamily::Linux => BTreeMap::new(),
            OsFamily::Windows => BTreeMap::from([
                ("wuauserv", stopped(StartType::Manual)),
                ("BITS", stopped(StartType::Manual)),
                ("CryptSvc", runs(StartType::Auto)),
                ("AppIDSvc", stopped(StartType::Manual)),
                ("LanmanWorkstation", runs(StartType::Auto)),
                ("TrustedInstaller", stopped(StartType::Manual)),
                ("msiserver", stopped(StartType::Manual)),
            ]),
        };
        let up = Duration::from_hours(24).mul_f64(3.0 + 20.0 * rng.f64());
        Self {
            faults: Vec::new(),
            boots: 1,
            booted: now.before(up),
            due: BTreeMap::new(),
            well: BTreeMap::new(),
            services,
            events: BTreeMap::new(),
            invocations: 1,
            unit_reset: false,
            unit_changed: now,
            rng,
            next_fault: None,
        }
    }

    /// Whether a fault of this trace makes its work fail.
    pub(super) fn failing(&self, trace: Trace) -> Option<&Fault> {
        self.faults.iter().find(|f| f.fails() && f.model.trace == trace)
    }

    /// A run of this work comes soon, as after a search that somebody began.
    pub(super) fn soon(&mut self, work: Work, at: Timestamp) {
        if let Some(due) = self.due.get_mut(&work) {
            *due = (*due).min(at);
        }
    }
}

impl SimHost {
    /// Writes the past: what the host's runs left behind until now.
    pub(super) fn past(&self, faults: &[&'static Model], now: Timestamp) -> io::Result<()> {
        let mut life = self.life();
        let begun = now.before(self.pace.past);
        // What comes with a fault lies beneath it.
        let beneath = |m: &&'static Model| m.with.iter().filter_map(|id| models().get(id));
        for model in faults.iter().flat_map(|m| std::iter::once(*m).chain(beneath(m))) {
            let since = begun.after(self.pace.past.mul_f64(0.9 * life.rng.f64()));
            let mut fault = Fault::draw(model, self.seed, &self.persona, since);
            // What heals itself has not done so before anybody looked.
            if fault.heals.is_some_and(|at| at <= now) {
                fault.heals = Some(now.after(self.pace.every.mul_f64(1.0 + 3.0 * life.rng.f64())));
            }
            life.faults.push(fault);
        }
        let works: &[Work] = match self.persona.os {
            OsFamily::Windows => &[
                Work::Scan,
                Work::Download,
                Work::Install,
                Work::Servicing,
                Work::Backup,
                Work::Image,
                Work::Snapshot,
            ],
            OsFamily::Linux => &[Work::Lists, Work::Upgrade, Work::Backup],
        };
        let mut runs: Vec<(Timestamp, Work)> = Vec::new();
        for work in works {
            let phase = life.rng.f64();
            let mut at = begun.after(DAILY.mul_f64(phase));
            while at < now {
                runs.push((at, *work));
                at = at.after(DAILY.mul_f64(0.96 + 0.08 * life.rng.f64()));
            }
            let first = self.pace.every.mul_f64(life.rng.f64());
            life.due.insert(*work, now.after(first));
        }
        // Logs are written in order of time.
        runs.sort();
        for (at, work) in runs {
            self.do_work(&mut life, work, at)?;
        }
        for fault in life.faults.clone() {
            self.take_hold(&mut life, &fault)?;
        }
        self.plan_fault(&mut life, now);
        Ok(())
    }

    pub(super) fn advance(&self, now: Timestamp) -> io::Result<Timestamp> {
        let mut life = self.life();
        self.look_around(&mut life, now)?;
        for at in 0..life.faults.len() {
            if life.faults[at].fails() && life.faults[at].heals.is_some_and(|h| h <= now) {
                self.cured(&mut life, at, now)?;
            }
        }
        self.return_what_does(&mut life, now)?;
        if life.next_fault.is_some_and(|at| at <= now) {
            let Life { faults, rng, .. } = &mut *life;
            let model = another(models(), &self.persona, faults, rng, &|_| true);
            if let Some(model) = model.filter(|_| !life.faults.iter().any(Fault::fails)) {
                self.falls_ill(&mut life, model, now)?;
            }
            self.plan_fault(&mut life, now);
        }
        let due: Vec<Work> = life.due.iter().filter(|d| *d.1 <= now).map(|d| *d.0).collect();
        for work in due {
            self.do_work(&mut life, work, now)?;
            let next = self.pace.every.mul_f64(0.5 + life.rng.f64());
            life.due.insert(work, now.after(next));
        }
        let next = life.due.values().copied().chain(life.next_fault).min();
        Ok(next.unwrap_or_else(|| now.after(self.pace.every)))
    }

    fn plan_fault(&self, life: &mut Life, now: Timestamp) {
        let wait = self.pace.fault_every.map(|mean| {
            // Arrivals without memory.
            mean.mul_f64(-(1.0 - life.rng.f64()).ln())
        });
        life.next_fault = wait.map(|wait| now.after(wait));
    }

    fn falls_ill(&self, life: &mut Life, model: &'static Model, now: Timestamp) -> io::Result<()> {
        let fault = Fault::draw(model, self.seed, &self.persona, now);
        life.faults.push(fault.clone());
        self.take_hold(life, &fault)
    }

    /// What a fault changes on the host beside its logs.
    fn take_hold(&self, life: &mut Life, fault: &Fault) -> io::Result<()> {
        if let Some(name) = &fault.model.service
            && let Some((_, seen)) = life.services.iter_mut().find(|(n, _)| **n == name)
        {
            *seen = ServiceSeen::new(RunState::Stopped, StartType::Disabled);
        }
        // What a start cures hangs on its way down.
        let hangs = fault.model.cure.iter().filter_map(|cure| cure.by.strip_prefix("started:"));
        for name in hangs {
            if let Some((_, seen)) = life.services.iter_mut().find(|(n, _)| **n == name) {
                seen.state = RunState::StopPending;
            }
        }
        (life.unit_reset, life.unit_changed) = (false, fault.since);
        layout::take_hold(&self.root, fault)
    }

    /// What is moved away is felt whenever the host does something.
    pub(super) fn look_around(&self, life: &mut Life, now: Timestamp) -> io::Result<()> {
        let moved: Vec<String> = life
            .faults
            .iter()
            .filter(|f| f.fails())
            .flat_map(|f| &f.model.cure)
            .filter_map(|cure| cure.by.strip_prefix("moved:"))
            .filter(|place| !layout::is_there(&self.root, place))
            .map(|place| format!("moved:{place}"))
            .collect();
        for deed in moved {
            self.feel(life, &deed, now)?;
        }
        Ok(())
    }

    /// What doing `deed` does to the faults.
    pub(super) fn feel(&self, life: &mut Life, deed: &str, now: Timestamp) -> io::Result<()> {
        for at in 0..life.faults.len() {
            match life.faults[at].feels(deed) {
                None | Some(Outcome::Nothing) => {}
                Some(Outcome::Cured) => self.cured_by_deed(life, at, now)?,
                Some(Outcome::CuredByBoot) => life.faults[at].standing = Standing::Waits,
                Some(Outcome::Partly) => life.faults[at].standing = Standing::Masked,
                Some(Outcome::Worse) => {
                    let Life { faults, rng, .. } = &mut *life;
                    let works = |m: &Model| m.work != Work::State;
                    if let Some(model) = another(models(), &self.persona, faults, rng, &works) {
                        self.falls_ill(life, model, now)?;
                        if let Some(fault) = life.faults.last_mut() {
                            fault.brought = true;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What was cured and whose reason was not taken away is there again.
    fn return_what_does(&self, life: &mut Life, now: Timestamp) -> io::Result<()> {
        for at in 0..life.faults.len() {
            let fault = &mut life.faults[at];
            if fault.returns.is_some_and(|at| at <= now) {
                (fault.returns, fault.standing, fault.since) = (None, Standing::There, now);
                let fault = fault.clone();
                self.take_hold(life, &fault)?;
            }
        }
        Ok(())
    }

    fn cured_by_deed(&self, life: &mut Life, at: usize, now: Timestamp) -> io::Result<()> {
        let fault = &mut life.faults[at];
        let hours = fault.model.relapses_h.map(u64::from);
        fault.returns = hours.map(|hours| now.after(Duration::from_hours(hours)));
        self.cured(life, at, now)
    }

    fn cured(&self, life: &mut Life, at: usize, now: Timestamp) -> io::Result<()> {
        let fault = &mut life.faults[at];
        fault.standing = Standing::Gone;
        let model = fault.model;
        if let Some(name) = &model.service
            && let Some((_, seen)) = life.services.iter_mut().find(|(n, _)| **n == name)
            && seen.start == StartType::Disabled
        {
            seen.start = StartType::Manual;
        }
        layout::let_go(&self.root, model, now)
    }
}
