//! Orders on their way out. Level-triggered: looks at the database, sends what is due, marks it
//! offered; called at every connect and nudge. A stream that ends under an order leaves it *offered*,
//! and the next hello puts it back; so does [`again`] where the database failed in the middle.

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::limits;
use fleetmend_proto::v1;
use fleetmend_store::StoreError;
use tokio::time::Instant;

use crate::enroll::OrderKey;
use crate::events::Event;
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
    // Looked at again for each: a halt that comes meanwhile holds back the rest.
    for job in shared.db.orders_for(host, now).await? {
        if shared.halt.is_halted() {
            break;
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
