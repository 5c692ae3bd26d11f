//! Problems: the open incidents of the whole fleet, grouped by leading cause, or by code where no
//! cause leads.

use std::collections::BTreeMap;

use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::Certainty;
use uuid::Uuid;

use super::{DayCount, Problem};
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::row::{At, count, some, time};
use crate::sql::statements;

/// Open incidents with the code that their problem is named by: none where a cause leads.
macro_rules! live {
    () => {
        "SELECT id, host_id, product, operation, code, symbol, cause, certainty, first_seen_ms, last_seen_ms, \
         CASE WHEN cause <> '' THEN '' ELSE code END AS named_by \
         FROM incident WHERE ended_ms IS NULL AND state <> 'ignored'"
    };
}

statements! {
    PROBLEMS = concat!("WITH live AS (", live!(), "), \
        placed AS (SELECT live.*, ROW_NUMBER() OVER (PARTITION BY cause, named_by, product, operation \
            ORDER BY last_seen_ms DESC, id DESC) AS place FROM live), \
        grouped AS (SELECT cause, named_by, product, operation, COUNT(DISTINCT host_id) AS hosts, COUNT(*) AS incidents, \
            MIN(first_seen_ms) AS first_ms, MAX(last_seen_ms) AS last_ms, \
            CAST(MAX(CASE certainty WHEN 'confirmed' THEN 3 WHEN 'likely' THEN 2 WHEN 'possible' THEN 1 ELSE 0 END) AS BIGINT) AS certainty_rank \
            FROM live GROUP BY cause, named_by, product, operation) \
        SELECT g.cause, g.named_by, g.product, g.operation, g.hosts, g.incidents, g.first_ms, g.last_ms, g.certainty_rank, \
            s.id AS sample, s.code, s.symbol \
        FROM grouped g JOIN placed s ON s.cause = g.cause AND s.named_by = g.named_by AND s.product = g.product \
            AND s.operation = g.operation AND s.place = 1 \
        ORDER BY g.hosts DESC, g.incidents DESC, g.last_ms DESC, g.cause, g.named_by, g.product, g.operation LIMIT $1");
    TRENDS = concat!("WITH live AS (", live!(), "), \
        kinds AS (SELECT DISTINCT cause, named_by, product, operation, code FROM live) \
        SELECT k.cause, k.named_by, k.product, k.operation, d.day, CAST(SUM(d.reports) AS BIGINT) AS reports \
        FROM kinds k JOIN report_day d ON d.product = k.product AND d.operation = k.operation AND d.code = k.code \
        WHERE d.day > $1 GROUP BY k.cause, k.named_by, k.product, k.operation, d.day");
    TREND = "SELECT day, CAST(SUM(reports) AS BIGINT) AS reports FROM report_day WHERE day > $1 GROUP BY day ORDER BY day";
}

/// Days of a problem's trend.
const DAYS: u32 = 14;

impl Db {
    /// The fleet's problems, those on most hosts first.
    pub async fn problems(&self, now: Timestamp, limit: u32) -> Result<Vec<Problem>> {
        let limit = i64::from(limit.clamp(1, limits::PAGE_MAX));
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(PROBLEMS).bind(limit).fetch_all(c).await)?;
        let first = now.day() - i64::from(DAYS);
        let days: Vec<TrendRow> =
            on_read!(self, |c| sqlx::query_as(TRENDS).bind(first).fetch_all(c).await)?;
        let mut trends: BTreeMap<Key, Vec<u64>> = BTreeMap::new();
        for row in days {
            let trend = trends
                .entry((row.cause, row.named_by, row.product, row.operation))
                .or_insert_with(|| vec![0; DAYS as usize]);
            let place = usize::try_from(row.day - first - 1).ok();
            if let Some(day) = place.and_then(|place| trend.get_mut(place)) {
                *day += count(row.reports);
            }
        }
        rows.into_iter().map(|row| row.read(&mut trends)).collect()
    }

    /// Failures a day over the whole fleet, of the last `days`, oldest first; days without
    /// failures are there too.
    pub async fn trend(&self, days: u32, now: Timestamp) -> Result<Vec<DayCount>> {
        let first = now.day() - i64::from(days.clamp(1, limits::ROLL_UP_DAYS));
        let rows: Vec<(i64, i64)> =
            on_read!(self, |c| sqlx::query_as(TREND).bind(first).fetch_all(c).await)?;
        let counts: BTreeMap<i64, i64> = rows.into_iter().collect();
        let day = |day| DayCount { day, reports: count(counts.get(&day).copied().unwrap_or(0)) };
        Ok((first + 1..=now.day()).map(day).collect())
    }
}

/// Cause, code, product, operation.
type Key = (String, String, String, String);

#[derive(Debug, sqlx::FromRow)]
struct TrendRow {
    cause: String,
    named_by: String,
    product: String,
    operation: String,
    day: i64,
    reports: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    cause: String,
    named_by: String,
    product: String,
    operation: String,
    hosts: i64,
    incidents: i64,
    first_ms: i64,
    last_ms: i64,
    certainty_rank: i64,
    sample: Uuid,
    code: String,
    symbol: String,
}

impl Row {
    fn read(self, trends: &mut BTreeMap<Key, Vec<u64>>) -> Result<Problem> {
        let at = At { table: "incident", id: &self.sample };
        let (product, operation) =
            (at.word("product", &self.product)?, at.word("operation", &self.operation)?);
        let key = (self.cause.clone(), self.named_by, self.product, self.operation);
        Ok(Problem {
            product,
            operation,
            trend: trends.remove(&key).unwrap_or_else(|| vec![0; DAYS as usize]),
            cause: some(self.cause),
            code: some(self.code),
            symbol: some(self.symbol),
            hosts: count(self.hosts),
            incidents: count(self.incidents),
            first_seen: time(self.first_ms),
            last_seen: time(self.last_ms),
            certainty: match self.certainty_rank {
                3 => Some(Certainty::Confirmed),
                2 => Some(Certainty::Likely),
                1 => Some(Certainty::Possible),
                _ => None,
            },
            sample: self.sample.into(),
        })
    }
}
