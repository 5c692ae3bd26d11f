//! What agents say of jobs: states, steps, output. An agent's word counts for its own host's jobs
//! only, for the try that the server last offered, and never takes a job backwards.

use fleetmend_core::evidence::Answer;
use fleetmend_core::ids::HostId;
use fleetmend_core::job::{JobLog, JobState, JobUpdate, StepReport};
use fleetmend_core::time::Timestamp;
use fleetmend_core::{limits, words};

use super::apply::Effects;
use crate::backend::{Tx, on_tx, run};
use crate::error::Result;
use crate::hosts::facts::save_evidence;
use crate::incidents::triage::want_triage_of;
use crate::jobs::moves::{self, Move, Moving};
use crate::row::big;
use crate::sql::statements;

statements! {
    NEWS = "UPDATE job SET news_ms = $2, detail = CASE WHEN $3 <> '' THEN $3 ELSE detail END WHERE id = $1";
    OWN_PROBE = "SELECT own_probe FROM job_attempt WHERE job_id = $1 AND attempt = $2";
    CLEARED = "UPDATE job_attempt SET cleared = $3 WHERE job_id = $1 AND attempt = $2";
    SAVE_STEP = "INSERT INTO job_step (job_id, attempt, step, title, state, exit_status, detail, output_dropped, \
        started_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) \
        ON CONFLICT (job_id, attempt, step) DO UPDATE SET title = excluded.title, state = excluded.state, \
        exit_status = excluded.exit_status, detail = excluded.detail, output_dropped = excluded.output_dropped, \
        updated_ms = excluded.updated_ms";
    STEP_BYTES = "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(text)), 0) AS BIGINT) FROM job_log \
        WHERE job_id = $1 AND attempt = $2 AND step = $3";
    ADD_LOG = "INSERT INTO job_log (job_id, attempt, step, sequence, arrival, at_ms, text) \
        SELECT $1, $2, $3, $4, j.log_pieces + 1, $5, $6 FROM job j WHERE j.id = $1 \
        ON CONFLICT (job_id, attempt, step, sequence) DO NOTHING";
    COUNT_LOG = "UPDATE job SET log_pieces = log_pieces + 1 WHERE id = $1";
    DROP_LOG = "UPDATE job SET log_dropped = log_dropped + 1 WHERE id = $1";
}

