//! The program itself, against a small server that gives canned answers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the server was asked: `GET /path` and the body.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server that knows some answers: `GET /path?query` → status and body.
struct Canned {
    url: String,
    asked: Asked,
}

impl Canned {
    fn new(answers: &[(&str, u16, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers: BTreeMap<String, (u16, Value)> =
            answers.iter().map(|(k, s, v)| ((*k).to_owned(), (*s, v.clone()))).collect();
        let asked = Asked::default();
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
                let mut first = String::new();
                lines.read_line(&mut first).expect("a line");
                let target = first.rsplit_once(' ').map_or("", |(t, _)| t).to_owned();
                let (mut length, mut csv) = (0, false);
                loop {
                    let mut line = String::new();
                    lines.read_line(&mut line).expect("a header");
                    let line = line.trim_end().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(n) = line.strip_prefix("content-length: ") {
                        length = n.parse().expect("a number");
                    }
                    csv |= line == "accept: text/csv";
                    assert!(!line.starts_with("authorization: ") || line.contains("fmt_test"));
                }
                let mut body = vec![0; length];
                lines.read_exact(&mut body).expect("a body");
                let body = String::from_utf8(body).expect("text");
                seen.lock().expect("a lock").push((target.clone(), body));
                let new = seen
                    .lock()
                    .expect("a lock")
                    .last()
                    .is_some_and(|(_, body)| body.contains("\"new_password\""));
                let key = match (csv, new) {
                    (true, _) => format!("{target} csv"),
                    (_, true) => format!("{target} new"),
                    _ => target,
                };
                let missing =
                    (404, json!({ "detail": format!("nothing canned for {key}"), "status": 404 }));
                let (status, value) = answers.get(&key).cloned().unwrap_or(missing);
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                )
                .expect("sent");
            }
        });
        Self { url, asked }
    }

    #[expect(clippy::disallowed_methods, reason = "a test runs the program that it tests")]
    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fleetmend"))
            .args(args)
            .env_clear()
            .env("FLEETMEND_URL", &self.url)
            .env("FLEETMEND_TOKEN", "fmt_test")
            .stdin(Stdio::null())
            .output()
            .expect("runs")
    }

    /// The same without a token, with a home and standard input.
    #[expect(clippy::disallowed_methods, reason = "a test runs the program that it tests")]
    fn run_at(&self, home: &std::path::Path, args: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fleetmend"))
            .args(args)
            .env_clear()
            .env("FLEETMEND_URL", &self.url)
            .env("XDG_CONFIG_HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("written");
        child.wait_with_output().expect("ends")
    }
}

#[cfg(unix)]
#[test]
fn a_password_for_one_log_in_is_replaced_at_the_command_line() {
    let change = json!({
        "type": "urn:fleetmend:problem:change_password", "detail": "choose your own", "status": 403,
    });
    let opened = json!({
        "id": "01990000-0000-7000-8000-000000000001", "user": "boris", "role": "operator",
        "expires_at": "2026-11-23T00:00:00.000Z", "must_change": false, "token": "fmt_test_given",
    });
    let server = Canned::new(&[
        ("POST /api/v1/sessions", 403, change),
        ("POST /api/v1/sessions new", 201, opened),
    ]);
    let home = tempfile::tempdir().expect("a directory");
    let args = ["login", "--name", "boris", "--password-stdin"];
    let asked = server.run_at(home.path(), &args, "abcde-fghjk\n");
    assert_eq!(asked.status.code(), Some(1));
    let said = text(&asked.stderr);
    assert!(said.contains("choose your own") && said.contains("second line"), "{said}");
    let done = server.run_at(home.path(), &args, "abcde-fghjk\nhorse battery staple\n");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(home.path().join("fleetmend/tokens.json").exists());
    let sent = server.asked.lock().expect("a lock").last().expect("asked").1.clone();
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(
        (&sent["password"], &sent["new_password"]),
        (&json!("abcde-fghjk"), &json!("horse battery staple"))
    );
}

