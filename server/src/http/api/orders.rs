//! From a wish to a job: which remediation of an incident's plan is ordered, or why none is. Used by
//! REST and by the pages.

use std::time::Duration;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{EvidenceId, IncidentId, JobId};
use fleetmend_core::knowledge::{Catalogue, Lang, Remediation, Risk};
use fleetmend_core::limits;
use fleetmend_core::plan::{Plan, PlannedStep};
use fleetmend_core::step::{Action, Place};
use fleetmend_core::words::Slug;
use fleetmend_store::{Host, IncidentDetail, Job, JobTerms, NewJob};

use super::{hosts, incidents};
use crate::entropy;
use crate::events::Event;
use crate::http::call::Call;
use crate::http::problem::Problem;

/// What somebody wants done about an incident.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The remediation; the plan's best, unless given.
    pub(crate) remediation: Option<String>,
    /// The highest risk allowed.
    pub(crate) max_risk: Risk,
    /// Why.
    pub(crate) reason: String,
}

/// The plan of an incident.
pub(crate) async fn plan(
    call: &Call,
    detail: &IncidentDetail,
    max_risk: Risk,
) -> Result<Plan, Problem> {
    let host = hosts::find(call, detail.incident.host).await?;
    let evidence = call.db().evidence(host.id).await?;
    Ok(plan_with(call, detail, &host, &evidence, max_risk))
}

fn plan_with(
    call: &Call,
    detail: &IncidentDetail,
    host: &Host,
    evidence: &[Evidence],
    max_risk: Risk,
) -> Plan {
    let catalogue = call.shared().catalogue;
    let key = &detail.incident.key;
    // The verdict that people see. Before the first triage, what triage will say.
    let judged = detail.incident.verdict.clone();
    let class = detail.incident.update_class;
    let verdict =
        judged.unwrap_or_else(|| fleetmend_core::triage::triage(catalogue, key, class, evidence));
    // What was tried in this incident and did not cure it is not chosen again by itself.
    let tried: Vec<(Slug, u32)> = detail
        .jobs
        .iter()
        .filter(|j| j.state.is_final() && j.state.has_begun())
        .map(|j| (j.remediation.clone(), j.version))
        .collect();
    fleetmend_core::plan::plan(catalogue, &verdict, host.facts.os, max_risk, &tried)
}

/// Orders a remediation: one job, its audit row in the same transaction, and a nudge to the host.
pub(crate) async fn order(call: &Call, incident: IncidentId, wish: &Wish) -> Result<Job, Problem> {
    let catalogue = call.shared().catalogue;
    let detail = incidents::find(call, incident).await?;
    if !detail.incident.state.is_open() {
        let state = detail.incident.state;
        let text = format!("the incident is {state}: only one that stands can be remediated");
        return Err(Problem::conflict("incident_state", text).with("state", state));
    }
    let host = hosts::find(call, detail.incident.host).await?;
    if !host.lifecycle.may_get_orders() {
        let text = format!(
            "the host is {}: only accepted hosts get orders (POST /api/v1/hosts/{}/accept)",
            host.lifecycle, host.id
        );
        return Err(Problem::conflict("host_state", text).with("state", host.lifecycle));
    }
    let evidence = call.db().evidence(host.id).await?;
    // What is dangerous needs a second person, whoever asks and whatever risk the wish allows.
    let allowed = wish.max_risk.min(Risk::Disruptive);
    let plan = plan_with(call, &detail, &host, &evidence, allowed);
    let (step, remediation) = choose(catalogue, &plan, wish)?;
    let new = NewJob {
        id: entropy::id(JobId::at, &*call.shared().clock),
        host: host.id,
        incident,
        cause: step.cause.clone(),
        remediation: remediation.id.clone(),
        version: remediation.version,
        digest: remediation.digest(),
        evidence: needed(remediation, detail.incident.key.subject.as_deref(), &evidence)?,
        steps_time: remediation
            .steps
            .iter()
            .map(|s| Duration::from_secs(u64::from(s.timeout_s)))
            .sum(),
        verify_within: limits::VERIFY_WITHIN,
        not_before: call.now,
        expires: call.now.after(limits::ORDER_LIFE),
        reason: wish.reason.clone(),
        terms: JobTerms::default(),
    };
    let job = call.db().create_job(&new, &call.actor(), call.now).await?;
    let shared = call.shared();
    shared.registry.nudge(host.id);
    shared.nudges.deadlines.notify_one();
    shared.events.tell(Event::Job { id: job.id });
    Ok(job)
}

