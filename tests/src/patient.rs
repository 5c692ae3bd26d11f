//! A host that keeps falling ill while its agent is killed: packages break and are repaired by
//! ordered jobs, and a log tells of failures that must each arrive once.
//!
//! Two hands hold it. The *doctor* breaks, orders and awaits over REST, and notes what came of each
//! job. The *killer* starts and ends the agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::agent::ENDS;
use crate::api::Api;
use crate::disk::SmallDisk;
use crate::mini::{AGENT, MiniRoot, STATE};
use crate::programs::{Running, must};
use crate::server::Server;

/// Time for a job to come to its end once nothing is killed any more.
pub const FINAL_WITHIN: Duration = Duration::from_mins(1);
/// Time for anything else that the doctor awaits. While a server dies every second its agents try
/// twice a minute, and no progress is promised: this only ends a test that hangs.
const AWAIT: Duration = Duration::from_mins(5);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(40);

/// One job, as the doctor saw it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The cycle in which it was ordered.
    pub cycle: u64,
    /// The step whose effect is counted: `configure` or `clean`.
    pub step: &'static str,
    /// The job.
    pub job: String,
    /// Its end.
    pub state: String,
    /// In words.
    pub detail: String,
}

/// What the hands of one patient share.
#[derive(Debug)]
pub struct Patient {
    // Before the folder that it lies in.
    disk: Option<SmallDisk>,
    /// Its machine.
    pub root: MiniRoot,
    name: String,
    host: String,
    logs: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    cases: Vec<Case>,
    caused: Vec<String>,
    wrong: Vec<String>,
}

/// What all the patients of a test came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Jobs by their end.
    pub ends: BTreeMap<String, u32>,
    /// Jobs that ended *unknown* although their step had come to its end, or had not begun.
    pub needless_unknown: u32,
    /// Steps that were run.
    pub steps: u32,
    /// Failures that the logs told of.
    pub failures: usize,
}

/// Lets a doctor care for each patient while `work` is done. They stop with it, also when it panics:
/// a test that fails must not wait for doctors who work on.
pub fn cared_for<R>(patients: &[Patient], api: &Api, work: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _at_the_end = RaisedAtEnd(&stop);
        for patient in patients {
            scope.spawn(|| patient.care(api, &stop));
        }
        work()
    })
}

/// What all the patients came to, and all that is wrong.
pub fn verdicts(patients: &[Patient], api: &Api) -> (Tally, Vec<String>) {
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for patient in patients {
        let (one, more) = patient.verdict(api);
        tally.add(&one);
        wrong.extend(more);
    }
    (tally, wrong)
}

/// A flag that is raised at the end of its scope, whichever way it is left.
#[derive(Debug)]
pub struct RaisedAtEnd<'a>(pub &'a AtomicBool);

