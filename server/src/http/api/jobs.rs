//! `/api/v1/jobs`.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use fleetmend_core::ids::{HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, TaskKind};
use fleetmend_store::{Cancelled, JobDetail, JobFilter, LogPiece, Page};

use super::hosts::Why;
use super::model::{JobDetailView, JobView};
use super::{reason, words};
use crate::events::Event;
use crate::http::call::{Call, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// The columns of jobs in CSV.
pub(crate) const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("host", "/host/name"),
    ("host_id", "/host/id"),
    ("simulated", "/host/simulated"),
    ("incident", "/incident"),
    ("cause", "/cause"),
    ("task", "/task"),
    ("remediation", "/remediation"),
    ("version", "/version"),
    ("risk", "/risk"),
    ("state", "/state"),
    ("proof", "/proof"),
    ("detail", "/detail"),
    ("attempt", "/attempt"),
    ("ordered_by", "/ordered_by"),
    ("reason", "/reason"),
    ("created_at", "/created_at"),
    ("begun_at", "/begun_at"),
    ("ended_at", "/ended_at"),
];
/// Pieces of output read at once.
const LOG_PIECES: u32 = 1_000;

/// A job, or 404.
pub(crate) async fn find(call: &Call, id: JobId) -> Result<JobDetail, Problem> {
    call.db().job(id).await?.ok_or_else(|| {
        Problem::not_found(format!("there is no job {id}: GET /api/v1/jobs lists them"))
    })
}

/// Lists jobs, newest first.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = JobFilter {
        host: call.query.parse::<HostId>("host")?,
        incident: call.query.parse::<IncidentId>("incident")?,
        task: words::<TaskKind>(&call, "task")?,
        state: words::<JobState>(&call, "state")?,
        active: call.query.parse::<bool>("active")?.unwrap_or(false),
        remediation: call.query.text("remediation").map(str::to_owned),
        campaign: None,
    };
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().jobs(&filter, &page).await?;
        let catalogue = call.shared().catalogue;
        let items = page.items.into_iter().map(|j| JobView::new(j, catalogue)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Shows a job with its steps.
pub(crate) async fn get(call: Call) -> Answer {
    let detail = find(&call, call.id()?).await?;
    ok(&JobDetailView::new(detail, call.shared().catalogue))
}

/// Takes a job back, or asks its host to stop.
pub(crate) async fn cancel(call: Call) -> Answer {
    let body: Why = call.json()?;
    let id = call.id()?;
    stop(&call, id, &body.reason).await?;
    ok(&JobDetailView::new(find(&call, id).await?, call.shared().catalogue))
}

/// Takes a job back, or asks its host to stop. Also used by pages.
pub(crate) async fn stop(call: &Call, id: JobId, why: &str) -> Result<(), Problem> {
    let why = reason(why)?;
    let detail = find(call, id).await?;
    match call.db().cancel_job(id, why, &call.actor(), call.now).await? {
        Cancelled::AlreadyOver(state) => {
            return Err(Problem::conflict(
                "job_state",
                format!("the job is over already: {state}; nothing is left to cancel"),
            )
            .with("state", state));
        }
        Cancelled::Requested => call.shared().registry.nudge(detail.job.host),
        Cancelled::AtOnce => {}
    }
    call.shared().events.tell(Event::Job { id });
    Ok(())
}

/// The output of a job's steps as text: a heading for each step, then what it printed.
pub(crate) async fn log(call: Call) -> Answer {
    let id = call.id()?;
    let detail = find(&call, id).await?;
    let pieces = pieces(&call, id).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((StatusCode::OK, kind, text(&detail, &pieces)).into_response())
}

/// Every piece of a job's output. The store holds it to its bound.
pub(crate) async fn pieces(call: &Call, id: JobId) -> Result<Vec<LogPiece>, Problem> {
    let mut all: Vec<LogPiece> = Vec::new();
    let mut after = 0;
    loop {
        let page = call.db().job_log(id, after, LOG_PIECES).await?;
        let got = page.pieces.len();
        all.extend(page.pieces);
        if got == 0 || page.after == after {
            return Ok(all);
        }
        after = page.after;
    }
}

/// A job's output as one text.
pub(crate) fn text(detail: &JobDetail, pieces: &[LogPiece]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut at: Option<(u32, u32)> = None;
    for piece in pieces {
        let place = (piece.attempt, piece.step);
        if at != Some(place) {
            at = Some(place);
            let step = detail
                .attempts
                .iter()
                .find(|a| a.attempt == piece.attempt)
                .and_then(|a| a.steps.iter().find(|s| s.index == piece.step));
            // Output of no step is what the proof printed.
            let what = step.map_or_else(
                || "proof".to_owned(),
                |s| format!("step {}: {}", piece.step + 1, s.title),
            );
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "== attempt {}, {what}", piece.attempt);
        }
        text.push_str(&piece.text);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
