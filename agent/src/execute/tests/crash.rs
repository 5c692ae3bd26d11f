//! A crash at every point of a job: what is on disk then is all that the next agent knows.

use std::fs;

use fleetmend_core::evidence::Answer;
use fleetmend_core::job::JobState;
use fleetmend_core::order::Order;
use fleetmend_core::step::{Action, Tool};

use super::world::{World, end, rename, settle, step, told, tool};
use crate::execute::{Offered, journal};

fn steps() -> Vec<fleetmend_core::step::Step> {
    vec![rename("pkg/lists"), tool(Tool::DpkgConfigureAll)]
}

/// The journal of a whole run, line by line.
async fn whole_journal() -> Vec<String> {
    let world = World::new(steps());
    world.write("var/lib/pkg/lists");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    let path = world.state().join("journal").join(journal::name(world.order(1).job, 1));
    fs::read_to_string(path).expect("read").lines().map(str::to_owned).collect()
}

/// A world in which an agent died after these lines were written.
fn crashed(lines: &[String], renamed: bool) -> World {
    let world = World::new(steps());
    let job = world.order(1).job;
    if renamed {
        world.write(&format!("var/lib/pkg/lists.fleetmend-{job}"));
    } else {
        world.write("var/lib/pkg/lists");
    }
    let folder = world.state().dir("journal").expect("made");
    fs::write(folder.join(journal::name(job, 1)), lines.join("\n") + "\n").expect("written");
    // A job that runs already asks only at its end.
    if lines.iter().any(|l| l.contains("\"running\"")) {
        world.answer("test.fault", &[Answer::No]);
    }
    world
}

#[tokio::test]
async fn no_step_runs_twice_whatever_line_was_the_last() {
    let lines = whole_journal().await;
    let is = |line: &String, words: &[&str]| words.iter().all(|w| line.contains(w));
    let intent = |line: &String, n: &str| is(line, &["\"intent\"", n]);
    let outcome = |line: &String, n: &str| is(line, &["\"outcome\"", n]);
    for cut in 1..=lines.len() {
        let kept = &lines[..cut];
        let begun = |n: &str| kept.iter().any(|l| intent(l, n));
        let over = |n: &str| kept.iter().any(|l| outcome(l, n));
        let (first, second) = ("\"step\":0", "\"step\":1");
        // Where the rename's outcome is not written, it may have happened or not.
        let variants: &[bool] = match (begun(first), over(first)) {
            (false, _) => &[false],
            (true, true) => &[true],
            (true, false) => &[false, true],
        };
        for renamed in variants {
            let world = crashed(kept, *renamed);
            let executor = world.executor();
            settle(&executor).await;
            let (state, why) = end(&told_or_journal(&world, &executor));
            let runs = world.calls().iter().filter(|c| c.contains("--configure")).count();
            let hidden = begun(second) && !over(second);
            let wanted = usize::from(!begun(second));
            assert_eq!(runs, wanted, "cut {cut}, renamed {renamed}: {why}");
            let end_wanted = if hidden { JobState::Unknown } else { JobState::Fixed };
            assert_eq!(state, end_wanted, "cut {cut}, renamed {renamed}: {why}");
            assert!(!world.path("var/lib/pkg/lists").exists(), "cut {cut}");
        }
    }
}

#[tokio::test]
async fn an_end_survives_an_update_of_the_agent() {
    let lines = whole_journal().await;
    let untold = &lines[..lines.len() - 1];
    let world = World::with(|r| {
        r.steps = steps();
        r.version = 4;
    });
    let folder = world.state().dir("journal").expect("made");
    let path = folder.join(journal::name(world.order(1).job, 1));
    fs::write(path, untold.join("\n") + "\n").expect("written");
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
}

#[tokio::test]
async fn a_try_whose_order_was_damaged_is_not_taken_again() {
    let mut lines = whole_journal().await;
    lines[0] = lines[0].replace("accepted", "acceptad");
    let world = crashed(&lines[..4], true);
    let executor = world.executor();
    let again = Order { counter: 2, ..world.order(1) };
    let offered = executor.offer(&world.authority.key(), &world.authority.sign(&again));
    assert_eq!(offered, Offered::Known);
    settle(&executor).await;
    assert!(world.calls().is_empty());
}

/// What is told now; for a job that was told before, what its journal holds.
fn told_or_journal(
    world: &World,
    executor: &crate::execute::Executor,
) -> Vec<fleetmend_core::job::JobUpdate> {
    let updates = told(executor);
    if !updates.is_empty() {
        return updates;
    }
    let path = world.state().join("journal").join(journal::name(world.order(1).job, 1));
    let progress = journal::Journal::read(&path).expect("read").expect("whole");
    assert!(progress.told, "an end that was not told is told");
    vec![progress.finished.expect("finished")]
}

#[tokio::test]
async fn a_line_cut_at_any_byte_counts_as_not_written() {
    let lines = whole_journal().await;
    let last = lines.iter().position(|l| l.contains("\"intent\"")).expect("an intent");
    let before = &lines[..last];
    for length in (0..lines[last].len()).step_by(7) {
        let world = crashed(before, false);
        let path = world.state().join("journal").join(journal::name(world.order(1).job, 1));
        let mut text = fs::read_to_string(&path).expect("read");
        text.push_str(&lines[last][..length]);
        fs::write(&path, text).expect("written");
        let executor = world.executor();
        settle(&executor).await;
        assert_eq!(end(&told(&executor)).0, JobState::Fixed, "cut at {length}");
    }
}

