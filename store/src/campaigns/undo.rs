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
    /// A job that climbed has several tries, each with a remediation of its own. One that found its cause
    /// gone or was refused changed nothing, whatever it said on its way.
    TRIES = "SELECT j.id, j.host_id, h.name, h.simulated, j.incident_id, a.cause, a.remediation, a.version, a.digest, a.state, a.attempt, \
        a.ended_ms, j.ended_ms AS over_ms, u.id AS undo_id, u.state AS undo_state FROM job j JOIN host h ON h.id = j.host_id \
        JOIN job_attempt a ON a.job_id = j.id AND a.begun_ms IS NOT NULL AND a.state NOT IN ('not_applicable', 'skipped', 'cancelled') \
        LEFT JOIN job u ON u.undoes = j.id AND u.undoes_attempt = a.attempt AND (u.ended_ms IS NULL OR u.state = 'rolled_back') \
        WHERE j.campaign_id = $1 AND j.task = 'remediate' AND j.begun_ms IS NOT NULL ORDER BY j.created_ms, j.id, a.attempt";
}

fleetmend_core::words! {
    /// Whether a try can be taken back.
    pub enum UndoStanding ("undo standing") {
        /// It can, as far as its remediation has an undo.
        Possible = "possible",
        /// Its job is still at work: cancel it first.
        AtWork = "at_work",
        /// A job that takes it back is at work.
        UnderWay = "under_way",
        /// It was taken back already.
        TakenBack = "taken_back",
        /// Its agent keeps what it would need no longer.
        TooOld = "too_old",
    }
}

/// A try of a job of a campaign that changed something, or may have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Undoable {
    /// The job.
    pub job: JobId,
    /// The try.
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
    /// How the try ended, or where it stands.
    pub state: JobState,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Whether it can be taken back.
    pub standing: UndoStanding,
    /// The job that takes, or took, it back.
    pub undone_by: Option<JobId>,
}

impl Db {
    /// The tries of a campaign's jobs that changed something, or may have, oldest first, each with whether
    /// it can still be taken back.
    pub async fn campaign_undo_set(&self, id: CampaignId, now: Timestamp) -> Result<Vec<Undoable>> {
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(TRIES).bind(id.0).fetch_all(c).await)?;
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
    ended_ms: Option<i64>,
    over_ms: Option<i64>,
    undo_id: Option<Uuid>,
    undo_state: Option<String>,
}

impl Row {
    fn read(self, now: Timestamp) -> Result<Undoable> {
        let at = At { table: "job", id: &self.id };
        let state: JobState = at.word("state", &self.state)?;
        let undo: Option<JobState> =
            self.undo_state.map(|state| at.word("state", &state)).transpose()?;
        let ended = self.ended_ms.map(time);
        let standing = match (undo, ended) {
            (Some(JobState::RolledBack), _) => UndoStanding::TakenBack,
            (Some(_), _) => UndoStanding::UnderWay,
            (None, _) if state == JobState::RolledBack => UndoStanding::TakenBack,
            (None, _) if self.over_ms.is_none() => UndoStanding::AtWork,
            (None, None) => UndoStanding::AtWork,
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
