//! Lists of incidents.

use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::Timestamp;

use super::get::{Row, incident_head};
use super::{Incident, IncidentFilter};
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::filter::{Filter, begins, bind_all, holds};
use crate::page::{Cursor, Page, PageRequest};

impl Db {
    /// Incidents, the latest seen first.
    pub async fn incidents(
        &self,
        wanted: &IncidentFilter,
        page: &PageRequest,
    ) -> Result<Page<Incident>> {
        let mut filter = conditions(wanted);
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM incident i", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(i.last_seen_ms, i.id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(incident_head!(), " ORDER BY i.last_seen_ms DESC, i.id DESC");
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let incidents = rows.into_iter().map(Incident::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(incidents, limit, total, |i| Cursor::number(i.last_seen.as_millis(), i.id.0)))
    }
}

fn conditions(wanted: &IncidentFilter) -> Filter {
    let mut filter = Filter::default();
    filter
        .any_of("i.state", wanted.state.iter().map(|s| s.as_str()))
        .maybe("i.host_id = ?", wanted.host.map(|id| id.0))
        .maybe("i.product = ?", wanted.product.map(Product::as_str))
        .maybe("i.operation = ?", wanted.operation.map(Operation::as_str))
        .maybe("i.code = ?", wanted.code.as_deref())
        .maybe("i.cause = ?", wanted.cause.as_deref())
        .maybe(
            "LOWER(i.subject) LIKE ? ESCAPE '\\'",
            wanted.subject.as_deref().map(holds).as_deref(),
        )
        .maybe("i.last_seen_ms >= ?", wanted.since.map(Timestamp::as_millis))
        .maybe(
            "i.host_id IN (SELECT h.id FROM host h WHERE LOWER(h.os_build) LIKE ? ESCAPE '\\')",
            wanted.build.as_deref().map(begins).as_deref(),
        );
    for (key, value) in &wanted.labels {
        filter.and(
            "i.host_id IN (SELECT l.host_id FROM host_label l WHERE l.key = ? AND l.value = ?)",
            [key.as_str().into(), value.as_str().into()],
        );
    }
    filter
}
