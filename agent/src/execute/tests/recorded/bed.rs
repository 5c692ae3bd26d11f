//! A recorded host with an agent on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmend_catalog::builtin;
use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::ids::{EvidenceId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, JobUpdate, StepState};
use fleetmend_core::knowledge::{Catalogue, Verification};
use fleetmend_core::order::{Order, Task};
use fleetmend_core::report::{FailureReport, IncidentKey, Kind, Operation, Product, Source};
use fleetmend_core::time::{Clock, ManualClock, SourceTime};
use fleetmend_core::words::Slug;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use toml::Table;

use super::super::authority::Authority;
use super::super::world::told;
use crate::collect::live::Live;
use crate::evidence_store::EvidenceStore;
use crate::execute::journal::{self, Journal, StepProgress};
use crate::execute::runner::Came;
use crate::execute::{Executor, Fittings, NaturalRun, Offered};
use crate::platform::Platform as _;
use crate::platform::recorded::hosts::{NOW, faults, healthy};
use crate::platform::recorded::{Patch, Record, Recorded, Snapshot};
use crate::probe::About;
use crate::prober::{HostProber, Prober as _};
use crate::spool::{Bounds, SharedSpool, Spool};
use crate::state::StateDir;

/// A remediation and the host that it is tried on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Row {
    pub(in super::super) remediation: Slug,
    pub(in super::super) cause: Slug,
    /// A fault among the recorded ones.
    fault: Option<String>,
    /// Else a healthy host.
    base: Option<String>,
    #[serde(default)]
    then: Table,
    #[serde(default)]
    remove: Vec<Vec<String>>,
    /// What becomes other by itself while the job waits.
    pub(in super::super) later: Option<Patch>,
    /// Values of evidence that the order names.
    #[serde(default)]
    values: BTreeMap<Slug, String>,
    /// The update that failed.
    subject: Option<String>,
    /// Steps that have nothing to do on this host.
    #[serde(default)]
    pub(in super::super) passed_over: usize,
    /// Probes of the cause that say yes before and no after, where its own is not asked.
    #[serde(default)]
    pub(in super::super) goes: Vec<Slug>,
    /// Probes of the cause that say yes before, and stay.
    #[serde(default)]
    pub(in super::super) tells: Vec<Slug>,
    /// Whether nothing on a host tells of the fault.
    #[serde(default)]
    pub(in super::super) untold: bool,
    /// The words of the failure, which some probes are asked of.
    #[serde(default)]
    message: Option<String>,
    /// Shadow copies of the system volume besides.
    #[serde(default)]
    shadow_copies: u32,
    /// Hosts on which it is refused.
    #[serde(default)]
    pub(in super::super) refused: BTreeMap<String, Other>,
}

/// What is other where it is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Other {
    #[serde(default)]
    then: Table,
    #[serde(default)]
    remove: Vec<Vec<String>>,
    #[serde(default)]
    values: BTreeMap<Slug, String>,
}

/// How a job went.
#[derive(Debug)]
pub(in super::super) struct Told {
    pub(in super::super) end: (JobState, String),
    pub(in super::super) steps_done: usize,
    pub(in super::super) undone: usize,
    /// The last step that was begun.
    pub(in super::super) reached: usize,
    /// All of it, for whoever reads a failure.
    #[expect(dead_code, reason = "shown where a test fails")]
    steps: Vec<String>,
}

pub(in super::super) struct Bed {
    dir: PathBuf,
    _temp: Option<tempfile::TempDir>,
    pub(in super::super) host: Arc<Recorded>,
    row: Row,
    values: Mutex<BTreeMap<Slug, String>>,
    pub(in super::super) clock: Arc<ManualClock>,
    authority: Authority,
    pub(in super::super) catalogue: &'static Catalogue,
}

pub(in super::super) fn rows() -> Vec<Row> {
    #[derive(Deserialize)]
    struct Rows {
        row: Vec<Row>,
    }
    let rows: Rows = toml::from_str(include_str!("rows.toml")).expect("rows");
    rows.row
}

