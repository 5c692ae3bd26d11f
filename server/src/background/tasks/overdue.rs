//! Opens an incident for what was left undone for too long, and ends it when it is done. A host is
//! looked at when it told something new, and when a deadline of it comes.

use std::sync::Arc;

use fleetmend_core::limits;
use fleetmend_core::overdue::OverdueRules;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_store::{Db, StoreError};

use crate::background::{BackgroundTask, Nudges, Outcome, Status};
use crate::entropy;
use crate::events::{Event, Events};

/// Hosts looked at in one transaction: some milliseconds of a writer's time.
const PORTION: u32 = 100;

/// The task.
#[derive(Debug)]
pub struct Overdue {
    db: Db,
    clock: Arc<dyn Clock>,
    events: Events,
    nudges: Arc<Nudges>,
    rules: OverdueRules,
    started: Timestamp,
    /// Whether the rules were compared with those that judged last, since the start.
    compared: bool,
}

impl Overdue {
    /// A task that judges by `rules` and goes by `clock`.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        events: Events,
        nudges: Arc<Nudges>,
        rules: OverdueRules,
    ) -> Self {
        let started = clock.now();
        Self { db, clock, events, nudges, rules, started, compared: false }
    }

    async fn look(&mut self) -> Result<Status, StoreError> {
        // Hosts that could not be heard while the server was down come back first.
        let now = self.clock.now();
        if now.since(self.started) < limits::SILENT_AFTER {
            return Ok(Status { outcome: Outcome::Done, acted: 0 });
        }
        if let Some(last) = self.db.clock_leapt(now).await? {
            let words = format!(
                "nothing is judged: the clock says {now}, and retention last looked at {last}"
            );
            return Ok(Status { outcome: Outcome::Failed(words), acted: 0 });
        }
        if !self.compared {
            self.db.watch_all_again(&self.rules).await?;
            self.compared = true;
        }
        let mut random = entropy::bytes;
        let done = self.db.watch_hosts(&self.rules, now, PORTION, &mut random).await?;
        for id in done.opened.iter().chain(&done.ended) {
            self.events.tell(Event::Incident { id: Some(*id) });
        }
        if !done.opened.is_empty() {
            self.nudges.triage.notify_one();
        }
        let more = done.looked_at >= PORTION as usize;
        let outcome = if more { Outcome::More } else { Outcome::Done };
        Ok(Status { outcome, acted: (done.opened.len() + done.ended.len()) as u64 })
    }
}

#[async_trait::async_trait]
impl BackgroundTask for Overdue {
    fn name(&self) -> &'static str {
        "overdue"
    }

    async fn activate(&mut self) -> Status {
        self.look().await.unwrap_or_else(|e| Status::failed(&e))
    }
}
