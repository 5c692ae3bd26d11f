//! A host made of files, whose programs answer what a test says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fleetmend_agent::collect::live::{Live, Observed};
use fleetmend_agent::platform::{Exit, Platform, Program};
use fleetmend_agent::probe::{self, About};
use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::{HostFacts, OsFamily};
use fleetmend_core::knowledge::{Probe, Text};
use fleetmend_core::probe::Question;
use fleetmend_core::report::FailureReport;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;

/// A host that is a folder. Its programs answer what the test says; any other cannot be run.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) root: tempfile::TempDir,
    pub(crate) state: tempfile::TempDir,
    answers: Mutex<Vec<(&'static str, i32, String)>>,
}

#[async_trait::async_trait]
impl Platform for Host {
    fn root(&self) -> &Path {
        self.root.path()
    }

    fn facts(&self) -> std::io::Result<HostFacts> {
        Ok(HostFacts {
            name: "demo".to_owned(),
            os: OsFamily::Linux,
            os_name: "Linux".to_owned(),
            os_build: "1".to_owned(),
            arch: "x86_64".to_owned(),
            agent_version: "0".to_owned(),
            boot_id: "b".to_owned(),
            simulated: true,
        })
    }

    async fn run(
        &self,
        program: &Program,
        _sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> std::io::Result<Exit> {
        let line = format!("{} {}", program.path, program.args.join(" "));
        let answers = self.answers.lock().expect("not poisoned");
        let found = answers.iter().find(|(part, ..)| line.contains(part));
        let (_, status, output) = found.ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Exit { status: Some(*status), output: output.clone().into_bytes(), ..Exit::default() })
    }
}

pub(crate) const GOOD: &str = "Package: base\nStatus: install ok installed\nArchitecture: all\n\n";

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self {
            root: tempfile::tempdir().expect("a folder"),
            state: tempfile::tempdir().expect("a folder"),
            answers: Mutex::new(Vec::new()),
        };
        host.write("var/lib/dpkg/status", GOOD);
        fs::create_dir_all(host.path("var/lib/dpkg/updates")).expect("made");
        host.says("apt-get", 0, "");
        host
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// Puts a package into a state beside the good one.
    pub(crate) fn package(&self, state: &str) {
        self.write(
            "var/lib/dpkg/status",
            &format!("{GOOD}Package: demo\nStatus: install ok {state}\nArchitecture: all\n\n"),
        );
    }

    pub(crate) fn says(&self, part: &'static str, status: i32, output: &str) {
        let mut answers = self.answers.lock().expect("not poisoned");
        answers.retain(|(other, ..)| *other != part);
        answers.push((part, status, output.to_owned()));
    }

    pub(crate) fn live(&self) -> Live {
        Live::open(self.root.path(), self.state.path(), fleetmend_catalog::builtin())
    }

    pub(crate) async fn ask(
        &self,
        question: Question,
        failure: Option<&FailureReport>,
    ) -> (Answer, String) {
        let id = Slug::new("a.probe").expect("a slug");
        let probe = Probe { id, name: Text::default(), question };
        let about = failure.map_or(About::Host, About::Failure);
        let found = probe::answer(self, &probe, about, now(), &mut || [7; 10]).await;
        (found.answer, found.proof)
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().expect("a time")
}

pub(crate) fn codes(observed: &Observed) -> Vec<String> {
    let code = |f: &FailureReport| f.code.as_ref().map(FailureCode::to_string).unwrap_or_default();
    let subject =
        |f: &FailureReport| f.subject.clone().map(|s| format!(" {s}")).unwrap_or_default();
    observed.failures.iter().map(|f| code(f) + &subject(f)).collect()
}

pub(crate) fn ended(observed: &Observed) -> Vec<String> {
    let code =
        |c: &Option<FailureCode>| c.as_ref().map_or("any".to_owned(), FailureCode::to_string);
    observed.recoveries.iter().map(|r| code(&r.key.code)).collect()
}

/// Looks, and calls what was found safe.
pub(crate) async fn look(live: &mut Live, host: &Host) -> Observed {
    let observed = live.poll(host, now()).await;
    live.commit().expect("kept");
    observed
}
