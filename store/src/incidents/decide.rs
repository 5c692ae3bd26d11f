//! What people decide on incidents: to ignore them, and to look again.

use fleetmend_core::ids::IncidentId;
use fleetmend_core::incident::{IncidentEvent, IncidentState};
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::audit;
use crate::backend::{Db, Tx, on_tx};
use crate::error::{Result, StoreError};
use crate::row::At;
use crate::sql::statements;

statements! {
    STATE = "SELECT state FROM incident WHERE id = $1";
    IGNORE = "UPDATE incident SET state = 'ignored', ignored_reason = $2, ignored_owner = $3, ignored_until_ms = $4 \
        WHERE id = $1";
    REOPEN = "UPDATE incident SET state = 'open', ignored_reason = '', ignored_owner = '', ignored_until_ms = NULL, \
        triage_wanted = triage_wanted + 1 WHERE id = $1";
    ENDED_IGNORING = "SELECT id FROM incident WHERE state = 'ignored' AND ignored_until_ms <= $1 \
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
        let mut tx = self.begin().await?;
        let state = state_of(&mut tx, id).await?;
        let job: Option<Uuid> =
            on_tx!(&mut tx, |c| sqlx::query_scalar(ACTIVE_JOB).bind(id.0).fetch_optional(c).await)?;
        if let Some(job) = job {
            return Err(StoreError::JobActive { job: job.into() });
        }
        if state.after(IncidentEvent::Ignored).is_none() {
            return Err(StoreError::Conflict(format!(
                "the incident is {state} and cannot be ignored"
            )));
        }
        on_tx!(&mut tx, |c| sqlx::query(IGNORE)
            .bind(id.0)
            .bind(reason)
            .bind(owner)
            .bind(until.as_millis())
            .execute(c)
            .await)?;
        let detail = json!({"reason": reason, "owner": owner, "until": until});
        let subject = format!("incident {id}");
        audit::note(&mut tx, (by, now), "incident.ignore", subject, detail).await?;
        tx.commit().await
    }

    /// Opens an ignored incident again.
    pub async fn reopen_incident(&self, id: IncidentId, by: &str, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        let state = state_of(&mut tx, id).await?;
        if state.after(IncidentEvent::Reopened).is_none() {
            return Err(StoreError::Conflict(format!(
                "the incident is {state}: only an ignored one can be reopened"
            )));
        }
        reopen(&mut tx, id, by, now, "asked for").await?;
        tx.commit().await
    }

    /// Opens the incidents again whose ignoring is over.
    pub async fn end_ignoring(&self, now: Timestamp, limit: u32) -> Result<Vec<IncidentId>> {
        let mut tx = self.begin().await?;
        let over: Vec<Uuid> = on_tx!(&mut tx, |c| sqlx::query_scalar(ENDED_IGNORING)
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .fetch_all(c)
            .await)?;
        let over: Vec<IncidentId> = over.into_iter().map(IncidentId::from).collect();
        for id in &over {
            reopen(&mut tx, *id, "server", now, "its time is over").await?;
        }
        tx.commit().await?;
        Ok(over)
    }
}

async fn reopen(tx: &mut Tx, id: IncidentId, by: &str, now: Timestamp, why: &str) -> Result<()> {
    on_tx!(tx, |c| sqlx::query(REOPEN).bind(id.0).execute(c).await)?;
    let subject = format!("incident {id}");
    audit::note(tx, (by, now), "incident.reopen", subject, json!({"why": why})).await
}

/// Where an incident stands now.
pub(crate) async fn state_of(tx: &mut Tx, id: IncidentId) -> Result<IncidentState> {
    let state: Option<String> =
        on_tx!(tx, |c| sqlx::query_scalar(STATE).bind(id.0).fetch_optional(c).await)?;
    let state = state.ok_or_else(|| StoreError::not_found("incident", id))?;
    At { table: "incident", id: &id }.word("state", &state)
}
