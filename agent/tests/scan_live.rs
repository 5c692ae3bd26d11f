//! The live collectors and probes on a host made of files, and on a real dpkg in a root of its own.

#![cfg(unix)]

#[path = "live/backup_runs.rs"]
mod backup_runs;
#[path = "../../sim/src/logs/evtx_file.rs"]
#[expect(dead_code, reason = "numbers and element data matter to others only")]
mod evtx_file;
#[path = "live/host.rs"]
mod host;
#[path = "live/units.rs"]
mod units;
#[path = "live/updates.rs"]
mod updates;

use std::fs;
use std::path::Path;

use fleetmend_agent::collect::live::Observed;
use fleetmend_agent::probe::host_state::host_state;
use fleetmend_core::evidence::Answer;
use fleetmend_core::probe::{Question, ServiceQuestion};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::step::{Base, Place};

use host::{GOOD, Host, codes, ended, look, now};

#[tokio::test]
async fn an_interrupted_dpkg_is_told_once_and_its_end_too() {
    let host = Host::new();
    let mut live = host.live();
    assert_eq!(look(&mut live, &host).await, Observed::default());
    host.package("half-configured");
    let observed = look(&mut live, &host).await;
    assert_eq!(codes(&observed), ["apt.dpkg_interrupted"]);
    let report = &observed.failures[0];
    assert_eq!((report.product, report.operation), (Product::Apt, Operation::Install));
    assert_eq!(report.subject, None);
    assert!(report.message.contains("demo (half-configured)"), "{}", report.message);
    // Not again, not by another agent process either.
    assert_eq!(look(&mut live, &host).await, Observed::default());
    let mut live = host.live();
    assert_eq!(look(&mut live, &host).await, Observed::default());
    host.write("var/lib/dpkg/status", GOOD);
    let observed = look(&mut live, &host).await;
    assert_eq!(
        (codes(&observed), ended(&observed)),
        (vec![], vec!["apt.dpkg_interrupted".to_owned()])
    );
    // And anew when it comes back.
    host.write("var/lib/dpkg/updates/0001", "");
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.dpkg_interrupted"]);
}

