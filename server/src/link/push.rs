//! Orders on their way out. Level-triggered: looks at the database, sends what is due, marks it
//! offered; called at every connect, nudge and heartbeat. A stream that ends under an order leaves
//! it *offered*, and the next hello puts it back.

use fleetmend_core::ids::HostId;
use fleetmend_proto::v1;
use fleetmend_store::StoreError;

use crate::enroll::OrderKey;
use crate::events::Event;
use crate::metrics;
use crate::state::Shared;

/// Everything that should go to a host now: orders signed with the session's key, then wishes to
/// cancel. The caller has made sure that the host may get orders.
pub(super) async fn due(
    shared: &Shared,
    host: HostId,
    key: &OrderKey,
) -> Result<Vec<v1::server_message::Body>, StoreError> {
    let mut messages = Vec::new();
    let now = shared.clock.now();
    for job in shared.db.orders_for(host, now).await? {
        // The counter is drawn under the host's row, with the job's new state, before the order
        // leaves: no order is ever sent twice with one counter.
        let Some(order) = shared.db.offer(job, now).await? else { continue };
        if order.host != host {
            tracing::error!(job.id = %job, host.id = %host, "an order for another host was due");
            continue;
        }
        tracing::info!(job.id = %job, host.id = %host, counter = order.counter, "order sent");
        messages.push(v1::server_message::Body::Order(key.seal(&order).into()));
        metrics::order_pushed();
        shared.events.tell(Event::Job { id: job });
    }
    for job in shared.db.cancels_for(host).await? {
        messages.push(v1::server_message::Body::CancelJob(v1::CancelJob {
            job: job.0.as_bytes().to_vec(),
            reason: "cancelled by an admin".to_owned(),
        }));
    }
    Ok(messages)
}
