//! A journal damaged at any byte, or cut at any length: never a panic, never a step done twice, and
//! always an end. A damaged book of orders: the agent goes on, and takes no order twice.

use std::fs;
use std::time::Duration;

use fleetmend_core::evidence::Answer;
use fleetmend_core::job::JobState;
use fleetmend_core::order::Order;
use fleetmend_core::step::Tool;

use super::world::{World, end, rename, settle, told, tool};
use crate::execute::Offered;
use crate::execute::journal::{self, Journal};

struct Ground {
    world: World,
    sound: Vec<u8>,
}

impl Ground {
    /// A world whose job ran to its end, with its journal.
    async fn new() -> Self {
        let world = World::new(vec![rename("pkg/lists"), tool(Tool::DpkgConfigureAll)]);
        world.write("var/lib/pkg/lists");
        assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
        let sound = fs::read(path(&world)).expect("read");
        Self { world, sound }
    }

    /// An agent that finds this journal. How often it ran the program, and its job's end, told
    /// or written.
    async fn with(&self, bytes: &[u8]) -> (usize, Option<JobState>) {
        let world = &self.world;
        world.answer("test.fault", &[Answer::No]);
        world.machine.calls.lock().expect("lock").clear();
        for folder in ["spool", "journal", "steps"] {
            fs::remove_dir_all(world.state().join(folder)).expect("removed");
        }
        world.state().dir("journal").expect("made");
        fs::write(path(world), bytes).expect("written");
        let executor = world.executor();
        settle(&executor).await;
        let told = told(&executor).into_iter().rfind(|u| u.state.is_final()).map(|u| u.state);
        let written = || Journal::read(&path(world)).ok().flatten()?.finished.map(|u| u.state);
        (world.calls().iter().filter(|c| c.contains("--configure")).count(), told.or_else(written))
    }
}

fn path(world: &World) -> std::path::PathBuf {
    world.state().join("journal").join(journal::name(world.order(1).job, 1))
}

/// Every 29th place, and all around the ends of lines.
fn places(sound: &[u8]) -> Vec<usize> {
    let near = |at: &usize| {
        let from = at.saturating_sub(2);
        sound[from..(at + 3).min(sound.len())].contains(&b'\n')
    };
    (0..sound.len()).filter(|at| at % 29 == 0 || near(at)).collect()
}

#[tokio::test]
async fn a_flipped_byte_of_a_journal_ends_the_job_and_does_nothing_twice() {
    let ground = Ground::new().await;
    for at in places(&ground.sound) {
        let mut bytes = ground.sound.clone();
        bytes[at] ^= 0x41;
        let (runs, state) = ground.with(&bytes).await;
        assert_eq!(runs, 0, "byte {at}: the journal says, or said, that it ran");
        let ends = [Some(JobState::Fixed), Some(JobState::Unknown)];
        assert!(ends.contains(&state), "byte {at}: {state:?}");
    }
}

#[tokio::test]
async fn a_journal_cut_short_ends_the_job_and_does_nothing_twice() {
    let ground = Ground::new().await;
    let lines: Vec<usize> = memchr::memchr_iter(b'\n', &ground.sound).collect();
    let text = String::from_utf8(ground.sound.clone()).expect("text");
    let begun = text.lines().position(|l| l.contains("\"intent\"") && l.contains("\"step\":1"));
    let begun = lines[begun.expect("an intent")];
    for length in places(&ground.sound) {
        let (runs, state) = ground.with(&ground.sound[..length]).await;
        if length > begun {
            assert_eq!(runs, 0, "cut at {length}");
        }
        assert!(runs <= 1, "cut at {length}");
        // Before the order's own line is whole, nothing was promised.
        if length > lines[0] {
            assert!(state.is_some_and(JobState::is_final), "cut at {length}: {state:?}");
        }
    }
}

#[tokio::test]
async fn no_damage_to_any_byte_is_taken_for_sound() {
    let ground = Ground::new().await;
    let dir = tempfile::tempdir().expect("temp");
    let path = dir.path().join(journal::name(ground.world.order(1).job, 1));
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        Journal::reopen(&path)
    };
    let sound = read(&ground.sound).expect("read").expect("whole").progress;
    let last = ground.sound.len() - 1;
    for at in 0..ground.sound.len() {
        let mut bytes = ground.sound.clone();
        bytes[at] ^= 0x41;
        match read(&bytes) {
            Ok(Some(journal)) if journal.progress == sound => {}
            // The end that was told is known, whatever else is not.
            Ok(Some(journal)) if journal.damaged => {
                let ended = journal.progress.finished.is_some() || at > last - 40;
                assert!(ended || !journal.progress.told, "byte {at}");
            }
            // A last line without its end is one that was not written.
            Ok(Some(journal)) => assert!(at == last && !journal.progress.told, "byte {at}"),
            Ok(None) => panic!("byte {at}: taken for nothing"),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "byte {at}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_book_of_orders_is_made_anew_and_lets_no_old_order_in() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    let book = world.state().join("orders.json");
    let mut calls = 0;
    for (n, damaged) in (0u8..).zip([&b""[..], b"{}{", b"{\n}\ncrc32 00000000\n"]) {
        let n = 10 + u64::from(n) * 10;
        world.answer("test.fault", &[Answer::Yes, Answer::No]);
        let taken = Order { not_before: world.clock(), ..world.order(n) };
        let (refused, now) = (world.order(n - 1), Duration::from_mins(10));
        assert_eq!(end(&world.run(&taken).await).0, JobState::Fixed);
        calls += 1;
        assert_eq!(world.calls().len(), calls);
        fs::write(&book, damaged).expect("written");
        world.clock.advance(now);

        let executor = world.executor();
        assert_eq!(executor.highest_counter(), n, "by the journals");
        let offer =
            |order: &Order| executor.offer(&world.authority.key(), &world.authority.sign(order));
        assert_eq!(offer(&taken), Offered::Known);
        // One that was made before, whatever its counter: it may have been refused.
        assert_eq!(offer(&Order { counter: n + 1, ..refused.clone() }), Offered::Refused);
        let why = told(&executor).pop().expect("told").detail;
        assert!(
            why.contains("book of orders was damaged") && why.contains("order it again"),
            "{why}"
        );
        let later = Order { not_before: world.clock(), ..world.order(n + 2) };
        assert_eq!(offer(&later), Offered::Taken);
        assert_eq!(offer(&refused), Offered::Refused, "by its counter, as ever");
        assert!(!told(&executor).pop().expect("told").detail.contains("damaged"));
        world.answer("test.fault", &[Answer::Yes, Answer::No]);
        settle(&executor).await;
        calls += 1;
        assert_eq!(world.calls().len(), calls, "the later one, and nothing twice");
        assert_eq!(fs::read(world.state().join("orders.json.damaged")).expect("kept"), damaged);
        assert_eq!(world.state().files_set_aside(), 1, "and is counted");
    }
}

#[tokio::test]
async fn what_was_begun_today_is_counted_after_the_book_was_damaged_too() {
    let world = World::new(vec![tool(Tool::DpkgConfigureAll)]);
    assert_eq!(end(&world.run(&world.order(1)).await).0, JobState::Fixed);
    fs::write(world.state().join("orders.json"), "{").expect("written");
    let executor = world.executor();
    assert_eq!(executor.shop.book().begun_today(world.clock()), 1);
}
