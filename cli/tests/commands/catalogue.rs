//! What the catalogue knows.

use serde_json::{Value, json};

use crate::canned::{Canned, text};

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
    // What is offered to ask next is a context that the code has.
    let told = text(&server.run(&["explain", "0xC1900101"]).stdout).replace('\n', " ");
    assert!(told.contains("explain 0xC1900101 --product upgrade --operation upgrade;"), "{told}");
    // Of a code that nobody knows, what its bits say, and no more.
    for (lang, head, bits) in [
        ("en", "does not know this code", "failure: code 0xCDEF, unknown facility 0xAB"),
        ("ru", "не знает этого кода", "сбой: код 0xCDEF, неизвестная подсистема 0xAB"),
    ] {
        let out = server.run(&["explain", "0x80ABCDEF", "--lang", lang]);
        let said = text(&out.stdout);
        let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
        assert!(lines[0].starts_with("0x80ABCDEF") && lines[1].contains(head), "{said}");
        assert!(lines[2] == bits && lines.len() == 3, "{said}");
    }
    let lost = text(&server.run(&["explain", "update cache"]).stderr).clone();
    assert!(lost.contains("Did you mean: ") && lost.contains("clear_update_cache"), "{lost}");
    assert_eq!(server.run(&["catalog", "lint"]).status.code(), Some(0));
    // A folder's catalogue is checked too: all that is wrong with it is told.
    let folder = tempfile::tempdir().expect("a folder");
    let broken = "[[message]]\ntext = \"no such disk\"\ncode = \"nobody.knows\"\n";
    std::fs::write(folder.path().join("broken.toml"), broken).expect("written");
    let lint = server.run(&["catalog", "lint", "--catalog", &folder.path().display().to_string()]);
    assert_eq!(lint.status.code(), Some(1));
    let told = text(&lint.stdout);
    assert!(told.contains("the code nobody.knows does not exist"), "{told}");
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
            "os": "linux", "build": "12", "product": "apt", "operation": "install",
            "code": "apt.dpkg_interrupted", "subject": null, "update_class": null,
            "evidence": [{
                "id": "01990000-0000-7000-8000-0000000000aa", "probe": "dpkg_interrupted",
                "subject": null, "answer": answer, "value": null, "at": "2026-11-22T12:00:00.000Z",
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