impl Row {
    /// The host that it is tried on.
    fn record(&self) -> Record {
        let record: Record = match (&self.fault, &self.base) {
            (Some(fault), _) => faults().expect("faults")[fault].record().expect("a record"),
            (None, base) => healthy()
                .expect("hosts")
                .remove(base.as_deref().unwrap_or("windows10"))
                .expect("a host"),
        };
        let mut copies = Table::new();
        for n in 0..self.shadow_copies {
            let mut copy = Table::new();
            for (name, text) in
                [("id", format!("{{{n}}}")), ("volume", r"C:\".to_owned()), ("at", NOW.to_string())]
            {
                copy.insert(name.to_owned(), text.into());
            }
            copies.insert(format!("copy {n}"), copy.into());
        }
        let mut then = self.then.clone();
        if !copies.is_empty() {
            then.insert("shadow_copy".to_owned(), copies.into());
        }
        let patch = Patch { then, remove: self.remove.clone() };
        record.with(&patch).unwrap_or_else(|e| panic!("{}: {e}", self.remediation))
    }
}

impl Bed {
    pub(in super::super) fn new(row: &Row) -> Self {
        let temp = tempfile::tempdir().expect("temp");
        let root = temp.path().join("root");
        std::fs::create_dir(&root).expect("made");
        let host = Recorded::lay_out(row.record(), &root).expect("laid out");
        Self::on(row, temp.path().to_owned(), Some(temp), host)
    }

    /// A bed that stays when this process ends, however it ends.
    pub(in super::super) fn lasting(row: &Row, dir: &Path) -> Self {
        let host = Recorded::lasting(|| row.record(), &dir.join("root"), &dir.join("host.toml"));
        Self::on(row, dir.to_owned(), None, host.expect("laid out"))
    }

    fn on(row: &Row, dir: PathBuf, temp: Option<tempfile::TempDir>, host: Recorded) -> Self {
        std::fs::write(dir.join("ceiling.toml"), "risk = \"dangerous\"\nreboot = true")
            .expect("written");
        Self {
            host: Arc::new(host),
            row: row.clone(),
            values: Mutex::new(row.values.clone()),
            clock: Arc::new(ManualClock::at(NOW)),
            authority: Authority::new(),
            catalogue: builtin(),
            dir,
            _temp: temp,
        }
    }

    /// Makes the host one on which the remediation is refused.
    pub(in super::super) fn alter(&self, other: &Other) {
        let patch = Patch { then: other.then.clone(), remove: other.remove.clone() };
        self.host.change(&patch).expect("changed");
        self.values.lock().expect("lock").extend(other.values.clone());
    }

    /// From now on a call fails.
    pub(in super::super) fn breaks(&self, words: &str) {
        let mut call = Table::new();
        call.insert("fails".to_owned(), "broken".into());
        let mut calls = Table::new();
        calls.insert(words.to_owned(), call.into());
        let mut then = Table::new();
        then.insert("call".to_owned(), calls.into());
        self.host.change(&Patch { then, remove: Vec::new() }).expect("changed");
    }

    /// Changes the host.
    pub(in super::super) fn becomes(&self, patch: &str) {
        let then = toml::from_str(patch).expect("a patch");
        self.host.change(&Patch { then, remove: Vec::new() }).expect("changed");
    }

    /// The host has no such service.
    pub(in super::super) fn lacks_service(&self, name: &str) {
        let way = vec!["service".to_owned(), name.to_owned()];
        self.host.change(&Patch { then: Table::new(), remove: vec![way] }).expect("changed");
    }

    /// The call works again.
    pub(in super::super) fn mends(&self, words: &str) {
        let way = vec!["call".to_owned(), words.to_owned()];
        self.host.change(&Patch { then: Table::new(), remove: vec![way] }).expect("changed");
    }

    pub(in super::super) fn state(&self) -> StateDir {
        StateDir::open(&self.dir.join("state")).expect("opens")
    }

    fn prober(&self) -> HostProber {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        HostProber { platform: self.host.clone(), catalogue: self.catalogue, clock }
    }

    pub(in super::super) async fn ask(&self, probe: &Slug) -> Answer {
        if let Some(message) = &self.row.message {
            let failure = self.failure(message);
            return self.prober().ask(probe, About::Failure(&failure)).await.answer;
        }
        let value = self.values.lock().expect("lock").get(probe).cloned();
        self.prober().ask(probe, About::again(value.as_ref())).await.answer
    }

    fn failure(&self, message: &str) -> FailureReport {
        let IncidentKey { product, operation, code, subject } = self.key();
        FailureReport {
            product,
            operation,
            code,
            subject,
            symbol: None,
            kind: Kind::Failure,
            time: SourceTime::utc(NOW),
            source: Source::WindowsUpdate,
            provider: None,
            event_id: None,
            record_id: None,
            line: None,
            count: None,
            update_class: None,
            message: message.to_owned(),
        }
    }

    /// A new executor over the same disk: what an agent is after it was stopped.
    pub(in super::super) fn executor(&self) -> Executor {
        let state = self.state();
        let settled = Live::settled(&state.dir("collect").expect("made"));
        let folder = state.dir("spool").expect("made");
        let spool = Spool::open_with(&folder, Bounds::default(), settled, NOW).expect("opens");
        Executor::open(Fittings {
            host: HostId::at(NOW, [1; 10]),
            looks: Arc::default(),
            platform: self.host.clone(),
            prober: Arc::new(self.prober()),
            catalogue: self.catalogue,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            spool: SharedSpool::new(spool),
            evidence: Arc::new(Mutex::new(EvidenceStore::open(&state))),
            ceiling_file: self.dir.join("ceiling.toml"),
            state,
            recheck_every: Duration::from_millis(5),
        })
        .expect("opens")
    }

    pub(in super::super) fn offer(&self, executor: &Executor) {
        let order = self.order(executor);
        executor.offer(&self.authority.key(), &self.authority.sign(&order));
    }

    /// Offers any order, with a counter that is new to the agent.
    pub(in super::super) fn offer_as(&self, executor: &Executor, order: Order) -> Offered {
        let order = Order { counter: executor.highest_counter() + 1, ..order };
        executor.offer(&self.authority.key(), &self.authority.sign(&order))
    }

    /// The order of the row's remediation.
    pub(in super::super) fn order(&self, executor: &Executor) -> Order {
        let remediation = &self.catalogue.remediations[&self.row.remediation];
        let mut evidence = Vec::new();
        for (n, (probe, value)) in (1u8..).zip(self.values.lock().expect("lock").iter()) {
            let id = EvidenceId::at(NOW, [n; 10]);
            let mut found =
                Finding::new(Answer::Yes, "found").into_evidence(id, probe.clone(), NOW);
            found.value = Some(value.clone());
            let mut store = executor.shop.evidence.lock().expect("lock");
            store.remember(&[found]).expect("kept");
            evidence.push(id);
        }
        Order {
            host: HostId::at(NOW, [1; 10]),
            job: JobId::at(NOW, [7; 10]),
            attempt: 1,
            incident: IncidentId::at(NOW, [3; 10]),
            key: self.key(),
            cause: self.row.cause.clone(),
            remediation: remediation.id.clone(),
            version: remediation.version,
            digest: remediation.digest(),
            evidence,
            counter: 1,
            not_before: NOW,
            expires: NOW.after(Duration::from_hours(1)),
            task: Task::Remediate,
            begin_in: Vec::new(),
            reboot: RebootPolicy::Anytime,
            max_deferrals: 0,
            notice_seconds: 0,
        }
    }

    pub(in super::super) fn key(&self) -> IncidentKey {
        IncidentKey {
            product: Product::WindowsUpdate,
            operation: Operation::Install,
            code: None,
            subject: self.row.subject.clone(),
        }
    }

    /// Orders the remediation and works until nothing is left; the next natural run of the operation
    /// works, or does not.
    pub(in super::super) async fn run(&self, works: bool) -> Told {
        let executor = self.executor();
        self.offer(&executor);
        let updates = tokio::select! {
            updates = self.work(executor, works) => updates,
            () = self.later(JobId::at(NOW, [7; 10])) => unreachable!("it never ends"),
        };
        summed(&updates)
    }

    /// What becomes other by itself, once a step of the job waits for it. Never ends.
    pub(in super::super) async fn later(&self, job: JobId) {
        if let Some(patch) = &self.row.later {
            let journal = self.state().join("journal").join(journal::name(job, 1));
            let begun = |step: &StepProgress| matches!(step, StepProgress::Intent { .. });
            let waits = || {
                let progress = Journal::read(&journal).ok().flatten();
                progress.is_some_and(|progress| progress.steps.iter().any(begun))
            };
            while !waits() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            self.host.change(patch).expect("changed");
        }
        std::future::pending::<()>().await;
    }

    pub(in super::super) async fn work(
        &self,
        mut executor: Executor,
        works: bool,
    ) -> Vec<JobUpdate> {
        let stop = CancellationToken::new();
        let mut updates = Vec::new();
        for _ in 0..4 {
            let Some(journal) = executor.queue().pop_front() else { break };
            let path = journal.path().to_owned();
            let boot = self.boot();
            let came = tokio::select! {
                came = executor.work(journal, &stop) => Some(came.expect("journal written")),
                // A restart ends the agent with all else.
                () = self.restarted(&boot) => None,
            };
            if came == Some(Came::Waits) {
                let remediation = &self.catalogue.remediations[&self.row.remediation];
                assert_eq!(remediation.verification, Verification::NextRun);
                self.clock.advance(Duration::from_mins(1));
                executor.saw([NaturalRun {
                    key: self.key(),
                    at: self.clock.now(),
                    worked: works,
                    by_state: false,
                    words: "seen".to_owned(),
                }]);
                let journal = Journal::reopen(&path).expect("read");
                executor.queue().push_back(journal.expect("there"));
            } else if came.is_none() {
                updates.extend(told(&executor));
                drop(executor);
                executor = self.executor();
            }
        }
        updates.extend(told(&executor));
        updates
    }

    pub(in super::super) async fn restarted(&self, boot: &str) {
        while self.boot() == boot {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(in super::super) fn boot(&self) -> String {
        self.host.facts().expect("facts").boot_id
    }

    pub(in super::super) fn snapshot(&self) -> Snapshot {
        self.host.snapshot().expect("a snapshot")
    }

    pub(in super::super) fn done(&self) -> Vec<String> {
        self.host.done()
    }

    /// Services that run.
    pub(in super::super) fn services(&self) -> BTreeSet<String> {
        let services = self.snapshot().record.service;
        services.into_iter().filter(|(_, seen)| seen.runs()).map(|(name, _)| name).collect()
    }

    /// Whether the firewall is on and nothing is left out of scanning.
    pub(in super::super) fn is_protected(&self) -> bool {
        let record = self.snapshot().record;
        record.firewall.is_some_and(|f| f.values().all(|on| *on))
            && record.antivirus_excluded.is_empty()
    }

    /// What is other than it was, in words. Files are compared as they lie there, and who answers on
    /// the network is not the host's.
    pub(in super::super) fn difference(&self, before: &Snapshot) -> Vec<String> {
        let now = self.snapshot();
        let mut other = Vec::new();
        let text = |s: &Snapshot| {
            let mut record = s.record.clone();
            (record.file, record.folder, record.reaches) = Default::default();
            toml::to_string(&record).expect("text")
        };
        let (was, is) = (text(before), text(&now));
        let lines = |a: &str, b: &str| -> Vec<String> {
            a.lines().filter(|l| !b.lines().any(|o| o == *l)).map(str::to_owned).collect()
        };
        other.extend(lines(&was, &is).into_iter().map(|l| format!("gone: {l}")));
        other.extend(lines(&is, &was).into_iter().map(|l| format!("new: {l}")));
        for path in before.files.keys().filter(|p| !now.files.contains_key(*p)) {
            other.push(format!("gone: file {path}"));
        }
        for path in now.files.keys().filter(|p| !before.files.contains_key(*p)) {
            other.push(format!("new: file {path}"));
        }
        other
    }
}

pub(in super::super) fn summed(updates: &[JobUpdate]) -> Told {
    let reports = || updates.iter().filter_map(|u| u.step.as_ref());
    let in_state = |wanted: &[StepState]| {
        let steps: BTreeSet<u32> =
            reports().filter(|r| wanted.contains(&r.state)).map(|r| r.index).collect();
        steps.len()
    };
    let last = updates.iter().rfind(|u| u.state.is_final());
    let last = last.unwrap_or_else(|| panic!("no end: {updates:#?}"));
    Told {
        end: (last.state, last.detail.clone()),
        steps_done: in_state(&[StepState::Done]),
        undone: in_state(&[StepState::Undone]),
        reached: reports().map(|r| r.index as usize).max().unwrap_or(0),
        steps: reports().map(|r| format!("{} {}: {}", r.title, r.state, r.detail)).collect(),
    }
}
