//! The one writer: group commit. Where the database is away, everything that waits is given back at
//! once: nobody waits longer than the one transaction that found out.

use std::time::Instant;

use fleetmend_core::limits;
use fleetmend_faults::{Mistake, mistaken};
use fleetmend_store::{HostItems, IngestOutcome, Ingested, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::{Handed, IngestError};
use crate::entropy;
use crate::events::Event;
use crate::lifecycle::survive;
use crate::metrics::{self, DatabaseError};
use crate::state::Shared;

type Reply = oneshot::Sender<Result<IngestOutcome, IngestError>>;

/// Takes what is handed in until every handle is gone.
pub(super) async fn run(shared: Shared, mut queue: mpsc::Receiver<Handed>) {
    while let Some(first) = queue.recv().await {
        let (items, mut replies) = collect(first, &mut queue).await;
        if mistaken(Mistake::AckBeforeCommit) {
            acknowledge_too_early(&items, &mut replies).await;
        }
        let started = Instant::now();
        let mut random = || entropy::bytes();
        let storing = shared.db.ingest(&items, shared.clock.now(), &mut random);
        // A transaction that breaks off is undone; what came with it must not end all others.
        match survive(Box::pin(storing)).await {
            Err(why) => {
                metrics::commit_failed();
                metrics::database_error(DatabaseError::Other);
                tracing::error!(why, "reports could not be stored");
                for reply in replies {
                    let _ = reply.send(Err(IngestError::Failed("a defect: its log says more")));
                }
            }
            Ok(Ok(done)) => {
                shared.database.wrote();
                tell(&shared, &done, started);
                for (reply, outcome) in replies.into_iter().zip(done.outcomes) {
                    // A session that ended meanwhile learns its position at the next hello.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Ok(Err(error)) => {
                metrics::commit_failed();
                shared.database.write_failed("reports could not be stored", &error);
                give_back(items.into_iter().zip(replies), &error);
                if error.is_unavailable() {
                    let waiting = std::iter::from_fn(|| queue.try_recv().ok());
                    give_back(waiting.map(|handed| (handed.items, handed.reply)), &error);
                }
            }
        }
    }
}

fn give_back(all: impl Iterator<Item = (HostItems, Reply)>, error: &StoreError) {
    for (items, reply) in all {
        let _ = reply.send(Err(if error.is_unavailable() {
            IngestError::Away(items)
        } else {
            IngestError::Failed("its database failed")
        }));
    }
}

/// The mistake that the tests must catch: every message is said to be stored before it is, early
/// enough that the word gets out.
async fn acknowledge_too_early(items: &[HostItems], replies: &mut Vec<Reply>) {
    for (items, reply) in items.iter().zip(std::mem::take(replies)) {
        let _ = reply.send(Ok(IngestOutcome {
            host: items.host,
            epoch: items.epoch,
            acknowledged: items.items.last().map_or(0, |(sequence, _)| *sequence),
            applied: items.items.len() as u64,
            repeated: 0,
            quarantined: 0,
            refused: 0,
            foreign: false,
        }));
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

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
    let sum = |count: fn(&IngestOutcome) -> u64| done.outcomes.iter().map(count).sum();
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
    if !done.jobs.is_empty() {
        shared.nudges.campaigns.notify_one();
    }
    done.logs.iter().for_each(|id| shared.events.tell(Event::JobLog { id: *id }));
    if done.triage {
        shared.nudges.triage.notify_one();
    }
    if done.ended {
        shared.nudges.climb.notify_one();
    }
    if !done.jobs.is_empty() {
        shared.nudges.deadlines.notify_one();
    }
}
