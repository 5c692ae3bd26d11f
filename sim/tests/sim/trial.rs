//! Campaigns over simulated hosts, each with the parts of a real agent on it, judged by the hidden
//! truth.

use std::path::Path;
use std::time::{Duration, Instant};

use fleetmend_core::campaign::{Aim, CampaignState, Definition, Outcome};
use fleetmend_core::host::OsFamily;
use fleetmend_core::job::ProofLevel;
use fleetmend_sim::fleet::{Plan, draw};
use fleetmend_sim::model::{Ailment, Model, models};
use fleetmend_sim::names::Persona;
use fleetmend_sim::trial::{Member, Trial};

use super::QUICK;

const SEED: u64 = 23;

/// A campaign with the strict defaults, and what a test says besides.
pub(super) fn definition(besides: &str) -> Definition {
    let text = format!(
        "name = \"trial\"\nreason = \"test\"\nselector = {{ product = \"windows_update\" }}\nmax_risk = \"disruptive\"\nreboot = \"anytime\"\n{besides}"
    );
    toml::from_str(&text).expect("a definition")
}

/// Drawn hosts on which something fails that may be cured at all.
fn drawn(count: usize) -> Vec<Member> {
    let plan = Plan {
        hosts: 0,
        seed: SEED,
        folder: std::path::PathBuf::new(),
        pace: QUICK,
        windows: 0.75,
        healthy: 0.0,
        two: 0.0,
        repeating: false,
        collect_every: Duration::from_secs(1),
    };
    let hosts = (1..).map(|number| draw(&plan, number));
    let may = |faults: &[&'static Model]| faults.iter().all(|m| !m.cure.is_empty());
    let chosen = hosts.filter(|(_, faults)| !faults.is_empty() && may(faults));
    chosen
        .take(count)
        .map(|(persona, faults)| Member { persona, faults, ailment: Ailment::None })
        .collect()
}

/// Hosts that all have one fault.
fn all_with(model: &str, count: u32) -> Vec<Member> {
    let model = models().get(model).expect("a model");
    let member = |number| Member {
        persona: Persona::draw(SEED, number, model.os),
        faults: vec![model],
        ailment: Ailment::None,
    };
    (1..=count).map(member).collect()
}

async fn run(folder: &Path, members: Vec<Member>, definition: Definition) -> Trial {
    let begun = Instant::now();
    let mut trial = Trial::begin(folder, SEED, members, definition).await.expect("laid out");
    let laid = begun.elapsed();
    trial.run().await.unwrap_or_else(|error| panic!("{error:#}\n{}", trial.log.join("\n")));
    eprintln!(
        "laid out after {laid:?}, over after {:?}\n{}",
        begun.elapsed(),
        trial.log.join("\n")
    );
    trial
}

fn count(trial: &Trial, outcome: Outcome) -> usize {
    trial.outcomes().iter().filter(|(o, _)| *o == outcome).count()
}

pub(super) fn folder() -> tempfile::TempDir {
    // Journals are synced again and again: memory, where the system has it as a folder.
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

/// The purpose of it all: what can be cured is, nothing is harmed, and what is called fixed is.
async fn every_curable_host_ends_fixed(hosts: usize) {
    let folder = folder();
    let mut members = drawn(hosts);
    // Some restart slowly; they are errors for nobody when they come back in time.
    for member in members.iter_mut().step_by(17) {
        member.ailment = Ailment::SlowReboot;
    }
    // Faults of every kind at once, some of which no agent cures: not one problem's campaign.
    let wide = "gate = { success_percent = 1, soak = \"1h\" }\nthresholds = { abort = \"90%\", regressions = \"90%\" }";
    let trial = run(folder.path(), members, definition(wide)).await;
    let (mut curable, mut by_probe, mut wrong) = (0, 0, Vec::new());
    for (outcome, patient) in trial.outcomes() {
        curable += usize::from(patient.curable);
        let lies = outcome == Outcome::Fixed && !patient.is_fixed();
        // A proof by the probe alone says no more than that the cause is gone: it is told as such.
        let weak = patient.done.as_ref().and_then(|d| d.proof) == Some(ProofLevel::ProbeOnly);
        by_probe += usize::from(lies && weak);
        let lies = lies && !weak;
        let harmed = patient.is_harmed() && patient.curable;
        let left = patient.curable && !(patient.is_fixed() && outcome == Outcome::Fixed);
        if lies || harmed || left {
            let truth = patient.truth();
            wrong.push(format!(
                "{} {outcome}: {truth:?}\n  {:?}",
                patient.persona.name, patient.done
            ));
        }
    }
    let fixed = count(&trial, Outcome::Fixed);
    eprintln!(
        "{curable} of {hosts} curable, {fixed} fixed, {by_probe} by the probe alone, wrongly"
    );
    assert!(by_probe * 200 <= hosts, "{by_probe} are called fixed by a probe alone, and are not");
    assert!(wrong.is_empty(), "{} of {curable}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(curable * 10 > hosts * 7, "{curable} of {hosts} are curable");
    let state = trial.snapshot.state;
    assert!(
        matches!(state, CampaignState::Completed | CampaignState::CompletedWithErrors),
        "{state}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_of_1000_is_cured_where_it_can_be_and_harmed_nowhere() {
    every_curable_host_ends_fixed(1_000).await;
}

/// Those who are away are no errors: they are shown as not reached, and the rest is fixed.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_of_a_hundred_hosts_offline_do_not_abort_it() {
    let folder = folder();
    let mut members = all_with("apt.timer_disabled", 200);
    for member in members.iter_mut().step_by(10).collect::<Vec<_>>() {
        member.ailment = Ailment::Offline;
    }
    for member in members.iter_mut().skip(1).step_by(10).collect::<Vec<_>>() {
        member.ailment = Ailment::Offline;
    }
    for member in members.iter_mut().skip(2).step_by(10).collect::<Vec<_>>() {
        member.ailment = Ailment::Offline;
    }
    let trial = run(folder.path(), members, definition("")).await;
    assert_eq!(trial.snapshot.state, CampaignState::Completed, "{:?}", trial.log.last());
    assert_eq!(count(&trial, Outcome::NotReached), 60, "{:?}", trial.log.last());
    assert_eq!(count(&trial, Outcome::Fixed), 140);
}

/// Six of a hundred begin and are not heard of again.
#[tokio::test(flavor = "multi_thread")]
async fn six_of_a_hundred_hosts_silent_after_the_start_abort_it() {
    let folder = folder();
    let mut members = all_with("apt.timer_disabled", 300);
    // Not among the first: one of one would be 100 %.
    for member in members.iter_mut().skip(30).step_by(16) {
        member.ailment = Ailment::Silent;
    }
    let silent = members.iter().filter(|m| m.ailment == Ailment::Silent).count();
    assert!((17..=18).contains(&silent), "{silent} of 300 are about 6 %");
    let trial = run(folder.path(), members, definition("")).await;
    assert_eq!(trial.snapshot.state, CampaignState::Aborted, "{:?}", trial.log.last());
    let last = trial.log.last().expect("a line");
    assert!(last.contains("silent"), "{last}");
}

/// A remediation that breaks three of ten hosts: the wave in which its errors first go over the
/// threshold is the last that anybody sees.
async fn breaks_three_of_ten(model: &str) {
    let folder = folder();
    let members = all_with(model, 300);
    let trial = run(folder.path(), members, definition("")).await;
    let state = trial.snapshot.state;
    assert!(matches!(state, CampaignState::Aborted | CampaignState::Paused), "{state}");
    let limit = trial.snapshot.definition.thresholds.abort;
    let error = |host: &fleetmend_core::campaign::HostStanding| {
        let failed = host.outcome(true, host.ended.unwrap_or(host.last_seen)).is_error(Aim::Cure);
        failed || host.regressed.is_some()
    };
    let (mut errors, mut started, mut crossed) = (0, 0, None);
    for wave in 0..trial.snapshot.waves.len() {
        let here: Vec<_> = trial
            .snapshot
            .hosts
            .iter()
            .filter(|h| h.wave.is_some_and(|w| w as usize == wave))
            .collect();
        errors += here.iter().filter(|h| error(h)).count();
        started += here.len();
        if crossed.is_none() && limit.is_crossed(errors, started) {
            crossed = Some(wave);
        }
    }
    assert_eq!(crossed, Some(trial.snapshot.waves.len() - 1), "{errors} of {started}");
    assert!(started <= 30, "{started} of 300 were started");
    let touched = trial.patients.iter().filter(|p| p.done.is_some()).count();
    assert_eq!(touched, started, "{:?}", trial.log.last());
    let harmed = trial.patients.iter().filter(|p| p.is_harmed()).count();
    assert!((1..=15).contains(&harmed), "{harmed} hosts were broken before it stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_three_of_ten_never_passes_the_wave_in_which_it_shows() {
    breaks_three_of_ten("wu.cache_breaks_when_cleared").await;
    breaks_three_of_ten("apt.deps_break_when_mended").await;
}

#[test]
fn the_models_of_these_trials_are_of_their_systems() {
    let os = |id: &str| models().get(id).map(|m| m.os);
    assert_eq!(os("apt.timer_disabled"), Some(OsFamily::Linux));
    assert_eq!(os("wu.cache_breaks_when_cleared"), Some(OsFamily::Windows));
}
