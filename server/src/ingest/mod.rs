//! What agents report, on its way into the database: collected for a few milliseconds over all
//! hosts, committed in one transaction, and only then acknowledged.

mod writer;

use fleetmend_core::ids::{HostId, SpoolEpoch};
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_proto::{ConvertError, v1};
use fleetmend_store::{HostItems, IngestOutcome, ingest::Incoming};
use tokio::sync::{mpsc, oneshot};

use crate::lifecycle::Lifecycle;
use crate::state::Shared;

/// Where sessions hand in what they received. A full queue makes them wait, and so their agents.
#[derive(Debug, Clone)]
pub struct Ingest(mpsc::Sender<Handed>);

/// One message, and where its outcome goes.
#[derive(Debug)]
struct Handed {
    items: HostItems,
    reply: oneshot::Sender<Result<IngestOutcome, IngestError>>,
}

/// Nothing was stored, and nothing may be acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server cannot store reports now; they stay in the agent's spool: {0}")]
pub struct IngestError(String);

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
        life.spawn(writer::run(shared, receiver));
        Self(sender)
    }

    /// Hands items in and waits for their commit.
    pub async fn submit(&self, items: HostItems) -> Result<IngestOutcome, IngestError> {
        let (reply, outcome) = oneshot::channel();
        let gone = || IngestError("it stops".to_owned());
        self.0.send(Handed { items, reply }).await.map_err(|_| gone())?;
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
