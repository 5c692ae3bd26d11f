//! Making jobs, and taking them back.

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::{JobState, TaskKind};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use serde_json::json;
use uuid::Uuid;

use super::moves::{self, Move};
use super::{Cancelled, Job, NewJob};
use crate::audit;
use crate::backend::{Db, Tx, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::hosts::lifecycle::lifecycle_of;
use crate::incidents::decide::state_of;
use crate::row::{time, to_json};
use crate::sql::statements;

statements! {
    INSERT = "INSERT INTO job (id, host_id, incident_id, cause, remediation, version, digest, evidence_ids, state, \
        detail, attempt, created_by, reason, created_ms, steps_ms, verify_ms, not_before_ms, expires_ms, news_ms, \
        state_ms, task, undoes, undoes_attempt, campaign_id, wave, climbs, max_risk, reboot, begin_in, max_deferrals, notice_s, \
        known, own_probe) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', '', 0, $9, $10, $11, $12, $13, $14, $15, $11, \
        $11, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28) ON CONFLICT DO NOTHING";
    /// A job that only waits for its proof is in nobody's way but its own incident's.
    ACTIVE = "SELECT id FROM job WHERE host_id = $1 AND ended_ms IS NULL AND (state <> 'verifying' OR incident_id = $2) \
        ORDER BY id LIMIT 1";
    /// Where the job that is to be taken back stands: whose it is, when its try ended, and what its
    /// takers-back came to.
    TO_UNDO = "SELECT j.host_id, j.incident_id, j.task, j.ended_ms, a.begun_ms, a.ended_ms, \
        (SELECT COUNT(*) FROM job u WHERE u.undoes = j.id AND u.undoes_attempt = $2 \
            AND (u.ended_ms IS NULL OR u.state = 'rolled_back')) \
        FROM job j LEFT JOIN job_attempt a ON a.job_id = j.id AND a.attempt = $2 WHERE j.id = $1";
    INCIDENT_HOST = "SELECT host_id FROM incident WHERE id = $1";
    REQUEST_CANCEL = "UPDATE job SET cancel_requested = TRUE WHERE id = $1";
}

impl Db {
    /// Makes a job for an open incident of a host that may get orders and has no active job. One that
    /// only waits for its proof lets those of other incidents go on.
    pub async fn create_job(&self, job: &NewJob, by: &str, now: Timestamp) -> Result<Job> {
        transaction!(self, |tx| {
            check(tx, job, now).await?;
            if !insert(tx, job, by, now).await? {
                return Err(StoreError::Conflict(
                    "another job was made for the host at this moment".to_owned(),
                ));
            }
            let detail = json!({
                "host": job.host, "incident": job.incident, "cause": job.cause, "reason": job.reason,
                "remediation": job.remediation, "version": job.version, "digest": job.digest,
                "expires": job.expires, "task": job.terms.task.kind(),
            });
            let action = match job.terms.task.kind() {
                TaskKind::Remediate => "job.create",
                TaskKind::Verify => "job.verify",
                TaskKind::Undo => "job.undo",
            };
            audit::note(tx, (by, now), action, format!("job {}", job.id), detail).await
        })?;
        let made = self.job(job.id).await?;
        made.map(|detail| detail.job).ok_or_else(|| StoreError::not_found("job", job.id))
    }

    /// Takes a job back: at once where no agent has it, else the agent is to be asked.
    pub async fn cancel_job(
        &self,
        id: JobId,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Cancelled> {
        transaction!(self, |tx| {
            tx.hold_host_of_job(id).await?;
            let job = moves::load(tx, id).await?.ok_or_else(|| StoreError::not_found("job", id))?;
            let outcome = match job.state {
                state if state.is_final() => return Ok(Cancelled::AlreadyOver(state)),
                JobState::Queued => {
                    let detail = format!("cancelled by {by}: {reason}");
                    let step = Move::by_server(JobState::Cancelled, &detail, now);
                    moves::make(tx, &job, step, now).await?;
                    Cancelled::AtOnce
                }
                _ => {
                    run!(tx, sqlx::query(REQUEST_CANCEL).bind(id.0))?;
                    Cancelled::Requested
                }
            };
            let detail = json!({"reason": reason, "state": job.state});
            audit::note(tx, (by, now), "job.cancel", format!("job {id}"), detail).await?;
            Ok(outcome)
        })
    }
}

async fn check(tx: &mut Tx, job: &NewJob, now: Timestamp) -> Result<()> {
    let lifecycle = lifecycle_of(tx, job.host).await?;
    if !lifecycle.may_get_orders() {
        return Err(StoreError::Conflict(format!(
            "the host is {lifecycle} and gets no orders; accept it first"
        )));
    }
    if let Task::Undo { job: undone, attempt } = job.terms.task {
        check_undo(tx, job, (undone, attempt), now).await?;
    }
    let state = state_of(tx, job.incident).await?;
    let owner: Option<Uuid> = on_tx!(tx, |c| sqlx::query_scalar(INCIDENT_HOST)
        .bind(job.incident.0)
        .fetch_optional(c)
        .await)?;
    if owner.map(HostId::from) != Some(job.host) {
        return Err(StoreError::Conflict("the incident is another host's".to_owned()));
    }
    // What was done can be taken back when the incident is over, too.
    if !state.is_open() && job.terms.task.kind() != TaskKind::Undo {
        return Err(StoreError::Conflict(format!(
            "the incident is {state}: only an open one can be remediated"
        )));
    }
    if job.terms.begin_in.len() > limits::BEGIN_SPANS {
        return Err(StoreError::Conflict(format!(
            "the job may begin in at most {} spans",
            limits::BEGIN_SPANS
        )));
    }
    if job.expires <= now {
        return Err(StoreError::Conflict("the job would expire before it begins".to_owned()));
    }
    let active = on_tx!(tx, |c| sqlx::query_scalar::<_, Uuid>(ACTIVE)
        .bind(job.host.0)
        .bind(job.incident.0)
        .fetch_optional(c)
        .await)?;
    match active {
        Some(active) => Err(StoreError::JobActive { job: active.into() }),
        None => Ok(()),
    }
}

/// Refuses to take back what is not over, is another host's, was taken back, or whose undo data are
/// gone.
async fn check_undo(
    tx: &mut Tx,
    job: &NewJob,
    (undone, attempt): (JobId, u32),
    now: Timestamp,
) -> Result<()> {
    type Row = (Uuid, Uuid, String, Option<i64>, Option<i64>, Option<i64>, i64);
    let row: Option<Row> = on_tx!(tx, |c| sqlx::query_as(TO_UNDO)
        .bind(undone.0)
        .bind(i64::from(attempt))
        .fetch_optional(c)
        .await)?;
    let (host, incident, task, over, begun, ended, undoing) =
        row.ok_or_else(|| StoreError::not_found("job", undone))?;
    let no = |why: String| Err(StoreError::Conflict(why));
    if HostId::from(host) != job.host || incident != job.incident.0 {
        return no("the job to be taken back is another host's".to_owned());
    }
    if task != TaskKind::Remediate.as_str() {
        return no(format!("a job that only does {task} leaves nothing to take back"));
    }
    let (Some(_), Some(ended)) = (over, ended) else {
        return no(format!("try {attempt} of the job is not over: cancel it instead"));
    };
    if begun.is_none() {
        return no(format!("try {attempt} of the job changed nothing"));
    }
    if undoing > 0 {
        return no(format!("try {attempt} of the job is taken back already, or being taken back"));
    }
    if now.since(time(ended)) >= limits::UNDO_KEPT {
        let days = limits::UNDO_KEPT.as_secs() / 86_400;
        return no(format!("what it takes to take it back is kept for {days} days, and is gone"));
    }
    Ok(())
}

/// Writes a job's row; whether it may be was looked at before. False where the host, or the incident, has
/// got another one meanwhile.
pub(crate) async fn insert(tx: &mut Tx, job: &NewJob, by: &str, now: Timestamp) -> Result<bool> {
    let terms = &job.terms;
    let undoes = match terms.task {
        Task::Undo { job, attempt } => Some((job, attempt)),
        Task::Remediate | Task::Verify => None,
    };
    let span = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4);
    let made = run!(
        tx,
        sqlx::query(INSERT)
            .bind(job.id.0)
            .bind(job.host.0)
            .bind(job.incident.0)
            .bind(job.cause.as_str())
            .bind(job.remediation.as_str())
            .bind(i64::from(job.version))
            .bind(&job.digest)
            .bind(to_json(&job.evidence)?)
            .bind(by)
            .bind(&job.reason)
            .bind(now.as_millis())
            .bind(span(job.steps_time))
            .bind(span(job.verify_within))
            .bind(job.not_before.as_millis())
            .bind(job.expires.as_millis())
            .bind(terms.task.as_str())
            .bind(undoes.map(|(job, _)| job.0))
            .bind(undoes.map(|(_, attempt)| i64::from(attempt)))
            .bind(terms.campaign.map(|(id, _)| id.0))
            .bind(terms.campaign.map(|(_, wave)| i64::from(wave)))
            .bind(terms.climbs)
            .bind(terms.max_risk.as_str())
            .bind(terms.reboot.as_str())
            .bind(to_json(&terms.begin_in)?)
            .bind(i64::from(terms.max_deferrals))
            .bind(i64::from(terms.notice_seconds))
            .bind(terms.known.as_ref().map(to_json).transpose()?.unwrap_or_default())
            .bind(terms.own_probe.as_ref().map_or("", Slug::as_str))
    )?;
    Ok(made > 0)
}
