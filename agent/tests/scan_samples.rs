//! The collectors against real logs with counted truth. The samples have no licence to be copied, so
//! they stand beside the repository; where they are absent the test says so and passes.

use std::path::{Path, PathBuf};

use fleetmend_agent::{collect, scan};
use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, Kind};
use fleetmend_core::words::Slug;
use serde_json::{Map, Value, json};

fn samples() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    if path.join("ground-truth.json").is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

fn catalogue() -> &'static Catalogue {
    fleetmend_catalog::builtin()
}

/// The fields that the truth lists.
fn listed(report: &FailureReport) -> Value {
    let mut value = serde_json::to_value(report).expect("a report is JSON");
    let map = value.as_object_mut().expect("a report is an object");
    map.remove("message");
    map.remove("symbol");
    map.remove("update_class");
    value
}

fn by_code(reports: &[FailureReport]) -> Map<String, Value> {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for report in reports.iter().filter(|r| matches!(r.kind, Kind::Failure | Kind::Pending)) {
        let key = report.code.as_ref().map_or("none".to_owned(), FailureCode::to_string);
        *counts.entry(key).or_default() += 1;
    }
    counts.into_iter().map(|(k, n)| (k, json!(n))).collect()
}

#[test]
fn every_sample_gives_exactly_its_counted_truth() {
    let Some(folder) = samples() else { return };
    let truth = std::fs::read(folder.join("ground-truth.json")).expect("readable");
    let truth: Map<String, Value> = serde_json::from_slice(&truth).expect("JSON");
    let mut wrong = Vec::new();
    for (file, wanted) in &truth {
        let found = collect::file(&folder.join(file), catalogue()).expect("readable");
        let got: Vec<Value> = found.reports.iter().map(listed).collect();
        let expected = wanted["expected_reports"].as_array().expect("a list");
        println!("{file}: {} of {}", got.len(), expected.len());
        if &got != expected {
            wrong.push(format!(
                "{file}\n got {}\nwant {}",
                serde_json::to_string(&got).expect("JSON"),
                serde_json::to_string(expected).expect("JSON")
            ));
        }
        let counts = Value::Object(by_code(&found.reports));
        if counts != wanted["expected_by_code"] {
            wrong.push(format!("{file} by code: {counts} not {}", wanted["expected_by_code"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!truth.is_empty());
}

/// The event names no code, and its number says all: shadow copies were given up at their limit.
#[test]
fn a_volsnap_event_names_its_cause() {
    let Some(folder) = samples() else { return };
    let file = folder.join("evtx/python-evtx_system.evtx");
    let now = "2026-01-02T03:04:05Z".parse().expect("a time");
    let found = scan::files(&[file], catalogue(), now);
    let [incident] = &found.verdicts[..] else { panic!("{:#?}", found.verdicts) };
    let first = incident.verdict.first().expect("a cause");
    assert_eq!(first.cause.as_ref().map(Slug::as_str), Some("vss_storage_small"));
    assert_eq!(first.certainty, fleetmend_core::triage::Certainty::Confirmed);
    assert!(first.evidence.iter().any(|e| e.proof.contains("volsnap 36")), "{first:#?}");
    let cause = &catalogue().causes[first.cause.as_ref().expect("named")];
    assert!(cause.remediations.iter().any(|r| r.as_str() == "check_shadow_storage"));
}
