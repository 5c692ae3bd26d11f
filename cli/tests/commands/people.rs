//! Logging in, and passwords.

use serde_json::{Value, json};

use crate::canned::{Canned, text};

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
