use std::fs;
use std::os::unix::fs::symlink;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::job::JobState;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::{Action, Place, Step};

use super::world::{NOW, World, below, end, rename, settle, slug, step};
use crate::random;

fn from_evidence() -> Step {
    step(Action::FileQuarantine { place: Place::Evidence { evidence: slug("test.path") } })
}

#[tokio::test]
async fn things_are_renamed_and_quarantined_not_deleted() {
    let quarantine = step(Action::FileQuarantine { place: below("pkg/bad") });
    let make = step(Action::FileCreateDir { place: below("pkg/new/deep") });
    let world = World::new(vec![rename("pkg/lists"), quarantine, make]);
    world.write("var/lib/pkg/lists/one");
    world.write("var/lib/pkg/bad");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    let job = world.order(1).job;
    assert!(world.path(&format!("var/lib/pkg/lists.fleetmend-{job}/one")).exists());
    assert!(world.path("var/lib/pkg/new/deep").is_dir());
    assert!(!world.path("var/lib/pkg/bad").exists());
    let kept: Vec<_> = fs::read_dir(world.state().join("quarantine")).expect("there").collect();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn a_log_is_read_before_its_folder_is_moved() {
    let world = World::new(vec![rename("pkg/logs")]);
    world.write("var/lib/pkg/logs/one");
    let order = world.order(1);
    let collectors = async {
        let _looking = world.looks.run();
        world.looks.wanted().await;
        let look = world.looks.begin();
        assert!(world.path("var/lib/pkg/logs/one").exists(), "not moved before it is read");
        world.looks.end(look);
        std::future::pending::<()>().await;
    };
    let updates = tokio::select! {
        updates = async { tokio::task::yield_now().await; world.run(&order).await } => updates,
        () = collectors => Vec::new(),
    };
    assert_eq!(end(&updates).0, JobState::Fixed);
    assert_eq!(world.looks.begin(), 1, "one look was asked for");
    assert!(!world.path("var/lib/pkg/logs/one").exists());
}

#[tokio::test]
async fn a_look_that_was_not_to_be_had_is_a_line_in_the_job_s_log() {
    let world = World::new(vec![rename("pkg/logs")]);
    world.write("var/lib/pkg/logs/one");
    let executor = world.executor();
    executor.offer(&world.authority.key(), &world.authority.sign(&world.order(1)));
    // Nobody looks.
    settle(&executor).await;
    assert!(!world.path("var/lib/pkg/logs/one").exists(), "what is moved is kept");
    let mut lines = Vec::new();
    let mut spool = executor.shop.spool.lock();
    while let Some(lease) = spool.lease(100, NOW) {
        lines.extend(lease.items.into_iter().filter_map(|item| match item {
            SpoolItem::Log(log) => Some((log.step, log.sequence, log.text)),
            _ => None,
        }));
    }
    let (step, sequence, text) = lines.first().expect("a line");
    assert_eq!((*step, *sequence), (0, 0), "before the first step's own");
    assert!(text.starts_with("warning: the logs were not read before"), "{text}");
    assert!(lines[1..].iter().all(|(step, sequence, _)| (*step, *sequence) != (0, 0)), "{lines:?}");
}

#[tokio::test]
async fn no_link_is_followed_on_the_way() {
    let world = World::new(vec![rename("pkg/link/victim")]);
    let outside = tempfile::tempdir().expect("temp");
    fs::write(outside.path().join("victim"), "safe").expect("written");
    symlink(outside.path(), world.path("var/lib/pkg/link")).expect("linked");
    let (state, why) = end(&world.run(&world.order(1)).await);
    assert_eq!(state, JobState::Failed);
    assert!(why.contains("link"), "{why}");
    assert_eq!(fs::read_dir(outside.path()).expect("there").count(), 1);
    assert!(outside.path().join("victim").exists());
}

#[tokio::test]
async fn a_link_itself_is_moved_and_what_it_names_stays() {
    let world = World::new(vec![rename("pkg/link")]);
    let outside = tempfile::tempdir().expect("temp");
    fs::write(outside.path().join("victim"), "safe").expect("written");
    symlink(outside.path(), world.path("var/lib/pkg/link")).expect("linked");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    assert!(outside.path().join("victim").exists());
    assert!(!world.path("var/lib/pkg/link").exists());
}

#[test]
fn a_folder_that_becomes_a_link_under_the_step_is_not_followed() {
    // Somebody swaps the folder for a link as fast as they can, while jobs run on it.
    let world = World::new(vec![rename("pkg/spin/victim")]);
    let outside = tempfile::tempdir().expect("temp");
    fs::write(outside.path().join("victim"), "safe").expect("written");
    let (spin, aside) = (world.path("var/lib/pkg/spin"), world.path("var/lib/pkg/aside"));
    fs::create_dir(&aside).expect("made");
    fs::write(aside.join("victim"), "fair game").expect("written");
    symlink(outside.path(), world.path("var/lib/pkg/trap")).expect("linked");
    let trap = world.path("var/lib/pkg/trap");
    let over = std::sync::atomic::AtomicBool::new(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("runtime");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                for source in [&aside, &trap] {
                    let _ = fs::rename(source, &spin);
                    let _ = fs::rename(&spin, source);
                }
            }
        });
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                for counter in 1..25 {
                    world.answer("test.fault", &[Answer::Yes, Answer::No]);
                    world.run(&world.order(counter)).await;
                }
            });
        }));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        ran.expect("no panic");
    });
    assert_eq!(fs::read_to_string(outside.path().join("victim")).expect("there"), "safe");
    assert_eq!(fs::read_dir(outside.path()).expect("there").count(), 1);
}

#[tokio::test]
async fn paths_that_are_not_plain_are_refused() {
    let world = World::new(vec![from_evidence()]);
    world.write("etc/passwd");
    let hostile = [
        "etc/passwd",
        "/var/lib/../../etc/passwd",
        "/var/lib/./x",
        "/var//lib/x",
        "/var/lib",
        "/etc",
        "/",
        "",
        "/var/lib/x\0y",
    ];
    for (counter, path) in (1..).zip(hostile) {
        let id = random::evidence_id(NOW);
        let mut evidence =
            Finding::new(Answer::Yes, "there").into_evidence(id, slug("test.path"), NOW);
        evidence.value = Some(path.to_owned());
        world.remember(&evidence);
        world.answer("test.fault", &[Answer::Yes, Answer::No]);
        let mut order = world.order(counter);
        order.evidence = vec![id];
        let (state, why) = end(&world.run(&order).await);
        assert_eq!(state, JobState::Failed, "{path:?}: {why}");
        assert!(why.contains("no plain absolute path"), "{path:?}: {why}");
    }
    assert!(world.path("etc/passwd").exists());
}

#[tokio::test]
async fn what_was_renamed_is_restored_unless_something_new_came() {
    let restore = step(Action::FileRestore { place: below("pkg/lists") });
    let world = World::new(vec![rename("pkg/lists"), restore]);
    world.write("var/lib/pkg/lists");
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    assert!(world.path("var/lib/pkg/lists").exists());
    assert_eq!(fs::read_dir(world.path("var/lib/pkg")).expect("there").count(), 1);
}
