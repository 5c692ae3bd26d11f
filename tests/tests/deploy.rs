//! What lies in `deploy/` speaks of things that exist: metrics, settings, files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fleetmend_tests::programs::{command, must, ours, run, text};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project").into()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The metrics that a text names.
fn metrics(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !word(c))
        .filter(|name| name.starts_with("fleetmend_") && name.matches('_').count() >= 2)
        // A histogram is asked by its parts.
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[test]
fn alerts_and_their_page_name_metrics_that_exist() {
    let known: BTreeSet<String> = read("server/src/metrics.rs")
        .split('"')
        .filter(|text| metrics(text).contains(*text))
        .map(str::to_owned)
        .collect();
    assert!(known.len() > 10, "{known:?}");
    for page in ["deploy/prometheus/fleetmend.rules.yml", "docs/observability.md"] {
        let named: BTreeSet<String> = metrics(&read(page))
            .into_iter()
            .filter(|name| !name.starts_with("fleetmend_server"))
            .collect();
        let strange: Vec<_> = named.difference(&known).collect();
        assert!(strange.is_empty(), "{page} names metrics that do not exist: {strange:?}");
    }
    let unsaid: Vec<_> = {
        let page = metrics(&read("docs/observability.md"));
        known.iter().filter(|name| !page.contains(*name)).cloned().collect()
    };
    assert!(unsaid.is_empty(), "docs/observability.md does not explain {unsaid:?}");
}

#[test]
fn the_shipped_settings_are_the_defaults() {
    let check = |args: &[&str]| {
        must(command(ours("fleetmend-server")).args(["config", "check"]).args(args).env_clear())
    };
    let file = project().join("deploy/systemd/server.toml");
    assert_eq!(check(&["--config", &file.display().to_string()]), check(&[]));
}

#[test]
fn containers_give_settings_that_the_server_has() {
    let help = text(&run(command(ours("fleetmend-server")).arg("--help")).stdout);
    for file in [
        "deploy/container/Containerfile",
        "deploy/compose/sqlite.yaml",
        "deploy/compose/postgres.yaml",
    ] {
        let text = read(file);
        let word = |c: char| c.is_ascii_uppercase() || c == '_';
        let names = text.split(|c| !word(c)).filter(|name| name.starts_with("FLEETMEND_"));
        let names: BTreeSet<_> = names.collect();
        assert!(!names.is_empty(), "{file}");
        for name in names {
            assert!(help.contains(&format!("[env: {name}")), "{file}: {name} is no setting");
        }
    }
    for name in ["sqlite", "postgres"] {
        let text = read(&format!("deploy/compose/{name}.yaml"));
        assert!(text.contains("dockerfile: deploy/container/Containerfile"), "{name}");
        // People's port never stands open to a network.
        assert!(text.contains("\"127.0.0.1:7080:7080\""), "{name}");
    }
    assert_eq!(read(".dockerignore"), read(".containerignore"), "one list for both tools");
}
