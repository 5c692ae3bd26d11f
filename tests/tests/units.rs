//! The units of `deploy/systemd` on a real systemd: they start, restart and stop the real programs,
//! harden them as the documents say, and a stop of the agent leaves a running dpkg alone.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fleetmend_tests::agent::{Agent, wait_host, wait_incident, wait_job};
use fleetmend_tests::api::Api;
use fleetmend_tests::programs::{must, ours, run, text};
use fleetmend_tests::root::Machine;
use fleetmend_tests::server::Server;
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::{Value, json};

const SERVER: &str = "fleetmend-server";
const AGENT: &str = "fleetmend-agent";
const SETTINGS: &str = "/etc/fleetmend-server/server.toml";

/// What docs/install.md says of `systemd-analyze security`, and a little room for other releases.
const EXPOSURES: [(&str, f64); 2] = [(SERVER, 1.5), (AGENT, 7.7)];

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd").join(file)
}

/// Lays programs and fragments as docs/install.md does.
fn install(machine: &Machine) {
    let root = machine.root();
    for (file, to) in [
        ("fleetmend-server.service", "/etc/systemd/system/fleetmend-server.service"),
        ("fleetmend-server.sysusers.conf", "/usr/lib/sysusers.d/fleetmend-server.conf"),
        ("fleetmend-server.tmpfiles.conf", "/usr/lib/tmpfiles.d/fleetmend-server.conf"),
        ("fleetmend-agent.tmpfiles.conf", "/usr/lib/tmpfiles.d/fleetmend-agent.conf"),
    ] {
        std::fs::create_dir_all(root.at(to).parent().expect("a parent")).expect("a folder");
        std::fs::copy(deploy(file), root.at(to)).expect("copied");
    }
    std::fs::copy(ours(SERVER), root.at("/usr/local/bin/fleetmend-server"))
        .expect("the server fits");
    must(machine.command("/usr/bin/systemd-sysusers").arg("fleetmend-server.conf"));
    create_folders(machine);
    settings(machine, "127.0.0.1:0", "127.0.0.1:0");
    // As after a hand-made file: the fragment gives it its owner and mode.
    create_folders(machine);
    systemctl(machine, &["daemon-reload"]);
}

fn create_folders(machine: &Machine) {
    must(machine.command("/usr/bin/systemd-tmpfiles").args([
        "--create",
        "fleetmend-server.conf",
        "fleetmend-agent.conf",
    ]));
}

/// The settings that are shipped, on other ports, and with a log that a test reads.
fn settings(machine: &Machine, agents: &str, people: &str) {
    let text = std::fs::read_to_string(deploy("server.toml")).expect("shipped");
    let text = text
        .replace("0.0.0.0:7443", agents)
        .replace("127.0.0.1:7080", people)
        .replace("127.0.0.1:7090", "127.0.0.1:0")
        .replace("log_format = \"text\"", "log_format = \"json\"");
    let left = text.lines().any(|line| !line.starts_with('#') && line.contains(":70"));
    assert!(text.contains("json") && !left, "all were replaced: {text}");
    std::fs::write(machine.root().at(SETTINGS), text).expect("written");
}

fn systemctl(machine: &Machine, args: &[&str]) -> String {
    must(machine.command("/usr/bin/systemctl").args(args)).trim().to_owned()
}

fn property(machine: &Machine, unit: &str, name: &str) -> String {
    systemctl(machine, &["show", "-P", name, unit])
}

fn journal(machine: &Machine, unit: &str) -> String {
    must(machine.command("/usr/bin/journalctl").args(["-o", "cat", "--no-pager", "-u", unit]))
}

/// Where the server said last that it serves.
fn addresses(machine: &Machine) -> [String; 2] {
    let said = wait_for("the server's word", PATIENCE, || {
        let log = journal(machine, SERVER);
        let lines: Vec<Value> =
            log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let last = lines.iter().rev().find(|line| line["fields"]["message"] == "serving");
        last.cloned().ok_or(log)
    });
    ["agents", "people"].map(|who| said["fields"][who].as_str().expect("an address").to_owned())
}

/// One of the server's other commands, as the person who runs it would give it.
fn admin(machine: &Machine, args: &[&str]) -> String {
    let said = must(
        machine
            .command("/usr/sbin/runuser")
            .args(["-u", "fleetmend", "--", "/usr/local/bin/fleetmend-server"])
            .args(args)
            .args(["--config", SETTINGS]),
    );
    said.lines().rfind(|line| line.starts_with("fm")).expect("a token").to_owned()
}

