//! `/api/v1/jobs/{id}/undo`: what of a job can be taken back, and the job that does it.

use axum::http::StatusCode;
use fleetmend_core::ids::JobId;
use fleetmend_core::job::{StepState, TaskKind};
use fleetmend_core::knowledge::{Catalogue, Lang, Remediation};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::step::Undo;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Attempt, Job, JobDetail, JobStep, JobTerms, NewJob};
use serde::{Deserialize, Serialize};

use super::model::{JobView, Time, time};
use super::{hosts, jobs, reason};
use crate::entropy;
use crate::events::Event;
use crate::http::call::{Call, json, ok};
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// What of a try can be taken back.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct UndoPreview {
    /// The job.
    pub(crate) job: String,
    /// The try that would be taken back.
    pub(crate) attempt: u32,
    /// What it did: a job that climbed tried several remediations.
    pub(crate) remediation: String,
    /// In which version.
    pub(crate) version: u32,
    /// The digest of that version, as it was done: the order that takes it back names it.
    pub(crate) digest: String,
    /// Whether anything of it can be taken back now.
    pub(crate) possible: bool,
    /// Why not, or what is not sure.
    pub(crate) why: Option<String>,
    /// Until when its host keeps what it takes.
    pub(crate) kept_until: Option<Time>,
    /// Its steps, in the order in which they are taken back: the last first.
    pub(crate) steps: Vec<UndoStepView>,
}

/// One step of the try.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct UndoStepView {
    /// Its place in the remediation, from 0.
    pub(crate) index: u32,
    /// In words.
    pub(crate) title: String,
    /// How it went.
    pub(crate) state: &'static str,
    /// exact: to the state before; compensating: to one as good; none: not at all; nothing: there is
    /// nothing to take back.
    pub(crate) undo: &'static str,
    /// Why not, in words.
    pub(crate) why: Option<String>,
}

/// A wish to take a job back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoWish {
    /// Why; kept in the audit log.
    pub(crate) reason: String,
    /// The try to take back; the last that left something, unless given.
    #[serde(default)]
    pub(crate) attempt: Option<u32>,
}

/// Shows what can be taken back.
pub(crate) async fn preview(call: Call) -> Answer {
    let attempt = call.query.parse::<u32>("attempt")?;
    let detail = jobs::find(&call, call.id()?).await?;
    ok(&look(&call, &detail, attempt, Lang::En)?)
}

/// Takes a job back.
pub(crate) async fn undo(call: Call) -> Answer {
    let body: UndoWish = call.json()?;
    let job = order(&call, call.id()?, body.attempt, &body.reason).await?;
    json(StatusCode::CREATED, &JobView::new(job, call.shared().catalogue))
}

/// What can be taken back of a job, or of one try of it. Also used by pages.
pub(crate) fn look(
    call: &Call,
    detail: &JobDetail,
    attempt: Option<u32>,
    lang: Lang,
) -> Result<UndoPreview, Problem> {
    let tried = choose(call.shared().catalogue, (&detail.job, &detail.attempts), attempt)?;
    Ok(describe(call.shared().catalogue, &detail.job, tried, call.now, lang))
}

/// Orders that a job is taken back. Also used by pages.
pub(crate) async fn order(
    call: &Call,
    id: JobId,
    attempt: Option<u32>,
    why: &str,
) -> Result<Job, Problem> {
    let why = reason(why)?;
    let detail = jobs::find(call, id).await?;
    let preview = look(call, &detail, attempt, Lang::En)?;
    if !preview.possible {
        let text = preview.why.clone().unwrap_or_default();
        return Err(Problem::conflict("not_undoable", text).with("preview", preview));
    }
    let job = detail.job;
    let host = hosts::find(call, job.host).await?;
    let tried = choose(call.shared().catalogue, (&job, &detail.attempts), Some(preview.attempt))?;
    let entry = entry_of(call.shared().catalogue, tried);
    let new = NewJob {
        id: entropy::id(JobId::at, &*call.shared().clock),
        host: host.id,
        incident: job.incident,
        cause: tried.cause.clone(),
        remediation: tried.remediation.clone(),
        version: tried.version,
        digest: tried.digest.clone(),
        evidence: Vec::new(),
        steps_time: entry.map_or(limits::JOB_GRACE, crate::orders::steps_time),
        verify_within: limits::VERIFY_WITHIN,
        not_before: call.now,
        expires: call.now.after(limits::ORDER_LIFE),
        reason: why.to_owned(),
        terms: JobTerms {
            task: Task::Undo { job: id, attempt: preview.attempt },
            max_risk: job.terms.max_risk,
            ..JobTerms::default()
        },
    };
    let made = call.db().create_job(&new, &call.actor(), call.now).await?;
    let shared = call.shared();
    shared.registry.nudge(host.id);
    shared.nudges.deadlines.notify_one();
    for id in [made.id, id] {
        shared.events.tell(Event::Job { id });
    }
    Ok(made)
}

