//! Views over the whole fleet.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::Timestamp;
use std::time::Duration;

use super::incidents::verdict;
use crate::{Changes, ProblemKey};

use super::{at, contract, fails, failure, hosts, incidents, send};

const DAY: Duration = Duration::from_hours(24);

contract! {
    async fn problems_are_grouped_by_cause_else_by_code_and_ranked_by_hosts(db) {
        let all = hosts(db, 3).await;
        let now = at(20);
        for host in &all {
            let n = host.0.as_u128() % 1_000 * 10;
            let items = [
                fails(failure(n, "apt.lock_held", None, now.before(2 * DAY))),
                fails(failure(n + 1, "apt.lock_held", Some("dpkg"), now)),
            ];
            send(db, *host, items, now).await;
        }
        send(db, all[0], [fails(failure(500, "0x80070003", None, now))], now).await;
        let problems = db.problems(now, 10).await.expect("reads");
        let told: Vec<_> = problems.iter().map(|p| (p.code.as_deref(), p.hosts, p.incidents)).collect();
        assert_eq!(told, [(Some("apt.lock_held"), 3, 6), (Some("0x80070003"), 1, 1)]);
        assert_eq!((problems[0].trend.len(), problems[0].trend[13], problems[0].trend[11]), (14, 6, 3));
        assert_eq!((problems[0].first_seen, problems[0].last_seen), (now.before(2 * DAY), now));
        assert_eq!(db.problems(now, 1).await.expect("reads").len(), 1);

        for waiting in db.incidents_to_triage(10).await.expect("reads") {
            db.save_verdict(&waiting, &verdict(Some("apt.cause"), 0.9)).await.expect("saves");
        }
        let problems = db.problems(now, 10).await.expect("reads");
        assert_eq!((problems.len(), problems[0].cause.as_deref(), problems[0].incidents), (1, Some("apt.cause"), 7));
        assert_eq!(problems[0].trend[13], 7, "all codes of the cause");
        assert!(incidents(db).await.iter().any(|i| i.id == problems[0].sample));
    }

    async fn causes_that_share_a_code_each_have_a_trend_of_their_own(db) {
        let all = hosts(db, 3).await;
        let now = at(20);
        for (n, host) in (1..).zip(&all) {
            send(db, *host, [fails(failure(n, "apt.lock_held", None, now))], now).await;
        }
        for (n, waiting) in db.incidents_to_triage(10).await.expect("reads").iter().enumerate() {
            let cause = if n == 0 { "apt.one" } else { "apt.two" };
            db.save_verdict(waiting, &verdict(Some(cause), 0.9)).await.expect("saves");
        }
        let problems = db.problems(now, 10).await.expect("reads");
        let told: Vec<_> = problems.iter().map(|p| (p.cause.as_deref(), p.trend[13])).collect();
        assert_eq!(told, [(Some("apt.two"), 2), (Some("apt.one"), 1)]);
    }

    async fn trends_have_every_day_and_the_summary_counts(db) {
        let all = hosts(db, 3).await;
        let now = at(30);
        let items = [
            fails(failure(1, "apt.lock_held", None, now.before(DAY))),
            fails(failure(2, "apt.lock_held", None, now)),
            fails(failure(3, "apt.lock_held", None, Timestamp::from_millis(0))),
        ];
        send(db, all[0], items, now).await;
        let trend = db.trend(3, now).await.expect("reads");
        assert_eq!(trend.iter().map(|d| d.reports).collect::<Vec<_>>(), [0, 1, 2], "too old counts for today");
        assert_eq!(trend[2].day, now.day());
        db.mark_stale(at(1), now, 1).await.expect("marks");
        let summary = db.summary(now).await.expect("reads");
        assert_eq!((summary.hosts[&Lifecycle::Active], summary.silent), (2, 1));
        assert_eq!((summary.open_incidents, summary.opened_since_yesterday, summary.untriaged), (1, 1, 1));
        assert_eq!((summary.active_jobs, summary.fixed_in_7_days, summary.quarantined, summary.simulated), (0, 0, 0, 0));
    }

    async fn a_problem_is_counted_over_its_hosts_and_days(db) {
        let all = hosts(db, 3).await;
        let now = at(20);
        for (n, host) in (0_u128..).zip(&all) {
            send(db, *host, [fails(failure(700 + n, "apt.lock_held", None, now.before(DAY)))], now).await;
        }
        send(db, all[0], [fails(failure(710, "0x80070003", None, now))], now).await;
        let key = |code: &str| ProblemKey {
            cause: None,
            code: Some(code.to_owned()),
            product: Product::Apt,
            operation: Operation::Install,
        };
        let outbreak = db.outbreak(&key("apt.lock_held")).await.expect("reads");
        assert_eq!(outbreak.len(), 1, "{outbreak:?}");
        assert_eq!((outbreak[0].day, outbreak[0].hosts), (now.day() - 1, 3));
        assert!(db.outbreak(&key("apt.other")).await.expect("reads").is_empty());
        let asked = db.problem_evidence(&key("apt.lock_held")).await.expect("reads");
        let hosts_asked: u64 = asked.iter().map(|p| p.yes + p.no + p.unknown).sum();
        let mut held = 0;
        for host in &all {
            held += db.evidence(*host).await.expect("reads").len() as u64;
        }
        assert_eq!(hosts_asked, held, "each answer of each host is counted once: {asked:?}");
        let days = db.fleet_days(3, now).await.expect("reads");
        assert_eq!(days.iter().map(|d| (d.opened, d.fixed)).collect::<Vec<_>>(), [(0, 0), (0, 0), (4, 0)]);
        let changes = db.changes(now.before(DAY)).await.expect("reads");
        assert_eq!((changes.opened, changes.returned, changes.fixed, changes.silent), (4, 0, 0, 0));
        assert_eq!(db.changes(now.after(DAY)).await.expect("reads"), Changes::default());
    }
}
