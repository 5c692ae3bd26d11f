//! Plans over a made-up catalogue.

use proptest::prelude::*;

use super::*;
use crate::knowledge::{Cause, Text, Verification};
use crate::step::{Action, Step, Tool};

fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

fn remediation(id: &str, risk: Risk, minutes: u32, reboot: RebootNeed) -> Remediation {
    let by_hand = matches!(risk, Risk::Guided | Risk::Refused);
    let step = Step {
        action: Action::ToolRun { tool: Tool::AptClean, value_from: None },
        timeout_s: 60,
        always: false,
    };
    Remediation {
        id: slug(id),
        version: 1,
        os: OsFamily::Linux,
        name: Text::default(),
        explanation: Text::default(),
        risk,
        reboot,
        minutes,
        network: crate::knowledge::NetworkCost::None,
        authorities: Vec::new(),
        steps: if by_hand { Vec::new() } else { vec![step] },
        guide: Vec::new(),
        verification: Verification::AptCheck,
        blockers: Vec::new(),
        unproven: false,
        seeds: Vec::new(),
    }
}

fn catalogue(causes: &[(&str, &[&str])], remediations: Vec<Remediation>) -> Catalogue {
    let mut cat = Catalogue::default();
    for (id, names) in causes {
        let cause = Cause {
            id: slug(id),
            name: Text::default(),
            explanation: Text::default(),
            indications: Vec::new(),
            own_probe: None,
            remediations: names.iter().map(|n| slug(n)).collect(),
            retries: Vec::new(),
            products: Vec::new(),
            seeds: Vec::new(),
        };
        cat.causes.insert(cause.id.clone(), cause);
    }
    cat.remediations = remediations.into_iter().map(|r| (r.id.clone(), r)).collect();
    cat
}

fn verdict(causes: &[(Option<&str>, f64, Certainty)]) -> Verdict {
    let ranked = |(id, share, certainty): &(Option<&str>, f64, Certainty)| RankedCause {
        cause: id.map(slug),
        share: *share,
        certainty: *certainty,
        evidence: Vec::new(),
    };
    Verdict { causes: causes.iter().map(ranked).collect(), catalogue: "test".into() }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|s| s.remediation.as_str()).collect()
}

fn seen(probe: &str, answer: Answer) -> Evidence {
    use crate::ids::EvidenceId;
    use crate::time::Timestamp;
    let (id, at) = (EvidenceId::at(Timestamp::default(), [1; 10]), Timestamp::default());
    let proof = "seen".to_owned();
    Evidence { id, probe: slug(probe), subject: None, answer, proof, value: None, at }
}

fn ask<'a>(evidence: &'a [Evidence], tried: &'a [Tried], efficacy: &'a Efficacy) -> Ask<'a> {
    let (os, allowed) = (OsFamily::Linux, Risk::Disruptive);
    Ask { os, build: "", allowed, restarts: true, subject: None, evidence, tried, efficacy }
}

#[test]
fn what_was_tried_in_vain_speaks_against_its_cause() {
    let cat = catalogue(
        &[("likely", &["first", "second"]), ("unlikely", &["third"])],
        ["first", "second", "third"]
            .map(|id| remediation(id, Risk::Safe, 5, RebootNeed::Never))
            .to_vec(),
    );
    let verdict = verdict(&[
        (Some("likely"), 0.97, Certainty::Likely),
        (Some("unlikely"), 0.01, Certainty::Possible),
        (None, 0.02, Certainty::Possible),
    ]);
    let efficacy = Efficacy::default();
    let next = |ids: &[&str]| {
        let in_vain = |id: &&str| Tried {
            remediation: slug(id),
            version: 1,
            cause: slug("likely"),
            known: vec![Known::default()],
        };
        let tried: Vec<Tried> = ids.iter().map(in_vain).collect();
        let plan = plan_for(&cat, &verdict, &ask(&[], &tried, &efficacy));
        plan.next().map(|step| step.remediation.to_string())
    };
    assert_eq!(next(&[]).as_deref(), Some("first"));
    assert_eq!(next(&["first"]).as_deref(), Some("second"));
    assert_eq!(next(&["first", "second"]).as_deref(), Some("third"), "too unlikely before");
}

#[test]
fn what_would_wait_stands_behind_what_need_not() {
    let mut quick = remediation("quick", Risk::Safe, 1, RebootNeed::Never);
    quick.blockers = vec![slug("busy")];
    let slow = remediation("slow", Risk::Safe, 90, RebootNeed::Never);
    let cat = catalogue(&[("a", &["quick", "slow"])], vec![quick, slow]);
    let verdict = verdict(&[(Some("a"), 0.9, Certainty::Likely), (None, 0.1, Certainty::Possible)]);
    let efficacy = Efficacy::default();
    let with = |answer| plan_for(&cat, &verdict, &ask(&[seen("busy", answer)], &[], &efficacy));
    assert_eq!(names(&with(Answer::No)), ["quick", "slow"]);
    let waits = with(Answer::Yes);
    assert_eq!(names(&waits), ["slow", "quick"]);
    assert!(waits.steps[1].allowed && waits.steps[1].reason.ends_with("it would wait: busy"));
}

