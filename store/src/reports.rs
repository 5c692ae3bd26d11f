//! Failure reports, as they were stored.

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{HostId, IncidentId, ReportId};
use fleetmend_core::report::{FailureReport, Kind, Operation, Product};
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all, holds};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, some, time};

/// A failure report, as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StoredReport {
    /// Its id.
    pub id: ReportId,
    /// The host.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// Whether the host is simulated.
    pub simulated: bool,
    /// The incident it was counted in.
    pub incident: Option<IncidentId>,
    /// When the server took it.
    pub received: Timestamp,
    /// When it happened, in UTC.
    pub at: Timestamp,
    /// What was read.
    pub failure: FailureReport,
    /// What the agent found with it.
    pub evidence: Vec<Evidence>,
}

/// Which reports are wanted. What is `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct ReportFilter {
    /// Of this host.
    pub host: Option<HostId>,
    /// Counted in this incident.
    pub incident: Option<IncidentId>,
    /// Of this product.
    pub product: Option<Product>,
    /// Of this operation.
    pub operation: Option<Operation>,
    /// Of this code, as it prints; `Some("")` for those without one.
    pub code: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this in the subject, without regard to ASCII case.
    pub subject: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
}

macro_rules! head {
    () => {
        "SELECT r.id, r.host_id, h.name AS host_name, h.simulated, r.incident_id, r.received_ms, r.at_ms, \
         r.source_time, r.product, r.operation, r.code, r.symbol, r.kind, r.subject, r.source, r.provider, \
         r.event_id, r.record_id, r.line, r.things, r.update_class, r.message, r.evidence \
         FROM report r JOIN host h ON h.id = r.host_id"
    };
}

impl Db {
    /// Reports, the latest failure first.
    pub async fn reports(
        &self,
        wanted: &ReportFilter,
        page: &PageRequest,
    ) -> Result<Page<StoredReport>> {
        let mut filter = conditions(wanted);
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM report r", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(r.at_ms, r.id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(head!(), " ORDER BY r.at_ms DESC, r.id DESC");
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let reports = rows.into_iter().map(StoredReport::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(reports, limit, total, |r| Cursor::number(r.at.as_millis(), r.id.0)))
    }
}

fn conditions(wanted: &ReportFilter) -> Filter {
    let mut filter = Filter::default();
    filter
        .maybe("r.host_id = ?", wanted.host.map(|id| id.0))
        .maybe("r.incident_id = ?", wanted.incident.map(|id| id.0))
        .maybe("r.product = ?", wanted.product.map(Product::as_str))
        .maybe("r.operation = ?", wanted.operation.map(Operation::as_str))
        .maybe("r.code = ?", wanted.code.as_deref())
        .maybe("r.kind = ?", wanted.kind.map(Kind::as_str))
        .maybe(
            "LOWER(r.subject) LIKE ? ESCAPE '\\'",
            wanted.subject.as_deref().map(holds).as_deref(),
        )
        .maybe("r.at_ms >= ?", wanted.since.map(Timestamp::as_millis));
    filter
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    host_id: Uuid,
    host_name: String,
    simulated: bool,
    incident_id: Option<Uuid>,
    received_ms: i64,
    at_ms: i64,
    source_time: String,
    product: String,
    operation: String,
    code: String,
    symbol: String,
    kind: String,
    subject: String,
    source: String,
    provider: Option<String>,
    event_id: Option<i64>,
    record_id: Option<i64>,
    line: Option<i64>,
    things: Option<i64>,
    update_class: String,
    message: String,
    evidence: Option<String>,
}

impl TryFrom<Row> for StoredReport {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "report", id: &row.id };
        Ok(Self {
            id: row.id.into(),
            host: row.host_id.into(),
            host_name: row.host_name,
            simulated: row.simulated,
            incident: row.incident_id.map(Into::into),
            received: time(row.received_ms),
            at: time(row.at_ms),
            failure: FailureReport {
                product: at.word("product", &row.product)?,
                operation: at.word("operation", &row.operation)?,
                code: at.maybe("code", &row.code)?,
                symbol: some(row.symbol),
                kind: at.word("kind", &row.kind)?,
                subject: some(row.subject),
                time: at.word("source_time", &row.source_time)?,
                source: at.word("source", &row.source)?,
                provider: row.provider,
                event_id: row.event_id.map(|n| at.number("event_id", n)).transpose()?,
                record_id: row.record_id.map(|n| at.number("record_id", n)).transpose()?,
                line: row.line.map(|n| at.number("line", n)).transpose()?,
                count: row.things.map(|n| at.number("things", n)).transpose()?,
                update_class: at.maybe("update_class", &row.update_class)?,
                message: row.message,
            },
            evidence: match &row.evidence {
                Some(text) => at.json("evidence", text)?,
                None => Vec::new(),
            },
        })
    }
}
