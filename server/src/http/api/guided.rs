//! `/api/v1/guided`: work for people.

use axum::http::StatusCode;
use fleetmend_core::guided::GuidedState;
use fleetmend_core::ids::{GuidedTaskId, HostId, IncidentId, JobId};
use fleetmend_core::knowledge::{Catalogue, Lang, Remediation, Risk};
use fleetmend_core::limits;
use fleetmend_store::{GuidedDetail, GuidedFilter, GuidedTask, NewGuidedTask, Page};
use serde::{Deserialize, Serialize};

use super::hosts::{Nothing, Why};
use super::model::{HostRef, Time, time, times};
use super::verify::{self, Proving};
use super::{incidents, orders, reason, words};
use crate::entropy;
use crate::events::Event;
use crate::http::call::{Call, json, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("host", "/host/name"),
    ("host_id", "/host/id"),
    ("simulated", "/host/simulated"),
    ("incident", "/incident"),
    ("cause", "/cause"),
    ("remediation", "/remediation"),
    ("version", "/version"),
    ("state", "/state"),
    ("proof", "/proof"),
    ("assignee", "/assignee"),
    ("ticked", "/ticked"),
    ("steps", "/steps_total"),
    ("asked_by", "/asked_by"),
    ("created_at", "/created_at"),
    ("ended_at", "/ended_at"),
    ("reason", "/reason"),
];

/// A piece of work for people.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct GuidedView {
    /// Its id.
    pub(crate) id: String,
    /// The host.
    pub(crate) host: HostRef,
    /// The incident it is for.
    pub(crate) incident: String,
    /// The cause it is against.
    pub(crate) cause: String,
    /// The guided remediation.
    pub(crate) remediation: String,
    /// Its version.
    pub(crate) version: u32,
    /// Its name for people.
    pub(crate) name: String,
    /// open, doing, done or dropped.
    pub(crate) state: &'static str,
    /// Once it is done: proved, refuted or awaited.
    pub(crate) proof: Option<&'static str>,
    /// The job that proves it, where an agent was asked.
    pub(crate) job: Option<String>,
    /// Who does it.
    pub(crate) assignee: Option<String>,
    /// Steps ticked off.
    pub(crate) ticked: u64,
    /// Steps there are.
    pub(crate) steps_total: usize,
    /// Who or what asked for it.
    pub(crate) asked_by: String,
    /// When.
    pub(crate) created_at: Time,
    /// When it last changed.
    pub(crate) updated_at: Time,
    /// When it was done or dropped.
    pub(crate) ended_at: Option<Time>,
    /// Why it was dropped.
    pub(crate) reason: Option<String>,
}

/// A piece of work with its steps and notes.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct GuidedDetailView {
    /// It.
    #[serde(flatten)]
    pub(crate) task: GuidedView,
    /// What a person does, in order.
    pub(crate) steps: Vec<GuidedStepView>,
    /// What people wrote, oldest first.
    pub(crate) notes: Vec<GuidedNoteView>,
}

/// A step for a person.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct GuidedStepView {
    /// Its place, from 0.
    pub(crate) index: u32,
    /// In English.
    pub(crate) en: String,
    /// In Russian.
    pub(crate) ru: String,
    /// Who did it.
    pub(crate) done_by: Option<String>,
    /// When.
    pub(crate) done_at: Option<Time>,
}

/// What somebody wrote.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct GuidedNoteView {
    /// Who.
    pub(crate) by: String,
    /// When.
    pub(crate) at: Time,
    /// What.
    pub(crate) text: String,
}

/// Work to be asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGuided {
    /// The incident.
    pub(crate) incident: String,
    /// The guided remediation; the plan's best, unless given.
    #[serde(default)]
    pub(crate) remediation: Option<String>,
}

/// Who shall do it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Take {
    /// The person's name; who asks, unless given.
    #[serde(default)]
    pub(crate) assignee: Option<String>,
}

/// Steps that are done, and steps that are not.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ticks {
    /// Places of steps that are done, from 0.
    #[serde(default)]
    pub(crate) done: Vec<u32>,
    /// Places of steps that are not done after all.
    #[serde(default)]
    pub(crate) not_done: Vec<u32>,
}

/// A note.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// What to write down.
    pub(crate) text: String,
}

impl GuidedView {
    /// From the store's.
    pub(crate) fn new(task: GuidedTask, catalogue: &Catalogue, lang: Lang) -> Self {
        let entry = catalogue.remediations.get(&task.remediation);
        Self {
            id: task.id.to_string(),
            proof: task.proof().map(fleetmend_core::guided::GuidedProof::as_str),
            host: HostRef {
                id: task.host.to_string(),
                name: task.host_name,
                simulated: task.simulated,
            },
            incident: task.incident.to_string(),
            cause: task.cause.to_string(),
            name: entry
                .map_or_else(|| task.remediation.to_string(), |r| r.name.get(lang).to_owned()),
            steps_total: entry.map_or(0, |r| r.guide.len()),
            remediation: task.remediation.to_string(),
            version: task.version,
            state: task.state.as_str(),
            job: task.job.map(|(id, _)| id.to_string()),
            assignee: task.assignee,
            ticked: task.ticked,
            asked_by: task.created_by,
            created_at: time(task.created),
            updated_at: time(task.updated),
            ended_at: times(task.ended),
            reason: task.reason,
        }
    }
}