impl Drop for RaisedAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Patient {
    /// Makes a machine and enrols it; `None` (and *skipped* said) where roots cannot be entered.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn enrol(server: &Server, name: &str) -> Option<Self> {
        Some(Self::enrol_in(MiniRoot::create()?, None, server, name))
    }

    /// So many machines, `patient-0` and on; `None` where roots cannot be entered.
    ///
    /// # Panics
    /// Where the server refuses one.
    pub fn enrol_many(server: &Server, count: u32) -> Option<Vec<Self>> {
        (0..count).map(|n| Self::enrol(server, &format!("patient-{n}"))).collect()
    }

    /// The same with a disk of so many kilobytes for all that its agent keeps.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn enrol_on_disk(server: &Server, name: &str, kilobytes: u32) -> Option<Self> {
        let root = MiniRoot::create()?;
        std::fs::create_dir_all(root.at(STATE)).expect("a folder");
        let disk = SmallDisk::make_at(&root.at(STATE), kilobytes)?;
        Some(Self::enrol_in(root, Some(disk), server, name))
    }

    fn enrol_in(root: MiniRoot, disk: Option<SmallDisk>, server: &Server, name: &str) -> Self {
        let token = server.enrollment_token(&[]);
        must(
            root.command(AGENT)
                .args(["enroll", "--server", &server.agents, "--token", &token])
                .args(["--name", name]),
        );
        let hosts = server.api().all("/api/v1/hosts");
        let host = hosts.iter().find(|h| h["name"] == name);
        let host = host.and_then(|h| h["id"].as_str());
        let host = host.unwrap_or_else(|| panic!("no host {name}: {hosts:?}")).to_owned();
        let name = name.to_owned();
        Self { disk, root, name, host, logs: AtomicU64::new(0), notes: Mutex::default() }
    }

    /// The disk of its agent, where it has one of its own.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// Its host's id.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Starts its agent, with further variables.
    pub fn start(&self, variables: &[(&str, &str)]) -> Running {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.log(number);
        // The last few are enough to see how it came to a defect.
        if let Some(old) = number.checked_sub(6) {
            let _ = std::fs::remove_file(self.log(old));
        }
        let mut run = self.root.command(AGENT);
        run.envs(variables.iter().copied()).arg("run");
        Running::start(&mut run, &log)
    }

    fn log(&self, number: u64) -> PathBuf {
        self.root.at(format!("/lab/agent-{number}.log"))
    }

    /// How often a counted step was begun so far.
    pub fn steps(&self) -> u32 {
        let effects = self.root.effects();
        effects.iter().filter(|(line, _)| line.contains(" begin ")).map(|(_, times)| times).sum()
    }

    /// Waits for the next step to begin, as long as this; whether one did.
    pub fn next_step(&self, within: Duration) -> bool {
        let (before, until) = (self.steps(), Instant::now() + within);
        while self.steps() == before {
            if Instant::now() > until {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(8));
        }
        true
    }

    /// The doctor's work: one cycle after the other until `stop`; the last one is brought to its end.
    fn care(&self, api: &Api, stop: &AtomicBool) {
        let mut cycle = 0;
        while !stop.load(Ordering::Relaxed) {
            cycle += 1;
            let told: Vec<String> =
                (0..3).map(|n| format!("{}-log-{cycle}-{n}", self.name)).collect();
            self.root.fail(&told);
            self.notes().caused.extend(told);
            if let Err(why) = self.one(api, cycle, stop) {
                self.notes().wrong.push(format!("{}, cycle {cycle}: {why}", self.name));
                return;
            }
        }
    }

    fn one(&self, api: &Api, cycle: u64, stop: &AtomicBool) -> Result<(), String> {
        let (step, remediation, path, subject) = if cycle.is_multiple_of(3) {
            self.root.damage_lists(cycle);
            ("clean", "apt.refresh_lists", "code=apt.hash_mismatch", Value::Null)
        } else {
            self.root.break_package(cycle);
            let subject = json!(format!("cycle-{cycle}"));
            ("configure", "apt.configure_pending", "code=apt.half_installed", subject)
        };
        let path = format!("/api/v1/incidents?host={}&{path}&limit=1000", self.host);
        let open = ["open", "remediating", "verifying", "recurred"];
        let incident = wait("the incident", AWAIT, || {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (_, found) = api.try_get(&path)?;
            let found = found["items"].as_array().cloned().unwrap_or_default();
            let this = found
                .iter()
                .find(|i| i["subject"] == subject && open.iter().any(|state| i["state"] == *state));
            let id = this.and_then(|i| i["id"].as_str());
            id.map(|id| Some(id.to_owned())).ok_or_else(|| format!("{path}: {found:?}"))
        })?;
        let Some(incident) = incident else {
            self.root.mend();
            return Ok(());
        };
        let wish = json!({
            "max_risk": "disruptive", "remediation": remediation, "reason": format!("cycle {cycle}")
        });
        let order = format!("/api/v1/incidents/{incident}/remediate");
        let jobs = format!("/api/v1/hosts/{}/jobs?limit=20", self.host);
        let reason = format!("cycle {cycle}");
        let job = wait("an order", AWAIT, || {
            // An answer may have been lost on its way: there is one job a cycle, so it is looked for.
            let (status, known) = api.try_get(&jobs)?;
            if status != 200 {
                return Err(known.to_string());
            }
            let known = known["items"].as_array().cloned().unwrap_or_default();
            let ours = known.iter().find(|j| j["reason"] == *reason);
            if let Some(id) = ours.and_then(|j| j["id"].as_str()) {
                return Ok(id.to_owned());
            }
            let (status, made) = api.try_post(&order, &wish)?;
            if status != 201 {
                return Err(format!("{status} {made}"));
            }
            made["id"].as_str().map(str::to_owned).ok_or_else(|| made.to_string())
        })?;
        let mut calm: Option<Instant> = None;
        let ended = wait("the job's end", Duration::from_mins(10), || {
            if stop.load(Ordering::Relaxed) {
                let since = calm.get_or_insert_with(Instant::now).elapsed();
                if since > FINAL_WITHIN {
                    return Ok(None);
                }
            }
            let (_, job) = api.try_get(&format!("/api/v1/jobs/{job}"))?;
            let ended = ENDS.iter().any(|end| job["state"] == *end);
            if ended { Ok(Some(job)) } else { Err(job.to_string()) }
        })?;
        let Some(ended) = ended else {
            let now = api.try_get(&format!("/api/v1/jobs/{job}"));
            return Err(format!(
                "job {job} is not final {FINAL_WITHIN:?} after the last restart: {now:?}"
            ));
        };
        let text = |name: &str| ended[name].as_str().unwrap_or_default().to_owned();
        self.notes().cases.push(Case {
            cycle,
            step,
            job,
            state: text("state"),
            detail: text("detail"),
        });
        self.root.mend();
        Ok(())
    }

    /// Checks what came of it all, with the server and the agent up: each failure of the log arrived
    /// once, no step ran twice, every job is over. What is wrong is said, not panicked about.
    pub fn verdict(&self, api: &Api) -> (Tally, Vec<String>) {
        let (cases, caused, mut wrong) = {
            let notes = self.notes();
            (notes.cases.clone(), notes.caused.clone(), notes.wrong.clone())
        };
        let last = format!("{}-log-last", self.name);
        self.root.fail(std::slice::from_ref(&last));
        let mut caused = caused;
        caused.push(last.clone());
        let path = format!("/api/v1/reports?host={}&code=apt.maintainer_script", self.host);
        let kb = format!("{path}&kb={last}");
        let arrived = wait("the last report", FINAL_WITHIN, || {
            let (_, found) = api.try_get(&kb)?;
            let some = found["items"].as_array().is_some_and(|items| !items.is_empty());
            if some { Ok(()) } else { Err(found.to_string()) }
        });
        if let Err(why) = arrived {
            wrong.push(format!("{}: {why}", self.name));
        }
        let mut arrived: BTreeMap<String, u32> = BTreeMap::new();
        for report in api.all(&path) {
            let subject = report["subject"].as_str().unwrap_or_default().to_owned();
            *arrived.entry(subject).or_default() += 1;
        }
        let lost: Vec<_> = caused.iter().filter(|s| !arrived.contains_key(*s)).collect();
        if !lost.is_empty() {
            wrong.push(format!("{}: {} failures lost: {lost:?}", self.name, lost.len()));
        }
        let doubled: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
        if !doubled.is_empty() {
            wrong.push(format!("{}: {} failures doubled: {doubled:?}", self.name, doubled.len()));
        }
        let effects = self.root.effects();
        for (line, times) in effects.iter().filter(|(_, times)| **times > 1) {
            wrong.push(format!("{}: a step was run {times} times: {line}", self.name));
        }
        let jobs = api.all(&format!("/api/v1/hosts/{}/jobs", self.host));
        for job in jobs.iter().filter(|j| !ENDS.iter().any(|end| j["state"] == *end)) {
            wrong.push(format!("{}: a job is not over: {job}", self.name));
        }
        let mut tally = Tally { failures: caused.len(), ..Tally::default() };
        for case in &cases {
            *tally.ends.entry(case.state.clone()).or_default() += 1;
            let begun = effects.contains_key(&format!("{} begin {}", case.step, case.cycle));
            let ended = effects.contains_key(&format!("{} end {}", case.step, case.cycle));
            if case.state == "unknown" && begun == ended {
                tally.needless_unknown += 1;
            }
            if case.state == "fixed" && !ended {
                wrong.push(format!(
                    "{}: called fixed, and its step never ended: {case:?}",
                    self.name
                ));
            }
        }
        tally.steps =
            effects.keys().filter(|l| l.contains(" begin ")).count().try_into().unwrap_or(0);
        (tally, wrong)
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (end, times) in &other.ends {
            *self.ends.entry(end.clone()).or_default() += times;
        }
        self.needless_unknown += other.needless_unknown;
        self.steps += other.steps;
        self.failures += other.failures;
    }

    /// Jobs that came to an end.
    pub fn jobs(&self) -> u32 {
        self.ends.values().sum()
    }
}

/// Like [`crate::wait_for`], for hands that may not panic: says what was last seen.
fn wait<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + within;
    loop {
        match look() {
            Ok(seen) => return Ok(seen),
            Err(last) if Instant::now() >= deadline => {
                return Err(format!("waited {within:?} for {what}; last: {last}"));
            }
            Err(_) => std::thread::park_timeout(LOOK),
        }
    }
}
