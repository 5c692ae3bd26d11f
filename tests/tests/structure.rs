//! The house keeps its shape: directions of dependency, places of the big libraries, file sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which of our crates each of our crates may use (dev-dependencies aside), by design §3.
const MAY_USE: &[(&str, &[&str])] = &[
    ("fleetmend-core", &[]),
    ("fleetmend-faults", &[]),
    ("fleetmend-catalog", &["fleetmend-core"]),
    ("fleetmend-proto", &["fleetmend-core"]),
    ("fleetmend-store", &["fleetmend-core", "fleetmend-faults"]),
    (
        "fleetmend-agent",
        &["fleetmend-core", "fleetmend-faults", "fleetmend-catalog", "fleetmend-proto"],
    ),
    (
        "fleetmend-server",
        &[
            "fleetmend-core",
            "fleetmend-faults",
            "fleetmend-catalog",
            "fleetmend-proto",
            "fleetmend-store",
        ],
    ),
    ("fleetmend", &["fleetmend-core", "fleetmend-catalog"]),
    (
        "fleetmend-sim",
        &[
            "fleetmend-core",
            "fleetmend-catalog",
            "fleetmend-proto",
            "fleetmend-store",
            "fleetmend-server",
            "fleetmend-agent",
        ],
    ),
    (
        "fleetmend-fuzz",
        &["fleetmend-core", "fleetmend-catalog", "fleetmend-proto", "fleetmend-agent"],
    ),
];

/// Libraries that one place owns.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["fleetmend-store"]),
    ("axum", &["fleetmend-server"]),
    ("askama", &["fleetmend-server"]),
    ("tonic-prost", &["fleetmend-proto"]),
    ("evtx", &["fleetmend-agent"]),
    ("rcgen", &["fleetmend-server", "fleetmend-agent"]),
];

/// Core decides; it neither waits nor talks.
const NEVER_IN_CORE: &[&str] = &["tokio", "sqlx", "tonic", "prost", "axum", "tracing", "rand"];

const WARN_LINES: usize = 400;
const FAIL_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project").into()
}

fn direct_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata answers");
    metadata
        .packages
        .iter()
        .map(|package| {
            let uses = package
                .dependencies
                .iter()
                .filter(|d| d.kind == cargo_metadata::DependencyKind::Normal)
                .map(|d| d.name.clone())
                .collect();
            (package.name.to_string(), uses)
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let uses = direct_dependencies();
    let ours: BTreeSet<&String> = uses.keys().collect();
    let mut wrong = Vec::new();
    for (package, allowed) in MAY_USE {
        let Some(deps) = uses.get(*package) else { continue };
        for dep in deps.iter().filter(|d| ours.contains(d)) {
            if !allowed.contains(&dep.as_str()) {
                wrong.push(format!("{package} uses {dep}"));
            }
        }
    }
    for (library, owners) in ONLY_IN {
        for (package, deps) in &uses {
            if deps.contains(*library)
                && !owners.contains(&package.as_str())
                && package != "fleetmend-tests"
            {
                wrong.push(format!("{package} uses {library}, which only {owners:?} may"));
            }
        }
    }
    for library in NEVER_IN_CORE {
        if uses["fleetmend-core"].contains(*library) {
            wrong.push(format!("fleetmend-core uses {library}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<&str> =
        MAY_USE.iter().map(|(name, _)| *name).chain(["fleetmend-tests"]).collect();
    let unknown: Vec<_> = ours.iter().filter(|p| !known.contains(p.as_str())).collect();
    assert!(unknown.is_empty(), "crates without a declared direction: {unknown:?}");
}

#[test]
fn versions_stand_in_the_workspace_only() {
    for package in direct_dependencies().keys() {
        let folder = match package.as_str() {
            "fleetmend" => "cli".to_owned(),
            name => name.trim_start_matches("fleetmend-").to_owned(),
        };
        let path = root().join(&folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).expect("every crate has a manifest");
        let pinned: Vec<&str> = text.lines().filter(|l| l.contains("version = \"")).collect();
        assert!(pinned.is_empty(), "{}: {pinned:?} belongs in the workspace", path.display());
    }
}

fn rust_files(folder: &Path, found: &mut Vec<(PathBuf, usize)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the project").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                rust_files(&path, found);
            }
        } else if name.ends_with(".rs") {
            let lines = std::fs::read_to_string(&path).expect("UTF-8 source").lines().count();
            found.push((path, lines));
        }
    }
}

#[test]
fn files_stay_readable() {
    let mut files = Vec::new();
    rust_files(&root(), &mut files);
    assert!(files.len() > 50, "the walk found only {} files", files.len());
    files.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    let total: usize = files.iter().map(|(_, lines)| lines).sum();
    println!("{} files, {total} lines, {} on average", files.len(), total / files.len());
    for (path, lines) in files.iter().filter(|(_, lines)| *lines > WARN_LINES) {
        println!("over {WARN_LINES}: {} ({lines})", path.display());
    }
    let over: Vec<_> = files.iter().filter(|(_, lines)| *lines > FAIL_LINES).collect();
    assert!(over.is_empty(), "over {FAIL_LINES} lines: {over:?}");
}

#[test]
fn unsafe_code_has_one_place() {
    let mut files = Vec::new();
    rust_files(&root(), &mut files);
    let word = concat!("unsafe", " {");
    for (path, _) in files {
        let allowed = path.components().any(|c| c.as_os_str() == "windows");
        let text = std::fs::read_to_string(&path).expect("UTF-8 source");
        assert!(allowed || !text.contains(word), "{} has unsafe code", path.display());
    }
}
