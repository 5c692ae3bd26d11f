//! A job's way from state to state, and its incident's with it: the only place that moves either.

use fleetmend_core::ids::{HostId, IncidentId, JobId};
use fleetmend_core::incident::{IncidentEvent, IncidentState};
use fleetmend_core::job::{JobState, ProofLevel, TaskKind};
use fleetmend_core::time::Timestamp;
use fleetmend_core::{climb, limits, words};
use uuid::Uuid;

use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::row::{At, time};
use crate::sql::statements;

statements! {
    /// A try that came to its end, under a job that did not: another is chosen.
    LOAD = "SELECT j.host_id, j.incident_id, j.state, j.attempt, j.task, j.climbs, j.cancel_requested, j.expires_ms, j.offered_ms, \
        (SELECT COUNT(*) FROM job_attempt a WHERE a.job_id = j.id AND a.attempt = j.attempt AND a.ended_ms IS NOT NULL \
            AND j.ended_ms IS NULL) AS ended FROM job j WHERE j.id = $1";
    MOVE = "UPDATE job SET state = $2, detail = $3, proof = $4, begun_ms = COALESCE(begun_ms, $5), ended_ms = $6, \
        news_ms = $7, state_ms = $7, plan_wanted = $8, place_wanted = FALSE WHERE id = $1";
    MOVE_ATTEMPT = "UPDATE job_attempt SET state = $3, detail = $4, begun_ms = COALESCE(begun_ms, $5), ended_ms = $6, \
        proof = $7 WHERE job_id = $1 AND attempt = $2";
    INCIDENT = "SELECT state, last_seen_ms, recovered_ms FROM incident WHERE id = $1";
    MOVE_INCIDENT = "UPDATE incident SET state = $2, ended_ms = $3, triage_wanted = triage_wanted + 1 WHERE id = $1";
    /// The last try in which anything may have been changed, before this one.
    LAST_BEGUN = "SELECT attempt, state, detail FROM job_attempt WHERE job_id = $1 AND ended_ms IS NOT NULL \
        AND state IN ('failed', 'rolled_back') ORDER BY attempt DESC LIMIT 1";
    /// Another job at work on the host.
    BESIDE = "SELECT COUNT(*) FROM job WHERE host_id = $1 AND id <> $2 AND ended_ms IS NULL AND state <> 'verifying'";
}

/// What must be known of a job to move it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moving {
    pub(crate) id: JobId,
    pub(crate) host: HostId,
    pub(crate) incident: IncidentId,
    pub(crate) state: JobState,
    pub(crate) attempt: u32,
    pub(crate) task: TaskKind,
    /// Its last try is over, and it waits for another.
    pub(crate) between: bool,
    /// Whether a try that does not cure may be followed by another.
    climbs: bool,
    cancel_requested: bool,
    expires: Timestamp,
    /// When its order was last sent.
    offered: Option<Timestamp>,
}

impl Moving {
    /// When something happened that its host tells of, whatever the host's clock says: not before its
    /// order was sent, and not later than now.
    fn moment(&self, told: Timestamp, now: Timestamp) -> Timestamp {
        told.max(self.offered.unwrap_or(told)).min(now)
    }
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
    type Row = (Uuid, Uuid, String, i64, String, bool, bool, i64, Option<i64>, i64);
    let row: Option<Row> = on_tx!(tx, |c| sqlx::query_as(LOAD).bind(id.0).fetch_optional(c).await)?;
    let Some((host, incident, state, attempt, task, climbs, cancelled, expires, offered, ended)) =
        row
    else {
        return Ok(None);
    };
    let at = At { table: "job", id: &id };
    Ok(Some(Moving {
        id,
        host: host.into(),
        incident: incident.into(),
        state: at.word("state", &state)?,
        attempt: at.number("attempt", attempt)?,
        task: at.word("task", &task)?,
        between: ended > 0,
        climbs,
        cancel_requested: cancelled,
        expires: time(expires),
        offered: offered.map(time),
    }))
}

/// Moves a job, where its state allows it, and its incident with it. Says whether it did.
///
/// A job that ends before its present try began, after others that did not cure, ends as the last of
/// those did: what they changed is not denied.
pub(crate) async fn make(
    tx: &mut Tx,
    job: &Moving,
    step: Move<'_>,
    now: Timestamp,
) -> Result<bool> {
    if !job.state.can_become(step.to) {
        return Ok(false);
    }
    let at = job.moment(step.at, now);
    if !job.between {
        move_attempt(tx, job, &step, at).await?;
    }
    let mut to = step.to;
    let mut detail = step.detail.to_owned();
    if to.is_final()
        && !to.has_begun()
        && (job.between || job.attempt > 1)
        && let Some((attempt, state, said)) = last_begun(tx, job.id).await?
    {
        to = state;
        detail = format!("{detail}; try {attempt} ended {state}: {said}");
    }
    move_job(tx, job, Move { to, detail: &detail, ..step }, (at, now), false).await?;
    if let Some(event) = event_of(job.task, to) {
        move_incident(tx, job.incident, event, at).await?;
    }
    Ok(true)
}

