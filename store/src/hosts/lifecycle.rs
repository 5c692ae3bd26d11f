//! A host's place in its life, its labels, and the events of its history.

use fleetmend_core::host::{Labels, Lifecycle};
use fleetmend_core::ids::HostId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::certificates::{HOST_LIFECYCLE, revoke_all};
use super::{Host, TimelineKind};
use crate::audit;
use crate::backend::{Db, Tx, on_tx};
use crate::error::{Result, StoreError};
use crate::row::{At, to_json};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    SET = "UPDATE host SET lifecycle = $2, lifecycle_reason = $3, lifecycle_ms = $4 WHERE id = $1";
    SET_LABELS = "UPDATE host SET labels = $2 WHERE id = $1";
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
        let mut tx = self.begin().await?;
        let from = lifecycle_of(&mut tx, host).await?;
        if !from.can_become(to) {
            return Err(StoreError::Conflict(format!("the host is {from} and cannot become {to}")));
        }
        change(&mut tx, host, to, reason, now).await?;
        if matches!(to, Lifecycle::Revoked | Lifecycle::Retired) {
            revoke_all(&mut tx, host, reason, now).await?;
        }
        let detail = json!({"from": from, "to": to, "reason": reason});
        let subject = format!("host {host}");
        audit::note(&mut tx, (by, now), "host.set_state", subject, detail).await?;
        tx.commit().await?;
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
        let mut tx = self.begin().await?;
        lifecycle_of(&mut tx, host).await?;
        on_tx!(&mut tx, |c| sqlx::query(SET_LABELS)
            .bind(host.0)
            .bind(to_json(labels)?)
            .execute(c)
            .await)?;
        write_labels(&mut tx, host, labels).await?;
        let text: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        note_event(&mut tx, host, now, TimelineKind::Labels, &text.join(" ")).await?;
        let subject = format!("host {host}");
        audit::note(&mut tx, (by, now), "host.set_labels", subject, json!(labels)).await?;
        tx.commit().await
    }

    /// Notes when hosts were last heard of, many at once. Names those that were *stale* and are
    /// *active* again.
    pub async fn touch_hosts(&self, seen: &[(HostId, Timestamp)]) -> Result<Vec<HostId>> {
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let mut back = Vec::new();
        for piece in chunks(seen) {
            let mut query = sqlx::query(TOUCH.sql(&tx, piece.len()));
            for (host, at) in piece {
                query = query.bind(host.0).bind(at.as_millis());
            }
            on_tx!(&mut tx, |c| query.execute(c).await)?;
            let mut query = sqlx::query_scalar::<_, Uuid>(BACK.sql(&tx, piece.len()));
            for (host, _) in piece {
                query = query.bind(host.0);
            }
            let stale = on_tx!(&mut tx, |c| query.fetch_all(c).await)?;
            back.extend(stale.into_iter().map(HostId::from));
        }
        for host in &back {
            let at = seen.iter().filter(|(h, _)| h == host).map(|(_, at)| *at).max();
            let reason = "it reports again";
            change(&mut tx, *host, Lifecycle::Active, reason, at.unwrap_or_default()).await?;
        }
        tx.commit().await?;
        Ok(back)
    }

    /// Marks *active* hosts that were last heard of before `silent_since` as *stale*.
    pub async fn mark_stale(
        &self,
        silent_since: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<HostId>> {
        let mut tx = self.begin().await?;
        let silent: Vec<Uuid> = on_tx!(&mut tx, |c| sqlx::query_scalar(SILENT)
            .bind(silent_since.as_millis())
            .bind(i64::from(limit))
            .fetch_all(c)
            .await)?;
        let silent: Vec<HostId> = silent.into_iter().map(HostId::from).collect();
        for host in &silent {
            change(&mut tx, *host, Lifecycle::Stale, "it stopped reporting", now).await?;
        }
        tx.commit().await?;
        Ok(silent)
    }
}

/// Adds an event to a host's history.
pub(crate) async fn note_event(
    tx: &mut Tx,
    host: HostId,
    at: Timestamp,
    kind: TimelineKind,
    text: &str,
) -> Result<()> {
    on_tx!(tx, |c| sqlx::query(NOTE)
        .bind(host.0)
        .bind(at.as_millis())
        .bind(kind.as_str())
        .bind(text)
        .execute(c)
        .await)?;
    Ok(())
}

/// Where a host stands now.
pub(crate) async fn lifecycle_of(tx: &mut Tx, host: HostId) -> Result<Lifecycle> {
    let text: Option<String> =
        on_tx!(tx, |c| sqlx::query_scalar(HOST_LIFECYCLE).bind(host.0).fetch_optional(c).await)?;
    let text = text.ok_or_else(|| StoreError::not_found("host", host))?;
    At { table: "host", id: &host }.word("lifecycle", &text)
}

/// Replaces the rows that filters look at.
pub(super) async fn write_labels(tx: &mut Tx, host: HostId, labels: &Labels) -> Result<()> {
    on_tx!(tx, |c| sqlx::query(DROP_LABELS).bind(host.0).execute(c).await)?;
    for (key, value) in labels {
        on_tx!(tx, |c| sqlx::query(ADD_LABEL).bind(host.0).bind(key).bind(value).execute(c).await)?;
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
    on_tx!(tx, |c| sqlx::query(SET)
        .bind(host.0)
        .bind(to.as_str())
        .bind(reason)
        .bind(now.as_millis())
        .execute(c)
        .await)?;
    note_event(tx, host, now, TimelineKind::Lifecycle, &format!("{to}: {reason}")).await
}
