//! Programs that are killed, and a way to the server that is not straight: what was seen arrives
//! once, and what is not known is called so.

use std::fmt::Write as _;

use fleetmend_tests::agent::{Agent, job_log, wait_host, wait_incident, wait_job};
use fleetmend_tests::debs::THIRD_TIME_LUCKY;
use fleetmend_tests::programs::text;
use fleetmend_tests::proxy::Proxy;
use fleetmend_tests::root::Root;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::json;

/// Lets apt's log tell of one more run in which the scripts of these packages failed.
fn fail(root: &Root, packages: &[String]) {
    let now = text(&root.shell("date '+%F  %T'").stdout);
    let now = now.trim();
    let mut run = format!("\nLog started: {now}\n");
    for package in packages {
        let _ = write!(
            run,
            "dpkg: error processing archive /tmp/{package}_1.0_all.deb (--unpack):\n new {package} package pre-installation script subprocess returned error exit status 1\n"
        );
    }
    let _ = writeln!(run, "Log ended: {now}");
    let log = root.at("/var/log/apt/term.log");
    let mut file =
        std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log of apt");
    std::io::Write::write_all(&mut file, run.as_bytes()).expect("written");
}

#[test]
fn a_killed_server_loses_and_doubles_nothing() {
    let Some(root) = Root::copy() else { return };
    let mut server = Server::start();
    Agent::lay(&root);
    Agent::enroll(&root, &server, &server.enrollment_token(&[]));
    let _agent = Agent::run(&root);
    wait_host(&server.api(), "active");

    let mut caused = Vec::new();
    for round in 0..3 {
        let packages: Vec<String> = (0..12).map(|n| format!("example-{round}-{n:02}")).collect();
        fail(&root, &packages);
        caused.extend(packages);
        if round == 0 {
            // The next kills meet a server in the midst of something.
            wait_for("a first report", PATIENCE, || {
                let found = server.api().items("/api/v1/reports?limit=1000");
                if found.is_empty() { Err("none".to_owned()) } else { Ok(()) }
            });
        }
        server.kill_and_restart();
    }
    let subjects = || {
        let reports = server.api().items("/api/v1/reports?limit=1000");
        let mut found: Vec<String> =
            reports.iter().filter_map(|r| Some(r["subject"].as_str()?.to_owned())).collect();
        found.sort_unstable();
        found
    };
    wait_for("all reports", PATIENCE, || {
        let found = subjects();
        if found.len() >= caused.len() { Ok(()) } else { Err(format!("{found:?}")) }
    });
    // One more, and it is the last: nothing is still on its way before it.
    fail(&root, &["last".to_owned()]);
    caused.push("last".to_owned());
    wait_for("the last report", PATIENCE, || {
        let found = subjects();
        if found.contains(&"last".to_owned()) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    assert_eq!(subjects(), caused);
    let hosts = server.api().items("/api/v1/hosts");
    assert_eq!((hosts.len(), &hosts[0]["lost_items"]), (1, &json!(0)), "{hosts:?}");
}

#[test]
fn a_job_cut_off_in_its_midst_ends_unknown_and_is_not_run_twice() {
    let Some(root) = Root::copy() else { return };
    let server = Server::start();
    let api = server.api();
    let said = root.install("example-app", THIRD_TIME_LUCKY);
    assert!(said.contains("exit 137"), "dpkg was not interrupted: {said}");
    Agent::lay(&root);
    Agent::allow(&root, "disruptive");
    Agent::enroll(&root, &server, &server.enrollment_token(&[]));
    let mut agent = Agent::run(&root);
    wait_host(&api, "active");
    let incident = wait_incident(&api, "apt.dpkg_interrupted");
    let id = incident["id"].as_str().expect("an id");
    let order = |wish: &serde_json::Value| {
        let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), wish);
        assert_eq!(status, 201, "{job}");
        job["id"].as_str().expect("an id").to_owned()
    };
    let runs = || {
        let lines = std::fs::read_to_string(root.at("/var/lib/example-app.runs"));
        lines.unwrap_or_default().lines().count()
    };
    let first = order(&json!({"max_risk": "disruptive", "reason": "test"}));
    wait_for("the script in its midst", PATIENCE, || {
        let waits = root.at("/var/lib/example-app.gate").exists();
        if waits { Ok(()) } else { Err(format!("{} runs", runs())) }
    });
    // As by a power cut: the agent and all it started.
    agent.kill();
    assert_eq!(runs(), 2);

    let _agent = Agent::run(&root);
    let job = wait_job(&api, &first);
    assert_eq!(job["state"], "unknown", "{job}\n{}", job_log(&api, &first));
    let detail = job["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("stopped while it ran"), "{job}");
    assert!(detail.contains("not run again by itself"), "{job}");
    assert_eq!(runs(), 2, "the step was not done twice");
    let (_, after) = api.get(&format!("/api/v1/incidents/{id}"));
    assert_eq!(after["state"], "open", "{after}");

    let second = order(&json!({
        "max_risk": "disruptive", "remediation": job["remediation"], "reason": "test"
    }));
    let job = wait_job(&api, &second);
    assert_eq!(job["state"], "fixed", "{job}\n{}", job_log(&api, &second));
    assert_eq!(runs(), 3);
    assert!(root.shell("dpkg --audit && apt-get check").status.success());
}

#[test]
fn a_proxy_on_the_way_is_used_and_named_where_it_refuses() {
    let Some(root) = Root::copy() else { return };
    let server = Server::start();
    let api = server.api();
    let proxy = Proxy::start();
    root.interrupt_dpkg();
    Agent::lay(&root);
    Agent::enroll_by(&root, &server, &server.enrollment_token(&[]), &proxy.url());
    let enrolled = proxy.passed();
    assert!(enrolled > 0, "it was enrolled by way of the proxy");
    let _agent = Agent::run(&root);
    wait_host(&api, "active");
    wait_incident(&api, "apt.dpkg_interrupted");
    assert!(proxy.passed() > enrolled, "it reports by way of the proxy");

    let well = Agent::ask(&root, &["doctor"]);
    let said = text(&well.stdout);
    assert!(well.status.success(), "{said}");
    assert!(said.contains(&format!("by way of {}", &proxy.url()[7..])), "{said}");

    proxy.refuse();
    let ill = Agent::ask(&root, &["doctor"]);
    let said = text(&ill.stdout);
    assert!(!ill.status.success() && proxy.refused() > 0, "{said}");
    let line = said.lines().find(|l| l.starts_with("fail")).unwrap_or_default();
    assert!(line.contains(&format!("the proxy {} refused", &proxy.url()[7..])), "{said}");
    assert!(line.contains("403") && line.contains("allow CONNECT"), "{said}");
}
