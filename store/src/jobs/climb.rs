//! Between two tries of a job: which jobs wait for their next remediation, what was tried, and what
//! was chosen.

use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::{CampaignId, EvidenceId, HostId, IncidentId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::known::Known;
use fleetmend_core::plan::Tried;
use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde_json::json;
use uuid::Uuid;

use super::moves::{self, Move};
use crate::audit;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::incidents::get::key;
use crate::row::{At, some, time, to_json};
use crate::sql::statements;

statements! {
    WAITING = "SELECT j.id, j.host_id, j.incident_id, i.product, i.operation, i.code, i.subject, i.update_class, \
        h.os, h.os_build, h.simulated, j.max_risk, j.reboot, j.expires_ms, j.attempt, j.cause, j.campaign_id, \
        COALESCE(c.state = 'aborted', FALSE) AS aborted \
        FROM job j JOIN host h ON h.id = j.host_id JOIN incident i ON i.id = j.incident_id \
        LEFT JOIN campaign c ON c.id = j.campaign_id \
        WHERE j.plan_wanted AND j.ended_ms IS NULL AND COALESCE(c.state, '') <> 'paused' ORDER BY j.news_ms, j.id LIMIT $1";
    /// What began in an incident and is over, of every job of it; what met no cause too: it was known.
    TRIED = "SELECT a.remediation, a.version, a.cause, a.known, a.known_after FROM job_attempt a JOIN job j ON j.id = a.job_id \
        WHERE j.incident_id = $1 AND a.task = 'remediate' AND a.ended_ms IS NOT NULL AND a.remediation <> '' \
        AND a.state IN ('fixed', 'unverified', 'failed', 'rolled_back', 'timed_out', 'unknown', 'not_applicable') \
        ORDER BY a.offered_ms LIMIT 200";
    /// What people did about an incident, or declined to do: it holds nothing back any more.
    TRIED_BY_PEOPLE = "SELECT remediation, version, cause FROM guided_task WHERE incident_id = $1 AND ended_ms IS NOT NULL \
        ORDER BY created_ms, id LIMIT 200";
    STILL = "SELECT plan_wanted FROM job WHERE id = $1 AND attempt = $2 AND ended_ms IS NULL";
    CHOOSE = "UPDATE job SET cause = $2, remediation = $3, version = $4, digest = $5, evidence_ids = $6, known = $7, own_probe = $8, \
        steps_ms = $9, not_before_ms = $10, news_ms = $11, detail = $12, plan_wanted = FALSE, \
        place_wanted = campaign_id IS NOT NULL WHERE id = $1";
    KNOWN_AFTER = "UPDATE job_attempt SET known_after = $3 WHERE job_id = $1 AND attempt = $2";
    LAST_TRY = "SELECT state, detail FROM job_attempt WHERE job_id = $1 AND attempt = $2";
}

/// A job that waits for its next remediation.
#[derive(Debug, Clone, PartialEq)]
pub struct Climbing {
    /// The job.
    pub job: JobId,
    /// Its host.
    pub host: HostId,
    /// The host's system.
    pub os: OsFamily,
    /// Its build.
    pub build: String,
    /// Whether it is simulated.
    pub simulated: bool,
    /// The incident.
    pub incident: IncidentId,
    /// What fails.
    pub key: IncidentKey,
    /// The class of update, where it matters.
    pub update_class: Option<UpdateClass>,
    /// The highest risk that is allowed.
    pub max_risk: Risk,
    /// Whether the host may be restarted.
    pub reboot: RebootPolicy,
    /// Not to be begun after.
    pub expires: Timestamp,
    /// The cause that the last try was against.
    pub cause: Slug,
    /// The try that is over; what is chosen is for this one's successor only.
    pub attempt: u32,
    /// The campaign that it is of.
    pub campaign: Option<CampaignId>,
    /// Whether its campaign was aborted: nothing more is tried.
    pub aborted: bool,
}

/// The next remediation of a job.
#[derive(Debug, Clone)]
pub struct NextTry {
    /// The cause it is against.
    pub cause: Slug,
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// Evidence whose values the steps use.
    pub evidence: Vec<EvidenceId>,
    /// What is known of the cause now.
    pub known: Known,
    /// The cause's own probe.
    pub own_probe: Option<Slug>,
    /// The time that all its steps may take.
    pub steps_time: Duration,
    /// Not to be begun before.
    pub not_before: Timestamp,
    /// Why this one, in words.
    pub why: String,
}

impl Db {
    /// Jobs that wait for their next remediation, those that have waited longest first. Those of a paused
    /// campaign wait until somebody resumes it.
    pub async fn jobs_to_climb(&self, limit: u32) -> Result<Vec<Climbing>> {
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(WAITING).bind(i64::from(limit)).fetch_all(c).await)?;
        rows.into_iter().map(Climbing::try_from).collect()
    }

    /// What was tried in an incident and did not end it, with what was known.
    pub async fn tried_in(&self, incident: IncidentId) -> Result<Vec<Tried>> {
        type Row = (String, i64, String, String, String);
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(TRIED).bind(incident.0).fetch_all(c).await)?;
        let at = At { table: "job_attempt", id: &incident };
        let one = |(remediation, version, cause, before, after): Row| {
            let mut known: Vec<Known> = Vec::new();
            for (column, text) in [("known", before), ("known_after", after)] {
                if let Some(text) = some(text) {
                    known.push(at.json(column, &text)?);
                }
            }
            Ok(Tried {
                remediation: at.word("remediation", &remediation)?,
                version: at.number("version", version)?,
                cause: at.word("cause", &cause)?,
                known,
            })
        };
        let by_people: Vec<(String, i64, String)> = on_read!(self, |c| {
            sqlx::query_as(TRIED_BY_PEOPLE).bind(incident.0).fetch_all(c).await
        })?;
        // Nothing is kept of what was known then: one stands for ever. Those of jobs stand last.
        let of_people = |(remediation, version, cause): (String, i64, String)| {
            one((remediation, version, cause, String::new(), String::new()))
        };
        by_people.into_iter().map(of_people).chain(rows.into_iter().map(&one)).collect()
    }

    /// Sets what a job tries next, where it still waits for that after try `after`; `known_after` is
    /// what is known of the cause of that try now. One of a campaign goes on when that has a place for it.
    pub async fn climb_to(
        &self,
        (job, after): (JobId, u32),
        next: &NextTry,
        known_after: &Known,
        now: Timestamp,
    ) -> Result<bool> {
        transaction!(self, |tx| {
            if !still(tx, job, after).await? {
                return Ok(false);
            }
            keep_known(tx, job, after, known_after).await?;
            let span = i64::try_from(next.steps_time.as_millis()).unwrap_or(i64::MAX / 4);
            let detail = format!("next: {} against {}: {}", next.remediation, next.cause, next.why);
            run!(
                &mut *tx,
                sqlx::query(CHOOSE)
                    .bind(job.0)
                    .bind(next.cause.as_str())
                    .bind(next.remediation.as_str())
                    .bind(i64::from(next.version))
                    .bind(&next.digest)
                    .bind(to_json(&next.evidence)?)
                    .bind(to_json(&next.known)?)
                    .bind(next.own_probe.as_ref().map_or("", Slug::as_str))
                    .bind(span)
                    .bind(next.not_before.as_millis())
                    .bind(now.as_millis())
                    .bind(fleetmend_core::words::cut(
                        &detail,
                        fleetmend_core::limits::DETAIL_BYTES
                    ))
            )?;
            let detail = json!({
                "after": after, "cause": next.cause, "remediation": next.remediation,
                "version": next.version, "digest": next.digest, "not_before": next.not_before,
                "why": next.why,
            });
            audit::note(tx, ("server", now), "job.climb", format!("job {job}"), detail).await?;
            Ok(true)
        })
    }

    /// Ends a job that has nothing left to try, where it still waits after try `after`: as that try
    /// ended.
    pub async fn climb_ends(
        &self,
        (job, after): (JobId, u32),
        why: &str,
        known_after: &Known,
        now: Timestamp,
    ) -> Result<bool> {
        transaction!(self, |tx| {
            if !still(tx, job, after).await? {
                return Ok(false);
            }
            keep_known(tx, job, after, known_after).await?;
            let Some(moving) = moves::load(tx, job).await? else { return Ok(false) };
            let (state, said): (String, String) = on_tx!(&mut *tx, |c| sqlx::query_as(LAST_TRY)
                .bind(job.0)
                .bind(i64::from(after))
                .fetch_one(c)
                .await)?;
            let state: JobState = At { table: "job_attempt", id: &job }.word("state", &state)?;
            let detail = format!("{said}; {why}");
            moves::make(tx, &moving, Move::by_server(state, &detail, now), now).await
        })
    }
}

