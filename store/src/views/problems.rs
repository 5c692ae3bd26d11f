//! Problems: the open incidents of the whole fleet, grouped by leading cause, or by code where no
//! cause leads.

use std::collections::BTreeMap;

use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::Certainty;
use uuid::Uuid;

use super::{DayCount, Problem, ProblemKey};
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
        SELECT g.cause, g.product, g.operation, g.hosts, g.incidents, g.first_ms, g.last_ms, g.certainty_rank, \
            s.id AS sample, s.code, s.symbol \
        FROM grouped g JOIN placed s ON s.cause = g.cause AND s.named_by = g.named_by AND s.product = g.product \
            AND s.operation = g.operation AND s.place = 1 \
        ORDER BY g.hosts DESC, g.incidents DESC, g.last_ms DESC, g.cause, g.named_by, g.product, g.operation LIMIT $1");
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
        let mut problems = rows.into_iter().map(Row::read).collect::<Result<Vec<_>>>()?;
        let keys: Vec<ProblemKey> = problems.iter().map(Problem::key).collect();
        for (problem, trend) in
            problems.iter_mut().zip(self.problem_trends(&keys, DAYS, now).await?)
        {
            problem.trend = trend.standing;
        }
        Ok(problems)
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

#[derive(Debug, sqlx::FromRow)]
struct Row {
    cause: String,
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
    fn read(self) -> Result<Problem> {
        let at = At { table: "incident", id: &self.sample };
        let (product, operation) =
            (at.word("product", &self.product)?, at.word("operation", &self.operation)?);
        Ok(Problem {
            product,
            operation,
            trend: Vec::new(),
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
