//! Lists of jobs.

use super::get::{JobRow, job_head};
use super::{Job, JobFilter};
use crate::backend::{Db, on_read};
use crate::error::Result;
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};

impl Db {
    /// Jobs, newest first.
    pub async fn jobs(&self, wanted: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        let mut filter = Filter::default();
        filter
            .any_of("j.state", wanted.state.iter().map(|s| s.as_str()))
            .any_of("j.task", wanted.task.iter().map(|t| t.as_str()))
            .maybe("j.host_id = ?", wanted.host.map(|id| id.0))
            .maybe("j.incident_id = ?", wanted.incident.map(|id| id.0))
            .maybe("j.remediation = ?", wanted.remediation.as_deref())
            .maybe("j.campaign_id = ?", wanted.campaign.map(|id| id.0));
        if wanted.active {
            filter.and("j.ended_ms IS NULL", []);
        }
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM job j", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(j.created_ms, j.id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<JobRow> = on_read!(self, |c| {
            let sql = filter.page_sql(job_head!(), " ORDER BY j.created_ms DESC, j.id DESC");
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let jobs = rows.into_iter().map(Job::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(jobs, limit, total, |job| Cursor::number(job.created.as_millis(), job.id.0)))
    }
}
