//! The audit log: every change leaves a row, and a changed row is noticed.

use fleetmend_core::host::Lifecycle;
use serde_json::json;

use super::{at, contract, hosts, meddle};
use crate::{AuditCheck, AuditEntry, AuditFilter, Db, PageRequest};

async fn tamper(db: &Db, sql: &'static str) {
    assert!(meddle(db, sql).await.expect("tampers") > 0);
}

fn broken_at(check: &AuditCheck) -> u64 {
    match check {
        AuditCheck::Broken { sequence, .. } => *sequence,
        AuditCheck::Whole { .. } => panic!("the chain is whole"),
    }
}

contract! {
    async fn changes_are_chained_and_listed(db) {
        let host = hosts(db, 1).await[0];
        db.set_lifecycle(host, Lifecycle::Quarantined, "two of it", "ops", at(1)).await.expect("set");
        let entry = AuditEntry {
            at: at(2), actor: "ops".to_owned(), action: "session.refused".to_owned(),
            subject: "http".to_owned(), detail: json!({"why": "ключ"}),
        };
        db.record(&entry).await.expect("records");
        let log = db.audit_log(&AuditFilter::default(), &PageRequest::first(2)).await.expect("reads");
        let actions: Vec<_> = log.items.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(actions, ["session.refused", "host.set_state"]);
        assert_eq!((log.total, log.items[0].detail.clone()), (4, json!({"why": "ключ"})));
        let rest = db.audit_log(&AuditFilter::default(), &PageRequest { limit: 2, cursor: log.next }).await.expect("reads");
        assert_eq!(rest.items.iter().map(|row| row.sequence).collect::<Vec<_>>(), [2, 1]);
        let by_ops = AuditFilter { actor: Some("ops".into()), since: Some(at(2)), ..AuditFilter::default() };
        assert_eq!(db.audit_log(&by_ops, &PageRequest::default()).await.expect("reads").total, 1);
        match db.verify_audit().await.expect("checks") {
            AuditCheck::Whole { rows, head } => assert_eq!((rows, head), (4, log.items[0].hash.clone())),
            AuditCheck::Broken { sequence, why } => panic!("{sequence}: {why}"),
        }
    }

    async fn a_changed_row_is_noticed(db) {
        hosts(db, 2).await;
        tamper(db, "UPDATE audit SET actor = 'nobody' WHERE sequence = 3").await;
        assert_eq!(broken_at(&db.verify_audit().await.expect("checks")), 3);
    }

    async fn a_removed_row_is_noticed(db) {
        hosts(db, 2).await;
        tamper(db, "DELETE FROM audit WHERE sequence = 2").await;
        assert_eq!(broken_at(&db.verify_audit().await.expect("checks")), 3);
    }

    async fn two_fields_cannot_trade_their_letters(db) {
        hosts(db, 1).await;
        tamper(db, "UPDATE audit SET actor = actor || SUBSTR(action, 1, 1), action = SUBSTR(action, 2) WHERE sequence = 1").await;
        assert_eq!(broken_at(&db.verify_audit().await.expect("checks")), 1);
    }

    async fn an_empty_log_is_whole(db) {
        let check = db.verify_audit().await.expect("checks");
        assert!(matches!(check, AuditCheck::Whole { rows: 0, .. }));
    }
}
