//! Every crash point of the agent, for real: a child process works through a look at a log, an order
//! and a server's acknowledgements, is aborted at the point, and is started again on what it left.
//! An outside ledger, as a server keeps it, says what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use fleetmend_core::ids::SpoolEpoch;
use fleetmend_core::job::JobState;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::Tool;
use fleetmend_faults::{Mistake, Point};
use serde::{Deserialize, Serialize};

use super::world::{NOW, World, rename, settle, tool};
use crate::app::tell;
use crate::collect::live::Live;
use crate::execute::Executor;
use crate::random;

const FOLDER: &str = "FLEETMEND_TEST_CRASH_FOLDER";
const LOG: &str = "root/Windows/Logs/CBS/CBS.log";

/// One item as a server takes it.
#[derive(Debug, Serialize, Deserialize)]
struct Delivered {
    epoch: SpoolEpoch,
    sequence: u64,
    item: SpoolItem,
}

/// The life of an agent. Does nothing unless a parent asks for it.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(FOLDER).map(PathBuf::from) else { return };
    let world = World::lasting(&dir, vec![rename("pkg/lists"), tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    let in_spool = |mark| executor.shop.spool.lock().has_mark(mark);
    let state = world.state().join("collect");
    let mut live = Live::open_after(&dir.join("root"), &state, world.catalogue, in_spool);
    agree(&dir, &executor);
    look(&world, &executor, &mut live).await;
    let job = world.order(1).job;
    if !ledger(&dir)
        .values()
        .any(|item| matches!(item, SpoolItem::Job(u) if u.job == job && u.state.is_final()))
    {
        let order = fleetmend_core::order::Order {
            counter: executor.highest_counter() + 1,
            ..world.order(1)
        };
        executor.offer(&world.authority.key(), &world.authority.sign(&order));
    }
    settle(&executor).await;
    deliver(&dir, &executor);
    look(&world, &executor, &mut live).await;
    deliver(&dir, &executor);
}

#[test]
fn at_every_point_nothing_is_lost_doubled_or_done_twice() {
    let points = Point::ALL.iter().filter(|p| {
        ["spool.", "journal."].iter().any(|of_the_agent| p.name().starts_with(of_the_agent))
    });
    for point in points {
        for time in 1..100 {
            let dir = tempfile::tempdir().expect("temp");
            begin(dir.path());
            let at = format!("{}@{time}", point.name());
            let crashed = child_of(dir.path(), &[("FLEETMEND_CRASH_AT", &at)]);
            if crashed.status.success() {
                assert!(time > 1, "{} is never reached in a whole run", point.name());
                break;
            }
            let said = String::from_utf8_lossy(&crashed.stderr);
            assert!(said.contains(&format!("crash point {}", point.name())), "{at}: {said}");
            // The log goes on while the agent is away.
            fail(dir.path(), 4);
            let whole = child_of(dir.path(), &[]);
            assert!(whole.status.success(), "{at}: {}", String::from_utf8_lossy(&whole.stderr));
            let seen = judged(dir.path());
            assert_eq!(seen.failures, [1, 2, 3, 4], "{at}");
            assert_eq!(seen.gaps, 0, "{at}");
            let hidden = seen.end == [JobState::Unknown];
            assert!(hidden || seen.end == [JobState::Fixed], "{at}: {:?}", seen.end);
            // Only a crash between intent and outcome may hide what the program did.
            let any_entry = matches!(point, Point::JournalBeforeEntry | Point::JournalEntry);
            let between = matches!(point, Point::JournalIntent | Point::JournalEffect)
                || any_entry
                || seen.effects <= 1 && !hidden
                || at_running_program(*point, seen.effects);
            assert!(!hidden || between, "{at}: unknown without need");
            assert!(seen.effects <= 1, "{at}: {} effects", seen.effects);
            assert!(hidden || seen.effects == 1, "{at}: fixed, and nothing was done");
        }
    }
}

/// News of a step go into the spool while its program is about to run or has just run.
fn at_running_program(point: Point, effects: usize) -> bool {
    point.name().starts_with("spool.") && effects <= 1
}

#[test]
fn an_intent_after_its_effect_is_noticed() {
    let dir = tempfile::tempdir().expect("temp");
    begin(dir.path());
    let mistake = ("FLEETMEND_MISTAKE", Mistake::JournalAfterEffect.name());
    let crashed = child_of(dir.path(), &[("FLEETMEND_CRASH_AT", "journal.effect@2"), mistake]);
    assert!(!crashed.status.success());
    child_of(dir.path(), &[mistake]);
    assert_eq!(judged(dir.path()).effects, 2, "the wrong order of things does the step twice");
}

/// What an outsider sees.
struct Seen {
    /// The numbers of the failures, by the ledger.
    failures: Vec<u32>,
    gaps: u64,
    end: Vec<JobState>,
    effects: usize,
}

fn judged(dir: &Path) -> Seen {
    let items: Vec<SpoolItem> = ledger(dir).into_values().collect();
    let mut failures: Vec<u32> = Vec::new();
    let (mut gaps, mut ids) = (0, BTreeSet::new());
    let mut end: Vec<JobState> = Vec::new();
    for item in items {
        match item {
            SpoolItem::Failure(failure) => {
                assert!(ids.insert(failure.id), "a report's id came twice");
                let time = failure.failure.time.to_string();
                failures.push(time[11..13].parse().expect("an hour"));
            }
            SpoolItem::Gap(gap) => gaps += gap.items,
            SpoolItem::Job(update) if update.state.is_final() => end.push(update.state),
            _ => {}
        }
    }
    failures.sort_unstable();
    end.dedup();
    let effects = fs::read_to_string(dir.join("effects")).unwrap_or_default().lines().count();
    Seen { failures, gaps, end, effects }
}

/// What a server has: each place once, whatever came again.
fn ledger(dir: &Path) -> BTreeMap<(SpoolEpoch, u64), SpoolItem> {
    let text = fs::read_to_string(dir.join("ledger")).unwrap_or_default();
    let mut kept = BTreeMap::new();
    for line in text.lines() {
        let row: Delivered = serde_json::from_str(line).expect("a row");
        let known = kept.insert((row.epoch, row.sequence), row.item.clone());
        assert!(known.is_none_or(|known| known == row.item), "a place was given twice: {row:?}");
    }
    kept
}

fn agree(dir: &Path, executor: &Executor) {
    let mut spool = executor.shop.spool.lock();
    let epoch = spool.epoch();
    let last = ledger(dir).keys().filter(|(e, _)| *e == epoch).map(|(_, s)| *s).max();
    let renewed = spool.agree(last.unwrap_or(0), NOW).expect("written");
    assert!(!renewed, "the spool and the ledger disagree");
}

fn deliver(dir: &Path, executor: &Executor) {
    let mut ledger = fs::OpenOptions::new().create(true).append(true).open(dir.join("ledger"));
    let ledger = ledger.as_mut().expect("opened");
    let mut spool = executor.shop.spool.lock();
    while let Some(lease) = spool.lease(3, NOW) {
        for (sequence, item) in (lease.first..).zip(&lease.items) {
            let row = Delivered { epoch: lease.epoch, sequence, item: item.clone() };
            let row = serde_json::to_string(&row).expect("a row");
            ledger.write_all(format!("{row}\n").as_bytes()).expect("written");
        }
        spool.commit(lease.last());
    }
}

async fn look(world: &World, executor: &Executor, live: &mut Live) {
    let observed = live.poll(world.machine.as_ref(), NOW).await;
    assert!(observed.notes.is_empty(), "{:?}", observed.notes);
    let items: Vec<SpoolItem> = observed
        .failures
        .into_iter()
        .map(|failure| {
            let at = failure.time.to_timestamp(0);
            SpoolItem::Failure(Box::new(fleetmend_core::report::ReportedFailure {
                id: random::report_id(NOW),
                at,
                failure,
                evidence: Vec::new(),
            }))
        })
        .collect();
    tell(&items, live, &executor.shop.spool, NOW).expect("told");
}

fn begin(dir: &Path) {
    fs::create_dir_all(dir.join(LOG).parent().expect("a folder")).expect("made");
    fs::create_dir_all(dir.join("root/var/lib/pkg")).expect("made");
    fs::write(dir.join("root/var/lib/pkg/lists"), "kept").expect("written");
    for hour in 1..=3 {
        fail(dir, hour);
    }
}

/// One more failed session in the log, in this hour of the day before.
fn fail(dir: &Path, hour: u32) {
    let mut log =
        fs::OpenOptions::new().create(true).append(true).open(dir.join(LOG)).expect("log");
    let line = format!(
        "2027-01-14 {hour:02}:00:00, Info                  CBS    Session: 30_{hour} finalized. Reboot required: no [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]\r\n"
    );
    log.write_all(line.as_bytes()).expect("written");
}

#[expect(clippy::disallowed_methods, reason = "starts itself")]
fn child_of(dir: &Path, variables: &[(&str, &str)]) -> Output {
    std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "execute::tests::points::child", "--nocapture"])
        .env_remove("FLEETMEND_CRASH_AT")
        .env_remove("FLEETMEND_MISTAKE")
        .envs(variables.iter().copied())
        .env(FOLDER, dir)
        .output()
        .expect("started")
}
