//! `/api/v1/catalog/backtest`: the incidents that stand, each with all that triage and plan look at, so
//! that a program can judge them by another catalogue. No catalogue is sent to the server.

use std::collections::BTreeMap;

use fleetmend_core::backtest::{Case, Judged};
use fleetmend_core::evidence::Evidence;
use fleetmend_core::incident::IncidentState;
use fleetmend_core::limits;
use fleetmend_core::words::Slug;
use fleetmend_store::{Incident, IncidentFilter, Page, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::incidents::risk;
use super::model::{HostRef, Time, time};
use crate::http::call::Call;
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// Incidents in one answer: their evidence makes them heavy.
const MOST: u32 = 200;

const COLUMNS: &[Column] = &[
    ("incident", "/incident"),
    ("host", "/host/name"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("code", "/code"),
    ("subject", "/subject"),
    ("cause", "/judged/cause"),
    ("certainty", "/judged/certainty"),
    ("next", "/judged/next"),
];

/// An incident with all that it is judged by, and what this server's catalogue makes of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestView {
    /// The incident.
    pub(crate) incident: String,
    /// Its host.
    pub(crate) host: HostRef,
    /// windows or linux.
    pub(crate) os: &'static str,
    /// Its build.
    pub(crate) build: String,
    /// What fails.
    pub(crate) product: &'static str,
    /// While doing what.
    pub(crate) operation: &'static str,
    /// The code; null for a failure without one.
    pub(crate) code: Option<String>,
    /// What it is about.
    pub(crate) subject: Option<String>,
    /// The kind of update, where it is known.
    pub(crate) update_class: Option<&'static str>,
    /// The newest answers on the host.
    pub(crate) evidence: Vec<AnswerView>,
    /// Remediations tried in it.
    pub(crate) tried: Vec<TriedView>,
    /// What this server's catalogue makes of just that.
    pub(crate) judged: JudgedView,
    /// This server's catalogue.
    pub(crate) catalogue: String,
}

/// The answer of a probe.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerView {
    /// The evidence.
    pub(crate) id: String,
    /// The probe.
    pub(crate) probe: String,
    /// What it is about; null where it is about the host.
    pub(crate) subject: Option<String>,
    /// yes, no or unknown.
    pub(crate) answer: &'static str,
    /// What it found, where remediations use it.
    pub(crate) value: Option<String>,
    /// When it was seen.
    pub(crate) at: Time,
}

/// A remediation that was tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriedView {
    /// The remediation.
    pub(crate) remediation: String,
    /// Its version.
    pub(crate) version: u32,
    /// The cause it was tried against.
    pub(crate) cause: String,
    /// What was known of the cause, before and after: answers by probe. Empty where nothing was kept.
    pub(crate) known: Vec<BTreeMap<String, String>>,
}

/// What a catalogue makes of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JudgedView {
    /// The leading cause; null for *other*.
    pub(crate) cause: Option<String>,
    /// How sure it is.
    pub(crate) certainty: &'static str,
    /// What an agent would do next within the risk; null for nothing.
    pub(crate) next: Option<String>,
}

/// Lists the incidents that stand, with all that they are judged by.
pub(crate) async fn list(call: Call) -> Answer {
    let allowed = risk(call.query.text("max_risk"))?;
    let state = IncidentState::ALL.iter().copied().filter(|s| s.is_open()).collect();
    let filter = IncidentFilter { state, ..IncidentFilter::default() };
    paging::list(call, COLUMNS, filter, move |call, filter, mut page: PageRequest| {
        page.limit = if page.limit == 0 { limits::PAGE } else { page.limit.min(MOST) };
        async move {
            let found = call.db().incidents(&filter, &page).await?;
            let mut hosts = BTreeMap::new();
            let mut items = Vec::with_capacity(found.items.len());
            for incident in found.items {
                let case = case(&call, &incident, &mut hosts).await?;
                let judged = Judged::new(call.shared().catalogue, &case, allowed);
                items.push(view(&call, incident, case, judged));
            }
            Ok(Page { items, next: found.next, total: found.total })
        }
    })
    .await
}

type Known = (fleetmend_core::host::OsFamily, String, Vec<Evidence>);

async fn case(
    call: &Call,
    incident: &Incident,
    hosts: &mut BTreeMap<fleetmend_core::ids::HostId, Known>,
) -> Result<Case, Problem> {
    if !hosts.contains_key(&incident.host) {
        let host = super::hosts::find(call, incident.host).await?;
        let evidence = call.db().evidence(host.id).await?;
        hosts.insert(host.id, (host.facts.os, host.facts.os_build, evidence));
    }
    let known = hosts.get(&incident.host).ok_or_else(|| Problem::internal("the host was read"))?;
    Ok(Case {
        key: incident.key.clone(),
        update_class: incident.update_class,
        os: known.0,
        build: known.1.clone(),
        evidence: known.2.clone(),
        tried: call.db().tried_in(incident.id).await?,
    })
}

fn view(call: &Call, incident: Incident, case: Case, judged: Judged) -> BacktestView {
    let name = |slug: Slug| slug.to_string();
    BacktestView {
        incident: incident.id.to_string(),
        host: HostRef {
            id: incident.host.to_string(),
            name: incident.host_name,
            simulated: incident.simulated,
        },
        os: case.os.as_str(),
        build: case.build,
        product: case.key.product.as_str(),
        operation: case.key.operation.as_str(),
        code: case.key.code.map(|code| code.to_string()),
        subject: case.key.subject,
        update_class: case.update_class.map(fleetmend_core::update_class::UpdateClass::as_str),
        evidence: case
            .evidence
            .into_iter()
            .map(|e| AnswerView {
                id: e.id.to_string(),
                probe: e.probe.to_string(),
                subject: e.subject,
                answer: e.answer.as_str(),
                value: e.value,
                at: time(e.at),
            })
            .collect(),
        tried: case
            .tried
            .into_iter()
            .map(|tried| TriedView {
                remediation: name(tried.remediation),
                version: tried.version,
                cause: name(tried.cause),
                known: tried.known.iter().map(|known| known.answers().clone()).collect(),
            })
            .collect(),
        judged: JudgedView {
            cause: judged.cause.map(name),
            certainty: judged.certainty.as_str(),
            next: judged.next.map(name),
        },
        catalogue: call.shared().catalogue.version.clone(),
    }
}
