//! What a remediation does to a simulated host, without an agent: for experiments on thousands of
//! hosts, where journals and signatures tell nothing new. A test holds it to what an agent does.

use std::fs;
use std::io;

use fleetmend_agent::platform::{RunState, ServiceCall};
use fleetmend_agent::probe::About;
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Remediation, Verification};
use fleetmend_core::step::{Action, Base, Place, StartType};
use fleetmend_core::words::Slug;

use super::fault::{Fault, Outcome, Standing};
use super::{SimHost, layout};
use crate::model::Work;

/// How often a step that waits looks before it gives up.
const LOOKS: u32 = 10;

impl SimHost {
    /// Does the steps of a remediation, and what its proof repeats. Says how often the host restarted.
    pub fn act(
        &self,
        catalogue: &Catalogue,
        remediation: &Remediation,
        unit: Option<&str>,
    ) -> io::Result<u32> {
        let before = self.life().boots;
        let mut failed = false;
        let mut idle: Vec<&str> = Vec::new();
        for step in &remediation.steps {
            if failed && !step.always {
                continue;
            }
            // As the agent: what did not run is not stopped, and not started again.
            match &step.action {
                Action::ServiceStop { service } if self.is_idle(service) => {
                    idle.push(service);
                    continue;
                }
                Action::ServiceStart { service } if idle.contains(&service.as_str()) => continue,
                _ => {}
            }
            failed |= self.step(catalogue, &step.action, unit).is_err();
        }
        if !failed && remediation.verification == Verification::SystemdUnit {
            self.program("/usr/bin/systemctl", &["start", unit.unwrap_or_default()])?;
        }
        Ok(self.life().boots - before)
    }

