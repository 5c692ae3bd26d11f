//! From jobs to orders: what is to be sent to a host, with counters that only rise.

use fleetmend_core::hold::Interval;
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::order::Order;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::cut;
use fleetmend_faults::{Point, crash_point};
use uuid::Uuid;

use super::Job;
use super::get::{GET, JobRow};
use super::moves::{self, Move};
use crate::backend::{Db, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::hosts::lifecycle::lifecycle_of;
use crate::row::{big, count};
use crate::sql::statements;

/// A campaign that is paused or aborted begins nothing, be it decided a moment before, or a further try.
macro_rules! held_by_campaign {
    () => {
        "(SELECT COUNT(*) FROM campaign c WHERE c.id = j.campaign_id AND c.state IN ('paused', 'aborted'))"
    };
}

statements! {
    WAITING = concat!("SELECT j.id FROM job j JOIN host h ON h.id = j.host_id WHERE j.host_id = $1 AND j.state = 'queued' \
        AND NOT j.plan_wanted AND NOT j.place_wanted AND j.ended_ms IS NULL AND j.not_before_ms <= $2 AND j.expires_ms > $2 AND h.lifecycle IN ('active', 'stale') \
        AND ", held_by_campaign!(), " = 0 ORDER BY j.created_ms, j.id LIMIT 10");
    /// The active jobs are few beside the hosts, and have an index of their own.
    HOSTS_WAITING = concat!("SELECT DISTINCT j.host_id FROM job j JOIN host h ON h.id = j.host_id WHERE j.ended_ms IS NULL \
        AND j.state = 'queued' AND NOT j.plan_wanted AND NOT j.place_wanted AND j.not_before_ms <= $1 AND j.expires_ms > $1 AND h.lifecycle IN ('active', 'stale') \
        AND ", held_by_campaign!(), " = 0");
    HOSTS_RECALLED = "SELECT DISTINCT j.host_id FROM job j WHERE j.ended_ms IS NULL AND j.cancel_requested = TRUE";
    NEXT_COUNTER = "UPDATE host SET order_counter = order_counter + 1 WHERE id = $1 RETURNING order_counter";
    COUNTER = "SELECT order_counter FROM host WHERE id = $1";
    RAISE_COUNTER = "UPDATE host SET order_counter = $2 WHERE id = $1 AND order_counter < $2";
    /// What held it back before it was offered is past.
    OFFER = "UPDATE job SET state = 'offered', attempt = $2, counter = $3, offered_ms = $4, news_ms = $4, state_ms = $4, \
        detail = CASE WHEN detail LIKE 'held back: %' THEN '' ELSE detail END WHERE id = $1";
    /// What is said of a try that is over stays.
    HELD = "UPDATE job SET detail = $2 WHERE id = $1 AND state = 'queued' AND detail <> $2 \
        AND (detail IN ('', 'the agent did not get the order') OR detail LIKE 'held back: %')";
    OFFER_ATTEMPT = "INSERT INTO job_attempt (job_id, attempt, counter, offered_ms, state, detail, task, cause, remediation, \
        version, digest, evidence_ids, known, own_probe, os_build, simulated) \
        SELECT j.id, $2, $3, $4, 'offered', '', j.task, j.cause, j.remediation, j.version, j.digest, j.evidence_ids, j.known, \
        j.own_probe, h.os_build, h.simulated FROM job j JOIN host h ON h.id = j.host_id WHERE j.id = $1 \
        ON CONFLICT (job_id, attempt) DO UPDATE \
        SET counter = excluded.counter, offered_ms = excluded.offered_ms, state = excluded.state";
    /// Since when it may begin; and whether its next try still waits to be chosen, or for a place, after
    /// one that is over.
    STANDING = concat!("SELECT j.not_before_ms, (j.plan_wanted OR j.place_wanted) AS waits, (SELECT COUNT(*) FROM job_attempt a WHERE a.job_id = j.id \
        AND a.attempt = j.attempt AND a.ended_ms IS NOT NULL), ", held_by_campaign!(), " FROM job j WHERE j.id = $1");
    OFFERED = "SELECT id, cancel_requested FROM job WHERE host_id = $1 AND state = 'offered' AND ended_ms IS NULL";
    CANCELS = "SELECT id FROM job WHERE host_id = $1 AND ended_ms IS NULL AND cancel_requested = TRUE";
}

/// The highest counter that an agent can claim: far above any real one, far below overflow.
const COUNTER_MAX: u64 = 1 << 53;

impl Db {
    /// Jobs of a host that wait to be offered now.
    pub async fn orders_for(&self, host: HostId, now: Timestamp) -> Result<Vec<JobId>> {
        let ids: Vec<Uuid> = on_read!(self, |c| sqlx::query_scalar(WAITING)
            .bind(host.0)
            .bind(now.as_millis())
            .fetch_all(c)
            .await)?;
        Ok(ids.into_iter().map(JobId::from).collect())
    }

    /// The hosts to which something should go now: an order, or the wish that a job be stopped.
    pub async fn hosts_with_orders(&self, now: Timestamp) -> Result<Vec<HostId>> {
        let mut ids: Vec<Uuid> = on_read!(self, |c| sqlx::query_scalar(HOSTS_WAITING)
            .bind(now.as_millis())
            .fetch_all(c)
            .await)?;
        let recalled: Vec<Uuid> =
            on_read!(self, |c| sqlx::query_scalar(HOSTS_RECALLED).fetch_all(c).await)?;
        ids.extend(recalled);
        Ok(ids.into_iter().map(HostId::from).collect())
    }

    /// Says of a job that waits to be offered what holds it back. True where that is news.
    pub async fn note_held(&self, id: JobId, why: &str) -> Result<bool> {
        let said = format!("held back: {}", cut(why, limits::PROOF_BYTES / 2));
        let done = transaction!(self, |tx| {
            tx.hold_host_of_job(id).await?;
            Ok::<_, StoreError>(run!(tx, sqlx::query(HELD).bind(id.0).bind(said.as_str()))?)
        })?;
        Ok(done > 0)
    }

    /// Marks a queued job as offered and gives its order, with a counter above every one that the
    /// host was ever given. `None` where the job can no longer be offered: one that may only begin in
    /// spans that are all over, neither. Ahead of a span it is offered: its agent begins it there,
    /// without this server too. The try's number stays the same when a job is offered again, so that an
    /// agent that has begun it refuses it.
    pub async fn offer(&self, id: JobId, now: Timestamp) -> Result<Option<Order>> {
        let order = transaction!(self, |tx| {
            tx.hold_host_of_job(id).await?;
            let row: Option<JobRow> =
                on_tx!(tx, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
            let job: Job = row.ok_or_else(|| StoreError::not_found("job", id))?.try_into()?;
            let lifecycle = lifecycle_of(tx, job.host).await?;
            let (not_before, waits, over, held): (i64, bool, i64, i64) =
                on_tx!(tx, |c| sqlx::query_as(STANDING).bind(id.0).fetch_one(c).await)?;
            let can = job.state == JobState::Queued
                && !waits
                && held == 0
                && now < job.expires
                && may_still_begin(&job.terms.begin_in, now)
                && !job.cancel_requested
                && lifecycle.may_get_orders();
            if !can {
                return Ok(None);
            }
            // A try that is over is followed by the next; one that the agent did not get is sent again.
            let attempt = if over > 0 { job.attempt + 1 } else { job.attempt.max(1) };
            let counter: i64 = on_tx!(tx, |c| sqlx::query_scalar(NEXT_COUNTER)
                .bind(job.host.0)
                .fetch_one(c)
                .await)?;
            for sql in [OFFER, OFFER_ATTEMPT] {
                run!(
                    tx,
                    sqlx::query(sql)
                        .bind(id.0)
                        .bind(i64::from(attempt))
                        .bind(counter)
                        .bind(now.as_millis())
                )?;
            }
            crash_point(Point::OfferBeforeCommit);
            Ok::<_, StoreError>(Some(Order {
                host: job.host,
                job: id,
                attempt,
                incident: job.incident,
                key: job.key,
                cause: job.cause,
                remediation: job.remediation,
                version: job.version,
                digest: job.digest,
                evidence: job.evidence,
                counter: count(counter),
                not_before: Timestamp::from_millis(not_before),
                expires: job.expires,
                task: job.terms.task,
                begin_in: job.terms.begin_in,
                reboot: job.terms.reboot,
                max_deferrals: job.terms.max_deferrals,
                notice_seconds: job.terms.notice_seconds,
            }))
        })?;
        if order.is_some() {
            crash_point(Point::OfferAfterCommit);
        }
        Ok(order)
    }

    /// Goes on above the highest counter that an agent says it has seen. Most have seen none that is
    /// not known, and cost a read: every agent says it at every hello.
    pub async fn raise_counter(&self, host: HostId, seen: u64) -> Result<()> {
        if seen > COUNTER_MAX {
            return Err(StoreError::Conflict(format!(
                "the agent of host {host} claims the order counter {seen}, which cannot be"
            )));
        }
        let known: Option<i64> =
            on_read!(self, |c| sqlx::query_scalar(COUNTER).bind(host.0).fetch_optional(c).await)?;
        if known.is_none_or(|known| known >= big(seen)) {
            return Ok(());
        }
        transaction!(self, |tx| {
            run!(tx, sqlx::query(RAISE_COUNTER).bind(host.0).bind(big(seen)))?;
            Ok(())
        })
    }

    /// After a reconnect: orders that were sent and that the agent does not know (`known` are the
    /// jobs in its journal) wait to be sent again; those that somebody cancelled are cancelled.
    pub async fn requeue_offered(
        &self,
        host: HostId,
        known: &[JobId],
        now: Timestamp,
    ) -> Result<Vec<JobId>> {
        transaction!(self, |tx| {
            tx.hold_hosts([host]).await?;
            let offered: Vec<(Uuid, bool)> =
                on_tx!(tx, |c| sqlx::query_as(OFFERED).bind(host.0).fetch_all(c).await)?;
            let mut again = Vec::new();
            for (id, cancelled) in offered {
                let id = JobId::from(id);
                let Some(job) = moves::load(tx, id).await?.filter(|_| !known.contains(&id)) else {
                    continue;
                };
                let step = if cancelled {
                    Move::by_server(JobState::Cancelled, "cancelled before the agent had it", now)
                } else {
                    Move::by_server(JobState::Queued, "the agent did not get the order", now)
                };
                moves::make(tx, &job, step, now).await?;
                again.push(id);
            }
            Ok(again)
        })
    }

    /// Active jobs of a host that somebody wants stopped.
    pub async fn cancels_for(&self, host: HostId) -> Result<Vec<JobId>> {
        let ids: Vec<Uuid> =
            on_read!(self, |c| sqlx::query_scalar(CANCELS).bind(host.0).fetch_all(c).await)?;
        Ok(ids.into_iter().map(JobId::from).collect())
    }
}

/// Whether a job with these spans may begin at once or later; one without any at any time.
fn may_still_begin(spans: &[Interval], now: Timestamp) -> bool {
    spans.is_empty() || spans.iter().any(|span| now < span.until)
}
