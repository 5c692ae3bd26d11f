//! Planning: which remediations to try for a verdict, in which order, and why.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::efficacy::{Against, Efficacy};
use crate::evidence::{Answer, Evidence};
use crate::host::OsFamily;
use crate::knowledge::{Catalogue, Cause, RebootNeed, Remediation, Risk};
use crate::known::{Known, came_back, is_cleared};
use crate::step::Undo;
use crate::triage::{Certainty, RankedCause, Verdict};
use crate::words::Slug;

/// How often a remediation that has run on real systems cures its cause, before it is counted.
const CURES: f64 = 0.7;
/// The same for one that has not yet run on a real system.
const CURES_UNPROVEN: f64 = 0.5;
/// How often one remediation is tried in an incident against a cause that comes back.
const AGAIN: usize = 2;
/// Causes with a smaller share are not planned for.
const SHARE_AT_LEAST: f64 = 0.02;
/// Nothing is done by itself for a smaller chance than this.
const CHANCE_AT_LEAST: f64 = 0.02;
/// Nobody is asked for a smaller chance than this.
const ASKED_AT_LEAST: f64 = 0.05;
/// An agent does not begin while a person's remediation is worth more than this many times what the
/// agent's is. Shares and cures are estimates: twice as much is more than they may be wrong.
const PERSON_FIRST: f64 = 2.0;

/// One remediation of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// The cause it is against.
    pub cause: Slug,
    /// The chance that it cures, 0 to 1.
    pub chance: f64,
    /// What was counted of it against this cause: "cured 41 of 50 here"; `None` where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
    /// What it costs, in minutes' worth.
    pub cost: f64,
    /// Its risk.
    pub risk: Risk,
    /// Whether it restarts the host.
    pub reboot: RebootNeed,
    /// How far it can be taken back.
    pub undo: Undo,
    /// Whether this version was tried in this incident, and nothing is known otherwise since.
    #[serde(default)]
    pub tried: bool,
    /// Whether it would be done under the allowed risk; else it is listed and why not is told.
    pub allowed: bool,
    /// Why it stands where it stands, in English words.
    pub reason: String,
}

/// The ordered remediations for one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Plan {
    /// Best first; those not allowed after those that are.
    pub steps: Vec<PlannedStep>,
}

/// A remediation that was tried in an incident, and did not cure it; of a person's, also one that was
/// declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// The cause that it was tried against.
    pub cause: Slug,
    /// What was known of that cause, before the try and after it, as far as that was kept.
    pub known: Vec<Known>,
}

/// What a plan is asked for, besides the verdict.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The host's system.
    pub os: OsFamily,
    /// Its build: by it efficacy is counted, and what does nothing there is left out. Empty: unknown.
    pub build: &'a str,
    /// The highest risk allowed.
    pub allowed: Risk,
    /// Whether the host may be restarted.
    pub restarts: bool,
    /// What fails: of evidence about other subjects nothing counts.
    pub subject: Option<&'a str>,
    /// What is known of the host.
    pub evidence: &'a [Evidence],
    /// What was tried in this incident.
    pub tried: &'a [Tried],
    /// What the fleet has counted.
    pub efficacy: &'a Efficacy,
}

impl Plan {
    /// The first remediation that an agent can run within the allowed risk.
    pub fn next(&self) -> Option<&PlannedStep> {
        self.steps.iter().find(|s| s.allowed)
    }

    /// The remediation that a person is asked for: the best guided one, where an agent can run none
    /// within the allowed risk, or none that is worth it before the person's. One that a person has not
    /// done or declined yet goes before one that was.
    pub fn for_people(&self) -> Option<&PlannedStep> {
        if self.next().is_some() {
            return None;
        }
        let worth_it = |s: &&PlannedStep| s.risk == Risk::Guided && s.chance >= ASKED_AT_LEAST;
        let guided = || self.steps.iter().filter(worth_it);
        guided().find(|s| !s.tried).or_else(|| guided().next())
    }
}