    /// The fault that makes this work fail now, the uppermost of several.
    pub fn showing(&self, work: Work) -> Option<&'static crate::model::Model> {
        self.life().faults.iter().find(|f| f.model.work == work && f.fails()).map(|f| f.model)
    }

    /// Whether doing all of `deeds` takes the fault away that makes this work fail now, or readies
    /// its going at the next restart.
    pub fn would_help(&self, work: Work, deeds: &[String]) -> bool {
        let life = self.life();
        let Some(fault) = life.faults.iter().find(|f| f.model.work == work && f.fails()) else {
            return false;
        };
        // What a deed would break is not help.
        let breaks = |f: &Fault| deeds.iter().any(|d| f.feels(d) == Some(Outcome::Worse));
        if life.faults.iter().filter(|f| f.fails()).any(breaks) {
            return false;
        }
        let helps = |d: &String| {
            matches!(fault.feels(d), Some(Outcome::Cured | Outcome::CuredByBoot))
                && (fault.standing != Standing::Waits || d == "boot")
        };
        deeds.iter().any(helps)
    }

    /// Whether a service of Windows does not run, or is not there.
    fn is_idle(&self, service: &str) -> bool {
        if self.persona.os == OsFamily::Linux {
            return false;
        }
        match self.windows_service(service, ServiceCall::Look, self.clock.now()) {
            Ok(seen) => seen.state == RunState::Stopped,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn step(&self, catalogue: &Catalogue, action: &Action, unit: Option<&str>) -> io::Result<()> {
        let now = self.clock.now();
        let systemd = self.persona.os == OsFamily::Linux;
        match action {
            Action::ServiceStop { service } if systemd => self.systemd("stop", service),
            Action::ServiceStart { service } if systemd => self.systemd("start", service),
            Action::ServiceRestart { service } if systemd => self.systemd("restart", service),
            Action::ServiceSetStart { service, .. } if systemd => self.systemd("enable", service),
            Action::ServiceStop { service } => self.serve(service, ServiceCall::Stop),
            Action::ServiceStart { service } => self.serve(service, ServiceCall::Start),
            Action::ServiceRestart { service } => {
                self.serve(service, ServiceCall::Stop)?;
                self.serve(service, ServiceCall::Start)
            }
            Action::ServiceSetStart { service, start, .. } => {
                let seen = self.windows_service(service, ServiceCall::Look, now)?;
                match seen.start {
                    StartType::Disabled => self.serve(service, ServiceCall::SetStart(*start)),
                    StartType::Auto | StartType::Manual => Ok(()),
                }
            }
            Action::FileRename { place: Place::Below { base, path } } => self.rename(*base, path),
            Action::ToolRun { tool, .. } => {
                let (program, args) = tool.command();
                let args: Vec<&str> = args
                    .iter()
                    .map(|a| if *a == "{value}" { unit.unwrap_or_default() } else { a })
                    .collect();
                self.program(program, &args)
            }
            Action::WaitUntil { probe } => self.wait(catalogue, probe),
            Action::Reboot {} => self.restart(now),
            _ => Ok(()),
        }
    }

    fn serve(&self, name: &str, call: ServiceCall) -> io::Result<()> {
        let seen = self.windows_service(name, call, self.clock.now())?;
        debug_assert!(call != ServiceCall::Start || seen.state == RunState::Running);
        Ok(())
    }

    fn systemd(&self, verb: &str, unit: &str) -> io::Result<()> {
        self.program("/usr/bin/systemctl", &[verb, unit])
    }

    fn program(&self, path: &str, args: &[&str]) -> io::Result<()> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let now = self.clock.now();
        let said = match self.persona.os {
            OsFamily::Linux => self.linux_program(name, args, now)?,
            OsFamily::Windows => self.windows_program(name, args, now)?,
        };
        said.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, base: Base, path: &str) -> io::Result<()> {
        let from = self.root.join(layout::base(base)?).join(path);
        if !from.exists() {
            return Ok(());
        }
        let mut to = from.clone();
        for n in 1.. {
            to.set_extension(format!("old-{n}"));
            if !to.exists() {
                break;
            }
        }
        fs::rename(from, to)?;
        let mut life = self.life();
        self.look_around(&mut life, self.clock.now())
    }

    fn wait(&self, catalogue: &Catalogue, probe: &Slug) -> io::Result<()> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, probe.to_string());
        let probe = catalogue.probes.get(probe).ok_or_else(missing)?;
        for _ in 0..LOOKS {
            match self.answer_for(&probe.question, About::Host) {
                Some(found) if found.answer == Answer::Yes => {}
                _ => return Ok(()),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// What the steps of a remediation do, as faults feel it.
pub fn deeds(remediation: &Remediation) -> Vec<String> {
    let mut deeds: Vec<String> =
        remediation.steps.iter().flat_map(|step| of(&step.action, remediation.os)).collect();
    if remediation.verification == Verification::SystemdUnit {
        deeds.push("tool:start".to_owned());
    }
    deeds
}

fn of(action: &Action, os: OsFamily) -> Vec<String> {
    match action {
        Action::ServiceSetStart { .. } if os == OsFamily::Linux => vec!["tool:enable".to_owned()],
        Action::ServiceStart { .. } | Action::ServiceRestart { .. } if os == OsFamily::Linux => {
            vec!["tool:start".to_owned()]
        }
        Action::ServiceStart { service } | Action::ServiceRestart { service } => {
            vec![format!("started:{service}")]
        }
        Action::ServiceSetStart { service, .. } => vec![format!("service:{service}")],
        Action::FileRename { place: Place::Below { base, path } } => {
            let Ok(base) = layout::base(*base) else { return Vec::new() };
            let place = format!("{base}/{path}");
            // What lies below goes with it.
            let below = layout::CACHE.starts_with(&format!("{place}/"));
            let below = below.then(|| format!("moved:{}", layout::CACHE));
            std::iter::once(format!("moved:{place}")).chain(below).collect()
        }
        Action::ToolRun { tool, .. } => {
            let words = tool.command().1.iter().map(|a| a.trim_start_matches('/'));
            words.map(|word| format!("tool:{word}")).collect()
        }
        Action::WaitUntil { .. } => (1..=LOOKS).map(|n| format!("asked:{n}")).collect(),
        Action::Reboot {} => vec!["boot".to_owned()],
        _ => Vec::new(),
    }
}
