//! What holds a job back: the halt, freezes, the order's spans, a low battery; and that it is kept with
//! the server away. And proofs without repair.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::hold::{Freeze, Halt, Interval};
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel};
use fleetmend_core::knowledge::Verification;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::step::{Action, Tool};
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use tokio_util::sync::CancellationToken;

use super::world::{NOW, World, end, settle, step, told, tool};
use crate::execute::Executor;
use crate::execute::journal::Entry;
use crate::platform::Power;
use crate::probe::About;
use crate::prober::Prober;
use crate::random;

const HOUR: Duration = Duration::from_hours(1);

fn world() -> World {
    World::new(vec![tool(Tool::DpkgConfigureAll)])
}

fn halt(on: bool) -> Halt {
    Halt { on, reason: "a bad update".to_owned() }
}

fn span(from: Timestamp, until: Timestamp) -> Interval {
    Interval { from, until }
}

/// Works until the job says why it is blocked, changes what is so, and works to the end.
async fn blocked(world: &World, executor: &Executor, change: impl FnOnce()) -> String {
    let stop = CancellationToken::new();
    let mut why = String::new();
    let look = async {
        loop {
            let now = told(executor).into_iter().rfind(|u| u.state.has_answered());
            if let Some(update) = now {
                why = update.detail;
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(world.calls().is_empty(), "it waits and yet it began");
        change();
        while !told(executor).iter().any(|u| u.state.is_final()) {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(executor.run(&stop), look) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("it ends");
    why
}

fn offer(world: &World, executor: &Executor, order: &Order) {
    executor.offer(&world.authority.key(), &world.authority.sign(order));
}

#[tokio::test]
async fn a_halt_outlives_the_agent_and_ends_by_the_server_s_word() {
    let world = world();
    world.executor().halt(halt(true));
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    let why = blocked(&world, &executor, || executor.halt(halt(false))).await;
    assert_eq!(why, "the fleet is halted: a bad update");
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn a_halt_that_cannot_be_read_holds_until_the_server_says_otherwise() {
    let world = world();
    std::fs::write(world.state().join("holds.json"), "{\ncrc32 00000000\n").expect("written");
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    let why = blocked(&world, &executor, || executor.halt(halt(false))).await;
    assert!(why.contains("cannot be read on this host"), "{why}");
}

#[tokio::test]
async fn the_status_tells_what_the_server_holds_back() {
    let world = world();
    let executor = world.executor();
    let held = || crate::execute::held(&world.state(), NOW);
    assert_eq!(held(), crate::execute::holds::Held::default());
    executor.halt(halt(true));
    let freeze =
        |name: &str, until| Freeze { span: span(NOW.before(HOUR), until), name: name.into() };
    executor.freeze(vec![freeze("old", NOW), freeze("year end", NOW.after(HOUR))]);
    assert_eq!(held().halt.as_deref(), Some("a bad update"));
    assert_eq!(held().freezes.len(), 1, "what is over is not told: {:?}", held());
    assert!(held().freezes[0].starts_with("year end: from "), "{:?}", held());
    std::fs::write(world.state().join("holds.json"), "{\ncrc32 00000000\n").expect("written");
    assert!(held().halt.expect("halted").contains("cannot be read"));
}

#[tokio::test]
async fn what_began_before_a_halt_goes_on() {
    let world = World::with(|r| {
        r.steps = vec![tool(Tool::DpkgConfigureAll)];
        r.verification = Verification::NextRun;
    });
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    settle(&executor).await;
    executor.halt(halt(true));
    executor.saw([crate::execute::NaturalRun {
        key: world.order(1).key,
        at: NOW.after(HOUR),
        worked: true,
        by_state: false,
        words: "seen".to_owned(),
    }]);
    drop(executor);
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn a_freeze_is_kept_to_with_the_server_away() {
    let world = world();
    let name = "end of the quarter".to_owned();
    let freeze = Freeze { span: span(NOW.before(HOUR), NOW.after(HOUR / 2)), name };
    world.executor().freeze(vec![freeze]);
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    let why = blocked(&world, &executor, || world.clock.advance(HOUR / 2)).await;
    assert!(why.starts_with("a freeze until ") && why.ends_with(": end of the quarter"), "{why}");
    assert!(told(&executor).iter().any(|u| u.state == JobState::Blocked && u.detail == why));
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn it_begins_in_its_window_and_not_with_too_little_of_it_left() {
    let world = World::with(|r| {
        r.steps = vec![tool(Tool::DpkgConfigureAll)];
        r.minutes = 20;
    });
    let minute = Duration::from_mins(1);
    let begin_in = vec![
        span(NOW.before(HOUR), NOW.after(minute * 10)),
        span(NOW.after(minute * 30), NOW.after(HOUR)),
    ];
    let executor = world.executor();
    offer(&world, &executor, &Order { begin_in, ..world.order(1) });
    let why = blocked(&world, &executor, || world.clock.advance(minute * 30)).await;
    assert!(why.contains("this one closes") && why.contains("opens"), "{why}");
    let waits = |u: &&JobUpdate| u.detail == why && u.state == JobState::WaitingWindow;
    assert_eq!(told(&executor).iter().filter(waits).count(), 1, "told once, as what it is");
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn a_window_that_never_opens_ends_skipped() {
    let world = world();
    let begin_in = vec![span(NOW.after(HOUR * 10), NOW.after(HOUR * 12))];
    let executor = world.executor();
    offer(&world, &executor, &Order { begin_in, ..world.order(1) });
    let why = blocked(&world, &executor, || world.clock.advance(HOUR * 2)).await;
    assert!(why.contains("none opens before the order expires"), "{why}");
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Skipped && why.contains("time was over"), "{why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_low_battery_is_waited_for() {
    let world = world();
    let power = |percent| Some(Power { on_battery: true, percent: Some(percent) });
    world.machine.people.lock().expect("lock").power = power(12);
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    let charge = || world.machine.people.lock().expect("lock").power = power(80);
    let why = blocked(&world, &executor, charge).await;
    assert_eq!(why, "low_battery: the host runs on battery, 12 % left");
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn an_order_without_leave_to_restart_does_not_begin_what_restarts() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll), step(Action::Reboot {})]);
    let order = Order { reboot: RebootPolicy::Never, ..world.order(1) };
    let (state, why) = end(&world.run(&order).await);
    assert!(state == JobState::Skipped && why.contains("allows no restart"), "{why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_restart_in_a_window_needs_one() {
    let world = World::new(vec![step(Action::Reboot {})]);
    let order = Order { reboot: RebootPolicy::InWindow, ..world.order(1) };
    let (state, why) = end(&world.run(&order).await);
    assert!(state == JobState::Skipped && why.contains("and it has none"), "{why}");
}

#[tokio::test]
async fn by_a_clock_that_was_set_back_nothing_begins() {
    let world = world();
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    // As a board without a battery starts.
    world.clock.set(Timestamp::from_millis(0));
    let why = blocked(&world, &executor, || world.clock.set(NOW)).await;
    assert!(why.starts_with("clock_wrong: by this host's clock it is 1970-"), "{why}");
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn a_freeze_holds_by_the_server_s_clock_where_the_host_s_is_wrong() {
    let world = world();
    let executor = world.executor();
    let freeze = span(NOW.after(HOUR * 3), NOW.after(HOUR * 5));
    executor.freeze(vec![Freeze { span: freeze, name: "end of the quarter".to_owned() }]);
    executor.server_clock(NOW.after(HOUR * 4));
    offer(&world, &executor, &world.order(1));
    let why = blocked(&world, &executor, || executor.server_clock(NOW)).await;
    assert!(why.starts_with("a freeze until ") && why.contains("by its server's clock"), "{why}");
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

/// Sets the host's kill switch while it is asked whether the fault is there.
#[derive(Debug)]
struct Switching(PathBuf);

#[async_trait]
impl Prober for Switching {
    async fn ask(&self, probe: &Slug, _: About<'_>) -> Evidence {
        std::fs::write(&self.0, "").expect("written");
        let finding = Finding::new(Answer::Yes, "it is there");
        finding.into_evidence(random::evidence_id(NOW), probe.clone(), NOW)
    }
}

#[tokio::test]
async fn what_is_stopped_while_its_cause_is_looked_for_does_not_begin() {
    let mut world = World::with(|r| {
        r.steps = vec![tool(Tool::DpkgConfigureAll)];
        r.blockers.clear();
    });
    world.prober = Some(Arc::new(Switching(world.state().path().join("halt"))));
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert!(state == JobState::Skipped && why.contains("kill switch"), "{why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_job_that_was_broken_off_long_ago_begins_no_further_step() {
    let world = world();
    let executor = world.executor();
    offer(&world, &executor, &world.order(1));
    let mut journal = executor.queue().pop_front().expect("taken");
    journal.add(Entry::Running { at: NOW }).expect("written");
    drop((journal, executor));
    world.clock.advance(HOUR * 24 * 8);
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Failed && why.contains("no further step of it is begun"), "{why}");
    assert!(world.calls().is_empty());
}

fn verify(world: &World, counter: u64) -> Order {
    Order { task: Task::Verify, ..world.order(counter) }
}

#[tokio::test]
async fn a_proof_alone_does_no_step_and_needs_no_ceiling() {
    let world = world();
    world.ceiling("risk = \"observe\"\nactions_per_day = 0");
    world.answer("test.fault", &[Answer::No]);
    let updates = world.run(&verify(&world, 1)).await;
    assert_eq!(end(&updates).0, JobState::Fixed, "{updates:?}");
    let last = updates.last().expect("an end");
    assert_eq!(last.proof, Some(ProofLevel::ProbeOnly));
    world.answer("test.fault", &[Answer::Yes]);
    let (state, why) = end(&world.run(&verify(&world, 2)).await);
    assert!(state == JobState::Failed && why.starts_with("it is not fixed"), "{why}");
    world.answer("test.fault", &[Answer::Unknown]);
    assert_eq!(end(&world.run(&verify(&world, 3)).await).0, JobState::Unverified);
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_proof_that_changes_something_needs_leave_and_no_freeze() {
    let world = World::with(|r| r.verification = Verification::AptUpdate);
    world.answer("test.fault", &[Answer::No]);
    world.ceiling("risk = \"observe\"");
    let (state, why) = end(&world.run(&verify(&world, 1)).await);
    assert!(state == JobState::Skipped && why.contains("which changes something"), "{why}");
    world.ceiling("risk = \"safe\"");
    let updates = world.run(&verify(&world, 2)).await;
    assert_eq!(end(&updates).0, JobState::Fixed, "{updates:?}");
    assert_eq!(updates.last().expect("an end").proof, Some(ProofLevel::Repeated));
}

#[tokio::test]
async fn a_proof_alone_waits_for_a_natural_run() {
    let world = World::with(|r| r.verification = Verification::NextRun);
    world.answer("test.fault", &[Answer::No]);
    let executor = world.executor();
    offer(&world, &executor, &verify(&world, 1));
    settle(&executor).await;
    assert_eq!(told(&executor).last().expect("told").state, JobState::Verifying);
    let mut run = crate::execute::NaturalRun {
        key: world.order(1).key,
        at: NOW.after(HOUR),
        worked: false,
        by_state: false,
        words: "seen".to_owned(),
    };
    run.key.code = None;
    executor.saw([run]);
    drop(executor);
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Failed && why.contains("failed: seen"), "{why}");
}