/// Orders the remediations of a verdict's causes as [`plan_for`] does, for a host of which nothing
/// but the verdict is known and which may be restarted; `tried` were tried on the same evidence.
pub fn plan(
    cat: &Catalogue,
    verdict: &Verdict,
    os: OsFamily,
    allowed: Risk,
    tried: &[(Slug, u32)],
) -> Plan {
    let tried: Vec<Tried> = tried
        .iter()
        .filter_map(|(remediation, version)| {
            let against =
                |cause: &&crate::knowledge::Cause| cause.remediations.contains(remediation);
            cat.causes.values().find(against).map(|cause| Tried {
                remediation: remediation.clone(),
                version: *version,
                cause: cause.id.clone(),
                known: vec![Known::default()],
            })
        })
        .collect();
    let ask = Ask {
        os,
        build: "",
        allowed,
        restarts: true,
        subject: None,
        evidence: &[],
        tried: &tried,
        efficacy: &Efficacy::default(),
    };
    plan_for(cat, verdict, &ask)
}

/// Orders the remediations of a verdict's causes by chance ÷ cost. Those that go over the allowed
/// risk, that were tried in this version on the same evidence, that a person does, that only ask
/// again what is known to fail, that are too unlikely to help, and that nobody should do, follow with
/// the reason. Where a person's remediation is worth far more than what an agent can do, the agent's
/// waits for it.
pub fn plan_for(cat: &Catalogue, verdict: &Verdict, ask: &Ask<'_>) -> Plan {
    let futile = futile(cat, verdict);
    let verdict = doubted(cat, verdict, ask);
    let mut steps: Vec<PlannedStep> = Vec::new();
    for cause in verdict.causes.iter().filter(|c| is_planned(c)) {
        let Some(entry) = cause.cause.as_ref().and_then(|id| cat.causes.get(id)) else { continue };
        // What still fails has another cause: at the door the agent would turn round.
        if is_cleared(entry, ask.subject, ask.evidence) {
            continue;
        }
        let fitting = entry
            .remediations
            .iter()
            .filter_map(|id| cat.remediations.get(id))
            .filter(|remediation| remediation.os == ask.os);
        for remediation in fitting {
            let cures = cures(remediation, entry, ask);
            let chance = if futile.contains(&&remediation.id) { 0.0 } else { cause.share * cures };
            // One remediation may be against several causes: it stands once, for the likeliest,
            // and has the chance of all.
            if let Some(step) = steps.iter_mut().find(|s| s.remediation == remediation.id) {
                step.chance = (step.chance + chance).min(1.0);
                continue;
            }
            let mut step = planned(remediation, cause, &entry.id, chance);
            step.counted = ask.efficacy.words(&against(remediation, entry), ask.build);
            steps.push(step);
        }
    }
    let mut waiting: Vec<Slug> = Vec::new();
    for step in &mut steps {
        let Some(remediation) = cat.remediations.get(&step.remediation) else { continue };
        step.tried = was_tried(cat, (&step.remediation, step.version), ask);
        let (may, reason) = judge(remediation, step, ask);
        step.allowed = may;
        step.reason = reason;
        if let Some(blocker) = blocker(remediation, ask) {
            step.reason = format!("{}; it would wait: {blocker}", step.reason);
            waiting.push(step.remediation.clone());
        }
    }
    let behind = person_first(&mut steps);
    // Stable: what weighs the same stays in the order of its cause.
    steps.sort_by(|a, b| {
        let class = |s: &PlannedStep| {
            let waits = waiting.contains(&s.remediation);
            let behind = behind.contains(&s.remediation);
            let last = (s.risk == Risk::Refused, s.chance <= 0.0, behind, s.risk == Risk::Guided);
            (!s.allowed, waits, last)
        };
        class(a).cmp(&class(b)).then_with(|| worth(b).total_cmp(&worth(a)))
    });
    Plan { steps }
}

fn worth(step: &PlannedStep) -> f64 {
    step.chance / step.cost
}

