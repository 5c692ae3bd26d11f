//! What must hold when an agent runs for months: full disks, late jobs, recalls that meet nobody, undo
//! data that grows old.

use std::fs;
use std::time::Duration;

use fleetmend_core::evidence::Answer;
use fleetmend_core::ids::JobId;
use fleetmend_core::job::{JobState, ProofLevel, StepState};
use fleetmend_core::knowledge::Verification;
use fleetmend_core::step::{Action, Tool};
use tokio_util::sync::CancellationToken;

use super::world::{NOW, World, below, end, rename, settle, step, told, tool};
use crate::execute::NaturalRun;
use crate::execute::journal::{self, Entry, Journal, Progress};
use crate::execute::steps::UndoRecord;

const DAY: Duration = Duration::from_hours(24);

fn progress(world: &World) -> Option<Progress> {
    let path = world.state().join("journal").join(journal::name(world.order(1).job, 1));
    Journal::read(&path).ok().flatten()
}

/// Waits until it is so, at most ten seconds.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect(what);
}

#[tokio::test]
async fn a_job_that_waited_past_its_time_is_not_begun() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    // The agent is stopped before it begins, and is started the next day.
    drop(executor);
    world.clock.advance(DAY);
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Skipped && why.contains("time was over"), "{state} {why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn an_end_that_the_spool_refuses_is_told_when_it_takes_it() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    let (folder, stop) = (world.state().join("spool"), CancellationToken::new());
    fs::remove_dir_all(&folder).expect("removed");
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    let look = async {
        until("it ends", || progress(&world).is_some_and(|p| p.finished.is_some())).await;
        assert!(!progress(&world).expect("read").told);
        fs::create_dir(&folder).expect("made");
        until("it is told", || progress(&world).is_some_and(|p| p.told)).await;
        stop.cancel();
    };
    tokio::join!(executor.run(&stop), look);
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
    assert_eq!(world.calls().len(), 1, "nothing ran again");
}

#[tokio::test]
async fn recalls_that_meet_nobody_do_not_crowd_out_others() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    for n in 100..140 {
        executor.recall(JobId::at(NOW.before(DAY), [n; 10]), "over already".to_owned());
    }
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    executor.recall(world.order(1).job, "not wanted".to_owned());
    settle(&executor).await;
    assert_eq!(end(&told(&executor)), (JobState::Cancelled, "not wanted".to_owned()));
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn undo_data_is_kept_thirty_days_and_no_longer() {
    let world = World::new(vec![step(Action::FileQuarantine { place: below("pkg/bad") })]);
    world.write("var/lib/pkg/bad/deep/one");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    let kept = || fs::read_dir(world.state().join("quarantine")).expect("there").count();
    let stranger = world.state().join("quarantine").join("of-nobody");
    fs::write(&stranger, "").expect("written");
    world.clock.advance(DAY * 29);
    world.executor().purge().await;
    assert!(kept() == 2 && progress(&world).is_some());
    world.clock.advance(DAY * 2);
    world.executor().purge().await;
    assert!(kept() == 1 && stranger.exists() && progress(&world).is_none());
}

#[tokio::test]
async fn what_was_renamed_goes_after_thirty_days_where_it_has_a_successor() {
    let restored = step(Action::FileRestore { place: below("pkg/back") });
    let steps = vec![rename("pkg/old"), rename("pkg/only"), rename("pkg/back"), restored];
    let world = World::new(steps);
    for file in ["old/deep/one", "only", "back"] {
        world.write(&format!("var/lib/pkg/{file}"));
    }
    let outside = tempfile::tempdir().expect("temp");
    fs::write(outside.path().join("theirs"), "").expect("written");
    let link = world.path("var/lib/pkg/old/link");
    std::os::unix::fs::symlink(outside.path(), link).expect("linked");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    world.write("var/lib/pkg/old");
    let job = world.order(1).job;
    let aside = |name: &str| world.path(&format!("var/lib/pkg/{name}.fleetmend-{job}"));
    world.clock.advance(DAY * 29);
    world.executor().purge().await;
    assert!(aside("old").exists());
    world.clock.advance(DAY * 2);
    world.executor().purge().await;
    assert!(!aside("old").exists() && world.path("var/lib/pkg/old").exists());
    assert!(aside("only").exists(), "nothing new came: it is the only one");
    assert!(world.path("var/lib/pkg/back").exists(), "what was restored stays");
    assert!(outside.path().join("theirs").exists(), "no link is followed");
}

#[tokio::test]
async fn what_a_program_left_goes_when_the_server_has_the_jobs_end() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    settle(&executor).await;
    assert!(executor.shop.has_outputs());
    executor.shop.tidy_outputs();
    assert!(executor.shop.has_outputs(), "the server does not have it yet");
    let last = {
        let mut spool = executor.shop.spool.lock();
        std::iter::from_fn(|| spool.lease(100, NOW)).last().expect("told").last()
    };
    executor.shop.spool.commit(last);
    executor.shop.tidy_outputs();
    assert!(!executor.shop.has_outputs());
}

/// A natural run of what the orders of `World` are about, after `seconds`.
fn natural(world: &World, seconds: u64, worked: bool) -> NaturalRun {
    let at = NOW.after(Duration::from_secs(seconds));
    NaturalRun { key: world.order(1).key, at, worked, by_state: false, words: "seen".to_owned() }
}

fn waits_for_next_run() -> World {
    World::with(|remediation| {
        remediation.steps = vec![tool(Tool::DpkgConfigureAll)];
        remediation.verification = Verification::NextRun;
    })
}

