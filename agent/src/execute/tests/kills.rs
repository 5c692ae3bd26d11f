//! Kills at every entry of the journal, before and after it is written, with the host restarted under
//! the job now and then: a child process works on a job and is aborted, again and again, by a seed.
//! Whatever was the last entry, no step is done twice, and every job comes to its end.
//!
//! `FLEETMEND_TORTURE_JOB_KILLS` (60 unless set) says how many, `FLEETMEND_TORTURE_SEED` which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::job::JobState;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::step::{Action, Tool};
use fleetmend_core::time::Clock as _;
use fleetmend_faults::Point;
use tokio_util::sync::CancellationToken;

use super::recorded::bed::{Bed, Row, rows};
use super::world::{NOW, World, rename, step, tool};
use crate::execute::journal::{self, Journal};
use crate::execute::runner::Came;
use crate::execute::{Executor, NaturalRun};

const FOLDER: &str = "FLEETMEND_TEST_KILLS_FOLDER";
const SCENARIO: &str = "FLEETMEND_TEST_KILLS_SCENARIO";
const BOOT: &str = "FLEETMEND_TEST_KILLS_BOOT";
/// How a child ends whose host restarted.
const RESTARTED: i32 = 75;
/// How long an agent may work at a job before it hangs.
const PATIENCE: Duration = Duration::from_mins(1);
/// Starts of an agent after which a job must be over, however often it was killed.
const STARTS: u32 = 24;

/// What is killed: on a Linux host, or a remediation on its recorded Windows host; the repair, its
/// undo afterwards, or a proof alone.
const SCENARIOS: [&str; 12] = [
    "linux repair",
    "linux undo",
    "linux verify",
    "fix_wimmount_imagepath repair",
    "fix_wimmount_imagepath undo",
    "detach_mounted_volume.fat repair",
    "detach_mounted_volume.fat undo",
    "reset_txf_log repair",
    "exclude_update_folders_briefly repair",
    "retry_backup.windows_backup repair",
    "clear_update_cache repair",
    "clear_update_cache undo",
];

/// The life of an agent. Does nothing unless a parent asks for it.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(FOLDER).map(PathBuf::from) else { return };
    let scenario = std::env::var(SCENARIO).expect("a scenario");
    let (what, task) = scenario.split_once(' ').expect("two words");
    let undoes = task == "undo" && std::env::var("FLEETMEND_TEST_KILLS_FIRST").is_err();
    let kind = match task {
        "verify" => Task::Verify,
        "undo" if undoes => Task::Undo { job: first(), attempt: 1 },
        _ => Task::Remediate,
    };
    if what == "linux" { on_linux(&dir, kind).await } else { on_windows(&dir, what, kind).await }
}

fn first() -> JobId {
    JobId::at(NOW, [7; 10])
}

fn second() -> JobId {
    JobId::at(NOW.after(Duration::from_secs(1)), [8; 10])
}

/// The job of a task.
fn job_of(task: Task) -> JobId {
    if matches!(task, Task::Undo { .. }) { second() } else { first() }
}

