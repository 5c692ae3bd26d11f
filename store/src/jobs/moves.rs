//! A job's way from state to state, and its incident's with it: the only place that moves either.

use fleetmend_core::ids::{HostId, IncidentId, JobId};
use fleetmend_core::incident::{IncidentEvent, IncidentState};
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::time::Timestamp;
use fleetmend_core::{limits, words};
use uuid::Uuid;

use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::row::At;
use crate::sql::statements;

statements! {
    LOAD = "SELECT host_id, incident_id, state, attempt FROM job WHERE id = $1";
    MOVE = "UPDATE job SET state = $2, detail = $3, proof = $4, begun_ms = COALESCE(begun_ms, $5), ended_ms = $6, \
        news_ms = $7, state_ms = $7 WHERE id = $1";
    MOVE_ATTEMPT = "UPDATE job_attempt SET state = $3, detail = $4, begun_ms = COALESCE(begun_ms, $5), ended_ms = $6 \
        WHERE job_id = $1 AND attempt = $2";
    INCIDENT = "SELECT state, last_seen_ms, recovered_ms FROM incident WHERE id = $1";
    MOVE_INCIDENT = "UPDATE incident SET state = $2, ended_ms = $3, triage_wanted = triage_wanted + 1 WHERE id = $1";
}

/// What must be known of a job to move it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moving {
    pub(crate) id: JobId,
    pub(crate) host: HostId,
    pub(crate) incident: IncidentId,
    pub(crate) state: JobState,
    pub(crate) attempt: u32,
}

/// One move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move<'a> {
    pub(crate) to: JobState,
    pub(crate) detail: &'a str,
    pub(crate) proof: Option<ProofLevel>,
    /// When it happened; the host's own time for what an agent says.
    pub(crate) at: Timestamp,
}

impl<'a> Move<'a> {
    /// A move that the server decides by itself.
    pub(crate) fn by_server(to: JobState, detail: &'a str, now: Timestamp) -> Self {
        Self { to, detail, proof: None, at: now }
    }
}

/// Reads a job.
pub(crate) async fn load(tx: &mut Tx, id: JobId) -> Result<Option<Moving>> {
    type Row = (Uuid, Uuid, String, i64);
    let row: Option<Row> = on_tx!(tx, |c| sqlx::query_as(LOAD).bind(id.0).fetch_optional(c).await)?;
    let Some((host, incident, state, attempt)) = row else { return Ok(None) };
    let at = At { table: "job", id: &id };
    Ok(Some(Moving {
        id,
        host: host.into(),
        incident: incident.into(),
        state: at.word("state", &state)?,
        attempt: at.number("attempt", attempt)?,
    }))
}

/// Moves a job, where its state allows it, and its incident with it. Says whether it did.
pub(crate) async fn make(
    tx: &mut Tx,
    job: &Moving,
    step: Move<'_>,
    now: Timestamp,
) -> Result<bool> {
    if !job.state.can_become(step.to) {
        return Ok(false);
    }
    let at = step.at.min(now);
    let begun = step.to.has_begun().then_some(at.as_millis());
    let ended = step.to.is_final().then_some(at.as_millis());
    let detail = words::cut(step.detail, limits::PROOF_BYTES);
    run!(
        &mut *tx,
        sqlx::query(MOVE)
            .bind(job.id.0)
            .bind(step.to.as_str())
            .bind(detail)
            .bind(step.proof.map_or("", ProofLevel::as_str))
            .bind(begun)
            .bind(ended)
            .bind(now.as_millis())
    )?;
    run!(
        &mut *tx,
        sqlx::query(MOVE_ATTEMPT)
            .bind(job.id.0)
            .bind(i64::from(job.attempt))
            .bind(step.to.as_str())
            .bind(detail)
            .bind(begun)
            .bind(ended)
    )?;
    if let Some(event) = event_of(step.to) {
        move_incident(tx, job.incident, event, at).await?;
    }
    Ok(true)
}

/// What a job's new state means for its incident.
const fn event_of(state: JobState) -> Option<IncidentEvent> {
    match state {
        JobState::Queued | JobState::WaitingWindow | JobState::Blocked | JobState::Offered => None,
        JobState::Running | JobState::RebootPending | JobState::Rebooting => {
            Some(IncidentEvent::JobStarted)
        }
        JobState::Verifying => Some(IncidentEvent::JobVerifying),
        JobState::Fixed => Some(IncidentEvent::JobFixed),
        JobState::Unverified
        | JobState::Failed
        | JobState::RolledBack
        | JobState::TimedOut
        | JobState::NotReached
        | JobState::Unknown
        | JobState::NotApplicable
        | JobState::Skipped
        | JobState::Cancelled => Some(IncidentEvent::JobEndedUnproved),
    }
}

async fn move_incident(
    tx: &mut Tx,
    id: IncidentId,
    event: IncidentEvent,
    at: Timestamp,
) -> Result<()> {
    type Row = (String, i64, Option<i64>);
    let row: Option<Row> =
        on_tx!(&mut *tx, |c| sqlx::query_as(INCIDENT).bind(id.0).fetch_optional(c).await)?;
    let Some((state, last_seen, recovered)) = row else { return Ok(()) };
    let before: IncidentState = At { table: "incident", id: &id }.word("state", &state)?;
    let mut after = before.after(event).unwrap_or(before);
    let mut ended = at.as_millis();
    // The host was seen healthy while the job was at work, and the job proved nothing: then the
    // health stands on its own.
    if event == IncidentEvent::JobEndedUnproved
        && let Some(recovered) = recovered.filter(|ms| *ms >= last_seen)
        && let Some(healthy) = after.after(IncidentEvent::Recovered)
    {
        after = healthy;
        ended = recovered;
    }
    if after == before {
        return Ok(());
    }
    let ended = has_ended(after).then_some(ended);
    run!(tx, sqlx::query(MOVE_INCIDENT).bind(id.0).bind(after.as_str()).bind(ended))?;
    Ok(())
}

/// Whether an incident in this state is over for good.
pub(crate) const fn has_ended(state: IncidentState) -> bool {
    match state {
        IncidentState::Fixed | IncidentState::Resolved | IncidentState::Superseded => true,
        IncidentState::Open
        | IncidentState::Remediating
        | IncidentState::Verifying
        | IncidentState::Recurred
        | IncidentState::Ignored => false,
    }
}