impl GuidedDetailView {
    /// From the store's, with the steps of the catalogue.
    pub(crate) fn new(detail: GuidedDetail, catalogue: &Catalogue, lang: Lang) -> Self {
        let guide = catalogue
            .remediations
            .get(&detail.task.remediation)
            .map_or(&[][..], |remediation| &remediation.guide[..]);
        let steps = guide.iter().zip(0..).map(|(text, index)| {
            let tick = detail.ticks.iter().find(|tick| tick.step == index);
            GuidedStepView {
                index,
                en: text.en.clone(),
                ru: text.ru.clone(),
                done_by: tick.map(|tick| tick.by.clone()),
                done_at: tick.map(|tick| time(tick.at)),
            }
        });
        let note = |n: fleetmend_store::GuidedNote| GuidedNoteView {
            by: n.by,
            at: time(n.at),
            text: n.text,
        };
        Self {
            steps: steps.collect(),
            notes: detail.notes.into_iter().map(note).collect(),
            task: GuidedView::new(detail.task, catalogue, lang),
        }
    }
}

/// Which work the parameters want; what is not over, unless states are given.
pub(crate) fn filter(call: &Call) -> Result<GuidedFilter, Problem> {
    let mut state: Vec<GuidedState> = words(call, "state")?;
    if state.is_empty() {
        state = GuidedState::ALL.iter().copied().filter(|s| !s.is_final()).collect();
    }
    Ok(GuidedFilter {
        state,
        host: call.query.parse::<HostId>("host")?,
        incident: call.query.parse::<IncidentId>("incident")?,
        remediation: call.query.text("remediation").map(str::to_owned),
        assignee: call
            .query
            .text("assignee")
            .map(|name| if name == "nobody" { "" } else { name }.to_owned()),
    })
}

/// A piece of work, or 404.
pub(crate) async fn find(call: &Call, id: GuidedTaskId) -> Result<GuidedDetail, Problem> {
    call.db().guided_task(id).await?.ok_or_else(|| {
        Problem::not_found(format!("there is no guided task {id}: GET /api/v1/guided lists them"))
    })
}

/// Lists work for people.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = filter(&call)?;
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().guided_tasks(&filter, &page).await?;
        let catalogue = call.shared().catalogue;
        let view = |task| GuidedView::new(task, catalogue, Lang::En);
        let items = page.items.into_iter().map(view).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Shows a piece of work.
pub(crate) async fn get(call: Call) -> Answer {
    shown(&call, call.id()?).await
}

async fn shown(call: &Call, id: GuidedTaskId) -> Answer {
    ok(&GuidedDetailView::new(find(call, id).await?, call.shared().catalogue, Lang::En))
}

/// Asks people for work.
pub(crate) async fn create(call: Call) -> Answer {
    let body: NewGuided = call.json()?;
    let incident: IncidentId = body
        .incident
        .parse()
        .map_err(|e: fleetmend_core::ids::BadId| Problem::bad("incident", e.to_string()))?;
    let id = ask(&call, incident, body.remediation.as_deref()).await?;
    let detail = find(&call, id).await?;
    let view = GuidedDetailView::new(detail, call.shared().catalogue, Lang::En);
    json(StatusCode::CREATED, &view)
}

/// Asks people for work about an incident. Also used by pages.
pub(crate) async fn ask(
    call: &Call,
    incident: IncidentId,
    named: Option<&str>,
) -> Result<GuidedTaskId, Problem> {
    let detail = incidents::find(call, incident).await?;
    let state = detail.incident.state;
    if !state.is_open() {
        let text = format!("the incident is {state}: only one that stands is worked on");
        return Err(Problem::conflict("incident_state", text).with("state", state));
    }
    let plan = orders::plan(call, &detail, Risk::Dangerous).await?;
    let guided: Vec<_> = plan.steps.iter().filter(|step| step.risk == Risk::Guided).collect();
    let step = match named {
        Some(named) => guided.iter().find(|step| step.remediation.as_str() == named),
        None => guided.first(),
    };
    let Some(step) = step else {
        let names: Vec<&str> = guided.iter().map(|step| step.remediation.as_str()).collect();
        let text = match names.as_slice() {
            [] => "nothing in this incident's plan is done by a person".to_owned(),
            names => format!("remediation: one of: {}", names.join(", ")),
        };
        return Err(Problem::bad("remediation", text).accepting(names));
    };
    let new = NewGuidedTask {
        id: entropy::id(GuidedTaskId::at, &*call.shared().clock),
        incident,
        cause: step.cause.clone(),
        remediation: step.remediation.clone(),
        version: step.version,
    };
    let made = call.db().open_guided_task(&new, true, &call.actor(), call.now).await?;
    let made = made.ok_or_else(|| {
        let text =
            "somebody is asked for this incident already: GET /api/v1/guided?incident= shows it";
        Problem::conflict("guided_open", text)
    })?;
    call.shared().events.tell(Event::Incident { id: Some(incident) });
    Ok(made)
}

