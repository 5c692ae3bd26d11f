//! Every automatic remediation for Windows, run by the agent's own executor on a recorded host that has
//! its fault: the fault is seen by the agent's own probe, the steps are done, the probe says that it is
//! gone; taken back, the host is what it was; and whatever fails on the way, nothing is left half done.

pub(super) mod bed;

use std::collections::BTreeSet;

use fleetmend_catalog::builtin;
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::OsFamily;
use fleetmend_core::job::JobState;
use fleetmend_core::knowledge::{Cause, Remediation, Verification};
use fleetmend_core::step::{Action, Undo};
use fleetmend_core::words::Slug;

use self::bed::{Bed, Row, Told, rows};

fn automatic() -> impl Iterator<Item = &'static Remediation> {
    let all = builtin().remediations.values();
    all.filter(|r| r.is_automatic() && r.os == OsFamily::Windows)
}

fn of(row: &Row) -> (&'static Remediation, &'static Cause) {
    (&builtin().remediations[&row.remediation], &builtin().causes[&row.cause])
}

/// The probes that say yes before and no after.
fn goes<'r>(row: &'r Row, cause: &'r Cause) -> impl Iterator<Item = &'r Slug> {
    let own = cause.own_probe.iter().filter(|own| !row.goes.contains(own));
    own.chain(&row.goes)
}

/// A row stands on a host with its fault: probes of its cause say so there. docs/seeds.md lists those
/// for which nothing goes.
#[test]
fn every_row_says_how_its_fault_is_seen() {
    let mut stay = BTreeSet::new();
    let rows = rows();
    for row in &rows {
        let (_, cause) = of(row);
        let name = &row.remediation;
        for probe in row.goes.iter().chain(&row.tells) {
            let of_cause =
                cause.indications.iter().any(|i| i.probe == *probe && i.yes.ratio() > 1.0);
            assert!(of_cause, "{name}: {probe} says nothing for {}", cause.id);
        }
        let seen = goes(row, cause).count() + row.tells.len();
        assert_eq!(seen == 0, row.untold, "{name}");
        if goes(row, cause).next().is_none() {
            stay.insert(name.as_str());
        }
    }
    let known = [
        "chkdsk_scan",
        "dism_cleanup_store.superseded",
        "exclude_update_folders_briefly",
        "rescan_updates",
        "reset_txf_log",
        "reset_wu_identity",
        "restart_vss_services",
    ];
    assert_eq!(stay, BTreeSet::from(known));
}

#[test]
fn every_automatic_remediation_of_windows_has_its_host() {
    let rows = rows();
    let have: BTreeSet<&str> = rows.iter().map(|row| row.remediation.as_str()).collect();
    let missing: Vec<&str> =
        automatic().map(|r| r.id.as_str()).filter(|id| !have.contains(id)).collect();
    assert!(missing.is_empty(), "no recorded host for {missing:?}");
    for row in &rows {
        let (remediation, cause) = of(row);
        assert!(cause.remediations.contains(&remediation.id), "{}", row.remediation);
    }
}

#[tokio::test]
async fn each_mends_its_fault() {
    for row in rows() {
        let (remediation, cause) = of(&row);
        let bed = Bed::new(&row);
        let name = &row.remediation;
        for probe in goes(&row, cause).chain(&row.tells) {
            assert_eq!(bed.ask(probe).await, Answer::Yes, "{name}: {probe} before");
        }
        let before = bed.services();
        let told = bed.run(true).await;
        assert_eq!(told.end.0, JobState::Fixed, "{name}: {told:#?}");
        for probe in goes(&row, cause) {
            assert_eq!(bed.ask(probe).await, Answer::No, "{name}: {probe} after");
        }
        for service in before.into_iter().filter(|_| row.later.is_none()) {
            assert!(bed.services().contains(&service), "{name}: {service} does not run any more");
        }
        assert!(told.steps_done >= remediation.steps.len() - row.passed_over, "{name}: {told:#?}");
    }
}

/// The operation fails again: all is taken back.
#[tokio::test]
async fn what_is_declared_exact_is_taken_back_exactly() {
    let mut exact = 0;
    for row in rows() {
        let (remediation, _) = of(&row);
        if remediation.verification != Verification::NextRun {
            continue;
        }
        let name = &row.remediation;
        let bed = Bed::new(&row);
        let before = bed.snapshot();
        let told = bed.run(false).await;
        if remediation.undo() == Undo::None {
            assert_eq!(told.end.0, JobState::Failed, "{name}: {told:#?}");
            continue;
        }
        let changed = told.undone > 0;
        let wanted = if changed { JobState::RolledBack } else { JobState::Failed };
        assert_eq!(told.end.0, wanted, "{name}: {told:#?}");
        if remediation.undo() == Undo::Exact && row.later.is_none() {
            assert_eq!(bed.difference(&before), Vec::<String>::new(), "{name}: {told:#?}");
            exact += usize::from(changed);
        }
    }
    assert!(exact >= 15, "only {exact} were taken back");
}

