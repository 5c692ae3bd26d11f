//! Taking back a job that is over: what its journal kept, last first, once; and what is left alone.

use std::fs;
use std::time::Duration;

use fleetmend_core::evidence::Answer;
use fleetmend_core::ids::JobId;
use fleetmend_core::job::{JobState, StepState};
use fleetmend_core::order::{Order, Task};
use fleetmend_core::step::Tool;

use super::recorded::bed::{Bed, rows};
use super::world::{NOW, World, end, rename, settle, told, tool};
use crate::execute::Offered;
use crate::execute::journal::{self, Entry};

const DAY: Duration = Duration::from_hours(24);

/// The order that takes back the job of `World::order(done)`.
fn undo(world: &World, done: u64, counter: u64) -> Order {
    let of = world.order(done);
    let (expires, not_before) = (world.clock().after(DAY), world.clock());
    let task = Task::Undo { job: of.job, attempt: of.attempt };
    Order { task, expires, not_before, ..world.order(counter) }
}

async fn taken_back(world: &World, order: &Order) -> (JobState, String, Vec<(u32, StepState)>) {
    let executor = world.executor();
    let before = told(&executor).len();
    executor.offer(&world.authority.key(), &world.authority.sign(order));
    settle(&executor).await;
    let updates = told(&executor).split_off(before);
    let steps = updates.iter().filter_map(|u| u.step.as_ref());
    let steps = steps.filter(|s| s.state != StepState::Running).map(|s| (s.index, s.state));
    let steps = steps.collect();
    let (state, why) = end(&updates);
    (state, why, steps)
}

async fn moved() -> World {
    let world = World::new(vec![rename("pkg/a"), rename("pkg/b"), rename("pkg/none")]);
    world.write("var/lib/pkg/a/deep");
    world.write("var/lib/pkg/b");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    world
}

#[tokio::test]
async fn a_job_is_taken_back_last_step_first_and_once() {
    let world = moved().await;
    let (state, why, steps) = taken_back(&world, &undo(&world, 1, 2)).await;
    assert_eq!(state, JobState::RolledBack, "{why}");
    let wanted = [(2, StepState::AlreadyDone), (1, StepState::Undone), (0, StepState::Undone)];
    assert_eq!(steps, wanted);
    assert!(why.contains("2 steps taken back"), "{why}");
    assert!(world.path("var/lib/pkg/a/deep").exists() && world.path("var/lib/pkg/b").exists());
    let (state, why, steps) = taken_back(&world, &undo(&world, 1, 3)).await;
    assert!(state == JobState::Skipped && why.contains("taken back already, by job"), "{why}");
    assert!(steps.is_empty());
    // An undo is not undone: the remediation is ordered again.
    let (state, why, _) = taken_back(&world, &undo(&world, 2, 4)).await;
    assert!(state == JobState::Skipped && why.contains("no remediation"), "{why}");
}

#[tokio::test]
async fn what_has_no_undo_is_named_and_the_rest_is_taken_back() {
    let world = World::new(vec![rename("pkg/a"), tool(Tool::DpkgConfigureAll)]);
    world.write("var/lib/pkg/a");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    let (state, why, steps) = taken_back(&world, &undo(&world, 1, 2)).await;
    assert_eq!(state, JobState::Failed, "{why}");
    assert_eq!(steps, [(1, StepState::UndoFailed), (0, StepState::Undone)]);
    assert!(why.contains("1 step taken back; not taken back: step 2 (tool.run"), "{why}");
    assert!(world.path("var/lib/pkg/a").exists());
    assert_eq!(world.calls().len(), 1, "the program did not run again");
}

