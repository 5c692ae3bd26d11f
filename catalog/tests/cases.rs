//! Golden triage and planning: `catalog/cases/*.toml` says what the built-in catalogue must make
//! of a failure and evidence. A change of the knowledge that changes a verdict shows here.

use std::path::Path;

use fleetmend_catalog::builtin;
use fleetmend_core::backtest::{self, Judged};
use fleetmend_core::code::FailureCode;
use fleetmend_core::efficacy::Efficacy;
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::known::Known;
use fleetmend_core::plan::{Ask, Tried, plan_for};
use fleetmend_core::report::{IncidentKey, Operation, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::{Certainty, Verdict, probes_for, triage};
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One case; what is absent is not looked at, but for `next`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    os: OsFamily,
    product: Product,
    operation: Operation,
    code: Option<FailureCode>,
    update_class: Option<UpdateClass>,
    /// Probe = answer.
    #[serde(default)]
    evidence: std::collections::BTreeMap<Slug, Answer>,
    /// The first cause; absent for *other*.
    first: Option<Slug>,
    certainty: Certainty,
    #[serde(default)]
    ruled_out: Vec<Slug>,
    /// The highest risk allowed.
    #[serde(default = "disruptive")]
    allowed: Risk,
    /// Whether the host may be restarted.
    #[serde(default = "yes")]
    restarts: bool,
    /// Remediations tried in their present version, on this evidence.
    #[serde(default)]
    tried: Vec<Slug>,
    /// What an agent would do next; absent for nothing.
    next: Option<Slug>,
    /// What a person is asked for; absent for nothing.
    person: Option<Slug>,
    /// Remediations that are listed and not allowed.
    #[serde(default)]
    listed: Vec<Slug>,
    /// Remediations that would wait for something.
    #[serde(default)]
    waits: Vec<Slug>,
    /// Remediations that are not in the plan.
    #[serde(default)]
    absent: Vec<Slug>,
    /// The probe that weighs most here.
    asks_first: Option<Slug>,
}

fn disruptive() -> Risk {
    Risk::Disruptive
}

fn yes() -> bool {
    true
}

