//! Items that could not be stored: kept aside with the reason, so that they hold nothing up and
//! somebody can look.

use fleetmend_core::ids::{HostId, SpoolEpoch};
use fleetmend_core::time::Timestamp;
use fleetmend_core::words;
use uuid::Uuid;

use super::apply::Accepted;
use super::{Incoming, Quarantined};
use crate::backend::{Db, Tx, on_read, run};
use crate::error::Result;
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{big, count, time};
use crate::sql::statements;

statements! {
    /// A host keeps its first thousand; what comes after is counted only.
    INSERT = "INSERT INTO quarantine (host_id, epoch, sequence, at_ms, reason, item) \
        SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT COUNT(*) FROM quarantine WHERE host_id = $1) < 1000";
    COUNT = "UPDATE host SET quarantined_items = quarantined_items + 1 WHERE id = $1";
    TOTAL = "SELECT CAST(COALESCE(SUM(quarantined_items), 0) AS BIGINT) FROM host";
}

/// What is kept of an item.
const ITEM_BYTES: usize = 8_192;

impl Db {
    /// Items set aside, newest first.
    pub async fn quarantine(&self, page: &PageRequest) -> Result<Page<Quarantined>> {
        let mut filter = Filter::default();
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM quarantine", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            filter.and("number < ?", [cursor.as_number()?.0.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(
                "SELECT number, host_id, epoch, sequence, at_ms, reason, item FROM quarantine",
                " ORDER BY number DESC",
            );
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let page = Page::cut(rows, limit, total, |row| Cursor::number(row.number, Uuid::nil()));
        let items = page.items.into_iter().map(Quarantined::from).collect();
        Ok(Page { items, next: page.next, total: page.total })
    }

    /// How many items were set aside over all hosts, those no longer kept too.
    pub async fn quarantine_count(&self) -> Result<u64> {
        let n: i64 = on_read!(self, |c| sqlx::query_scalar(TOTAL).fetch_one(c).await)?;
        Ok(count(n))
    }
}

/// Sets an item aside.
pub(super) async fn set_aside(
    tx: &mut Tx,
    item: &Accepted<'_>,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    let text = match item.item {
        Incoming::Item(item) => serde_json::to_string(item).unwrap_or_default(),
        Incoming::Unreadable { .. } => String::new(),
    };
    tracing::warn!(host = %item.host, sequence = item.sequence, reason, "item set aside");
    run!(
        &mut *tx,
        sqlx::query(INSERT)
            .bind(item.host.0)
            .bind(item.epoch.0)
            .bind(big(item.sequence))
            .bind(now.as_millis())
            // A reason may quote what was refused, and Postgres stores no NUL.
            .bind(words::cut(&reason.replace('\0', "\u{FFFD}"), 1_024))
            .bind(words::cut(&text, ITEM_BYTES))
    )?;
    run!(tx, sqlx::query(COUNT).bind(item.host.0))?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    number: i64,
    host_id: Uuid,
    epoch: Uuid,
    sequence: i64,
    at_ms: i64,
    reason: String,
    item: String,
}

impl From<Row> for Quarantined {
    fn from(row: Row) -> Self {
        Self {
            host: HostId::from(row.host_id),
            epoch: SpoolEpoch::from(row.epoch),
            sequence: count(row.sequence),
            at: time(row.at_ms),
            reason: row.reason,
            item: row.item,
        }
    }
}
