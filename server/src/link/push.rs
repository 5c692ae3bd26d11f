//! Orders on their way out. Level-triggered: looks at the database, sends what is due, marks it
//! offered; called at every connect and nudge. What lies in a freeze of its host stays here until that is
//! over: the agent keeps to it too, and holds what it had before. A stream that ends under an order leaves it *offered*,
//! and the next hello puts it back; so does [`again`] where the database failed in the middle.

use fleetmend_core::hold::Freeze;
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::time::Timestamp;
use fleetmend_proto::v1;
use fleetmend_store::StoreError;
use tokio::time::Instant;

use crate::enroll::OrderKey;
use crate::events::Event;
use crate::halt::freezes_for;
use crate::metrics;
use crate::state::Shared;

/// What should go to a host now.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Orders signed with the session's key.
    pub(super) orders: Vec<(JobId, v1::Order)>,
    /// Jobs that somebody wants stopped.
    pub(super) recalled: Vec<JobId>,
    /// Why there may be more, and why an order may be marked offered that was not given here.
    pub(super) failed: Option<StoreError>,
}

/// What a session told its host of orders, and knows of them.
pub(super) struct Told {
    /// Jobs that the agent knows: those of its hello, and those sent since.
    pub(super) known: Vec<JobId>,
    /// The database failed where an order may have been marked offered: to be put back.
    pub(super) doubtful: bool,
    /// When the agent was last told to stop which job.
    recalled: Vec<(JobId, Instant)>,
}

impl Told {
    pub(super) fn new(known: Vec<JobId>) -> Self {
        Self { known, doubtful: false, recalled: Vec::new() }
    }

    pub(super) fn sent(&mut self, job: JobId) {
        self.known.push(job);
        // One job at a time is active: the latest few are all that can be open.
        let over = self.known.len().saturating_sub(2 * limits::OPEN_JOBS);
        self.known.drain(..over);
    }

    /// Whether the agent is to be told now that a job shall stop: once, and again with each
    /// heartbeat's time until the job has ended.
    pub(super) fn recall_now(&mut self, job: JobId, now: Instant) -> bool {
        self.recalled.retain(|(_, at)| now - *at < limits::HEARTBEAT);
        let told = self.recalled.iter().any(|(id, _)| *id == job);
        if !told {
            self.recalled.push((job, now));
        }
        !told
    }
}

/// Everything that should go to a host now. The caller has made sure that the host may get orders,
/// and sends what is given: it is marked offered.
pub(super) async fn due(shared: &Shared, host: HostId, key: &OrderKey) -> Due {
    let mut due = Due::default();
    due.failed = fill(shared, host, key, &mut due).await.err();
    due
}

async fn fill(
    shared: &Shared,
    host: HostId,
    key: &OrderKey,
    due: &mut Due,
) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let waiting = shared.db.orders_for(host, now).await?;
    let frozen = if waiting.is_empty() { None } else { freeze_on(shared, host, now).await? };
    // Looked at again for each: a halt that comes meanwhile holds back the rest.
    for job in waiting {
        if shared.halt.is_halted() {
            break;
        }
        if let Some(freeze) = &frozen
            && changes(shared, job).await?
        {
            let why = format!("a freeze until {}: {}", freeze.span.until, freeze.name);
            if shared.db.note_held(job, &why).await? {
                tracing::info!(job.id = %job, host.id = %host, why, "order held back");
                shared.events.tell(Event::Job { id: job });
            }
            continue;
        }
        // The counter is drawn under the host's row, with the job's new state, before the order
        // leaves: no order is ever sent twice with one counter.
        let Some(order) = shared.db.offer(job, now).await? else { continue };
        if order.host != host {
            tracing::error!(job.id = %job, host.id = %host, "an order for another host was due");
            continue;
        }
        tracing::info!(job.id = %job, host.id = %host, counter = order.counter, "order sent");
        due.orders.push((job, key.seal(&order).into()));
        metrics::order_pushed();
        shared.events.tell(Event::Job { id: job });
    }
    due.recalled = shared.db.cancels_for(host).await?;
    Ok(())
}

/// The freeze that holds a host now; the longest where there are several. Its labels are read only where
/// some freeze holds.
async fn freeze_on(
    shared: &Shared,
    host: HostId,
    now: Timestamp,
) -> Result<Option<Freeze>, StoreError> {
    let holding = shared.halt.freezes_at(now);
    if holding.is_empty() {
        return Ok(None);
    }
    let labels = shared.db.host(host).await?.map(|host| host.labels).unwrap_or_default();
    Ok(freezes_for(&holding, &labels).into_iter().max_by_key(|freeze| freeze.span.until))
}

/// Whether a job changes anything on its host, as its agent judges it: a freeze holds no look.
async fn changes(shared: &Shared, job: JobId) -> Result<bool, StoreError> {
    let Some(detail) = shared.db.job(job).await? else { return Ok(true) };
    let job = detail.job;
    if job.terms.task != Task::Verify {
        return Ok(true);
    }
    let entry = shared.catalogue.remediations.get(&job.remediation);
    let entry = entry.filter(|entry| entry.version == job.version);
    Ok(entry.is_none_or(|entry| entry.verification.changes()))
}

/// Puts back the orders that are marked offered and of which the agent knows nothing.
pub(super) async fn again(
    shared: &Shared,
    host: HostId,
    known: &[JobId],
) -> Result<(), StoreError> {
    for id in shared.db.requeue_offered(host, known, shared.clock.now()).await? {
        shared.events.tell(Event::Job { id });
    }
    Ok(())
}