/// The try that is meant: the one named, else the last of which anything can be taken back, else the
/// last that began.
fn choose<'a>(
    catalogue: &Catalogue,
    (job, attempts): (&Job, &'a [Attempt]),
    attempt: Option<u32>,
) -> Result<&'a Attempt, Problem> {
    if let Some(number) = attempt {
        return attempts.iter().find(|a| a.attempt == number).ok_or_else(|| {
            let tries = attempts.len();
            Problem::bad("attempt", format!("attempt: from 1 to {tries}, the tries of this job"))
        });
    }
    let begun = || attempts.iter().rev().filter(|a| a.begun.is_some());
    begun().find(|tried| leaves(catalogue, job, tried)).or_else(|| begun().next()).ok_or_else(
        || {
            Problem::conflict(
                "not_undoable",
                "the job changed nothing: there is nothing to take back",
            )
        },
    )
}

/// Whether a try of a job left something that can be taken back, and that nobody takes back.
pub(crate) fn leaves(catalogue: &Catalogue, job: &Job, tried: &Attempt) -> bool {
    let entry = entry_of(catalogue, tried);
    let can = |step: &JobStep| !matches!(step_undo(entry, step, Lang::En).0, "nothing" | "none");
    job.terms.task.kind() == TaskKind::Remediate
        && tried.begun.is_some()
        && tried.undone_by.is_none()
        && tried.steps.iter().any(can)
}

fn entry_of<'a>(catalogue: &'a Catalogue, tried: &Attempt) -> Option<&'a Remediation> {
    catalogue.remediations.get(&tried.remediation).filter(|r| r.version == tried.version)
}

fn describe(
    catalogue: &Catalogue,
    job: &Job,
    tried: &Attempt,
    now: Timestamp,
    lang: Lang,
) -> UndoPreview {
    let entry = entry_of(catalogue, tried);
    let steps: Vec<UndoStepView> = tried
        .steps
        .iter()
        .rev()
        .map(|step| {
            let (undo, why) = step_undo(entry, step, lang);
            let (title, state) = (step.title.clone(), step.state.as_str());
            UndoStepView { index: step.index, title, state, undo, why }
        })
        .collect();
    let kept_until = tried.ended.map(|at| at.after(limits::UNDO_KEPT));
    let can = |word| steps.iter().any(|step| step.undo == word);
    let why = if job.terms.task.kind() != TaskKind::Remediate {
        Some(
            lang.pick(
                "it changed nothing that could be taken back",
                "это задание ничего не меняло",
            ),
        )
    } else if !job.state.is_final() {
        Some(lang.pick("it is not over: cancel it instead", "задание не завершено: остановите его"))
    } else if tried.undone_by.is_some() {
        let text = "it is taken back already, or being taken back";
        Some(lang.pick(text, "эта попытка уже отменена или отменяется"))
    } else if tried.begun.is_none() {
        Some(lang.pick("this try never began", "эта попытка не начиналась"))
    } else if kept_until.is_none_or(|until| until <= now) {
        let text = "what it takes to take it back is kept for 30 days, and is gone";
        Some(lang.pick(text, "данные для отмены хранятся 30 дней и уже удалены"))
    } else if !(can("exact") || can("compensating") || can("unsure")) {
        Some(lang.pick("nothing of it can be taken back", "ничего из сделанного нельзя отменить"))
    } else {
        None
    };
    UndoPreview {
        job: job.id.to_string(),
        attempt: tried.attempt,
        remediation: tried.remediation.to_string(),
        version: tried.version,
        digest: tried.digest.clone(),
        possible: why.is_none(),
        why: why.map(str::to_owned),
        kept_until: kept_until.map(time),
        steps,
    }
}

/// How far a step can be taken back, and why not.
fn step_undo(
    entry: Option<&Remediation>,
    step: &JobStep,
    lang: Lang,
) -> (&'static str, Option<String>) {
    let say = |word, en: &str, ru: &str| (word, Some(lang.pick(en, ru).to_owned()));
    match step.state {
        StepState::AlreadyDone => {
            return say("nothing", "it was so already", "так уже было до задания");
        }
        StepState::Undone => return say("nothing", "it was taken back already", "уже отменено"),
        StepState::Unknown => {
            let en = "a crash hid what it did: the host looks, and takes back what is left of it";
            return say(
                "unsure",
                en,
                "сбой скрыл, что было сделано: хост посмотрит и отменит то, что осталось",
            );
        }
        StepState::Running | StepState::Done | StepState::Failed | StepState::UndoFailed => {}
    }
    let action = entry.and_then(|r| r.steps.get(step.index as usize)).map(|s| &s.action);
    let Some(action) = action else {
        let en = "the catalogue has another version of it by now: the host's own journal decides";
        return say("unsure", en, "в каталоге уже другая версия: решит журнал самого хоста");
    };
    match action.undo() {
        Undo::None => ("none", action.why_final(lang).map(str::to_owned)),
        undo => (undo.as_str(), None),
    }
}
