//! The one writer: group commit.

use std::time::Instant;

use fleetmend_core::limits;
use fleetmend_store::{HostItems, Ingested};
use tokio::sync::mpsc;

use super::{Handed, IngestError};
use crate::entropy;
use crate::events::Event;
use crate::metrics;
use crate::state::Shared;

/// Takes what is handed in until every handle is gone.
pub(super) async fn run(shared: Shared, mut queue: mpsc::Receiver<Handed>) {
    while let Some(first) = queue.recv().await {
        let (items, replies) = collect(first, &mut queue).await;
        let started = Instant::now();
        let mut random = || entropy::bytes();
        match shared.db.ingest(&items, shared.clock.now(), &mut random).await {
            Ok(done) => {
                tell(&shared, &done, started);
                for (reply, outcome) in replies.into_iter().zip(done.outcomes) {
                    // A session that ended meanwhile learns its position at the next hello.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                metrics::commit_failed();
                tracing::error!(%error, messages = items.len(), "reports could not be stored");
                for reply in replies {
                    let _ = reply.send(Err(IngestError(error.to_string())));
                }
            }
        }
    }
}

type Reply = tokio::sync::oneshot::Sender<Result<fleetmend_store::IngestOutcome, IngestError>>;

/// What comes within a few milliseconds, up to a bound of rows.
async fn collect(
    first: Handed,
    queue: &mut mpsc::Receiver<Handed>,
) -> (Vec<HostItems>, Vec<Reply>) {
    let until = tokio::time::Instant::now() + limits::INGEST_WAIT;
    let mut rows = first.items.items.len();
    let (mut items, mut replies) = (vec![first.items], vec![first.reply]);
    // One more message must fit whole.
    while rows + limits::REPORTS_PER_MESSAGE <= limits::INGEST_ROWS {
        let Ok(Some(next)) = tokio::time::timeout_at(until, queue.recv()).await else { break };
        rows += next.items.items.len();
        items.push(next.items);
        replies.push(next.reply);
    }
    (items, replies)
}

fn tell(shared: &Shared, done: &Ingested, started: Instant) {
    let sum =
        |count: fn(&fleetmend_store::IngestOutcome) -> u64| done.outcomes.iter().map(count).sum();
    metrics::committed(
        started.elapsed(),
        sum(|o| o.applied),
        sum(|o| o.repeated),
        sum(|o| o.quarantined),
    );
    match done.incidents.as_slice() {
        [] => {}
        [one] => shared.events.tell(Event::Incident { id: Some(*one) }),
        _ => shared.events.tell(Event::Incident { id: None }),
    }
    done.jobs.iter().for_each(|id| shared.events.tell(Event::Job { id: *id }));
    done.logs.iter().for_each(|id| shared.events.tell(Event::JobLog { id: *id }));
    if done.triage {
        shared.nudges.triage.notify_one();
    }
    if !done.jobs.is_empty() {
        shared.nudges.deadlines.notify_one();
    }
}