#[tokio::test]
async fn what_somebody_put_in_the_place_stays() {
    let world = moved().await;
    fs::write(world.path("var/lib/pkg/b"), "theirs").expect("written");
    let (state, why, steps) = taken_back(&world, &undo(&world, 1, 2)).await;
    assert_eq!(state, JobState::Failed, "{why}");
    assert_eq!(steps[1..], [(1, StepState::UndoFailed), (0, StepState::Undone)]);
    assert_eq!(fs::read_to_string(world.path("var/lib/pkg/b")).expect("there"), "theirs");
    // They take it away; the rest of the undo is asked for again.
    fs::remove_file(world.path("var/lib/pkg/b")).expect("removed");
    let (state, why, _) = taken_back(&world, &undo(&world, 1, 3)).await;
    assert_eq!(state, JobState::RolledBack, "{why}");
    assert_eq!(fs::read_to_string(world.path("var/lib/pkg/b")).expect("there"), "kept");
}

#[tokio::test]
async fn what_a_later_job_changed_too_waits_for_that_ones_undo() {
    let world = moved().await;
    world.write("var/lib/pkg/b");
    world.answer("test.fault", &[Answer::Yes, Answer::No]);
    assert_eq!(end(&world.run(&world.order(2)).await).0, JobState::Fixed);
    let (state, why, steps) = taken_back(&world, &undo(&world, 1, 3)).await;
    assert_eq!(state, JobState::Failed, "{why}");
    assert_eq!(steps[1], (1, StepState::UndoFailed));
    assert_eq!(taken_back(&world, &undo(&world, 2, 4)).await.0, JobState::RolledBack);
    // What the later one brought back is there: it stays.
    let (state, why, _) = taken_back(&world, &undo(&world, 1, 5)).await;
    assert_eq!(state, JobState::Failed, "{why}");
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_refused_with_its_reason() {
    let world = moved().await;
    let executor = world.executor();
    let refused = |order: Order, words: &str| {
        let before = told(&executor).len();
        let offered = executor.offer(&world.authority.key(), &world.authority.sign(&order));
        assert_eq!(offered, Offered::Refused, "{words}");
        let (state, why) = end(&told(&executor).split_off(before));
        assert!(state == JobState::Skipped && why.contains(words), "{why}");
    };
    let stranger = Task::Undo { job: JobId::at(NOW, [99; 10]), attempt: 1 };
    refused(Order { task: stranger, ..undo(&world, 1, 2) }, "no journal of try 1");
    let later = Task::Undo { job: world.order(1).job, attempt: 2 };
    refused(Order { task: later, ..undo(&world, 1, 3) }, "no journal of try 2");
    world.answer("test.fault", &[Answer::Yes, Answer::No]);
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(4)));
    refused(undo(&world, 4, 5), "is not over on this host");
    settle(&executor).await;
    world.ceiling("risk = \"observe\"");
    refused(undo(&world, 1, 6), "ceiling is \"observe\" and taking it back is safe");
    world.ceiling("risk = \"safe\"");
    world.clock.advance(DAY * 31);
    refused(undo(&world, 1, 7), "was kept for 30 days, and is gone");
}

/// What was done stands in the journal: an order that names something else makes nothing else of it.
#[tokio::test]
async fn what_is_taken_back_is_what_was_done_whatever_the_order_calls_it() {
    let world = World::new(vec![rename("pkg/a"), tool(Tool::DpkgConfigureAll)]);
    world.write("var/lib/pkg/a");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    let named = Order { digest: "0".repeat(64), ..undo(&world, 1, 2) };
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&named));
    settle(&executor).await;
    let updates = told(&executor);
    let details = updates.iter().filter_map(|u| u.step.as_ref()).map(|s| s.detail.as_str());
    let details: Vec<&str> = details.collect();
    assert!(details.iter().any(|d| d.contains("cannot be taken back: ")), "{details:?}");
}

/// As on a disk that lost it, or a host set up anew under an undo that had begun.
#[tokio::test]
async fn an_undo_whose_journal_goes_while_it_is_at_work_ends() {
    let world = moved().await;
    let order = undo(&world, 1, 2);
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&order));
    let mut journal = executor.queue().pop_front().expect("taken");
    journal.add(Entry::Running { at: NOW }).expect("written");
    drop((journal, executor));
    let target = world.order(1);
    let journals = world.state().dir("journal").expect("there");
    fs::remove_file(journals.join(journal::name(target.job, 1))).expect("removed");
    let executor = world.executor();
    settle(&executor).await;
    let (state, why) = end(&told(&executor));
    assert!(state == JobState::Failed && why.contains("is gone"), "{why}");
}