/// The remediation that is meant, if it may be done.
fn choose<'a>(
    catalogue: &'a Catalogue,
    plan: &'a Plan,
    wish: &Wish,
) -> Result<(&'a PlannedStep, &'a Remediation), Problem> {
    let entry = |step: &PlannedStep| {
        catalogue.remediations.get(&step.remediation).ok_or_else(|| {
            Problem::internal(format!("{} is planned and not in the catalogue", step.remediation))
        })
    };
    let Some(named) = &wish.remediation else {
        let Some(step) = plan.next() else { return Err(nothing_automatic(catalogue, plan, wish)) };
        return Ok((step, entry(step)?));
    };
    let Some(step) = plan.steps.iter().find(|s| s.remediation.as_str() == named) else {
        let names: Vec<&str> = plan.steps.iter().map(|s| s.remediation.as_str()).collect();
        let shown = fleetmend_core::words::cut(named, 80);
        return Err(Problem::bad(
            "remediation",
            format!("\"{shown}\" is not in this incident's plan; one of: {}", names.join(", ")),
        )
        .accepting(names));
    };
    let remediation = entry(step)?;
    if !remediation.is_automatic() {
        return Err(by_hand(remediation));
    }
    if remediation.risk == Risk::Dangerous {
        return Err(needs_approval(remediation));
    }
    if remediation.risk > wish.max_risk {
        return Err(Problem::conflict(
            "risk",
            format!(
                "the risk of {named} is {}, over the allowed {}: allow it with \"max_risk\": \"{}\"",
                remediation.risk, wish.max_risk, remediation.risk
            ),
        )
        .field("max_risk")
        .with("risk", remediation.risk));
    }
    // Tried before and named again: a person's decision stands over the plan's.
    Ok((step, remediation))
}

/// Why nothing can be ordered: each remediation of the plan with its reason, and a guide where a
/// person can act.
fn nothing_automatic(catalogue: &Catalogue, plan: &Plan, wish: &Wish) -> Problem {
    let entries: Vec<&Remediation> =
        plan.steps.iter().filter_map(|s| catalogue.remediations.get(&s.remediation)).collect();
    if let Some(step) = plan
        .steps
        .iter()
        .find(|s| catalogue.remediations.get(&s.remediation).is_some_and(Remediation::is_automatic))
    {
        let dangerous = |r: &&Remediation| r.id == step.remediation && r.risk == Risk::Dangerous;
        if let Some(remediation) = entries.iter().copied().find(dangerous)
            && wish.max_risk >= Risk::Dangerous
        {
            return needs_approval(remediation);
        }
        let text = format!("nothing is ordered: {}: {}", step.remediation, step.reason);
        return Problem::conflict("risk", text)
            .field("max_risk")
            .with("max_risk", wish.max_risk)
            .with("plan", reasons(plan));
    }
    match entries.first() {
        Some(remediation) => by_hand(remediation),
        None => Problem::conflict(
            "no_remediation",
            "the catalogue knows no remediation for this incident: look at its evidence, and tell us",
        ),
    }
}

fn needs_approval(remediation: &Remediation) -> Problem {
    let text = format!(
        "{} is dangerous: it may only be ordered with the approval of a second person, and approvals do not exist in this version; nothing was ordered",
        remediation.id
    );
    Problem::conflict("approval", text).with("remediation", &remediation.id)
}

