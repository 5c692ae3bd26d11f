//! What `fleetmend-agent scan` reads and prints.

#[path = "../../sim/src/logs/evtx_file.rs"]
#[expect(dead_code, reason = "this test needs one form of event only")]
mod evtx_file;

use std::fs;
use std::path::Path;
use std::process::Command;

use evtx_file::{Event, file};
use serde_json::{Value, json};

/// Runs the real program.
#[expect(clippy::disallowed_methods, reason = "the program itself is what is tested")]
fn scan(args: &[&str]) -> (Option<i32>, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_fleetmend-agent")).arg("scan").args(args).output();
    let run = run.expect("the program can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (run.status.code(), text(run.stdout), text(run.stderr))
}

fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let line = |second: u32, code: &str| {
        format!(
            "2026-01-02 03:04:{second:02}, Info                  CBS    Session: 1_{second} finalized. Reboot required: no [HRESULT = {code} - X]\r\n"
        )
    };
    write(root.path(), "b/any.name", &(line(1, "0x800f081f") + &line(2, "0x800f0820")));
    write(root.path(), "a/z.log", &line(3, "0x80070bc9"));
    write(root.path(), "notes.txt", "nothing of ours");
    let event = Event::new("volsnap", 36, 2).data("", "x").data("", "C:");
    fs::write(root.path().join("c.evtx"), file(&[vec![event]])).expect("written");
    root
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

#[test]
fn a_folder_is_read_deep_and_in_order_of_name() {
    let root = folder();
    let (code, out, err) = scan(&[&root.path().display().to_string(), "-o", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let reports = found["reports"].as_array().expect("a list");
    let codes: Vec<_> = reports.iter().map(|r| r["code"].clone()).collect();
    let wanted = [json!("0x80070BC9"), json!("0x800F081F"), json!("0x800F0820"), Value::Null];
    assert_eq!(codes, wanted);
    // A cancelled one is listed and not counted.
    assert_eq!(found["by_code"], json!({"0x80070BC9": 1, "0x800F081F": 1, "none": 1}));
    assert!(err.contains("notes.txt"), "{err}");
    let keys: Vec<_> = reports[3].as_object().expect("an object").keys().cloned().collect();
    let mut all = vec![
        "product",
        "operation",
        "code",
        "symbol",
        "kind",
        "subject",
        "time",
        "source",
        "provider",
        "event_id",
        "record_id",
        "line",
        "message",
    ];
    all.sort_unstable();
    let mut keys: Vec<_> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, all);
    assert_eq!(reports[0]["time"], "2026-01-02T03:04:03.000");
    let verdicts = found["verdicts"].as_array().expect("a list");
    assert_eq!(verdicts.len(), 3);
    assert!(verdicts.iter().all(|v| !v["causes"].as_array().expect("a list").is_empty()));
}

#[test]
fn a_table_names_code_and_cause() {
    let root = folder();
    let (code, out, _) = scan(&[&root.path().join("b").display().to_string()]);
    assert_eq!(code, Some(0));
    assert!(out.contains("0x800F081F CBS_E_SOURCE_MISSING"), "{out}");
    assert!(out.contains("Servicing: install · 0x800F081F"), "{out}");
    assert!(out.contains("Source files for the repair or feature were not found."), "{out}");
    assert!(out.contains("an agent on that machine would ask: "), "{out}");
    assert!(out.contains("[dism_with_source]"), "the first help: {out}");
    let (_, out, _) = scan(&[&root.path().join("b").display().to_string(), "--lang", "ru"]);
    for english in ["none of these", "would ask", "likely", "failure", "times", "Source"] {
        assert!(!out.contains(english), "{english}: {out}");
    }
}

#[test]
fn nothing_read_is_not_nothing_found() {
    let root = tempfile::tempdir().expect("a folder");
    write(root.path(), "holiday.txt", "nothing of interest\n");
    let (code, out, err) = scan(&[&root.path().display().to_string()]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("Nothing was read") && err.contains("no log that is known"), "{out}{err}");
}

#[test]
fn a_report_holds_all_it_needs_and_runs_nothing() {
    let root = folder();
    write(
        root.path(),
        "hostile.log",
        "2026-01-02 03:04:05, Info                  CBS    Exec: Processing complete.  Session: 9_9, Package: <script>alert(1)</script>, Identifier: KB5000001 [HRESULT = 0x800f081f - X]\r\n",
    );
    let out = tempfile::tempdir().expect("a folder");
    for (lang, title) in [("en", "What failed, and why"), ("ru", "Что не удалось и почему")]
    {
        let file = out.path().join(format!("{lang}.html")).display().to_string();
        let args = [&root.path().display().to_string(), "--html", &file, "--lang", lang];
        let (code, table, err) = scan(&args);
        assert_eq!(code, Some(0), "{err}");
        assert!(table.contains("0x800F081F"), "the table is printed as well");
        let html = fs::read_to_string(&file).expect("written");
        assert!(html.contains(title) && html.contains(&format!("<html lang=\"{lang}\">")));
        assert!(html.contains("0x800F081F CBS_E_SOURCE_MISSING"));
        assert!(html.contains("&lt;script&gt;alert(1)"), "hostile text is shown as text");
        for fetched in ["<script", "<img", "<link", "src=", "href=", "http://", "https://", "url("]
        {
            assert!(!html.contains(fetched), "{fetched} in the report");
        }
        // A remedy with its undo, and what is left to ask.
        assert!(html.contains("Dism.exe") && html.contains("<dl><dt>"), "no remedy");
        assert!(html.contains("notes.txt"), "what was not read is told");
    }
    let (code, html, _) = scan(&[&root.path().display().to_string(), "-o", "html"]);
    assert!(code == Some(0) && html.starts_with("<!doctype html>"));
    let (code, json, _) = scan(&[&root.path().display().to_string(), "--json"]);
    assert!(code == Some(0) && serde_json::from_str::<Value>(&json).is_ok());
    let lost = out.path().join("no/such/folder.html").display().to_string();
    let (code, _, err) = scan(&[&root.path().display().to_string(), "--html", &lost]);
    assert!(code == Some(1) && err.contains("folder.html cannot be written"), "{err}");
}

#[test]
fn a_path_that_is_not_there_fails() {
    let (code, _, err) = scan(&["/nonexistent/logs"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("/nonexistent/logs"), "{err}");
    assert_eq!(scan(&["--nonsense"]).0, Some(2));
}
