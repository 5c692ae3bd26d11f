//! A fleet that outgrows SQLite: its store is moved to Postgres by the server's own command, and
//! nobody sees a difference. The agent goes on where it stood.

use std::collections::BTreeMap;
use std::slice::from_ref;

use fleetmend_tests::api::Api;
use fleetmend_tests::patient::{self, Patient};
use fleetmend_tests::postgres::{Cluster, PASSWORD};
use fleetmend_tests::programs::{command, must, ours, run, text};
use fleetmend_tests::server::{Database, Server};
use fleetmend_tests::{PATIENCE, wait_for};
use serde_json::Value;

/// What people see of a fleet, by the path they see it at.
fn seen(api: &Api) -> BTreeMap<String, Vec<Value>> {
    let mut seen = BTreeMap::new();
    let every =
        "state=open&state=remediating&state=verifying&state=recurred&state=fixed&state=resolved";
    let mut paths: Vec<String> = ["hosts", "jobs", "reports", "audit", "enrollment-tokens"]
        .map(|name| format!("/api/v1/{name}"))
        .into();
    paths.push(format!("/api/v1/incidents?{every}"));
    for host in api.all("/api/v1/hosts") {
        let id = host["id"].as_str().expect("an id");
        paths.push(format!("/api/v1/hosts/{id}/timeline"));
    }
    for path in paths {
        let items = api.all(&path);
        assert!(!items.is_empty(), "{path} is empty: nobody would see it lost");
        seen.insert(path, items);
    }
    for one in ["incidents", "jobs"] {
        let path = if one == "jobs" { "/api/v1/jobs" } else { "/api/v1/incidents?state=fixed" };
        for item in api.all(path) {
            let path = format!("/api/v1/{one}/{}", item["id"].as_str().expect("an id"));
            let (status, detail) = api.get(&path);
            assert_eq!(status, 200, "{path}: {detail}");
            seen.insert(path, vec![detail]);
        }
    }
    seen
}

/// What a command of the server prints, and what it tells people; it must fail.
fn refused(server: &Server, args: &[&str]) -> String {
    let done = run(server.command().args(args));
    let said = format!("{}{}", text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(1), "{args:?}: {said}");
    assert!(!said.contains(PASSWORD), "{args:?} shows the password: {said}");
    said
}

#[test]
fn a_store_moves_to_postgres_and_the_fleet_goes_on() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut server = Server::start();
    let Some(patient) = Patient::enrol(&server, "mover") else { return };
    let api = server.api();

    // A fleet with something to tell: failures, their incidents, and a job that proved a repair.
    let mut agent = patient.start(&[]);
    patient::cared_for(from_ref(&patient), &api, || {
        wait_for("a job that proved its repair", PATIENCE, || {
            let fixed = api.items("/api/v1/jobs?state=fixed");
            if fixed.is_empty() { Err(format!("{:?}", api.items("/api/v1/jobs"))) } else { Ok(()) }
        });
    });
    agent.kill_with_children();
    // What the agent said last is written down, and nothing changes any more.
    assert!(server.stop());
    server.restart(&[]);
    let before = seen(&api);

    let database = cluster.database();
    let url = database.url();
    let said = refused(&server, &["migrate-store", "--to", &url]);
    assert!(said.contains("it is in use"), "{said}");
    assert!(server.stop());
    must(server.command().args(["migrate-store", "--dry-run", "--to", &url]));
    let moved = must(server.command().args(["migrate-store", "--to", &url]));
    assert!(moved.lines().any(|line| line.starts_with("report ")), "{moved}");
    let said = refused(&server, &["migrate-store", "--to", &url]);
    assert!(said.contains("the target is not empty"), "{said}");

    // The same ports, the same authority, the same token: only the database is another.
    server.restart_on(Database::Postgres(url));
    let after = seen(&api);
    for (path, items) in &before {
        assert_eq!(after.get(path), Some(items), "{path}");
    }
    let recount = || must(server.command().arg("recount"));
    assert_eq!(recount(), "", "the roll-up was right");

    // The agent comes back by itself, and what it has to say now arrives once.
    let mut agent = patient.start(&[]);
    patient.root.fail(&["mover-later".to_owned()]);
    let later = || {
        let reports = api.all("/api/v1/reports");
        reports.into_iter().filter(|r| r["subject"] == "mover-later").count()
    };
    wait_for("a failure after the move", PATIENCE, || match later() {
        0 => Err("none".to_owned()),
        n => {
            assert_eq!(n, 1);
            Ok(())
        }
    });
    assert_eq!(recount(), "", "reports that came since are counted");
    agent.kill_with_children();

    // What is wrong is told and mended.
    database.sql("UPDATE report_day SET reports = reports + 7");
    let mended = recount();
    assert!(mended.lines().all(|line| line.contains(" apt ")) && !mended.is_empty(), "{mended}");
    assert_eq!(recount(), "");

    // The log's chain holds over the move, until somebody changes it.
    let verify = || {
        let mut verify = command(ours("fleetmend"));
        verify.args(["audit", "verify"]);
        run(verify.env("FLEETMEND_URL", &server.people).env("FLEETMEND_TOKEN", &server.token))
    };
    let whole = verify();
    assert!(whole.status.success() && text(&whole.stdout).contains("whole"), "{whole:?}");
    database.sql("UPDATE audit SET actor = 'nobody' WHERE sequence = 2");
    let broken = verify();
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(text(&broken.stdout).contains("row 2"), "{broken:?}");
}
