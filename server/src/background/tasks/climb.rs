//! Chooses what jobs try next that wait between two tries, by the evidence as it is then, or ends
//! them; asks people where no agent can do more; and drops work for people that nobody needs any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::climb::{self, Standing};
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::known::Known;
use fleetmend_core::plan::{Ask, Plan, Tried};
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_core::triage::{Verdict, triage};
use fleetmend_core::words::Slug;
use fleetmend_store::{Climbing, Db, NextTry, StoreError};

use crate::background::{BackgroundTask, Nudges, Outcome, Status};
use crate::campaigns;
use crate::events::{Event, Events};
use crate::link::Registry;
use crate::orders::{self, NotChosen};

/// Jobs looked at in one activation.
const PORTION: u32 = 100;

/// The task.
#[derive(Debug)]
pub struct Climb {
    db: Db,
    catalogue: &'static Catalogue,
    clock: Arc<dyn Clock>,
    events: Events,
    registry: Arc<Registry>,
    nudges: Arc<Nudges>,
}

impl Climb {
    /// A task that plans by `catalogue`.
    pub fn new(
        db: Db,
        catalogue: &'static Catalogue,
        clock: Arc<dyn Clock>,
        events: Events,
        registry: Arc<Registry>,
        nudges: Arc<Nudges>,
    ) -> Self {
        Self { db, catalogue, clock, events, registry, nudges }
    }

    async fn look(&self) -> Result<Status, StoreError> {
        let now = self.clock.now();
        let waiting = self.db.jobs_to_climb(PORTION).await?;
        let (mut acted, mut failed) = (0, None);
        for job in &waiting {
            match self.one(job, now).await {
                Ok(false) => {}
                Ok(true) => {
                    acted += 1;
                    self.events.tell(Event::Job { id: job.job });
                    self.events.tell(Event::Incident { id: Some(job.incident) });
                    self.registry.nudge(job.host);
                    // It needs a place there for its next try.
                    if job.campaign.is_some() {
                        self.nudges.campaigns.notify_one();
                    }
                }
                Err(error) if error.is_unavailable() => return Err(error),
                // One that cannot be judged does not hold up the others.
                Err(error) => {
                    tracing::error!(job = %job.job, %error, "what a job tries next could not be chosen");
                    failed = Some(error);
                }
            }
        }
        let dropped = self.db.drop_needless_guided_tasks(now, PORTION).await?;
        if let Some(error) = failed {
            return Ok(Status::failed(&error));
        }
        let most = waiting.len().max(dropped.len());
        let outcome = if most >= PORTION as usize { Outcome::More } else { Outcome::Done };
        Ok(Status { outcome, acted: acted + dropped.len() as u64 })
    }

    /// Chooses for one job, and says whether it moved.
    async fn one(&self, job: &Climbing, now: Timestamp) -> Result<bool, StoreError> {
        let evidence = self.db.evidence(job.host).await?;
        // The evidence that the try brought may be newer than the verdict that people see.
        let verdict = triage(self.catalogue, &job.key, job.update_class, &evidence);
        let causes: Vec<Slug> = verdict.causes.iter().filter_map(|c| c.cause.clone()).collect();
        let efficacy = self.db.efficacy_of(&causes, job.simulated).await?;
        let subject = job.key.subject.as_deref();
        let mut tried = self.db.tried_in(job.incident).await?;
        let known = |cause: &Slug| {
            let entry = self.catalogue.causes.get(cause);
            entry.map(|entry| Known::of(entry, subject, &evidence)).unwrap_or_default()
        };
        let after = known(&job.cause);
        // Right after a try nothing is known that the try has not seen.
        if let Some(last) = tried.iter_mut().rev().find(|t| t.cause == job.cause) {
            last.known.push(after.clone());
        }
        let allowed = self.allowed(job).await?;
        let place = (job.job, job.attempt);
        if job.aborted {
            let why = "its campaign was aborted: nothing more is tried";
            return self.db.climb_ends(place, why, &after, now).await;
        }
        let (plan, why) = loop {
            let ask = Ask {
                os: job.os,
                build: &job.build,
                allowed: job.max_risk,
                restarts: job.reboot != RebootPolicy::Never,
                subject,
                evidence: &evidence,
                tried: &tried,
                efficacy: &efficacy,
            };
            let (plan, next) = self.decide(job, ask, &verdict, now);
            let (step, not_before) = match next {
                climb::Climb::End { why } => break (plan, why),
                climb::Climb::Try { step, not_before } => (step, not_before),
            };
            let Some(entry) = self.catalogue.remediations.get(&step.remediation) else {
                break (plan, format!("{} is not in the catalogue", step.remediation));
            };
            let cause = step.cause.clone();
            let (remediation, version) = (entry.id.clone(), entry.version);
            let passed = Tried { remediation, version, cause, known: Vec::new() };
            if allowed.as_ref().is_some_and(|all| all.get(&entry.id) != Some(&entry.digest())) {
                tracing::debug!(job = %job.job, remediation = %entry.id, "not approved");
                tried.push(passed);
                continue;
            }
            let needed = match orders::needed(entry, subject, &evidence) {
                Ok(needed) => needed,
                Err(why @ NotChosen::NoEvidence { .. }) => {
                    tracing::debug!(job = %job.job, %why, "passed over");
                    // Cannot be done now: what is left of the plan is looked at without it.
                    tried.push(passed);
                    continue;
                }
                Err(why) => break (plan, why.to_string()),
            };
            let next = NextTry {
                known: known(&step.cause),
                own_probe: self
                    .catalogue
                    .causes
                    .get(&step.cause)
                    .and_then(|cause| cause.own_probe.clone()),
                steps_time: orders::steps_time(entry),
                digest: entry.digest(),
                cause: step.cause,
                remediation: step.remediation,
                version: step.version,
                evidence: needed,
                not_before,
                why: step.reason,
            };
            return self.db.climb_to(place, &next, &after, now).await;
        };
        let ended = self.db.climb_ends(place, &why, &after, now).await?;
        if ended {
            let incident = job.incident;
            orders::ask_people(&self.db, &plan, incident, &*self.clock, "server").await?;
        }
        Ok(ended)
    }

    /// The remediations that may run for the job's campaign; any within its bounds where it has none.
    async fn allowed(&self, job: &Climbing) -> Result<Option<BTreeMap<Slug, String>>, StoreError> {
        let Some(campaign) = job.campaign else { return Ok(None) };
        let campaign = self.db.campaign(campaign).await?;
        Ok(campaign.map(|campaign| campaigns::allowed(self.catalogue, &campaign)))
    }

    fn decide(
        &self,
        job: &Climbing,
        ask: Ask<'_>,
        verdict: &Verdict,
        now: Timestamp,
    ) -> (Plan, climb::Climb) {
        let standing = Standing {
            ask,
            tries: job.attempt,
            retry: self.catalogue.retry_of(job.key.code.as_ref()),
            // The random end of its id.
            draw: job.job.0.as_u64_pair().1,
            expires: job.expires,
            now,
        };
        climb::climb(self.catalogue, verdict, &standing)
    }
}

#[async_trait::async_trait]
impl BackgroundTask for Climb {
    fn name(&self) -> &'static str {
        "climb"
    }

    async fn activate(&mut self) -> Status {
        self.look().await.unwrap_or_else(|e| Status::failed(&e))
    }
}
