//! From a host's place in a campaign to its job: chosen by what is known of the host now, never by what
//! was known when the campaign was written.

use std::collections::BTreeMap;

use fleetmend_core::campaign::{Definition, Remedy};
use fleetmend_core::ids::JobId;
use fleetmend_core::knowledge::{Remediation, Risk};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use fleetmend_store::{JobTerms, NewJob};

use crate::orders::{Bounds, Case, Chosen, NotChosen, steps_time};

/// What is done on a host.
#[derive(Debug, Clone)]
pub enum Work {
    /// A job.
    Job(Box<NewJob>),
    /// Nothing yet: the host has not told what its remediation needs to know.
    Later {
        /// Why, in words.
        why: String,
    },
    /// Nothing automatic fits: the host is passed over.
    PassedOver {
        /// Why, in words. Where a person could act, triage has asked people already.
        why: String,
    },
}

/// The job of a host in a campaign, or why it has none; `allowed` are the remediations that may run for
/// it, each with its digest.
pub fn work_for(
    case: &Case,
    definition: &Definition,
    allowed: &BTreeMap<Slug, String>,
    (id, expires, now): (JobId, Timestamp, Timestamp),
) -> Work {
    let passed = |why: String| Work::PassedOver { why };
    let incident = &case.detail.incident;
    if !incident.state.is_open() {
        return passed(format!("its failure is {}: nothing is left to do", incident.state));
    }
    if !case.host.lifecycle.may_get_orders() {
        return passed(format!("the host is {} and gets no orders", case.host.lifecycle));
    }
    let named = match &definition.remedy {
        Remedy::VerifyOnly => {
            return match verification(case) {
                Ok(chosen) => job(case, definition, chosen, (id, expires, now)),
                Err(why) => passed(why.to_string()),
            };
        }
        Remedy::Remediation { id, .. } => Some(id.as_str()),
        Remedy::Plan => None,
    };
    // That the campaign runs means that whoever must approve it did.
    let bounds =
        Bounds { named, max_risk: definition.max_risk, reboot: definition.reboot, approved: true };
    let chosen = match case.choose(&bounds) {
        Ok(chosen) => chosen,
        // The next report of its failure may bring it.
        Err(why @ NotChosen::NoEvidence { .. }) => return Work::Later { why: why.to_string() },
        Err(why) => return passed(why.to_string()),
    };
    if let Remedy::Remediation { id, version, digest } = &definition.remedy
        && (chosen.step.version != *version || chosen.digest != *digest)
    {
        return passed(format!(
            "{id} is not the version {version} any more that was written and approved"
        ));
    }
    if allowed.get(&chosen.step.remediation) != Some(&chosen.digest) {
        return passed(format!(
            "{} is not among what the campaign may do as it was written and approved",
            chosen.step.remediation
        ));
    }
    job(case, definition, chosen, (id, expires, now))
}

fn job(
    case: &Case,
    definition: &Definition,
    chosen: Chosen,
    (id, expires, now): (JobId, Timestamp, Timestamp),
) -> Work {
    let minutes =
        case.catalogue.remediations.get(&chosen.step.remediation).map_or(0, |r| r.minutes);
    let spans = match definition.begin_in(&case.host.labels, minutes, now, expires) {
        Ok(spans) => spans,
        Err(bad) => return Work::PassedOver { why: bad.to_string() },
    };
    // Windows that never open before it expires are no windows at any time.
    if spans.as_ref().is_some_and(Vec::is_empty) {
        let why = "no window opens for it before the campaign expires".to_owned();
        return Work::PassedOver { why };
    }
    let verify_only = definition.remedy == Remedy::VerifyOnly;
    let terms = JobTerms {
        task: if verify_only { Task::Verify } else { Task::Remediate },
        climbs: definition.remedy == Remedy::Plan,
        max_risk: definition.max_risk,
        reboot: definition.reboot,
        max_deferrals: definition.restart.deferrals,
        notice_seconds: definition.restart.seconds(),
        begin_in: spans.unwrap_or_default(),
        known: chosen.known,
        own_probe: chosen.own_probe,
        ..JobTerms::default()
    };
    let order_ends = now.after(limits::ORDER_LIFE).min(expires);
    let last_span = terms.begin_in.iter().map(|span| span.until).max();
    Work::Job(Box::new(NewJob {
        id,
        host: case.host.id,
        incident: case.detail.incident.id,
        cause: chosen.step.cause,
        remediation: chosen.step.remediation,
        version: chosen.step.version,
        digest: chosen.digest,
        evidence: chosen.evidence,
        steps_time: chosen.steps_time,
        verify_within: limits::VERIFY_WITHIN,
        not_before: now,
        // One with windows lives to the end of the last that it may begin in, at most a week on.
        expires: last_span
            .map_or(order_ends, |end| end.min(now.after(WINDOW_LIFE)).min(expires).max(order_ends)),
        reason: definition.reason.clone(),
        terms,
    }))
}

/// How long an order waits for its window; later the campaign makes another.
const WINDOW_LIFE: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// What a job that only verifies names: the plan's first remediation, whose proof is asked for. That it
/// could not be done does not matter.
fn verification(case: &Case) -> Result<Chosen, NotChosen> {
    let plan = case.plan(Risk::Dangerous, fleetmend_core::campaign::RebootPolicy::Anytime);
    let automatic = |r: &&Remediation| r.is_automatic();
    let first = plan.steps.into_iter().find_map(|step| {
        let entry = case.catalogue.remediations.get(&step.remediation).filter(automatic)?;
        Some((step, entry))
    });
    let Some((step, entry)) = first else { return Err(NotChosen::NoRemediation) };
    let steps_time = steps_time(entry);
    let (known, own_probe) = case.known(&step.cause);
    let (digest, evidence) = (entry.digest(), Vec::new());
    Ok(Chosen { step, digest, evidence, steps_time, known, own_probe })
}
