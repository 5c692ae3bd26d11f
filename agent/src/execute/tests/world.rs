//! A machine in a temporary folder, a server's keys, a small catalogue, and an executor over them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::host::{HostFacts, OsFamily};
use fleetmend_core::ids::{EvidenceId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, JobUpdate};
use fleetmend_core::knowledge::{
    Catalogue, Cause, RebootNeed, Remediation, Risk, Text, Verification,
};
use fleetmend_core::order::{Envelope, Order, Task, signing_input};
use fleetmend_core::report::{IncidentKey, Operation, Product};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::{Action, Base, Place, Step, Tool};
use fleetmend_core::time::{Clock, ManualClock, Timestamp};
use fleetmend_core::words::Slug;
use fleetmend_proto::trust::ORDER_KEY_USAGE;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::collect::live::Live;
use crate::evidence_store::EvidenceStore;
use crate::execute::{Executor, Fittings};
use crate::looks::Looks;
use crate::order::OrderKey;
use crate::platform::{Exit, Platform, Power, Program, Session};
use crate::probe::About;
use crate::prober::Prober;
use crate::random;
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

/// The keys of a server: root, and an order key that it certified.
pub(super) struct Authority {
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    order_key: KeyPair,
    order_certificate: Vec<u8>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("signed").der().to_vec();
        let issuer = Issuer::new(params, key);
        let order_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
        let mut authority = Self { root, issuer, order_key, order_certificate: Vec::new() };
        authority.order_certificate = authority.certify(Some(ORDER_KEY_USAGE), (2020, 2100));
        authority
    }

    pub(super) fn certify(&self, usage: Option<&[u8]>, years: (i32, i32)) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("params");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        match usage {
            Some(oid) => {
                let size = u8::try_from(oid.len()).expect("short");
                let mut der = vec![0x30, size + 2, 0x06, size];
                der.extend_from_slice(oid);
                let usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], der);
                params.custom_extensions.push(usage);
            }
            None => params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth),
        }
        params.signed_by(&self.order_key, &self.issuer).expect("signed").der().to_vec()
    }

    pub(super) fn pin(&self) -> [u8; 32] {
        Sha256::digest(&self.root).into()
    }

    pub(super) fn key(&self) -> OrderKey {
        self.key_by(self.order_certificate.clone(), self.pin())
    }

    pub(super) fn key_by(&self, certificate: Vec<u8>, pin: [u8; 32]) -> OrderKey {
        OrderKey::new(vec![certificate, self.root.clone()], pin)
    }

    pub(super) fn sign(&self, order: &Order) -> Envelope {
        self.sign_by(order, &self.order_certificate)
    }

    pub(super) fn sign_by(&self, order: &Order, certificate: &[u8]) -> Envelope {
        use rcgen::SigningKey as _;
        let payload = fleetmend_proto::encode_order(order);
        let key_id = hex::encode(Sha256::digest(certificate));
        let signature = self.order_key.sign(&signing_input(&key_id, &payload)).expect("signed");
        Envelope { payload, key_id, signature }
    }
}

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
    root: PathBuf,
    /// Every call, as `path arg arg`.
    pub(super) calls: Mutex<Vec<String>>,
    /// What a call gives, by the end of its words; exit 0 without output otherwise.
    pub(super) answers: Mutex<BTreeMap<String, (i32, String)>>,
    /// Services that run.
    pub(super) running: Mutex<Vec<String>>,
    /// The invocation that every service shows; another one after each start of one that did not
    /// run.
    invocation: AtomicU32,
    pub(super) boot: Mutex<String>,
    /// Where each call is noted for whoever comes after this process.
    effects: Option<PathBuf>,
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
            [verb] => {
                self.calls.lock().expect("lock").push(verb.clone());
                self.note(verb).expect("written");
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
struct Mended(PathBuf);

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

pub(super) struct World {
    _temp: Option<tempfile::TempDir>,
    dir: PathBuf,
    prober: Option<Arc<dyn Prober>>,
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
        indications: Vec::new(),
        own_probe: Some(slug("test.fault")),
        remediations: vec![remediation.id.clone()],
        retries: Vec::new(),
        seeds: Vec::new(),
    };
    let other = Cause { id: slug("test.other"), remediations: Vec::new(), ..cause.clone() };
    Catalogue {
        causes: [cause, other].into_iter().map(|c| (c.id.clone(), c)).collect(),
        remediations: [(remediation.id.clone(), remediation)].into(),
        ..Catalogue::default()
    }
}
