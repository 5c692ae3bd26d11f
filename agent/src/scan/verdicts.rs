//! What is behind the incidents that a scan found.

use std::collections::BTreeMap;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Risk};
use fleetmend_core::limits;
use fleetmend_core::report::{FailureReport, IncidentKey, Kind, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::{Certainty, Verdict, probes_for, triage};
use fleetmend_core::words::Slug;

use super::IncidentVerdict;
use crate::platform::Platform;
use crate::probe::offline::{self, Logs};
use crate::probe::{self, About};

/// Incidents that are judged; a log with more is told of by its codes.
const INCIDENTS: usize = 500;

/// Incidents, each with its latest report and how many it has, in order of first appearance.
fn incidents(reports: &[FailureReport]) -> Vec<(IncidentKey, &FailureReport, u64)> {
    let mut places: BTreeMap<IncidentKey, usize> = BTreeMap::new();
    let mut found: Vec<(IncidentKey, &FailureReport, u64)> = Vec::new();
    for report in reports.iter().filter(|r| r.kind == Kind::Failure) {
        let key = report.incident_key();
        if let Some(&at) = places.get(&key) {
            found[at].1 = report;
            found[at].2 += 1;
        } else if found.len() < INCIDENTS {
            places.insert(key.clone(), found.len());
            found.push((key, report, 1));
        }
    }
    found
}

/// By the logs alone: those given as one path, which are taken to be of one machine.
pub(super) fn offline(
    logs: Logs<'_>,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Vec<IncidentVerdict> {
    let judged = incidents(logs.reports).into_iter().map(|(key, latest, count)| {
        let evidence: Vec<Evidence> = probes_for(catalogue, &key, system_of(key.product))
            .into_iter()
            .take(limits::EVIDENCE_PER_REPORT)
            .map(|probe| offline::answer(logs, probe, latest, now, crate::random::ten()))
            .collect();
        let verdict = triage(catalogue, &key, latest.update_class, &evidence);
        let would_ask = unanswered(&evidence);
        let help = help(catalogue, &key, &verdict);
        IncidentVerdict { key, reports: count, verdict, help, would_ask }
    });
    judged.collect()
}

/// Remedies named at an incident.
const HELP: usize = 3;

/// What helps against the first cause that has a name and is not ruled out, on the product's system.
fn help(cat: &Catalogue, key: &IncidentKey, verdict: &Verdict) -> Vec<Slug> {
    let mut named = verdict.causes.iter().filter(|c| c.certainty != Certainty::RuledOut);
    let first = named.find_map(|c| cat.causes.get(c.cause.as_ref()?));
    let system = key.product.system();
    let known = first.into_iter().flat_map(|cause| &cause.remediations);
    let fits = |id: &&Slug| {
        let entry = cat.remediations.get(*id);
        entry.is_some_and(|r| r.risk != Risk::Refused && system.is_none_or(|os| os == r.os))
    };
    known.filter(fits).take(HELP).cloned().collect()
}

/// The system whose logs tell of a product.
const fn system_of(product: Product) -> OsFamily {
    match product {
        Product::Apt
        | Product::Dnf
        | Product::Zypper
        | Product::Systemd
        | Product::Restic
        | Product::Borg
        | Product::Rsync => OsFamily::Linux,
        _ => OsFamily::Windows,
    }
}

/// The probes that found nothing out, weightiest first.
fn unanswered(evidence: &[Evidence]) -> Vec<Slug> {
    let unknown = evidence.iter().filter(|e| e.answer == Answer::Unknown);
    unknown.map(|e| e.probe.clone()).collect()
}

/// By asking the machine.
pub(super) async fn live(
    reports: &[FailureReport],
    platform: &dyn Platform,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Vec<IncidentVerdict> {
    let os = platform.facts().map_or(OsFamily::Linux, |facts| facts.os);
    let mut judged = Vec::new();
    for (key, latest, count) in incidents(reports) {
        let mut evidence = Vec::new();
        for asked in probes_for(catalogue, &key, os).into_iter().take(limits::EVIDENCE_PER_REPORT) {
            let mut random = crate::random::ten;
            evidence.push(
                probe::answer(platform, asked, About::Failure(latest), now, &mut random).await,
            );
        }
        let verdict = triage(catalogue, &key, latest.update_class, &evidence);
        let would_ask = unanswered(&evidence);
        let help = help(catalogue, &key, &verdict);
        judged.push(IncidentVerdict { key, reports: count, verdict, help, would_ask });
    }
    judged
}
