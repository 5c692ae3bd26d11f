//! The whole line on a real system: a package tool that was really interrupted, reported with its
//! evidence, judged, ordered by REST, repaired by the real agent, and proved.

use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::programs::{command, must, ours, run, text};
use fleetmend_tests::root::Root;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::json;

/// A server, and a root's host that enrolled with a deployment token and was accepted.
fn accepted_host(root: &Root, server: &Server) -> (Agent, String) {
    Agent::lay(root);
    let token = server.enrollment_token(&["--uses", "5", "--label", "site=example"]);
    Agent::enroll(root, server, &token);
    let agent = Agent::run(root);
    let api = server.api();
    let host = wait_host(&api, "pending");
    assert_eq!(host["labels"]["site"], "example");
    assert_eq!(host["simulated"], false);
    let id = host["id"].as_str().expect("an id").to_owned();
    let (status, body) = api.post(&format!("/api/v1/hosts/{id}/accept"), &json!({}));
    assert_eq!(status, 200, "{body}");
    wait_host(&api, "active");
    (agent, id)
}

/// What other knowledge would make of the incident, judged by the command line on what the server knows.
fn backtest(server: &Server) {
    let ask = |args: &[&str]| -> serde_json::Value {
        let said = must(
            command(ours("fleetmend"))
                .args(["catalog", "backtest", "-o", "json"])
                .args(args)
                .env("FLEETMEND_URL", &server.people)
                .env("FLEETMEND_TOKEN", &server.token),
        );
        serde_json::from_str(&said).expect("JSON")
    };
    let same = ask(&[]);
    assert!(same["incidents"].as_u64() >= Some(1), "{same}");
    assert_eq!(same["changed"], 0, "the same catalogue: {same}");
    let folder = tempfile::tempdir().expect("a folder");
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalog/data");
    for kind in std::fs::read_dir(&data).expect("the catalogue").flatten() {
        let to = folder.path().join(kind.file_name());
        std::fs::create_dir(&to).expect("made");
        for file in std::fs::read_dir(kind.path()).expect("a folder").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("read");
            let changed = text.replace(
                "{ dpkg_interrupted = 0.7, maintainer_script_fails = 0.12, linux_disk_full = 0.05 }",
                "{ linux_disk_full = 0.9 }",
            );
            std::fs::write(to.join(file.file_name()), changed).expect("written");
        }
    }
    let other = ask(&["--catalog", &folder.path().display().to_string()]);
    let first = &other["changes"][0];
    assert_eq!(
        (&first["kind"], &first["from"]),
        (&json!("first_cause"), &json!("dpkg_interrupted")),
        "{other}"
    );
    assert_ne!(other["candidate"], other["server"][0]);
}

#[test]
fn an_interrupted_dpkg_is_found_repaired_and_proved() {
    let Some(root) = Root::copy() else { return };
    let server = Server::start();
    let api = server.api();
    root.interrupt_dpkg();
    let (mut agent, host) = accepted_host(&root, &server);

    // Found, with the evidence that settles it.
    let incident = wait_incident(&api, "apt.dpkg_interrupted");
    assert_eq!((&incident["product"], &incident["operation"]), (&json!("apt"), &json!("install")));
    assert_eq!(incident["cause"]["id"], "dpkg_interrupted", "{incident}");
    assert_eq!(incident["cause"]["certainty"], "confirmed", "{incident}");
    let id = incident["id"].as_str().expect("an id");
    let (_, detail) = api.get(&format!("/api/v1/incidents/{id}"));
    let evidence = detail["verdict"].to_string();
    assert!(evidence.contains("example-app"), "the proof names the package: {detail}");
    backtest(&server);

    // The default ceiling is observe-only: the order is refused, and says so.
    let wish = json!({"max_risk": "disruptive", "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    let job = wait_job(&api, job["id"].as_str().expect("an id"));
    assert_eq!(job["state"], "skipped", "{job}");
    let detail = job["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("ceiling"), "the refusal names the ceiling: {job}");
    assert!(root.at("/var/lib/dpkg/updates/0000").exists(), "nothing was touched");

    // The host's own admin raises it; the same order now repairs.
    agent.kill();
    Agent::allow(&root, "disruptive");
    let _agent = Agent::run(&root);
    wait_host(&api, "active");
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    let job_id = job["id"].as_str().expect("an id").to_owned();
    let job = wait_job(&api, &job_id);
    assert_eq!(job["state"], "fixed", "{job}\n{}", job_log(&api, &job_id));
    assert_eq!(job["proof"], "repeated", "{job}");
    assert!(job_log(&api, &job_id).contains("example-app is configured"));

    // Proved on the system itself, not by what the agent says.
    let check = root.shell("dpkg --audit && apt-get check");
    assert!(check.status.success(), "{check:?}");
    assert!(
        check.stdout.starts_with(b"Reading package lists"),
        "dpkg --audit is silent: {check:?}"
    );
    let (_, incident) = api.get(&format!("/api/v1/incidents/{id}"));
    assert_eq!(incident["state"], "fixed", "{incident}");

    // The same, as the admin's command line tells it.
    let said = must(
        command(ours("fleetmend"))
            .args(["jobs", "show", &job_id, "--log"])
            .env("FLEETMEND_URL", &server.people)
            .env("FLEETMEND_TOKEN", &server.token),
    );
    assert!(said.contains("fixed") && said.contains("example-app is configured"), "{said}");
    let (_, timeline) = api.get(&format!("/api/v1/hosts/{host}/timeline"));
    assert!(timeline.to_string().contains(&job_id), "{timeline}");
}

#[test]
fn a_package_that_cannot_succeed_ends_failed_and_readable() {
    let Some(root) = Root::copy() else { return };
    let server = Server::start();
    let api = server.api();
    root.break_package_for_good();
    Agent::lay(&root);
    Agent::allow(&root, "disruptive");
    Agent::enroll(&root, &server, &server.enrollment_token(&[]));
    let _agent = Agent::run(&root);
    // A one-use token's host is accepted at once.
    wait_host(&api, "active");
    let incident = wait_incident(&api, "apt.dpkg_interrupted");
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"max_risk": "disruptive", "reason": "test"});
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    let job_id = job["id"].as_str().expect("an id").to_owned();
    let job = wait_job(&api, &job_id);
    assert_eq!(job["state"], "failed", "{job}");
    assert!(job_log(&api, &job_id).contains("cannot reach the licence server"));
    let (_, incident) = api.get(&format!("/api/v1/incidents/{id}"));
    assert_eq!(incident["state"], "open", "{incident}");

    let shown = run(command(ours("fleetmend"))
        .args(["jobs", "show", &job_id, "--log"])
        .env("FLEETMEND_URL", &server.people)
        .env("FLEETMEND_TOKEN", &server.token));
    let said = text(&shown.stdout);
    assert!(said.contains("failed") && said.contains("cannot reach the licence server"), "{said}");

    // What apt itself says of the script becomes a failure of its own.
    wait_for("the script's own failure", PATIENCE, || {
        let found = api.items("/api/v1/incidents?code=apt.maintainer_script");
        if found.is_empty() { Err("none".to_owned()) } else { Ok(()) }
    });
}
