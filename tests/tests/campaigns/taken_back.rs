//! People take back what they ordered, a campaign and a job: while a step runs, and while a lock is
//! waited for. (While a window or a restart is waited for: `reboot.rs`.)

use fleetmend_tests::agent::wait_job;
use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Root;
use fleetmend_tests::{PATIENCE, go_on, wait_for};
use serde_json::{Value, json};

use crate::faults;
use crate::fleet::{Fleet, at_once};

/// Where the script of the package waits.
const GATE: &str = "/var/lib/example-app.gate";

#[test]
fn what_waits_is_cancelled_and_what_runs_goes_to_its_end() {
    let names = ["works", "waits"];
    let copies: Option<Vec<Root>> = at_once(&names, |_| Root::copy()).into_iter().collect();
    let Some(roots) = copies else { return };
    let [works, waits] = &roots[..] else { unreachable!("two") };
    at_once(&roots, faults::interrupted);
    let mut fleet = Fleet::of(&names.into_iter().zip(&roots).collect::<Vec<_>>());
    let incidents =
        names.map(|host| fleet.triaged(host, "apt.dpkg_interrupted", "dpkg_interrupted"));
    let mut holder = faults::finishing_hangs(waits, fleet.agent("waits"));

    // The campaign: one host is in the midst of its step, one waits for the lock.
    let id = started(&fleet);
    in_its_midst(works);
    let blocked = fleet.wait_host(&id, "waits", "blocked");
    assert!(blocked["detail"].as_str().is_some_and(|d| d.contains("apt_lock_held: ")), "{blocked}");
    fleet.act(&id, "abort", "the wrong change");
    // It never began: the campaign has not reached that host.
    let gone = fleet.wait_host(&id, "waits", "not_reached");
    let job = wait_job(&fleet.api, gone["job"].as_str().expect("a job"));
    assert_eq!(cancelled(&job), CANCELLED, "{job}");
    let now = fleet.campaign(&id);
    assert_eq!(
        (&now["state"], &now["counts"]),
        (&json!("aborted"), &json!({"running": 1, "not_reached": 1}))
    );
    go_on(&works.at(GATE));
    fleet.wait_host(&id, "works", "fixed");
    assert_eq!(fleet.campaign(&id)["counts"], json!({"fixed": 1, "not_reached": 1}));
    assert!(works.shell("dpkg --audit && apt-get check").status.success());

    // A job that waits for the lock: it never begins.
    let second = order(&fleet, &incidents[1]);
    wait_state(&fleet, &second, "blocked", "apt_lock_held: ");
    let said = must(&mut fleet.anna.cli(&["jobs", "cancel", &second, "--reason", "not today"]));
    assert!(said.contains("asked to stop; it is blocked now"), "{said}");
    let job = wait_job(&fleet.api, &second);
    assert_eq!(cancelled(&job), CANCELLED, "{job}");
    holder.kill_with_children();
    assert_eq!(runs(waits), 2, "it was begun by nobody but us");
}

#[test]
fn a_step_that_runs_is_not_cut_off_and_its_end_is_proved() {
    let Some(root) = Root::copy() else { return };
    faults::interrupted(&root);
    let fleet = Fleet::of(&[("works", &root)]);
    let incident = fleet.triaged("works", "apt.dpkg_interrupted", "dpkg_interrupted");
    let id = order(&fleet, &incident);
    in_its_midst(&root);
    let said = must(&mut fleet.anna.cli(&["jobs", "cancel", &id, "--reason", "not today"]));
    assert!(said.contains("asked to stop; it is running now"), "{said}");
    let (_, job) = fleet.api.get(&format!("/api/v1/jobs/{id}"));
    assert_eq!(
        (&job["state"], &job["cancel_requested"]),
        (&json!("running"), &json!(true)),
        "{job}"
    );
    let shown = must(&mut fleet.anna.cli(&["jobs", "show", &id]));
    assert!(shown.contains("cancel asked"), "{shown}");
    let undo = run(&mut fleet.anna.cli(&["jobs", "undo", &id, "--reason", "not today"]));
    let said = text(&undo.stderr);
    assert!(!undo.status.success() && said.contains("cancel it instead"), "{undo:?}");
    assert_eq!(runs(&root), 2, "dpkg runs on");

    // What it did cannot be taken back: whether it is whole is proved, and that is its end.
    go_on(&root.at(GATE));
    let job = wait_job(&fleet.api, &id);
    assert_eq!((&job["state"], &job["proof"]), (&json!("fixed"), &json!("repeated")), "{job}");
    assert!(root.shell("dpkg --audit && apt-get check").status.success());
    let late = run(&mut fleet.anna.cli(&["jobs", "cancel", &id, "--reason", "not today"]));
    let said = text(&late.stderr);
    assert!(!late.status.success() && said.contains("over already: fixed"), "{late:?}");
}

/// The end of a job that was taken back before it began.
const CANCELLED: (&str, &str, bool) = ("cancelled", "cancelled by an admin", true);

fn cancelled(job: &Value) -> (&str, &str, bool) {
    let word = |name: &str| job[name].as_str().unwrap_or_default();
    (word("state"), word("detail"), job["begun_at"].is_null() && job["steps"] == json!([]))
}

/// A campaign over both hosts at once, approved and started; gives its id.
fn started(fleet: &Fleet) -> String {
    let made = fleet.anna.ask(&[
        "campaigns",
        "create",
        "--name",
        "interrupted",
        "--reason",
        "updates stand still",
        "--code",
        "apt.dpkg_interrupted",
        "--remediation",
        "apt.configure_pending",
        "--max-risk",
        "disruptive",
        "--wave",
        "all",
        "--soak",
        "0s",
    ]);
    let id = made["id"].as_str().expect("an id").to_owned();
    if made["state"] == "awaiting_approval" {
        fleet.boris.approve(&id, "seen");
    }
    fleet.act(&id, "start", "the change is due");
    id
}

fn order(fleet: &Fleet, incident: &Value) -> String {
    let path = format!("/api/v1/incidents/{}/remediate", incident["id"].as_str().expect("an id"));
    let wish = json!({
        "max_risk": "disruptive", "remediation": "apt.configure_pending", "reason": "test"
    });
    let (status, job) = fleet.api.post(&path, &wish);
    assert_eq!(status, 201, "{job}");
    job["id"].as_str().expect("an id").to_owned()
}

fn wait_state(fleet: &Fleet, job: &str, state: &str, words: &str) {
    wait_for(&format!("{state}: {words}"), PATIENCE, || {
        let (_, now) = fleet.api.get(&format!("/api/v1/jobs/{job}"));
        let detail = now["detail"].as_str().unwrap_or_default();
        if now["state"] == state && detail.contains(words) { Ok(()) } else { Err(now.to_string()) }
    });
}

/// How often the package's script has run.
fn runs(root: &Root) -> usize {
    let lines = std::fs::read_to_string(root.at("/var/lib/example-app.runs"));
    lines.unwrap_or_default().lines().count()
}

fn in_its_midst(root: &Root) {
    wait_for("the script in its midst", PATIENCE, || {
        let waits = root.at(GATE).exists();
        if waits { Ok(()) } else { Err(format!("{} runs", runs(root))) }
    });
}