#[tokio::test]
async fn a_damaged_journal_stays_damaged_until_its_end_is_told() {
    // The second step's outcome stands behind the damage: the program has run.
    let mut bad = whole_journal().await;
    let place = bad.iter().position(|l| l.contains("\"outcome\"")).expect("an outcome");
    bad[place] = bad[place].replace("outcome", "outcame");
    bad.retain(|l| !l.contains("\"finished\"") && !l.contains("\"told\""));
    let world = crashed(&bad, true);
    // An agent that is killed before it can tell.
    drop(world.executor());
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Unknown);
    assert!(world.calls().is_empty(), "what ran is not run again: {:?}", world.calls());
    // Told once: the end stands behind the damage.
    let later = world.executor();
    settle(&later).await;
    assert!(later.open_jobs().is_empty());
}

#[tokio::test]
async fn a_damaged_journal_ends_unknown_and_does_nothing() {
    let lines = whole_journal().await;
    let mut bad = lines.clone();
    let place = bad.iter().position(|l| l.contains("\"outcome\"")).expect("an outcome");
    bad[place] = bad[place].replace("outcome", "outcame");
    bad.truncate(place + 2);
    let world = crashed(&bad, true);
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Unknown);
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_job_is_taken_up_three_times_at_most() {
    let lines = whole_journal().await;
    let until = lines.iter().position(|l| l.contains("\"running\"")).expect("running");
    let mut kept = lines[..=until].to_vec();
    let body = r#"{"entry":"resumed","at":"2027-01-15T08:00:00.000Z"}"#;
    let resumed = format!("{:08x} {body}", crc32fast::hash(body.as_bytes()));
    kept.extend([resumed.clone(), resumed.clone(), resumed]);
    let world = crashed(&kept, false);
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert_eq!(state, JobState::Failed, "no step was begun: nothing is unknown");
    assert!(why.contains("stopped 4 times under it, and goes on 3 times at most"), "{why}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_outcome_still_starts_what_was_stopped() {
    let start = fleetmend_core::step::Step {
        always: true,
        ..step(Action::ServiceStart { service: "a.service".to_owned() })
    };
    let world = World::new(vec![tool(Tool::DpkgConfigureAll), start.clone()]);
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    let name = journal::name(world.order(1).job, 1);
    let text = fs::read_to_string(world.state().join("journal").join(&name)).expect("read");
    let cut = text.lines().position(|l| l.contains("\"intent\"")).expect("an intent");
    let kept = text.lines().take(cut + 1).collect::<Vec<_>>().join("\n") + "\n";
    let again = World::new(vec![tool(Tool::DpkgConfigureAll), start]);
    fs::write(again.state().dir("journal").expect("made").join(name), kept).expect("written");
    let executor = again.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Unknown);
    assert_eq!(again.calls(), ["start a.service"]);
}

#[tokio::test]
async fn a_restart_is_seen_by_the_boot() {
    let lines = {
        let world = World::new(vec![step(Action::Reboot {})]);
        world.ceiling("risk = \"safe\"\nreboot = true");
        let executor = world.executor();
        executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
        // The agent is stopped by the restart that it asked for.
        let asked = async {
            while !told(&executor).iter().any(|u| u.state == JobState::Rebooting) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = settle(&executor) => panic!("the host did not restart"),
            () = asked => {}
        }
        let states: Vec<JobState> = told(&executor).iter().map(|u| u.state).collect();
        assert!(states.contains(&JobState::Rebooting), "{states:?}");
        let path = world.state().join("journal").join(journal::name(world.order(1).job, 1));
        fs::read_to_string(path).expect("read")
    };
    let world = World::new(vec![step(Action::Reboot {})]);
    let folder = world.state().dir("journal").expect("made");
    fs::write(folder.join(journal::name(world.order(1).job, 1)), lines).expect("written");
    *world.machine.boot.lock().expect("lock") = "boot-2".to_owned();
    world.answer("test.fault", &[Answer::No]);
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Fixed);
    assert!(world.calls().is_empty(), "no second restart");
}

/// A world whose agent was stopped `times` after these lines were written.
fn stopped(lines: &[String], times: u32) -> World {
    let world = crashed(lines, true);
    let path = world.state().join("journal").join(journal::name(world.order(1).job, 1));
    let mut journal = journal::Journal::reopen(&path).expect("read").expect("whole");
    for _ in 0..times {
        journal.add(journal::Entry::Resumed { at: super::world::NOW }).expect("written");
    }
    world
}

#[tokio::test]
async fn an_agent_stopped_too_often_says_what_it_knows() {
    let lines = whole_journal().await;
    let upto = |what: &str| lines.iter().position(|l| l.contains(what)).expect("a line") + 1;
    let first_done = &lines[..upto("\"outcome\"")];
    // Nothing is hidden: what was done is taken back, and the program is not begun.
    let world = stopped(first_done, 3);
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::RolledBack && why.contains("4 times"), "{state} {why}");
    assert!(world.calls().is_empty() && world.path("var/lib/pkg/lists").exists());
    // Twice as often, it is left as it is.
    let world = stopped(first_done, 6);
    let executor = world.executor();
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Unknown);
    // Steps that are all done are proved; a proof that never comes to its end is given up.
    let proving = &lines[..upto("\"verifying\"")];
    for (times, wanted) in [(3, JobState::Fixed), (6, JobState::Unverified)] {
        let world = stopped(proving, times);
        let executor = world.executor();
        settle(&executor).await;
        assert_eq!(end(&told(&executor)).0, wanted, "{times}");
    }
}
