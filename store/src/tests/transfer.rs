//! A whole store moved from SQLite to Postgres: every table, every row, or nothing at all.

use std::path::PathBuf;

use fleetmend_core::campaign::calendar::{FreezeRule, FreezeWhen};
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::{Labels, OsFamily};
use fleetmend_core::ids::{ApiTokenId, FreezeId, HostId, JobId, WebSessionId};
use fleetmend_core::incident::IncidentRules;
use fleetmend_core::job::{JobLog, JobState, JobUpdate, StepReport, StepState};
use fleetmend_core::overdue::OverdueRules;
use fleetmend_core::reason::Reason;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::{Role, TokenKind};
use fleetmend_tests::postgres::{Cluster, Database};

use super::{
    at, evidence, facts, fails, failure, hash, hosts, id, incidents, job, job_says, meddle,
    migrated, random, recovers, send, token,
};
use crate::{
    AuditCheck, AuditFilter, CampaignFilter, Db, HostFilter, JobFilter, NewApiToken, NewFreeze,
    NewSession, PageRequest, ReportFilter, Step, StoreError,
};

/// A SQLite database in which every table has rows.
async fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("db");
    let db = Db::connect(&format!("sqlite://{}", path.display())).await.expect("opens");
    db.migrate().await.expect("migrates");
    let all = hosts(&db, 3).await;
    db.create_enrollment_token(&token(77, TokenKind::Deployment, 5), "test", at(0))
        .await
        .expect("token");
    let mut failed =
        failure(1, "apt.lock_held", Some("tab\t\\ \"quoted\" \r\n привет \u{1F600}"), at(1));
    failed.evidence = vec![evidence(1, "apt.lock_held", Answer::Yes, at(1))];
    send(&db, all[0], [fails(failed), fails(failure(2, "", None, at(2)))], at(2)).await;
    // More than one piece, over several days.
    for day in 0..4_u32 {
        let now = at(2).after(day * std::time::Duration::from_hours(24));
        let many = (0..150)
            .map(|n| fails(failure(1_000 * u128::from(day + 1) + n, "0x80070003", None, now)));
        send(&db, all[1], many, now).await;
    }
    send(
        &db,
        all[2],
        [fails(failure(3, "apt.lock_held", None, at(1))), recovers(None, at(3))],
        at(3),
    )
    .await;
    let nonsense = job_says(JobId(id(404)), 1, JobState::Running, at(1));
    assert_eq!(send(&db, all[2], [nonsense], at(4)).await.quarantined, 1);
    let open = incidents(&db).await.into_iter().find(|i| i.host == all[0]).expect("open");
    let waiting = db.incidents_to_triage(10).await.expect("reads");
    for waiting in waiting {
        db.save_verdict(&waiting, &super::incidents::verdict(Some("apt.cause"), 1.0 / 3.0))
            .await
            .expect("saves");
    }
    let made = db.create_job(&job(900, all[0], open.id), "test", at(5)).await.expect("makes");
    db.offer(made.id, at(5)).await.expect("offers");
    let step = StepReport {
        index: 0,
        title: "configure".to_owned(),
        state: StepState::Done,
        exit: Some(0),
        detail: String::new(),
        output_dropped: 0,
    };
    let SpoolItem::Job(says) = job_says(made.id, 1, JobState::Running, at(6)) else {
        panic!("news")
    };
    let says = SpoolItem::Job(Box::new(JobUpdate { step: Some(step), ..*says }));
    let log = JobLog {
        job: made.id,
        attempt: 1,
        step: 0,
        sequence: 0,
        at: at(6),
        text: "a\n\\.\nb".to_owned(),
    };
    send(&db, all[0], [says, SpoolItem::Log(log)], at(6)).await;
    let api = NewApiToken {
        id: ApiTokenId(id(50)),
        name: "ops".to_owned(),
        role: Role::Admin,
        secret_hash: hash(50),
        expires: None,
        user: None,
    };
    db.create_api_token(&api, "test", at(0)).await.expect("token");
    let session = NewSession {
        id: WebSessionId(id(51)),
        secret_hash: hash(51),
        token: api.id,
        created: at(0),
        expires: at(900),
    };
    db.create_session(&session, "test", "192.0.2.1").await.expect("session");
    let anna = super::users::user(52, "anna", Role::Admin);
    db.create_user(&anna, "test", at(0)).await.expect("user");
    let held = db.credentials("anna").await.expect("reads").expect("there");
    let log_in = super::users::browse(53, None);
    db.log_in(&held, true, &log_in, at(1)).await.expect("logs in");
    db.triage_all_again("7").await.expect("marks");
    passes_and_watches(&db, all[2]).await;
    campaigns(&db, at(8)).await;
    db.close().await;
    (folder, path)
}

