//! What agents report, on its way into the database: collected for a few milliseconds over all
//! hosts, committed in one transaction, and only then acknowledged.

mod writer;

use std::sync::Arc;

use fleetmend_core::ids::{HostId, SpoolEpoch};
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_proto::{ConvertError, v1};
use fleetmend_store::{HostItems, IngestOutcome, ingest::Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::lifecycle::Lifecycle;
use crate::state::Shared;

/// Where sessions hand in what they received. A full queue makes them wait, and so their agents.
#[derive(Debug, Clone)]
pub struct Ingest {
    queue: mpsc::Sender<Handed>,
    /// Room for what sessions hold while the database is away, in KiB.
    held: Arc<Semaphore>,
}

/// Room for what a session holds; given back when dropped.
pub type Held = OwnedSemaphorePermit;

/// One message, and where its outcome goes.
#[derive(Debug)]
struct Handed {
    items: HostItems,
    reply: oneshot::Sender<Result<IngestOutcome, IngestError>>,
}

/// Nothing was stored, and nothing may be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The database is away: what was handed in comes back, to be handed in again later.
    #[error("the server's database is away; what it did not take stays in the agent's spool")]
    Away(HostItems),
    /// The server stops, or its database failed in a way that waiting does not mend.
    #[error("the server cannot store reports now; they stay in the agent's spool: {0}")]
    Failed(&'static str),
}

/// A message of reports as the wire brought it, its items converted one by one.
#[derive(Debug)]
pub struct Received {
    /// The items, good and bad.
    pub items: HostItems,
    /// The bad ones, by sequence, with the field's name.
    pub refused: Vec<(u64, String)>,
}

impl Ingest {
    /// Starts the writer. It ends when every handle is gone and everything handed in is stored.
    pub fn start(shared: Shared, life: &Lifecycle) -> Self {
        let (sender, receiver) = mpsc::channel(limits::INGEST_QUEUE);
        life.spawn_part("ingest", writer::run(shared, receiver));
        Self { queue: sender, held: Arc::new(Semaphore::new(limits::HELD_BYTES / 1024)) }
    }

    /// Takes room for a message of `bytes` that the database did not take, until it does; says
    /// whether there was.
    pub fn hold(&self, bytes: usize, room: &mut Option<Held>) -> bool {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        *room = self.held.clone().try_acquire_many_owned(kib).ok();
        room.is_some()
    }

    /// Hands items in and waits for their commit.
    pub async fn submit(&self, items: HostItems) -> Result<IngestOutcome, IngestError> {
        let (reply, outcome) = oneshot::channel();
        let gone = || IngestError::Failed("it stops");
        self.queue.send(Handed { items, reply }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

/// Reads a message of reports. What holds for the whole message is an error; a bad item is set
/// aside by name and does not fail its neighbours.
pub fn read(host: HostId, wire: v1::Reports) -> Result<Received, ConvertError> {
    fleetmend_proto::check_reports(&wire)?;
    let epoch = uuid::Uuid::from_slice(&wire.epoch).map(SpoolEpoch).map_err(|_| ConvertError {
        field: "epoch".to_owned(),
        problem: format!("{} bytes; an id has 16", wire.epoch.len()),
    })?;
    let mut refused = Vec::new();
    let mut items = Vec::with_capacity(wire.items.len());
    for (sequence, item) in (wire.first_sequence..).zip(wire.items) {
        items.push((
            sequence,
            match SpoolItem::try_from(item) {
                Ok(item) => Incoming::Item(item),
                Err(error) => {
                    let reason = error.to_string();
                    refused.push((sequence, reason.clone()));
                    Incoming::Unreadable { reason }
                }
            },
        ));
    }
    Ok(Received { items: HostItems { host, epoch, items }, refused })
}