/// Each effect of each remediation fails once. Whatever was done before it is taken back.
#[tokio::test]
async fn what_fails_on_the_way_leaves_nothing_half_done() {
    let mut tried = 0;
    for row in rows() {
        let (remediation, _) = of(&row);
        let whole = Bed::new(&row);
        whole.run(true).await;
        let mut effects: BTreeSet<String> = whole.done().into_iter().collect();
        // A pause that cannot be ended is tried again for ever: that is a test of its own.
        effects.retain(|e| !e.contains("=on") && !e.starts_with("antivirus_exclusion.remove"));
        for effect in effects {
            let name = format!("{}, where \"{effect}\" fails", row.remediation);
            let bed = Bed::new(&row);
            bed.breaks(&effect);
            let before = bed.snapshot();
            let told = bed.run(true).await;
            assert_ne!(told.end.0, JobState::Fixed, "{name}: {told:#?}");
            assert_ne!(told.end.0, JobState::Unknown, "{name}: {told:#?}");
            tried += 1;
            if told.end.0 == JobState::RolledBack
                && row.later.is_none()
                && all_exact(remediation, &told)
            {
                assert_eq!(bed.difference(&before), Vec::<String>::new(), "{name}: {told:#?}");
            }
            assert!(bed.is_protected(), "{name}: less protected at the end");
        }
    }
    assert!(tried >= 60, "only {tried} failures were tried");
}

/// A restore point is the way back from what has none of its own: it stays once that was done.
#[tokio::test]
async fn a_restore_point_stays_after_what_is_final() {
    let rows = rows();
    let row = rows.iter().find(|row| row.remediation.as_str() == "reset_txf_log").expect("a row");
    let bed = Bed::new(row);
    bed.breaks("run /Windows/System32/shutdown.exe /r /t 0");
    let told = bed.run(true).await;
    assert_eq!(told.end.0, JobState::Failed, "{told:#?}");
    let points = bed.snapshot().record.restore_point;
    assert!(points.values().any(|name| name.starts_with("Fleetmend ")), "{told:#?}");
}

/// Whether all steps that were done can be taken back exactly.
fn all_exact(remediation: &Remediation, told: &Told) -> bool {
    let done = remediation.steps.iter().take(told.reached + 1);
    done.clone().all(|step| step.action.undo() == Undo::Exact)
        && !done.clone().any(|step| matches!(step.action, Action::ServiceRestart { .. }))
}

/// What this version of Windows has no program for is passed over with a word on what to do there.
#[tokio::test]
async fn programs_of_later_windows_are_not_run_on_windows_7() {
    let cases = [
        ("dism_restorehealth", "KB947821"),
        ("dism_cleanup_store", "KB2852386"),
        ("chkdsk_scan", "chkdsk C: /f"),
    ];
    let rows = rows();
    for (remediation, words) in cases {
        let row = rows.iter().find(|row| row.remediation.as_str() == remediation).expect("a row");
        let bed = Bed::new(row);
        bed.becomes("host.build = '6.1.7601'");
        let told = bed.run(true).await;
        assert_eq!(told.end.0, JobState::Skipped, "{told:#?}");
        assert!(told.end.1.contains(words), "{told:#?}");
        assert_eq!(bed.done(), Vec::<String>::new(), "{remediation}");
    }
}

/// A service that did not run before does not run after.
#[tokio::test]
async fn what_did_not_run_is_not_started() {
    let rows = rows();
    let named = |name: &str| rows.iter().find(|r| r.remediation.as_str() == name).expect("a row");
    for (row, service) in
        [(named("reset_wu_components"), "AppIDSvc"), (named("clear_update_cache"), "DoSvc")]
    {
        let bed = Bed::new(row);
        bed.becomes(&format!("service.{service}.state = 'stopped'"));
        let before = bed.services();
        let told = bed.run(true).await;
        assert_eq!(told.end.0, JobState::Fixed, "{told:#?}");
        assert_eq!(bed.services(), before, "{told:#?}");
    }
    // Not every version has every service.
    let bed = Bed::new(named("clear_update_cache"));
    bed.lacks_service("DoSvc");
    let told = bed.run(true).await;
    assert_eq!(told.end.0, JobState::Fixed, "{told:#?}");
}

/// Preconditions that do not hold are refused, and nothing is touched.
#[tokio::test]
async fn what_does_not_fit_is_refused_untouched() {
    let refused = [
        ("restore_service_start_types.wuauserv", "by_policy", "policy sets wuauserv"),
        ("restore_service_start_types.wuauserv", "by_preference", "policy sets wuauserv"),
        ("restore_service_start_types.wuauserv", "policy_unreadable", "is not known"),
        ("detach_mounted_volume.fat", "symbolic_link", "neither a mounted volume nor a junction"),
        ("exclude_update_folders_briefly", "another_scanner", "Example Antivirus is at work"),
        ("exclude_update_folders_briefly", "configmgr", "Configuration Manager decides"),
        ("reset_txf_log", "no_restore", "System Restore cannot be asked"),
        ("fix_wimmount_imagepath", "no_key", "is not on this host"),
        ("recreate_missing_directory", "other_volume", "another volume than the system"),
    ];
    let rows = rows();
    for (remediation, other, words) in refused {
        let row = rows.iter().find(|row| row.remediation.as_str() == remediation).expect("a row");
        let bed = Bed::new(row);
        bed.alter(&row.refused[other]);
        let before = bed.snapshot();
        let told = bed.run(true).await;
        assert!(
            matches!(told.end.0, JobState::Failed | JobState::RolledBack),
            "{other}: {told:#?}"
        );
        assert!(told.end.1.contains(words), "{other}: {told:#?}");
        assert_eq!(bed.difference(&before), Vec::<String>::new(), "{other}: {told:#?}");
        assert!(bed.is_protected(), "{other}");
    }
}
