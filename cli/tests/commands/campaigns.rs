//! Campaigns and the halt.

use serde_json::{Value, json};

use crate::canned::{Canned, HOSTILE, text};

#[test]
fn a_campaign_is_written_by_flags_and_by_a_file() {
    let made = json!({
        "id": "c1", "name": "dpkg", "state": "awaiting_approval", "revision": 1, "hosts": 0,
        "needs_approval": ["it cannot be taken back: apt.configure_pending"],
        "counts": {}, "waves": [{ "wave": 0, "share": "1", "hosts": 1, "counts": {} }],
    });
    let server = Canned::new(&[("POST /api/v1/campaigns", 201, made)]);
    let flags = [
        "campaigns",
        "create",
        "--name",
        "dpkg",
        "--reason",
        "CHG-1",
        "--cause",
        "dpkg_interrupted",
        "--label",
        "site=north",
        "--max-risk",
        "disruptive",
        "--wave",
        "1:ring=canary",
        "--wave",
        "10%",
        "--wave",
        "all",
        "--abort",
        "3%",
        "--window",
        "mon-fri 22:00-04:00",
        "--zone",
        "Europe/Berlin",
    ];
    let out = server.run(&flags);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let shown = text(&out.stdout);
    assert!(
        shown.contains("awaiting_approval") && shown.contains("cannot be taken back"),
        "{shown}"
    );
    let wanted = json!({
        "name": "dpkg", "reason": "CHG-1", "max_risk": "disruptive",
        "selector": { "cause": "dpkg_interrupted", "labels": { "site": "north" } },
        "waves": [
            { "share": "1", "label": ["ring", "canary"] }, { "share": "10%" }, { "share": "all" },
        ],
        "thresholds": { "abort": "3%" }, "zone": { "named": "Europe/Berlin" },
        "windows": [{ "days": "mon-fri", "start": "22:00", "end": "04:00" }],
    });
    let sent = |n: usize| -> Value {
        serde_json::from_str(&server.asked.lock().expect("a lock")[n].1).expect("JSON")
    };
    assert_eq!(sent(0), wanted);

    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("campaign.toml");
    let toml =
        "name = \"from a file\"\nreason = \"CHG-2\"\n[selector]\ncause = \"dpkg_interrupted\"\n";
    std::fs::write(&file, toml).expect("written");
    let path = file.display().to_string();
    let out = server.run(&["campaigns", "create", "-f", &path, "--max-hosts", "5"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!((&sent(1)["reason"], &sent(1)["max_hosts"]), (&json!("CHG-2"), &json!(5)));

    let key = "apt/install/cause=dpkg_interrupted";
    let by_key = ["campaigns", "create", "--name", "x", "--reason", "y", "--problem", key];
    assert_eq!(server.run(&by_key).status.code(), Some(0));
    assert_eq!(sent(2)["selector"], json!({ "problem": key }));
    let both = server.run(&[&by_key[..], &["--cause", "dpkg_interrupted"]].concat());
    assert_eq!(both.status.code(), Some(2), "one or the other");
}

#[test]
fn the_fleet_is_halted_with_a_reason_or_not_at_all() {
    let halted = json!({
        "halted": true, "running_total": 1, "offered_total": 0, "waiting_total": 2,
        "by": [{ "way": "database", "by": "user anna", "since": "2026-11-22T12:00:00.000Z",
                 "reason": "a bad update", "lift": "fleetmend halt --off" }],
        "running": [{ "host_name": HOSTILE, "state": "running", "remediation": "x", "job": "j1" }],
    });
    let server = Canned::new(&[
        ("POST /api/v1/halt", 200, halted.clone()),
        ("GET /api/v1/halt", 200, halted),
    ]);
    assert_eq!(server.run(&["halt"]).status.code(), Some(2), "a reason is asked for");
    let out = server.run(&["halt", "--reason", "a bad update"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let shown = text(&out.stdout);
    assert!(shown.contains("user anna") && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(server.run(&["halt", "--status"]).status.code(), Some(1), "1 where it is halted");
}

#[test]
fn a_retry_takes_the_hosts_that_ended_in_error_named_so_or_not() {
    let done = json!({
        "id": "c1", "name": "dpkg", "state": "running", "revision": 9, "hosts": 7, "retried": 3,
        "counts": {}, "waves": [],
    });
    let server = Canned::new(&[("POST /api/v1/campaigns/c1/retry", 200, done)]);
    for args in [
        &["campaigns", "retry", "c1", "--failed", "--reason", "the mirror is back"][..],
        &["campaigns", "retry", "--failed", "c1", "--reason", "the mirror is back"],
        &["campaigns", "retry", "c1", "--reason", "the mirror is back"],
    ] {
        let out = server.run(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", text(&out.stderr));
        let said = text(&out.stdout);
        assert!(said.contains("ended in error and get a fresh job: 3"), "{said}");
    }
    let asked = server.asked.lock().expect("a lock");
    for (_, body) in asked.iter() {
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body, json!({ "reason": "the mirror is back" }));
    }
    drop(asked);
    let help = text(&server.run(&["campaigns", "retry", "--help"]).stdout);
    assert!(help.contains("failed, rolled back, timed out, unknown"), "{help}");
}
