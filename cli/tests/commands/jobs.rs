//! Jobs, their undo, and work for people.

use serde_json::{Value, json};

use crate::canned::{Canned, text};

#[test]
fn a_followed_job_ends_with_its_outcome() {
    let job = |state: &str, end: bool| {
        json!({ "id": "j1", "state": state, "final": end, "updated_at": "2026-11-22T12:00:00.000Z",
            "host": { "name": "web-1" }, "remediation": "apt.configure_pending",
            "steps": [{ "index": 0, "state": "done", "title": "tool.run dpkg", "exit": 0, "detail": "" }] })
    };
    for (state, code) in [("fixed", 0), ("failed", 1), ("unverified", 1)] {
        let server = Canned::new(&[
            ("GET /api/v1/jobs/j1", 200, job(state, true)),
            (
                "GET /api/v1/jobs/j1/log",
                200,
                json!("== attempt 1, step 0: x\nSetting up\u{1b}[2J nginx\n"),
            ),
        ]);
        let out = server.run(&["jobs", "show", "j1", "--log", "--follow"]);
        assert_eq!(out.status.code(), Some(code), "{state}: {}", text(&out.stderr));
        if state == "fixed" {
            insta::assert_snapshot!("job_followed", text(&out.stdout));
        }
    }
}

#[test]
fn what_can_be_taken_back_is_shown_before_it_is() {
    let preview = json!({ "job": "j1", "attempt": 1, "possible": true, "why": null,
        "kept_until": "2026-12-22T12:00:00.000Z",
        "steps": [
            { "index": 1, "title": "tool.run apt-get clean", "state": "done", "undo": "none", "why": "what was fetched is gone" },
            { "index": 0, "title": "file.quarantine lists", "state": "done", "undo": "exact", "why": null }
        ] });
    let server = Canned::new(&[
        ("GET /api/v1/jobs/j1/undo", 200, preview),
        ("POST /api/v1/jobs/j1/undo", 201, json!({ "id": "j2", "task": "undo", "undoes": "j1" })),
    ]);
    let shown = server.run(&["jobs", "undo", "j1", "--preview"]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    insta::assert_snapshot!("undo_preview", text(&shown.stdout));
    assert_eq!(server.run(&["jobs", "undo", "j1"]).status.code(), Some(2), "a reason is wanted");
    let made = server.run(&["jobs", "undo", "j1", "--reason", "wrong one"]);
    assert!(text(&made.stdout).starts_with("Job j2 takes it back"), "{}", text(&made.stdout));
    let asked = server.asked.lock().expect("a lock").pop().expect("asked");
    let body: Value = serde_json::from_str(&asked.1).expect("JSON");
    assert_eq!(body, json!({ "attempt": null, "reason": "wrong one" }));
}

#[test]
fn work_for_people_is_shown_ticked_and_done() {
    let task = json!({ "id": "g1", "host": { "name": "web-1" }, "incident": "i1", "name": "Free space",
        "remediation": "make_space", "cause": "disk_full", "state": "doing", "proof": null, "job": null,
        "assignee": "ann", "asked_by": "server", "created_at": "2026-11-22T12:00:00.000Z", "ended_at": null,
        "ticked": 1, "steps_total": 2, "reason": null,
        "steps": [
            { "index": 0, "en": "Look", "ru": "Посмотрите", "done_by": "ann", "done_at": "2026-11-22T12:05:00.000Z" },
            { "index": 1, "en": "Act", "ru": "Сделайте", "done_by": null, "done_at": null }
        ],
        "notes": [{ "by": "ann", "at": "2026-11-22T12:06:00.000Z", "text": "half of it was logs" }] });
    let server = Canned::new(&[
        (
            "GET /api/v1/guided?limit=200",
            200,
            json!({ "items": [task], "next_cursor": null, "total": 1 }),
        ),
        ("GET /api/v1/guided/g1", 200, task.clone()),
        ("POST /api/v1/guided/g1/tick", 200, task.clone()),
        ("POST /api/v1/guided/g1/done", 200, task),
    ]);
    let shown = server.run(&["guided", "show", "g1", "--lang", "ru"]);
    insta::assert_snapshot!("guided_shown", text(&shown.stdout));
    assert_eq!(server.run(&["guided", "show", "g1", "--lang", "fr"]).status.code(), Some(2));
    let ticked = server.run(&["guided", "tick", "g1", "1", "2"]);
    assert_eq!(ticked.status.code(), Some(0), "{}", text(&ticked.stderr));
    let asked = server.asked.lock().expect("a lock").pop().expect("asked");
    assert_eq!(asked.1, r#"{"done":[0,1]}"#, "people count from one");
    let done = server.run(&["guided", "done", "g1"]);
    assert!(
        text(&done.stdout).starts_with("Done; the next ordinary run"),
        "{}",
        text(&done.stdout)
    );
}