fn sample() -> (Catalogue, Verdict) {
    let cat = catalogue(
        &[
            ("a", &["slow", "quick", "by_hand", "never", "reboots"]),
            ("b", &["quick"]),
            ("gone", &["useless"]),
        ],
        vec![
            remediation("slow", Risk::Disruptive, 60, RebootNeed::Never),
            remediation("quick", Risk::Safe, 5, RebootNeed::Never),
            remediation("by_hand", Risk::Guided, 1, RebootNeed::Never),
            remediation("never", Risk::Refused, 1, RebootNeed::Never),
            remediation("reboots", Risk::Safe, 5, RebootNeed::Always),
            remediation("useless", Risk::Safe, 1, RebootNeed::Never),
        ],
    );
    let verdict = verdict(&[
        (Some("a"), 0.5, Certainty::Likely),
        (Some("b"), 0.3, Certainty::Possible),
        (None, 0.19, Certainty::Possible),
        (Some("gone"), 0.01, Certainty::RuledOut),
    ]);
    (cat, verdict)
}

#[test]
fn the_best_chance_for_its_cost_comes_first_and_the_rest_says_why_not() {
    let (cat, verdict) = sample();
    let plan = plan(&cat, &verdict, OsFamily::Linux, Risk::Disruptive, &[]);
    assert_eq!(names(&plan), ["quick", "reboots", "slow", "by_hand", "never"]);
    assert!((plan.steps[0].chance - 0.8 * CURES).abs() < 1e-9, "against both its causes");
    assert_eq!(plan.next().map(|s| s.cause.as_str()), Some("a"));
    assert!(plan.steps[3].reason.starts_with("a person does this"));
    assert!(plan.steps[4].reason.starts_with("never done"));
    assert!(plan.steps.iter().all(|s| !s.reason.is_empty()));
}

#[test]
fn what_is_over_the_allowed_risk_is_listed_and_not_allowed() {
    let (cat, verdict) = sample();
    let plan = plan(&cat, &verdict, OsFamily::Linux, Risk::Safe, &[]);
    assert_eq!(names(&plan), ["quick", "reboots", "slow", "by_hand", "never"]);
    assert!(!plan.steps[2].allowed);
    assert_eq!(plan.steps[2].reason, "its risk is disruptive; only up to safe is allowed here");
}

/// Heckerman's service call: an agent that could hardly help does not keep a person from being asked.
#[test]
fn what_a_person_does_goes_first_where_it_is_worth_far_more() {
    let cat = catalogue(
        &[("driver", &["renew_driver"]), ("disk", &["look_at_disk"])],
        vec![
            remediation("renew_driver", Risk::Guided, 30, RebootNeed::Never),
            remediation("look_at_disk", Risk::Disruptive, 45, RebootNeed::Never),
        ],
    );
    let of = |driver: f64, disk: f64, tried: &[(Slug, u32)]| {
        let verdict = verdict(&[
            (Some("driver"), driver, Certainty::Likely),
            (Some("disk"), disk, Certainty::Possible),
            (None, 1.0 - driver - disk, Certainty::Possible),
        ]);
        let plan = plan(&cat, &verdict, OsFamily::Linux, Risk::Disruptive, tried);
        let id = |step: Option<&PlannedStep>| step.map(|s| s.remediation.to_string());
        (id(plan.next()), id(plan.for_people()), plan)
    };
    let (person, agent) = (Some("renew_driver".to_owned()), Some("look_at_disk".to_owned()));
    let (next, asked, plan) = of(0.6, 0.1, &[]);
    assert_eq!((next, asked), (None, person.clone()));
    assert_eq!(names(&plan), ["renew_driver", "look_at_disk"]);
    let held = &plan.steps[1];
    assert!(!held.allowed && held.reason.starts_with("a person does renew_driver first (42 %"));
    // Worth about as much: the agent costs nobody's time.
    let (next, asked, _) = of(0.5, 0.3, &[]);
    assert_eq!((next, asked), (agent.clone(), None));
    // The person did it, or would not: the agent does what is left, as its chance has grown.
    let (next, asked, _) = of(0.6, 0.1, &[(slug("renew_driver"), 1)]);
    assert_eq!((next, asked), (agent, None));
}

#[test]
fn what_hardly_helps_is_not_tried_and_nobody_is_asked_for_it() {
    let cat = catalogue(
        &[("a", &["disrupts", "safe", "by_hand"])],
        vec![
            remediation("disrupts", Risk::Disruptive, 5, RebootNeed::Never),
            remediation("safe", Risk::Safe, 5, RebootNeed::Never),
            remediation("by_hand", Risk::Guided, 5, RebootNeed::Never),
        ],
    );
    let of = |share: f64| {
        let causes =
            [(Some("a"), share, Certainty::Possible), (None, 1.0 - share, Certainty::Likely)];
        let plan = plan(&cat, &verdict(&causes), OsFamily::Linux, Risk::Disruptive, &[]);
        let allowed: Vec<_> = plan.steps.iter().filter(|s| s.allowed).collect();
        let allowed: Vec<_> = allowed.iter().map(|s| s.remediation.to_string()).collect();
        (allowed, plan.for_people().is_some())
    };
    assert_eq!(of(0.05), (vec!["safe".to_owned(), "disrupts".to_owned()], false));
    assert_eq!(of(0.021), (Vec::new(), false), "nothing, and nobody is asked either");
}

