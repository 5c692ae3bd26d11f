//! How far each spool was taken.

use std::collections::BTreeMap;

use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::{HostId, SpoolEpoch};
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use crate::backend::{Db, Tx, on_read, on_tx, run};
use crate::error::Result;
use crate::row::{At, big, count};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    ONE = "SELECT sequence FROM spool_position WHERE host_id = $1 AND epoch = $2";
    /// A host keeps the positions of its latest spools only.
    PRUNE = "DELETE FROM spool_position WHERE host_id = $1 AND epoch NOT IN ( \
        SELECT p.epoch FROM spool_position p WHERE p.host_id = $1 ORDER BY p.updated_ms DESC, p.epoch LIMIT 16)";
}

const READ: ManyRows = ManyRows {
    head: "WITH k (host_id, epoch) AS (VALUES",
    columns: 2,
    tail: ") SELECT k.host_id, k.epoch, h.lifecycle, p.sequence FROM k JOIN host h ON h.id = k.host_id \
        LEFT JOIN spool_position p ON p.host_id = k.host_id AND p.epoch = k.epoch",
};
const WRITE: ManyRows = ManyRows {
    head: "INSERT INTO spool_position (host_id, epoch, sequence, updated_ms) VALUES",
    columns: 4,
    tail: " ON CONFLICT (host_id, epoch) DO UPDATE SET sequence = excluded.sequence, updated_ms = excluded.updated_ms",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[READ, WRITE];

/// Where a spool stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The last sequence taken; 0 before the first.
    pub(super) sequence: u64,
    /// Whether the host may report.
    pub(super) may_report: bool,
    /// Whether the spool was never heard of.
    pub(super) new: bool,
}

/// The positions of hosts that exist.
pub(super) type Positions = BTreeMap<(HostId, SpoolEpoch), Position>;

impl Db {
    /// The last sequence taken of a spool; 0 before the first.
    pub async fn spool_position(&self, host: HostId, epoch: SpoolEpoch) -> Result<u64> {
        let sequence: Option<i64> = on_read!(self, |c| sqlx::query_scalar(ONE)
            .bind(host.0)
            .bind(epoch.0)
            .fetch_optional(c)
            .await)?;
        Ok(sequence.map_or(0, count))
    }
}

/// Reads the positions inside the transaction that advances them.
pub(super) async fn read(
    tx: &mut Tx,
    spools: impl Iterator<Item = (HostId, SpoolEpoch)>,
) -> Result<Positions> {
    let mut wanted: Vec<_> = spools.collect();
    wanted.sort_unstable();
    wanted.dedup();
    // First the hosts, then what another writer may have moved until they were held.
    tx.hold_hosts(wanted.iter().map(|(host, _)| *host)).await?;
    let mut positions = Positions::new();
    for piece in chunks(&wanted) {
        type Row = (Uuid, Uuid, String, Option<i64>);
        let sql = READ.sql(tx, piece.len());
        let rows = on_tx!(&mut *tx, |c| {
            let mut query = sqlx::query_as::<_, Row>(sql);
            for (host, epoch) in piece {
                query = query.bind(host.0).bind(epoch.0);
            }
            query.fetch_all(c).await
        })?;
        for (host, epoch, lifecycle, sequence) in rows {
            let lifecycle: Lifecycle =
                At { table: "host", id: &host }.word("lifecycle", &lifecycle)?;
            let position = Position {
                sequence: sequence.map_or(0, count),
                may_report: lifecycle.may_connect(),
                new: sequence.is_none(),
            };
            positions.insert((host.into(), epoch.into()), position);
        }
    }
    Ok(positions)
}

/// Writes the positions that moved, in key order.
pub(super) async fn write(
    tx: &mut Tx,
    moved: &[((HostId, SpoolEpoch), Position)],
    now: Timestamp,
) -> Result<()> {
    for piece in chunks(moved) {
        let sql = WRITE.sql(tx, piece.len());
        run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for ((host, epoch), position) in piece {
                query = query
                    .bind(host.0)
                    .bind(epoch.0)
                    .bind(big(position.sequence))
                    .bind(now.as_millis());
            }
            query
        })?;
    }
    for ((host, _), _) in moved.iter().filter(|(_, position)| position.new) {
        run!(&mut *tx, sqlx::query(PRUNE).bind(host.0))?;
    }
    Ok(())
}
