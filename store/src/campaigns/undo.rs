//! What of a campaign can still be taken back.

use fleetmend_core::ids::{CampaignId, HostId, IncidentId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use uuid::Uuid;

use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::row::{At, time};
use crate::sql::statements;

statements! {
    /// Of a job that climbed, the last try that began and did not take itself back: what the job may name by
    /// now was chosen after it, and perhaps never begun.
    JOBS = "SELECT j.id, j.host_id, h.name, h.simulated, j.incident_id, a.cause, a.remediation, a.version, a.digest, j.state, a.attempt, a.state AS tried, \
        j.ended_ms, u.id AS undo_id, u.state AS undo_state FROM job j JOIN host h ON h.id = j.host_id \
        JOIN job_attempt a ON a.job_id = j.id AND a.attempt = COALESCE((SELECT MAX(x.attempt) FROM job_attempt x \
            WHERE x.job_id = j.id AND x.begun_ms IS NOT NULL AND x.state <> 'rolled_back'), j.attempt) \
        LEFT JOIN job u ON u.undoes = j.id AND (u.ended_ms IS NULL OR u.state = 'rolled_back') \
        WHERE j.campaign_id = $1 AND j.task = 'remediate' AND j.begun_ms IS NOT NULL ORDER BY j.created_ms, j.id";
}

fleetmend_core::words! {
    /// Whether a job can be taken back.
    pub enum UndoStanding ("undo standing") {
        /// It can, as far as its remediation has an undo.
        Possible = "possible",
        /// It is still at work: cancel it first.
        AtWork = "at_work",
        /// A job that takes it back is at work.
        UnderWay = "under_way",
        /// It was taken back already.
        TakenBack = "taken_back",
        /// Its agent keeps what it would need no longer.
        TooOld = "too_old",
    }
}

/// A job of a campaign that changed something, or may have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Undoable {
    /// The job.
    pub job: JobId,
    /// Its last try that may have left something.
    pub attempt: u32,
    /// The host.
    pub host: HostId,
    /// Its name.
    pub host_name: String,
    /// Whether it is simulated.
    pub simulated: bool,
    /// The incident it was for.
    pub incident: IncidentId,
    /// The cause it acted on.
    pub cause: Slug,
    /// The remediation: the catalogue says how far it can be taken back.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// Where the job stands.
    pub state: JobState,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Whether it can be taken back.
    pub standing: UndoStanding,
    /// The job that takes, or took, it back.
    pub undone_by: Option<JobId>,
}

impl Db {
    /// The jobs of a campaign that changed something, or may have, oldest first, each with whether it can
    /// still be taken back.
    pub async fn campaign_undo_set(&self, id: CampaignId, now: Timestamp) -> Result<Vec<Undoable>> {
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(JOBS).bind(id.0).fetch_all(c).await)?;
        rows.into_iter().map(|row| row.read(now)).collect()
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    host_id: Uuid,
    name: String,
    simulated: bool,
    incident_id: Uuid,
    cause: String,
    remediation: String,
    version: i64,
    digest: String,
    state: String,
    attempt: i64,
    tried: String,
    ended_ms: Option<i64>,
    undo_id: Option<Uuid>,
    undo_state: Option<String>,
}

impl Row {
    fn read(self, now: Timestamp) -> Result<Undoable> {
        let at = At { table: "job", id: &self.id };
        let state: JobState = at.word("state", &self.state)?;
        let tried: JobState = at.word("tried", &self.tried)?;
        let undo: Option<JobState> =
            self.undo_state.map(|state| at.word("state", &state)).transpose()?;
        let ended = self.ended_ms.map(time);
        let standing = match (undo, ended) {
            (Some(JobState::RolledBack), _) => UndoStanding::TakenBack,
            (Some(_), _) => UndoStanding::UnderWay,
            (None, None) => UndoStanding::AtWork,
            (None, _) if tried == JobState::RolledBack => UndoStanding::TakenBack,
            (None, Some(ended)) if now.since(ended) >= limits::UNDO_KEPT => UndoStanding::TooOld,
            (None, Some(_)) => UndoStanding::Possible,
        };
        Ok(Undoable {
            job: self.id.into(),
            attempt: at.number("attempt", self.attempt)?,
            host: self.host_id.into(),
            host_name: self.name,
            simulated: self.simulated,
            incident: self.incident_id.into(),
            cause: at.word("cause", &self.cause)?,
            remediation: at.word("remediation", &self.remediation)?,
            version: at.number("version", self.version)?,
            digest: self.digest,
            state,
            ended,
            standing,
            undone_by: self.undo_id.map(Into::into),
        })
    }
}
