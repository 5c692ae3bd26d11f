//! What became of the remedies of the facts that the catalogue was made from: each by its class, and the
//! first remedy of each code reachable from that code. The facts stand beside the repository; where they
//! are absent the tests say so and pass. `docs/seeds.md` tells people the same.

mod shared;

use std::collections::BTreeSet;
use std::path::Path;

use fleetmend_catalog::builtin;
use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Cause, Retry, Risk};
use fleetmend_core::report::Kind;
use shared::facts;

/// Looks (`read_only`) that probes ask under other names.
const ASKED_BY_PROBES: &[(&str, &[&str])] = &[
    ("av_exclusion_check", &["foreign_antivirus", "log_sharing_violation"]),
    ("check_clock", &["clock_wrong"]),
    ("check_com_permissions", &["com_launch_denied", "com_server_late_lately"]),
    ("check_defender_service", &["defender_down"]),
    ("check_hosts_file", &["hosts_file_redirects"]),
    ("check_libraries", &["profile_folder_missing", "library_reparse_any"]),
    ("check_repair_source", &["repair_source_gone"]),
    ("check_restore_location", &["failure_path_missing"]),
    ("check_spp_acl", &["spp_store_denied"]),
    ("list_reparse_points", &["library_reparse_any"]),
];

/// Looks that are work for people: somebody reads what no probe can, and puts right what he finds.
const LOOKED_AT_BY_PEOPLE: &[&str] = &[
    "check_acl_from_cbs_log",
    "check_backup_target",
    "check_dns",
    "check_esp_space",
    "check_group_policy",
    "check_network",
    "check_profile_list",
    "check_root_certificates",
    "check_service_timeouts",
    "check_shadow_storage",
    "check_small_partitions",
    "check_smart",
    "check_tls_config",
    "check_tls_inspection",
    "check_trustedinstaller_policy",
    "check_update_endpoints",
    "check_volumes",
    "check_vss_providers",
    "check_winhttp_proxy",
    "check_winre_partition",
    "check_wsus_policy",
    "list_skipped_files",
    "read_backup_events",
    "read_cbs_log",
    "read_per_update_codes",
    "read_writer_events",
];

/// A look that an agent does by order: it reads, and loads the disk for long.
const LOOKED_AT_BY_ORDER: &[&str] = &["chkdsk_scan"];

/// Waits that are work for people: what is waited for is theirs. The retry class holds the wait itself.
const WAITED_FOR_BY_PEOPLE: &[&str] = &[
    "close_app_and_retry",
    "free_memory_then_retry",
    "keep_awake_and_retry",
    "refresh_metadata_and_retry",
    "retry_after_reboot",
    "retry_later",
    "retry_off_peak",
];

/// Waits that are steps of an agent.
const WAITED_FOR_BY_AGENTS: &[&str] =
    &["retry_wait_10min_x3", "wait_for_ac_power", "wait_for_unmetered"];

/// Changes that have another name here.
const RENAMED: &[(&str, &[&str])] = &[
    ("exclude_reparse_from_library", &["remove_reparse_from_library"]),
    ("redownload_update", &["clear_update_cache"]),
    ("schedule_reboot", &["restart.windows"]),
];

/// What holds a first remedy besides its own name and those above: any of them.
const HOLDS: &[(&str, &[&str])] = &[
    ("check_clock", &["correct_clock.windows"]),
    ("check_esp_space", &["check_small_partitions"]),
    ("check_libraries", &["remove_missing_library_location"]),
    ("dism_restorehealth", &["repair_store_then_files"]),
    ("free_disk_space", &["make_space_on_system_drive"]),
];

/// Codes whose first remedy is not reached, and why.
const NOT_REACHED: &[(&str, &str)] = &[
    ("0x8004DE40", "another program's: no matter of updates and backups"),
    ("0x800F0954", "provide_source sets that very policy"),
    ("0x8024002E", "check_group_policy looks at the same policies"),
    ("0x81000030", "rights on the place to restore to: check_acl_from_cbs_log, by a person"),
];

/// Codes whose first remedy is to wait, and which do not go by themselves.
const STAYS: &[(&str, &str)] = &[(
    "0x8078011E",
    "what holds the EFI partition is often there again after the restart: not only a restart helps",
)];

/// The kinds of remediation of a name: a variant has a dot in its id.
fn risks(name: &str) -> Vec<Risk> {
    let known = builtin().remediations.values();
    let named = |id: &str| id == name || id.split('.').next() == Some(name);
    known.filter(|r| named(r.id.as_str())).map(|r| r.risk).collect()
}

