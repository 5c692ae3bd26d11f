//! Reading one job, its tries, its steps and its output.

use std::collections::BTreeMap;

use fleetmend_core::ids::JobId;
use uuid::Uuid;

use super::terms::TermsRow;
use super::{Attempt, Job, JobDetail, JobStep, LogPage, LogPiece};
use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::incidents::get::key;
use crate::row::{At, big, count, some, time};
use crate::sql::statements;

/// What [`JobRow`] is read from; the host is joined as `h`, the incident as `i`.
macro_rules! job_head {
    () => {
        concat!("SELECT ", $crate::jobs::terms::terms_columns!(), ", j.id, j.host_id, h.name AS host_name, h.simulated, j.incident_id, i.product, i.operation, i.code, \
         i.subject, j.cause, j.remediation, j.version, j.digest, j.evidence_ids, j.state, j.detail, j.proof, \
         j.attempt, j.created_by, j.reason, j.created_ms, j.expires_ms, j.offered_ms, j.begun_ms, j.news_ms, \
         j.ended_ms, j.cancel_requested, j.relapsed_ms, j.log_dropped, j.plan_wanted, j.place_wanted, j.not_before_ms, \
         (SELECT u.id FROM job u WHERE u.undoes = j.id ORDER BY u.created_ms DESC, u.id DESC LIMIT 1) AS undone_by \
         FROM job j JOIN host h ON h.id = j.host_id JOIN incident i ON i.id = j.incident_id")
    };
}
pub(super) use job_head;

/// What [`AttemptRow`] is read from. What takes a try back counts until it failed to.
const ATTEMPT_HEAD: &str = "SELECT a.job_id, a.attempt, a.offered_ms, a.begun_ms, a.ended_ms, a.state, a.detail, a.cause, \
    a.remediation, a.version, a.digest, a.proof, a.cleared, \
    (SELECT u.id FROM job u WHERE u.undoes = a.job_id AND u.undoes_attempt = a.attempt \
        AND (u.ended_ms IS NULL OR u.state = 'rolled_back') ORDER BY u.created_ms DESC, u.id DESC LIMIT 1) AS undone_by \
    FROM job_attempt a";
/// What [`StepRow`] is read from.
const STEP_HEAD: &str = "SELECT job_id, attempt, step, title, state, exit_status, detail, output_dropped, started_ms, updated_ms FROM job_step";
/// Jobs whose tries are read at once.
const AT_ONCE: usize = 200;

statements! {
    GET = concat!(job_head!(), " WHERE j.id = $1");
    LOG = "SELECT arrival, attempt, step, at_ms, text FROM job_log WHERE job_id = $1 AND arrival > $2 \
        ORDER BY arrival LIMIT $3";
    LOG_END = "SELECT log_pieces, ended_ms FROM job WHERE id = $1";
}

