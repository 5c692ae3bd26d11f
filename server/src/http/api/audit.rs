//! `/api/v1/audit`: who did what.

use fleetmend_core::time::Timestamp;
use fleetmend_store::{AuditCheck, AuditFilter, AuditRow, Page};
use serde::Serialize;
use serde_json::Value;

use super::model::{Time, time};
use crate::http::call::{self, Call};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("sequence", "/sequence"),
    ("at", "/at"),
    ("actor", "/actor"),
    ("kind", "/kind"),
    ("object", "/object"),
    ("detail", "/detail"),
    ("hash", "/hash"),
];

/// One row of the audit log.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct AuditView {
    /// Its place, from 1.
    pub(crate) sequence: u64,
    /// When.
    pub(crate) at: Time,
    /// Who.
    pub(crate) actor: String,
    /// What, as a word: `job.create`, `host.revoke`.
    pub(crate) kind: String,
    /// To what.
    pub(crate) object: String,
    /// The particulars.
    #[schema(value_type = Object)]
    pub(crate) detail: Value,
    /// The row's hash, which covers the row before it.
    pub(crate) hash: String,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        Self {
            sequence: row.sequence,
            at: time(row.at),
            actor: row.actor,
            kind: row.action,
            object: row.subject,
            detail: row.detail,
            hash: row.hash,
        }
    }
}

/// What a check of the whole log found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct AuditCheckView {
    /// `whole` or `broken`.
    pub(crate) result: &'static str,
    /// The rows that hold, from the first on.
    pub(crate) rows: u64,
    /// The hash of the last row: note it elsewhere, and rows cut off at the end are noticed. None
    /// where the log is broken.
    pub(crate) head: Option<String>,
    /// What is wrong with the row behind those that hold; none where the log is whole.
    pub(crate) why: Option<String>,
}

impl From<AuditCheck> for AuditCheckView {
    fn from(check: AuditCheck) -> Self {
        match check {
            AuditCheck::Whole { rows, head } => {
                Self { result: "whole", rows, head: Some(head), why: None }
            }
            AuditCheck::Broken { sequence, why } => Self {
                result: "broken",
                rows: sequence.saturating_sub(1),
                head: None,
                why: Some(format!("row {sequence}: {why}")),
            },
        }
    }
}

/// Walks the whole log and checks the chain of its hashes.
pub(crate) async fn verify(call: Call) -> Answer {
    call::ok(&AuditCheckView::from(call.db().verify_audit().await?))
}

/// Lists the audit log, newest first.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = AuditFilter {
        actor: call.query.text("actor").map(str::to_owned),
        action: call.query.text("kind").map(str::to_owned),
        subject: call.query.text("object").map(str::to_owned),
        since: call.query.parse::<Timestamp>("since")?,
    };
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().audit_log(&filter, &page).await?;
        let items = page.items.into_iter().map(AuditView::from).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}