/// Whether the job still waits; its host is held from here on.
async fn still(tx: &mut Tx, job: JobId, after: u32) -> Result<bool> {
    tx.hold_host_of_job(job).await?;
    let wanted: Option<bool> = on_tx!(tx, |c| sqlx::query_scalar(STILL)
        .bind(job.0)
        .bind(i64::from(after))
        .fetch_optional(c)
        .await)?;
    Ok(wanted == Some(true))
}

async fn keep_known(tx: &mut Tx, job: JobId, attempt: u32, known: &Known) -> Result<()> {
    let text = to_json(known)?;
    run!(tx, sqlx::query(KNOWN_AFTER).bind(job.0).bind(i64::from(attempt)).bind(text))?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    host_id: Uuid,
    incident_id: Uuid,
    product: String,
    operation: String,
    code: String,
    subject: String,
    update_class: String,
    os: String,
    os_build: String,
    simulated: bool,
    max_risk: String,
    reboot: String,
    expires_ms: i64,
    attempt: i64,
    cause: String,
    campaign_id: Option<Uuid>,
    aborted: bool,
}

impl TryFrom<Row> for Climbing {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "job", id: &row.id };
        Ok(Self {
            job: row.id.into(),
            host: row.host_id.into(),
            os: at.word("os", &row.os)?,
            build: row.os_build,
            simulated: row.simulated,
            incident: row.incident_id.into(),
            key: key(at, &row.product, &row.operation, &row.code, row.subject)?,
            update_class: at.maybe("update_class", &row.update_class)?,
            max_risk: at.word("max_risk", &row.max_risk)?,
            reboot: at.word("reboot", &row.reboot)?,
            expires: time(row.expires_ms),
            attempt: at.number("attempt", row.attempt)?,
            cause: at.word("cause", &row.cause)?,
            campaign: row.campaign_id.map(Into::into),
            aborted: row.aborted,
        })
    }
}