#[test]
fn what_does_nothing_on_a_build_is_not_ordered_there() {
    let dism = |tool| Step {
        action: Action::ToolRun { tool, value_from: None },
        timeout_s: 60,
        always: false,
    };
    let mut repair = remediation("repair", Risk::Disruptive, 60, RebootNeed::Never);
    repair.steps = vec![dism(Tool::DismRestoreHealth), dism(Tool::DismScanHealth)];
    assert!(repair.is_idle_on("6.1.7601.24546") && !repair.is_idle_on("10.0.19045.3803"));
    assert!(!repair.is_idle_on(""), "an unknown build is no reason");
    let cat = catalogue(&[("a", &["repair"])], vec![repair.clone()]);
    let verdict = verdict(&[(Some("a"), 0.8, Certainty::Likely), (None, 0.2, Certainty::Possible)]);
    let none = Efficacy::default();
    let next = |build| {
        let ask = Ask {
            os: OsFamily::Linux,
            build,
            allowed: Risk::Disruptive,
            restarts: true,
            subject: None,
            evidence: &[],
            tried: &[],
            efficacy: &none,
        };
        plan_for(&cat, &verdict, &ask).next().is_some()
    };
    assert!(next("10.0.19045.3803") && !next("6.1.7601.24546"));
    // A step that does something there is enough.
    repair.steps.push(dism(Tool::AptClean));
    assert!(!repair.is_idle_on("6.1.7601.24546"));
}

#[test]
fn a_tried_version_is_not_tried_again_and_a_new_one_is() {
    let (mut cat, verdict) = sample();
    let tried = [(slug("quick"), 1)];
    let again = plan(&cat, &verdict, OsFamily::Linux, Risk::Disruptive, &tried);
    assert_eq!(again.next().map(|s| s.remediation.as_str()), Some("reboots"));
    assert!(again.steps.iter().any(|s| s.reason.contains("was tried already")));
    cat.remediations.get_mut(&slug("quick")).expect("there").version = 2;
    let newer = plan(&cat, &verdict, OsFamily::Linux, Risk::Disruptive, &tried);
    assert_eq!(newer.next().map(|s| s.remediation.as_str()), Some("quick"));
}

#[test]
fn a_retry_waits_for_the_person_while_its_cause_is_confirmed() {
    let (mut cat, mut verdict) = sample();
    cat.causes.get_mut(&slug("a")).expect("there").retries = vec![slug("quick"), slug("slow")];
    let likely = plan(&cat, &verdict, OsFamily::Linux, Risk::Disruptive, &[]);
    assert_eq!(likely.next().map(|s| s.remediation.as_str()), Some("quick"), "it may help");
    verdict.causes[0].certainty = Certainty::Confirmed;
    let sure = plan(&cat, &verdict, OsFamily::Linux, Risk::Disruptive, &[]);
    assert_eq!(names(&sure), ["reboots", "by_hand", "slow", "quick", "never"]);
    let quick = &sure.steps[3];
    assert!(
        !quick.allowed && quick.reason.contains("same failure"),
        "another cause or not: {quick:?}"
    );
}

#[test]
fn another_system_has_no_plan_and_guided_risk_allows_nothing_by_itself() {
    let (cat, verdict) = sample();
    assert!(plan(&cat, &verdict, OsFamily::Windows, Risk::Dangerous, &[]).steps.is_empty());
    let all = plan(&cat, &verdict, OsFamily::Linux, Risk::Refused, &[]);
    assert!(all.steps.iter().all(|s| s.allowed == (s.risk <= Risk::Dangerous)));
}

proptest! {
    #[test]
    fn order_and_bounds_hold(share in 0.0..1.0_f64, minutes in 0..10_000_u32, allowed in prop::sample::select(Risk::ALL)) {
        let (mut cat, _) = sample();
        cat.remediations.get_mut(&slug("slow")).expect("there").minutes = minutes;
        let verdict = verdict(&[(Some("a"), share, Certainty::Possible), (Some("b"), 1.0 - share, Certainty::Possible)]);
        let plan = plan(&cat, &verdict, OsFamily::Linux, allowed, &[]);
        let may: Vec<_> = plan.steps.iter().filter(|s| s.allowed).collect();
        prop_assert!(may.windows(2).all(|w| w[0].chance / w[0].cost >= w[1].chance / w[1].cost));
        prop_assert!(plan.steps.iter().all(|s| (0.0..=1.0).contains(&s.chance) && s.cost >= 1.0));
        prop_assert!(may.iter().all(|s| s.risk <= allowed));
        prop_assert!(plan.next().is_none() || plan.for_people().is_none());
        prop_assert!(plan.steps.iter().skip(may.len()).all(|s| !s.allowed), "allowed ones come first");
    }
}
