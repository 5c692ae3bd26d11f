//! Several writers at once: each thing happens once, chains do not fork, nobody waits for ever.

use fleetmend_core::host::{Labels, Lifecycle};
use fleetmend_core::ids::HostId;
use fleetmend_core::job::JobState;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::token::TokenKind;
use serde_json::json;

use super::{
    EPOCH, Store, at, broken_host, contract, enrolment, fails, failure, hosts, incidents, job,
    job_says, meddle, random, recovers, send, token,
};
use crate::backend::on_read;
use crate::{
    AuditCheck, AuditEntry, Db, HostItems, Ingested, PageRequest, ReportFilter, StoreError,
};

/// Items of a host, those with even numbers failures of two kinds, every fifth a recovery.
fn items(host: HostId, which: u128, from: u64, n: u64) -> HostItems {
    let one = |s: u64| {
        let report = which * 1_000 + u128::from(s);
        let item: SpoolItem = if s.is_multiple_of(5) {
            recovers(Some("apt.lock_held"), at(s))
        } else {
            let code = if s.is_multiple_of(2) { "apt.lock_held" } else { "apt.dpkg_interrupted" };
            fails(failure(report, code, None, at(s)))
        };
        (s, item.into())
    };
    HostItems { host, epoch: EPOCH, items: (from..from + n).map(one).collect() }
}

fn ingest(db: &Db, batch: Vec<HostItems>) -> tokio::task::JoinHandle<Result<Ingested, StoreError>> {
    let db = db.clone();
    tokio::spawn(async move { db.ingest(&batch, at(90), &mut random()).await })
}

/// All rows of the log, where its chain is whole.
async fn audited(db: &Db) -> u64 {
    match db.verify_audit().await.expect("checks") {
        AuditCheck::Whole { rows, .. } => rows,
        AuditCheck::Broken { sequence, why } => panic!("{sequence}: {why}"),
    }
}

