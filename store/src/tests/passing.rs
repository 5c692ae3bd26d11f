//! Failures that go by themselves, updates that replace others, and successes, on every database.

use std::sync::Arc;

use fleetmend_core::ids::HostId;
use fleetmend_core::incident::{IncidentRules, IncidentState};
use fleetmend_core::overdue::{LabelRule, OverdueRules};
use fleetmend_core::report::{Kind, Operation, Product, ReportedFailure};
use fleetmend_core::span::Span;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;

use super::{at, contract, fails, failure, hosts, incidents, recovers, send};
use crate::{Db, Incident, TimelineKind};

const PASSES: &str = "apt.lock_held";

/// The same database, where one code passes by itself.
fn ruled(db: &Db) -> Db {
    let transient = [PASSES.parse().expect("a code")].into();
    let rules = IncidentRules { transient, ..IncidentRules::default() };
    Db { rules: Arc::new(rules), ..db.clone() }
}

fn hour(n: u64) -> Timestamp {
    at(60 * n)
}

async fn passes(db: &Db, host: HostId, n: u128, when: Timestamp) {
    send(db, host, [fails(failure(n, PASSES, None, when))], when).await;
}

/// An update of this month that failed, or went in.
fn update(n: u128, month: &str, kb: u32, kind: Kind, when: Timestamp) -> SpoolItem {
    let mut report: ReportedFailure = failure(n, "0x80070643", Some(&format!("KB{kb}")), when);
    report.failure.product = Product::WindowsUpdate;
    report.failure.kind = kind;
    report.failure.message = format!(
        "2023-{month} Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB{kb})"
    );
    if kind == Kind::Success {
        report.failure.code = None;
    }
    fails(report)
}

async fn of_kb(db: &Db, kb: &str) -> Incident {
    let all = incidents(db).await;
    all.into_iter().find(|i| i.key.subject.as_deref() == Some(kb)).expect(kb)
}

