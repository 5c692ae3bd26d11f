//! Properties of triage, over made-up catalogues and evidence.

use proptest::prelude::*;

use super::*;
use crate::code::FailureCode;
use crate::knowledge::{CodeEntry, Confidence, Indication, Retry, Text};
use crate::probe::Question;
use crate::report::{Kind, Operation, Product};
use crate::time::Timestamp;
use crate::update_class::UpdateClass;

fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

fn key() -> IncidentKey {
    IncidentKey {
        product: Product::Apt,
        operation: Operation::Install,
        code: Some("apt.dpkg_interrupted".parse().expect("a code")),
        subject: None,
    }
}

/// A catalogue of one binding: causes `c0`… with shares, and what probes `p0`… say of each.
fn catalogue(causes: &[(f64, Vec<(Strength, Strength)>)]) -> Catalogue {
    let mut cat = Catalogue::default();
    let mut shares = Vec::new();
    for (n, (share, says)) in causes.iter().enumerate() {
        let id = slug(&format!("c{n}"));
        shares.push((id.clone(), *share));
        let indications = says
            .iter()
            .enumerate()
            .map(|(p, (yes, no))| Indication {
                probe: slug(&format!("p{p}")),
                yes: *yes,
                no: *no,
                source: "expert".into(),
            })
            .collect();
        let cause = Cause {
            id: id.clone(),
            name: Text::default(),
            explanation: Text::default(),
            indications,
            own_probe: None,
            remediations: Vec::new(),
            retries: Vec::new(),
            products: Vec::new(),
            seeds: Vec::new(),
        };
        cat.causes.insert(id, cause);
    }
    cat.bindings.push(Binding {
        product: Product::Apt,
        operation: Some(Operation::Install),
        code: key().code,
        update_class: None,
        causes: shares,
        source: "expert".into(),
    });
    cat
}

fn seen(probe: usize, answer: Answer, at: i64) -> Evidence {
    let now = Timestamp::from_millis(at);
    let random = [u8::try_from(probe).expect("few probes"); 10];
    Evidence {
        id: EvidenceId::at(now, random),
        probe: slug(&format!("p{probe}")),
        subject: None,
        answer,
        proof: "seen".into(),
        value: None,
        at: now,
    }
}

fn share(verdict: &Verdict, cause: Option<&str>) -> f64 {
    let of = |c: &&RankedCause| c.cause.as_ref().map(Slug::as_str) == cause;
    verdict.causes.iter().find(of).expect("listed").share
}

const SCALE: &[Strength] = Strength::ALL;
const PROBES: usize = 4;

fn any_catalogue() -> impl Strategy<Value = Vec<(f64, Vec<(Strength, Strength)>)>> {
    let says = (prop::sample::select(SCALE), prop::sample::select(SCALE));
    let cause = (0.01..0.22_f64, prop::collection::vec(says, PROBES));
    prop::collection::vec(cause, 1..5)
}

fn any_evidence() -> impl Strategy<Value = Vec<Evidence>> {
    let one = (0..PROBES, prop::sample::select(Answer::ALL), 0_i64..50);
    prop::collection::vec(one.prop_map(|(p, a, at)| seen(p, a, at)), 0..12)
}

/// What one product's failures are caused by is no cause of another's, and its share goes to *other*.
#[test]
fn a_code_leads_only_to_causes_of_its_product() {
    let mut cat = catalogue(&[(0.5, Vec::new()), (0.3, Vec::new())]);
    cat.bindings.clear();
    let code: FailureCode = "0x80070003".parse().expect("a code");
    let entry = CodeEntry {
        code: code.clone(),
        symbol: None,
        area: "win32".into(),
        kind: Kind::Failure,
        confidence: Confidence::Official,
        retry: Retry::Permanent,
        meaning: Text::default(),
        source: "expert".into(),
        causes: vec![slug("c0"), slug("c1")],
    };
    cat.codes.insert(code.clone(), entry);
    cat.causes.get_mut(&slug("c0")).expect("there").products = vec![Product::WindowsUpdate];
    let of = |product| {
        let key = IncidentKey { product, code: Some(code.clone()), ..key() };
        let causes = triage(&cat, &key, None, &[]).causes;
        let told = |c: RankedCause| (c.cause.map(|c| c.to_string()), level(c.share), c.certainty);
        causes.into_iter().map(told).collect::<Vec<_>>()
    };
    let (c0, c1) = (Some("c0".to_owned()), Some("c1".to_owned()));
    let (likely, possible) = (Certainty::Likely, Certainty::Possible);
    // Two thirds of 0.6 and the rest are 0.4 alike: what has a name stands first, and both are likely.
    let all = [(c0, 0.4, likely), (None, 0.4, likely), (c1.clone(), 0.2, possible)];
    assert_eq!(of(Product::WindowsUpdate), all);
    assert_eq!(of(Product::SystemRestore), [(None, 0.8, likely), (c1, 0.2, possible)]);
}