/// A campaign with all that belongs to one, a freeze, and work for people.
async fn campaigns(db: &Db, now: Timestamp) {
    let mut new = super::campaigns::new(60, &serde_json::json!({}));
    new.text.needs = vec![Reason::of_text("it is large")];
    let (anna, boris) = (super::campaigns::ANNA, super::campaigns::BORIS);
    let made = db.create_campaign(&new, anna, now).await.expect("creates");
    db.approve_campaign(made.id, &made.digest, "seen", boris, now).await.expect("approves");
    let mut selection = super::campaigns::found(db, &made, now).await;
    let open = incidents(db).await.into_iter().find(|i| i.ended.is_none()).expect("open");
    let mut any = made.definition.selector.clone();
    (any.code, any.incidents) = (None, vec![open.id]);
    selection.members =
        db.campaign_selection(&any, None, None, now).await.expect("selects").members;
    assert_eq!(selection.members.len(), 1);
    db.start_campaign((made.id, &made.digest), &selection, "now", anna, now).await.expect("starts");
    super::campaigns::plan(db, made.id, now).await.expect("opens the wave");
    let rule = FreezeRule {
        name: "new year".to_owned(),
        when: FreezeWhen::Yearly { first: "12-20".to_owned(), last: "01-06".to_owned() },
        zone: "UTC".to_owned(),
        labels: Labels::new(),
    };
    let freeze = NewFreeze { id: FreezeId(id(61)), rule, reason: "quiet".to_owned() };
    db.create_freeze(&freeze, "test", now).await.expect("keeps");
    for sql in [
        "INSERT INTO guided_task (id, incident_id, host_id, cause, remediation, version, state, created_by, created_ms, updated_ms) \
         SELECT id, id, host_id, 'c', 'r', 1, 'open', 'x', 1, 1 FROM incident",
        "INSERT INTO guided_tick (task_id, step, ticked_by, at_ms) SELECT id, 0, 'x', 1 FROM guided_task",
        "INSERT INTO guided_note (task_id, number, noted_by, at_ms, text) SELECT id, 1, 'x', 1, 'n' FROM guided_task",
    ] {
        meddle(db, sql).await.expect("fills");
    }
}

/// A failure that is no incident yet, and a build that was seen.
async fn passes_and_watches(db: &Db, host: HostId) {
    let transient = ["apt.net".parse().expect("a code")].into();
    let rules = IncidentRules { transient, ..IncidentRules::default() };
    let ruled = db.clone().with_rules(rules);
    send(&ruled, host, [fails(failure(700, "apt.net", None, at(7)))], at(7)).await;
    let mut windows = facts("pc");
    (windows.os, windows.os_build) = (OsFamily::Windows, "10.0.19045.3570".to_owned());
    db.save_facts(host, &windows, at(7)).await.expect("saves");
    let rules = OverdueRules::default();
    db.watch_hosts(&rules, at(7), 10, &mut random()).await.expect("watches");
}

/// All that people can see of a store, as text.
async fn seen(db: &Db) -> String {
    let page = PageRequest::first(1_000);
    let mut lines = Vec::new();
    let hosts = db.hosts(&HostFilter::default(), &page).await.expect("hosts").items;
    for host in &hosts {
        lines.push(format!("{:?}", db.timeline(host.id, None, 1_000).await.expect("timeline")));
        lines.push(format!("{:?}", db.evidence(host.id).await.expect("evidence")));
        lines.push(format!("{:?}", db.passing_failures(host.id).await.expect("passing")));
        lines
            .push(format!("{}", db.spool_position(host.id, super::EPOCH).await.expect("position")));
    }
    let jobs = db.jobs(&JobFilter::default(), &page).await.expect("jobs").items;
    for job in &jobs {
        lines.push(format!("{:?}", db.job(job.id).await.expect("job")));
        lines.push(format!("{:?}", db.job_log(job.id, 0, 100).await.expect("log")));
    }
    lines.push(format!("{hosts:?}\n{:?}", incidents(db).await));
    lines
        .push(format!("{:?}", db.reports(&ReportFilter::default(), &page).await.expect("reports")));
    lines.push(format!("{:?}", db.audit_log(&AuditFilter::default(), &page).await.expect("audit")));
    let campaigns = db.campaigns(&CampaignFilter::default(), &page).await.expect("campaigns").items;
    for campaign in &campaigns {
        lines.push(format!(
            "{:?}",
            db.campaign_document(campaign.id, at(9)).await.expect("document")
        ));
    }
    lines.push(format!("{:?}", db.freezes().await.expect("freezes")));
    lines.push(format!("{:?}", db.quarantine(&page).await.expect("quarantine")));
    lines.push(format!("{:?}", db.enrollment_tokens(&page).await.expect("tokens")));
    lines.push(format!("{:?}", db.users(&page).await.expect("users")));
    lines.push(format!("{:?}", db.session(&hash(53), at(10)).await.expect("session")));
    lines.push(format!("{:?}", db.session(&hash(51), at(10)).await.expect("session")));
    lines.push(format!("{:?}", db.trend(30, at(9_000)).await.expect("trend")));
    lines.join("\n")
}

