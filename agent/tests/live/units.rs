//! systemd's units, and apt's own timers.

use std::fs;

use fleetmend_agent::collect::live::Observed;
use fleetmend_core::evidence::Answer;
use fleetmend_core::probe::Question;
use fleetmend_core::report::{FailureReport, Operation, Product};

use crate::host::{Host, codes, ended, look, now};

const UNIT: &str = "example-backup.service";

/// A host whose systemd runs and lists these units as failed; all show this state.
fn systemd(host: &Host, failed: &str, active: &str, invocation: &str) {
    fs::create_dir_all(host.path("run/systemd/system")).expect("made");
    host.says("journalctl", 0, "");
    host.says("list-units", 0, failed);
    host.says("list-timers", 0, "[]");
    let state = format!(
        "Id={UNIT}\nLoadState=loaded\nActiveState={active}\nResult=exit-code\nUnitFileState=static\nInvocationID={invocation}\n"
    );
    host.says("systemctl show", 0, &state);
}

#[tokio::test]
async fn a_failed_unit_is_told_once_a_run_and_ends_when_it_is_well() {
    let host = Host::new();
    let mut live = host.live();
    let line = format!("{UNIT} loaded failed failed Example\nother.service loaded failed failed\n");
    systemd(&host, &line, "failed", "a");
    let observed = look(&mut live, &host).await;
    assert_eq!(codes(&observed), [format!("systemd.unit_failed {UNIT}")]);
    let failure = &observed.failures[0];
    assert_eq!((failure.product, failure.operation), (Product::Systemd, Operation::Backup));
    assert!(failure.message.contains("exit-code"), "{failure:?}");
    assert_eq!(look(&mut live, &host).await, Observed::default());
    // Also not after a restart of the agent.
    let mut live = host.live();
    assert_eq!(look(&mut live, &host).await, Observed::default());
    // Another run that failed is another occurrence.
    systemd(&host, &line, "failed", "b");
    assert_eq!(codes(&look(&mut live, &host).await).len(), 1);
    // It is being started: how that ends is not known.
    systemd(&host, "", "activating", "c");
    assert_eq!(look(&mut live, &host).await, Observed::default());
    // systemctl does not answer: nothing is said, but a note.
    host.says("list-units", 1, "no");
    let observed = look(&mut live, &host).await;
    assert_eq!((codes(&observed), ended(&observed)), (vec![], vec![]));
    assert!(observed.notes.iter().any(|n| n.contains("systemd.unit_failed")), "{observed:?}");
    systemd(&host, "", "inactive", "c");
    let observed = look(&mut live, &host).await;
    assert_eq!(ended(&observed), ["systemd.unit_failed"]);
    assert_eq!(look(&mut live, &host).await, Observed::default());
}

#[tokio::test]
async fn where_systemd_does_not_run_nothing_is_said_of_it() {
    let host = Host::new();
    systemd(&host, &format!("{UNIT} loaded failed failed\n"), "failed", "a");
    fs::remove_dir_all(host.path("run")).expect("removed");
    assert_eq!(look(&mut host.live(), &host).await, Observed::default());
}

#[tokio::test]
async fn late_timers_are_told_apart_from_planned_ones() {
    let host = Host::new();
    systemd(&host, "", "active", "");
    let us = |days: i64| (now().as_millis() - days * 86_400_000) * 1_000;
    let timer = |name: &str, last: i64, next: i64| {
        format!("{{\"unit\":\"{name}\",\"last\":{},\"next\":{next}}}", us(last))
    };
    let timers = |up_hours: u32| {
        let list = [
            timer("apt-daily.timer", 3, us(-1)),
            timer("monthly-backup.timer", 20, us(-10)),
            timer("stopped-backup.timer", 20, 0),
            timer("new-stopped-backup.timer", 5, 0),
            timer("something.timer", 90, 0),
        ];
        host.says("list-timers", 0, &format!("[{}]", list.join(",")));
        host.write("proc/uptime", &format!("{}.00 1.00\n", up_hours * 3_600));
    };
    // Just started: what is planned is made up for.
    timers(1);
    let mut live = host.live();
    let found = codes(&look(&mut live, &host).await);
    assert_eq!(found, ["systemd.timer_missed stopped-backup.timer"]);
    timers(48);
    let found = codes(&look(&mut live, &host).await);
    assert_eq!(found, ["systemd.timer_missed apt-daily.timer"]);
}

#[tokio::test]
async fn apt_that_should_work_by_itself_and_does_not_is_told() {
    let host = Host::new();
    systemd(&host, "", "active", "");
    let mut live = host.live();
    host.says("systemctl show", 0, "LoadState=loaded\nUnitFileState=disabled\n");
    // Nobody asked it to.
    assert_eq!(look(&mut live, &host).await, Observed::default());
    host.write("etc/apt/apt.conf.d/20auto-upgrades", "APT::Periodic::Unattended-Upgrade \"1\";\n");
    assert_eq!(codes(&look(&mut live, &host).await), ["apt.periodic_stale"]);
    host.says("systemctl show", 0, "LoadState=loaded\nUnitFileState=enabled\n");
    assert_eq!(ended(&look(&mut live, &host).await), ["apt.periodic_stale"]);
    // By its stamp.
    host.write("var/lib/apt/periodic/update-stamp", "");
    let old = std::time::SystemTime::UNIX_EPOCH
        + std::time::Duration::from_millis(
            u64::try_from(now().as_millis()).expect("this century") - 9 * 86_400_000,
        );
    let stamp = fs::File::options()
        .write(true)
        .open(host.path("var/lib/apt/periodic/update-stamp"))
        .expect("opened");
    stamp.set_modified(old).expect("dated");
    let observed = look(&mut live, &host).await;
    assert_eq!(codes(&observed), ["apt.periodic_stale"]);
    assert!(observed.failures[0].message.contains("9 days old"), "{observed:?}");
}

#[tokio::test]
async fn a_unit_is_asked_for_itself() {
    let host = Host::new();
    systemd(&host, "other-backup.service loaded failed failed\n", "failed", "a");
    let mut failure = host_failure(&host).await;
    failure.subject = Some(UNIT.to_owned());
    host.says("systemctl show", 0, &format!("Id={UNIT}\nLoadState=loaded\nActiveState=inactive\n"));
    let (answer, proof) = host.ask(Question::SystemdUnitFailed, Some(&failure)).await;
    assert!(answer == Answer::No && proof.contains(UNIT), "{proof}");
    let (answer, proof) = host.ask(Question::SystemdUnitFailed, None).await;
    assert!(answer == Answer::Yes && proof.contains("other-backup"), "{proof}");
}

async fn host_failure(host: &Host) -> FailureReport {
    look(&mut host.live(), host).await.failures.remove(0)
}
