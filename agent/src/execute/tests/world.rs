//! A machine in a temporary folder, a server's keys, a small catalogue, and an executor over them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::{EvidenceId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, JobUpdate};
use fleetmend_core::knowledge::{
    Catalogue, Cause, Indication, RebootNeed, Remediation, Risk, Strength, Text, Verification,
};
use fleetmend_core::order::{Order, Task};
use fleetmend_core::report::{IncidentKey, Operation, Product};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::{Action, Base, Place, Step, Tool};
use fleetmend_core::time::{Clock, ManualClock, Timestamp};
use fleetmend_core::words::Slug;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::machine::{Answers, FakeMachine, Mended};
use crate::collect::live::Live;
use crate::evidence_store::EvidenceStore;
use crate::execute::{Executor, Fittings};
use crate::looks::Looks;
use crate::platform::Platform;
use crate::prober::Prober;
use crate::spool::{Bounds, SharedSpool, Spool};
use crate::state::StateDir;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(super) fn slug(text: &str) -> Slug {
    Slug::new(text).expect("valid")
}

pub(super) fn step(action: Action) -> Step {
    Step { action, timeout_s: 20, always: false }
}

pub(super) fn below(path: &str) -> Place {
    Place::Below { base: Base::VarLib, path: path.to_owned() }
}

pub(super) fn rename(path: &str) -> Step {
    step(Action::FileRename { place: below(path) })
}

pub(super) fn tool(tool: Tool) -> Step {
    step(Action::ToolRun { tool, value_from: None })
}

pub(super) struct World {
    _temp: Option<tempfile::TempDir>,
    dir: PathBuf,
    pub(super) prober: Option<Arc<dyn Prober>>,
    pub(super) machine: Arc<FakeMachine>,
    pub(super) answers: Arc<Answers>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) authority: Authority,
    pub(super) catalogue: &'static Catalogue,
    pub(super) host: HostId,
    pub(super) looks: Arc<Looks>,
}