/// Holds back what an agent could do where something that a person does is worth far more, until
/// the person did or declined it; gives what is held back.
fn person_first(steps: &mut [PlannedStep]) -> Vec<Slug> {
    let better = |a: &&PlannedStep, b: &&PlannedStep| worth(a).total_cmp(&worth(b));
    let Some(best) = steps.iter().filter(|s| s.allowed).max_by(better) else { return Vec::new() };
    let open = |s: &&PlannedStep| s.risk == Risk::Guided && !s.tried;
    let Some(guided) = steps.iter().filter(open).max_by(better) else { return Vec::new() };
    if worth(guided) <= PERSON_FIRST * worth(best) {
        return Vec::new();
    }
    let (first, much) = (guided.remediation.clone(), guided.chance * 100.0);
    let mut behind = Vec::new();
    for step in steps.iter_mut().filter(|s| s.allowed) {
        step.allowed = false;
        step.reason = format!("a person does {first} first ({much:.0} % chance): {}", step.reason);
        behind.push(step.remediation.clone());
    }
    behind
}

/// The verdict after what was tried in vain: each try that stands takes from the share of the causes
/// it is against as much as it was expected to cure, and the rest gains. Without this a host whose
/// evidence points at the wrong cause is given up when that cause's remediations are tried out.
fn doubted<'v>(cat: &Catalogue, verdict: &'v Verdict, ask: &Ask<'_>) -> Cow<'v, Verdict> {
    let mut tried: Vec<&Tried> =
        ask.tried.iter().filter(|t| was_tried(cat, (&t.remediation, t.version), ask)).collect();
    tried.sort_by_key(|t| (&t.remediation, t.version));
    tried.dedup_by_key(|t| (&t.remediation, t.version));
    if tried.is_empty() {
        return Cow::Borrowed(verdict);
    }
    let mut verdict = verdict.clone();
    for ranked in &mut verdict.causes {
        let Some(cause) = ranked.cause.as_ref().and_then(|id| cat.causes.get(id)) else { continue };
        for tried in tried.iter().filter(|t| cause.remediations.contains(&t.remediation)) {
            let Some(remediation) = cat.remediations.get(&tried.remediation) else { continue };
            ranked.share *= 1.0 - cures(remediation, cause, ask);
        }
    }
    let sum: f64 = verdict.causes.iter().map(|c| c.share).sum();
    if sum > 0.0 {
        for ranked in &mut verdict.causes {
            ranked.share /= sum;
        }
    }
    Cow::Owned(verdict)
}

/// The chance that a remediation cures where the cause is this one.
fn cures(remediation: &Remediation, cause: &Cause, ask: &Ask<'_>) -> f64 {
    let estimate = if remediation.unproven { CURES_UNPROVEN } else { CURES };
    ask.efficacy.chance(&against(remediation, cause), ask.build, estimate)
}

fn against(remediation: &Remediation, cause: &Cause) -> Against {
    Against {
        cause: cause.id.clone(),
        remediation: remediation.id.clone(),
        version: remediation.version,
    }
}

/// What is known to put it off: another remediation, that need not wait, goes before it.
fn blocker<'r>(remediation: &'r Remediation, ask: &Ask<'_>) -> Option<&'r Slug> {
    remediation.blockers.iter().find(|probe| {
        let of = |e: &&Evidence| e.probe == **probe && e.counts_for(ask.subject);
        let known = ask.evidence.iter().filter(of).filter(|e| e.answer != Answer::Unknown);
        known.max_by_key(|e| (e.at, e.id)).is_some_and(|e| e.answer == Answer::Yes)
    })
}