fn of<'a>(list: &'a [(&str, &[&'a str])], name: &str) -> Option<&'a [&'a str]> {
    list.iter().find(|(own, _)| *own == name).map(|(_, here)| *here)
}

#[test]
fn every_remedy_became_what_its_class_asks_or_is_named_as_an_exception() {
    let Some(vocabulary) = facts("catalogue-vocab.json") else { return };
    let remedies = vocabulary["remedies"].as_object().expect("a set");
    let probe = |id: &&str| builtin().probes.keys().any(|own| own.as_str() == *id);
    let mut wrong = Vec::new();
    for (name, entry) in remedies {
        let (name, class) = (name.as_str(), entry["class"].as_str().expect("a class"));
        let guided = || !risks(name).is_empty() && risks(name).iter().all(|r| *r == Risk::Guided);
        let automatic = || risks(name).iter().any(|r| *r < Risk::Guided);
        let right = match class {
            "read_only" if LOOKED_AT_BY_PEOPLE.contains(&name) => guided(),
            "read_only" if LOOKED_AT_BY_ORDER.contains(&name) => automatic(),
            "read_only" => of(ASKED_BY_PROBES, name).is_some_and(|probes| probes.iter().all(probe)),
            "wait" if WAITED_FOR_BY_PEOPLE.contains(&name) => guided(),
            "wait" => WAITED_FOR_BY_AGENTS.contains(&name) && automatic(),
            _ => of(RENAMED, name).unwrap_or(&[name]).iter().all(|id| !risks(id).is_empty()),
        };
        if !right {
            wrong.push(format!("{name} ({class})"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(remedies.len() >= 100);
    let named = ASKED_BY_PROBES.iter().chain(RENAMED).map(|(name, _)| name);
    let lists =
        [LOOKED_AT_BY_PEOPLE, LOOKED_AT_BY_ORDER, WAITED_FOR_BY_PEOPLE, WAITED_FOR_BY_AGENTS];
    for name in lists.into_iter().flatten().chain(named) {
        assert!(remedies.contains_key(*name), "{name} is no remedy of the facts");
    }
}

/// What differs from the classes is told to people too.
#[test]
fn the_exceptions_stand_in_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/seeds.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let names = LOOKED_AT_BY_PEOPLE.iter().chain(LOOKED_AT_BY_ORDER).chain(WAITED_FOR_BY_PEOPLE);
    let codes = NOT_REACHED.iter().chain(STAYS).map(|(code, _)| code);
    let lost: Vec<_> =
        names.chain(codes).filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// The causes that a code leads to, in whatever context.
fn causes_of(code: &FailureCode) -> Vec<&'static Cause> {
    let cat = builtin();
    let bound = cat.bindings.iter().filter(|b| b.code.as_ref() == Some(code));
    let bound = bound.flat_map(|b| b.causes.iter().map(|(cause, _)| cause));
    let own = cat.codes.get(code).into_iter().flat_map(|entry| &entry.causes);
    let all: BTreeSet<_> = own.chain(bound).collect();
    all.into_iter().filter_map(|id| cat.causes.get(id)).collect()
}

#[test]
fn the_first_remedy_of_each_code_is_reached_from_it() {
    let (Some(facts), Some(vocabulary)) =
        (facts("catalogue-facts.json"), facts("catalogue-vocab.json"))
    else {
        return;
    };
    let (mut lost, mut asked) = (BTreeSet::new(), 0);
    for fact in facts.as_array().expect("a list") {
        let Some(first) = fact["first_remedy"].as_str() else { continue };
        let code: FailureCode = fact["code"].as_str().expect("a code").parse().expect("a code");
        asked += 1;
        let waits = vocabulary["remedies"][first]["class"] == "wait";
        let retry = builtin().codes[&code].retry;
        // A wait is what the retry class says; no cause needs to name it.
        if waits && matches!(retry, Retry::Transient | Retry::NeedsReboot) {
            continue;
        }
        let lists = [ASKED_BY_PROBES, RENAMED, HOLDS];
        let mut names: Vec<&str> =
            lists.iter().filter_map(|list| of(list, first)).flatten().copied().collect();
        names.push(first);
        let reached = causes_of(&code).into_iter().any(|cause| {
            let named = |id: &str| {
                names.contains(&id)
                    || id.split('.').next().is_some_and(|stem| names.contains(&stem))
            };
            cause.remediations.iter().any(|id| named(id.as_str()))
                || cause.indications.iter().any(|i| named(i.probe.as_str()))
        });
        if !reached {
            lost.insert(code.to_string());
        }
    }
    let reasoned: BTreeSet<String> =
        NOT_REACHED.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(lost, reasoned, "left: not reached; right: those with a reason");
    assert!(asked >= 300, "only {asked} codes have a first remedy");
}

/// Whether one failure opens an incident hangs on the retry class: where the first remedy is to wait,
/// the code goes by itself or with a restart.
#[test]
fn codes_to_wait_for_are_not_permanent() {
    let (Some(facts), Some(vocabulary)) =
        (facts("catalogue-facts.json"), facts("catalogue-vocab.json"))
    else {
        return;
    };
    let (mut wrong, mut asked) = (BTreeSet::new(), 0);
    for fact in facts.as_array().expect("a list") {
        let Some(first) = fact["first_remedy"].as_str() else { continue };
        if vocabulary["remedies"][first]["class"] != "wait" {
            continue;
        }
        asked += 1;
        let text = fact["code"].as_str().expect("a code");
        let entry = &builtin().codes[&text.parse::<FailureCode>().expect("a code")];
        let right = match (entry.kind, first) {
            (Kind::Failure, "retry_after_reboot") => entry.retry == Retry::NeedsReboot,
            (Kind::Failure, _) => entry.retry == Retry::Transient,
            _ => matches!(entry.retry, Retry::Transient | Retry::NeedsReboot),
        };
        if !right {
            wrong.insert(text.to_owned());
        }
    }
    let reasoned: BTreeSet<String> = STAYS.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(wrong, reasoned, "left: others; right: those with a reason");
    assert!(asked >= 40, "only {asked}");
}
