//! The list of incidents, and an incident's page with its plan.

use std::time::Duration;

use askama::Template;
use fleetmend_core::campaign::RestartNotice;
use fleetmend_core::guided::GuidedState;
use fleetmend_core::ids::{GuidedTaskId, IncidentId};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::knowledge::{Catalogue, Risk};
use fleetmend_core::plan::PlannedStep;
use fleetmend_store::{GuidedFilter, Incident, Job, PageRequest, StoredReport};

use super::i18n::Words;
use super::list::Foot;
use super::verdict::{self, Causes};
use super::{Choice, Frame, choices, html, see};
use crate::http::api::model::{PlannedView, cause_name};
use crate::http::api::orders::{self, Ordered, Wish};
use crate::http::api::verify::{self, Proving};
use crate::http::api::{hosts, incidents, reason};
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

const ROWS: u32 = 100;

#[derive(Debug, Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    p: Frame,
    incidents: Vec<Row>,
    total: u64,
    foot: Foot,
    code: String,
    kb: String,
    /// What else is filtered by, as hidden fields of the form.
    kept: Vec<(String, String)>,
    states: Vec<Choice>,
    filtered: bool,
}

#[derive(Debug)]
struct Row {
    incident: Incident,
    cause: String,
}

#[derive(Debug, Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    p: Frame,
    incident: Incident,
    /// What its code means; empty where that is not known.
    meaning: String,
    causes: Causes,
    plan: Vec<PlanCard>,
    can_order: bool,
    why_not: String,
    is_ignored: bool,
    /// The work that people were asked for, where it is not over.
    work: Option<GuidedTaskId>,
    jobs: Vec<Job>,
    reports: Vec<StoredReport>,
}

/// A remediation as `plan_card.html` shows it.
#[derive(Debug)]
pub(crate) struct PlanCard {
    /// What it is and does.
    pub(crate) view: PlannedView,
    /// Whether a form may order it.
    pub(crate) can_be_ordered: bool,
    /// Why it stands where it stands.
    pub(crate) why: String,
}

impl PlanCard {
    /// A planned remediation in the reader's language.
    pub(crate) fn new(step: &PlannedStep, catalogue: &Catalogue, t: Words) -> Self {
        Self {
            can_be_ordered: catalogue
                .remediations
                .get(&step.remediation)
                .is_some_and(|r| r.is_automatic() && r.risk != Risk::Dangerous),
            why: why(step, t),
            view: PlannedView::new(step, catalogue, t.0),
        }
    }
}

/// The list.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = incidents::filter(&call)?;
    let cursor = call.query.parse("cursor")?;
    let page = call.db().incidents(&filter, &PageRequest { limit: ROWS, cursor }).await?;
    let p = Frame::new(&call, "incidents");
    let catalogue = call.shared().catalogue;
    let next = page.next.map(|c| c.to_string());
    let foot = Foot::new(&call, &p, "incidents", (page.items.len(), page.total), next);
    let chosen =
        call.query.text("state").is_some().then(|| filter.state.first().copied()).flatten();
    html(&IncidentsPage {
        incidents: page
            .items
            .into_iter()
            .map(|incident| Row {
                cause: incident.cause.as_deref().map_or_else(
                    || no_leader(&incident, catalogue, p.t),
                    |id| cause_name(catalogue, id, p.t.0),
                ),
                incident,
            })
            .collect(),
        total: page.total,
        foot,
        kept: super::kept(&call, &["code", "kb", "state"]),
        kb: call.query.text("kb").unwrap_or_default().to_owned(),
        code: call.query.text("code").unwrap_or_default().to_owned(),
        states: choices(IncidentState::ALL, IncidentState::as_str, chosen),
        filtered: super::filtered(&call),
        p,
    })
}

/// What stands for the cause where none leads.
fn no_leader(incident: &Incident, catalogue: &Catalogue, t: Words) -> String {
    match fleetmend_core::triage::priors(catalogue, &incident.key, None).len() {
        0 => t.s("problem.unexplained").to_owned(),
        several => t.n("problem.possible_causes", several),
    }
}

/// What an incident's code means, in the reader's language; empty where that is not known.
pub(super) fn meaning(incident: &Incident, catalogue: &Catalogue, t: Words) -> String {
    let entry = incident.key.code.as_ref().and_then(|code| catalogue.codes.get(code));
    entry.map(|code| code.meaning.get(t.0).to_owned()).unwrap_or_default()
}

