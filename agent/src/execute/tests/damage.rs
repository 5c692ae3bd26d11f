//! A journal damaged at any byte, or cut at any length: never a panic, never a step done twice, and
//! always an end.

use std::fs;

use fleetmend_core::evidence::Answer;
use fleetmend_core::job::JobState;
use fleetmend_core::step::Tool;

use super::world::{World, end, rename, settle, told, tool};
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