#[tokio::test]
async fn findings_that_are_not_safe_are_found_again() {
    let host = Host::new();
    host.package("unpacked");
    let mut live = host.live();
    for _ in 0..2 {
        assert_eq!(codes(&live.poll(&host, now()).await), ["apt.dpkg_interrupted"]);
    }
    live.commit().expect("kept");
    assert_eq!(codes(&live.poll(&host, now()).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_cursor_is_said_and_begun_anew() {
    let host = Host::new();
    host.package("unpacked");
    look(&mut host.live(), &host).await;
    for file in ["live-cursor.json", "live-cursor.copy"] {
        fs::write(host.state.path().join(file), b"\xFF{").expect("written");
    }
    let observed = look(&mut host.live(), &host).await;
    assert_eq!(codes(&observed), ["apt.dpkg_interrupted"]);
    assert!(observed.notes[0].contains("damaged"), "{:?}", observed.notes);
}

#[tokio::test]
async fn a_condition_that_a_job_mended_and_that_came_back_is_told_again() {
    let host = Host::new();
    let mut live = host.live();
    host.package("unpacked");
    let first = look(&mut live, &host).await;
    assert_eq!(codes(&first), ["apt.dpkg_interrupted"]);
    assert_eq!(look(&mut live, &host).await, Observed::default());
    // The job ended and the fault came back between two looks: no look saw it gone.
    live.mended(&[first.failures[0].incident_key()]);
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.dpkg_interrupted"]);
    // Mended and gone: nothing to tell, the job's proof said it.
    live.mended(&[first.failures[0].incident_key()]);
    host.write("var/lib/dpkg/status", GOOD);
    assert_eq!(look(&mut live, &host).await, Observed::default());
}

const TRIED: &str = "2026-01-02 09:00:00 configure demo:all 1.0 <none>\n\
    2026-01-02 09:00:00 status half-configured demo:all 1.0\n";

#[tokio::test]
async fn a_failing_script_is_told_with_its_package_for_each_attempt() {
    let host = Host::new();
    let mut live = host.live();
    host.package("half-configured");
    host.write("var/log/dpkg.log", TRIED);
    host.write(
        "var/log/apt/term.log",
        "Log started: 2026-01-02  08:59:59\ndpkg: error processing package demo (--configure):\n installed demo package post-installation script subprocess returned error exit status 3\nLog ended: 2026-01-02  09:00:01\n",
    );
    host.write(
        "var/log/apt/history.log",
        "Start-Date: 2026-01-02  08:59:59\nInstall: demo:all (1.0)\nError: Sub-process /usr/bin/dpkg returned an error code (1)\nEnd-Date: 2026-01-02  09:00:01\n",
    );
    let observed = look(&mut live, &host).await;
    assert_eq!(codes(&observed), ["apt.dpkg_interrupted", "apt.maintainer_script demo"]);
    assert!(observed.failures[1].message.ends_with("exit status 3"));
    assert_eq!(look(&mut live, &host).await, Observed::default());
    // A later attempt that fails is a report of its own; the interruption is still the same.
    host.write("var/log/dpkg.log", &format!("{TRIED}{}", TRIED.replace("09:00", "10:00")));
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.maintainer_script demo"]);
    let (answer, proof) = host.ask(Question::DpkgScriptFails, None).await;
    assert_eq!(answer, Answer::Yes, "{proof}");
    host.write("var/lib/dpkg/status", GOOD);
    let mut gone = ended(&look(&mut live, &host).await);
    gone.sort();
    assert_eq!(gone, ["apt.dpkg_interrupted", "apt.maintainer_script"]);
}

#[tokio::test]
async fn a_dpkg_that_was_killed_says_nothing_of_the_script() {
    let host = Host::new();
    host.package("half-configured");
    host.write("var/log/dpkg.log", TRIED);
    host.write("var/lib/dpkg/updates/0000", "");
    assert_eq!(codes(&look(&mut host.live(), &host).await), ["apt.dpkg_interrupted"]);
    assert_eq!(host.ask(Question::DpkgScriptFails, None).await.0, Answer::No);
    assert_eq!(host.ask(Question::DpkgInterrupted, None).await.0, Answer::Yes);
}

#[tokio::test]
async fn unmet_dependencies_are_asked_for_only_when_something_changed() {
    let host = Host::new();
    let mut live = host.live();
    host.says(
        "apt-get",
        100,
        "The following packages have unmet dependencies:\n demo : Depends: x\n",
    );
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.broken_deps"]);
    host.says("apt-get", 0, "");
    assert_eq!(look(&mut live, &host).await, Observed::default());
    host.write("var/lib/dpkg/status", &format!("{GOOD}\n"));
    let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
    let file = fs::OpenOptions::new().append(true).open(host.path("var/lib/dpkg/status"));
    file.expect("opened").set_modified(later).expect("set");
    assert_eq!(ended(&look(&mut live, &host).await), ["apt.broken_deps"]);
}

#[tokio::test]
async fn past_runs_are_told_once_and_a_good_one_ends_them() {
    let host = Host::new();
    let mut live = host.live();
    let stanza = |hour: u32, error: &str| {
        format!(
            "Start-Date: 2026-01-02  0{hour}:00:00\nCommandline: apt-get install x\nInstall: x:all (1)\n{error}End-Date: 2026-01-02  0{hour}:00:09\n\n"
        )
    };
    let failed = stanza(1, "Error: Sub-process /usr/bin/dpkg returned an error code (1)\n");
    let old = failed.replace("2026-01-02", "2024-01-02");
    host.write("var/log/apt/history.log", &format!("{old}{failed}"));
    let uu = "2026-01-02 02:00:00,000 ERROR Lock could not be acquired (another package manager running?)\n\
        2026-01-02 02:30:00,000 ERROR An error occurred: Hash Sum mismatch\n";
    host.write("var/log/unattended-upgrades/unattended-upgrades.log", uu);
    let observed = look(&mut live, &host).await;
    assert_eq!(codes(&observed), ["exit:100", "apt.lock_held", "apt.hash_mismatch"]);
    assert_eq!(observed.failures[2].operation, Operation::Scan);
    assert_eq!(observed.failures[0].time.to_string(), "2026-01-02T01:00:09.000+00:00");
    assert_eq!(look(&mut live, &host).await, Observed::default());
    host.write("var/log/apt/history.log", &format!("{old}{failed}{}", stanza(3, "")));
    let observed = look(&mut live, &host).await;
    assert_eq!(observed.recoveries.len(), 1);
    assert_eq!(observed.recoveries[0].at.to_string(), "2026-01-02T03:00:09.000Z");
}

#[tokio::test]
async fn containers_do_not_pass_for_healthy() {
    let host = Host::new();
    host.says("systemctl", 1, "System has not been booted with systemd as init system (PID 1).");
    for question in [
        Question::SystemdUnitFailed,
        Question::SystemdTimerMissed,
        Question::Service { service: "cron.service".to_owned(), question: ServiceQuestion::Failed },
        Question::AptUpdateError { contains: "NO_PUBKEY".to_owned() },
        Question::StoreDamaged,
        Question::ClockWrong,
        Question::AptPeriodicStale { days: 3 },
    ] {
        let (answer, proof) = host.ask(question.clone(), None).await;
        assert_eq!(answer, Answer::Unknown, "{question:?}: {proof}");
        assert!(!proof.is_empty());
    }
}

#[tokio::test]
async fn systemd_is_asked_where_it_answers() {
    let host = Host::new();
    host.says("show", 0, "Id=x.timer\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=masked\nResult=exit-code\n");
    host.says("--failed", 0, "cups.service loaded failed failed Printing\napt-daily.service loaded failed failed Daily\n");
    host.says(
        "list-timers",
        0,
        r#"[{"unit":"apt-daily.timer","last":1700000000000000},{"unit":"x","last":null}]"#,
    );
    let service = |question| Question::Service { service: "x.timer".to_owned(), question };
    for (question, wanted) in [
        (service(ServiceQuestion::Disabled), Answer::Yes),
        (service(ServiceQuestion::Failed), Answer::Yes),
        (service(ServiceQuestion::Missing), Answer::No),
        (service(ServiceQuestion::Running), Answer::No),
        (Question::SystemdUnitFailed, Answer::Yes),
        (Question::SystemdTimerMissed, Answer::Yes),
    ] {
        let (answer, proof) = host.ask(question.clone(), None).await;
        assert_eq!(answer, wanted, "{question:?}: {proof}");
    }
    let hostile =
        Question::Service { service: "--help".to_owned(), question: ServiceQuestion::Running };
    assert_eq!(host.ask(hostile, None).await.0, Answer::Unknown);
}

#[tokio::test]
async fn files_and_words_are_looked_for() {
    let host = Host::new();
    let place = |path: &str| Place::Below { base: Base::VarLib, path: path.to_owned() };
    let there = host.ask(Question::Exists { place: place("dpkg/status") }, None).await;
    assert_eq!(there.0, Answer::Yes);
    let missing = host.ask(Question::Missing { place: place("dpkg/none") }, None).await;
    assert_eq!(missing, (Answer::Yes, "/var/lib/dpkg/none does not exist".to_owned()));
    let windows = Place::Below { base: Base::System32, path: "x".to_owned() };
    assert_eq!(host.ask(Question::Missing { place: windows }, None).await.0, Answer::Unknown);

    host.package("unpacked");
    let mut failure = host.live().poll(&host, now()).await.failures.remove(0);
    failure.message = "cannot open /var/lib/gone".to_owned();
    let path = host.ask(Question::FailurePathMissing, Some(&failure)).await;
    assert_eq!(path.0, Answer::Yes);
    failure.time = "2026-01-02T09:05:00.000+00:00".parse().expect("a time");
    host.write("var/log/dpkg.log", TRIED);
    let says = |text: &str| Question::LogSays { contains: text.to_owned() };
    assert_eq!(host.ask(says("HALF-configured demo"), Some(&failure)).await.0, Answer::Yes);
    assert_eq!(host.ask(says("something else"), Some(&failure)).await.0, Answer::No);
    failure.time = "2026-01-02T11:05:00.000+00:00".parse().expect("a time");
    let far = host.ask(says("half-configured demo"), Some(&failure)).await.0;
    assert_eq!(far, Answer::Unknown, "no line of the log is near");
}

#[tokio::test]
async fn the_host_state_holds_what_could_be_found_out() {
    let host = Host::new();
    host.write("run/reboot-required", "");
    host.write(".dockerenv", "");
    let state = host_state(&host, now()).await;
    assert_eq!(state.updates, ["1 packages installed"]);
    assert!(state.pending_reboot.is_some() && state.disks.len() == 1);
    assert_eq!((state.roles.as_slice(), state.services.len()), (&["container".to_owned()][..], 0));
    assert_eq!((state.booted_at, state.last_install, state.last_backup), (None, None, None));
}

/// A real lock, held by a real process.
#[tokio::test]
async fn nothing_is_concluded_while_a_package_tool_works() {
    let host = Host::new();
    host.package("half-configured");
    host.write("var/lib/dpkg/lock-frontend", "");
    let Some(mut holder) = hold(&host.path("var/lib/dpkg/lock-frontend")) else {
        eprintln!("skipped: no python3 here to hold a lock");
        return;
    };
    let mut live = host.live();
    let observed = look(&mut live, &host).await;
    let asked = host.ask(Question::DpkgInterrupted, None).await;
    let held = host.ask(Question::AptLockHeld, None).await;
    holder.kill().expect("ended");
    holder.wait().expect("ended");
    assert_eq!(observed.failures, []);
    assert_eq!(asked.0, Answer::Unknown, "{}", asked.1);
    assert_eq!(held.0, Answer::Yes, "{}", held.1);
    assert!(held.1.contains("python"), "{}", held.1);
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.dpkg_interrupted"]);
    assert_eq!(host.ask(Question::AptLockHeld, None).await.0, Answer::No);
}

/// Starts a process that holds a lock; it says so before this returns.
#[expect(clippy::disallowed_methods, reason = "another process must hold the lock")]
fn hold(path: &Path) -> Option<std::process::Child> {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};

    let script = "import fcntl,sys,time\nf=open(sys.argv[1],'r+')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(60)";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    (line.trim() == "held").then_some(child)
}

/// A package whose script fails, and one that was only unpacked, by the real dpkg in a root of its
/// own: its files must mean what these collectors take them to mean.
#[tokio::test]
async fn a_real_dpkg_leaves_what_is_expected() {
    let host = Host::new();
    host.write("var/lib/dpkg/status", "");
    host.write("var/log/dpkg.log", "");
    fs::create_dir_all(host.path("var/lib/dpkg/info")).expect("made");
    fs::create_dir_all(host.path("var/lib/dpkg/triggers")).expect("made");
    if !dpkg(&host, &["--version"]) {
        eprintln!("skipped: no dpkg here");
        return;
    }
    let deb = build(&host);
    assert!(dpkg(&host, &["--unpack", &deb]), "unpacking works");
    let mut live = host.live();
    let unpacked = look(&mut live, &host).await;
    assert_eq!(codes(&unpacked), ["apt.dpkg_interrupted"]);
    assert_eq!(host.ask(Question::DpkgScriptFails, None).await.0, Answer::No);
    // dpkg itself is ended in the middle: its script is not to blame.
    host.write("kill", "");
    assert!(!dpkg(&host, &["--configure", "-a"]), "dpkg is killed");
    fs::remove_file(host.path("kill")).expect("removed");
    assert!(fs::read_dir(host.path("var/lib/dpkg/updates")).expect("read").count() > 0);
    assert_eq!(host.ask(Question::DpkgInterrupted, None).await.0, Answer::Yes);
    assert_eq!(host.ask(Question::DpkgScriptFails, None).await.0, Answer::No);
    assert_eq!(look(&mut live, &host).await.failures, []);
    assert!(!dpkg(&host, &["--configure", "-a"]), "the script fails");
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.maintainer_script demo"]);
    assert_eq!(host.ask(Question::DpkgScriptFails, None).await.0, Answer::Yes);
    // What made the script fail goes away.
    host.write("works", "");
    assert!(dpkg(&host, &["--configure", "-a"]), "now it works");
    let mut gone = ended(&look(&mut live, &host).await);
    gone.sort();
    assert_eq!(gone, ["apt.dpkg_interrupted", "apt.maintainer_script"]);
    assert_eq!(host.ask(Question::DpkgInterrupted, None).await.0, Answer::No);
}

#[expect(clippy::disallowed_methods, reason = "the real dpkg is what is tested")]
fn dpkg(host: &Host, args: &[&str]) -> bool {
    let root = host.root.path().display();
    let run = std::process::Command::new("dpkg")
        .arg(format!("--root={root}"))
        .arg(format!("--log={}", host.path("var/log/dpkg.log").display()))
        .args(["--force-script-chrootless", "--force-not-root", "--force-bad-path"])
        .args(args)
        .output();
    run.is_ok_and(|run| run.status.success())
}

/// A package whose configuration works only where the root holds a file `works`.
#[expect(clippy::disallowed_methods, reason = "the real dpkg-deb builds what is tested")]
fn build(host: &Host) -> String {
    let folder = host.state.path().join("demo");
    let control = folder.join("DEBIAN");
    fs::create_dir_all(&control).expect("made");
    let text = "Package: demo\nVersion: 1.0\nArchitecture: all\nMaintainer: Demo <demo@example.com>\nDescription: demo\n";
    fs::write(control.join("control"), text).expect("written");
    let script = control.join("postinst");
    fs::write(
        &script,
        "#!/bin/sh\ntest -e \"$DPKG_ROOT/kill\" && kill -9 $PPID\ntest -e \"$DPKG_ROOT/works\"\n",
    )
    .expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("set");
    let deb = host.state.path().join("demo.deb");
    let built =
        std::process::Command::new("dpkg-deb").arg("--build").arg(&folder).arg(&deb).output();
    assert!(built.is_ok_and(|run| run.status.success()), "a package is built");
    deb.display().to_string()
}