/// Takes an agent's word on a job. `Some` is why it makes no sense.
pub(super) async fn update(
    tx: &mut Tx,
    host: HostId,
    update: &JobUpdate,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<Option<String>> {
    let job = match owned(tx, host, update.job, update.attempt).await? {
        Ok(job) => job,
        Err(why) => return Ok(Some(why)),
    };
    if let Some(step) = &update.step {
        if step.index as usize >= limits::STEPS {
            return Ok(Some(format!("step {} is beyond the last possible one", step.index)));
        }
        save_step(tx, update, step).await?;
    }
    if !update.evidence.is_empty() {
        let found: Vec<_> = update.evidence.iter().map(|evidence| (host, evidence)).collect();
        save_evidence(tx, &found, now).await?;
        want_triage_of(tx, &[host]).await?;
        effects.triage = true;
        note_cleared(tx, update).await?;
    }
    // News of an earlier try are kept with their steps, but say nothing of the present one.
    if update.attempt == job.attempt && !job.between && says(update.state) {
        let step =
            Move { to: update.state, detail: &update.detail, proof: update.proof, at: update.at };
        let moved = moves::end_try(tx, &job, step, now).await?;
        if moved {
            effects.incidents.insert(job.incident);
            effects.triage = true;
            effects.ended |= update.state.is_final();
        } else if !job.state.is_final() {
            // It is at work, also where it does not get further: after a restart steps may follow.
            let here = job.state == update.state || update.state.has_begun();
            let detail = if here { update.detail.as_str() } else { "" };
            run!(
                &mut *tx,
                sqlx::query(NEWS)
                    .bind(job.id.0)
                    .bind(now.as_millis())
                    .bind(words::cut(detail, limits::PROOF_BYTES))
            )?;
        }
    }
    effects.jobs.insert(job.id);
    Ok(None)
}

/// Keeps what the cause's own probe says now: by the last answer it is counted whether the try cleared
/// the cause.
async fn note_cleared(tx: &mut Tx, update: &JobUpdate) -> Result<()> {
    let own: Option<String> = on_tx!(&mut *tx, |c| sqlx::query_scalar(OWN_PROBE)
        .bind(update.job.0)
        .bind(i64::from(update.attempt))
        .fetch_optional(c)
        .await)?;
    let Some(own) = own.filter(|own| !own.is_empty()) else { return Ok(()) };
    let answers = update.evidence.iter().filter(|e| e.probe.as_str() == own);
    let newest = answers.filter(|e| e.answer != Answer::Unknown).max_by_key(|e| (e.at, e.id));
    let Some(newest) = newest else { return Ok(()) };
    let cleared = if newest.answer == Answer::No { "yes" } else { "no" };
    run!(
        &mut *tx,
        sqlx::query(CLEARED).bind(update.job.0).bind(i64::from(update.attempt)).bind(cleared)
    )?;
    Ok(())
}

/// The states that are an agent's to tell; the others are the server's own decisions.
const fn says(state: JobState) -> bool {
    match state {
        JobState::WaitingWindow
        | JobState::Blocked
        | JobState::Running
        | JobState::RebootPending
        | JobState::Rebooting
        | JobState::Verifying
        | JobState::Fixed
        | JobState::Unverified
        | JobState::Failed
        | JobState::RolledBack
        | JobState::Unknown
        | JobState::NotApplicable
        | JobState::Skipped
        | JobState::Cancelled => true,
        JobState::Queued | JobState::Offered | JobState::TimedOut | JobState::NotReached => false,
    }
}

/// The job, where it is this host's and the try was ever offered.
async fn owned(
    tx: &mut Tx,
    host: HostId,
    id: fleetmend_core::ids::JobId,
    attempt: u32,
) -> Result<Result<Moving, String>> {
    Ok(match moves::load(tx, id).await? {
        None => Err(format!("there is no job {id}")),
        Some(job) if job.host != host => Err(format!("job {id} is another host's")),
        Some(job) if attempt == 0 || attempt > job.attempt => {
            Err(format!("try {attempt} of job {id} was never offered"))
        }
        Some(job) => Ok(job),
    })
}

async fn save_step(tx: &mut Tx, update: &JobUpdate, step: &StepReport) -> Result<()> {
    run!(
        tx,
        sqlx::query(SAVE_STEP)
            .bind(update.job.0)
            .bind(i64::from(update.attempt))
            .bind(i64::from(step.index))
            .bind(words::cut(&step.title, limits::SUBJECT_BYTES))
            .bind(step.state.as_str())
            .bind(step.exit.map(i64::from))
            .bind(words::cut(&step.detail, limits::PROOF_BYTES))
            .bind(big(step.output_dropped))
            .bind(update.at.as_millis())
    )?;
    Ok(())
}

/// Keeps a piece of output, once; over a step's bound it is dropped and counted.
pub(super) async fn log(
    tx: &mut Tx,
    host: HostId,
    log: &JobLog,
    effects: &mut Effects,
) -> Result<Option<String>> {
    let job = match owned(tx, host, log.job, log.attempt).await? {
        Ok(job) => job,
        Err(why) => return Ok(Some(why)),
    };
    let kept: i64 = on_tx!(&mut *tx, |c| sqlx::query_scalar(STEP_BYTES)
        .bind(job.id.0)
        .bind(i64::from(log.attempt))
        .bind(i64::from(log.step))
        .fetch_one(c)
        .await)?;
    let text = words::cut(&log.text, limits::LOG_CHUNK_BYTES);
    let over = usize::try_from(kept).unwrap_or(0) + text.len() > limits::STEP_LOG_BYTES
        || log.step as usize >= limits::STEPS;
    if over {
        run!(&mut *tx, sqlx::query(DROP_LOG).bind(job.id.0))?;
        return Ok(None);
    }
    let added = run!(
        &mut *tx,
        sqlx::query(ADD_LOG)
            .bind(job.id.0)
            .bind(i64::from(log.attempt))
            .bind(i64::from(log.step))
            .bind(i64::from(log.sequence))
            .bind(log.at.as_millis())
            .bind(text)
    )?;
    if added > 0 {
        run!(&mut *tx, sqlx::query(COUNT_LOG).bind(job.id.0))?;
        effects.logs.insert(job.id);
    }
    Ok(None)
}
