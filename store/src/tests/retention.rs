//! What is dropped when it is old, what stays, and the roll-up counted anew.

use std::time::Duration;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::job::JobState;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;

use super::{
    at, contract, evidence, facts, fails, failure, hosts, id, incidents, job, job_says, meddle,
    recovers, send,
};
use crate::{Db, Dropped, IncidentFilter, Keep, PageRequest, ProblemKey, Recounted, ReportFilter};

const DAY: Duration = Duration::from_hours(24);

const KEEP: Keep =
    Keep { reports: 10, job_log: 5, incidents: 20, events: 20, quarantine: 3, roll_up: 400 };

/// So many days after the tests' first, at the same time of day.
fn day(days: u32) -> Timestamp {
    at(0).after(days * DAY)
}

/// Drops until nothing is due, in pieces so small that there are several.
async fn drop_all(db: &Db, now: Timestamp) -> Dropped {
    let mut all = Dropped::default();
    for _ in 0..200 {
        let done = db.drop_old(&KEEP, now, 2).await.expect("drops");
        all.reports += done.reports;
        all.days += done.days;
        all.evidence += done.evidence;
        all.roll_up += done.roll_up;
        all.job_logs += done.job_logs;
        all.incidents += done.incidents;
        all.events += done.events;
        all.quarantined += done.quarantined;
        if !done.more {
            return all;
        }
    }
    panic!("it never ends: {all:?}")
}

async fn reports(db: &Db) -> u64 {
    let page = db.reports(&ReportFilter::default(), &PageRequest::first(100)).await;
    page.expect("reads").items.len() as u64
}

async fn recount(db: &Db, now: Timestamp) -> Vec<Recounted> {
    let mut found = Vec::new();
    for day in db.days_to_recount(now).await.expect("reads") {
        db.recount(day, &mut |wrong| found.push(wrong)).await.expect("recounts");
    }
    found
}

async fn change(db: &Db, sql: &'static str) {
    meddle(db, sql).await.expect(sql);
}