/// Two systemd units failed. The verdict of each shows its own unit's proof, whichever was seen last.
#[test]
fn evidence_about_another_subject_does_not_count() {
    let cat = catalogue(&[(0.5, vec![(Strength::Decisive, Strength::DecisiveAgainst)])]);
    let about = |subject: Option<&str>, answer, at| {
        let proof = format!("{} is {answer}", subject.unwrap_or("the host"));
        Evidence { subject: subject.map(str::to_owned), proof, ..seen(0, answer, at) }
    };
    let of = |subject: Option<&str>, evidence: &[Evidence]| {
        let key = IncidentKey { subject: subject.map(str::to_owned), ..key() };
        let verdict = triage(&cat, &key, None, evidence);
        let named = verdict.causes.iter().find(|c| c.cause.is_some()).expect("listed").clone();
        (named.certainty, named.evidence.into_iter().map(|w| w.proof).collect::<Vec<_>>())
    };
    let a = about(Some("a.service"), Answer::Yes, 5);
    let b = about(Some("b.service"), Answer::No, 9);
    for evidence in [[a.clone(), b.clone()], [b.clone(), a.clone()]] {
        let told = |certainty, proof: &str| (certainty, vec![proof.to_owned()]);
        assert_eq!(
            of(Some("a.service"), &evidence),
            told(Certainty::Confirmed, "a.service is yes")
        );
        assert_eq!(of(Some("b.service"), &evidence), told(Certainty::RuledOut, "b.service is no"));
        assert_eq!(of(Some("c.service"), &evidence).1, Vec::<String>::new());
        assert_eq!(of(None, &evidence).1, Vec::<String>::new(), "a failure of the host at large");
    }
    let all = about(None, Answer::No, 7);
    assert_eq!(of(Some("a.service"), &[a, all.clone()]).1, ["the host is no"], "the newer counts");
    assert_eq!(of(Some("b.service"), &[b, all]).1, ["b.service is no"]);
}

proptest! {
    #[test]
    fn shares_sum_to_one_and_other_is_listed(causes in any_catalogue(), evidence in any_evidence()) {
        let verdict = triage(&catalogue(&causes), &key(), None, &evidence);
        let sum: f64 = verdict.causes.iter().map(|c| c.share).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9, "{}", sum);
        prop_assert_eq!(verdict.causes.len(), causes.len() + 1);
        prop_assert!(share(&verdict, None) > 0.0);
        prop_assert!(verdict.causes.windows(2).all(|w| level(w[0].share) >= level(w[1].share)));
    }

    #[test]
    fn the_order_of_evidence_does_not_matter(
        causes in any_catalogue(),
        (one, other) in any_evidence().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
    ) {
        let cat = catalogue(&causes);
        prop_assert_eq!(triage(&cat, &key(), None, &one), triage(&cat, &key(), None, &other));
    }

    #[test]
    fn unknown_changes_nothing(causes in any_catalogue(), evidence in any_evidence(), probe in 0..PROBES) {
        let cat = catalogue(&causes);
        let before = triage(&cat, &key(), None, &evidence);
        let mut more = evidence;
        more.push(seen(probe, Answer::Unknown, 1_000));
        prop_assert_eq!(before, triage(&cat, &key(), None, &more));
    }

    /// New evidence whose ratio for a cause is the highest of all (and at least 1, which is that
    /// of *other*) never lowers the cause; and against *other* no evidence for it ever does.
    #[test]
    fn evidence_for_a_cause_never_lowers_it(causes in any_catalogue(), answers in prop::collection::vec(prop::bool::ANY, PROBES - 1)) {
        let cat = catalogue(&causes);
        let yes = |a: bool| if a { Answer::Yes } else { Answer::No };
        let old: Vec<Evidence> = answers.iter().enumerate().map(|(p, a)| seen(p, yes(*a), 1)).collect();
        let before = triage(&cat, &key(), None, &old);
        let mut all = old;
        all.push(seen(PROBES - 1, Answer::Yes, 2));
        let after = triage(&cat, &key(), None, &all);
        let ratios: Vec<f64> = causes.iter().map(|(_, says)| says[PROBES - 1].0.ratio()).collect();
        let most = ratios.iter().copied().fold(1.0, f64::max);
        for (n, ratio) in ratios.iter().enumerate() {
            let id = format!("c{n}");
            let odds = |v: &Verdict| share(v, Some(&id)) / share(v, None);
            if *ratio >= 1.0 {
                prop_assert!(odds(&after) >= odds(&before) * 0.999_999);
            }
            if *ratio >= most {
                prop_assert!(share(&after, Some(&id)) >= share(&before, Some(&id)) - 1e-9);
            }
        }
    }

    #[test]
    fn nothing_is_confirmed_without_decisive_evidence(causes in any_catalogue(), evidence in any_evidence()) {
        let verdict = triage(&catalogue(&causes), &key(), None, &evidence);
        for (rank, cause) in verdict.causes.iter().enumerate() {
            let decisive = cause.evidence.iter().any(|w| w.strength == Strength::Decisive);
            if cause.certainty == Certainty::Confirmed {
                prop_assert!(decisive && rank == 0 && cause.cause.is_some());
            }
        }
    }
}

