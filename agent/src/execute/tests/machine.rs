//! A machine whose programs only note that they were called, and probes that say what a test wants.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::host::{HostFacts, OsFamily};
use fleetmend_core::time::ManualClock;
use fleetmend_core::words::Slug;

use super::world::NOW;
use crate::platform::{Exit, Platform, Power, Program, Session};
use crate::probe::About;
use crate::prober::Prober;
use crate::random;

/// Who and what a restart meets.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) sessions: Vec<String>,
    /// How often they put it off.
    pub(super) put_off: u32,
    /// How often they were told.
    pub(super) told: u32,
    pub(super) power: Option<Power>,
    pub(super) asks: Option<String>,
}

/// A machine whose `/` is a folder and whose programs only note that they were called.
#[derive(Debug)]
pub(super) struct FakeMachine {
    pub(super) root: PathBuf,
    /// Every call, as `path arg arg`.
    pub(super) calls: Mutex<Vec<String>>,
    /// What a call gives, by the end of its words; exit 0 without output otherwise.
    pub(super) answers: Mutex<BTreeMap<String, (i32, String)>>,
    /// Services that run.
    pub(super) running: Mutex<Vec<String>>,
    /// The invocation that every service shows; another one after each start of one that did not
    /// run.
    pub(super) invocation: AtomicU32,
    pub(super) boot: Mutex<String>,
    /// Where each call is noted for whoever comes after this process.
    pub(super) effects: Option<PathBuf>,
    pub(super) people: Mutex<People>,
    /// The clock that a program moves on, and by how much.
    pub(super) slow: Mutex<Option<(Arc<ManualClock>, Duration)>>,
    /// A folder whose disk is full once `full.service` is asked for.
    pub(super) fill: Mutex<Option<PathBuf>>,
}

#[async_trait]
impl Platform for FakeMachine {
    fn root(&self) -> &Path {
        &self.root
    }

    fn facts(&self) -> io::Result<HostFacts> {
        Ok(HostFacts {
            name: "fake".to_owned(),
            os: OsFamily::Linux,
            os_name: "Fake".to_owned(),
            os_build: "1".to_owned(),
            arch: "x86_64".to_owned(),
            agent_version: "0".to_owned(),
            boot_id: self.boot.lock().expect("lock").clone(),
            simulated: true,
        })
    }

    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        let call = format!("{} {}", program.path, program.args.join(" "));
        if program.path.ends_with("systemctl") {
            return Ok(self.systemctl(&program.args));
        }
        self.calls.lock().expect("lock").push(call.clone());
        if let Some((clock, span)) = self.slow.lock().expect("lock").take() {
            clock.advance(span);
        }
        self.note(&call)?;
        let answers = self.answers.lock().expect("lock");
        let found = answers.iter().find(|(end, _)| call.ends_with(end.as_str()));
        let (status, text) = found.map_or((0, String::new()), |(_, answer)| answer.clone());
        sink(text.as_bytes());
        Ok(Exit { status: Some(status), output: text.into_bytes(), ..Exit::default() })
    }

    async fn power(&self) -> io::Result<Power> {
        self.people.lock().expect("lock").power.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    async fn asks_at_boot(&self) -> io::Result<Option<String>> {
        Ok(self.people.lock().expect("lock").asks.clone())
    }

    async fn sessions(&self) -> io::Result<Vec<Session>> {
        let people = self.people.lock().expect("lock");
        Ok(people.sessions.iter().map(|user| Session { user: user.clone() }).collect())
    }

    async fn notify_users(
        &self,
        _: &str,
        _: Duration,
        may_defer: bool,
    ) -> io::Result<Option<String>> {
        let mut people = self.people.lock().expect("lock");
        people.told += 1;
        if !may_defer || people.put_off == 0 {
            return Ok(None);
        }
        people.put_off -= 1;
        Ok(people.sessions.first().cloned())
    }
}

impl FakeMachine {
    fn note(&self, call: &str) -> io::Result<()> {
        let Some(effects) = &self.effects else { return Ok(()) };
        let mut file = fs::OpenOptions::new().create(true).append(true).open(effects)?;
        file.write_all(format!("{call}\n").as_bytes())
    }

    fn systemctl(&self, args: &[String]) -> Exit {
        let mut running = self.running.lock().expect("lock");
        let text = match args {
            [verb, unit, ..] if verb == "show" => {
                let folder = self.fill.lock().expect("lock").clone();
                if let Some(folder) = folder.filter(|_| unit == "full.service") {
                    super::disk::fill(&folder);
                }
                let active = if running.contains(unit) { "active" } else { "inactive" };
                let invocation = self.invocation.load(Ordering::Relaxed);
                format!(
                    "LoadState=loaded\nActiveState={active}\nUnitFileState=enabled\nResult=success\nInvocationID={invocation}\n"
                )
            }
            [flag, verb] if flag == "-i" => {
                self.calls.lock().expect("lock").push(verb.clone());
                self.note(verb).expect("written");
                String::new()
            }
            [verb, unit] => {
                self.calls.lock().expect("lock").push(format!("{verb} {unit}"));
                if verb == "start" && !running.contains(unit) {
                    self.invocation.fetch_add(1, Ordering::Relaxed);
                }
                if verb != "reset-failed" {
                    running.retain(|r| r != unit);
                }
                if !matches!(verb.as_str(), "stop" | "reset-failed") {
                    running.push(unit.clone());
                }
                String::new()
            }
            _ => String::new(),
        };
        Exit { status: Some(0), output: text.into_bytes(), ..Exit::default() }
    }
}

/// Probes with set answers; *no* where none is set. A list is worked off, its last stays.
#[derive(Debug, Default)]
pub(super) struct Answers(pub(super) Mutex<BTreeMap<Slug, Vec<Answer>>>);

#[async_trait]
impl Prober for Answers {
    async fn ask(&self, probe: &Slug, _: About<'_>) -> Evidence {
        let mut set = self.0.lock().expect("lock");
        let answer = match set.get_mut(probe) {
            Some(list) if list.len() > 1 => list.remove(0),
            Some(list) => list[0],
            None => Answer::No,
        };
        let finding = Finding::new(answer, format!("{probe} is {answer}"));
        finding.into_evidence(random::evidence_id(NOW), probe.clone(), NOW)
    }
}

/// Probes whose fault is there until a program has run.
#[derive(Debug)]
pub(super) struct Mended(pub(super) PathBuf);

#[async_trait]
impl Prober for Mended {
    async fn ask(&self, probe: &Slug, _: About<'_>) -> Evidence {
        let there = probe.as_str() == "test.fault" && !self.0.exists();
        let answer = if there { Answer::Yes } else { Answer::No };
        Finding::new(answer, "by what was done").into_evidence(
            random::evidence_id(NOW),
            probe.clone(),
            NOW,
        )
    }
}
