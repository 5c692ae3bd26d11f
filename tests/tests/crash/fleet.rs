//! Two hundred simulated hosts, each with the real agent's spool and link, over a restart of their
//! server: all come back, and nothing is lost.

use std::time::Duration;

use fleetmend_tests::programs::{Running, command, ours};
use fleetmend_tests::server::Server;
use fleetmend_tests::wait_for;
use serde_json::Value;

use crate::plan;

#[test]
fn a_fleet_comes_back_to_its_restarted_server() {
    let test = "fleet";
    let hosts = plan::times("FLEETMEND_TORTURE_HOSTS", 200);
    let seconds = plan::span("FLEETMEND_TORTURE_FLEET_S", 30);
    let mut server = Server::start();
    let token = server.enrollment_token(&["--uses", &hosts.to_string()]);
    let folder = in_memory();
    let (log, dir) = (folder.path().join("load.json"), folder.path().join("hosts"));
    let mut load = Running::start(
        command(ours("fleetmend-sim"))
            .args(["load", "--server", &server.agents, "--token", &token])
            .args(["--hosts", &hosts.to_string(), "--rate", "40"])
            .args(["--seconds", &seconds.as_secs().to_string()])
            .arg("--dir")
            .arg(&dir),
        &log,
    );
    let api = server.api();
    let connected = || {
        let (_, list) = api.try_get("/api/v1/hosts?limit=1000")?;
        let list = list["items"].as_array().cloned().unwrap_or_default();
        let there = list.iter().filter(|h| h["connected"] == true).count();
        if there == hosts as usize { Ok(()) } else { Err(format!("{there} of {hosts}")) }
    };
    wait_for("all hosts", Duration::from_mins(2), connected);
    // Down for a while, so that all of them notice and gather what they cannot send.
    server.kill();
    plan::pause(Duration::from_secs(3));
    server.restart(&[]);
    let back = std::time::Instant::now();
    wait_for("all hosts again", Duration::from_mins(1), connected);
    plan::figure(test, &format!("{hosts} hosts are back {:.1?} after the server", back.elapsed()));
    let ended = wait_for("the end of the load", seconds + Duration::from_mins(2), || {
        load.ended().ok_or_else(|| load.printed().lines().last().unwrap_or_default().to_owned())
    });
    let said = load.printed();
    let summary = said.find("\n{").map_or(said.as_str(), |at| &said[at + 1..]);
    // Why it failed may stand behind it.
    let summary = serde_json::Deserializer::from_str(summary).into_iter::<Value>().next();
    let summary = summary.and_then(Result::ok).unwrap_or_else(|| panic!("no summary: {said}"));
    plan::figure(test, &summary.to_string());
    assert!(ended.success(), "{summary}");
    assert_eq!(summary["unacknowledged"], 0, "{summary}");
    // What the simulation says it logged, by a third party's word: each is there once.
    let logged = summary["failures_logged"].as_u64();
    let (status, reports) = api.get("/api/v1/reports?limit=1");
    assert_eq!((status, reports["total"].as_u64()), (200, logged), "{summary}");
}

/// A folder that costs no disk, where there is one: two hundred machines have disks of their own, and
/// one disk that all their spools are safe on would be what is measured.
fn in_memory() -> tempfile::TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a temporary folder")
}