fn modes(machine: &Machine, expected: &[(&str, u32)]) {
    for (path, mode) in expected {
        let meta = std::fs::metadata(machine.root().at(path));
        let meta = meta.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(meta.permissions().mode() & 0o7777, *mode, "{path}");
    }
}

fn exposures(machine: &Machine) {
    for (unit, most) in EXPOSURES {
        let said =
            run(machine.command("/usr/bin/systemd-analyze").args(["security", "--no-pager", unit]));
        let said = text(&said.stdout);
        let last = said.lines().last().unwrap_or_default();
        let figure = last.split(": ").nth(1).and_then(|rest| rest.split(' ').next());
        let figure: f64 = figure.and_then(|f| f.parse().ok()).unwrap_or_else(|| panic!("{said}"));
        assert!(figure <= most, "{unit} is more exposed than {most}:\n{said}");
    }
}

#[test]
fn server_and_agent_run_from_their_units() {
    let Some(machine) = Machine::boot() else { return };
    install(&machine);
    Agent::lay(machine.root());
    let agent = |args: &[&str]| must(machine.command("/usr/local/bin/fleetmend-agent").args(args));
    // Not enrolled: the unit is installed, and waits without failing.
    let said = agent(&["service", "install"]);
    assert!(said.contains("not enrolled"), "{said}");
    assert_eq!(property(&machine, AGENT, "ActiveState"), "inactive");
    assert_eq!(property(&machine, AGENT, "ConditionResult"), "no");
    let verified = run(machine.command("/usr/bin/systemd-analyze").args([
        "verify",
        "/etc/systemd/system/fleetmend-server.service",
        "/etc/systemd/system/fleetmend-agent.service",
    ]));
    let complaints = text(&verified.stderr);
    assert!(verified.status.success() && !complaints.contains("fleetmend"), "{complaints}");

    systemctl(&machine, &["enable", "--now", SERVER]);
    let [agents, people] = addresses(&machine);
    let token = admin(&machine, &["admin", "create", "--name", "anna", "--api-token"]);
    let api = Api::new(&format!("http://{people}"), &token);
    let enrolment = admin(&machine, &["enrollment-token", "create"]);
    agent(&["enroll", "--server", &agents, "--token", &enrolment]);
    systemctl(&machine, &["start", AGENT]);
    wait_host(&api, "active");
    assert_eq!(property(&machine, AGENT, "NRestarts"), "0");

    modes(
        &machine,
        &[
            ("/etc/fleetmend-server", 0o750),
            (SETTINGS, 0o640),
            ("/var/lib/fleetmend-server", 0o700),
            ("/var/lib/fleetmend-server/fleetmend.db", 0o600),
            ("/var/lib/fleetmend-server/ca/root.key", 0o600),
            ("/var/lib/fleetmend-agent", 0o700),
            ("/var/lib/fleetmend-agent/identity.json", 0o600),
            ("/var/lib/fleetmend-agent/spool", 0o700),
            ("/etc/fleetmend-agent", 0o755),
        ],
    );
    let pid = property(&machine, SERVER, "MainPID");
    let owner = std::fs::metadata(machine.root().at("/var/lib/fleetmend-server")).expect("there");
    let user = must(machine.command("/usr/bin/id").args(["-u", "fleetmend"]));
    assert_eq!((owner.uid().to_string(), owner.uid() == 0), (user.trim().to_owned(), false));
    let status = must(machine.command("/bin/cat").arg(format!("/proc/{pid}/status")));
    for line in [format!("Uid:\t{0}\t{0}", user.trim()), "CapBnd:\t0000000000000000".to_owned()] {
        assert!(status.contains(&line), "{line}: {status}");
    }
    exposures(&machine);

    // The same ports again, so that the agent finds the server; its watchdog is short now.
    settings(&machine, &agents, &people);
    let short = machine.root().at("/etc/systemd/system/fleetmend-server.service.d/short.conf");
    std::fs::create_dir_all(short.parent().expect("a parent")).expect("a folder");
    std::fs::write(short, "[Service]\nWatchdogSec=3\nRestartSec=100ms\n").expect("written");
    systemctl(&machine, &["daemon-reload"]);
    systemctl(&machine, &["restart", SERVER]);
    wait_host(&api, "active");
    let fed = || property(&machine, SERVER, "WatchdogTimestampMonotonic");
    let before = fed();
    wait_for("the watchdog to be fed", PATIENCE, || {
        let now = fed();
        if now == before { Err(now) } else { Ok(()) }
    });
    // One that hangs is ended and started again.
    let pid = property(&machine, SERVER, "MainPID");
    must(machine.command("/bin/sh").args(["-c", &format!("kill -STOP {pid}")]));
    wait_for("a new server", PATIENCE, || {
        let now = ["NRestarts", "ActiveState"].map(|name| property(&machine, SERVER, name));
        if now == ["1", "active"] { Ok(()) } else { Err(format!("{now:?}")) }
    });
    wait_host(&api, "active");

    systemctl(&machine, &["restart", AGENT]);
    wait_host(&api, "active");
    for unit in [AGENT, SERVER] {
        systemctl(&machine, &["stop", unit]);
        assert_eq!(property(&machine, unit, "Result"), "success");
        assert_eq!(property(&machine, unit, "ExecMainStatus"), "0");
    }
    assert!(
        journal(&machine, SERVER).contains("\"message\":\"stopped\",\"soft\":true"),
        "a soft stop"
    );
    assert!(journal(&machine, AGENT).contains("session open"), "the agent's log is in the journal");
    // A wrong setting is said once: systemd does not try it again and again.
    std::fs::write(machine.root().at(SETTINGS), "http_listen = \"0.0.0.0:7080\"\n")
        .expect("written");
    run(machine.command("/usr/bin/systemctl").args(["start", SERVER]));
    let state = ["ActiveState", "ExecMainStatus"].map(|name| property(&machine, SERVER, name));
    assert_eq!(state, ["failed", "2"]);
    assert!(journal(&machine, SERVER).contains("give --http-cert and --http-key"), "the remedy");

    let said = agent(&["service", "uninstall"]);
    assert!(said.contains("removed "), "{said}");
    assert!(machine.root().at("/var/lib/fleetmend-agent/identity.json").exists(), "state stays");
}

