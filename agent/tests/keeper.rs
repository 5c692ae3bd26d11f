//! Programs of steps that outlive the agent, with the agent's own program as their keeper.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use fleetmend_agent::platform::{Exit, Linux, Platform as _, Program, Rejoined};
use tokio::time::timeout;

fn machine() -> Linux {
    Linux::keeping(env!("CARGO_BIN_EXE_fleetmend-agent"))
}

fn shell(script: &str, time: Duration) -> Program {
    Program {
        path: "/bin/sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        timeout: time,
        max_output: 1_000,
    }
}

async fn begin(program: &Program, folder: &Path) -> (std::io::Result<Exit>, Vec<u8>) {
    let mut seen = Vec::new();
    let mut sink = |piece: &[u8]| seen.extend_from_slice(piece);
    let exit = machine().run_kept(program, folder, &mut sink).await;
    (exit, seen)
}

async fn rejoin(folder: &Path) -> (Rejoined, Vec<u8>) {
    rejoin_and(folder, || {}).await
}

/// Rejoins a program, and does something each time that it is heard.
async fn rejoin_and(folder: &Path, mut heard: impl FnMut() + Send) -> (Rejoined, Vec<u8>) {
    let mut seen = Vec::new();
    let mut sink = |piece: &[u8]| {
        seen.extend_from_slice(piece);
        heard();
    };
    let rejoined = machine().rejoin(folder, &mut sink).await.expect("rejoined");
    (rejoined, seen)
}

/// Begins a program and leaves it, as an agent that is killed, once `so`.
async fn leave(program: &Program, folder: &Path, so: impl Fn() -> bool) {
    let look = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        (exit, _) = begin(program, folder) => panic!("it ended before: {exit:?}"),
        done = timeout(Duration::from_secs(20), look) => done.expect("begun"),
    }
}

#[tokio::test]
async fn a_kept_program_gives_what_any_program_gives() {
    let dir = tempfile::tempdir().expect("temp");
    let program = shell("echo one; echo two >&2; exit 3", Duration::from_secs(20));
    let (exit, seen) = begin(&program, dir.path()).await;
    let exit = exit.expect("ran");
    assert_eq!((exit.status, exit.dropped, exit.timed_out), (Some(3), 0, false));
    assert_eq!((exit.output.as_slice(), seen.as_slice()), (&b"one\ntwo\n"[..], &b"one\ntwo\n"[..]));
    // Asked again, as after a crash, it says the same.
    let (again, seen) = rejoin(dir.path()).await;
    assert_eq!((again, seen.as_slice()), (Rejoined::Ended(exit), &b"one\ntwo\n"[..]));
}

#[tokio::test]
async fn its_output_is_bounded_on_disk_and_what_is_over_is_counted() {
    let dir = tempfile::tempdir().expect("temp");
    let program = shell(
        "i=0; while [ $i -lt 500 ]; do echo 123456789; i=$((i+1)); done",
        Duration::from_secs(20),
    );
    let exit = begin(&program, dir.path()).await.0.expect("ran");
    assert_eq!((exit.output.len(), exit.dropped), (1_000, 4_000));
    assert_eq!(fs::metadata(dir.path().join("output")).expect("there").len(), 1_000);
}

#[tokio::test]
async fn a_program_outlives_its_agent_and_its_outcome_is_learned() {
    let dir = tempfile::tempdir().expect("temp");
    let effects = dir.path().join("effects");
    let script = format!(
        "echo began; echo x >> {0}; while [ ! -e {0}.go ]; do sleep 0.05; done; echo ended; exit 7",
        effects.display()
    );
    let program = shell(&script, Duration::from_mins(1));
    leave(&program, dir.path(), || effects.exists()).await;
    // Nobody can begin it again meanwhile.
    assert!(begin(&program, dir.path()).await.0.is_err());
    // It goes on only once the next agent hears it.
    let go = effects.with_extension("go");
    let (rejoined, seen) = rejoin_and(dir.path(), || fs::write(&go, "").expect("written")).await;
    let Rejoined::Ended(exit) = rejoined else { panic!("{rejoined:?}") };
    assert_eq!((exit.status, seen.as_slice()), (Some(7), &b"began\nended\n"[..]));
    assert_eq!(fs::read_to_string(&effects).expect("there"), "x\n");
}

#[tokio::test]
async fn its_time_is_up_whether_an_agent_is_there_or_not() {
    let dir = tempfile::tempdir().expect("temp");
    let output = dir.path().join("output");
    let program = shell("echo began; sleep 600", Duration::from_secs(1));
    leave(&program, dir.path(), || fs::read(&output).is_ok_and(|o| !o.is_empty())).await;
    let (rejoined, _) = timeout(Duration::from_secs(20), rejoin(dir.path())).await.expect("ended");
    assert!(matches!(rejoined, Rejoined::Ended(Exit { timed_out: true, .. })), "{rejoined:?}");
}

#[tokio::test]
async fn a_program_whose_keeper_was_killed_is_waited_for_and_then_unknown() {
    let dir = tempfile::tempdir().expect("temp");
    let process = dir.path().join("process");
    // The keeper is the program's parent.
    let program = shell("echo $PPID; exec sleep 3", Duration::from_secs(1));
    let output = dir.path().join("output");
    leave(&program, dir.path(), || {
        process.exists() && fs::read(&output).is_ok_and(|o| o.ends_with(b"\n"))
    })
    .await;
    let keeper: i32 = fs::read_to_string(&output).expect("read").trim().parse().expect("a number");
    let keeper = rustix::process::Pid::from_raw(keeper).expect("a process");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("killed");
    let (rejoined, _) = timeout(Duration::from_secs(20), rejoin(dir.path())).await.expect("ended");
    let Rejoined::Lost(why) = rejoined else { panic!("{rejoined:?}") };
    assert!(why.contains("its time was over"), "{why}");
}

#[tokio::test]
async fn a_folder_in_which_nothing_began_says_so() {
    let dir = tempfile::tempdir().expect("temp");
    assert_eq!(rejoin(dir.path()).await.0, Rejoined::NeverBegan);
    let (lost, _) = rejoin(&dir.path().join("missing")).await;
    assert!(matches!(lost, Rejoined::Lost(_)), "{lost:?}");
}

#[tokio::test]
async fn a_program_that_could_not_be_started_is_known_not_to_have_run() {
    let dir = tempfile::tempdir().expect("temp");
    let missing =
        Program { path: "/nowhere/at-all".to_owned(), ..shell("", Duration::from_secs(9)) };
    let error = begin(&missing, dir.path()).await.0.expect_err("it is not there");
    assert!(error.to_string().contains("No such file"), "{error}");
    assert_eq!(rejoin(dir.path()).await.0, Rejoined::NeverBegan);
}

#[tokio::test]
async fn damage_in_what_a_keeper_left_is_never_taken_for_an_outcome() {
    let dir = tempfile::tempdir().expect("temp");
    begin(&shell("exit 0", Duration::from_secs(20)), dir.path()).await.0.expect("ran");
    let path = dir.path().join("exit");
    let sound = fs::read(&path).expect("read");
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, bytes).expect("written");
        let (rejoined, _) = rejoin(dir.path()).await;
        let same = Rejoined::Ended(Exit { status: Some(0), ..Exit::default() });
        assert!(
            matches!(rejoined, Rejoined::Lost(_)) || rejoined == same,
            "byte {at}: {rejoined:?}"
        );
    }
}
