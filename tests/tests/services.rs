//! `service.*` steps and the proof by a unit, on a real systemd: units that really fail are
//! reported, judged, repaired by order, and proved; what a failing order did is taken back.

use fleetmend_tests::agent::{Agent, job_log, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::programs::{must, run, text};
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::{Value, json};

/// A booted machine whose agent, allowed everything, is enrolled and runs.
fn fleet(machine: &Machine, server: &Server) -> Agent {
    Agent::lay(machine.root());
    Agent::allow(machine.root(), "disruptive");
    Agent::enroll_in(machine, server, &server.enrollment_token(&[]));
    let agent = Agent::run_in(machine);
    fleetmend_tests::agent::wait_host(&server.api(), "active");
    agent
}

fn systemctl(machine: &Machine, args: &[&str]) -> String {
    text(&run(machine.command("/usr/bin/systemctl").args(args)).stdout).trim().to_owned()
}

/// Writes a unit's file, or a drop-in of one.
fn unit(machine: &Machine, file: &str, lines: &str) {
    let path = machine.root().at("/etc/systemd/system").join(file);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, lines).expect("written");
    must(machine.command("/usr/bin/systemctl").arg("daemon-reload"));
}

fn order(api: &Api, incident: &Value, remediation: &str) -> Value {
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"max_risk": "disruptive", "remediation": remediation, "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    wait_job(api, job["id"].as_str().expect("an id"))
}

fn log_of(api: &Api, job: &Value) -> String {
    job_log(api, job["id"].as_str().unwrap_or_default())
}

fn wait_state(api: &Api, incident: &Value, wanted: &str) -> Value {
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().expect("an id"));
    wait_for(&format!("the incident {wanted}"), PATIENCE, || {
        let (_, now) = api.get(&path);
        if now["state"] == wanted { Ok(now) } else { Err(now.to_string()) }
    })
}

