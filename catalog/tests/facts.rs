//! The catalogue against the facts that it was made from. They stand beside the repository; where they
//! are absent the tests say so and pass.

mod shared;

use fleetmend_catalog::builtin;
use fleetmend_core::knowledge::Risk;
use shared::facts;

/// Never *safe*, whatever the vocabulary calls them (design §7).
const NEVER_SAFE: &[&str] = &[
    "ensure_firewall_service_running",
    "restart_writer_service",
    "restore_service_start_types",
    "free_disk_space",
    "delete_oldest_shadow",
];

#[test]
fn every_code_of_the_facts_has_its_meaning_in_both_languages() {
    let Some(facts) = facts("catalogue-facts.json") else { return };
    let mut wrong = Vec::new();
    let facts = facts.as_array().expect("a list");
    for fact in facts {
        let text = fact["code"].as_str().expect("a code");
        let entry = text.parse().ok().and_then(|code| builtin().codes.get(&code));
        match entry {
            None => wrong.push(format!("{text} is missing")),
            Some(entry) => {
                if entry.meaning.en.trim().is_empty() || entry.meaning.ru.trim().is_empty() {
                    wrong.push(format!("{text} has no meaning in one language"));
                }
                if fact["symbol"].as_str() != entry.symbol.as_deref() {
                    wrong.push(format!("{text} has the symbol {:?}", entry.symbol));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(facts.len() >= 333);
}

#[test]
fn no_remediation_is_laxer_than_its_class() {
    let Some(vocabulary) = facts("catalogue-vocab.json") else { return };
    let mut seen = 0;
    for r in builtin().remediations.values() {
        let stem = r.id.as_str().split('.').next().unwrap_or_default();
        let class = vocabulary["remedies"][stem]["class"].as_str();
        seen += usize::from(class.is_some());
        let least = match class {
            Some("approval" | "diagnostic_timeboxed") => Risk::Disruptive,
            Some("guidance") => Risk::Guided,
            Some("forbidden") => Risk::Refused,
            _ if NEVER_SAFE.contains(&stem) => Risk::Disruptive,
            _ => Risk::Safe,
        };
        assert!(r.risk >= least, "{} is {}, at least {least} by its class {class:?}", r.id, r.risk);
    }
    assert!(seen >= 80, "only {seen} remediations of the vocabulary");
}

#[test]
fn every_cause_of_the_vocabulary_is_there() {
    let Some(vocabulary) = facts("catalogue-vocab.json") else { return };
    let causes = vocabulary["causes"].as_object().expect("a set");
    let lost: Vec<&String> = causes
        .keys()
        .filter(|id| !builtin().causes.keys().any(|own| own.as_str() == id.as_str()))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(causes.len() >= 141);
}