#[test]
fn the_newest_answer_of_a_probe_counts_once() {
    let cat = catalogue(&[(0.5, vec![(Strength::Decisive, Strength::DecisiveAgainst)])]);
    let said_yes = seen(0, Answer::Yes, 1);
    let once = triage(&cat, &key(), None, std::slice::from_ref(&said_yes));
    assert_eq!(once.causes[0].certainty, Certainty::Confirmed);
    let twice = triage(&cat, &key(), None, &[said_yes.clone(), seen(0, Answer::Yes, 2)]);
    assert!((once.causes[0].share - twice.causes[0].share).abs() < 1e-12);
    let gone = triage(&cat, &key(), None, &[seen(0, Answer::No, 3), said_yes]);
    assert_eq!(gone.causes[0].cause, None, "other leads once the cause's probe says no");
    assert_eq!(gone.causes[1].certainty, Certainty::RuledOut);
    assert!(gone.first().is_none());
}

#[test]
fn a_lone_cause_without_evidence_is_not_certain() {
    let cat = catalogue(&[(0.9, vec![])]);
    let verdict = triage(&cat, &key(), None, &[]);
    assert_eq!(verdict.causes[0].certainty, Certainty::Likely);
    assert!(verdict.causes[1].share >= OTHER_AT_LEAST - 1e-9);
}

#[test]
fn shares_that_leave_no_room_are_scaled() {
    let verdict = triage(&catalogue(&[(0.9, vec![]), (0.9, vec![])]), &key(), None, &[]);
    assert!((share(&verdict, None) - OTHER_AT_LEAST).abs() < 1e-9);
}

#[test]
fn the_closest_binding_holds_and_an_unknown_context_has_only_other() {
    let mut cat = catalogue(&[(0.5, vec![])]);
    let bind = |operation, class: Option<UpdateClass>, cause: &str| Binding {
        product: Product::Apt,
        operation,
        code: key().code,
        update_class: class,
        causes: vec![(slug(cause), 0.3)],
        source: "expert".into(),
    };
    cat.bindings.push(bind(None, None, "any_operation"));
    cat.bindings.push(bind(None, Some(UpdateClass::Driver), "drivers"));
    let first = |key: &IncidentKey, class| priors(&cat, key, class)[0].0.to_string();
    assert_eq!(first(&key(), None), "c0");
    assert_eq!(first(&key(), Some(UpdateClass::Driver)), "drivers");
    assert_eq!(first(&key(), Some(UpdateClass::Dotnet)), "c0");
    assert_eq!(first(&IncidentKey { operation: Operation::Scan, ..key() }, None), "any_operation");
    let foreign = IncidentKey { product: Product::Dnf, ..key() };
    let verdict = triage(&cat, &foreign, None, &[]);
    assert_eq!(verdict.causes.len(), 1);
    assert!(verdict.causes[0].cause.is_none());
}

#[test]
fn probes_are_those_of_the_system_weightiest_first() {
    let mut cat = catalogue(&[
        (0.6, vec![(Strength::Weak, Strength::Nothing), (Strength::Decisive, Strength::Nothing)]),
        (0.2, vec![(Strength::Nothing, Strength::Nothing), (Strength::Nothing, Strength::Strong)]),
    ]);
    let mut add = |id: &str, question| {
        let probe = Probe { id: slug(id), name: Text::default(), question };
        cat.probes.insert(slug(id), probe);
    };
    add("p0", Question::RebootPending);
    add("p1", Question::DpkgInterrupted);
    let ids = |os| -> Vec<String> {
        probes_for(&cat, &key(), os).iter().map(|p| p.id.to_string()).collect()
    };
    assert_eq!(ids(OsFamily::Linux), ["p1", "p0"]);
    assert_eq!(ids(OsFamily::Windows), ["p0"]);
}
