//! The numbers on top of the triage page.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::host::Lifecycle;
use fleetmend_core::time::Timestamp;

use super::Summary;
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::row::{At, count};
use crate::sql::statements;

statements! {
    HOSTS = "SELECT lifecycle, simulated, COUNT(*) FROM host GROUP BY lifecycle, simulated ORDER BY lifecycle, simulated";
    /// One row: active hosts that something proves well and on which nothing stands; hosts of which
    /// nothing proves anything.
    HEALTH = "SELECT \
        (SELECT COUNT(*) FROM host h WHERE h.lifecycle = 'active' AND h.proved = $1 AND NOT EXISTS ( \
            SELECT 1 FROM incident i WHERE i.host_id = h.id AND i.ended_ms IS NULL AND i.state <> 'ignored')), \
        (SELECT COUNT(*) FROM host h WHERE h.lifecycle IN ('pending', 'active', 'stale') AND h.proved <> $1)";
    /// One row: open, opened since $1, fixed since $2, active jobs, untriaged.
    COUNTS = "SELECT \
        (SELECT COUNT(*) FROM incident WHERE ended_ms IS NULL AND state <> 'ignored'), \
        (SELECT COUNT(*) FROM incident WHERE opened_ms >= $1), \
        (SELECT COUNT(*) FROM incident WHERE state = 'fixed' AND ended_ms >= $2), \
        (SELECT COUNT(*) FROM job WHERE ended_ms IS NULL), \
        (SELECT COUNT(*) FROM incident WHERE triage_wanted > triage_done AND ended_ms IS NULL)";
}

const DAY: Duration = Duration::from_hours(24);

impl Db {
    /// The numbers on top of the triage page.
    pub async fn summary(&self, now: Timestamp) -> Result<Summary> {
        let hosts: Vec<(String, bool, i64)> =
            on_read!(self, |c| sqlx::query_as(HOSTS).fetch_all(c).await)?;
        let (open, opened, fixed, jobs, untriaged): (i64, i64, i64, i64, i64) =
            on_read!(self, |c| sqlx::query_as(COUNTS)
                .bind(now.before(DAY).as_millis())
                .bind(now.before(7 * DAY).as_millis())
                .fetch_one(c)
                .await)?;
        let (healthy, no_data): (i64, i64) =
            on_read!(self, |c| sqlx::query_as(HEALTH).bind(true).fetch_one(c).await)?;
        let mut by_state: BTreeMap<Lifecycle, u64> = BTreeMap::new();
        let mut simulated = 0;
        for (lifecycle, is_simulated, n) in hosts {
            let at = At { table: "host", id: &lifecycle };
            *by_state.entry(at.word("lifecycle", &lifecycle)?).or_default() += count(n);
            simulated += if is_simulated { count(n) } else { 0 };
        }
        Ok(Summary {
            silent: by_state.get(&Lifecycle::Stale).copied().unwrap_or(0),
            hosts: by_state,
            simulated,
            healthy: count(healthy),
            no_data: count(no_data),
            open_incidents: count(open),
            opened_since_yesterday: count(opened),
            fixed_in_7_days: count(fixed),
            active_jobs: count(jobs),
            untriaged: count(untriaged),
            quarantined: self.quarantine_count().await?,
        })
    }
}