contract! {
    async fn what_passes_is_counted_and_an_incident_only_when_it_does_not(db) {
        let db = &ruled(db);
        let host = hosts(db, 1).await[0];
        for n in 0..4 {
            passes(db, host, u128::from(n) + 1, hour(n)).await;
        }
        assert!(incidents(db).await.is_empty(), "four in three hours may be one outage");
        let counted = db.passing_failures(host).await.expect("reads");
        assert_eq!((counted.len(), counted[0].failures, counted[0].first), (1, 4, hour(0)));
        passes(db, host, 5, hour(24)).await;
        let opened = incidents(db).await;
        assert_eq!((opened.len(), opened[0].reports, opened[0].first_seen), (1, 5, hour(0)));
        let detail = db.incident(opened[0].id).await.expect("reads").expect("there");
        assert_eq!(detail.reports.len(), 5, "with all that was counted before");
        assert!(db.passing_failures(host).await.expect("reads").is_empty());
        passes(db, host, 6, hour(25)).await;
        assert_eq!(incidents(db).await[0].reports, 6, "an incident like any other by now");
        // Another code does not wait.
        send(db, host, [fails(failure(9, "apt.broken_deps", None, hour(25)))], hour(25)).await;
        assert_eq!(incidents(db).await.len(), 2);
    }

    async fn a_success_ends_the_count_and_so_does_a_long_time(db) {
        let db = &ruled(db);
        let host = hosts(db, 1).await[0];
        passes(db, host, 1, hour(0)).await;
        passes(db, host, 2, hour(20)).await;
        send(db, host, [recovers(None, hour(21))], hour(21)).await;
        assert!(db.passing_failures(host).await.expect("reads").is_empty());
        let told = db.timeline(host, None, 10).await.expect("reads");
        assert!(told.iter().any(|e| e.kind == TimelineKind::Recovery), "{told:?}");
        passes(db, host, 3, hour(30)).await;
        assert!(incidents(db).await.is_empty(), "counted from the success on");
        // What was said before the success is old news of it.
        send(db, host, [recovers(None, hour(29))], hour(31)).await;
        assert_eq!(db.passing_failures(host).await.expect("reads")[0].failures, 1);
        for (n, day) in [(4, 40), (5, 80)] {
            passes(db, host, n, hour(24 * day)).await;
        }
        let counted = db.passing_failures(host).await.expect("reads");
        assert_eq!((counted[0].failures, incidents(db).await.len()), (1, 0), "weeks lie between them");
    }

    async fn a_success_between_failures_of_one_batch_ends_the_count(db) {
        let db = &ruled(db);
        let host = hosts(db, 1).await[0];
        let mut worked = failure(10, "", None, hour(20));
        (worked.failure.kind, worked.failure.operation) = (Kind::Success, Operation::Repair);
        let of = |n: u64, at: u64| {
            let mut report = failure(u128::from(n), PASSES, None, hour(at));
            report.failure.operation = Operation::Repair;
            fails(report)
        };
        let failures = (0..4).map(|n| of(n + 1, n));
        let batch: Vec<SpoolItem> = failures.chain([fails(worked), of(5, 24)]).collect();
        send(db, host, batch, hour(24)).await;
        assert!(incidents(db).await.is_empty(), "one failure since the success");
        let counted = db.passing_failures(host).await.expect("reads");
        assert_eq!((counted.len(), counted[0].failures, counted[0].first), (1, 1, hour(24)));
    }

    async fn a_success_resolves_its_own_operation_and_subject(db) {
        let host = hosts(db, 1).await[0];
        let (failed, later) = (Kind::Failure, Kind::Success);
        let items = [update(1, "10", 5_031_356, failed, hour(0)), update(2, "10", 5_031_999, failed, hour(0))];
        send(db, host, items, hour(0)).await;
        send(db, host, [update(3, "10", 5_031_356, later, hour(1))], hour(1)).await;
        let states = [of_kb(db, "KB5031356").await.state, of_kb(db, "KB5031999").await.state];
        assert_eq!(states, [IncidentState::Resolved, IncidentState::Open]);
        // It fails again: within forty days it came back.
        send(db, host, [update(4, "10", 5_031_356, failed, hour(24 * 40))], hour(24 * 40)).await;
        assert_eq!(incidents(db).await.iter().filter(|i| i.state == IncidentState::Recurred).count(), 1);
        let mut nameless = update(5, "10", 5_031_000, later, hour(24 * 41));
        if let SpoolItem::Failure(report) = &mut nameless {
            report.failure.subject = None;
        }
        let before = incidents(db).await;
        send(db, host, [nameless], hour(24 * 41)).await;
        assert_eq!(incidents(db).await, before, "of which update it says nothing");
    }

    async fn a_later_cumulative_update_supersedes_an_earlier_one_that_failed(db) {
        let host = hosts(db, 1).await[0];
        send(db, host, [update(1, "10", 5_031_356, Kind::Failure, hour(0))], hour(0)).await;
        send(db, host, [update(2, "11", 5_032_189, Kind::Failure, hour(9))], hour(9)).await;
        let (old, new) = (of_kb(db, "KB5031356").await, of_kb(db, "KB5032189").await);
        assert_eq!((old.state, old.ended, new.state), (IncidentState::Superseded, Some(hour(9)), IncidentState::Open));
        let successor = old.successor.expect("linked");
        assert_eq!((successor.incident, successor.update.as_str()), (Some(new.id), "KB5032189"));
        // The next month's goes in.
        send(db, host, [update(3, "12", 5_033_372, Kind::Success, hour(20))], hour(20)).await;
        let new = of_kb(db, "KB5032189").await;
        assert_eq!((new.state, new.ended), (IncidentState::Superseded, Some(hour(20))));
        assert_eq!(new.successor.map(|s| (s.incident, s.update)), Some((None, "KB5033372".to_owned())));
        let told = db.timeline(host, None, 20).await.expect("reads");
        assert_eq!(told.iter().filter(|e| e.kind == TimelineKind::Superseded).count(), 2);
    }

    async fn another_host_or_system_supersedes_nothing(db) {
        let all = hosts(db, 2).await;
        send(db, all[0], [update(1, "10", 5_031_356, Kind::Failure, hour(0))], hour(0)).await;
        send(db, all[1], [update(2, "11", 5_032_189, Kind::Failure, hour(1))], hour(1)).await;
        let mut other = update(3, "11", 5_032_190, Kind::Failure, hour(2));
        if let SpoolItem::Failure(report) = &mut other {
            report.failure.message = report.failure.message.replace("Windows 10", "Windows 11");
        }
        send(db, all[0], [other], hour(2)).await;
        assert!(incidents(db).await.iter().all(|i| i.state == IncidentState::Open));
    }

    async fn backups_come_back_within_two_of_the_hosts_own_cycles(db) {
        let rule = LabelRule {
            label: ("site".to_owned(), "north".to_owned()),
            scan: None, build: None, backup: None, reboot: None, silent: None,
            backup_every: Some(Span::days(1)),
        };
        let overdue = OverdueRules { by_label: vec![rule], ..OverdueRules::default() };
        let rules = IncidentRules { overdue, ..IncidentRules::default() };
        let daily = &Db { rules: Arc::new(rules), ..db.clone() };
        let host = hosts(db, 1).await[0];
        let backup = |n, kind, when| {
            let mut report = failure(n, "0x80070015", None, when);
            (report.failure.operation, report.failure.kind) = (Operation::Backup, kind);
            fails(report)
        };
        let day = |n: u64| hour(24 * n);
        for (n, failed, well) in [(1, 0, 1), (3, 3, 4), (5, 7, 8)] {
            send(daily, host, [backup(n, Kind::Failure, day(failed))], day(failed)).await;
            send(daily, host, [backup(n + 1, Kind::Success, day(well))], day(well)).await;
        }
        let mut all = incidents(daily).await;
        all.sort_by_key(|i| i.first_seen);
        let linked: Vec<bool> = all.iter().map(|i| i.previous.is_some()).collect();
        assert_eq!(linked, [false, true, false], "two days are two daily cycles, three are not");
    }
}
