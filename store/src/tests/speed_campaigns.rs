//! How long what grows with a campaign, or with all tries, takes. Not a gate: run by hand with
//! `cargo test -p fleetmend-store --release --lib -- --ignored --nocapture speed_campaigns`.

use std::time::{Duration, Instant};

use fleetmend_tests::postgres::Cluster;
use sqlx::AssertSqlSafe;

use super::{Store, at, migrated};
use crate::backend::Tx;
use crate::{Db, PageRequest, ResultFilter};

/// A campaign of 20,000 hosts, a fifth of them begun.
const CAMPAIGN: &[&str] = &[
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
     INSERT INTO host (id, name, os, os_name, os_build, arch, agent_version, boot_id, simulated, lifecycle, \
        lifecycle_reason, lifecycle_ms, enrolled_ms, last_seen_ms, labels) \
     SELECT @ID(i), 'host-' || i, 'linux', 'Debian', '6.1', 'x86_64', '1', 'b', TRUE, 'active', \
        '', 0, 0, 1790000000000, '{\"cluster\":\"c' || (i % 4000) || '\",\"role\":\"desk\",\"site\":\"s' || (i % 40) || '\"}' FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
     INSERT INTO host_label (host_id, key, value) SELECT @ID(i), 'site', 's' || (i % 40) FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
     INSERT INTO incident (id, host_id, product, operation, code, subject, symbol, message, state, opened_ms, \
        first_seen_ms, last_seen_ms, reports, cause, triage_done) \
     SELECT @ID(i), @ID(i), 'apt', 'install', \
        'apt.dpkg_interrupted', '', '', '', 'open', 1789000000000, 1789000000000, 1789000000000, 4, 'apt.dpkg_interrupted', 1 FROM n",
];

/// A hundred thousand tries of those hosts: five a job, by 60 causes and 120 remediations.
const TRIES: &[&str] = &[
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
     INSERT INTO job (id, host_id, incident_id, cause, remediation, version, digest, evidence_ids, state, detail, attempt, \
        created_by, reason, created_ms, steps_ms, verify_ms, not_before_ms, expires_ms, begun_ms, news_ms, ended_ms) \
     SELECT @ID(i), @ID(i), @ID(i), 'apt.cause_' || (i % 60), 'apt.cure_' || (i % 120), 1, '', '[]', 'fixed', '', 5, \
        'ops', '', 0, 1, 1, 0, 1, 1, 1, 2 FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
     INSERT INTO job_attempt (job_id, attempt, counter, offered_ms, begun_ms, ended_ms, state, detail, cause, remediation, \
        version, cleared, proof, os_build, simulated) \
     SELECT @ID(1 + i % 20000), 1 + i / 20000, i, 0, 1, 2, CASE WHEN i % 3 = 0 THEN 'failed' ELSE 'fixed' END, '', \
        'apt.cause_' || (i % 60), 'apt.cure_' || (i % 120), 1, CASE WHEN i % 5 = 0 THEN 'no' ELSE 'yes' END, \
        CASE WHEN i % 3 = 0 THEN '' ELSE 'repeated' END, '6.' || (i % 4), TRUE FROM n",
];

/// A store of each kind: SQLite, and Postgres that waits for its disk where there is one.
async fn stores() -> Vec<(&'static str, Db, Option<Store>)> {
    let sqlite = Store::sqlite().await;
    let mut all = vec![("SQLite", sqlite.db.patient(), Some(sqlite))];
    if let Some(cluster) = Cluster::private() {
        let copy = cluster.clone();
        let made = std::thread::spawn(move || (migrated(&copy), copy));
        let (database, cluster) = made.join().expect("a database");
        let db = Db::connect(&database.url()).await.expect("opens");
        // Both end with the process.
        std::mem::forget((database, cluster));
        all.push(("Postgres", db.patient(), None));
    }
    all
}

