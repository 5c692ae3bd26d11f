//! How many incidents stood at the end of each day: counted from the incidents themselves, which tell
//! when they began and ended, so that no roll-up can be wrong.

use std::collections::BTreeMap;

use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;

use super::{ProblemKey, ProblemTrend};
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::row::count;
use crate::sql::statements;

/// The day from which an incident stood, no earlier than the window, which begins at $1.
macro_rules! began {
    () => {
        "CASE WHEN first_seen_ms < $1 THEN CAST($1 AS BIGINT) ELSE first_seen_ms END / 86400000"
    };
}
macro_rules! named_by {
    () => {
        "CASE WHEN cause <> '' THEN '' ELSE code END"
    };
}

statements! {
    /// Those that stand, then those that ended within the window.
    BY_PROBLEM = concat!("SELECT cause, ", named_by!(), " AS named_by, product, operation, ", began!(), " AS began, \
            CAST(NULL AS BIGINT) AS ended, COUNT(*) AS incidents \
            FROM incident WHERE ended_ms IS NULL AND state <> 'ignored' \
            GROUP BY cause, ", named_by!(), ", product, operation, ", began!(), " \
        UNION ALL SELECT cause, ", named_by!(), ", product, operation, ", began!(), ", ended_ms / 86400000, COUNT(*) \
            FROM incident WHERE ended_ms >= $1 \
            GROUP BY cause, ", named_by!(), ", product, operation, ", began!(), ", ended_ms / 86400000");
    FLEET = concat!("SELECT ", began!(), " AS began, CAST(NULL AS BIGINT) AS ended, COUNT(*) AS incidents \
            FROM incident WHERE ended_ms IS NULL AND state <> 'ignored' GROUP BY ", began!(), " \
        UNION ALL SELECT ", began!(), ", ended_ms / 86400000, COUNT(*) \
            FROM incident WHERE ended_ms >= $1 GROUP BY ", began!(), ", ended_ms / 86400000");
}

const DAY_MS: i64 = 86_400_000;

impl Db {
    /// How many incidents of each problem stood at the end of each of the last `days` (today: now),
    /// in the order of the keys.
    pub async fn problem_trends(
        &self,
        keys: &[ProblemKey],
        days: u32,
        now: Timestamp,
    ) -> Result<Vec<ProblemTrend>> {
        let window = Window::new(days, now);
        let rows: Vec<ProblemRow> = on_read!(self, |c| sqlx::query_as(BY_PROBLEM)
            .bind(window.starts())
            .fetch_all(c)
            .await)?;
        let mut places: BTreeMap<_, usize> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            let (cause, code, product, operation) = key.parts();
            // Where a cause leads, the problem has all its codes.
            let code = if cause.is_empty() { code } else { "" };
            places.insert((cause, code, product, operation), place);
        }
        let mut trends: Vec<ProblemTrend> = keys
            .iter()
            .map(|key| ProblemTrend { key: key.clone(), standing: window.none() })
            .collect();
        for row in &rows {
            let key = (&*row.cause, &*row.named_by, &*row.product, &*row.operation);
            let place = places.get(&key);
            if let Some(trend) = place.and_then(|place| trends.get_mut(*place)) {
                window.add(&mut trend.standing, row.began, row.ended, row.incidents);
            }
        }
        Ok(trends)
    }

    /// How many incidents stood over the whole fleet at the end of each of the last `days` (today:
    /// now), oldest first.
    pub async fn standing(&self, days: u32, now: Timestamp) -> Result<Vec<u64>> {
        let window = Window::new(days, now);
        let rows: Vec<(i64, Option<i64>, i64)> =
            on_read!(self, |c| sqlx::query_as(FLEET).bind(window.starts()).fetch_all(c).await)?;
        let mut standing = window.none();
        for (began, ended, incidents) in rows {
            window.add(&mut standing, began, ended, incidents);
        }
        Ok(standing)
    }
}

/// The days that are shown.
#[derive(Debug, Clone, Copy)]
struct Window {
    first: i64,
    today: i64,
}

impl Window {
    fn new(days: u32, now: Timestamp) -> Self {
        Self {
            first: now.day() - i64::from(days.clamp(1, limits::ROLL_UP_DAYS)) + 1,
            today: now.day(),
        }
    }

    fn starts(self) -> i64 {
        self.first * DAY_MS
    }

    fn none(self) -> Vec<u64> {
        (self.first..=self.today).map(|_| 0).collect()
    }

    /// Adds incidents that stood from the day they began to the day before they ended.
    fn add(self, standing: &mut [u64], began: i64, ended: Option<i64>, incidents: i64) {
        // A clock that runs a little ahead may have begun it tomorrow.
        let began = began.clamp(self.first, self.today);
        for (day, stood) in (self.first..).zip(standing) {
            if day >= began && ended.is_none_or(|ended| day < ended) {
                *stood += count(incidents);
            }
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct ProblemRow {
    cause: String,
    named_by: String,
    product: String,
    operation: String,
    began: i64,
    ended: Option<i64>,
    incidents: i64,
}
