//! What the clock decides about jobs.

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::moves::{self, Move};
use crate::backend::{Db, Tx, on_tx, transaction};
use crate::error::Result;
use crate::sql::statements;

statements! {
    /// What was not offered is over when it expires. What an agent may have is given the grace
    /// besides: its news may be on their way. What runs may be silent for as long as its steps may
    /// take, and a restart or a proof may be awaited for as long as the remediation says.
    DUE = "SELECT id, host_id, cancel_requested FROM job WHERE ended_ms IS NULL AND ( \
        (state IN ('queued', 'waiting_window') AND expires_ms <= $1) \
        OR (state IN ('offered', 'blocked') AND expires_ms + $2 <= $1) \
        OR (state IN ('running', 'rebooting') AND news_ms + steps_ms + $2 <= $1) \
        OR (state IN ('reboot_pending', 'verifying') AND news_ms + verify_ms <= $1)) \
        ORDER BY id LIMIT $3";
}

impl Db {
    /// Ends the jobs whose time is up and names them.
    pub async fn expire_jobs(&self, now: Timestamp, limit: u32) -> Result<Vec<JobId>> {
        transaction!(self, |tx| {
            let due = due_jobs(tx, now, limit).await?;
            tx.hold_hosts(due.iter().map(|(_, host, _)| HostId::from(*host))).await?;
            // Those that had news until their hosts were held are not meant.
            let still = due_jobs(tx, now, limit).await?;
            let mut ended = Vec::new();
            for (id, _, cancelled) in due.into_iter().filter(|job| still.contains(job)) {
                let id = JobId::from(id);
                let Some(job) = moves::load(tx, id).await? else { continue };
                let Some((to, detail)) = verdict(job.state, cancelled) else { continue };
                if moves::make(tx, &job, Move::by_server(to, detail, now), now).await? {
                    ended.push(id);
                }
            }
            Ok(ended)
        })
    }
}

async fn due_jobs(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<(Uuid, Uuid, bool)>> {
    let grace = i64::try_from(limits::JOB_GRACE.as_millis()).unwrap_or(i64::MAX);
    Ok(on_tx!(tx, |c| sqlx::query_as(DUE)
        .bind(now.as_millis())
        .bind(grace)
        .bind(i64::from(limit))
        .fetch_all(c)
        .await)?)
}

const fn verdict(state: JobState, cancelled: bool) -> Option<(JobState, &'static str)> {
    match state {
        JobState::Queued | JobState::WaitingWindow | JobState::Offered | JobState::Blocked => {
            Some(if cancelled {
                (JobState::Cancelled, "cancelled, and never begun")
            } else {
                (JobState::NotReached, "the host did not begin it before it expired")
            })
        }
        JobState::Running | JobState::Rebooting => {
            Some((JobState::TimedOut, "the host has been silent about it for too long"))
        }
        JobState::RebootPending => {
            Some((JobState::TimedOut, "the restart it needs did not come in time"))
        }
        JobState::Verifying => Some((JobState::Unverified, "no proof came in time")),
        JobState::Fixed
        | JobState::Unverified
        | JobState::Failed
        | JobState::RolledBack
        | JobState::TimedOut
        | JobState::NotReached
        | JobState::Unknown
        | JobState::NotApplicable
        | JobState::Skipped
        | JobState::Cancelled => None,
    }
}
