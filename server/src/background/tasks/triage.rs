//! Gives every incident that waits for one its verdict: catalogue and evidence in, ranked causes
//! out. The same after a crash, and after a change of the catalogue. Where only a person can do
//! something about it, people are asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::ids::IncidentId;
use fleetmend_core::knowledge::{Catalogue, Risk};
use fleetmend_core::time::Clock;
use fleetmend_core::triage::{Verdict, triage};
use fleetmend_core::words::Slug;
use fleetmend_store::{Db, StoreError};

use crate::background::{BackgroundTask, Outcome, Status};
use crate::events::{Event, Events};
use crate::orders;

/// Incidents judged in one activation.
const PORTION: u32 = 200;

/// The task.
#[derive(Debug)]
pub struct Triage {
    db: Db,
    catalogue: &'static Catalogue,
    clock: Arc<dyn Clock>,
    events: Events,
    /// Whether the incidents were compared with this catalogue's version since the start.
    compared: bool,
}

impl Triage {
    /// A task that judges by `catalogue`.
    pub fn new(
        db: Db,
        catalogue: &'static Catalogue,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Self {
        Self { db, catalogue, clock, events, compared: false }
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
                self.ask_people(incident.id, &verdict).await?;
                self.events.tell(Event::Incident { id: Some(incident.id) });
            }
        }
        let more = waiting.len() >= PORTION as usize;
        let outcome = if more { Outcome::More } else { Outcome::Done };
        Ok(Status { outcome, acted: judged })
    }

    /// Asks people where a person must act and no agent can. Most incidents have nothing guided among
    /// their causes, and cost nothing here.
    async fn ask_people(&self, incident: IncidentId, verdict: &Verdict) -> Result<(), StoreError> {
        let is_guided =
            |id: &Slug| self.catalogue.remediations.get(id).is_some_and(|r| r.risk == Risk::Guided);
        let causes =
            verdict.causes.iter().filter_map(|c| self.catalogue.causes.get(c.cause.as_ref()?));
        if !causes.flat_map(|cause| &cause.remediations).any(is_guided) {
            return Ok(());
        }
        let Some(case) = orders::Case::read(&self.db, self.catalogue, incident).await? else {
            return Ok(());
        };
        let at_work = case.detail.jobs.iter().any(|job| !job.state.is_final());
        if at_work || !case.detail.incident.state.is_open() {
            return Ok(());
        }
        // What is dangerous needs two persons: an agent never does it by itself.
        let ceiling = case.host.ceiling.parse().unwrap_or(Risk::Disruptive);
        let plan = case.plan(ceiling.min(Risk::Disruptive), RebootPolicy::Anytime);
        orders::ask_people(&self.db, &plan, incident, &*self.clock, "server").await?;
        Ok(())
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
