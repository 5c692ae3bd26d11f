//! Lists of hosts.

use super::get::{HostRow, host_columns};
use super::{Host, HostFilter};
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::filter::{Filter, begins, bind_all, holds};
use crate::page::{Cursor, Page, PageRequest};

impl Db {
    /// Hosts by name.
    pub async fn hosts(&self, wanted: &HostFilter, page: &PageRequest) -> Result<Page<Host>> {
        let mut filter = conditions(wanted);
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM host h", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (name, id) = cursor.as_text()?;
            filter.and("(h.name, h.id) > (?, ?)", [name.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<HostRow> = on_read!(self, |c| {
            let sql = filter.page_sql(
                concat!("SELECT ", host_columns!(), " FROM host h"),
                " ORDER BY h.name, h.id",
            );
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let hosts = rows.into_iter().map(Host::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(hosts, limit, total, |host| Cursor::text(&host.facts.name, host.id.0)))
    }
}

fn conditions(wanted: &HostFilter) -> Filter {
    let mut filter = Filter::default();
    filter.any_of("h.lifecycle", wanted.lifecycle.iter().map(|l| l.as_str()));
    for (key, value) in &wanted.labels {
        filter.and(
            "h.id IN (SELECT l.host_id FROM host_label l WHERE l.key = ? AND l.value = ?)",
            [key.as_str().into(), value.as_str().into()],
        );
    }
    filter
        .maybe("LOWER(h.name) LIKE ? ESCAPE '\\'", wanted.search.as_deref().map(holds).as_deref())
        .maybe(
            "LOWER(h.os_build) LIKE ? ESCAPE '\\'",
            wanted.build.as_deref().map(begins).as_deref(),
        )
        .maybe(
            "h.id IN (SELECT i.host_id FROM incident i WHERE i.ended_ms IS NULL AND i.code = ?)",
            wanted.code.as_deref(),
        )
        .maybe(
            "h.id IN (SELECT i.host_id FROM incident i WHERE i.ended_ms IS NULL AND i.cause = ?)",
            wanted.cause.as_deref(),
        )
        .maybe(
            "h.id IN (SELECT i.host_id FROM incident i WHERE i.ended_ms IS NULL \
             AND LOWER(i.subject) LIKE ? ESCAPE '\\')",
            wanted.subject.as_deref().map(holds).as_deref(),
        );
    filter
}
