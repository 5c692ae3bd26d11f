//! What the clock decides: jobs whose time is up, hosts that fell silent, decisions to ignore that
//! are over, sessions that expired.

use std::sync::Arc;

use fleetmend_core::limits;
use fleetmend_core::time::Clock;
use fleetmend_store::{Db, StoreError};

use crate::background::{BackgroundTask, Outcome, Status};
use crate::events::{Event, Events};

/// Things of one kind acted on in one activation.
const PORTION: u32 = 500;

/// The task.
#[derive(Debug)]
pub struct Deadlines {
    db: Db,
    clock: Arc<dyn Clock>,
    events: Events,
}

impl Deadlines {
    /// A task that goes by `clock`.
    pub fn new(db: Db, clock: Arc<dyn Clock>, events: Events) -> Self {
        Self { db, clock, events }
    }

    async fn look(&self) -> Result<Status, StoreError> {
        let now = self.clock.now();
        let jobs = self.db.expire_jobs(now, PORTION).await?;
        for id in &jobs {
            self.events.tell(Event::Job { id: *id });
        }
        let silent = self.db.mark_stale(now.before(limits::SILENT_AFTER), now, PORTION).await?;
        for id in &silent {
            self.events.tell(Event::Host { id: *id });
        }
        let incidents = self.db.end_ignoring(now, PORTION).await?;
        for id in &incidents {
            self.events.tell(Event::Incident { id: Some(*id) });
        }
        let sessions = self.db.drop_expired_sessions(now).await?;
        let most = jobs.len().max(silent.len()).max(incidents.len());
        let outcome = if most >= PORTION as usize { Outcome::More } else { Outcome::Done };
        let acted = (jobs.len() + silent.len() + incidents.len()) as u64 + sessions;
        Ok(Status { outcome, acted })
    }
}

#[async_trait::async_trait]
impl BackgroundTask for Deadlines {
    fn name(&self) -> &'static str {
        "deadlines"
    }

    async fn activate(&mut self) -> Status {
        self.look().await.unwrap_or_else(|e| Status::failed(&e))
    }
}
