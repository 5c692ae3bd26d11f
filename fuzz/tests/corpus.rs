//! The corpus read by every target, whole, cut off and damaged: what once broke a reader stays
//! tested without the engine. Inputs that an engine found are kept in the target's folder.

#[path = "../../sim/src/logs/evtx_file.rs"]
#[expect(dead_code, reason = "the corpus needs one form of event only")]
mod evtx_file;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::hold::{Freeze, Halt, Interval};
use fleetmend_core::ids::{HostId, IncidentId, JobId};
use fleetmend_core::order::{Order, Task};
use fleetmend_core::report::{IncidentKey, Operation, Product, Recovery};
use fleetmend_core::spool_item::{Gap, SpoolItem};
use fleetmend_core::time::Timestamp;
use fleetmend_fuzz::{TARGETS, Target};
use fleetmend_proto::{encode_order, v1};
use prost::Message as _;

/// Set to write the inputs that are made by our own code, after a change of their form.
const WRITE: &str = "FLEETMEND_WRITE_CORPUS";

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = files.flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.into_iter().map(|p| (p.clone(), fs::read(&p).expect("readable"))).collect()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
    let folders: BTreeSet<String> = fs::read_dir(corpus())
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, folders);
    let empty: Vec<_> = TARGETS.iter().filter(|t| inputs(t).is_empty()).collect();
    assert!(empty.is_empty(), "no input: {empty:?}");
    let bytes: usize = TARGETS.iter().flat_map(inputs).map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 1024 * 1024, "the corpus is {bytes} bytes: keep it small");
}

/// A panic names its input by the test's output.
#[test]
fn every_input_is_read_whole_cut_and_damaged() {
    for target in TARGETS {
        for (path, bytes) in inputs(target) {
            println!("{}: {}", target.name, path.display());
            (target.run)(&bytes);
            // Long inputs cost most here and tell least.
            let pieces = if bytes.len() > 16 * 1024 { 4 } else { 32 };
            for piece in 0..pieces {
                (target.run)(&bytes[..bytes.len() * piece / pieces]);
            }
            let mut random = 0x9E37_79B9_u32;
            for _ in 0..pieces {
                let mut damaged = bytes.clone();
                for _ in 0..3 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if damaged.is_empty() {
                        break;
                    }
                    let at = random as usize % damaged.len();
                    damaged[at] ^= (random >> 24) as u8 | 1;
                }
                (target.run)(&damaged);
            }
        }
    }
}

fn order() -> Order {
    let uuid = |n: u128| uuid::Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 | n);
    Order {
        host: HostId(uuid(1)),
        job: JobId(uuid(2)),
        attempt: 1,
        incident: IncidentId(uuid(3)),
        key: key(),
        cause: "apt_lock_held".parse().expect("a slug"),
        remediation: "apt.configure_pending".parse().expect("a slug"),
        version: 1,
        digest: "ab".repeat(32),
        evidence: Vec::new(),
        counter: 7,
        not_before: Timestamp::from_millis(1_767_323_045_000),
        expires: Timestamp::from_millis(1_767_326_645_000),
        task: Task::Remediate,
        begin_in: Vec::new(),
        reboot: RebootPolicy::Never,
        max_deferrals: 0,
        notice_seconds: 0,
    }
}

fn key() -> IncidentKey {
    IncidentKey {
        product: Product::Apt,
        operation: Operation::Install,
        code: Some("apt.dpkg_interrupted".parse().expect("a code")),
        subject: Some("libexample".to_owned()),
    }
}

fn reports() -> Vec<u8> {
    let at = Timestamp::from_millis(1_767_323_045_000);
    let items = [
        SpoolItem::Recovery(Recovery { key: key(), at, message: "works again".to_owned() }),
        SpoolItem::Gap(Gap { items: 3, reason: "spool_full".to_owned(), at }),
        SpoolItem::Evidence(Vec::new()),
    ];
    let wire = v1::Reports {
        epoch: vec![7; 16],
        first_sequence: 1,
        items: items.iter().map(v1::SpoolItem::from).collect(),
    };
    wire.encode_to_vec()
}

/// The same without checksums: the target puts them there.
fn bodies() -> Vec<u8> {
    let lines = fleetmend_agent::fuzz::journal_lines(&order());
    let text = String::from_utf8(lines).expect("text");
    let bodies: Vec<&str> = text.lines().filter_map(|l| Some(l.split_once(' ')?.1)).collect();
    bodies.join("\n").into_bytes()
}

fn events() -> Vec<u8> {
    let failed = evtx_file::Event::new("Microsoft-Windows-WindowsUpdateClient", 20, 2)
        .data("errorCode", "0x800f081f")
        .data("updateTitle", "2026-01 Cumulative Update (KB5000001)");
    let snapshot = evtx_file::Event::new("volsnap", 36, 2).data("", "x").data("", "C:");
    evtx_file::file(&[vec![failed, snapshot]])
}

fn halted() -> Vec<u8> {
    let halt = Halt { on: true, reason: "a bad update went out".to_owned() };
    fleetmend_agent::fuzz::holds_file(Vec::new(), halt)
}

/// Without its checksum, as an agent took it before there was any: an engine does not guess those.
fn frozen() -> Vec<u8> {
    let at = |hours: i64| Timestamp::from_millis(1_767_323_045_000 + hours * 3_600_000);
    let freeze = |from, until, name: &str| Freeze {
        span: Interval { from: at(from), until: at(until) },
        name: name.to_owned(),
    };
    let freezes = vec![freeze(0, 72, "end of the quarter"), freeze(48, 96, "audit")];
    let file = fleetmend_agent::fuzz::holds_file(freezes, Halt::default());
    let text = String::from_utf8(file).expect("text");
    text.rsplit_once("\ncrc32 ").expect("a checksum").0.as_bytes().to_vec()
}

/// Inputs of forms that only our own code writes: they follow it.
#[test]
fn what_our_own_code_writes_is_in_the_corpus() {
    let made = [
        ("order/order", encode_order(&order())),
        ("reports/three", reports()),
        ("spool/frames", fleetmend_agent::fuzz::spool_frames()),
        ("journal/given-up", fleetmend_agent::fuzz::journal_lines(&order())),
        ("journal/bodies", bodies()),
        ("evtx/two", events()),
        ("holds/halted", halted()),
        ("holds/frozen", frozen()),
    ];
    for (name, bytes) in made {
        let path = corpus().join(name);
        if std::env::var_os(WRITE).is_some() {
            fs::write(&path, &bytes).expect("written");
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(kept == bytes, "{name} is old: run this test once with {WRITE}=1");
    }
}
