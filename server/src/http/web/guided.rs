//! Work for people: the queue, and the page of one piece with its steps in the reader's language.

use askama::Template;
use fleetmend_core::guided::GuidedState;
use fleetmend_core::ids::{GuidedTaskId, IncidentId};
use fleetmend_core::knowledge::Lang;
use fleetmend_store::{GuidedTask, PageRequest};

use super::list::Foot;
use super::{Choice, Frame, choices, html, see};
use crate::http::api::guided::{self, GuidedDetailView, GuidedStepView, GuidedView};
use crate::http::api::model::cause_name;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

const ROWS: u32 = 100;

#[derive(Debug, Template)]
#[template(path = "guided_list.html")]
struct GuidedListPage {
    p: Frame,
    rows: Vec<Row>,
    total: u64,
    foot: Foot,
    states: Vec<Choice>,
    assignee: String,
    kept: Vec<(String, String)>,
    filtered: bool,
}

#[derive(Debug)]
struct Row {
    task: GuidedTask,
    view: GuidedView,
    cause: String,
}

#[derive(Debug, Template)]
#[template(path = "guided.html")]
struct GuidedPage {
    p: Frame,
    task: GuidedTask,
    cause: String,
    explanation: String,
    detail: GuidedDetailView,
    notes: Vec<fleetmend_store::GuidedNote>,
    open: bool,
}

impl GuidedPage {
    /// A step in the reader's language.
    fn words<'a>(&self, step: &'a GuidedStepView) -> &'a str {
        match self.p.t.0 {
            Lang::En => &step.en,
            Lang::Ru => &step.ru,
        }
    }
}

/// The queue.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = guided::filter(&call)?;
    let cursor = call.query.parse("cursor")?;
    let page = call.db().guided_tasks(&filter, &PageRequest { limit: ROWS, cursor }).await?;
    let p = Frame::new(&call, "guided");
    let catalogue = call.shared().catalogue;
    let next = page.next.map(|c| c.to_string());
    let chosen =
        call.query.text("state").is_some().then(|| filter.state.first().copied()).flatten();
    let row = |task: GuidedTask| Row {
        view: GuidedView::new(task.clone(), catalogue, p.t.0),
        cause: cause_name(catalogue, task.cause.as_str(), p.t.0),
        task,
    };
    html(&GuidedListPage {
        foot: Foot::new(&call, &p, "guided", (page.items.len(), page.total), next),
        rows: page.items.into_iter().map(row).collect(),
        total: page.total,
        states: choices(GuidedState::ALL, GuidedState::as_str, chosen),
        assignee: call.query.text("assignee").unwrap_or_default().to_owned(),
        kept: super::kept(&call, &["state", "assignee"]),
        filtered: super::filtered(&call),
        p,
    })
}

/// One piece of work.
pub(crate) async fn page(call: Call) -> Answer {
    let detail = guided::find(&call, call.id()?).await?;
    let p = Frame::new(&call, "guided");
    let catalogue = call.shared().catalogue;
    let entry = catalogue.remediations.get(&detail.task.remediation);
    html(&GuidedPage {
        cause: cause_name(catalogue, detail.task.cause.as_str(), p.t.0),
        explanation: entry.map(|r| r.explanation.get(p.t.0).to_owned()).unwrap_or_default(),
        task: detail.task.clone(),
        notes: detail.notes.clone(),
        open: p.may_remediate && !detail.task.state.is_final(),
        detail: GuidedDetailView::new(detail, catalogue, p.t.0),
        p,
    })
}

/// Asks people for work about the incident that the form names.
pub(crate) async fn create(call: Call) -> Answer {
    let form = call.form(&[Param::one("incident", ""), Param::one("remediation", "")])?;
    let incident = form
        .parse::<IncidentId>("incident")?
        .ok_or_else(|| Problem::bad("incident", "incident: its id"))?;
    let id = guided::ask(&call, incident, form.text("remediation")).await?;
    Ok(see(&format!("/guided/{id}")))
}

/// Takes it.
pub(crate) async fn take(call: Call) -> Answer {
    call.form(&[])?;
    let id: GuidedTaskId = call.id()?;
    guided::take_by(&call, id, None).await?;
    Ok(back(id))
}

/// Keeps what the person changed: which boxes were ticked when the page was read goes with the form, so
/// that what another person ticked off meanwhile stays so.
pub(crate) async fn tick(call: Call) -> Answer {
    let form = call.form(&[Param::many("ticked", ""), Param::many("done", "")])?;
    let id: GuidedTaskId = call.id()?;
    let steps = |name: &str| -> Result<Vec<u32>, Problem> {
        let bad = |_| Problem::bad("done", "done: the places of steps, from 0");
        form.texts(name).map(|text| text.parse().map_err(bad)).collect()
    };
    let (marked, before) = (steps("done")?, steps("ticked")?);
    let done: Vec<u32> = marked.iter().copied().filter(|n| !before.contains(n)).collect();
    let not_done: Vec<u32> = before.into_iter().filter(|n| !marked.contains(n)).collect();
    guided::tick_off(&call, id, &done, &not_done).await?;
    Ok(back(id))
}

/// Writes on it.
pub(crate) async fn note(call: Call) -> Answer {
    let form = call.form(&[Param::one("text", "")])?;
    let id: GuidedTaskId = call.id()?;
    guided::write(&call, id, form.text("text").unwrap_or_default()).await?;
    Ok(back(id))
}

/// It is done.
pub(crate) async fn done(call: Call) -> Answer {
    call.form(&[])?;
    let id: GuidedTaskId = call.id()?;
    guided::finish(&call, id).await?;
    Ok(back(id))
}

/// It is not to be done.
pub(crate) async fn drop(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", "")])?;
    let id: GuidedTaskId = call.id()?;
    guided::forgo(&call, id, form.text("reason").unwrap_or_default()).await?;
    Ok(back(id))
}

fn back(id: GuidedTaskId) -> axum::response::Response {
    see(&format!("/guided/{id}"))
}