contract! {
    async fn whole_days_of_reports_go_and_what_they_told_of_stays(db) {
        let host = hosts(db, 1).await[0];
        for n in 0..5_u32 {
            let failed = fails(failure(u128::from(n) + 1, "apt.lock_held", None, day(n)));
            send(db, host, [failed], day(n)).await;
        }
        // Late news of an early day: received on day 4, counted for day 0.
        send(db, host, [fails(failure(50, "apt.lock_held", Some("late"), day(0)))], day(4)).await;
        assert_eq!(drop_all(db, day(10)).await, Dropped::default(), "the tenth day before is kept");
        let dropped = drop_all(db, day(12)).await;
        assert!(dropped.reports == 2 || dropped.days > 0, "{dropped:?}");
        assert_eq!(reports(db).await, 4, "of days 2 to 4, and the late one");
        assert_eq!(drop_all(db, day(12)).await, Dropped::default(), "idempotent");

        let standing = incidents(db).await;
        assert_eq!(standing.len(), 2);
        let counted = standing.iter().find(|i| i.key.subject.is_none()).expect("there");
        assert_eq!(counted.reports, 5, "an incident knows how many it had");
        let detail = db.incident(counted.id).await.expect("reads").expect("there");
        assert_eq!(detail.reports.len(), 3, "of those that are kept");
        let timeline = db.timeline(host, None, 100).await.expect("reads");
        assert_eq!(timeline.iter().filter(|e| e.incident.is_some()).count(), 4, "{timeline:?}");
        let trend = db.trend(13, day(12)).await.expect("reads");
        let told: Vec<u64> = trend.iter().map(|d| d.reports).take(6).collect();
        assert_eq!(told, [2, 1, 1, 1, 1, 0], "trends go further back than reports");
    }

    async fn incidents_go_with_their_jobs_once_nothing_refers_to_them(db) {
        let host = hosts(db, 1).await[0];
        send(db, host, [fails(failure(1, "apt.lock_held", None, day(0)))], day(0)).await;
        let first = incidents(db).await[0].id;
        let made = db.create_job(&job(900, host, first), "test", day(0)).await.expect("makes");
        db.offer(made.id, day(0)).await.expect("offers");
        let log = fleetmend_core::job::JobLog {
            job: made.id, attempt: 1, step: 0, sequence: 0, at: day(0), text: "words".to_owned(),
        };
        let ends = job_says(made.id, 1, JobState::Failed, day(0).after(Duration::from_mins(2)));
        let runs = job_says(made.id, 1, JobState::Running, day(0).after(Duration::from_mins(1)));
        send(db, host, [runs, SpoolItem::Log(log), ends], day(0).after(Duration::from_mins(3))).await;
        send(db, host, [recovers(None, day(1))], day(1)).await;
        // It comes back within its window: the later one refers to the earlier.
        send(db, host, [fails(failure(2, "apt.lock_held", None, day(2)))], day(2)).await;

        assert_eq!(drop_all(db, day(5)).await.job_logs, 0, "its output is kept for five days");
        assert_eq!(drop_all(db, day(6)).await.job_logs, 1);
        let kept = db.job(made.id).await.expect("reads").expect("there").job;
        assert_eq!(kept.log_dropped, 1, "told");
        let log = db.job_log(made.id, 0, 10).await.expect("reads");
        assert!(log.pieces.is_empty() && log.complete, "a reader does not wait for what is gone");

        let dropped = drop_all(db, day(40)).await;
        assert_eq!((dropped.incidents, incidents(db).await.len()), (0, 2), "its successor stands");
        send(db, host, [recovers(None, day(41))], day(41)).await;
        assert_eq!(drop_all(db, day(61)).await.incidents, 0, "the successor is over for 20 days only");
        assert_eq!(drop_all(db, day(62)).await.incidents, 2, "one after the other");
        assert!(incidents(db).await.is_empty());
        assert!(db.job(made.id).await.expect("reads").is_none());
        let timeline = db.timeline(host, None, 100).await.expect("reads");
        assert!(timeline.iter().all(|e| e.incident.is_none() && e.job.is_none()), "{timeline:?}");
        let audit = db.audit_log(&crate::AuditFilter::default(), &PageRequest::first(10)).await;
        assert!(audit.expect("reads").items.iter().any(|row| row.action == "job.create"), "never dropped");
    }

    async fn events_items_set_aside_and_answers_about_mended_things_go(db) {
        let host = hosts(db, 1).await[0];
        let about = |n, subject: Option<&str>| Evidence {
            subject: subject.map(str::to_owned),
            ..evidence(n, "systemd.unit_failed", Answer::Yes, day(0))
        };
        let mut failed = failure(1, "systemd.unit_failed", Some("a.service"), day(0));
        failed.evidence = vec![about(1, Some("a.service")), about(2, Some("b.service")), about(3, None)];
        let nonsense = job_says(fleetmend_core::ids::JobId(id(404)), 1, JobState::Running, day(0));
        let outcome = send(db, host, [fails(failed), nonsense], day(0)).await;
        assert_eq!(outcome.quarantined, 1);
        assert_eq!(drop_all(db, day(3)).await, Dropped::default());
        let dropped = drop_all(db, day(11)).await;
        assert_eq!((dropped.quarantined, dropped.evidence), (1, 1), "{dropped:?}");
        let left: Vec<_> = db.evidence(host).await.expect("reads").into_iter().map(|e| e.subject).collect();
        assert_eq!(left, [None, Some("a.service".to_owned())], "an incident about a.service stands");
        let events = |entries: Vec<crate::TimelineEntry>| entries.iter().filter(|e| e.incident.is_none()).count();
        assert_eq!(events(db.timeline(host, None, 100).await.expect("reads")), 1, "that it enrolled");
        assert_eq!(drop_all(db, day(21)).await.events, 1);
        assert_eq!(events(db.timeline(host, None, 100).await.expect("reads")), 0);
    }

    async fn the_roll_up_is_counted_anew_where_its_reports_are_held(db) {
        let host = hosts(db, 1).await[0];
        for n in 0..4_u32 {
            let failed = fails(failure(u128::from(n) + 1, "apt.lock_held", None, day(n)));
            send(db, host, [failed], day(n)).await;
        }
        let whole = db.trend(5, day(3)).await.expect("reads");
        assert!(recount(db, day(3)).await.is_empty(), "nothing was wrong");
        change(db, "UPDATE report_day SET reports = reports + 7").await;
        change(db, "INSERT INTO report_day (day, product, operation, code, reports) \
            SELECT MIN(day), 'apt', 'install', 'apt.never', 3 FROM report_day").await;
        change(db, "DELETE FROM report_day WHERE day = (SELECT MAX(day) FROM report_day)").await;
        let wrong = recount(db, day(3)).await;
        let told: Vec<_> = wrong.iter().map(|w| (w.day - at(0).day(), &*w.code, w.told, w.held)).collect();
        assert_eq!(told, [
            (0, "apt.lock_held", 8, 1),
            (0, "apt.never", 3, 0),
            (1, "apt.lock_held", 8, 1),
            (2, "apt.lock_held", 8, 1),
            (3, "apt.lock_held", 0, 1),
        ]);
        assert_eq!(db.trend(5, day(3)).await.expect("reads"), whole, "mended");
        assert!(recount(db, day(3)).await.is_empty(), "idempotent");

        drop_all(db, day(12)).await;
        assert!(recount(db, day(12)).await.is_empty(), "days without their reports are left alone");
        let far = db.trend(13, day(12)).await.expect("reads");
        assert_eq!(far.iter().map(|d| d.reports).take(5).collect::<Vec<_>>(), [1, 1, 1, 1, 0]);
        let mut none = Vec::new();
        db.recount(at(0).day(), &mut |wrong| none.push(wrong)).await.expect("refuses quietly");
        assert!(none.is_empty(), "{none:?}");
        // A longer time to keep does not bring back what is gone.
        let longer = Keep { reports: 100, ..KEEP };
        db.drop_old(&longer, day(12), 2).await.expect("drops");
        assert_eq!(*db.days_to_recount(day(12)).await.expect("reads").start(), day(2).day());
    }

    async fn what_stood_at_the_end_of_each_day(db) {
        let all = hosts(db, 2).await;
        let key = |cause: Option<&str>, code: &str| ProblemKey {
            cause: cause.map(str::to_owned),
            code: Some(code.to_owned()),
            product: fleetmend_core::report::Product::Apt,
            operation: fleetmend_core::report::Operation::Install,
        };
        send(db, all[0], [fails(failure(1, "apt.lock_held", None, day(0)))], day(0)).await;
        send(db, all[1], [fails(failure(2, "apt.lock_held", None, day(1)))], day(1)).await;
        send(db, all[1], [fails(failure(3, "apt.dpkg_interrupted", None, day(2)))], day(2)).await;
        send(db, all[0], [recovers(None, day(2))], day(2)).await;
        let wanted = [key(None, "apt.dpkg_interrupted"), key(None, "apt.lock_held"), key(None, "apt.none")];
        let trends = db.problem_trends(&wanted, 3, day(3)).await.expect("reads");
        let standing: Vec<_> = trends.iter().map(|t| t.standing.clone()).collect();
        assert_eq!(standing, [[0, 1, 1], [2, 1, 1], [0, 0, 0]]);
        assert_eq!(db.standing(5, day(3)).await.expect("reads"), [0, 1, 2, 2, 2]);
        for waiting in db.incidents_to_triage(10).await.expect("reads") {
            db.save_verdict(&waiting, &crate::tests::incidents::verdict(Some("apt.cause"), 0.9)).await.expect("saves");
        }
        let trends = db.problem_trends(&[key(Some("apt.cause"), "x")], 3, day(3)).await.expect("reads");
        assert_eq!(trends[0].standing, [1, 2, 2], "all codes of the cause that stand");
        let open = db.incidents(&IncidentFilter::default(), &PageRequest::first(9)).await.expect("reads");
        let id = open.items.iter().find(|i| i.state.is_open()).expect("there").id;
        db.ignore_incident(id, "known", "me", day(30), "ops", day(3)).await.expect("ignores");
        assert_eq!(db.standing(1, day(3)).await.expect("reads"), [1], "what is ignored does not count");
    }

    async fn builds_of_windows_are_remembered_as_long_as_they_tell_something(db) {
        let host = hosts(db, 1).await[0];
        let mut windows = facts("pc");
        (windows.os, windows.os_build) = (OsFamily::Windows, "10.0.19045.3570".to_owned());
        db.save_facts(host, &windows, day(0)).await.expect("saves");
        change(db, "INSERT INTO build_seen (simulated, branch, revision, first_ms) \
            WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 70) \
            SELECT h.simulated, b.branch, r.n, 1790000000000 FROM host h, r, \
            (SELECT '10.0.19045' AS branch UNION SELECT '10.0.10240') b").await;
        drop_all(db, day(6)).await;
        let left = async |sql| meddle(db, sql).await.expect("counts");
        let unused = "UPDATE build_seen SET first_ms = first_ms WHERE branch = '10.0.10240'";
        assert_eq!(left(unused).await, 64, "a host may come back to it");
        drop_all(db, day(8)).await;
        assert_eq!(left(unused).await, 0, "nobody runs it");
        assert_eq!(left("DELETE FROM build_seen WHERE revision > 6").await, 64, "the newest");
        assert_eq!(left("DELETE FROM build_seen").await, 0);
    }
}