fn by_hand(remediation: &Remediation) -> Problem {
    let guide: Vec<&str> = remediation.guide.iter().map(|text| text.get(Lang::En)).collect();
    let name = remediation.name.get(Lang::En);
    let (kind, text) = if remediation.risk == Risk::Refused {
        (
            "refused",
            format!("{name}: never done by Fleetmend; the guide says why and what is better"),
        )
    } else {
        ("guided", format!("{name}: a person does this; the guide says how"))
    };
    Problem::conflict(kind, text).with("remediation", &remediation.id).with("guide", guide)
}

fn reasons(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|s| format!("{}: {}", s.remediation, s.reason)).collect()
}

/// The evidence whose values the steps use: the newest of each probe that has one, of those that
/// are about the incident's subject or about the host.
fn needed(
    remediation: &Remediation,
    subject: Option<&str>,
    evidence: &[Evidence],
) -> Result<Vec<EvidenceId>, Problem> {
    let mut ids: Vec<EvidenceId> = Vec::new();
    for step in &remediation.steps {
        let Some(probe) = probe_of(&step.action) else { continue };
        let newest = evidence
            .iter()
            .filter(|e| e.probe == *probe && e.value.is_some() && e.counts_for(subject))
            .max_by_key(|e| (e.at, e.id))
            .ok_or_else(|| {
                let text = format!(
                    "the step {} needs what the probe {probe} finds, and the host has not told it: wait for its next report",
                    step.action.title()
                );
                Problem::conflict("no_evidence", text).with("probe", probe)
            })?;
        if !ids.contains(&newest.id) {
            ids.push(newest.id);
        }
    }
    Ok(ids)
}

fn probe_of(action: &Action) -> Option<&Slug> {
    match action {
        Action::FileRename { place }
        | Action::FileQuarantine { place }
        | Action::FileCreateDir { place }
        | Action::FileRestore { place } => match place {
            Place::Evidence { evidence } => Some(evidence),
            Place::Below { .. } => None,
        },
        Action::ToolRun { value_from, .. } => value_from.as_ref(),
        Action::ReparseList { evidence } | Action::ReparseDetach { evidence } => Some(evidence),
        Action::ServiceStart { .. }
        | Action::ServiceStop { .. }
        | Action::ServiceRestart { .. }
        | Action::ServiceSetStart { .. }
        | Action::RegistrySet { .. }
        | Action::RegistryDelete { .. }
        | Action::FirewallSuspend { .. }
        | Action::AntivirusExclude { .. }
        | Action::BackupRun { .. }
        | Action::UpdateScan {}
        | Action::UpdateDownload {}
        | Action::UpdateInstall {}
        | Action::RestorePointCreate {}
        | Action::WaitUntil { .. }
        | Action::Reboot {} => None,
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_core::host::OsFamily;
    use fleetmend_core::report::{IncidentKey, Operation, Product};

    use super::*;

    #[test]
    fn nobody_orders_what_is_dangerous() {
        let mut catalogue = fleetmend_catalog::builtin().clone();
        let id: Slug = "apt.configure_pending".parse().expect("a slug");
        for remediation in catalogue.remediations.values_mut().filter(|r| r.is_automatic()) {
            remediation.risk = Risk::Dangerous;
        }
        let key = IncidentKey {
            product: Product::Apt,
            operation: Operation::Install,
            code: "apt.dpkg_interrupted".parse().ok(),
            subject: None,
        };
        let verdict = fleetmend_core::triage::triage(&catalogue, &key, None, &[]);
        let plan = fleetmend_core::plan::plan(
            &catalogue,
            &verdict,
            OsFamily::Linux,
            Risk::Disruptive,
            &[],
        );
        for remediation in [Some(id.to_string()), None] {
            let wish = Wish { remediation, max_risk: Risk::Dangerous, reason: "test".to_owned() };
            let problem = choose(&catalogue, &plan, &wish).expect_err("refused");
            assert_eq!((problem.status.as_u16(), problem.kind), (409, "approval"));
            assert!(problem.detail.contains("second person"), "{}", problem.detail);
        }
    }
}