contract! {
    async fn the_same_items_by_two_ways_are_stored_once(db) {
        let host = hosts(db, 1).await[0];
        for round in 0..6 {
            let from = round * 8 + 1;
            let ways: Vec<_> = (0..4).map(|_| ingest(db, vec![items(host, 1, from, 8)])).collect();
            let mut applied = 0;
            for way in ways {
                let outcome = way.await.expect("runs").expect("ingests").outcomes.remove(0);
                assert_eq!(outcome.acknowledged, from + 7);
                applied += outcome.applied;
            }
            assert_eq!(applied, 8, "each item by one of them");
        }
        // Of 48 items every fifth is a recovery.
        let reports = db.reports(&ReportFilter::default(), &PageRequest::default()).await.expect("lists");
        assert_eq!(reports.total, 39);
        assert_eq!(incidents(db).await.iter().map(|i| i.reports).sum::<u64>(), 39);
        assert_eq!(db.quarantine_count().await.expect("counts"), 0);
    }

    async fn many_writers_of_the_same_hosts_do_not_wait_in_a_ring(db) {
        let all = hosts(db, 12).await;
        let writers: Vec<_> = (0..8_usize).map(|writer| {
            // Every writer has all hosts, each in an order of its own.
            let batch = (0..all.len()).map(|n| {
                let n = if writer % 2 == 0 { n } else { all.len() - 1 - n };
                let n = (n + writer) % all.len();
                items(all[n], n as u128 + 1, 1, 10)
            }).collect();
            ingest(db, batch)
        }).collect();
        let seen: Vec<_> = all.iter().map(|host| (*host, at(91))).rev().collect();
        let (stale, touched) = tokio::join!(db.mark_stale(at(1), at(91), 100), db.touch_hosts(&seen));
        stale.expect("marks");
        touched.expect("touches");
        let mut applied = 0;
        for writer in writers {
            let done = writer.await.expect("runs").expect("ingests");
            assert!(done.outcomes.iter().all(|o| o.acknowledged == 10));
            applied += done.outcomes.iter().map(|o| o.applied).sum::<u64>();
        }
        assert_eq!(applied, 120);
        let reports = db.reports(&ReportFilter::default(), &PageRequest::default()).await.expect("lists");
        assert_eq!(reports.total, 96);
        let trend = db.trend(3, at(90)).await.expect("reads");
        assert_eq!(trend.iter().map(|day| day.reports).sum::<u64>(), 96);
    }

    async fn the_audit_chain_does_not_fork(db) {
        let host = hosts(db, 1).await[0];
        let before = audited(db).await;
        let writers: Vec<_> = (0..8_u64).map(|writer| {
            let db = db.clone();
            tokio::spawn(async move {
                for n in 0..10 {
                    let entry = AuditEntry {
                        at: at(n), actor: format!("writer {writer}"), action: "test".to_owned(),
                        subject: format!("row {n}"), detail: json!({"n": n}),
                    };
                    db.record(&entry).await?;
                    let labels = Labels::from([("writer".to_owned(), writer.to_string())]);
                    db.set_labels(host, &labels, "test", at(n)).await?;
                }
                Ok::<_, StoreError>(())
            })
        }).collect();
        for writer in writers {
            writer.await.expect("runs").expect("writes");
        }
        assert_eq!(audited(db).await, before + 160);
        // Its enrolment, and every change of its labels under a number of its own.
        assert_eq!(db.timeline(host, None, 1_000).await.expect("reads").len(), 81);
    }

    async fn of_many_orders_for_one_host_one_is_made_and_offered_once(db) {
        let (host, incident) = broken_host(db).await;
        let makers: Vec<_> = (500..508).map(|n| {
            let (db, job) = (db.clone(), job(n, host, incident));
            tokio::spawn(async move { db.create_job(&job, "ops", at(2)).await })
        }).collect();
        let mut made = Vec::new();
        for maker in makers {
            match maker.await.expect("runs") {
                Ok(job) => made.push(job.id),
                Err(e) => assert!(matches!(e, StoreError::JobActive { .. }), "{e}"),
            }
        }
        assert_eq!(made.len(), 1);
        let offers: Vec<_> = (0..8).map(|_| {
            let (db, id) = (db.clone(), made[0]);
            tokio::spawn(async move { db.offer(id, at(3)).await })
        }).collect();
        let mut orders = Vec::new();
        for offer in offers {
            orders.extend(offer.await.expect("runs").expect("offers"));
        }
        assert_eq!(orders.iter().map(|o| (o.attempt, o.counter)).collect::<Vec<_>>(), [(1, 1)]);
    }

    async fn a_job_has_one_end_whoever_ends_it(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        let told = [job_says(made.id, 1, JobState::Running, at(4)), job_says(made.id, 1, JobState::Fixed, at(5))];
        let items = (2..).zip(told).map(|(n, item)| (n, item.into())).collect();
        let agent = ingest(db, vec![HostItems { host, epoch: EPOCH, items }]);
        let (cancelled, expired) = tokio::join!(
            db.cancel_job(made.id, "stop", "ops", at(90)), db.expire_jobs(at(90), 10));
        cancelled.expect("answers");
        expired.expect("looks");
        agent.await.expect("runs").expect("ingests");
        let ended = db.job(made.id).await.expect("reads").expect("there").job;
        // The agent's word holds, before and after a deadline.
        assert_eq!(ended.state, JobState::Fixed);
        assert_eq!(db.host(host).await.expect("reads").expect("there").active_job, None);
    }

    async fn one_key_enrols_one_host(db) {
        for n in 1..=4 {
            db.create_enrollment_token(&token(n, TokenKind::OneUse, 1), "test", at(0)).await.expect("made");
        }
        let tries: Vec<_> = (1..=4).map(|n| {
            let db = db.clone();
            let mut enrolment = enrolment(n, n);
            enrolment.certificate.public_key = vec![7; 32];
            tokio::spawn(async move { db.enrol(&enrolment, at(1)).await.map(|e| e.lifecycle) })
        }).collect();
        let mut let_in = Vec::new();
        for one in tries {
            let_in.extend(one.await.expect("runs").ok());
        }
        assert_eq!(let_in, [Lifecycle::Active]);
    }
}

/// Rows of the roll-up belong to no host: taken in one order, they let no two writers wait in a ring.
#[tokio::test]
async fn a_batch_takes_the_rows_of_the_roll_up_once_and_in_the_order_of_their_keys() {
    let Some(store) = Store::postgres().await else { return };
    let db = &store.db;
    for sql in [
        "CREATE TABLE taken (n BIGINT GENERATED ALWAYS AS IDENTITY, code TEXT NOT NULL)",
        "CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN INSERT INTO taken (code) VALUES (NEW.code); RETURN NEW; END$$",
        "CREATE TRIGGER take BEFORE INSERT ON report_day FOR EACH ROW EXECUTE FUNCTION take()",
    ] {
        meddle(db, sql).await.expect("meddles");
    }
    let host = hosts(db, 1).await[0];
    // A recovery between two failures parts them: they are stored one after the other.
    let told = ["b", "c", "a", "c"].into_iter().enumerate().flat_map(|(n, code)| {
        let at = at(n as u64);
        let failed = failure(n as u128 + 1, &format!("apt.{code}"), None, at);
        [fails(failed), recovers(Some("apt.other"), at)]
    });
    let applied = send(db, host, told, at(9)).await.applied;
    assert_eq!(applied, 8);
    let taken: Vec<String> =
        on_read!(db, |c| sqlx::query_scalar("SELECT code FROM taken ORDER BY n")
            .fetch_all(c)
            .await)
        .expect("reads");
    assert_eq!(taken, ["apt.a", "apt.b", "apt.c"]);
    db.close().await;
}