async fn fill(name: &str, db: &Db, sql: &[&'static str]) {
    let id = match name {
        "SQLite" => ("CAST(printf('%016d', ", ") AS BLOB)"),
        _ => ("CAST(lpad(CAST(", " AS TEXT), 32, '0') AS UUID)"),
    };
    for text in sql {
        let mut text = (*text).to_owned();
        for number in ["i", "1 + i % 20000"] {
            text = text.replace(&format!("@ID({number})"), &format!("{}{number}{}", id.0, id.1));
        }
        super::meddle(db, text.leak()).await.expect("fills");
    }
    // Only what was filled: what is counted as empty is read as if it stayed so.
    for table in sql.iter().filter_map(|text| text.split("INSERT INTO ").nth(1)?.split(' ').next())
    {
        let analyze = format!("ANALYZE {table}");
        super::meddle(db, analyze.leak()).await.expect("analyzes");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn efficacy_of_100_000_tries() {
    for (name, db, _kept) in stores().await {
        fill(name, &db, CAMPAIGN).await;
        fill(name, &db, TRIES).await;
        let cause = ["apt.cause_7".parse().expect("a slug")];
        for _ in 0..3 {
            let began = Instant::now();
            db.efficacy(true).await.expect("counts");
            println!("{name}: all tries counted: {:?}", began.elapsed());
            let began = Instant::now();
            db.efficacy_of(&cause, true).await.expect("counts");
            println!("{name}: those of one cause: {:?}", began.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_campaign_of_20_000_hosts() {
    for (name, db, _kept) in stores().await {
        fill(name, &db, CAMPAIGN).await;
        Box::pin(campaign(name, &db)).await;
    }
}

async fn campaign(name: &str, db: &Db) {
    use super::campaigns::{found, new};
    let now = at(0);
    let clock = |what: &str, began: Instant| println!("{name}: {what}: {:?}", began.elapsed());
    let fields = serde_json::json!({
        "waves": [{"share": "all"}], "pace": {"at_once": 4000, "group_label": "cluster"},
    });
    let made =
        db.create_campaign(&new(1, &fields), super::campaigns::ANNA, now).await.expect("creates");
    let began = Instant::now();
    let selection = found(db, &made, now).await;
    assert_eq!(selection.members.len(), 20_000);
    clock("selection of 20,000 hosts", began);
    let began = Instant::now();
    db.start_campaign((made.id, &made.digest), &selection, "", super::campaigns::ANNA, now)
        .await
        .expect("starts");
    clock("20,000 hosts taken in", began);
    super::campaigns::plan(db, made.id, now).await.expect("opens the wave");
    let hosts: Vec<_> = selection.members.iter().map(|m| m.host).take(4_000).collect();
    let mut slowest = Duration::ZERO;
    for piece in hosts.chunks(500) {
        let mut jobs = Vec::new();
        for member in piece {
            let of = selection.members.iter().find(|m| m.host == *member).expect("there");
            let expires = now.after(Duration::from_hours(24));
            let random = super::random()();
            jobs.push(crate::NewJob {
                id: fleetmend_core::ids::JobId::at(now, random),
                not_before: now,
                expires,
                ..super::job(0, *member, of.incident)
            });
        }
        let revision = db.campaign(made.id).await.expect("reads").expect("there").revision;
        let decisions =
            fleetmend_core::campaign::Decisions { start: piece.to_vec(), ..Default::default() };
        let step = crate::NextStep {
            revision,
            decisions: &decisions,
            jobs: &jobs,
            left_out: &[],
            selection: None,
        };
        let began = Instant::now();
        let done = db.apply_campaign(made.id, &step, "planner", now).await.expect("applies");
        assert_eq!(done.expect("now").started.len(), 500);
        slowest = slowest.max(began.elapsed());
    }
    println!("{name}: a step of 500 jobs: {slowest:?} at most");
    for _ in 0..3 {
        let began = Instant::now();
        let look = db.campaign_snapshot(made.id, &|_| true, now).await.expect("looks");
        assert_eq!(look.snapshot.hosts.len(), 20_000);
        clock("snapshot of 20,000 hosts", began);
        let began = Instant::now();
        let decisions = fleetmend_core::campaign::advance(&look.snapshot, now);
        clock("advance", began);
        drop(decisions);
        let began = Instant::now();
        db.campaign_counts(made.id, now).await.expect("counts");
        clock("counts", began);
        let began = Instant::now();
        let page = PageRequest::first(100);
        db.campaign_results(made.id, &ResultFilter::default(), &page, now).await.expect("lists");
        clock("a page of hosts", began);
    }
}

/// A selection right after a campaign took in many hosts, of which Postgres has counted nothing yet: each
/// failure is looked up by its whole key. By the campaign alone all its hosts would be read for each.
#[tokio::test]
async fn a_failures_campaign_is_found_by_its_whole_key() {
    let Some(store) = Store::postgres().await else { return };
    fill("Postgres", &store.db, CAMPAIGN).await;
    let made = super::campaigns::new(1, &serde_json::json!({}));
    let made =
        store.db.create_campaign(&made, super::campaigns::ANNA, at(0)).await.expect("creates");
    let selection = super::campaigns::found(&store.db, &made, at(0)).await;
    let of = (made.id, made.digest.as_str());
    let started = store.db.start_campaign(of, &selection, "", super::campaigns::ANNA, at(0));
    started.await.expect("starts");
    let Tx::Postgres(mut lease) = store.db.begin().await.expect("begins") else {
        panic!("Postgres")
    };
    let explain = format!("EXPLAIN {} WHERE i.ended_ms IS NULL", crate::campaigns::select::HEAD);
    let rows = sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(lease.connection());
    let plan: Vec<String> = rows.await.expect("explains");
    let plan = plan.join("\n");
    assert!(plan.contains("campaign_host_by_incident"), "{plan}");
    assert!(!plan.contains("campaign_host_by_position"), "{plan}");
}
