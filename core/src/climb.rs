//! Climbing: what a job tries next on its host, after a try that did not cure it. Pure.

use std::time::Duration;

use crate::job::JobState;
use crate::knowledge::{Catalogue, RebootNeed, Retry, Risk};
use crate::limits;
use crate::plan::{Ask, Plan, PlannedStep, plan_for};
use crate::retry::{Rule, rule};
use crate::time::Timestamp;
use crate::triage::Verdict;

/// How a job stands between two tries.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The plan that it goes on with: what was tried, what may be done, what is known by now.
    pub ask: Ask<'a>,
    /// How many tries came to their end.
    pub tries: u32,
    /// What its code asks for before a retry.
    pub retry: Option<Retry>,
    /// A number that differs by job: spreads the waits of many hosts.
    pub draw: u64,
    /// Not to be begun after.
    pub expires: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What a job does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Climb {
    /// The next try.
    Try {
        /// At this; boxed, as most ends are bare words.
        step: Box<PlannedStep>,
        /// Not before.
        not_before: Timestamp,
    },
    /// It is over.
    End {
        /// Why nothing more is tried, in English words.
        why: String,
    },
}

/// Whether a try that ended so leaves anything to climb to: only what is known to have failed, or to
/// have met no cause. What is hidden, or still open, is never climbed over.
pub const fn may_go_on(ended: JobState) -> bool {
    match ended {
        JobState::Failed | JobState::RolledBack | JobState::NotApplicable => true,
        JobState::Queued
        | JobState::WaitingWindow
        | JobState::Blocked
        | JobState::Offered
        | JobState::Running
        | JobState::RebootPending
        | JobState::Rebooting
        | JobState::Verifying
        | JobState::Fixed
        | JobState::Unverified
        | JobState::TimedOut
        | JobState::NotReached
        | JobState::Unknown
        | JobState::Skipped
        | JobState::Cancelled => false,
    }
}

/// Decides what is tried next, and gives the plan that it was decided by.
pub fn climb(cat: &Catalogue, verdict: &Verdict, standing: &Standing<'_>) -> (Plan, Climb) {
    let plan = plan_for(cat, verdict, &standing.ask);
    let next = decide(&plan, standing);
    (plan, next)
}

fn decide(plan: &Plan, standing: &Standing<'_>) -> Climb {
    let end = |why: &str| Climb::End { why: why.to_owned() };
    if standing.tries >= limits::TRIES {
        return Climb::End {
            why: format!("it was tried {} times, which is the most", limits::TRIES),
        };
    }
    let mut steps = plan.steps.iter().filter(|step| step.allowed);
    let (step, wait) = match rule(standing.retry, standing.tries, standing.draw) {
        Rule::APerson => {
            return end("a policy stands in the way: an admin changes it, no further try does");
        }
        Rule::OnlyWithRestart => {
            let Some(step) = steps.find(|step| step.reboot != RebootNeed::Never) else {
                return end(if standing.ask.restarts {
                    "the host must restart first, and nothing that is left of the plan restarts it"
                } else {
                    "the host must restart first, and no restart is allowed here"
                });
            };
            (step, Duration::ZERO)
        }
        Rule::After(wait) => match steps.next() {
            Some(step) => (step, wait),
            None => return Climb::End { why: nothing_left(plan) },
        },
    };
    let not_before = standing.now.after(wait);
    if not_before >= standing.expires {
        return end("the next try would come after it expires");
    }
    Climb::Try { step: Box::new(step.clone()), not_before }
}

/// Why an agent can do no more: the first remediation that is left, with its reason; what was not
/// tried before what was.
fn nothing_left(plan: &Plan) -> String {
    let untried = || plan.steps.iter().find(|step| !step.tried && step.risk != Risk::Refused);
    let left = plan.for_people().or_else(untried).or_else(|| plan.steps.first());
    match left {
        Some(step) => format!("nothing more is tried: {}: {}", step.remediation, step.reason),
        None => "nothing more is tried: the catalogue knows no further remediation".to_owned(),
    }
}

#[cfg(test)]
#[path = "climb_tests.rs"]
mod tests;
