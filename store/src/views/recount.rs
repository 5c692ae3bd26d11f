//! The roll-up of reports by day, counted anew from the reports themselves. Only days whose reports
//! are all held can be: a report counts for a day no later than the day it came, so every report of
//! a day is there while no day from it on was dropped.

use std::ops::RangeInclusive;

use fleetmend_core::time::Timestamp;

use crate::backend::{Db, Tx, on_read, on_tx, transaction};
use crate::error::{Result, StoreError};
use crate::sql::statements;

/// A number of the roll-up that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recounted {
    /// Days since 1970-01-01.
    pub day: i64,
    /// What failed.
    pub product: String,
    /// While doing what.
    pub operation: String,
    /// With which code; empty for none.
    pub code: String,
    /// What the roll-up said.
    pub told: i64,
    /// What the reports say, and now the roll-up too.
    pub held: i64,
}

statements! {
    OLDEST = "SELECT MIN(day) FROM (SELECT MIN(day) AS day FROM report_day UNION ALL SELECT MIN(day) FROM report) AS days";
    /// The first day from which every report received is held. The row is locked, so that no day is
    /// dropped meanwhile.
    HELD_FROM = "INSERT INTO setting (name, value) VALUES ('reports_held_from', '0') \
        ON CONFLICT (name) DO UPDATE SET value = setting.value RETURNING value";
    READ_HELD_FROM = "SELECT value FROM setting WHERE name = 'reports_held_from'";
    DIFFERENT = "WITH held AS (SELECT product, operation, code, COUNT(*) AS n FROM report \
            WHERE day = $1 AND kind = 'failure' GROUP BY product, operation, code), \
        told AS (SELECT product, operation, code, reports FROM report_day WHERE day = $1) \
        SELECT h.product, h.operation, h.code, COALESCE(t.reports, 0) AS told, h.n AS held FROM held h \
            LEFT JOIN told t ON t.product = h.product AND t.operation = h.operation AND t.code = h.code \
            WHERE t.reports IS NULL OR t.reports <> h.n \
        UNION ALL SELECT t.product, t.operation, t.code, t.reports, 0 FROM told t \
            LEFT JOIN held h ON t.product = h.product AND t.operation = h.operation AND t.code = h.code \
            WHERE h.n IS NULL \
        ORDER BY 1, 2, 3 LIMIT $2";
    MEND = "INSERT INTO report_day (day, product, operation, code, reports) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (day, product, operation, code) DO UPDATE SET reports = excluded.reports";
    REMOVE = "DELETE FROM report_day WHERE day = $1 AND product = $2 AND operation = $3 AND code = $4";
}

/// Wrong numbers mended at once.
const PIECE: i64 = 1_000;

impl Db {
    /// The days that [`Db::recount`] may be asked for: from the first whose reports are all held to
    /// today. Empty where there are no reports.
    pub async fn days_to_recount(&self, now: Timestamp) -> Result<RangeInclusive<i64>> {
        let oldest: Option<i64> =
            on_read!(self, |c| sqlx::query_scalar(OLDEST).fetch_one(c).await)?;
        let held: Option<String> =
            on_read!(self, |c| sqlx::query_scalar(READ_HELD_FROM).fetch_optional(c).await)?;
        let first = oldest.unwrap_or_else(|| now.day() + 1).max(day_in(held.as_deref()));
        Ok(first..=now.day())
    }

    /// Counts one day of the roll-up anew, in one transaction, and hands every number that was wrong
    /// to `found`. A day whose reports are not all held any more is left as it is.
    pub async fn recount(&self, day: i64, found: &mut (dyn FnMut(Recounted) + Send)) -> Result<()> {
        let db = self.patient();
        let mended = transaction!(db, |tx| {
            tx.lock_roll_up().await?;
            let mut mended = Vec::new();
            if day < held_from(tx).await? {
                return Ok(mended);
            }
            loop {
                let rows: Vec<Row> = on_tx!(&mut *tx, |c| sqlx::query_as(DIFFERENT)
                    .bind(day)
                    .bind(PIECE)
                    .fetch_all(c)
                    .await)?;
                let last = i64::try_from(rows.len()).is_ok_and(|n| n < PIECE);
                for row in &rows {
                    mend(tx, day, row).await?;
                }
                mended.extend(rows);
                if last {
                    return Ok::<_, StoreError>(mended);
                }
            }
        })?;
        for Row { product, operation, code, told, held } in mended {
            found(Recounted { day, product, operation, code, told, held });
        }
        Ok(())
    }
}

async fn mend(tx: &mut Tx, day: i64, row: &Row) -> Result<()> {
    if row.held > 0 {
        on_tx!(tx, |c| sqlx::query(MEND)
            .bind(day)
            .bind(&row.product)
            .bind(&row.operation)
            .bind(&row.code)
            .bind(row.held)
            .execute(c)
            .await
            .map(drop))?;
    } else {
        on_tx!(tx, |c| sqlx::query(REMOVE)
            .bind(day)
            .bind(&row.product)
            .bind(&row.operation)
            .bind(&row.code)
            .execute(c)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// The first day from which every report received is held; locked until the transaction ends.
pub(crate) async fn held_from(tx: &mut Tx) -> Result<i64> {
    let text: String = on_tx!(tx, |c| sqlx::query_scalar(HELD_FROM).fetch_one(c).await)?;
    Ok(day_in(Some(&text)))
}

fn day_in(text: Option<&str>) -> i64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    product: String,
    operation: String,
    code: String,
    told: i64,
    held: i64,
}
