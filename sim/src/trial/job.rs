//! One host's job, as a server would lead it: plan, signed order, and climbing on what is known then.

use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::climb::{Climb, Standing, climb, may_go_on};
use fleetmend_core::efficacy::Efficacy;
use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{IncidentId, JobId};
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::knowledge::{Catalogue, NetworkCost, Risk};
use fleetmend_core::known::Known;
use fleetmend_core::limits;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::plan::{Ask, PlannedStep, Tried, plan_for};
use fleetmend_core::report::{FailureReport, Operation, Product};
use fleetmend_core::time::{Clock as _, Timestamp};
use fleetmend_core::triage::triage;
use fleetmend_core::words::Slug;
use fleetmend_server::enroll::Authority;

use super::machine::Machine;
use crate::chance;

/// What a trial's campaign allows.
pub(super) const RISK: Risk = Risk::Disruptive;
/// How long an order may wait on its host.
const EXPIRES: Duration = Duration::from_hours(24 * 20);

/// How a host's job came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its end.
    pub state: JobState,
    /// How the fix was proved, where it was.
    pub proof: Option<ProofLevel>,
    /// In the agent's words.
    pub detail: String,
    /// When the first step of the first try was begun, if one was.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// The remediations, in their order.
    pub tries: Vec<Slug>,
    /// When the host reported a failure of another kind than it had, after the job began.
    pub regressed: Option<Timestamp>,
}

/// What fails on a host, and what was known of it when it was last asked.
#[derive(Debug, Clone)]
pub(super) struct Incident {
    pub(super) failure: FailureReport,
    pub(super) evidence: Vec<Evidence>,
    /// All that failed before any job.
    pub(super) known: Vec<(Product, Operation)>,
}

impl Incident {
    /// What is tried first, if an agent can do anything.
    pub(super) fn first(
        &self,
        catalogue: &'static Catalogue,
        machine: &Machine,
    ) -> Option<PlannedStep> {
        let verdict = triage(
            catalogue,
            &self.failure.incident_key(),
            self.failure.update_class,
            &self.evidence,
        );
        plan_for(catalogue, &verdict, &self.ask(machine, &[], &Efficacy::default())).next().cloned()
    }

    fn ask<'a>(
        &'a self,
        machine: &'a Machine,
        tried: &'a [Tried],
        efficacy: &'a Efficacy,
    ) -> Ask<'a> {
        let persona = machine.host.persona();
        Ask {
            os: persona.os,
            build: persona.build,
            allowed: RISK,
            restarts: true,
            subject: self.failure.subject.as_deref(),
            evidence: &self.evidence,
            tried,
            efficacy,
        }
    }

    fn after(
        &self,
        catalogue: &'static Catalogue,
        machine: &Machine,
        tried: &[Tried],
    ) -> Option<PlannedStep> {
        let key = self.failure.incident_key();
        let verdict = triage(catalogue, &key, self.failure.update_class, &self.evidence);
        let retry = key.code.as_ref().and_then(|c| catalogue.codes.get(c)).map(|c| c.retry);
        let (now, efficacy) = (machine.clock.now(), Efficacy::default());
        let standing = Standing {
            ask: self.ask(machine, tried, &efficacy),
            tries: u32::try_from(tried.len()).unwrap_or(u32::MAX),
            retry,
            draw: machine.counter,
            expires: now.after(EXPIRES),
            now,
        };
        match climb(catalogue, &verdict, &standing).1 {
            Climb::Try { step, not_before } => {
                machine.clock.set(not_before.max(now));
                Some(*step)
            }
            Climb::End { .. } => None,
        }
    }
}

/// Whether what comes first costs the network.
pub(super) fn costs_network(catalogue: &Catalogue, step: &PlannedStep) -> bool {
    catalogue.remediations.get(&step.remediation).is_some_and(|r| r.network == NetworkCost::Large)
}

