//! A host's place in its life, its labels, and the events of its history.

use std::collections::BTreeMap;

use fleetmend_core::host::{Labels, Lifecycle};
use fleetmend_core::ids::HostId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::certificates::{HOST_LIFECYCLE, revoke_all};
use super::{Host, TimelineKind};
use crate::audit;
use crate::backend::{Db, Tx, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::{At, to_json};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    SET = "UPDATE host SET lifecycle = $2, lifecycle_reason = $3, lifecycle_ms = $4, watch_ms = 0 WHERE id = $1";
    SET_LABELS = "UPDATE host SET labels = $2, watch_ms = 0 WHERE id = $1";
    DROP_LABELS = "DELETE FROM host_label WHERE host_id = $1";
    ADD_LABEL = "INSERT INTO host_label (host_id, key, value) VALUES ($1, $2, $3)";
    NOTE = "INSERT INTO host_event (host_id, number, at_ms, kind, text) \
        SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4 FROM host_event WHERE host_id = $1";
    SILENT = "SELECT id FROM host WHERE lifecycle = 'active' AND last_seen_ms < $1 \
        ORDER BY last_seen_ms, id LIMIT $2";
}

const TOUCH: ManyRows = ManyRows {
    head: "WITH t (id, at) AS (VALUES",
    columns: 2,
    tail: ") UPDATE host SET last_seen_ms = t.at FROM t WHERE host.id = t.id AND host.last_seen_ms < t.at",
};
const BACK: ManyRows = ManyRows {
    head: "WITH t (id) AS (VALUES",
    columns: 1,
    tail: ") SELECT host.id FROM t JOIN host ON host.id = t.id WHERE host.lifecycle = 'stale'",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[TOUCH, BACK];

impl Db {
    /// Moves a host in its life, by somebody's decision. Revoking and retiring void its
    /// certificates in the same transaction.
    pub async fn set_lifecycle(
        &self,
        host: HostId,
        to: Lifecycle,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Host> {
        transaction!(self, |tx| {
            let from = lifecycle_of(tx, host).await?;
            if !from.can_become(to) {
                return Err(StoreError::Conflict(format!(
                    "the host is {from} and cannot become {to}"
                )));
            }
            change(tx, host, to, reason, now).await?;
            if matches!(to, Lifecycle::Revoked | Lifecycle::Retired) {
                revoke_all(tx, host, reason, now).await?;
            }
            let detail = json!({"from": from, "to": to, "reason": reason});
            let subject = format!("host {host}");
            audit::note(tx, (by, now), "host.set_state", subject, detail).await
        })?;
        self.host(host).await?.ok_or_else(|| StoreError::not_found("host", host))
    }

    /// Replaces a host's labels.
    pub async fn set_labels(
        &self,
        host: HostId,
        labels: &Labels,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        let fits = labels.len() <= limits::LABELS_PER_HOST
            && labels.iter().all(|(key, value)| {
                !key.is_empty() && key.len().max(value.len()) <= limits::LABEL_BYTES
            });
        if !fits {
            return Err(StoreError::Conflict(format!(
                "labels: at most {}, each key and value at most {} bytes, no empty key",
                limits::LABELS_PER_HOST,
                limits::LABEL_BYTES
            )));
        }
        transaction!(self, |tx| {
            lifecycle_of(tx, host).await?;
            run!(tx, sqlx::query(SET_LABELS).bind(host.0).bind(to_json(labels)?))?;
            write_labels(tx, host, labels).await?;
            let text: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            note_event(tx, host, now, TimelineKind::Labels, &text.join(" ")).await?;
            let subject = format!("host {host}");
            audit::note(tx, (by, now), "host.set_labels", subject, json!(labels)).await?;
            Ok(())
        })
    }

    /// Notes when hosts were last heard of, many at once. Names those that were *stale* and are
    /// *active* again.
    pub async fn touch_hosts(&self, seen: &[(HostId, Timestamp)]) -> Result<Vec<HostId>> {
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        // One statement must not meet a host twice.
        let mut latest: BTreeMap<HostId, Timestamp> = BTreeMap::new();
        for (host, at) in seen {
            let kept = latest.entry(*host).or_insert(*at);
            *kept = (*kept).max(*at);
        }
        let seen: Vec<(HostId, Timestamp)> = latest.iter().map(|(host, at)| (*host, *at)).collect();
        transaction!(self, |tx| {
            tx.hold_hosts(latest.keys().copied()).await?;
            let mut back = Vec::new();
            for piece in chunks(&seen) {
                let sql = TOUCH.sql(tx, piece.len());
                run!(tx, {
                    let mut query = sqlx::query(sql);
                    for (host, at) in piece {
                        query = query.bind(host.0).bind(at.as_millis());
                    }
                    query
                })?;
                let sql = BACK.sql(tx, piece.len());
                let stale = on_tx!(&mut *tx, |c| {
                    let mut query = sqlx::query_scalar::<_, Uuid>(sql);
                    for (host, _) in piece {
                        query = query.bind(host.0);
                    }
                    query.fetch_all(c).await
                })?;
                back.extend(stale.into_iter().map(HostId::from));
            }
            for host in &back {
                let at = latest.get(host).copied().unwrap_or_default();
                change(tx, *host, Lifecycle::Active, "it reports again", at).await?;
            }
            Ok(back)
        })
    }

    /// Marks *active* hosts that were last heard of before `silent_since` as *stale*.
    pub async fn mark_stale(
        &self,
        silent_since: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<HostId>> {
        transaction!(self, |tx| {
            let silent = silent_hosts(tx, silent_since, limit).await?;
            tx.hold_hosts(silent.iter().copied()).await?;
            // Those that spoke until they were held are not meant.
            let still = silent_hosts(tx, silent_since, limit).await?;
            let silent: Vec<HostId> = silent.into_iter().filter(|h| still.contains(h)).collect();
            for host in &silent {
                change(tx, *host, Lifecycle::Stale, "it stopped reporting", now).await?;
            }
            Ok(silent)
        })
    }
}

async fn silent_hosts(tx: &mut Tx, since: Timestamp, limit: u32) -> Result<Vec<HostId>> {
    let silent: Vec<Uuid> = on_tx!(tx, |c| sqlx::query_scalar(SILENT)
        .bind(since.as_millis())
        .bind(i64::from(limit))
        .fetch_all(c)
        .await)?;
    Ok(silent.into_iter().map(HostId::from).collect())
}

/// Adds an event to a host's history. The caller holds the host, else two would draw one number.
pub(crate) async fn note_event(
    tx: &mut Tx,
    host: HostId,
    at: Timestamp,
    kind: TimelineKind,
    text: &str,
) -> Result<()> {
    run!(tx, sqlx::query(NOTE).bind(host.0).bind(at.as_millis()).bind(kind.as_str()).bind(text))?;
    Ok(())
}

/// Where a host stands, and holds it there.
pub(crate) async fn lifecycle_of(tx: &mut Tx, host: HostId) -> Result<Lifecycle> {
    tx.hold_hosts([host]).await?;
    let text: Option<String> =
        on_tx!(tx, |c| sqlx::query_scalar(HOST_LIFECYCLE).bind(host.0).fetch_optional(c).await)?;
    let text = text.ok_or_else(|| StoreError::not_found("host", host))?;
    At { table: "host", id: &host }.word("lifecycle", &text)
}

/// Replaces the rows that filters look at.
pub(super) async fn write_labels(tx: &mut Tx, host: HostId, labels: &Labels) -> Result<()> {
    run!(tx, sqlx::query(DROP_LABELS).bind(host.0))?;
    for (key, value) in labels {
        run!(tx, sqlx::query(ADD_LABEL).bind(host.0).bind(key).bind(value))?;
    }
    Ok(())
}

async fn change(
    tx: &mut Tx,
    host: HostId,
    to: Lifecycle,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    run!(tx, sqlx::query(SET).bind(host.0).bind(to.as_str()).bind(reason).bind(now.as_millis()))?;
    note_event(tx, host, now, TimelineKind::Lifecycle, &format!("{to}: {reason}")).await
}
