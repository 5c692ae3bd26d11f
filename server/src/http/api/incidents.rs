//! `/api/v1/incidents`.

use axum::http::StatusCode;
use fleetmend_core::campaign::{RebootPolicy, RestartNotice};
use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::knowledge::{Lang, Risk};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_store::{IncidentDetail, IncidentFilter, Page};
use serde::Deserialize;

use super::hosts::Nothing;
use super::model::{IncidentDetailView, IncidentView, JobView, PlanView, PlannedView, VerdictView};
use super::orders::{self, Ordered, Wish};
use super::{code, labels, reason, words};
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
    ("state", "/state"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("code", "/code"),
    ("symbol", "/symbol"),
    ("subject", "/subject"),
    ("cause", "/cause/id"),
    ("certainty", "/cause/certainty"),
    ("share", "/cause/share"),
    ("reports", "/reports"),
    ("first_report_at", "/first_report_at"),
    ("last_report_at", "/last_report_at"),
    ("ended_at", "/ended_at"),
    ("message", "/message"),
];

/// What shall be done about an incident.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remediate {
    /// The remediation; the plan's best within the risk, unless given.
    #[serde(default)]
    pub(crate) remediation: Option<String>,
    /// The highest risk allowed: safe (unless given), disruptive or dangerous.
    #[serde(default)]
    pub(crate) max_risk: Option<String>,
    /// Whether the host may be restarted: never or anytime. Unless given, only for a
    /// remediation that is named and needs it.
    #[serde(default)]
    pub(crate) reboot: Option<String>,
    /// How long before a restart users are told: 5m unless given, 24h at most; 0s tells nobody.
    #[serde(default)]
    pub(crate) notice: Option<String>,
    /// How often users may put a restart off: 3 unless given, 20 at most.
    #[serde(default)]
    pub(crate) deferrals: Option<u8>,
    /// Whether the plan's next remediation within the same bounds is tried after one that did not
    /// cure; no, unless given.
    #[serde(default)]
    pub(crate) climb: bool,
    /// Why; kept in the audit log.
    pub(crate) reason: String,
}

/// What is not ordered yet: it is dangerous.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct AwaitsApproval {
    /// What is awaited, and what to do.
    pub(crate) awaits: String,
    /// The campaign of one host.
    pub(crate) campaign: super::campaigns::CampaignView,
}

/// A decision to ignore.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ignore {
    /// Why; kept in the audit log.
    pub(crate) reason: String,
    /// Until when.
    #[schema(value_type = String)]
    pub(crate) until: Timestamp,
}

/// Which incidents the parameters want; those that stand, unless states are given.
pub(crate) fn filter(call: &Call) -> Result<IncidentFilter, Problem> {
    let mut state: Vec<IncidentState> = words(call, "state")?;
    if state.is_empty() {
        state = IncidentState::ALL.iter().copied().filter(|s| s.is_open()).collect();
    }
    Ok(IncidentFilter {
        host: call.query.parse::<HostId>("host")?,
        state,
        product: call.query.word::<Product>("product")?,
        operation: call.query.word::<Operation>("operation")?,
        code: code(call)?,
        cause: call.query.text("cause").map(|c| if c == "none" { "" } else { c }.to_owned()),
        subject: call.query.text("kb").map(str::to_owned),
        since: call.query.parse::<Timestamp>("since")?,
        labels: labels(call)?,
        build: call.query.text("build").map(str::to_owned),
    })
}

/// An incident, or 404.
pub(crate) async fn find(call: &Call, id: IncidentId) -> Result<IncidentDetail, Problem> {
    call.db().incident(id).await?.ok_or_else(|| {
        Problem::not_found(format!("there is no incident {id}: GET /api/v1/incidents lists them"))
    })
}

