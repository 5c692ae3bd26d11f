//! What the clock decides about jobs.

use std::time::Duration;

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::moves::{self, Move};
use crate::backend::{Db, Tx, on_tx, transaction};
use crate::error::Result;
use crate::row::time;
use crate::sql::statements;

statements! {
    /// What was not offered is over when it expires. What an agent may have is given the grace
    /// besides: its news may be on their way. What runs may be silent for as long as its steps may
    /// take, a restart may be awaited for as long as the remediation says, and a proof for as long from
    /// the beginning of the wait. Whatever a host says, what began is over 30 days after its expiry.
    DUE = "SELECT id, host_id, cancel_requested, expires_ms FROM job WHERE ended_ms IS NULL AND ( \
        (state = 'queued' AND expires_ms <= $1) \
        OR (state IN ('offered', 'waiting_window', 'blocked') AND expires_ms + $2 <= $1) \
        OR (state IN ('running', 'rebooting') AND news_ms + steps_ms + $2 <= $1) \
        OR (state = 'reboot_pending' AND news_ms + verify_ms <= $1) \
        OR (state = 'verifying' AND state_ms + verify_ms <= $1) \
        OR (state IN ('running', 'rebooting', 'reboot_pending', 'verifying') AND expires_ms + $4 <= $1)) \
        ORDER BY id LIMIT $3";
}

/// A job whose time is up: its id, its host, whether somebody wants it stopped, when it expires.
type Due = (Uuid, Uuid, bool, i64);

impl Db {
    /// Ends the jobs whose time is up and names them.
    pub async fn expire_jobs(&self, now: Timestamp, limit: u32) -> Result<Vec<JobId>> {
        transaction!(self, |tx| {
            let due = due_jobs(tx, now, limit).await?;
            tx.hold_hosts(due.iter().map(|(_, host, ..)| HostId::from(*host))).await?;
            // Those that had news until their hosts were held are not meant.
            let still = due_jobs(tx, now, limit).await?;
            let mut ended = Vec::new();
            for (id, _, cancelled, expires) in due.into_iter().filter(|job| still.contains(job)) {
                let id = JobId::from(id);
                let Some(job) = moves::load(tx, id).await? else { continue };
                let over = now >= time(expires).after(limits::OVER_WITHIN);
                let Some((to, detail)) = verdict(job.state, cancelled, over) else { continue };
                if moves::make(tx, &job, Move::by_server(to, detail, now), now).await? {
                    ended.push(id);
                }
            }
            Ok(ended)
        })
    }
}

async fn due_jobs(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
    let span = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4);
    Ok(on_tx!(tx, |c| sqlx::query_as(DUE)
        .bind(now.as_millis())
        .bind(span(limits::JOB_GRACE))
        .bind(i64::from(limit))
        .bind(span(limits::OVER_WITHIN))
        .fetch_all(c)
        .await)?)
}

const fn verdict(state: JobState, cancelled: bool, over: bool) -> Option<(JobState, &'static str)> {
    match state {
        JobState::Queued | JobState::WaitingWindow | JobState::Offered | JobState::Blocked => {
            Some(if cancelled {
                (JobState::Cancelled, "cancelled, and never begun")
            } else {
                (JobState::NotReached, "the host did not begin it before it expired")
            })
        }
        JobState::Running | JobState::RebootPending | JobState::Rebooting if over => {
            Some((JobState::TimedOut, "30 days after it expired it has not come to its end"))
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
