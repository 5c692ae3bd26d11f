//! On Postgres the table `report` is made of one part a day received, so that retention drops days
//! whole. There is no part for what fits none: reports that gathered there would keep the day's own
//! part from being made. A missing part is made before the first report of its day.

use std::ops::RangeInclusive;

use sqlx::AssertSqlSafe;

use crate::backend::locks::Lock;
use crate::backend::{Backend, Db, Tx, transaction, within};
use crate::error::{Result, StoreError};

const PARTS: &str = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
    WHERE i.inhparent = 'report'::regclass ORDER BY c.relname";

/// Days made at once at most.
const DAYS: usize = 400;

impl Db {
    /// Makes the parts of `report` for these days (since 1970-01-01) where they are missing, and says how
    /// many it made. Nothing on SQLite.
    pub async fn ensure_report_partitions(&self, days: RangeInclusive<i64>) -> Result<u64> {
        let Backend::Postgres(pool) = &self.backend else { return Ok(0) };
        let mut made = 0;
        for day in days.take(DAYS) {
            if !pool.known_days().contains(&day) {
                made += transaction!(self, |tx| { make(tx, day).await })?;
                pool.known_days().insert(day);
            }
        }
        Ok(made)
    }

    /// Drops the parts of `report` that hold only days before `first`, and says how many.
    pub(crate) async fn drop_report_partitions(&self, first: i64) -> Result<u64> {
        let Backend::Postgres(pool) = &self.backend else { return Ok(0) };
        let names: Vec<String> = within(self.call, async {
            let mut lease = pool.lease().await?;
            let names = sqlx::query_scalar(PARTS).fetch_all(lease.connection()).await;
            lease.give_back(names)
        })
        .await?;
        let mut dropped = 0;
        for day in names.iter().filter_map(|name| day_of(name)).filter(|day| *day < first) {
            // Made of a number alone.
            let sql = format!("DROP TABLE IF EXISTS {}", name(day));
            transaction!(self, |tx| {
                tx.hold(Lock::Partitions).await?;
                let Tx::Postgres(lease) = tx else { return Ok(()) };
                sqlx::query(AssertSqlSafe(sql.clone())).execute(lease.connection()).await?;
                Ok::<_, StoreError>(())
            })?;
            pool.known_days().remove(&day);
            dropped += 1;
        }
        Ok(dropped)
    }

    /// Looks at the parts again before the next report: one that was there may have been dropped.
    pub(crate) fn forget_partitions(&self) {
        if let Backend::Postgres(pool) = &self.backend {
            pool.known_days().clear();
        }
    }
}

/// The table that holds a day.
pub(crate) fn name(day: i64) -> String {
    format!("report_d{day}").replace('-', "m")
}

/// The day that such a table holds.
fn day_of(name: &str) -> Option<i64> {
    name.strip_prefix("report_d")?.replace('m', "-").parse().ok()
}

/// Made apart and then attached: that holds up neither readers nor writers of the other days.
async fn make(tx: &mut Tx, day: i64) -> Result<u64> {
    tx.hold(Lock::Partitions).await?;
    let Tx::Postgres(lease) = tx else { return Ok(0) };
    let name = name(day);
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(&name)
        .fetch_one(lease.connection())
        .await?;
    if there {
        return Ok(0);
    }
    for sql in [
        format!("CREATE TABLE {name} (LIKE report INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"),
        format!(
            "ALTER TABLE report ATTACH PARTITION {name} FOR VALUES FROM ({day}) TO ({})",
            day.saturating_add(1)
        ),
    ] {
        // Made of a number alone.
        sqlx::query(AssertSqlSafe(sql)).execute(lease.connection()).await?;
    }
    Ok(1)
}