#[test]
fn a_stopped_agent_leaves_a_running_dpkg_alone() {
    let Some(machine) = Machine::boot() else { return };
    let server = Server::start();
    let api = server.api();
    let root = machine.root();
    let said = root.install(
        "example-slow",
        "[ -e /var/lib/slow.once ] || { : > /var/lib/slow.once; kill -9 $PPID; exit 1; }\n\
         echo $$ > /var/lib/slow.began\nwhile [ ! -e /var/lib/slow.go ]; do sleep 0.1; done",
    );
    assert!(said.contains("exit 137"), "dpkg was not interrupted: {said}");
    Agent::lay(root);
    std::fs::write(
        root.at("/etc/fleetmend-agent/agent.toml"),
        "collect_every_s = 1\ngrace_s = 1\n",
    )
    .expect("written");
    Agent::allow(root, "disruptive");
    Agent::enroll_in(&machine, &server, &server.enrollment_token(&[]));
    must(machine.command("/usr/local/bin/fleetmend-agent").args(["service", "install"]));
    wait_host(&api, "active");

    let incident = wait_incident(&api, "apt.dpkg_interrupted");
    let wish = json!({"max_risk": "disruptive", "reason": "test"});
    let id = incident["id"].as_str().expect("an id");
    let (status, job) = api.post(&format!("/api/v1/incidents/{id}/remediate"), &wish);
    assert_eq!(status, 201, "{job}");
    let script = wait_for("the script", PATIENCE, || {
        let pid = std::fs::read_to_string(root.at("/var/lib/slow.began"));
        pid.map_err(|e| e.to_string()).and_then(|p| p.trim().parse::<u32>().map_err(|_| p))
    });

    systemctl(&machine, &["stop", AGENT]);
    assert_eq!(property(&machine, AGENT, "ActiveState"), "inactive");
    assert_eq!(property(&machine, AGENT, "Result"), "success");
    must(machine.command("/bin/sh").args(["-c", &format!("kill -0 {script}")]));
    std::fs::write(root.at("/var/lib/slow.go"), "").expect("written");
    wait_for("dpkg to be done", PATIENCE, || {
        let shown = must(machine.command("/usr/bin/dpkg-query").args([
            "-W",
            "-f",
            "${Status}",
            "example-slow",
        ]));
        if shown == "install ok installed" { Ok(()) } else { Err(shown) }
    });

    systemctl(&machine, &["start", AGENT]);
    let job = wait_job(&api, job["id"].as_str().expect("an id"));
    assert!(job["state"] != "failed", "what went on by itself was no failure: {job}");
}