fn check(case: &Case) -> Result<(), String> {
    let cat = builtin();
    let key = IncidentKey {
        product: case.product,
        operation: case.operation,
        code: case.code.clone(),
        subject: None,
    };
    let asked = probes_for(cat, &key, case.os);
    let mut evidence = Vec::new();
    for (n, (probe, answer)) in case.evidence.iter().enumerate() {
        let blocks = || cat.remediations.values().any(|r| r.blockers.contains(probe));
        if !asked.iter().any(|p| p.id == *probe) && !blocks() {
            return Err(format!("the agent would not ask {probe} here"));
        }
        let at = Timestamp::from_millis(1_700_000_000_000);
        let id = EvidenceId::at(at, [u8::try_from(n).unwrap_or(0); 10]);
        let (probe, answer, proof) = (probe.clone(), *answer, String::new());
        let (subject, value) = (None, None);
        evidence.push(Evidence { id, probe, subject, answer, proof, value, at });
    }
    if let Some(wanted) = &case.asks_first
        && asked.first().map(|p| &p.id) != Some(wanted)
    {
        return Err(format!("{:?} is asked first", asked.first().map(|p| p.id.as_str())));
    }
    let verdict = triage(cat, &key, case.update_class, &evidence);
    let shown: Vec<String> = verdict
        .causes
        .iter()
        .map(|c| {
            format!(
                "{} {:.3} {}",
                c.cause.as_ref().map_or("other", Slug::as_str),
                c.share,
                c.certainty
            )
        })
        .collect();
    let first = &verdict.causes[0];
    if first.cause != case.first || first.certainty != case.certainty {
        return Err(format!("the verdict is {shown:#?}"));
    }
    for cause in &case.ruled_out {
        let out = |c: &&fleetmend_core::triage::RankedCause| c.cause.as_ref() == Some(cause);
        if verdict.causes.iter().find(out).map(|c| c.certainty) != Some(Certainty::RuledOut) {
            return Err(format!("{cause} is not ruled out: {shown:#?}"));
        }
    }
    let tried: Vec<Tried> = case.tried.iter().map(|id| in_vain(id, &verdict, &evidence)).collect();
    let ask = Ask {
        os: case.os,
        build: "",
        allowed: case.allowed,
        restarts: case.restarts,
        subject: None,
        evidence: &evidence,
        tried: &tried,
        efficacy: &Efficacy::default(),
    };
    let plan = plan_for(cat, &verdict, &ask);
    // A backtest plans as the product does.
    let same = backtest::Case {
        key: key.clone(),
        update_class: case.update_class,
        os: case.os,
        build: String::new(),
        evidence: evidence.clone(),
        tried: tried.clone(),
    };
    let told = Judged::new(cat, &same, case.allowed).next;
    if case.restarts && told != case.next {
        return Err(format!("a backtest says {told:?}"));
    }
    let steps: Vec<String> = plan
        .steps
        .iter()
        .map(|s| format!("{} {}: {}", s.remediation, s.allowed, s.reason))
        .collect();
    if plan.next().map(|s| &s.remediation) != case.next.as_ref() {
        return Err(format!("the plan is {steps:#?}"));
    }
    if plan.for_people().map(|s| &s.remediation) != case.person.as_ref() {
        let asked = plan.for_people().map(|s| s.remediation.as_str());
        return Err(format!("a person is asked for {asked:?}: {steps:#?}"));
    }
    let step = |id: &Slug| plan.steps.iter().find(|s| s.remediation == *id);
    for id in &case.listed {
        if step(id).is_none_or(|s| s.allowed) {
            return Err(format!("{id} is not listed as not allowed: {steps:#?}"));
        }
    }
    for id in &case.waits {
        if !step(id).is_some_and(|s| s.reason.contains("it would wait: ")) {
            return Err(format!("{id} would not wait: {steps:#?}"));
        }
    }
    for id in &case.absent {
        if step(id).is_some() {
            return Err(format!("{id} is in the plan: {steps:#?}"));
        }
    }
    Ok(())
}

/// A remediation tried against the likeliest of its causes, after which the same is known as before.
fn in_vain(id: &Slug, verdict: &Verdict, evidence: &[Evidence]) -> Tried {
    let cat = builtin();
    let ranked = verdict.causes.iter().filter_map(|c| cat.causes.get(c.cause.as_ref()?));
    let against = ranked.clone().find(|cause| cause.remediations.contains(id));
    let cause = against.unwrap_or_else(|| panic!("no cause of the case names {id}"));
    let known = Known::of(cause, None, evidence);
    Tried {
        remediation: id.clone(),
        version: cat.remediations[id].version,
        cause: cause.id.clone(),
        known: vec![known.clone(), known],
    }
}

#[test]
fn every_case_has_its_verdict_and_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let (mut count, mut wrong) = (0, Vec::new());
    for file in std::fs::read_dir(&folder).expect("the cases").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a readable file");
        let cases: File =
            toml::from_str(&text).unwrap_or_else(|e| panic!("{:?}: {e}", file.path()));
        for case in &cases.case {
            count += 1;
            if let Err(why) = check(case) {
                wrong.push(format!("{}: {why}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count >= 100, "only {count} cases");
}

/// One code, six contexts, six causes: what no table of codes can tell.
#[test]
fn a_missing_path_has_six_first_causes_in_six_contexts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut firsts = std::collections::BTreeMap::new();
    for file in std::fs::read_dir(&folder).expect("the cases").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a readable file");
        let cases: File = toml::from_str(&text).expect("cases");
        for case in cases.case {
            if case.code.is_some_and(|code| code.to_string() == "0x80070003")
                && let Some(first) = case.first
            {
                firsts.entry((case.product, case.operation)).or_insert_with(Vec::new).push(first);
            }
        }
    }
    let mut taken = std::collections::BTreeSet::new();
    for causes in firsts.values() {
        taken.extend(causes.iter().find(|cause| !taken.contains(*cause)).cloned());
    }
    assert!(firsts.len() >= 6 && taken.len() >= 6, "{firsts:#?}");
}