async fn target(whole: bool) -> Option<(Database, Db)> {
    let made = std::thread::spawn(move || {
        let cluster = Cluster::shared()?;
        Some(if whole { migrated(&cluster) } else { cluster.database() })
    });
    let database = made.join().expect("a database")?;
    let db = Db::connect(&database.url()).await.expect("opens");
    Some((database, db))
}

async fn refused(db: &Db, from: &std::path::Path, part: &str) {
    for dry_run in [true, false] {
        let error = db.move_from_sqlite(from, dry_run, &mut |_| {}).await.expect_err(part);
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn everything_is_moved_and_nothing_twice() {
    let Some((_database, to)) = target(false).await else { return };
    let (_folder, from) = Box::pin(filled()).await;
    let dry = to.move_from_sqlite(&from, true, &mut |_| {}).await.expect("looks");
    let mut told = 0;
    let moved = to
        .move_from_sqlite(&from, false, &mut |step| {
            told += u32::from(matches!(step, Step::Copied { .. }));
        })
        .await
        .expect("moves");
    assert!(told > 0);
    let rows =
        |all: &[crate::Moved]| all.iter().map(|m| (m.table.clone(), m.rows)).collect::<Vec<_>>();
    assert_eq!(rows(&dry), rows(&moved));
    let empty: Vec<_> = moved.iter().filter(|m| m.rows == 0).map(|m| &m.table).collect();
    assert!(
        empty.is_empty(),
        "fill these tables in the test too, or nobody sees them lost: {empty:?}"
    );
    assert!(moved.iter().any(|m| m.table == "report" && m.rows == 604), "{moved:?}");

    let source = Db::connect(&format!("sqlite://{}", from.display())).await.expect("opens");
    assert_eq!(seen(&to).await, seen(&source).await);
    assert!(
        matches!(to.verify_audit().await.expect("walks"), AuditCheck::Whole { rows, .. } if rows > 4)
    );
    source.close().await;

    // It goes on: numbers are drawn above those that were moved.
    let host = fleetmend_core::ids::HostId(id(3));
    let nonsense = job_says(JobId(id(405)), 1, JobState::Running, at(9));
    assert_eq!(send(&to, host, [nonsense], at(9)).await.quarantined, 1);
    refused(&to, &from, "the target is not empty").await;
    to.close().await;
}

#[tokio::test]
async fn a_move_that_cannot_be_is_refused_and_leaves_the_target_empty() {
    let Some((database, to)) = target(true).await else { return };
    let (folder, from) = Box::pin(filled()).await;
    refused(&to, &folder.path().join("none"), "there is no such file").await;

    let running = Db::connect(&format!("sqlite://{}", from.display())).await.expect("opens");
    refused(&to, &from, "it is in use").await;
    meddle(&running, "UPDATE audit SET detail = 'other' WHERE sequence = 2")
        .await
        .expect("meddles");
    running.close().await;
    refused(&to, &from, "audit log is broken at row 2").await;

    let (_folder, from) = Box::pin(filled()).await;
    let source = Db::connect(&format!("sqlite://{}", from.display())).await.expect("opens");
    meddle(&source, "UPDATE host SET os_name = 'a' || char(0) || 'b' WHERE name = 'host-002'")
        .await
        .expect("meddles");
    source.close().await;
    let error = to.move_from_sqlite(&from, false, &mut |_| {}).await.expect_err("a zero byte");
    assert!(error.to_string().contains("table host, column os_name"), "{error}");
    let left: i64 = database.sql("SELECT COUNT(*) FROM host").trim().parse().expect("a number");
    assert_eq!(left, 0, "nothing was kept");

    let source = Db::connect(&format!("sqlite://{}", from.display())).await.expect("opens");
    meddle(
        &source,
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)",
    )
    .await
    .expect("meddles");
    source.close().await;
    refused(&to, &from, "the source's schema has version").await;

    database.sql("CREATE TABLE more (n BIGINT)");
    let (_folder, from) = Box::pin(filled()).await;
    refused(&to, &from, "table more is in one of the databases only").await;
    to.close().await;

    let Some((database, to)) = target(false).await else { return };
    database.sql("CREATE TABLE customers (n BIGINT)");
    refused(&to, &from, "not Fleetmend's").await;
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = Db::connect(&format!("sqlite://{}", folder.path().join("db").display()))
        .await
        .expect("opens");
    let error = sqlite.move_from_sqlite(&from, true, &mut |_| {}).await.expect_err("the wrong way");
    assert!(matches!(error, StoreError::Conflict(why) if why.contains("not Postgres")));
    drop(random());
}
