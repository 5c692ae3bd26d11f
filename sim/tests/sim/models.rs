use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fleetmend_agent::collect::live::{Live, Observed};
use fleetmend_agent::probe::{self, About};
use fleetmend_core::host::OsFamily;
use fleetmend_core::report::FailureReport;
use fleetmend_core::time::{Clock as _, SystemClock, Timestamp};
use fleetmend_core::triage::{probes_for, triage};
use fleetmend_sim::fleet::{Plan, draw};
use fleetmend_sim::model::{Model, Trace, models};
use fleetmend_sim::{SimHost, Standing};

use super::{QUICK, healthy, host};

/// One look of the real collectors.
async fn look(host: &SimHost, now: Timestamp) -> Observed {
    use fleetmend_agent::platform::Platform as _;
    let catalogue = fleetmend_catalog::builtin();
    let mut live = Live::once(host.root(), catalogue).looking_back(Duration::from_hours(15 * 24));
    live.poll(host, now).await
}

/// The failure that the model's own words promise.
fn expected(observed: &Observed, model: &Model) -> Option<FailureReport> {
    let expect = &model.expect;
    let is = |f: &&FailureReport| {
        f.product == expect.product
            && f.operation == expect.operation
            && f.code.as_ref() == Some(&expect.code)
    };
    observed.failures.iter().find(is).cloned()
}

fn fleet(seed: u64) -> Plan {
    Plan {
        hosts: 60,
        seed,
        folder: std::path::PathBuf::new(),
        pace: QUICK,
        windows: 0.6,
        healthy: 0.3,
        two: 0.2,
        repeating: false,
        collect_every: Duration::from_secs(1),
    }
}

/// Every file below a folder, with its content.
fn tree(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(folder).expect("below").to_owned();
                found.insert(inside, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

#[test]
fn a_seed_decides_everything() {
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
    let folder = tempfile::tempdir().expect("a folder");
    let (a, b, other) = (fleet(1), fleet(1), fleet(2));
    let drawn = |plan: &Plan| -> Vec<_> { (1..=plan.hosts).map(|n| draw(plan, n)).collect() };
    assert_eq!(drawn(&a), drawn(&b));
    assert_ne!(drawn(&a), drawn(&other));
    let faults: Vec<usize> = drawn(&a).iter().map(|(_, faults)| faults.len()).collect();
    assert!((0..=2).all(|n| faults.contains(&n)), "none, one and two: {faults:?}");
    for (number, model) in (1..).zip(&models().all) {
        let first = host(&folder.path().join("a"), number, model, now);
        let second = host(&folder.path().join("b"), number, model, now);
        let place = format!("{}-{number}", model.id);
        let (a, b) = (folder.path().join("a").join(&place), folder.path().join("b").join(&place));
        assert!(tree(&a) == tree(&b), "{}: other bytes", model.id);
        assert_eq!(first.truth(), second.truth());
    }
}

#[tokio::test]
async fn the_real_collectors_read_what_every_model_writes() {
    let now = SystemClock.now();
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Vec::new();
    for model in &models().all {
        let host = host(folder.path(), 1, model, now);
        host.fail_now(now).expect("fails");
        // What the journal got in this second is read in the next.
        let observed = look(&host, now.after(Duration::from_secs(2))).await;
        if expected(&observed, model).is_none() || !observed.notes.is_empty() {
            wrong.push((&model.id, observed));
        }
        assert_eq!(host.truth()[0].cause, model.cause);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for os in [OsFamily::Linux, OsFamily::Windows] {
        let observed = look(&healthy(folder.path(), os, now), now).await;
        assert_eq!(observed.failures, [], "a host in order reports nothing");
    }
}

#[tokio::test]
async fn what_heals_succeeds_and_says_so() {
    let now = SystemClock.now();
    let folder = tempfile::tempdir().expect("a folder");
    for model in models().all.iter().filter(|m| m.heals_h.is_some() && m.os == OsFamily::Windows) {
        let host = host(folder.path(), 1, model, now);
        let mut live = {
            use fleetmend_agent::platform::Platform as _;
            Live::open(host.root(), folder.path(), fleetmend_catalog::builtin())
        };
        live.poll(&host, now).await;
        live.commit().expect("kept");
        let later = now.after(Duration::from_hours(200));
        host.live(later).expect("lives");
        assert_eq!(host.truth()[0].standing, Standing::Gone, "{}", model.id);
        assert!(host.is_healthy());
        let observed = live.poll(&host, later).await;
        let ends = |r: &fleetmend_core::report::Recovery| {
            r.key.product == model.expect.product && r.key.operation == model.expect.operation
        };
        assert!(observed.recoveries.iter().any(ends), "{}: {observed:#?}", model.id);
    }
}

/// How often the first cause is the true one. The rates are the simulation's own: this number is
/// told, and only held against a collapse.
#[tokio::test]
async fn triage_puts_the_true_cause_first_in_most_hosts() {
    const HOSTS: u32 = 4;
    let now = SystemClock.now();
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = fleetmend_catalog::builtin();
    let (mut right, mut all, mut lines) = (0, 0, Vec::new());
    for model in &models().all {
        let mut of_model = 0;
        for number in 1..=HOSTS {
            let host = host(folder.path(), number, model, now);
            host.fail_now(now).expect("fails");
            // What the journal got in this second is read in the next.
            let observed = look(&host, now.after(Duration::from_secs(2))).await;
            let failure = expected(&observed, model);
            let failure = failure.unwrap_or_else(|| panic!("{} {number}: {observed:#?}", model.id));
            let key = failure.incident_key();
            let mut evidence = Vec::new();
            let mut id = 0u8;
            let mut random = || {
                id += 1;
                [id; 10]
            };
            for probe in probes_for(catalogue, &key, model.os) {
                let about = About::Failure(&failure);
                evidence.push(probe::answer(&host, probe, about, now, &mut random).await);
            }
            let verdict = triage(catalogue, &key, None, &evidence);
            let first = verdict.first().and_then(|c| c.cause.clone());
            of_model += u32::from(first.as_ref() == Some(&model.cause));
        }
        lines.push(format!("{:<28} {:<28} {of_model}/{HOSTS}", model.id, model.cause));
        (right, all) = (right + of_model, all + HOSTS);
    }
    let lines = lines.join("\n");
    eprintln!("{lines}\nthe true cause is first in {right} of {all} hosts");
    assert!(right * 100 >= all * 60, "{lines}\nonly {right} of {all}");
}

#[test]
fn enough_models_can_repeat_for_load() {
    let repeating = models().all.iter().filter(|m| m.repeats()).count();
    assert!(repeating >= 4);
    let traces: std::collections::BTreeSet<_> =
        models().all.iter().map(|m| m.trace.as_str()).collect();
    assert_eq!(traces.len(), Trace::ALL.len(), "a trace without a model: {traces:?}");
}
