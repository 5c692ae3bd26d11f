//! A host's history: its failures, recoveries, jobs and changes, newest first.

use fleetmend_core::ids::HostId;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::{TimelineEntry, TimelineKind};
use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::row::{At, time};
use crate::sql::statements;

statements! {
    /// Each part is cut to the limit by its own index before they are merged. What happened at one
    /// moment has one order too, on every database.
    TIMELINE = "SELECT at_ms, kind, text, incident_id, job_id FROM ( \
        SELECT * FROM (SELECT e.at_ms AS at_ms, e.kind AS kind, e.text AS text, CAST(NULL AS UUID) AS incident_id, CAST(NULL AS UUID) AS job_id, e.number AS tie, CAST(NULL AS UUID) AS row_id \
            FROM host_event e WHERE e.host_id = $1 AND e.at_ms < $2 ORDER BY e.at_ms DESC, e.number DESC LIMIT $3) AS events \
        UNION ALL \
        SELECT * FROM (SELECT r.at_ms, 'failure', r.product || ' ' || r.operation || ' ' || r.code || ' ' || r.subject, r.incident_id, CAST(NULL AS UUID), 0, r.id \
            FROM report r WHERE r.host_id = $1 AND r.at_ms < $2 AND r.kind = 'failure' ORDER BY r.at_ms DESC, r.id DESC LIMIT $3) AS reports \
        UNION ALL \
        SELECT * FROM (SELECT j.created_ms, 'job_created', j.remediation || ' ordered by ' || j.created_by, j.incident_id, j.id, 0, j.id \
            FROM job j WHERE j.host_id = $1 AND j.created_ms < $2 ORDER BY j.created_ms DESC, j.id DESC LIMIT $3) AS made \
        UNION ALL \
        SELECT * FROM (SELECT j.ended_ms, 'job_ended', j.remediation || ': ' || j.state, j.incident_id, j.id, 0, j.id \
            FROM job j WHERE j.host_id = $1 AND j.ended_ms < $2 ORDER BY j.ended_ms DESC, j.id DESC LIMIT $3) AS ended \
        ) AS entries ORDER BY at_ms DESC, kind, tie DESC, row_id DESC LIMIT $3";
}

impl Db {
    /// A host's history before a moment (`None`: up to now), newest first.
    pub async fn timeline(
        &self,
        host: HostId,
        before: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<TimelineEntry>> {
        let rows: Vec<Row> = on_read!(self, |c| sqlx::query_as(TIMELINE)
            .bind(host.0)
            .bind(before.unwrap_or(Timestamp::MAX).as_millis())
            .bind(i64::from(limit.min(fleetmend_core::limits::PAGE_MAX)))
            .fetch_all(c)
            .await)?;
        rows.into_iter().map(TimelineEntry::try_from).collect()
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    at_ms: i64,
    kind: String,
    text: String,
    incident_id: Option<Uuid>,
    job_id: Option<Uuid>,
}

impl TryFrom<Row> for TimelineEntry {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let kind: TimelineKind =
            At { table: "host_event", id: &row.at_ms }.word("kind", &row.kind)?;
        Ok(Self {
            at: time(row.at_ms),
            kind,
            text: row.text.trim_end().to_owned(),
            incident: row.incident_id.map(Into::into),
            job: row.job_id.map(Into::into),
        })
    }
}
