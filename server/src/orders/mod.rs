//! From an incident to a job: which remediation of its plan is ordered within given bounds, or why
//! none is. REST, the pages and the campaigns all choose here.

mod needs;
mod people;

pub use needs::evidence as needed;
pub use people::ask_people;

use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::efficacy::Efficacy;
use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{EvidenceId, IncidentId};
use fleetmend_core::knowledge::{Catalogue, RebootNeed, Remediation, Risk};
use fleetmend_core::known::Known;
use fleetmend_core::plan::{Ask, Plan, PlannedStep, Tried, plan_for};
use fleetmend_core::triage::{Verdict, triage};
use fleetmend_core::words::Slug;
use fleetmend_store::{Db, Host, IncidentDetail, StoreError};

/// All that a choice for one incident is made from.
#[derive(Debug)]
pub struct Case {
    /// What the server knows of failures.
    pub catalogue: &'static Catalogue,
    /// The incident.
    pub detail: IncidentDetail,
    /// Its host.
    pub host: Host,
    /// What is known of the host.
    pub evidence: Vec<Evidence>,
    /// What was tried in the incident, and on what.
    pub tried: Vec<Tried>,
    /// What the fleet has counted of the remediations against its causes.
    pub efficacy: Efficacy,
}

/// How far a choice may go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// This remediation, and no other.
    pub named: Option<&'a str>,
    /// The highest risk allowed.
    pub max_risk: Risk,
    /// Whether the host may be restarted.
    pub reboot: RebootPolicy,
    /// Whether a second person approved: without one nothing dangerous is chosen.
    pub approved: bool,
}

/// What is chosen.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The remediation as the plan has it.
    pub step: PlannedStep,
    /// Its digest.
    pub digest: String,
    /// Evidence whose values its steps use.
    pub evidence: Vec<EvidenceId>,
    /// The time that all its steps may take.
    pub steps_time: Duration,
    /// What is known of its cause now: the same is not tried again on it.
    pub known: Option<Known>,
    /// The cause's own probe.
    pub own_probe: Option<Slug>,
}

/// Why nothing is chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotChosen {
    /// The one that is named does not fit the incident.
    #[error("it is not in this incident's plan; one of: {}", names.join(", "))]
    NotInPlan {
        /// Those that do.
        names: Vec<String>,
    },
    /// A person does it, or nobody should.
    #[error("{remediation} is {risk}: no agent runs it")]
    ByHand {
        /// The remediation.
        remediation: Slug,
        /// *guided* or *refused*.
        risk: Risk,
    },
    /// It is dangerous, and no second person approved.
    #[error("{remediation} is dangerous: it needs the approval of a second person")]
    NeedsApproval {
        /// The remediation.
        remediation: Slug,
    },
    /// The one that is named goes over the allowed risk.
    #[error("the risk of {remediation} is {risk}, over the allowed {allowed}")]
    OverRisk {
        /// The remediation.
        remediation: Slug,
        /// Its risk.
        risk: Risk,
        /// The highest allowed.
        allowed: Risk,
    },
    /// The one that is named restarts the host.
    #[error("{remediation} restarts the host, or may, and no restart is allowed")]
    Restarts {
        /// The remediation.
        remediation: Slug,
    },
    /// Nothing of the plan may be done within the bounds.
    #[error("{}", reasons.first().map_or("the plan is empty", String::as_str))]
    Nothing {
        /// Every remediation of the plan, with why it is not done.
        reasons: Vec<String>,
    },
    /// The catalogue knows nothing against it.
    #[error("the catalogue knows no remediation for this incident")]
    NoRemediation,
    /// A step uses what a probe finds, and the host has not told it.
    #[error("the step {step} needs what the probe {probe} finds, and the host has not told it")]
    NoEvidence {
        /// The step in words.
        step: String,
        /// The probe.
        probe: Slug,
    },
}