/// Leads the job from its first try to its end. The machine's clock stands at its beginning.
pub(super) async fn lead(
    catalogue: &'static Catalogue,
    authority: &Authority,
    machine: &mut Machine,
    mut incident: Incident,
    job: JobId,
) -> anyhow::Result<Done> {
    let mut tried: Vec<Tried> = Vec::new();
    let mut done = Done {
        state: JobState::NotApplicable,
        proof: None,
        detail: "nothing can be done by an agent".to_owned(),
        begun: None,
        ended: machine.clock.now(),
        tries: Vec::new(),
        regressed: None,
    };
    let mut next = incident.first(catalogue, machine);
    while let Some(step) = next {
        let cause = &catalogue.causes[&step.cause];
        let remediation = &catalogue.remediations[&step.remediation];
        let subject = incident.failure.subject.clone();
        tried.push(Tried {
            remediation: remediation.id.clone(),
            version: remediation.version,
            cause: cause.id.clone(),
            known: vec![Known::of(cause, subject.as_deref(), &incident.evidence)],
        });
        done.tries.push(remediation.id.clone());
        machine.counter += 1;
        let now = machine.clock.now();
        let order = Order {
            host: machine.id,
            job,
            attempt: u32::try_from(tried.len()).unwrap_or(u32::MAX),
            incident: IncidentId::at(now, [1; 10]),
            key: incident.failure.incident_key(),
            cause: cause.id.clone(),
            remediation: remediation.id.clone(),
            version: remediation.version,
            digest: remediation.digest(),
            evidence: incident
                .evidence
                .iter()
                .filter(|e| e.value.is_some())
                .map(|e| e.id)
                .collect(),
            counter: machine.counter,
            not_before: now,
            expires: now.after(EXPIRES),
            task: Task::Remediate,
            begin_in: Vec::new(),
            reboot: RebootPolicy::Anytime,
            max_deferrals: 0,
            notice_seconds: 0,
        };
        let signer = authority.order_key();
        let key =
            fleetmend_agent::order::OrderKey::new(signer.chain().to_vec(), authority.root_sha256());
        // The work takes its time; a simulated program takes none.
        let names = ["trial", &machine.host.persona().name, remediation.id.as_str()];
        let share = 0.6 + 0.8 * chance::of(0, &names).f64();
        let ended = machine.work(catalogue, &key, &signer.seal(&order)).await?;
        machine.clock.advance(Duration::from_mins(remediation.minutes.into()).mul_f64(share));
        done.begun = done.begun.or(ended.begun);
        (done.state, done.detail, done.proof) = (ended.state, ended.detail, ended.proof);
        again(catalogue, machine, &mut incident, &mut done).await?;
        if !may_go_on(done.state) {
            break;
        }
        if let Some(last) = tried.last_mut() {
            let known = Known::of(cause, subject.as_deref(), &incident.evidence);
            last.known.push(known);
        }
        next = incident.after(catalogue, machine, &tried);
    }
    done.ended = machine.clock.now();
    debug_assert!(done.tries.len() <= limits::TRIES as usize);
    Ok(done)
}

/// Looks again at what fails: what another fault beneath shows, and what was not there before.
async fn again(
    catalogue: &'static Catalogue,
    machine: &mut Machine,
    incident: &mut Incident,
    done: &mut Done,
) -> anyhow::Result<()> {
    machine.clock.advance(Duration::from_secs(2));
    machine.host.fail_now(machine.clock.now())?;
    machine.clock.advance(Duration::from_secs(2));
    for failure in machine.look(catalogue).await? {
        let kind = (failure.product, failure.operation);
        if kind == (incident.failure.product, incident.failure.operation) {
            incident.failure = failure;
        } else if !incident.known.contains(&kind) {
            done.regressed = done.regressed.or(Some(machine.clock.now()));
        }
    }
    incident.evidence = machine.ask(catalogue, &incident.failure).await?;
    Ok(())
}
