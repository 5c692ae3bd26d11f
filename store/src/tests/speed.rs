//! Durable rows a second. Not a gate: run by hand with
//! `cargo test -p fleetmend-store --release -- --ignored --nocapture speed`.

use std::time::{Duration, Instant};

use fleetmend_tests::postgres::Cluster;

use super::{EPOCH, Store, at, fails, failure, hosts, migrated, random};
use crate::{Db, HostItems, Keep, ProblemKey};

const HOSTS: u128 = 500;
const ROUNDS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn durable_reports_a_second() {
    let sqlite = measure("SQLite", &Store::sqlite().await.db).await;
    // A cluster that waits for its disk, as SQLite does here.
    let Some(cluster) = Cluster::private() else { return };
    let copy = cluster.clone();
    let made = std::thread::spawn(move || migrated(&copy));
    let database = made.join().expect("a database");
    let db = Db::connect(&database.url()).await.expect("opens");
    let postgres = measure("Postgres", &db).await;
    println!("Postgres / SQLite: {:.2}", postgres / sqlite);
}

async fn measure(name: &str, db: &Db) -> f64 {
    let all = hosts(db, HOSTS).await;
    let mut random = random();
    let (mut rows, mut slowest) = (0_u128, Duration::ZERO);
    let start = Instant::now();
    for round in 0..ROUNDS {
        // Two reports of every host, as group commit would gather them.
        let batch: Vec<HostItems> = all
            .iter()
            .map(|host| {
                let item = |k: u64| {
                    rows += 1;
                    (k, fails(failure(rows, "apt.lock_held", None, at(round))).into())
                };
                HostItems {
                    host: *host,
                    epoch: EPOCH,
                    items: (2 * round + 1..2 * round + 3).map(item).collect(),
                }
            })
            .collect();
        let began = Instant::now();
        db.ingest(&batch, at(60), &mut random).await.expect("ingests");
        slowest = slowest.max(began.elapsed());
    }
    let rate = f64::from(u32::try_from(rows).expect("small")) / start.elapsed().as_secs_f64();
    println!("{name}: {rows} reports, {rate:.0} a second, slowest commit of 1,000: {slowest:?}");
    db.close().await;
    rate
}

/// A fleet of 100,000 hosts with 300,000 incidents, half of them open, and a million reports, on SQLite.
const FLEET: &[&str] = &[
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
     INSERT INTO host (id, name, os, os_name, os_build, arch, agent_version, boot_id, simulated, lifecycle, \
        lifecycle_reason, lifecycle_ms, enrolled_ms, last_seen_ms, labels) \
     SELECT CAST(printf('%016d', i) AS BLOB), 'host-' || i, 'linux', 'Debian', '6.1', 'x86_64', '1', 'b', 1, 'active', \
        '', 0, 0, 0, '{}' FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) \
     INSERT INTO incident (id, host_id, product, operation, code, subject, symbol, message, state, opened_ms, \
        first_seen_ms, last_seen_ms, ended_ms, reports, cause, triage_done) \
     SELECT CAST(printf('%016d', i) AS BLOB), CAST(printf('%016d', i % 100000 + 1) AS BLOB), 'apt', 'install', \
        'apt.code_' || i % 40, 's' || i, '', '', CASE WHEN i % 2 = 0 THEN 'open' ELSE 'fixed' END, \
        1790000000000 - i % 90 * 86400000, 1790000000000 - i % 90 * 86400000, 1790000000000, \
        CASE WHEN i % 2 = 0 THEN NULL ELSE 1790000000000 - i % 30 * 86400000 END, 4, \
        CASE WHEN i % 3 = 0 THEN '' ELSE 'apt.cause_' || i % 30 END, 1 FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
     INSERT INTO report (id, received_day, received_ms, host_id, day, at_ms, source_time, product, operation, code, \
        symbol, kind, subject, source, message) \
     SELECT CAST(printf('%016d', i) AS BLOB), 20717 - i % 90, 0, CAST(printf('%016d', i % 100000 + 1) AS BLOB), \
        20717 - i % 90, 1790000000000 - i % 90 * 86400000, '', 'apt', 'install', 'apt.code_' || i % 40, '', 'failure', \
        '', 'apt', 'm' FROM n",
    "INSERT INTO report_day (day, product, operation, code, reports) \
     SELECT day, product, operation, code, COUNT(*) FROM report GROUP BY 1, 2, 3, 4",
];

/// No promise of CI: it fills 100,000 hosts and 1,000,000 reports, and prints times:
/// `cargo test -p fleetmend-store --release --lib -- --ignored --nocapture trends_of`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn trends_of_a_big_fleet() {
    let store = Store::sqlite().await;
    let db = store.db.patient();
    for sql in FLEET {
        super::meddle(&db, sql).await.expect("fills");
    }
    let now = at(0);
    let clock = |what: &str, began: Instant| println!("{what}: {:?}", began.elapsed());
    let keys: Vec<ProblemKey> = db
        .problems(now, 50)
        .await
        .expect("problems")
        .into_iter()
        .map(|p| ProblemKey {
            cause: p.cause,
            code: p.code,
            product: p.product,
            operation: p.operation,
        })
        .collect();
    for _ in 0..2 {
        let began = Instant::now();
        db.trend(90, now).await.expect("trend");
        clock("reports a day, 90 days (roll-up)", began);
        let began = Instant::now();
        db.fleet_days(90, now).await.expect("days");
        clock("opened and fixed a day, 90 days", began);
        let began = Instant::now();
        db.standing(90, now).await.expect("standing");
        clock("standing at the end of each of 90 days", began);
        let began = Instant::now();
        db.problem_trends(&keys, 14, now).await.expect("trends");
        clock("14 days of 50 problems", began);
    }
    let began = Instant::now();
    let mut days = 0;
    for day in db.days_to_recount(now).await.expect("days") {
        db.recount(day, &mut |wrong| panic!("{wrong:?}")).await.expect("recounts");
        days += 1;
    }
    clock(&format!("recount of {days} days, a million reports"), began);
    let keep = Keep {
        reports: 60,
        job_log: 90,
        incidents: 400,
        events: 400,
        quarantine: 30,
        roll_up: 400,
    };
    let (began, mut pieces, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    loop {
        let piece = Instant::now();
        let more = db.drop_old(&keep, now, 1_000).await.expect("drops").more;
        (pieces, slowest) = (pieces + 1, slowest.max(piece.elapsed()));
        if !more {
            break;
        }
    }
    clock(
        &format!("29 days of reports dropped in {pieces} pieces, the slowest {slowest:?}"),
        began,
    );
}
