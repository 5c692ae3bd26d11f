//! The list of jobs, and a job's page with its steps and live output.

use askama::Template;
use fleetmend_core::ids::JobId;
use fleetmend_core::job::JobState;
use fleetmend_core::order::Task;
use fleetmend_store::{Attempt, Job, JobFilter, JobStep, PageRequest};

use super::list::Foot;
use super::{Choice, Frame, choices, html, see};
use crate::http::api::{jobs, undo, words};
use crate::http::call::Call;
use crate::http::route::{Answer, Param};

const ROWS: u32 = 100;
/// The end of a job's output that its page shows, in bytes; all of it is at `/api/v1/jobs/…/log`.
const SHOWN: usize = 128 * 1024;

#[derive(Debug, Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    p: Frame,
    jobs: Vec<Job>,
    total: u64,
    foot: Foot,
    states: Vec<Choice>,
    kept: Vec<(String, String)>,
    filtered: bool,
}

#[derive(Debug, Template)]
#[template(path = "job.html")]
struct JobPage {
    p: Frame,
    name: String,
    job: Job,
    attempts: Vec<Attempt>,
    can_cancel: bool,
    /// Whether there may be something to take back: the page behind the button says what.
    can_undo: bool,
    /// remediate, verify or undo.
    task: &'static str,
    /// The job that this one takes back.
    undoes: Option<JobId>,
    log: String,
}

impl JobPage {
    /// A step's words, without an exit code that its own cell says.
    #[expect(clippy::unused_self, reason = "templates reach it through the page")]
    fn words<'a>(&self, step: &'a JobStep) -> &'a str {
        let said = step.exit.map(|exit| format!("exit {exit}"));
        if said.is_some_and(|said| said == step.detail) { "" } else { &step.detail }
    }
}

/// The list.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = JobFilter {
        host: call.query.parse("host")?,
        state: words::<JobState>(&call, "state")?,
        ..Default::default()
    };
    let cursor = call.query.parse("cursor")?;
    let page = call.db().jobs(&filter, &PageRequest { limit: ROWS, cursor }).await?;
    let p = Frame::new(&call, "jobs");
    let next = page.next.map(|c| c.to_string());
    html(&JobsPage {
        foot: Foot::new(&call, &p, "jobs", (page.items.len(), page.total), next),
        kept: super::kept(&call, &["state"]),
        filtered: super::filtered(&call),
        p,
        jobs: page.items,
        total: page.total,
        states: choices(JobState::ALL, JobState::as_str, filter.state.first().copied()),
    })
}

/// A job's page.
pub(crate) async fn page(call: Call) -> Answer {
    let id: JobId = call.id()?;
    let detail = jobs::find(&call, id).await?;
    let p = Frame::new(&call, "jobs");
    let catalogue = call.shared().catalogue;
    let entry = catalogue.remediations.get(&detail.job.remediation);
    let name =
        entry.map_or_else(|| detail.job.remediation.to_string(), |r| r.name.get(p.t.0).to_owned());
    let pieces = jobs::pieces(&call, id).await?;
    html(&JobPage {
        name,
        can_cancel: p.may_remediate && !detail.job.state.is_final() && !detail.job.cancel_requested,
        can_undo: p.may_remediate
            && detail.job.state.is_final()
            && detail.attempts.iter().any(|a| undo::leaves(catalogue, &detail.job, a)),
        task: detail.job.terms.task.as_str(),
        undoes: match detail.job.terms.task {
            Task::Undo { job, .. } => Some(job),
            Task::Remediate | Task::Verify => None,
        },
        log: end_of(&jobs::text(&detail, &pieces)).to_owned(),
        job: detail.job,
        attempts: detail.attempts,
        p,
    })
}

/// Cancels the job.
pub(crate) async fn cancel(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", "")])?;
    let id: JobId = call.id()?;
    jobs::stop(&call, id, form.text("reason").unwrap_or_default()).await?;
    Ok(see(&format!("/jobs/{id}")))
}

/// The last lines that fit.
fn end_of(text: &str) -> &str {
    if text.len() <= SHOWN {
        return text;
    }
    let mut from = text.len() - SHOWN;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].split_once('\n').map_or(&text[from..], |(_, rest)| rest)
}