#[tokio::test]
async fn a_job_of_an_older_version_is_taken_back_all_the_same() {
    let world = moved().await;
    let newer = world.with_version(4);
    let (state, why, steps) = taken_back(&newer, &undo(&world, 1, 2)).await;
    assert_eq!(state, JobState::RolledBack, "{why}");
    assert_eq!(steps.len(), 3);
    assert!(world.path("var/lib/pkg/b").exists());
}

#[tokio::test]
async fn a_job_that_took_itself_back_or_never_began_leaves_nothing_to_undo() {
    let world = World::new(vec![rename("pkg/a")]);
    world.write("var/lib/pkg/a");
    world.answer("test.fault", &[Answer::Yes]);
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::RolledBack);
    let (state, why, _) = taken_back(&world, &undo(&world, 1, 2)).await;
    assert!(state == JobState::Skipped && why.contains("by itself"), "{why}");
    world.answer("test.fault", &[Answer::No]);
    assert_eq!(end(&world.run(&world.order(3)).await).0, JobState::NotApplicable);
    let (state, why, _) = taken_back(&world, &undo(&world, 3, 4)).await;
    assert!(state == JobState::Skipped && why.contains("never began"), "{why}");
}

#[tokio::test]
async fn an_undo_that_is_recalled_takes_nothing_back() {
    let world = moved().await;
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&undo(&world, 1, 2)));
    executor.recall(world.order(2).job, "not wanted".to_owned());
    settle(&executor).await;
    assert_eq!(end(&told(&executor)).0, JobState::Cancelled);
    assert!(!world.path("var/lib/pkg/b").exists());
}

/// Every remediation of Windows that ends *fixed* can be ordered back; where all of it is exact, the
/// host is what it was.
#[tokio::test]
async fn recorded_hosts_are_what_they_were() {
    let exact =
        ["fix_wimmount_imagepath", "detach_mounted_volume.fat", "restore_service_start_types.bits"];
    for row in rows().iter().filter(|row| exact.contains(&row.remediation.as_str())) {
        let bed = Bed::new(row);
        let before = bed.snapshot();
        let told = bed.run(true).await;
        assert_eq!(told.end.0, JobState::Fixed, "{}: {told:#?}", row.remediation);
        let executor = bed.executor();
        let done = bed.order(&executor);
        let task = Task::Undo { job: done.job, attempt: 1 };
        let order = Order { job: JobId::at(NOW, [8; 10]), task, ..done };
        assert_eq!(bed.offer_as(&executor, order), Offered::Taken);
        let updates = bed.work(executor, true).await;
        let (state, why) = end(&updates);
        assert_eq!(state, JobState::RolledBack, "{}: {why}", row.remediation);
        assert_eq!(bed.difference(&before), Vec::<String>::new(), "{}", row.remediation);
    }
}

/// The registry is no longer as the job left it.
#[tokio::test]
async fn a_value_that_somebody_changed_since_stays() {
    let rows = rows();
    let row = rows.iter().find(|r| r.remediation.as_str() == "fix_wimmount_imagepath");
    let bed = Bed::new(row.expect("a row"));
    assert_eq!(bed.run(true).await.end.0, JobState::Fixed);
    bed.becomes(
        "registry.'HKLM\\SYSTEM\\CurrentControlSet\\Services\\WIMMount' = { ImagePath = { expand = 'theirs.sys' } }",
    );
    let executor = bed.executor();
    let done = bed.order(&executor);
    let task = Task::Undo { job: done.job, attempt: 1 };
    bed.offer_as(&executor, Order { job: JobId::at(NOW, [8; 10]), task, ..done });
    let updates = bed.work(executor, true).await;
    assert_eq!(end(&updates).0, JobState::Failed);
    let told = updates.iter().filter_map(|u| u.step.as_ref());
    let told: Vec<&str> = told.map(|s| s.detail.as_str()).collect();
    assert!(told.iter().any(|d| d.contains("changed by somebody else since")), "{told:?}");
}