impl Case {
    /// Reads all that is needed; `None` where there is no such incident.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn read(
        db: &Db,
        catalogue: &'static Catalogue,
        incident: IncidentId,
    ) -> Result<Option<Self>, StoreError> {
        let Some(detail) = db.incident(incident).await? else { return Ok(None) };
        let id = detail.incident.host;
        let Some(host) = db.host(id).await? else { return Ok(None) };
        Self::of(db, catalogue, detail, host).await.map(Some)
    }

    /// The same for an incident and a host that were read.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn of(
        db: &Db,
        catalogue: &'static Catalogue,
        detail: IncidentDetail,
        host: Host,
    ) -> Result<Self, StoreError> {
        let evidence = db.evidence(host.id).await?;
        let tried = db.tried_in(detail.incident.id).await?;
        let mut case =
            Self { catalogue, detail, host, evidence, tried, efficacy: Efficacy::default() };
        let verdict = case.verdict();
        let causes: Vec<Slug> = verdict.causes.into_iter().filter_map(|c| c.cause).collect();
        case.efficacy = db.efficacy_of(&causes, case.host.facts.simulated).await?;
        Ok(case)
    }

    /// The verdict that people see. Before the first triage, what triage will say.
    pub fn verdict(&self) -> Verdict {
        let incident = &self.detail.incident;
        incident.verdict.clone().unwrap_or_else(|| {
            triage(self.catalogue, &incident.key, incident.update_class, &self.evidence)
        })
    }

    /// What is known of a cause, and its own probe: they go with a job.
    pub fn known(&self, cause: &Slug) -> (Option<Known>, Option<Slug>) {
        let subject = self.detail.incident.key.subject.as_deref();
        match self.catalogue.causes.get(cause) {
            None => (None, None),
            Some(entry) => {
                let known = Known::of(entry, subject, &self.evidence);
                (Some(known), entry.own_probe.clone())
            }
        }
    }

    /// The incident's plan.
    pub fn plan(&self, max_risk: Risk, reboot: RebootPolicy) -> Plan {
        let key = &self.detail.incident.key;
        let ask = Ask {
            os: self.host.facts.os,
            build: &self.host.facts.os_build,
            allowed: max_risk,
            restarts: reboot != RebootPolicy::Never,
            subject: key.subject.as_deref(),
            evidence: &self.evidence,
            tried: &self.tried,
            efficacy: &self.efficacy,
        };
        plan_for(self.catalogue, &self.verdict(), &ask)
    }

    /// Chooses within bounds.
    ///
    /// # Errors
    /// Why nothing is chosen.
    pub fn choose(&self, bounds: &Bounds<'_>) -> Result<Chosen, NotChosen> {
        let allowed =
            if bounds.approved { bounds.max_risk } else { bounds.max_risk.min(Risk::Disruptive) };
        let plan = self.plan(allowed, bounds.reboot);
        let step = match bounds.named {
            Some(named) => self.named(&plan, named, bounds)?,
            None => plan.next().ok_or_else(|| self.nothing(&plan, bounds))?,
        };
        let Some(remediation) = self.catalogue.remediations.get(&step.remediation) else {
            return Err(NotChosen::NoRemediation);
        };
        let subject = self.detail.incident.key.subject.as_deref();
        let (known, own_probe) = self.known(&step.cause);
        Ok(Chosen {
            known,
            own_probe,
            step: step.clone(),
            digest: remediation.digest(),
            evidence: needs::evidence(remediation, subject, &self.evidence)?,
            steps_time: steps_time(remediation),
        })
    }

    /// The remediation that is named, if it may be done. That it was tried before does not count: a
    /// person's decision stands over the plan's.
    fn named<'a>(
        &self,
        plan: &'a Plan,
        named: &str,
        bounds: &Bounds<'_>,
    ) -> Result<&'a PlannedStep, NotChosen> {
        let found = plan.steps.iter().find(|step| step.remediation.as_str() == named);
        let entry = found.and_then(|step| self.catalogue.remediations.get(&step.remediation));
        let (Some(step), Some(entry)) = (found, entry) else {
            let names = plan.steps.iter().map(|step| step.remediation.to_string()).collect();
            return Err(NotChosen::NotInPlan { names });
        };
        let remediation = entry.id.clone();
        if !entry.is_automatic() {
            return Err(NotChosen::ByHand { remediation, risk: entry.risk });
        }
        if entry.risk == Risk::Dangerous && !bounds.approved {
            return Err(NotChosen::NeedsApproval { remediation });
        }
        if entry.risk > bounds.max_risk {
            let (risk, allowed) = (entry.risk, bounds.max_risk);
            return Err(NotChosen::OverRisk { remediation, risk, allowed });
        }
        if entry.reboot != RebootNeed::Never && bounds.reboot == RebootPolicy::Never {
            return Err(NotChosen::Restarts { remediation });
        }
        Ok(step)
    }

    /// Why nothing can be chosen: what an agent could do with more leave, else what a person does.
    fn nothing(&self, plan: &Plan, bounds: &Bounds<'_>) -> NotChosen {
        let entry = |step: &PlannedStep| self.catalogue.remediations.get(&step.remediation);
        let automatic =
            plan.steps.iter().filter_map(entry).find(|remediation| remediation.is_automatic());
        if let Some(first) = automatic {
            let approvable = !bounds.approved && bounds.max_risk >= Risk::Dangerous;
            if approvable && first.risk == Risk::Dangerous {
                return NotChosen::NeedsApproval { remediation: first.id.clone() };
            }
            // The one that an agent could do comes first: its reason is the one that matters.
            let mut steps: Vec<&PlannedStep> = plan.steps.iter().collect();
            steps.sort_by_key(|step| step.remediation != first.id);
            let words = |step: &&PlannedStep| format!("{}: {}", step.remediation, step.reason);
            return NotChosen::Nothing { reasons: steps.iter().map(words).collect() };
        }
        match plan.steps.iter().find_map(entry) {
            Some(first) => NotChosen::ByHand { remediation: first.id.clone(), risk: first.risk },
            None => NotChosen::NoRemediation,
        }
    }
}

/// The time that all the steps of a remediation may take.
pub fn steps_time(remediation: &Remediation) -> Duration {
    remediation.steps.iter().map(|step| Duration::from_secs(u64::from(step.timeout_s))).sum()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