/// Gives it to somebody.
pub(crate) async fn take(call: Call) -> Answer {
    let body: Take = call.json()?;
    let id = call.id()?;
    take_by(&call, id, body.assignee.as_deref()).await?;
    shown(&call, id).await
}

/// Gives it to somebody, or to who asks. Also used by pages.
pub(crate) async fn take_by(
    call: &Call,
    id: GuidedTaskId,
    assignee: Option<&str>,
) -> Result<(), Problem> {
    find(call, id).await?;
    let name = assignee.map_or_else(|| person(call), |name| name.trim().to_owned());
    let fits = !name.is_empty() && name.len() <= 128 && !name.chars().any(char::is_control);
    if !fits {
        return Err(Problem::bad("assignee", "assignee: a name of at most 128 bytes"));
    }
    call.db().take_guided_task(id, &name, &call.actor(), call.now).await?;
    Ok(())
}

/// Ticks steps off.
pub(crate) async fn tick(call: Call) -> Answer {
    let body: Ticks = call.json()?;
    let id = call.id()?;
    tick_off(&call, id, &body.done, &body.not_done).await?;
    shown(&call, id).await
}

/// Ticks steps off, and takes ticks back. Also used by pages.
pub(crate) async fn tick_off(
    call: &Call,
    id: GuidedTaskId,
    done: &[u32],
    not_done: &[u32],
) -> Result<(), Problem> {
    let detail = find(call, id).await?;
    let steps = guide_of(call, &detail).map_or(limits::STEPS, |r| r.guide.len());
    if done.iter().chain(not_done).any(|step| *step as usize >= steps) {
        let text = format!("done: the places of its {steps} steps, from 0");
        return Err(Problem::bad("done", text));
    }
    if done.len() + not_done.len() > limits::STEPS * 2 {
        return Err(Problem::bad("done", "done: each step once"));
    }
    let person = person(call);
    let ticks = (done, not_done);
    call.db().tick_guided_task(id, ticks, (&person, &call.actor()), call.now).await?;
    Ok(())
}

/// Writes on it.
pub(crate) async fn note(call: Call) -> Answer {
    let body: Note = call.json()?;
    let id = call.id()?;
    write(&call, id, &body.text).await?;
    shown(&call, id).await
}

/// Writes on it. Also used by pages.
pub(crate) async fn write(call: &Call, id: GuidedTaskId, text: &str) -> Result<(), Problem> {
    find(call, id).await?;
    let text = text.trim().replace("\r\n", "\n");
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.is_empty() || text.len() > limits::DETAIL_BYTES || text.chars().any(bad) {
        let detail = format!("text: at most {} bytes of text", limits::DETAIL_BYTES);
        return Err(Problem::bad("text", detail));
    }
    let person = person(call);
    call.db().note_guided_task(id, &text, (&person, &call.actor()), call.now).await?;
    Ok(())
}

/// It is done: whether it helped is asked of the host's agent, where one can tell.
pub(crate) async fn done(call: Call) -> Answer {
    let _: Nothing = call.json()?;
    let id = call.id()?;
    finish(&call, id).await?;
    shown(&call, id).await
}

/// It is done. Gives the job that proves it; `None` where the next natural run is awaited. Also used
/// by pages.
pub(crate) async fn finish(call: &Call, id: GuidedTaskId) -> Result<Option<JobId>, Problem> {
    let detail = find(call, id).await?;
    let incident = call.db().finish_guided_task(id, &call.actor(), call.now).await?;
    let proving = Proving {
        remediation: Some(detail.task.remediation.as_str()),
        reason: &format!("whether guided task {id} helped"),
    };
    // What stands in the way (a job at work, a host that gets no orders) leaves it to the next run.
    let job = match verify::order(call, incident, &proving).await {
        Ok(job) => job.id,
        Err(why) if why.status.is_server_error() => return Err(why),
        Err(why) => {
            tracing::info!(task = %id, why = why.detail, "no agent can prove it now");
            return Ok(None);
        }
    };
    call.db().prove_guided_task(id, job).await?;
    Ok(Some(job))
}

/// It is not to be done.
pub(crate) async fn drop(call: Call) -> Answer {
    let body: Why = call.json()?;
    let id = call.id()?;
    forgo(&call, id, &body.reason).await?;
    shown(&call, id).await
}

/// It is not to be done. Also used by pages.
pub(crate) async fn forgo(call: &Call, id: GuidedTaskId, why: &str) -> Result<(), Problem> {
    let why = reason(why)?;
    find(call, id).await?;
    call.db().drop_guided_task(id, why, &call.actor(), call.now).await?;
    Ok(())
}

fn guide_of<'a>(call: &'a Call, detail: &GuidedDetail) -> Option<&'a Remediation> {
    call.shared().catalogue.remediations.get(&detail.task.remediation)
}

/// The name of who asks.
fn person(call: &Call) -> String {
    call.caller.as_ref().map_or_else(|| "nobody".to_owned(), |caller| caller.name.clone())
}
