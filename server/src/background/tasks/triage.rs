//! Gives every incident that waits for one its verdict: catalogue and evidence in, ranked causes
//! out. The same after a crash, and after a change of the catalogue.

use std::collections::BTreeMap;

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::triage::triage;
use fleetmend_store::{Db, StoreError};

use crate::background::{BackgroundTask, Outcome, Status};
use crate::events::{Event, Events};

/// Incidents judged in one activation.
const PORTION: u32 = 200;

/// The task.
#[derive(Debug)]
pub struct Triage {
    db: Db,
    catalogue: &'static Catalogue,
    events: Events,
    /// Whether the incidents were compared with this catalogue's version since the start.
    compared: bool,
}

impl Triage {
    /// A task that judges by `catalogue`.
    pub fn new(db: Db, catalogue: &'static Catalogue, events: Events) -> Self {
        Self { db, catalogue, events, compared: false }
    }

    async fn judge(&mut self) -> Result<Status, StoreError> {
        if !self.compared {
            self.db.triage_all_again(&self.catalogue.version).await?;
            self.compared = true;
        }
        let waiting = self.db.incidents_to_triage(PORTION).await?;
        let mut evidence = BTreeMap::new();
        let mut judged = 0;
        for incident in &waiting {
            let found = match evidence.entry(incident.host) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(self.db.evidence(incident.host).await?)
                }
            };
            let verdict = triage(self.catalogue, &incident.key, incident.update_class, found);
            if self.db.save_verdict(incident, &verdict).await? {
                judged += 1;
                self.events.tell(Event::Incident { id: Some(incident.id) });
            }
        }
        let more = waiting.len() >= PORTION as usize;
        let outcome = if more { Outcome::More } else { Outcome::Done };
        Ok(Status { outcome, acted: judged })
    }
}

#[async_trait::async_trait]
impl BackgroundTask for Triage {
    fn name(&self) -> &'static str {
        "triage"
    }

    async fn activate(&mut self) -> Status {
        self.judge().await.unwrap_or_else(|e| Status::failed(&e))
    }
}
