//! Reading one incident, and the shape of its rows.

use fleetmend_core::ids::IncidentId;
use fleetmend_core::report::IncidentKey;
use uuid::Uuid;

use super::{Ignored, Incident, IncidentDetail, Successor};
use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::jobs::JobFilter;
use crate::page::PageRequest;
use crate::reports::ReportFilter;
use crate::row::{At, count, some, time};
use crate::sql::statements;

/// What [`Row`] is read from; the host is joined as `h`.
macro_rules! incident_head {
    () => {
        "SELECT i.id, i.host_id, h.name AS host_name, h.simulated, i.product, i.operation, i.code, i.subject, \
         i.symbol, i.update_class, i.message, i.state, i.opened_ms, i.first_seen_ms, i.last_seen_ms, i.ended_ms, i.reports, \
         i.previous_id, i.successor_id, i.successor, i.verdict, i.cause, i.share, i.certainty, i.triage_wanted, i.triage_done, \
         i.ignored_reason, i.ignored_owner, i.ignored_until_ms \
         FROM incident i JOIN host h ON h.id = i.host_id"
    };
}
pub(super) use incident_head;

statements! {
    GET = concat!(incident_head!(), " WHERE i.id = $1");
}

/// Jobs and reports shown with an incident.
const SHOWN: u32 = 50;

impl Db {
    /// An incident with its jobs and reports.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<IncidentDetail>> {
        let row: Option<Row> =
            on_read!(self, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
        let Some(row) = row else { return Ok(None) };
        let page = PageRequest::first(SHOWN);
        let jobs = JobFilter { incident: Some(id), ..JobFilter::default() };
        let reports = ReportFilter { incident: Some(id), ..ReportFilter::default() };
        Ok(Some(IncidentDetail {
            incident: row.try_into()?,
            jobs: self.jobs(&jobs, &page).await?.items,
            reports: self.reports(&reports, &page).await?.items,
        }))
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    host_id: Uuid,
    host_name: String,
    simulated: bool,
    product: String,
    operation: String,
    code: String,
    subject: String,
    symbol: String,
    update_class: String,
    message: String,
    state: String,
    opened_ms: i64,
    first_seen_ms: i64,
    last_seen_ms: i64,
    ended_ms: Option<i64>,
    reports: i64,
    previous_id: Option<Uuid>,
    successor_id: Option<Uuid>,
    successor: String,
    verdict: Option<String>,
    cause: String,
    share: f64,
    certainty: String,
    triage_wanted: i64,
    triage_done: i64,
    ignored_reason: String,
    ignored_owner: String,
    ignored_until_ms: Option<i64>,
}

impl TryFrom<Row> for Incident {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "incident", id: &row.id };
        let cause = some(row.cause);
        Ok(Self {
            id: row.id.into(),
            host: row.host_id.into(),
            host_name: row.host_name,
            simulated: row.simulated,
            key: key(at, &row.product, &row.operation, &row.code, row.subject)?,
            symbol: some(row.symbol),
            update_class: at.maybe("update_class", &row.update_class)?,
            message: row.message,
            state: at.word("state", &row.state)?,
            opened: time(row.opened_ms),
            first_seen: time(row.first_seen_ms),
            last_seen: time(row.last_seen_ms),
            ended: row.ended_ms.map(time),
            reports: count(row.reports),
            previous: row.previous_id.map(Into::into),
            successor: some(row.successor)
                .map(|update| Successor { incident: row.successor_id.map(Into::into), update }),
            verdict: row.verdict.as_deref().map(|text| at.json("verdict", text)).transpose()?,
            share: cause.is_some().then_some(row.share),
            cause,
            certainty: at.maybe("certainty", &row.certainty)?,
            untriaged: row.ended_ms.is_none() && row.triage_wanted > row.triage_done,
            ignored: row.ignored_until_ms.map(|until| Ignored {
                reason: row.ignored_reason,
                owner: row.ignored_owner,
                until: time(until),
            }),
        })
    }
}

/// The key of an incident from its columns.
pub(crate) fn key(
    at: At<'_>,
    product: &str,
    operation: &str,
    code: &str,
    subject: String,
) -> Result<IncidentKey> {
    Ok(IncidentKey {
        product: at.word("product", product)?,
        operation: at.word("operation", operation)?,
        code: at.maybe("code", code)?,
        subject: some(subject),
    })
}
