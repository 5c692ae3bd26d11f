//! Reading work for people.

use fleetmend_core::ids::GuidedTaskId;
use uuid::Uuid;

use super::{GuidedDetail, GuidedFilter, GuidedNote, GuidedTask, GuidedTick};
use crate::backend::{Db, on_read};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::incidents::get::key;
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, count, some, time};
use crate::sql::statements;

/// What [`Row`] is read from.
macro_rules! head {
    () => {
        "SELECT g.id, g.host_id, h.name AS host_name, h.simulated, g.incident_id, i.state AS incident_state, i.product, \
         i.operation, i.code, i.subject, g.cause, g.remediation, g.version, g.state, g.assignee, g.created_by, g.created_ms, \
         g.updated_ms, g.ended_ms, g.reason, g.job_id, j.state AS job_state, \
         (SELECT COUNT(*) FROM guided_tick t WHERE t.task_id = g.id) AS ticked \
         FROM guided_task g JOIN host h ON h.id = g.host_id JOIN incident i ON i.id = g.incident_id \
         LEFT JOIN job j ON j.id = g.job_id"
    };
}

statements! {
    GET = concat!(head!(), " WHERE g.id = $1");
    TICKS = "SELECT step, ticked_by, at_ms FROM guided_tick WHERE task_id = $1 ORDER BY step";
    NOTES = "SELECT noted_by, at_ms, text FROM guided_note WHERE task_id = $1 ORDER BY number LIMIT 1000";
    OPEN = "SELECT COUNT(*) FROM guided_task WHERE ended_ms IS NULL";
}

impl Db {
    /// A piece of work with its ticks and notes.
    pub async fn guided_task(&self, id: GuidedTaskId) -> Result<Option<GuidedDetail>> {
        let row: Option<Row> =
            on_read!(self, |c| sqlx::query_as(GET).bind(id.0).fetch_optional(c).await)?;
        let Some(row) = row else { return Ok(None) };
        let ticks: Vec<(i64, String, i64)> =
            on_read!(self, |c| sqlx::query_as(TICKS).bind(id.0).fetch_all(c).await)?;
        let notes: Vec<(String, i64, String)> =
            on_read!(self, |c| sqlx::query_as(NOTES).bind(id.0).fetch_all(c).await)?;
        let at = At { table: "guided_tick", id: &id };
        let ticks = ticks.into_iter().map(|(step, by, ms)| {
            Ok(GuidedTick { step: at.number("step", step)?, by, at: time(ms) })
        });
        let notes = notes.into_iter().map(|(by, ms, text)| GuidedNote { by, at: time(ms), text });
        Ok(Some(GuidedDetail {
            task: row.try_into()?,
            ticks: ticks.collect::<Result<_>>()?,
            notes: notes.collect(),
        }))
    }

    /// Work for people, newest first.
    pub async fn guided_tasks(
        &self,
        wanted: &GuidedFilter,
        page: &PageRequest,
    ) -> Result<Page<GuidedTask>> {
        let mut filter = Filter::default();
        filter
            .any_of("g.state", wanted.state.iter().map(|s| s.as_str()))
            .maybe("g.host_id = ?", wanted.host.map(|id| id.0))
            .maybe("g.incident_id = ?", wanted.incident.map(|id| id.0))
            .maybe("g.remediation = ?", wanted.remediation.as_deref())
            .maybe("g.assignee = ?", wanted.assignee.as_deref());
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM guided_task g", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(g.created_ms, g.id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(head!(), " ORDER BY g.created_ms DESC, g.id DESC");
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let tasks = rows.into_iter().map(GuidedTask::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(tasks, limit, total, |t| Cursor::number(t.created.as_millis(), t.id.0)))
    }

    /// How much work waits for people or is under way.
    pub async fn guided_open(&self) -> Result<u64> {
        let open: i64 = on_read!(self, |c| sqlx::query_scalar(OPEN).fetch_one(c).await)?;
        Ok(count(open))
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    host_id: Uuid,
    host_name: String,
    simulated: bool,
    incident_id: Uuid,
    incident_state: String,
    product: String,
    operation: String,
    code: String,
    subject: String,
    cause: String,
    remediation: String,
    version: i64,
    state: String,
    assignee: String,
    created_by: String,
    created_ms: i64,
    updated_ms: i64,
    ended_ms: Option<i64>,
    reason: String,
    job_id: Option<Uuid>,
    job_state: Option<String>,
    ticked: i64,
}

impl TryFrom<Row> for GuidedTask {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "guided_task", id: &row.id };
        let job_state = row.job_state.map(|state| at.word("job.state", &state)).transpose()?;
        Ok(Self {
            id: row.id.into(),
            host: row.host_id.into(),
            host_name: row.host_name,
            simulated: row.simulated,
            incident: row.incident_id.into(),
            incident_state: at.word("incident.state", &row.incident_state)?,
            key: key(at, &row.product, &row.operation, &row.code, row.subject)?,
            cause: at.word("cause", &row.cause)?,
            remediation: at.word("remediation", &row.remediation)?,
            version: at.number("version", row.version)?,
            state: at.word("state", &row.state)?,
            assignee: some(row.assignee),
            created_by: row.created_by,
            created: time(row.created_ms),
            updated: time(row.updated_ms),
            ended: row.ended_ms.map(time),
            reason: some(row.reason),
            job: row.job_id.map(|id| (id.into(), job_state)),
            ticked: count(row.ticked),
        })
    }
}
