//! How a simulated host answers probes, and the state that it tells of itself.

use fleetmend_agent::probe::About;
use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::host::{Disk, HostState, OsFamily, ServiceState, UpdateAuthority};
use fleetmend_core::knowledge::Probe;
use fleetmend_core::probe::{Question, ServiceQuestion};
use fleetmend_core::step::StartType;
use fleetmend_core::time::Timestamp;

use super::fault::{Fault, Standing};
use super::life::Life;
use super::{SimHost, layout};
use crate::chance;
use crate::model::{Trace, Work, models};

const GIB: u64 = 1 << 30;

impl SimHost {
    /// Answers by what is really so, or by the model's own rates where nothing real can be asked;
    /// `None` where the agent's probe reads this host's files.
    pub(super) fn answer_for(&self, question: &Question, about: About<'_>) -> Option<Finding> {
        let mut life = self.life();
        if let Err(error) = self.look_around(&mut life, self.clock.now()) {
            return Some(Finding::unknown(format!("the simulated host failed: {error}")));
        }
        if self.persona.os == OsFamily::Windows {
            if let Question::Service { service, question } = question {
                return Some(self.about_service(&life, service, *question));
            }
            let cache = matches!(question, Question::StaleFolder { .. });
            if cache && !layout::is_there(&self.root, layout::CACHE) {
                return Some(Finding::new(Answer::No, format!("/{} is empty", layout::CACHE)));
            }
        }
        let known =
            fleetmend_catalog::builtin().probes.values().find(|p| p.question == *question)?;
        // Triage asks of the failure, as often as it is reported; who waits asks of the host.
        if !matches!(about, About::Failure(_)) {
            self.pass_while_asked(&mut life, known);
        }
        self.drawn(&life, known, about)
    }

    /// A fault that passes while somebody waits for it.
    fn pass_while_asked(&self, life: &mut Life, probe: &Probe) {
        let mut deeds = Vec::new();
        for fault in life.faults.iter_mut().filter(|f| f.fails()) {
            if fault.model.probes.contains_key(&probe.id) {
                fault.asked += 1;
                deeds.push(format!("asked:{}", fault.asked));
            }
        }
        for deed in deeds {
            // Only files could fail, and such a fault has none.
            let _ = self.done(life, &deed, self.clock.now());
        }
    }

    fn drawn(&self, life: &Life, probe: &Probe, about: About<'_>) -> Option<Finding> {
        let spoken = life.faults.iter().filter_map(|f| Some((f, f.answer(&probe.id)?)));
        let weight = |answer: Answer| match answer {
            Answer::Yes => 2,
            Answer::Unknown => 1,
            Answer::No => 0,
        };
        let loudest = spoken.max_by_key(|(_, answer)| weight(*answer));
        let (fault, answer) = if let Some((fault, answer)) = loudest {
            (Some(fault), answer)
        } else {
            // Whatever waited for a restart has had it.
            if probe.id.as_str() == "reboot_pending" && life.boots > 1 {
                return Some(Finding::new(Answer::No, "the host has restarted since"));
            }
            let rates = models().noise.get(&probe.id)?;
            let names = ["noise", &self.persona.name, probe.id.as_str()];
            (None, rates.draw(&mut chance::of(self.seed, &names)))
        };
        if answer == Answer::Unknown {
            return Some(Finding::unknown("the simulated host does not say"));
        }
        let words = if answer == Answer::Yes { "so it is" } else { "it is not so" };
        let proof = format!("{}: {words}, on this simulated host", probe.name.en);
        let mut finding = Finding::new(answer, proof);
        if answer == Answer::Yes {
            finding.value = match about {
                About::Again(value) => Some(value.to_owned()),
                _ => fault.and_then(|f| f.model.values.get(&probe.id)).map(|v| self.fill(v)),
            };
        }
        Some(finding)
    }