/// Lists incidents.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = filter(&call)?;
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().incidents(&filter, &page).await?;
        let catalogue = call.shared().catalogue;
        let items = page.items.into_iter().map(|i| IncidentView::new(i, catalogue)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Shows an incident with its verdict and evidence.
pub(crate) async fn get(call: Call) -> Answer {
    let detail = find(&call, call.id()?).await?;
    ok(&view(&call, detail).await?)
}

async fn view(call: &Call, detail: IncidentDetail) -> Result<IncidentDetailView, Problem> {
    let catalogue = call.shared().catalogue;
    let evidence = call.db().evidence(detail.incident.host).await?;
    Ok(IncidentDetailView {
        verdict: detail
            .incident
            .verdict
            .as_ref()
            .map(|v| VerdictView::new(v, &evidence, catalogue)),
        incident: IncidentView::new(detail.incident, catalogue),
        jobs: detail.jobs.into_iter().map(|j| JobView::new(j, catalogue)).collect(),
    })
}

/// Shows the remediations that fit an incident.
pub(crate) async fn plan(call: Call) -> Answer {
    let max_risk = risk(call.query.text("max_risk"))?;
    let detail = find(&call, call.id()?).await?;
    let plan = orders::plan(&call, &detail, max_risk).await?;
    let catalogue = call.shared().catalogue;
    ok(&PlanView {
        max_risk: max_risk.as_str(),
        steps: plan.steps.iter().map(|s| PlannedView::new(s, catalogue, Lang::En)).collect(),
    })
}

/// Orders a remediation.
pub(crate) async fn remediate(call: Call) -> Answer {
    let body: Remediate = call.json()?;
    let wish = Wish {
        remediation: body.remediation,
        max_risk: risk(body.max_risk.as_deref())?,
        reboot: reboot(body.reboot.as_deref())?,
        restart: restart(body.notice.as_deref(), body.deferrals)?,
        climb: body.climb,
        reason: reason(&body.reason)?.to_owned(),
    };
    match orders::order(&call, call.id()?, &wish).await? {
        Ordered::Job(job) => {
            json(StatusCode::CREATED, &JobView::new(*job, call.shared().catalogue))
        }
        Ordered::Campaign(campaign) => json(
            StatusCode::ACCEPTED,
            &AwaitsApproval {
                awaits: format!(
                    "dangerous: a second person must approve the campaign {id}, then it is started: \
                     fleetmend campaigns approve {id}, fleetmend campaigns start {id}",
                    id = campaign.id
                ),
                campaign: super::campaigns::CampaignView::new(&campaign),
            },
        ),
    }
}

/// Hides an incident until a day.
pub(crate) async fn ignore(call: Call) -> Answer {
    let body: Ignore = call.json()?;
    let id = call.id()?;
    ignore_until(&call, id, &body.reason, body.until).await?;
    ok(&view(&call, find(&call, id).await?).await?)
}

/// Hides an incident. Also used by pages.
pub(crate) async fn ignore_until(
    call: &Call,
    id: IncidentId,
    why: &str,
    until: Timestamp,
) -> Result<(), Problem> {
    let why = reason(why)?;
    if until <= call.now {
        return Err(Problem::bad("until", "until: a time that is still to come"));
    }
    let detail = find(call, id).await?;
    if !detail.incident.state.is_open() {
        let state = detail.incident.state;
        let text = format!("the incident is {state}: only one that stands can be ignored");
        return Err(Problem::conflict("incident_state", text).with("state", state));
    }
    let owner = call.caller.as_ref().map_or("", |c| c.name.as_str());
    call.db().ignore_incident(id, why, owner, until, &call.actor(), call.now).await?;
    call.shared().events.tell(Event::Incident { id: Some(id) });
    Ok(())
}

/// Takes an ignored incident back.
pub(crate) async fn reopen(call: Call) -> Answer {
    let _: Nothing = call.json()?;
    let id = call.id()?;
    reopen_ignored(&call, id).await?;
    ok(&view(&call, find(&call, id).await?).await?)
}

/// Takes an ignored incident back. Also used by pages.
pub(crate) async fn reopen_ignored(call: &Call, id: IncidentId) -> Result<(), Problem> {
    let state = find(call, id).await?.incident.state;
    if state != IncidentState::Ignored {
        let text = format!("the incident is {state}: only an ignored one can be reopened");
        return Err(Problem::conflict("incident_state", text).with("state", state));
    }
    call.db().reopen_incident(id, &call.actor(), call.now).await?;
    call.shared().nudges.triage.notify_one();
    call.shared().events.tell(Event::Incident { id: Some(id) });
    Ok(())
}

/// Whether somebody allows a restart.
pub(crate) fn reboot(text: Option<&str>) -> Result<Option<RebootPolicy>, Problem> {
    match text {
        None => Ok(None),
        Some("never") => Ok(Some(RebootPolicy::Never)),
        Some("anytime") => Ok(Some(RebootPolicy::Anytime)),
        // An order of its own has no window.
        Some(_) => Err(Problem::bad("reboot", "reboot: one of: never, anytime")
            .accepting(["never", "anytime"])),
    }
}

/// What users are told before a restart.
fn restart(notice: Option<&str>, deferrals: Option<u8>) -> Result<RestartNotice, Problem> {
    let usual = RestartNotice::default();
    let notice = match notice {
        Some(text) => text.parse().map_err(|e| Problem::bad("notice", format!("notice: {e}")))?,
        None => usual.notice,
    };
    let restart = RestartNotice { notice, deferrals: deferrals.unwrap_or(usual.deferrals) };
    match restart.wrong() {
        Some((field, text, remedy)) => {
            Err(Problem::bad(field, format!("{field}: {text}: {remedy}")))
        }
        None => Ok(restart),
    }
}

/// The highest risk that somebody allows; *safe* unless given.
pub(crate) fn risk(text: Option<&str>) -> Result<Risk, Problem> {
    const MAY: [Risk; 3] = [Risk::Safe, Risk::Disruptive, Risk::Dangerous];
    let words = MAY.map(Risk::as_str);
    match text.map(str::parse::<Risk>) {
        None => Ok(Risk::Safe),
        Some(Ok(risk)) if MAY.contains(&risk) => Ok(risk),
        Some(_) => {
            let detail = format!("max_risk: one of: {}", words.join(", "));
            Err(Problem::bad("max_risk", detail).accepting(words))
        }
    }
}