async fn on_linux(dir: &Path, task: Task) {
    let steps = vec![
        rename("pkg/lists"),
        tool(Tool::DpkgConfigureAll),
        step(Action::Reboot {}),
        tool(Tool::AptClean),
    ];
    let world = World::lasting(dir, steps);
    *world.machine.boot.lock().expect("lock") = boot().unwrap_or_else(|| "boot-0".to_owned());
    let executor = world.executor();
    let order = Order { job: job_of(task), task, ..world.order(1) };
    offer(&world, &executor, order);
    let effects = || fs::read_to_string(dir.join("effects")).unwrap_or_default();
    let restarts = effects().matches("reboot\n").count();
    let restarted = async {
        while effects().matches("reboot\n").count() == restarts {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    work(&executor, restarted, |executor| see(executor, &world)).await;
}

fn offer(world: &World, executor: &Executor, order: Order) {
    let order = Order { counter: executor.highest_counter() + 1, ..order };
    executor.offer(&world.authority.key(), &world.authority.sign(&order));
}

fn see(executor: &Executor, world: &World) {
    executor.saw([NaturalRun {
        key: world.order(1).key,
        at: NOW.after(Duration::from_mins(1)),
        worked: true,
        by_state: false,
        words: "seen".to_owned(),
    }]);
}

fn row(what: &str) -> Row {
    rows().into_iter().find(|row| row.remediation.as_str() == what).expect("a row")
}

async fn on_windows(dir: &Path, what: &str, task: Task) {
    let bed = Bed::lasting(&row(what), dir);
    if let Some(boot) = boot()
        && bed.boot() != boot
    {
        bed.becomes(&format!("host.boot = '{boot}'"));
    }
    let executor = bed.executor();
    let order = bed.order(&executor);
    bed.offer_as(&executor, Order { job: job_of(task), task, ..order });
    let boot = bed.boot();
    let ends = async {
        tokio::select! {
            () = bed.restarted(&boot) => {}
            () = bed.later(job_of(task)) => {}
        }
    };
    work(&executor, ends, |executor| {
        bed.clock.advance(Duration::from_mins(1));
        executor.saw([NaturalRun {
            key: bed.key(),
            at: bed.clock.now(),
            worked: true,
            by_state: false,
            words: "seen".to_owned(),
        }]);
    })
    .await;
}

/// Works through what is there; the host's restart ends the agent with all else.
async fn work(executor: &Executor, restarted: impl Future<Output = ()>, see: impl Fn(&Executor)) {
    let stop = CancellationToken::new();
    let all = async {
        loop {
            let Some(journal) = executor.queue().pop_front() else { return };
            let path = journal.path().to_owned();
            if executor.work(journal, &stop).await.expect("journal written") == Came::Waits {
                see(executor);
                let journal = Journal::reopen(&path).expect("read").expect("there");
                executor.queue().push_back(journal);
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = restarted => std::process::exit(RESTARTED),
        () = tokio::time::sleep(PATIENCE) => panic!("the job does not go on"),
    }
}

/// The boot that the parent wants.
fn boot() -> Option<String> {
    std::env::var(BOOT).ok()
}

/// What a run of a scenario left.
#[derive(Debug)]
struct Left {
    state: JobState,
    told: bool,
    /// How often each thing was done that must not be done twice.
    effects: BTreeMap<String, usize>,
}

#[test]
fn killed_at_any_entry_no_step_is_done_twice_and_every_job_ends() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let wanted = number("FLEETMEND_TORTURE_JOB_KILLS", 60);
    let seed = number("FLEETMEND_TORTURE_SEED", 5);
    let whole: Vec<Whole> = SCENARIOS.iter().map(|scenario| Whole::of(scenario)).collect();
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while tally.lock().expect("lock").kills < wanted {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let place = usize::try_from(number).expect("small") % SCENARIOS.len();
                    killed(seed, number, SCENARIOS[place], &whole[place], &tally);
                }
            });
        }
    });
    let Tally { kills, restarts, jobs, ends } = tally.into_inner().expect("whole");
    println!(
        "figure: {kills} kills of agents in {jobs} jobs by seed {seed}, {restarts} with the host restarted: ends {ends:?}, no step twice"
    );
}

/// What was done in all.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    restarts: u64,
    jobs: u64,
    ends: BTreeMap<JobState, u32>,
}

/// One job that is killed one to four times, and then let be.
fn killed(seed: u64, number: u64, scenario: &str, whole: &Whole, tally: &Mutex<Tally>) {
    let mut random = Random::new(seed, number);
    let round = Round::begin(scenario);
    let (mut kills, mut restarts) = (0, 0);
    let mut story = Vec::new();
    for _ in 0..=random.below(4) {
        let points = [Point::JournalEntry, Point::JournalBeforeEntry];
        let point = points[usize::from(random.below(2) == 0)];
        let at = format!("{}@{}", point.name(), 1 + random.below(whole.entries + 1));
        let restart = random.below(3) == 0;
        if restart {
            round.restart();
        }
        let ended = round.agent(&[("FLEETMEND_CRASH_AT", &at)]);
        if String::from_utf8_lossy(&ended.stderr).contains("crash point") {
            kills += 1;
            restarts += u64::from(restart);
            story.push(format!("{at}{}", if restart { " after a restart" } else { "" }));
        }
    }
    let left = round.to_its_end();
    let told = format!("seed {seed}, {scenario}, killed at {}: {left:?}", story.join(", "));
    assert!(left.told && left.state.is_final(), "not over: {told}");
    for (effect, times) in &left.effects {
        // A value that was set and then put back was written twice.
        let back = left.state != JobState::Fixed && effect.starts_with("registry.");
        let most = whole.effects.get(effect).copied().unwrap_or(0).max(1) + usize::from(back);
        assert!(*times <= most, "\"{effect}\" was done {times} times: {told}");
    }
    if left.state == JobState::Fixed {
        // A restart that came by itself is as good as the one that was to be asked for.
        let rest = |effects: &BTreeMap<String, usize>| {
            let restarts = |effect: &str| effect == "reboot" || effect.contains("shutdown.exe");
            effects.keys().filter(|e| !restarts(e)).cloned().collect::<Vec<String>>()
        };
        let (done, wanted) = (rest(&left.effects), rest(&whole.effects));
        assert_eq!(done, wanted, "called fixed, and something was not done: {told}");
    }
    let mut tally = tally.lock().expect("lock");
    tally.kills += kills;
    tally.restarts += restarts;
    tally.jobs += 1;
    *tally.ends.entry(left.state).or_default() += 1;
}

/// What a scenario does when nobody kills it.
#[derive(Debug)]
struct Whole {
    effects: BTreeMap<String, usize>,
    /// Entries of its journal.
    entries: u64,
}

