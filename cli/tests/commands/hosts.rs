//! Lists, refusals, and hosts.

use serde_json::{Value, json};

use crate::canned::{Canned, HOSTILE, text};

fn host(name: &str) -> Value {
    json!({
        "id": "01990000-0000-7000-8000-000000000001", "name": name, "state": "active",
        "connected": true, "simulated": false, "open_incidents": 2, "os_name": "Debian 12",
        "last_seen": "2026-11-22T12:00:00.000Z", "labels": { "site": "north" },
    })
}

#[test]
fn lists_are_tables_json_and_csv_without_control_characters() {
    let page = json!({ "items": [host("web-1"), host(HOSTILE)], "next_cursor": null, "total": 2 });
    let csv = json!("id,name\r\n1,\u{1b}[31mred\r\n");
    let server = Canned::new(&[
        ("GET /api/v1/hosts?limit=200", 200, page),
        ("GET /api/v1/hosts?limit=200 csv", 200, csv),
    ]);
    let table = server.run(&["hosts"]);
    assert_eq!(table.status.code(), Some(0), "{}", text(&table.stderr));
    insta::assert_snapshot!("hosts_table", text(&table.stdout));
    for form in ["table", "json", "csv"] {
        let out = text(&server.run(&["hosts", "-o", form]).stdout);
        let raw = out.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert!(!raw && !out.is_empty(), "{form}: {out:?}");
        if form == "json" {
            let value: Value = serde_json::from_str(&out).expect("JSON");
            assert_eq!(value["items"][1]["name"], HOSTILE, "escaped, not changed");
        }
    }
}

#[test]
fn pages_are_followed_to_the_limit() {
    let page =
        |name: &str, next: Value| json!({ "items": [host(name)], "next_cursor": next, "total": 3 });
    let server = Canned::new(&[
        ("GET /api/v1/hosts?limit=2", 200, page("a", json!("c=1"))),
        ("GET /api/v1/hosts?limit=1&cursor=c%3D1", 200, page("b", json!("c2"))),
    ]);
    let out = text(&server.run(&["hosts", "--limit", "2"]).stdout);
    assert!(out.contains("(2 of 3; --limit 3 shows all)"), "{out}");
}

#[test]
fn refusals_are_one_line_with_the_remedy() {
    let problem = json!({
        "type": "urn:fleetmend:problem:guided", "status": 409,
        "detail": "a person does this; the guide says how", "guide": ["Free space", "Try\u{1b} again"],
    });
    let server = Canned::new(&[("POST /api/v1/incidents/i1/remediate", 409, problem)]);
    let out = server.run(&["remediate", "i1", "--reason", "x"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert_eq!(
        said,
        "fleetmend: a person does this; the guide says how Steps for a person: Free space / Try\u{fffd} again\n"
    );
}

#[test]
fn wrong_use_ends_with_2() {
    let server = Canned::new(&[]);
    for args in [
        &["hosts", "--colour"][..],
        &["frobnicate"],
        &["hosts", "--url", "http://192.0.2.1:7080"],
        &["hosts", "--url", "fleet.example"],
        &["explain", "banana"],
        &["explain", "0x80070003", "--product", "toaster"],
        &["hosts", "label", "01990000-0000-7000-8000-000000000001", "plain"],
    ] {
        let out = server.run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stderr));
    }
    assert!(server.asked.lock().expect("a lock").is_empty(), "nothing was sent");
    let out = server.run(&["hosts", "--url", "http://127.0.0.1:1"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("cannot reach http://127.0.0.1:1"), "{}", text(&out.stderr));
}

#[test]
fn hosts_are_named_by_name_and_changed() {
    let page = json!({ "items": [host("web-1"), host("web-10")], "next_cursor": null, "total": 2 });
    let id = "01990000-0000-7000-8000-000000000001";
    let path = format!("POST /api/v1/hosts/{id}/labels");
    let server = Canned::new(&[
        ("GET /api/v1/hosts?search=WEB-1&limit=500", 200, page),
        (&path, 200, host("web-1")),
    ]);
    let out = server.run(&["hosts", "label", "WEB-1", "ring=1", "old-"]);
    assert_eq!(text(&out.stdout), "web-1 is labelled.\n", "{}", text(&out.stderr));
    let asked = server.asked.lock().expect("a lock");
    let (_, body) = asked.last().expect("asked");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body, json!({ "set": { "ring": "1" }, "remove": ["old"] }));
}