    fn about_service(&self, life: &Life, name: &str, asked: ServiceQuestion) -> Finding {
        let names = ["service", &self.persona.name, name];
        if chance::of(self.seed, &names).f64() < 0.02 {
            return Finding::unknown("the service manager did not answer in time");
        }
        let found = life.services.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        let so = match (found, asked) {
            (None, ServiceQuestion::Missing) => true,
            (None, _) => return Finding::unknown(format!("{name} does not exist")),
            (Some(_), ServiceQuestion::Missing | ServiceQuestion::Failed) => false,
            (Some((_, seen)), ServiceQuestion::Disabled) => seen.start == StartType::Disabled,
            (Some((_, seen)), ServiceQuestion::Running) => seen.runs(),
            (Some((_, seen)), ServiceQuestion::Stopped) => !seen.runs(),
        };
        let proof = match found {
            Some((_, seen)) if seen.runs() => format!("{name} runs, start type {}", seen.start),
            Some((_, seen)) => format!("{name} is stopped, start type {}", seen.start),
            None => format!("{name} does not exist"),
        };
        let mut finding = Finding::new(if so { Answer::Yes } else { Answer::No }, proof);
        finding.value = Some(name.to_owned());
        finding
    }

    /// The state that the host tells of itself.
    pub(super) fn host_state(&self, now: Timestamp) -> HostState {
        let life = self.life();
        let mut rng = chance::of(self.seed, &["disk", &self.persona.name]);
        let windows = self.persona.os == OsFamily::Windows;
        let size = [128, 256, 512, 1024][rng.usize(0..4)] * GIB;
        let full = life
            .faults
            .iter()
            .any(|f| f.standing == Standing::There && f.model.id.ends_with("disk_full"));
        let free = if full { GIB / 8 } else { size / 5 + rng.u64(0..size / 2) };
        let well = |work: Work| life.well.get(&work).copied();
        let (mount, file_system) = if windows { ("C:\\", "ntfs") } else { ("/", "ext4") };
        let is_restart =
            |f: &Fault| f.standing == Standing::There && f.model.cause.as_str() == "pending_reboot";
        let pending = life.faults.iter().any(|f| f.standing == Standing::Waits || is_restart(f));
        let services = if windows {
            let state = |runs| if runs { "running" } else { "stopped" };
            let of =
                |(name, seen): (&&str, &fleetmend_agent::platform::ServiceSeen)| ServiceState {
                    name: (*name).to_owned(),
                    state: state(seen.runs()).to_owned(),
                    start: seen.start.to_string(),
                };
            life.services.iter().map(of).collect()
        } else {
            let idle = life.failing(Trace::Idle).is_some();
            let timer = |name: &str| ServiceState {
                name: name.to_owned(),
                state: if idle { "inactive" } else { "active" }.to_owned(),
                start: if idle { "disabled" } else { "enabled" }.to_owned(),
            };
            vec![timer("apt-daily.timer"), timer("apt-daily-upgrade.timer")]
        };
        let (authority, proof) = match (windows, self.persona.role) {
            (true, "server") => (
                UpdateAuthority::Wsus,
                format!("WUServer = https://wsus.{}.example.com:8531", self.persona.site),
            ),
            (true, _) => (UpdateAuthority::WindowsUpdate, "no update policy is set".to_owned()),
            (false, _) => (
                UpdateAuthority::AptTimer,
                "/etc/apt/apt.conf.d/20auto-upgrades: APT::Periodic::Unattended-Upgrade \"1\";"
                    .to_owned(),
            ),
        };
        HostState {
            last_scan: well(if windows { Work::Scan } else { Work::Lists }),
            last_install: well(if windows { Work::Install } else { Work::Upgrade }),
            last_backup: well(Work::Backup),
            booted_at: Some(life.booted),
            pending_reboot: pending.then(|| "an update waits for a restart".to_owned()),
            disks: vec![Disk {
                mount: mount.to_owned(),
                file_system: file_system.to_owned(),
                size_bytes: size,
                free_bytes: free,
                read_only: false,
            }],
            services,
            update_authority: Some(authority),
            update_authority_proof: Some(proof),
            at: Some(now),
            ..HostState::default()
        }
    }
}