impl World {
    /// A world with one remediation of these steps, against the cause `test.cause`, proved by its
    /// own probe `test.fault`. The fault is there at first and gone when it is looked at again.
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self::with(|remediation| remediation.steps = steps)
    }

    pub(super) fn with(change: impl FnOnce(&mut Remediation)) -> Self {
        let temp = tempfile::tempdir().expect("temp");
        let root = temp.path().join("root");
        let world = Self::on(temp.path(), &root, false, change);
        Self { _temp: Some(temp), ..world }
    }

    /// A world whose state and machine stay when this process ends, however it ends.
    pub(super) fn lasting(dir: &Path, steps: Vec<Step>) -> Self {
        Self::on(dir, &dir.join("root"), true, |remediation| remediation.steps = steps)
    }

    /// A world whose state is in `dir` and whose machine is in `root`.
    pub(super) fn on(
        dir: &Path,
        root: &Path,
        lasting: bool,
        change: impl FnOnce(&mut Remediation),
    ) -> Self {
        for folder in ["usr/bin", "var/lib/pkg", "etc"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        for program in ["dpkg", "apt-get", "systemctl"] {
            fs::write(root.join("usr/bin").join(program), "").expect("made");
        }
        let effects = dir.join("effects");
        let machine = Arc::new(FakeMachine {
            root: root.to_owned(),
            effects: lasting.then(|| effects.clone()),
            fill: Mutex::default(),
            people: Mutex::default(),
            slow: Mutex::default(),
            calls: Mutex::default(),
            answers: Mutex::default(),
            running: Mutex::default(),
            invocation: AtomicU32::new(7),
            boot: Mutex::new("boot-1".to_owned()),
        });
        let world = Self {
            machine,
            answers: Arc::default(),
            clock: Arc::new(ManualClock::at(NOW)),
            authority: Authority::new(),
            catalogue: Box::leak(Box::new(catalogue(change))),
            host: HostId::at(NOW, [1; 10]),
            prober: lasting.then(|| Arc::new(Mended(effects)) as Arc<dyn Prober>),
            dir: dir.to_owned(),
            _temp: None,
            looks: Arc::default(),
        };
        world.answer("test.fault", &[Answer::Yes, Answer::No]);
        world.ceiling("risk = \"dangerous\"\nreboot = true");
        world
    }

    /// The same host whose agent has the remediation in another version.
    pub(super) fn with_version(&self, version: u32) -> Self {
        let root = self.machine.root.clone();
        let newer = Self::on(&self.dir, &root, false, |remediation| remediation.version = version);
        Self { host: self.host, ..newer }
    }

    /// What the clock says.
    pub(super) fn clock(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn answer(&self, probe: &str, answers: &[Answer]) {
        self.answers.0.lock().expect("lock").insert(slug(probe), answers.to_vec());
    }

    pub(super) fn ceiling(&self, text: &str) {
        fs::write(self.ceiling_file(), text).expect("written");
    }

    pub(super) fn ceiling_file(&self) -> PathBuf {
        self.dir.join("ceiling.toml")
    }

    pub(super) fn state(&self) -> StateDir {
        StateDir::open(&self.dir.join("state")).expect("opens")
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.machine.root.join(path)
    }

    pub(super) fn write(&self, path: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below")).expect("made");
        fs::write(path, "kept").expect("written");
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.machine.calls.lock().expect("lock").clone()
    }

    pub(super) fn remember(&self, evidence: &Evidence) {
        let mut store = EvidenceStore::open(&self.state());
        store.remember(std::slice::from_ref(evidence)).expect("kept");
    }

    /// A new executor over the same disk: what an agent is after a crash.
    pub(super) fn executor(&self) -> Executor {
        let state = self.state();
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let settled = Live::settled(&state.dir("collect").expect("made"));
        let folder = state.dir("spool").expect("made");
        let spool = Spool::open_with(&folder, Bounds::default(), settled, NOW).expect("opens");
        let answers = Arc::clone(&self.answers) as Arc<dyn Prober>;
        Executor::open(Fittings {
            host: self.host,
            platform: Arc::clone(&self.machine) as Arc<dyn Platform>,
            prober: self.prober.clone().unwrap_or(answers),
            catalogue: self.catalogue,
            clock,
            spool: SharedSpool::new(spool),
            evidence: Arc::new(Mutex::new(EvidenceStore::open(&state))),
            state,
            ceiling_file: self.ceiling_file(),
            recheck_every: Duration::from_millis(1),
            looks: Arc::clone(&self.looks),
        })
        .expect("opens")
    }

    pub(super) fn order(&self, counter: u64) -> Order {
        let remediation = self.catalogue.remediations.values().next().expect("one");
        Order {
            host: self.host,
            job: JobId::at(NOW, [u8::try_from(counter).expect("small"); 10]),
            attempt: 1,
            incident: IncidentId::at(NOW, [3; 10]),
            key: IncidentKey {
                product: Product::Apt,
                operation: Operation::Install,
                code: None,
                subject: None,
            },
            cause: slug("test.cause"),
            remediation: remediation.id.clone(),
            version: remediation.version,
            digest: remediation.digest(),
            evidence: Vec::<EvidenceId>::new(),
            counter,
            not_before: NOW,
            expires: NOW.after(Duration::from_hours(1)),
            task: Task::Remediate,
            begin_in: Vec::new(),
            reboot: RebootPolicy::Anytime,
            max_deferrals: 0,
            notice_seconds: 0,
        }
    }

    /// Offers an order and works until nothing is left; gives what was told.
    pub(super) async fn run(&self, order: &Order) -> Vec<JobUpdate> {
        let executor = self.executor();
        executor.offer(&self.authority.key(), &self.authority.sign(order));
        settle(&executor).await;
        told(&executor)
    }
}

/// Works through all jobs.
pub(super) async fn settle(executor: &Executor) {
    let stop = CancellationToken::new();
    loop {
        let Some(journal) = executor.queue().pop_front() else { return };
        executor.work(journal, &stop).await.expect("journal written");
    }
}

/// All updates in the spool.
pub(super) fn told(executor: &Executor) -> Vec<JobUpdate> {
    let mut spool = executor.shop.spool.lock();
    spool.rollback();
    let mut updates = Vec::new();
    while let Some(lease) = spool.lease(100, NOW) {
        updates.extend(lease.items.into_iter().filter_map(|item| match item {
            SpoolItem::Job(update) => Some(*update),
            _ => None,
        }));
    }
    updates
}

/// The job's end.
pub(super) fn end(updates: &[JobUpdate]) -> (JobState, String) {
    let last = updates.iter().rfind(|u| u.state.is_final()).expect("an end");
    (last.state, last.detail.clone())
}

fn catalogue(change: impl FnOnce(&mut Remediation)) -> Catalogue {
    let mut remediation = Remediation {
        id: slug("test.repair"),
        version: 3,
        os: OsFamily::Linux,
        name: Text::default(),
        explanation: Text::default(),
        risk: Risk::Safe,
        reboot: RebootNeed::Never,
        minutes: 1,
        network: fleetmend_core::knowledge::NetworkCost::None,
        authorities: Vec::new(),
        steps: Vec::new(),
        guide: Vec::new(),
        verification: Verification::OwnProbe,
        blockers: vec![slug("test.blocker")],
        unproven: false,
        seeds: Vec::new(),
    };
    change(&mut remediation);
    let cause = Cause {
        id: slug("test.cause"),
        name: Text::default(),
        explanation: Text::default(),
        indications: vec![Indication {
            probe: slug("test.fault"),
            yes: Strength::Decisive,
            no: Strength::DecisiveAgainst,
            source: String::new(),
        }],
        own_probe: Some(slug("test.fault")),
        remediations: vec![remediation.id.clone()],
        retries: Vec::new(),
        products: Vec::new(),
        seeds: Vec::new(),
    };
    let other = Cause { id: slug("test.other"), remediations: Vec::new(), ..cause.clone() };
    Catalogue {
        causes: [cause, other].into_iter().map(|c| (c.id.clone(), c)).collect(),
        remediations: [(remediation.id.clone(), remediation)].into(),
        ..Catalogue::default()
    }
}
