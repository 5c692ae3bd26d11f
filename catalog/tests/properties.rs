//! What must hold for every context of the built-in catalogue, whatever the evidence.

use fleetmend_catalog::{Wish, builtin, explain};
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::knowledge::{Lang, Risk, Strength};
use fleetmend_core::plan::plan;
use fleetmend_core::report::{IncidentKey, Operation};
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::{Certainty, PROBES_PER_FAILURE, probes_for, triage};
use proptest::prelude::*;

/// The key of the nth binding, or of the nth code in a context that nothing names.
fn key(n: usize) -> IncidentKey {
    let cat = builtin();
    let n = n % (cat.bindings.len() + cat.codes.len());
    match cat.bindings.get(n) {
        Some(binding) => IncidentKey {
            product: binding.product,
            operation: binding.operation.unwrap_or(Operation::Install),
            code: binding.code.clone(),
            subject: None,
        },
        None => IncidentKey {
            product: fleetmend_core::report::Product::Other,
            operation: Operation::Check,
            code: cat.codes.keys().nth(n - cat.bindings.len()).cloned(),
            subject: None,
        },
    }
}

proptest! {
    #[test]
    fn verdicts_and_plans_are_sound(
        n in 0..10_000_usize,
        os in prop::sample::select(OsFamily::ALL),
        allowed in prop::sample::select(Risk::ALL),
        answers in prop::collection::vec(prop::sample::select(Answer::ALL), PROBES_PER_FAILURE),
    ) {
        let (cat, key) = (builtin(), key(n));
        let asked = probes_for(cat, &key, os);
        prop_assert!(asked.len() <= PROBES_PER_FAILURE);
        prop_assert!(asked.iter().all(|p| p.question.has_answer_on(os)));
        let at = Timestamp::from_millis(1);
        let evidence: Vec<Evidence> = asked.iter().zip(&answers).zip(0_u8..).map(|((p, answer), n)| Evidence {
            id: EvidenceId::at(at, [n; 10]),
            probe: p.id.clone(),
            subject: None,
            answer: *answer,
            proof: String::new(),
            value: None,
            at,
        }).collect();
        let verdict = triage(cat, &key, None, &evidence);
        let sum: f64 = verdict.causes.iter().map(|c| c.share).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9);
        for cause in &verdict.causes {
            let decisive = cause.evidence.iter().any(|w| w.strength == Strength::Decisive);
            prop_assert!(cause.certainty != Certainty::Confirmed || decisive);
        }
        for step in &plan(cat, &verdict, os, allowed, &[]).steps {
            let remediation = &cat.remediations[&step.remediation];
            prop_assert_eq!(remediation.os, os);
            prop_assert!(!step.allowed || remediation.is_automatic() && step.risk <= allowed);
            prop_assert!(!step.reason.is_empty());
        }
    }
}

#[test]
fn explanations_read_as_reviewed() {
    let told = |code: &str, product: &str, operation: &str, lang| {
        let code = code.parse().expect("a code");
        let (product, operation) = (product.parse().ok(), operation.parse().ok());
        let mut told = explain(builtin(), &code, Wish { product, operation, ..Wish::all(lang) });
        told.catalogue = "(the catalogue's version)".to_owned();
        told
    };
    insta::assert_json_snapshot!(
        "explain_apt_dpkg_interrupted",
        told("apt.dpkg_interrupted", "apt", "install", Lang::En)
    );
    insta::assert_json_snapshot!(
        "explain_path_not_found_while_restoring",
        told("0x80070003", "windows_backup", "restore", Lang::Ru)
    );
}