impl Whole {
    fn of(scenario: &str) -> Self {
        let round = Round::begin(scenario);
        let left = round.to_its_end();
        let wanted = match scenario {
            // A program that ran and a restart cannot be taken back: they are named.
            "linux undo" => JobState::Failed,
            _ if scenario.ends_with("undo") => JobState::RolledBack,
            _ => JobState::Fixed,
        };
        assert!(left.state == wanted && left.told, "{scenario}: {left:?}");
        let text = fs::read_to_string(round.journal()).expect("a journal");
        Self { effects: left.effects, entries: text.lines().count() as u64 }
    }
}

/// One job on one host.
struct Round {
    dir: tempfile::TempDir,
    scenario: &'static str,
    boots: Mutex<u32>,
}

impl Round {
    fn begin(scenario: &str) -> Self {
        let scenario = SCENARIOS.iter().find(|s| **s == scenario).expect("a scenario");
        let dir = in_memory();
        let round = Self { dir, scenario, boots: Mutex::new(0) };
        if scenario.starts_with("linux") {
            fs::create_dir_all(round.dir.path().join("root/var/lib/pkg")).expect("made");
            fs::write(round.dir.path().join("root/var/lib/pkg/lists"), "kept").expect("written");
        }
        if scenario.ends_with("undo") {
            for _ in 0..6 {
                let done = round.agent(&[("FLEETMEND_TEST_KILLS_FIRST", "1")]);
                if done.status.success() {
                    break;
                }
                assert_eq!(done.status.code(), Some(RESTARTED), "{scenario}: {done:?}");
                round.restart();
            }
            // Only what the undo does is counted.
            for file in ["effects", "host.done"] {
                let _ = fs::remove_file(round.dir.path().join(file));
            }
        }
        if scenario.starts_with("linux") && !scenario.ends_with("repair") {
            // The fault of the lasting world is there until a program has run: one did.
            fs::write(round.dir.path().join("effects"), "").expect("written");
        }
        round
    }

    fn restart(&self) {
        *self.boots.lock().expect("lock") += 1;
    }

    fn task_is_undo(&self) -> bool {
        self.scenario.ends_with("undo")
    }

    fn journal(&self) -> PathBuf {
        let job = if self.task_is_undo() { second() } else { first() };
        self.dir.path().join("state/journal").join(journal::name(job, 1))
    }

    #[expect(clippy::disallowed_methods, reason = "starts itself")]
    fn agent(&self, variables: &[(&str, &str)]) -> Output {
        let boots = *self.boots.lock().expect("lock");
        let mut command = std::process::Command::new(std::env::current_exe().expect("this test"));
        command
            .args(["--exact", "execute::tests::kills::child", "--nocapture"])
            .env_remove("FLEETMEND_CRASH_AT")
            .env_remove("FLEETMEND_MISTAKE")
            .env_remove("FLEETMEND_TEST_KILLS_FIRST")
            .env(FOLDER, self.dir.path())
            .env(SCENARIO, self.scenario)
            .envs(variables.iter().copied());
        if boots > 0 {
            command.env(BOOT, format!("boot-after-{boots}"));
        }
        let output = command.output().expect("started");
        if output.status.code() == Some(RESTARTED) {
            self.restart();
        }
        output
    }

    /// Starts agents until the job is over.
    fn to_its_end(&self) -> Left {
        for _ in 0..STARTS {
            let ended = self.agent(&[]);
            let expected = ended.status.success() || ended.status.code() == Some(RESTARTED);
            assert!(expected, "{}: {}", self.scenario, String::from_utf8_lossy(&ended.stderr));
            let progress = Journal::read(&self.journal()).ok().flatten();
            if let Some(progress) = progress.filter(|p| p.told) {
                let state = progress.finished.map(|update| update.state).expect("finished");
                return Left { state, told: true, effects: self.effects() };
            }
        }
        Left { state: JobState::Running, told: false, effects: self.effects() }
    }

    /// The outside ledger: what the host says was done to it, of what must not be done twice.
    fn effects(&self) -> BTreeMap<String, usize> {
        let read = |file: &str| fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        let mut effects = BTreeMap::new();
        for line in (read("effects") + &read("host.done")).lines().filter(|l| only_once(l)) {
            *effects.entry(line.to_owned()).or_default() += 1;
        }
        effects
    }
}

/// A folder whose files need no disk. A killed process leaves its files as a disk would have them: what
/// was synced and what was not is the same to the next one.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("temp")
}

/// Whether doing it twice is something else than doing it once. Looking, fetching, starting and
/// stopping, and the ends of pauses are not.
fn only_once(effect: &str) -> bool {
    ["/usr/bin/dpkg", "/usr/bin/apt-get clean", "reboot"].iter().any(|e| effect.starts_with(e))
        || ["update.install", "backup", "reparse.detach", "restore_point ", "registry."]
            .iter()
            .any(|e| effect.starts_with(e))
        || ["shutdown.exe", "fsutil.exe", "sfc.exe"].iter().any(|e| effect.contains(e))
}

/// A small generator: the same seed, the same kills.
struct Random(u64);

impl Random {
    fn new(seed: u64, number: u64) -> Self {
        let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ (number + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Self(mixed | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
