//! When hosts were last heard of, written in batches: one transaction for many heartbeats.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetmend_core::ids::HostId;
use fleetmend_core::time::Timestamp;

use crate::events::Event;
use crate::lifecycle::Lifecycle;
use crate::state::Shared;

/// How often they are written.
const PERIOD: Duration = Duration::from_secs(5);
/// Hosts of one transaction.
const BATCH: usize = 1_000;

/// Hosts heard of since the last write.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<HostId, Timestamp>>>);

impl Seen {
    /// A host was heard of.
    pub fn note(&self, host: HostId, at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host, at);
    }

    /// Writes what was noted, until the soft stop and once more then.
    pub fn keep(self, shared: Shared, life: &Lifecycle) {
        let soft = life.soft();
        life.spawn_part("record of hosts heard of", async move {
            loop {
                let stopping = tokio::select! {
                    () = tokio::time::sleep(PERIOD) => false,
                    () = soft.cancelled() => true,
                };
                self.write(&shared).await;
                if stopping {
                    return;
                }
            }
        });
    }

    async fn write(&self, shared: &Shared) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let noted: Vec<_> = noted.into_iter().collect();
        for batch in noted.chunks(BATCH) {
            match shared.db.touch_hosts(batch).await {
                Ok(back) => {
                    shared.database.wrote();
                    for id in back {
                        shared.events.tell(Event::Host { id });
                    }
                }
                // The next heartbeat notes them again.
                Err(error) => {
                    shared.database.write_failed("last-seen times could not be written", &error);
                    return;
                }
            }
        }
    }
}