/// Two units fail; the order for one starts that one, proves it by a new run, and leaves the other
/// alone.
#[test]
fn a_failed_backup_unit_is_proved_by_a_new_run() {
    let Some(machine) = Machine::boot() else { return };
    let server = Server::start();
    let api = server.api();
    for name in ["example-backup", "other-backup"] {
        let work = format!("/var/lib/{name}");
        unit(
            &machine,
            &format!("{name}.service"),
            &format!("[Service]\nType=oneshot\nExecStart=/usr/bin/touch {work}/last\n"),
        );
        run(machine.command("/usr/bin/systemctl").args(["start", name]));
        assert_eq!(systemctl(&machine, &["is-failed", name]), "failed");
    }
    let _agent = fleet(&machine, &server);
    let incidents = wait_for("both incidents", PATIENCE, || {
        let found = api.items("/api/v1/incidents?code=systemd.unit_failed");
        let judged = found.iter().filter(|i| i["cause"]["id"] == "unit_failed").count();
        if judged == 2 { Ok(found) } else { Err(format!("{found:?}")) }
    });
    let of = |unit: &str| {
        let found = incidents.iter().find(|i| i["subject"] == unit);
        found.unwrap_or_else(|| panic!("{unit}: {incidents:?}"))
    };
    let (ours, other) = (of("example-backup.service"), of("other-backup.service"));
    assert_eq!(ours["operation"], "backup", "{ours}");
    assert_eq!(ours["cause"]["certainty"], "confirmed", "{ours}");

    // What made it fail is still there: the new run fails, and that is no fix.
    let job = order(&api, ours, "systemd.reset_failed_unit");
    assert_eq!(job["state"], "failed", "{job}\n{}", log_of(&api, &job));
    let detail = job["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("example-backup.service was started"), "{job}");
    assert!(detail.contains("result exit-code"), "{job}");
    wait_state(&api, ours, "open");

    std::fs::create_dir(machine.root().at("/var/lib/example-backup")).expect("made");
    let before = systemctl(&machine, &["show", "-P", "InvocationID", "example-backup"]);
    let job = order(&api, ours, "systemd.reset_failed_unit");
    assert_eq!(job["state"], "fixed", "{job}\n{}", log_of(&api, &job));
    assert_eq!(job["proof"], "repeated", "{job}");
    assert!(machine.root().at("/var/lib/example-backup/last").exists(), "it really ran");
    let after = systemctl(&machine, &["show", "-P", "InvocationID", "example-backup"]);
    assert!(after != before, "{before} {after}");
    wait_state(&api, ours, "fixed");

    // The other one was nobody's business; put right by hand, it is seen to work again.
    assert_eq!(systemctl(&machine, &["is-failed", "other-backup"]), "failed");
    wait_state(&api, other, "open");
    std::fs::create_dir(machine.root().at("/var/lib/other-backup")).expect("made");
    must(machine.command("/usr/bin/systemctl").args(["start", "other-backup"]));
    wait_state(&api, other, "resolved");
}

const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

fn disable_timers(machine: &Machine) {
    let file = machine.root().at("/etc/apt/apt.conf.d/20auto-upgrades");
    std::fs::write(file, "APT::Periodic::Unattended-Upgrade \"1\";\n").expect("written");
    must(machine.command("/usr/bin/systemctl").args(["disable", "--now"]).args(TIMERS));
    assert_eq!(timers(machine), [("disabled", "inactive"); 2].map(pair));
}

fn timers(machine: &Machine) -> [(String, String); 2] {
    TIMERS.map(|timer| {
        (systemctl(machine, &["is-enabled", timer]), systemctl(machine, &["is-active", timer]))
    })
}

fn pair((start, active): (&str, &str)) -> (String, String) {
    (start.to_owned(), active.to_owned())
}

#[test]
fn disabled_apt_timers_are_enabled_and_started() {
    let Some(machine) = Machine::boot() else { return };
    let server = Server::start();
    let api = server.api();
    disable_timers(&machine);
    let agent = fleet(&machine, &server);
    let incident = wait_incident(&api, "apt.periodic_stale");
    assert_eq!(incident["cause"]["id"], "apt_timer_disabled", "{incident}");
    assert_eq!(incident["cause"]["certainty"], "confirmed", "{incident}");

    let job = order(&api, &incident, "restore_service_start_types.apt_timers");
    // The condition is gone; that the updates run again was not seen, and that is what it says.
    assert_eq!(job["state"], "fixed", "{job}\n{}", log_of(&api, &job));
    assert_eq!(job["proof"], "probe_only", "{job}");
    let steps = job["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 4, "{job}");
    assert!(steps.iter().all(|s| s["state"] == "done"), "{job}");
    assert_eq!(timers(&machine), [("enabled", "active"); 2].map(pair));
    wait_state(&api, &incident, "fixed");
    let said = agent.printed();
    assert!(!said.contains("cannot be asked"), "systemd's answers are understood: {said}");
}

#[test]
fn what_a_failing_order_did_to_services_is_taken_back() {
    let Some(machine) = Machine::boot() else { return };
    let server = Server::start();
    let api = server.api();
    disable_timers(&machine);
    // The last step of the order cannot succeed.
    unit(
        &machine,
        "apt-daily-upgrade.timer.d/broken.conf",
        "[Unit]\nAssertPathExists=/nonexistent\n",
    );
    let _agent = fleet(&machine, &server);
    let incident = wait_incident(&api, "apt.periodic_stale");
    let job = order(&api, &incident, "restore_service_start_types.apt_timers");
    assert_eq!(job["state"], "rolled_back", "{job}\n{}", log_of(&api, &job));
    let states: Vec<_> =
        job["steps"].as_array().expect("steps").iter().map(|s| &s["state"]).collect();
    assert_eq!(states[..3], ["undone", "undone", "undone"], "{job}");
    assert_eq!(timers(&machine), [("disabled", "inactive"); 2].map(pair));
    wait_state(&api, &incident, "open");
}