/// Takes an agent's word that the present try is over: where the job may go on it waits for the next
/// remediation to be chosen, else it ends. Says whether it moved.
pub(crate) async fn end_try(
    tx: &mut Tx,
    job: &Moving,
    step: Move<'_>,
    now: Timestamp,
) -> Result<bool> {
    let goes_on = job.climbs
        && job.task == TaskKind::Remediate
        && climb::may_go_on(step.to)
        && job.state.can_become(step.to)
        && !job.state.is_final()
        && !job.between
        && !job.cancel_requested
        && job.attempt < limits::TRIES
        && now < job.expires;
    if !goes_on {
        return make(tx, job, step, now).await;
    }
    // While its proof was awaited, another job may have come to work on the host.
    if job.state == JobState::Verifying {
        let beside: i64 = on_tx!(&mut *tx, |c| sqlx::query_scalar(BESIDE)
            .bind(job.host.0)
            .bind(job.id.0)
            .fetch_one(c)
            .await)?;
        if beside > 0 {
            return make(tx, job, step, now).await;
        }
    }
    let at = job.moment(step.at, now);
    // The host may have been seen healthy meanwhile: then nothing is left to do.
    let incident = move_incident(tx, job.incident, IncidentEvent::JobEndedUnproved, at).await?;
    if !incident.is_some_and(IncidentState::is_open) {
        return make(tx, job, step, now).await;
    }
    move_attempt(tx, job, &step, at).await?;
    let detail = format!(
        "try {} ended {}: {}; the next remediation is being chosen",
        job.attempt, step.to, step.detail
    );
    let waits = Move { to: JobState::Queued, detail: &detail, proof: None, at };
    move_job(tx, job, waits, (at, now), true).await?;
    Ok(true)
}

async fn move_job(
    tx: &mut Tx,
    job: &Moving,
    step: Move<'_>,
    (at, now): (Timestamp, Timestamp),
    plan_wanted: bool,
) -> Result<()> {
    run!(
        &mut *tx,
        sqlx::query(MOVE)
            .bind(job.id.0)
            .bind(step.to.as_str())
            .bind(words::cut(step.detail, limits::PROOF_BYTES))
            .bind(step.proof.map_or("", ProofLevel::as_str))
            .bind(step.to.has_begun().then_some(at.as_millis()))
            .bind(step.to.is_final().then_some(at.as_millis()))
            .bind(now.as_millis())
            .bind(plan_wanted)
    )?;
    Ok(())
}

async fn move_attempt(tx: &mut Tx, job: &Moving, step: &Move<'_>, at: Timestamp) -> Result<()> {
    run!(
        &mut *tx,
        sqlx::query(MOVE_ATTEMPT)
            .bind(job.id.0)
            .bind(i64::from(job.attempt))
            .bind(step.to.as_str())
            .bind(words::cut(step.detail, limits::PROOF_BYTES))
            .bind(step.to.has_begun().then_some(at.as_millis()))
            .bind(step.to.is_final().then_some(at.as_millis()))
            .bind(step.proof.map_or("", ProofLevel::as_str))
    )?;
    Ok(())
}

/// The last try that did not cure, and what was said of it.
async fn last_begun(tx: &mut Tx, id: JobId) -> Result<Option<(u32, JobState, String)>> {
    let row: Option<(i64, String, String)> =
        on_tx!(tx, |c| sqlx::query_as(LAST_BEGUN).bind(id.0).fetch_optional(c).await)?;
    let at = At { table: "job_attempt", id: &id };
    row.map(|(attempt, state, detail)| {
        Ok((at.number("attempt", attempt)?, at.word("state", &state)?, detail))
    })
    .transpose()
}

/// What a job's new state means for its incident. To take back what was done says nothing of what
/// fails: that is reported again, or not.
const fn event_of(task: TaskKind, state: JobState) -> Option<IncidentEvent> {
    match task {
        TaskKind::Undo => return None,
        TaskKind::Remediate | TaskKind::Verify => {}
    }
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

/// Moves an incident, and says where it stands then; `None` where it is gone.
async fn move_incident(
    tx: &mut Tx,
    id: IncidentId,
    event: IncidentEvent,
    at: Timestamp,
) -> Result<Option<IncidentState>> {
    type Row = (String, i64, Option<i64>);
    let row: Option<Row> =
        on_tx!(&mut *tx, |c| sqlx::query_as(INCIDENT).bind(id.0).fetch_optional(c).await)?;
    let Some((state, last_seen, recovered)) = row else { return Ok(None) };
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
        return Ok(Some(after));
    }
    let ended = has_ended(after).then_some(ended);
    run!(tx, sqlx::query(MOVE_INCIDENT).bind(id.0).bind(after.as_str()).bind(ended))?;
    Ok(Some(after))
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