/// An incident's page.
pub(crate) async fn page(call: Call) -> Answer {
    let detail = incidents::find(&call, call.id()?).await?;
    let p = Frame::new(&call, "incidents");
    let catalogue = call.shared().catalogue;
    let host = hosts::find(&call, detail.incident.host).await?;
    let evidence = call.db().evidence(host.id).await?;
    // The page shows all that could be done; the form of each names the risk that it allows.
    let plan = orders::plan(&call, &detail, Risk::Dangerous).await?;
    let wanted = GuidedFilter {
        incident: Some(detail.incident.id),
        state: vec![GuidedState::Open, GuidedState::Doing],
        ..GuidedFilter::default()
    };
    let work = call.db().guided_tasks(&wanted, &PageRequest::first(1)).await?.items;
    let t = p.t;
    let active = detail.jobs.iter().find(|j| !j.state.is_final());
    let why_not = if !detail.incident.state.is_open() {
        t.s("incident.not_open").to_owned()
    } else if !host.lifecycle.may_get_orders() {
        t.f("incident.host_not_accepted", t.word("host", host.lifecycle))
    } else if host.active_job.is_some() || active.is_some() {
        t.s("incident.job_active").to_owned()
    } else {
        String::new()
    };
    html(&IncidentPage {
        meaning: meaning(&detail.incident, catalogue, t),
        causes: verdict::causes(detail.incident.verdict.as_ref(), &evidence, catalogue, t),
        plan: plan.steps.iter().map(|step| PlanCard::new(step, catalogue, t)).collect(),
        can_order: why_not.is_empty(),
        why_not,
        work: work.first().map(|task| task.id),
        is_ignored: detail.incident.state == IncidentState::Ignored,
        incident: detail.incident,
        jobs: detail.jobs,
        reports: detail.reports,
        p,
    })
}

/// Orders what the form names.
pub(crate) async fn remediate(call: Call) -> Answer {
    const FORM: &[Param] =
        &[Param::one("remediation", ""), Param::one("max_risk", ""), Param::one("reason", "")];
    let form = call.form(FORM)?;
    let wish = Wish {
        remediation: form.text("remediation").map(str::to_owned),
        max_risk: incidents::risk(form.text("max_risk"))?,
        reboot: None,
        restart: RestartNotice::default(),
        climb: false,
        reason: reason(form.text("reason").unwrap_or_default())?.to_owned(),
    };
    match orders::order(&call, call.id()?, &wish).await? {
        Ordered::Job(job) => Ok(see(&format!("/jobs/{}", job.id))),
        Ordered::Campaign(campaign) => Ok(see(&format!("/campaigns/{}", campaign.id))),
    }
}

/// Orders a proof.
pub(crate) async fn verify(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", "")])?;
    let why = reason(form.text("reason").unwrap_or_default())?;
    let proving = Proving { remediation: None, reason: why };
    let job = verify::order(&call, call.id()?, &proving).await?;
    Ok(see(&format!("/jobs/{}", job.id)))
}

/// Hides the incident for the days that the form names.
pub(crate) async fn ignore(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", ""), Param::one("days", "")])?;
    let days: u32 = form
        .parse("days")?
        .filter(|n| (1..=365).contains(n))
        .ok_or_else(|| Problem::bad("days", "days: from 1 to 365"))?;
    let id: IncidentId = call.id()?;
    let until = call.now.after(Duration::from_hours(24) * days);
    incidents::ignore_until(&call, id, form.text("reason").unwrap_or_default(), until).await?;
    Ok(see(&format!("/incidents/{id}")))
}

/// Takes the incident back.
pub(crate) async fn reopen(call: Call) -> Answer {
    call.form(&[])?;
    let id: IncidentId = call.id()?;
    incidents::reopen_ignored(&call, id).await?;
    Ok(see(&format!("/incidents/{id}")))
}

/// Why a remediation stands where it stands, in the reader's language. Safe as HTML.
fn why(step: &PlannedStep, t: Words) -> String {
    match step.risk {
        Risk::Guided => t.s("plan.guided").to_owned(),
        Risk::Refused => t.s("plan.refused").to_owned(),
        Risk::Dangerous => t.s("plan.needs_approval").to_owned(),
        Risk::Safe | Risk::Disruptive if step.allowed => {
            let chance = t.f2("plan.chance", t.percent(step.chance), t.num(step.cost.round()));
            match &step.counted {
                Some(counted) => format!("{chance} · {}", t.told(counted)),
                None => chance,
            }
        }
        Risk::Safe | Risk::Disruptive if step.tried => t.s("plan.tried").to_owned(),
        Risk::Safe | Risk::Disruptive => t.told(&step.reason),
    }
}