impl Db {
    /// A job with its tries and steps.
    pub async fn job(&self, id: JobId) -> Result<Option<JobDetail>> {
        let row: Option<JobRow> =
            on_read!(self, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
        let Some(row) = row else { return Ok(None) };
        let attempts = self.attempts_of(&[id]).await?.remove(&id).unwrap_or_default();
        Ok(Some(JobDetail { attempts, job: row.try_into()? }))
    }

    /// The tries of jobs, each with its steps, oldest first.
    pub(crate) async fn attempts_of(
        &self,
        jobs: &[JobId],
    ) -> Result<BTreeMap<JobId, Vec<Attempt>>> {
        let mut found: BTreeMap<JobId, Vec<Attempt>> = BTreeMap::new();
        for piece in jobs.chunks(AT_ONCE) {
            let mut filter = Filter::default();
            filter.any_id("job_id", piece.iter().map(|job| job.0));
            let (attempts, steps): (Vec<AttemptRow>, Vec<StepRow>) = (
                on_read!(self, |c| {
                    let sql = filter.sql(ATTEMPT_HEAD, " ORDER BY a.job_id, a.attempt");
                    bind_all!(sqlx::query_as(sql), filter.args()).fetch_all(c).await
                })?,
                on_read!(self, |c| {
                    let sql = filter.sql(STEP_HEAD, " ORDER BY job_id, attempt, step");
                    bind_all!(sqlx::query_as(sql), filter.args()).fetch_all(c).await
                })?,
            );
            let mut by_attempt: BTreeMap<(Uuid, i64), Vec<JobStep>> = BTreeMap::new();
            for step in steps {
                let job = JobId::from(step.job_id);
                by_attempt.entry((step.job_id, step.attempt)).or_default().push(step.read(job)?);
            }
            for row in attempts {
                let job = JobId::from(row.job_id);
                let steps = by_attempt.remove(&(row.job_id, row.attempt)).unwrap_or_default();
                found.entry(job).or_default().push(row.read(job, steps)?);
            }
        }
        Ok(found)
    }

    /// The output of a job after a piece (0: from its beginning), in order of arrival.
    pub async fn job_log(&self, id: JobId, after: u64, limit: u32) -> Result<LogPage> {
        // First how far it goes: pieces that arrive between the two reads are seen next time.
        let end: Option<(i64, Option<i64>)> =
            on_read!(self, |c| sqlx::query_as(LOG_END).bind(id.0).fetch_optional(c).await)?;
        let (last, ended) = end.ok_or_else(|| StoreError::not_found("job", id))?;
        let rows: Vec<LogRow> = on_read!(self, |c| sqlx::query_as(LOG)
            .bind(id.0)
            .bind(big(after))
            .bind(i64::from(limit.clamp(1, 1_000)))
            .fetch_all(c)
            .await)?;
        let at = At { table: "job_log", id: &id };
        let pieces = rows
            .into_iter()
            .map(|row| {
                Ok(LogPiece {
                    arrival: count(row.arrival),
                    attempt: at.number("attempt", row.attempt)?,
                    step: at.number("step", row.step)?,
                    at: time(row.at_ms),
                    text: row.text,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let after = pieces.last().map_or(after, |piece| piece.arrival);
        Ok(LogPage { pieces, after, complete: ended.is_some() && after >= count(last) })
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct JobRow {
    #[sqlx(flatten)]
    terms: TermsRow,
    id: Uuid,
    host_id: Uuid,
    host_name: String,
    simulated: bool,
    incident_id: Uuid,
    product: String,
    operation: String,
    code: String,
    subject: String,
    cause: String,
    remediation: String,
    version: i64,
    digest: String,
    evidence_ids: String,
    state: String,
    detail: String,
    proof: String,
    attempt: i64,
    created_by: String,
    reason: String,
    created_ms: i64,
    expires_ms: i64,
    offered_ms: Option<i64>,
    begun_ms: Option<i64>,
    news_ms: i64,
    ended_ms: Option<i64>,
    cancel_requested: bool,
    relapsed_ms: Option<i64>,
    log_dropped: i64,
    plan_wanted: bool,
    place_wanted: bool,
    not_before_ms: i64,
    undone_by: Option<Uuid>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;
    fn try_from(row: JobRow) -> Result<Self> {
        let at = At { table: "job", id: &row.id };
        Ok(Self {
            terms: row.terms.read(at)?,
            id: row.id.into(),
            host: row.host_id.into(),
            host_name: row.host_name,
            simulated: row.simulated,
            incident: row.incident_id.into(),
            key: key(at, &row.product, &row.operation, &row.code, row.subject)?,
            cause: at.word("cause", &row.cause)?,
            remediation: at.word("remediation", &row.remediation)?,
            version: at.number("version", row.version)?,
            digest: row.digest,
            evidence: at.json("evidence_ids", &row.evidence_ids)?,
            state: at.word("state", &row.state)?,
            detail: row.detail,
            proof: at.maybe("proof", &row.proof)?,
            attempt: at.number("attempt", row.attempt)?,
            created_by: row.created_by,
            reason: row.reason,
            created: time(row.created_ms),
            expires: time(row.expires_ms),
            offered: row.offered_ms.map(time),
            begun: row.begun_ms.map(time),
            news: time(row.news_ms),
            ended: row.ended_ms.map(time),
            cancel_requested: row.cancel_requested,
            relapsed: row.relapsed_ms.map(time),
            log_dropped: count(row.log_dropped),
            plan_wanted: row.plan_wanted,
            place_wanted: row.place_wanted,
            not_before: time(row.not_before_ms),
            undone_by: row.undone_by.map(Into::into),
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct AttemptRow {
    job_id: Uuid,
    attempt: i64,
    offered_ms: i64,
    begun_ms: Option<i64>,
    ended_ms: Option<i64>,
    state: String,
    detail: String,
    cause: String,
    remediation: String,
    version: i64,
    digest: String,
    proof: String,
    cleared: String,
    undone_by: Option<Uuid>,
}

impl AttemptRow {
    fn read(self, job: JobId, steps: Vec<JobStep>) -> Result<Attempt> {
        let at = At { table: "job_attempt", id: &job };
        Ok(Attempt {
            attempt: at.number("attempt", self.attempt)?,
            offered: time(self.offered_ms),
            begun: self.begun_ms.map(time),
            ended: self.ended_ms.map(time),
            state: at.word("state", &self.state)?,
            detail: self.detail,
            cause: at.word("cause", &self.cause)?,
            remediation: at.word("remediation", &self.remediation)?,
            version: at.number("version", self.version)?,
            digest: self.digest,
            undone_by: self.undone_by.map(Into::into),
            proof: at.maybe("proof", &self.proof)?,
            cleared: some(self.cleared).map(|word| word == "yes"),
            steps,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct StepRow {
    job_id: Uuid,
    attempt: i64,
    step: i64,
    title: String,
    state: String,
    exit_status: Option<i64>,
    detail: String,
    output_dropped: i64,
    started_ms: i64,
    updated_ms: i64,
}

impl StepRow {
    fn read(self, job: JobId) -> Result<JobStep> {
        let at = At { table: "job_step", id: &job };
        Ok(JobStep {
            index: at.number("step", self.step)?,
            title: self.title,
            state: at.word("state", &self.state)?,
            exit: self.exit_status.map(|n| at.number("exit_status", n)).transpose()?,
            detail: self.detail,
            output_dropped: count(self.output_dropped),
            started: time(self.started_ms),
            updated: time(self.updated_ms),
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct LogRow {
    arrival: i64,
    attempt: i64,
    step: i64,
    at_ms: i64,
    text: String,
}