#[tokio::test]
async fn a_job_that_waits_for_the_next_run_lets_others_go_on() {
    let world = waits_for_next_run();
    // Before and after the steps of each of the two jobs.
    world.answer("test.fault", &[Answer::Yes, Answer::No, Answer::Yes, Answer::No]);
    let (executor, stop) = (world.executor(), CancellationToken::new());
    let offer = |n| executor.offer(&world.authority.key(), &world.authority.sign(&world.order(n)));
    offer(1);
    let look = async {
        until("it waits", || executor.waiting().len() == 1).await;
        assert!(executor.at_rest().is_some(), "the collectors look meanwhile");
        offer(2);
        until("the second waits, too", || executor.waiting().len() == 2).await;
        assert_eq!(world.calls().len(), 2);
        executor.recall(world.order(2).job, "not wanted".to_owned());
        until("one is over", || executor.waiting().len() == 1).await;
        executor.saw([natural(&world, 60, true)]);
        until("it is over", || progress(&world).is_some_and(|p| p.told)).await;
        stop.cancel();
    };
    tokio::join!(executor.run(&stop), look);
    let update = progress(&world).and_then(|p| p.finished).expect("over");
    assert_eq!((update.state, update.proof), (JobState::Fixed, Some(ProofLevel::Observed)));
}

#[tokio::test]
async fn the_kill_switch_takes_nothing_back_that_only_awaits_its_proof() {
    let world = World::with(|remediation| {
        remediation.steps = vec![rename("pkg/lists")];
        remediation.verification = Verification::NextRun;
    });
    world.write("var/lib/pkg/lists");
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    let (switch, stop) = (world.state().join("halt"), CancellationToken::new());
    let look = async {
        until("it waits", || executor.waiting().len() == 1).await;
        fs::write(&switch, "").expect("written");
        // A run of something else rings, and the job is looked at.
        for n in 0..3 {
            let mut other = natural(&world, 10 + n, true);
            other.key.subject = Some("another".to_owned());
            executor.saw([other]);
            tokio::task::yield_now().await;
        }
    };
    let both = async {
        tokio::join!(executor.run(&stop), async {
            look.await;
            stop.cancel();
        })
    };
    both.await;
    assert!(!world.path("var/lib/pkg/lists").exists(), "what is done stays done");
    // Started again under the switch, it waits still, and its run ends it.
    drop(executor);
    let (executor, stop) = (world.executor(), CancellationToken::new());
    let look = async {
        until("it waits", || executor.waiting().len() == 1).await;
        assert!(progress(&world).is_some_and(|p| p.failure.is_none() && p.finished.is_none()));
        executor.saw([natural(&world, 60, true)]);
        until("it is over", || progress(&world).is_some_and(|p| p.told)).await;
        stop.cancel();
    };
    tokio::join!(executor.run(&stop), look);
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
    assert!(switch.exists() && !world.path("var/lib/pkg/lists").exists());
}

#[tokio::test]
async fn who_takes_a_job_back_after_its_steps_gets_back_what_can_be() {
    let world = World::with(|remediation| {
        remediation.steps = vec![rename("pkg/lists")];
        remediation.verification = Verification::NextRun;
    });
    world.write("var/lib/pkg/lists");
    for (world, wanted) in
        [(world, JobState::RolledBack), (waits_for_next_run(), JobState::Unverified)]
    {
        let (executor, stop) = (world.executor(), CancellationToken::new());
        executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
        let look = async {
            until("it waits", || executor.waiting().len() == 1).await;
            executor.recall(world.order(1).job, "not wanted".to_owned());
            until("it is over", || progress(&world).is_some_and(|p| p.told)).await;
            stop.cancel();
        };
        tokio::join!(executor.run(&stop), look);
        let (state, why) = end(&told(&executor));
        assert!(state == wanted && why.contains("taken back: not wanted"), "{state} {why}");
        assert_eq!(world.path("var/lib/pkg/lists").exists(), wanted == JobState::RolledBack);
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_proved_where_that_takes_no_waiting() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    let mut journal = executor.queue().pop_front().expect("taken");
    let (state, undo) = (StepState::Done, UndoRecord::Nothing);
    let (detail, boot) = (String::new(), "boot-1".to_owned());
    for entry in [
        Entry::Running { at: NOW },
        Entry::Intent { step: 0, undoing: false, undo, boot },
        Entry::Outcome { step: 0, state, detail },
    ] {
        journal.add(entry).expect("written");
    }
    executor.queue().push_back(journal);
    executor.recall(world.order(1).job, "not wanted".to_owned());
    world.answer("test.fault", &[Answer::No]);
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
    assert!(world.calls().is_empty(), "nothing more is done");
}

#[tokio::test]
async fn a_natural_run_told_before_a_restart_still_proves() {
    let world = waits_for_next_run();
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    settle(&executor).await;
    executor.saw([natural(&world, 60, true)]);
    drop(executor);
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Fixed && why.contains("worked"), "{state} {why}");
}

#[tokio::test]
async fn a_natural_run_that_does_not_come_ends_unverified() {
    let world = waits_for_next_run();
    let (executor, stop) = (world.executor(), CancellationToken::new());
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    let look = async {
        until("it waits", || executor.waiting().len() == 1).await;
        world.clock.advance(DAY * 15);
        until("it is over", || progress(&world).is_some_and(|p| p.told)).await;
        stop.cancel();
    };
    tokio::join!(executor.run(&stop), look);
    assert_eq!(end(&told(&executor)).0, JobState::Unverified);
}
