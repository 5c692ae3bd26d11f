//! What people decide on incidents: to ignore them, and to look again.

use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::{IncidentEvent, IncidentState};
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::audit;
use crate::backend::{Db, Tx, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::At;
use crate::sql::statements;

statements! {
    STATE = "SELECT state FROM incident WHERE id = $1";
    IGNORE = "UPDATE incident SET state = 'ignored', ignored_reason = $2, ignored_owner = $3, ignored_until_ms = $4 \
        WHERE id = $1";
    REOPEN = "UPDATE incident SET state = 'open', ignored_reason = '', ignored_owner = '', ignored_until_ms = NULL, \
        triage_wanted = triage_wanted + 1 WHERE id = $1";
    ENDED_IGNORING = "SELECT id, host_id FROM incident WHERE state = 'ignored' AND ignored_until_ms <= $1 \
        ORDER BY ignored_until_ms, id LIMIT $2";
    ACTIVE_JOB = "SELECT id FROM job WHERE incident_id = $1 AND ended_ms IS NULL";
}

impl Db {
    /// Ignores an open incident until a moment. Refused while a job is at work on it.
    pub async fn ignore_incident(
        &self,
        id: IncidentId,
        reason: &str,
        owner: &str,
        until: Timestamp,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        if reason.trim().is_empty() || owner.trim().is_empty() || until <= now {
            return Err(StoreError::Conflict(
                "ignoring needs a reason, an owner, and an expiry that lies ahead".to_owned(),
            ));
        }
        transaction!(self, |tx| {
            tx.hold_host_of_incident(id).await?;
            let state = state_of(tx, id).await?;
            let job: Option<Uuid> =
                on_tx!(tx, |c| sqlx::query_scalar(ACTIVE_JOB).bind(id.0).fetch_optional(c).await)?;
            if let Some(job) = job {
                return Err(StoreError::JobActive { job: job.into() });
            }
            if state.after(IncidentEvent::Ignored).is_none() {
                return Err(StoreError::Conflict(format!(
                    "the incident is {state} and cannot be ignored"
                )));
            }
            run!(
                tx,
                sqlx::query(IGNORE).bind(id.0).bind(reason).bind(owner).bind(until.as_millis())
            )?;
            let detail = json!({"reason": reason, "owner": owner, "until": until});
            let subject = format!("incident {id}");
            audit::note(tx, (by, now), "incident.ignore", subject, detail).await?;
            Ok(())
        })
    }

    /// Opens an ignored incident again.
    pub async fn reopen_incident(&self, id: IncidentId, by: &str, now: Timestamp) -> Result<()> {
        transaction!(self, |tx| {
            tx.hold_host_of_incident(id).await?;
            let state = state_of(tx, id).await?;
            if state.after(IncidentEvent::Reopened).is_none() {
                return Err(StoreError::Conflict(format!(
                    "the incident is {state}: only an ignored one can be reopened"
                )));
            }
            reopen(tx, id, by, now, "asked for").await?;
            Ok(())
        })
    }

    /// Opens the incidents again whose ignoring is over.
    pub async fn end_ignoring(&self, now: Timestamp, limit: u32) -> Result<Vec<IncidentId>> {
        transaction!(self, |tx| {
            let over = ended_ignoring(tx, now, limit).await?;
            tx.hold_hosts(over.iter().map(|(_, host)| HostId::from(*host))).await?;
            // Those that somebody decided on until their hosts were held are not meant.
            let still = ended_ignoring(tx, now, limit).await?;
            let over = over.into_iter().filter(|one| still.contains(one));
            let over: Vec<IncidentId> = over.map(|(id, _)| IncidentId::from(id)).collect();
            for id in &over {
                reopen(tx, *id, "server", now, "its time is over").await?;
            }
            Ok(over)
        })
    }
}

async fn ended_ignoring(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<(Uuid, Uuid)>> {
    Ok(on_tx!(tx, |c| sqlx::query_as(ENDED_IGNORING)
        .bind(now.as_millis())
        .bind(i64::from(limit))
        .fetch_all(c)
        .await)?)
}

async fn reopen(tx: &mut Tx, id: IncidentId, by: &str, now: Timestamp, why: &str) -> Result<()> {
    run!(tx, sqlx::query(REOPEN).bind(id.0))?;
    let subject = format!("incident {id}");
    audit::note(tx, (by, now), "incident.reopen", subject, json!({"why": why})).await
}

/// Where an incident stands. The caller holds its host.
pub(crate) async fn state_of(tx: &mut Tx, id: IncidentId) -> Result<IncidentState> {
    let state: Option<String> =
        on_tx!(tx, |c| sqlx::query_scalar(STATE).bind(id.0).fetch_optional(c).await)?;
    let state = state.ok_or_else(|| StoreError::not_found("incident", id))?;
    At { table: "incident", id: &id }.word("state", &state)
}
