//! `POST /api/v1/incidents/{id}/verify`: a job that changes nothing, and finds out whether the
//! failure is gone.

use std::time::Duration;

use axum::http::StatusCode;
use fleetmend_core::ids::{IncidentId, JobId};
use fleetmend_core::knowledge::{Remediation, Risk};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::words::Slug;
use fleetmend_store::{IncidentDetail, Job, JobTerms, NewJob};
use serde::Deserialize;

use super::model::JobView;
use super::{hosts, incidents, orders, reason};
use crate::entropy;
use crate::events::Event;
use crate::http::call::{Call, json};
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// The time that a proof itself may take on a host.
const PROVING: Duration = Duration::from_mins(30);

/// What shall be proved.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verify {
    /// The remediation by whose verification it is proved; the one that was tried last, else the
    /// plan's best, unless given.
    #[serde(default)]
    pub(crate) remediation: Option<String>,
    /// Why; kept in the audit log.
    pub(crate) reason: String,
}

/// The same for other parts of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proving<'a> {
    /// The remediation by whose verification it is proved.
    pub(crate) remediation: Option<&'a str>,
    /// Why.
    pub(crate) reason: &'a str,
}

/// Orders a proof.
pub(crate) async fn verify(call: Call) -> Answer {
    let body: Verify = call.json()?;
    let proving =
        Proving { remediation: body.remediation.as_deref(), reason: reason(&body.reason)? };
    let job = order(&call, call.id()?, &proving).await?;
    json(StatusCode::CREATED, &JobView::new(job, call.shared().catalogue))
}

/// Orders a proof. Also used by pages and for work of people.
pub(crate) async fn order(
    call: &Call,
    incident: IncidentId,
    proving: &Proving<'_>,
) -> Result<Job, Problem> {
    let detail = incidents::find(call, incident).await?;
    let state = detail.incident.state;
    if !state.is_open() {
        let text =
            format!("the incident is {state}: only one that stands can be proved or refuted");
        return Err(Problem::conflict("incident_state", text).with("state", state));
    }
    let host = hosts::find(call, detail.incident.host).await?;
    if !host.lifecycle.may_get_orders() {
        let text = format!("the host is {}: only accepted hosts get orders", host.lifecycle);
        return Err(Problem::conflict("host_state", text).with("state", host.lifecycle));
    }
    let (cause, remediation) = by_what(call, &detail, proving.remediation).await?;
    let own_probe = call.shared().catalogue.causes.get(&cause).and_then(|c| c.own_probe.clone());
    let new = NewJob {
        id: entropy::id(JobId::at, &*call.shared().clock),
        host: host.id,
        incident,
        cause,
        remediation: remediation.id.clone(),
        version: remediation.version,
        digest: remediation.digest(),
        evidence: Vec::new(),
        steps_time: PROVING,
        verify_within: limits::VERIFY_WITHIN,
        not_before: call.now,
        expires: call.now.after(limits::ORDER_LIFE),
        reason: proving.reason.to_owned(),
        terms: JobTerms { task: Task::Verify, own_probe, ..JobTerms::default() },
    };
    let job = call.db().create_job(&new, &call.actor(), call.now).await?;
    let shared = call.shared();
    shared.registry.nudge(host.id);
    shared.nudges.deadlines.notify_one();
    shared.events.tell(Event::Job { id: job.id });
    Ok(job)
}

/// The cause that is looked at, and the remediation whose verification proves it: of what was tried,
/// newest first, and then of the plan.
async fn by_what(
    call: &Call,
    detail: &IncidentDetail,
    named: Option<&str>,
) -> Result<(Slug, &'static Remediation), Problem> {
    let catalogue = call.shared().catalogue;
    let plan = orders::plan(call, detail, Risk::Dangerous).await?;
    let mut names: Vec<&'static str> = Vec::new();
    let tried = detail.jobs.iter().map(|job| (&job.cause, &job.remediation));
    let planned = plan.steps.iter().map(|step| (&step.cause, &step.remediation));
    for (cause, remediation) in tried.chain(planned) {
        let Some(entry) = catalogue.remediations.get(remediation) else { continue };
        if entry.risk == Risk::Refused {
            continue;
        }
        if named.is_none_or(|named| entry.id.as_str() == named) {
            return Ok((cause.clone(), entry));
        }
        names.push(entry.id.as_str());
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(Problem::conflict(
            "no_remediation",
            "the catalogue knows no remediation for this incident, and so no way to prove it gone: its next run tells",
        ));
    }
    let text = format!("remediation: one of: {}", names.join(", "));
    Err(Problem::bad("remediation", text).accepting(names))
}