/// Whether this version was tried already, and what is known of the cause it was tried against is
/// the same as before the try, or as after it. A try of which nothing was kept stands for ever. What
/// is gone after the try and there again is not the same, once: what comes back a second time is
/// brought by something that this does not take away.
fn was_tried(cat: &Catalogue, (remediation, version): (&Slug, u32), ask: &Ask<'_>) -> bool {
    let same = |t: &&Tried| t.remediation == *remediation && t.version == version;
    let tries = ask.tried.iter().filter(same).filter(|tried| !tried.known.is_empty()).count();
    ask.tried.iter().filter(same).any(|tried| {
        let Some(cause) = cat.causes.get(&tried.cause) else { return true };
        let now = Known::of(cause, ask.subject, ask.evidence);
        let unchanged = tried.known.iter().any(|then| !then.has_changed(&now));
        let again = tries < AGAIN && came_back(cause, &tried.known, &now);
        tried.known.is_empty() || unchanged && !again
    })
}

/// What only asks again, against a cause that is confirmed: it meets the same failure, whatever else
/// it would be good for.
fn futile<'a>(cat: &'a Catalogue, verdict: &Verdict) -> Vec<&'a Slug> {
    let confirmed = verdict.causes.iter().filter(|c| c.certainty == Certainty::Confirmed);
    confirmed
        .filter_map(|c| cat.causes.get(c.cause.as_ref()?))
        .flat_map(|cause| &cause.retries)
        .collect()
}

fn is_planned(cause: &RankedCause) -> bool {
    cause.certainty != Certainty::RuledOut && cause.share >= SHARE_AT_LEAST
}

fn planned(r: &Remediation, ranked: &RankedCause, cause: &Slug, chance: f64) -> PlannedStep {
    debug_assert_eq!(ranked.cause.as_ref(), Some(cause));
    PlannedStep {
        remediation: r.id.clone(),
        version: r.version,
        cause: cause.clone(),
        chance,
        counted: None,
        cost: cost(r),
        risk: r.risk,
        reboot: r.reboot,
        undo: r.undo(),
        tried: false,
        allowed: false,
        reason: String::new(),
    }
}

/// Minutes, and what risk and a restart are worth in minutes.
fn cost(r: &Remediation) -> f64 {
    let risk = match r.risk {
        Risk::Safe => 0,
        Risk::Disruptive => 20,
        Risk::Guided => 60,
        Risk::Dangerous | Risk::Refused => 120,
    };
    let reboot = match r.reboot {
        RebootNeed::Never => 0,
        RebootNeed::Maybe => 10,
        RebootNeed::Always => 30,
    };
    f64::from(r.minutes.max(1).saturating_add(risk + reboot))
}

/// Whether it may be done, and why it stands where it stands.
fn judge(r: &Remediation, step: &PlannedStep, ask: &Ask<'_>) -> (bool, String) {
    let allowed = ask.allowed;
    let (cause, chance) = (&step.cause, step.chance * 100.0);
    match r.risk {
        Risk::Guided => return (false, format!("a person does this: steps against {cause}")),
        Risk::Refused => return (false, "never done: the better way is told".to_owned()),
        Risk::Safe | Risk::Disruptive | Risk::Dangerous => {}
    }
    if step.chance <= 0.0 {
        let why = "it would meet the same failure: the cause is confirmed, and a person puts it right first";
        return (false, why.to_owned());
    }
    if step.tried {
        let version = r.version;
        return (false, format!("version {version} was tried already on the same evidence"));
    }
    if r.risk > allowed {
        return (false, format!("its risk is {}; only up to {allowed} is allowed here", r.risk));
    }
    if r.reboot != RebootNeed::Never && !ask.restarts {
        let restarts = if r.reboot == RebootNeed::Always { "restarts" } else { "may restart" };
        return (false, format!("it {restarts} the host, and no restart is allowed here"));
    }
    if r.is_idle_on(ask.build) {
        return (false, format!("it does nothing on build {}", ask.build));
    }
    if step.chance < CHANCE_AT_LEAST {
        return (
            false,
            format!("a chance of {chance:.0} % against {cause} is too small to try it"),
        );
    }
    let unproven =
        if r.unproven { "; it has not yet run on a real system of its kind" } else { "" };
    let counted = step.counted.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
    let cost = step.cost;
    let text = format!(
        "{chance:.0} % chance against {cause}{counted} for a cost of {cost:.0} min{unproven}"
    );
    (true, text)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