#[cfg(unix)]
#[test]
fn a_log_in_keeps_a_token_that_is_used_and_never_printed() {
    use std::os::unix::fs::PermissionsExt as _;
    let opened = json!({
        "id": "01990000-0000-7000-8000-000000000001", "user": "anna", "role": "admin",
        "expires_at": "2026-11-23T00:00:00.000Z", "must_change": false, "token": "fmt_test_given",
    });
    let made = json!({
        "user": { "name": "boris", "role": "operator", "state": "invited" },
        "sessions_ended": 0, "tokens_ended": 0, "one_time_password": "abcde-fghjk-mnpqr-stuvw",
        "one_time_until": "2026-11-29T12:00:00.000Z",
    });
    let server =
        Canned::new(&[("POST /api/v1/sessions", 201, opened), ("POST /api/v1/users", 201, made)]);
    let home = tempfile::tempdir().expect("a directory");
    let run = |args: &[&str], stdin: &str| server.run_at(home.path(), args, stdin);
    let before = run(&["users", "create", "boris"], "");
    assert_eq!(before.status.code(), Some(2), "{}", text(&before.stderr));
    assert!(text(&before.stderr).contains("fleetmend login"), "{}", text(&before.stderr));
    assert_eq!(run(&["login", "--name", "anna"], "").status.code(), Some(2), "nobody to ask");

    let done = run(&["login", "--name", "anna", "--password-stdin"], "horse battery staple\n");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    for out in [&done.stdout, &done.stderr] {
        assert!(!text(out).contains("fmt_") && !text(out).contains("horse"), "{}", text(out));
    }
    let file = home.path().join("fleetmend/tokens.json");
    let mode = std::fs::metadata(&file).expect("kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let made = run(&["users", "create", "boris", "--role", "operator"], "");
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert_eq!(text(&made.stdout), "abcde-fghjk-mnpqr-stuvw\n", "alone, for scripts");
    let asked = format!("{:?}", server.asked.lock().expect("a lock"));
    assert!(asked.contains("horse battery staple"), "{asked}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn host(name: &str) -> Value {
    json!({
        "id": "01990000-0000-7000-8000-000000000001", "name": name, "state": "active",
        "connected": true, "simulated": false, "open_incidents": 2, "os_name": "Debian 12",
        "last_seen": "2026-11-22T12:00:00.000Z", "labels": { "site": "north" },
    })
}

const HOSTILE: &str = "web\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}1";

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

#[test]
fn codes_are_explained_without_a_server() {
    let server = Canned::new(&[]);
    for (spelled, form) in [
        ("80070003", &["-o", "json"][..]),
        ("-2147024893", &["--json"]),
        ("0х80070003", &["--json"]),
    ] {
        let out = server.run(&[&["explain", spelled][..], form].concat());
        let told: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!(told["code"], "0x80070003", "{spelled}");
    }
    let out = server.run(&["explain", "apt.dpkg_interrupted", "--lang", "ru"]);
    let said = text(&out.stdout);
    assert!(said.starts_with("apt.dpkg_interrupted") && said.contains("dpkg"), "{said}");
    let out = server.run(&["explain", "clear_update_cache"]);
    let said = text(&out.stdout);
    for line in ["1. Stop the service wuauserv.", "     service: wuauserv", "     undo: "] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let lost = text(&server.run(&["explain", "update cache"]).stderr).clone();
    assert!(lost.contains("Did you mean: ") && lost.contains("clear_update_cache"), "{lost}");
    assert_eq!(server.run(&["catalog", "lint"]).status.code(), Some(0));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(server.run(&["completion", shell]).stdout.len() > 1_000, "{shell}");
    }
    assert!(text(&server.run(&["--version"]).stdout).starts_with("fleetmend "));
    assert!(server.asked.lock().expect("a lock").is_empty(), "a server was asked");
}

#[test]
fn a_backtest_judges_here_what_the_server_knows() {
    let item = |n: u32, answer: &str| {
        json!({
            "incident": format!("01990000-0000-7000-8000-00000000000{n}"),
            "host": { "id": "h", "name": format!("web-{n}"), "simulated": false },
            "os": "linux", "product": "apt", "operation": "install",
            "code": "apt.dpkg_interrupted", "subject": null, "update_class": null,
            "evidence": [{
                "id": "01990000-0000-7000-8000-0000000000aa", "probe": "dpkg_interrupted",
                "subject": null, "answer": answer, "at": "2026-11-22T12:00:00.000Z",
            }],
            "tried": [],
            "judged": { "cause": "apt_lock_held", "certainty": "likely", "next": null },
            "catalogue": "0.0.0+server",
        })
    };
    let page =
        |items: &[Value], next: Value| json!({ "items": items, "next_cursor": next, "total": 4 });
    let path = "GET /api/v1/catalog/backtest?max_risk=disruptive&limit=";
    let server = Canned::new(&[
        (&format!("{path}200"), 200, page(&[item(1, "yes"), item(2, "yes")], json!("c"))),
        (&format!("{path}200&cursor=c"), 200, page(&[item(3, "unknown")], json!(null))),
        (&format!("{path}1"), 200, page(&[item(1, "yes")], json!("c"))),
    ]);
    let out = server.run(&["catalog", "backtest"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let said = text(&out.stdout).replace(&fleetmend_catalog::builtin().version, "(this)");
    insta::assert_snapshot!("backtest_table", said);
    let said = text(&server.run(&["catalog", "backtest", "--limit", "1"]).stdout);
    assert!(said.contains("(1 of 4 were looked at; --limit 4 takes all)"), "{said}");

    // A catalogue that is not in order is not tried, and a folder without one is named.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let none = server.run(&["catalog", "backtest", "--catalog", &path]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
    assert!(text(&none.stderr).contains("no .toml file is there"));
    std::fs::write(folder.path().join("x.toml"), "[[cause]]\nid = 7\n").expect("written");
    let wrong = server.run(&["catalog", "backtest", "--catalog", &path]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("not in order"), "{}", text(&wrong.stderr));
}

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
