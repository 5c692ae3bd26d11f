//! Drops what is older than the settings keep, in small pieces, and on Postgres makes the parts of
//! the table of reports for the days ahead.

use std::sync::Arc;

use fleetmend_core::time::Clock;
use fleetmend_store::{Db, Keep, StoreError};

use crate::background::{BackgroundTask, Outcome, Status};

/// Rows of a kind dropped at once: some milliseconds of a writer's time.
const PIECE: u32 = 1_000;

/// The task.
#[derive(Debug)]
pub struct Retention {
    db: Db,
    clock: Arc<dyn Clock>,
    keep: Keep,
}

impl Retention {
    /// A task that goes by `clock`.
    pub fn new(db: Db, clock: Arc<dyn Clock>, keep: Keep) -> Self {
        Self { db, clock, keep }
    }

    async fn drop_piece(&self) -> Result<Status, StoreError> {
        let now = self.clock.now();
        if let Some(last) = self.db.note_retention(now).await? {
            let words = format!(
                "nothing is dropped: the clock says {now}, and at the last look it was {last}. If it is right \
                 (the server was off for so long), run `fleetmend-server clock believe`; else put it right"
            );
            return Ok(Status { outcome: Outcome::Failed(words), acted: 0 });
        }
        let dropped = self.db.drop_old(&self.keep, now, PIECE).await?;
        if dropped.days > 0 {
            tracing::info!(days = dropped.days, "whole days of reports were dropped");
        }
        let acted = [
            dropped.reports,
            dropped.days,
            dropped.evidence,
            dropped.roll_up,
            dropped.job_logs,
            dropped.incidents,
            dropped.events,
            dropped.quarantined,
        ];
        let outcome = if dropped.more { Outcome::More } else { Outcome::Done };
        Ok(Status { outcome, acted: acted.iter().sum() })
    }
}

#[async_trait::async_trait]
impl BackgroundTask for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    async fn activate(&mut self) -> Status {
        self.drop_piece().await.unwrap_or_else(|e| Status::failed(&e))
    }
}
