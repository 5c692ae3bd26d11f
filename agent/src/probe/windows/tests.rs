//! Every probe of the catalogue that is asked on Windows, against recorded hosts: healthy ones, and
//! such with one fault each.

use std::collections::{BTreeMap, BTreeSet};

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::{OsFamily, UpdateAuthority};
use fleetmend_core::knowledge::Probe;
use fleetmend_core::limits;
use fleetmend_core::probe::Question;
use fleetmend_core::report::{FailureReport, Kind, Operation, Product, Source};
use fleetmend_core::time::SourceTime;
use futures_util::stream::{self, StreamExt as _};

use crate::platform::Platform;
use crate::platform::recorded::hosts::{NOW, faults, healthy};
use crate::platform::recorded::{Patch, Record, Recorded};
use crate::probe::host_state::host_state;
use crate::probe::{About, answer};

type Answers = BTreeMap<String, Evidence>;

/// Texts in logs that are asked for on Windows: the others are of Linux's own tools.
const LOG_TEXTS: [&str; 6] = [
    "log_access_denied",
    "log_content_transfer",
    "log_data_store",
    "log_driver_store",
    "log_sharing_violation",
    "log_web_configuration",
];

fn asked_on_windows() -> Vec<&'static Probe> {
    let probes = fleetmend_catalog::builtin().probes.values();
    let of_windows = |probe: &&Probe| match probe.question {
        Question::LogSays { .. } => LOG_TEXTS.contains(&probe.id.as_str()),
        // Of the failure alone, whatever the host: `what_an_event_says_by_its_number`.
        Question::FailureEvent { .. } => false,
        _ => probe.question.has_answer_on(OsFamily::Windows),
    };
    probes.filter(of_windows).collect()
}

fn failure(message: &str) -> FailureReport {
    FailureReport {
        product: Product::WindowsUpdate,
        operation: Operation::Install,
        code: None,
        symbol: None,
        kind: Kind::Failure,
        subject: None,
        update_class: None,
        // An hour before; the host's own time is an hour ahead of UTC.
        time: SourceTime::local(NOW.as_millis()),
        source: Source::WindowsUpdate,
        provider: None,
        event_id: None,
        record_id: None,
        line: None,
        count: None,
        message: message.to_owned(),
    }
}

fn lay_out(record: Record) -> (tempfile::TempDir, Recorded) {
    let root = tempfile::tempdir().expect("a folder");
    let host = Recorded::lay_out(record, root.path()).expect("laid out");
    (root, host)
}

/// What every probe answers on a host.
async fn ask_all(record: Record, message: &str) -> Answers {
    let (_root, host) = lay_out(record);
    let failure = failure(message);
    let (host, failure) = (&host as &dyn Platform, &failure);
    let ask = |probe: &'static Probe| async move {
        let mut random = || [7; 10];
        let about = About::Failure(failure);
        (probe.id.to_string(), answer(host, probe, about, NOW, &mut random).await)
    };
    stream::iter(asked_on_windows()).map(ask).buffer_unordered(64).collect().await
}

const WORDS: &str = r#"Installation failure, looking for "C:\Windows\System32\config": 0x80070003"#;

fn saying(answers: &Answers, answer: Answer) -> BTreeSet<String> {
    let found = answers.iter().filter(|(_, evidence)| evidence.answer == answer);
    found.map(|(probe, _)| probe.clone()).collect()
}

#[tokio::test]
async fn healthy_hosts_have_no_fault() {
    for (name, record) in healthy().expect("recorded") {
        let answers = ask_all(record, WORDS).await;
        // Where updates come from is a fact, no fault.
        let facts: &[&str] = if name == "server" { &["authority_wsus"] } else { &[] };
        let yes = saying(&answers, Answer::Yes);
        assert!(yes.iter().all(|probe| facts.contains(&probe.as_str())), "{name}: {yes:?}");
        assert!(facts.iter().all(|fact| yes.contains(*fact)), "{name}: {yes:?}");
        let lines = answers.iter().map(|(probe, e)| format!("{probe}: {}: {}", e.answer, e.proof));
        insta::assert_snapshot!(format!("healthy_{name}"), lines.collect::<Vec<_>>().join("\n"));
    }
}

#[tokio::test]
async fn each_fault_is_told_by_its_probes_and_by_no_other() {
    let healthy = healthy().expect("recorded");
    let mut before = BTreeMap::new();
    for (name, record) in &healthy {
        before.insert(name.clone(), saying(&ask_all(record.clone(), WORDS).await, Answer::Yes));
    }
    let mut proofs = Vec::new();
    for (name, fault) in faults().expect("recorded") {
        let record = fault.record().expect("recorded");
        let words = fault.message.as_deref().unwrap_or(WORDS);
        let answers = ask_all(record, words).await;
        let told: BTreeSet<String> =
            saying(&answers, Answer::Yes).difference(&before[&fault.base]).cloned().collect();
        let meant: BTreeSet<String> = fault.yes.iter().cloned().collect();
        assert_eq!(told, meant, "{name}");
        for probe in &told {
            let evidence = &answers[probe];
            assert!(evidence.proof.len() <= limits::PROOF_BYTES, "{name}: {probe}");
            let value = evidence.value.as_deref().unwrap_or("-");
            proofs.push(format!("{name}: {probe}: {} [{value}]", evidence.proof));
        }
    }
    insta::assert_snapshot!("faults", proofs.join("\n"));
}

#[tokio::test]
async fn every_probe_is_seen_saying_yes_and_no() {
    let (mut yes, mut no) = (BTreeSet::new(), BTreeSet::new());
    let healthy = healthy().expect("recorded");
    let hosts = healthy.into_values().map(|record| (record, WORDS.to_owned()));
    let faults = faults().expect("recorded").into_values().map(|fault| {
        let record = fault.record().expect("recorded");
        (record, fault.message.unwrap_or_else(|| WORDS.to_owned()))
    });
    for (record, words) in hosts.chain(faults) {
        let answers = ask_all(record, &words).await;
        yes.extend(saying(&answers, Answer::Yes));
        no.extend(saying(&answers, Answer::No));
    }
    let probes = asked_on_windows();
    assert!(probes.len() > 80, "only {} probes", probes.len());
    for probe in probes {
        assert!(yes.contains(probe.id.as_str()), "no recorded host has {}", probe.id);
        assert!(no.contains(probe.id.as_str()), "every recorded host has {}", probe.id);
    }
}

/// DISM looks at the store since Windows 8 only.
#[tokio::test]
async fn dism_is_not_asked_on_windows_7() {
    let log = vec!["file".to_owned(), "Windows/Logs/CBS/CBS.log".to_owned()];
    let patch = Patch { remove: vec![log], ..Patch::default() };
    let record = healthy().expect("recorded").remove("windows7").expect("there");
    let (_root, host) = lay_out(record.with(&patch).expect("reads"));
    let probes = &fleetmend_catalog::builtin().probes;
    let probe = probes.values().find(|p| p.question == Question::StoreDamaged).expect("there");
    let said = answer(&host, probe, About::Host, NOW, &mut || [7; 10]).await;
    assert_eq!(said.answer, Answer::Unknown);
    assert!(said.proof.contains("no /CheckHealth here"), "{}", said.proof);
}

#[tokio::test]
async fn what_an_event_says_by_its_number() {
    let (_root, host) = lay_out(healthy().expect("recorded").remove("windows10").expect("there"));
    let mut asked = 0;
    for probe in fleetmend_catalog::builtin().probes.values() {
        let Question::FailureEvent { providers, ids } = &probe.question else { continue };
        let mut failure = failure("words");
        let ask = async |failure: &FailureReport| {
            let about = About::Failure(failure);
            answer(&host, probe, about, NOW, &mut || [7; 10]).await
        };
        assert_eq!(ask(&failure).await.answer, Answer::No, "{}: no event at all", probe.id);
        for provider in providers {
            for id in ids {
                failure.provider = Some(provider.to_uppercase());
                failure.event_id = Some(*id);
                failure.subject = Some("E:".to_owned());
                let said = ask(&failure).await;
                assert_eq!(said.answer, Answer::Yes, "{}: {provider} {id}", probe.id);
                assert_eq!(said.subject.as_deref(), Some("E:"), "it is of this failure alone");
            }
        }
        failure.event_id = Some(1);
        assert_eq!(ask(&failure).await.answer, Answer::No, "{}: another id", probe.id);
        failure.provider = Some("another".to_owned());
        failure.event_id = Some(ids[0]);
        assert_eq!(ask(&failure).await.answer, Answer::No, "{}: another provider", probe.id);
        asked += 1;
    }
    assert!(asked >= 10, "only {asked} probes");
}

/// A host that refuses every call says *unknown* to all that stands on one.
#[tokio::test]
async fn what_the_system_does_not_tell_is_unknown() {
    let mut record = healthy().expect("recorded").remove("windows10").expect("there");
    let (registry, service, event) =
        (record.registry.clone(), record.service.clone(), record.event.clone());
    let fails = |words: String| {
        let call = toml::toml! { fails = "access is denied (5)" };
        (words, toml::Value::Table(call))
    };
    let mut calls: toml::Table = [
        "volumes",
        "libraries",
        "processes",
        "vss_writers",
        "vss_providers",
        "shadow_storage",
        "shadow_copies",
        "backup_targets",
        "power",
        "metered",
        "memory",
        "antivirus",
        "updates",
        "time_source",
        "proxy",
    ]
    .into_iter()
    .map(|words| fails(words.to_owned()))
    .collect();
    calls.extend(service.keys().map(|name| fails(format!("service.look {name}"))));
    calls.extend(event.keys().map(|name| fails(format!("events {name}"))));
    for probe in asked_on_windows() {
        if let Question::RegistryNot { key, name, .. }
        | Question::RegistryIs { key, name, .. }
        | Question::RegistrySet { key, name, .. } = &probe.question
        {
            calls.extend([fails(format!(r"registry HKLM\{key}\{name}"))]);
        }
    }
    calls.extend(
        [
            r"registry HKLM\SOFTWARE\Microsoft\Ole\DefaultLaunchPermission",
            r"registry HKLM\SOFTWARE\Microsoft\Ole\MachineLaunchRestriction",
            r"registry HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\DisableAntiSpyware",
            r"registry HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Servicing\LocalSourcePath",
            r"registry HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2\Client\Enabled",
            r"security C:\Windows\System32\spp\store\2.0",
        ]
        .map(|words| fails(words.to_owned())),
    );
    assert!(!registry.is_empty());
    record.file.clear();
    let mut patch = Patch::default();
    patch.then.insert("call".to_owned(), toml::Value::Table(calls));
    let answers = ask_all(record.with(&patch).expect("reads"), "nothing").await;
    let known: BTreeSet<String> = &saying(&answers, Answer::Yes) | &saying(&answers, Answer::No);
    // What stands on files, on keys whose absence says something, and on the build.
    let expected = [
        "driver_store_missing",
        "pending_servicing_list",
        "profile_folder_missing",
        "reboot_pending",
        "sha2_updates_missing",
        "update_cache_filled",
        "update_cache_stale",
        "wimmount_file_missing",
    ];
    assert_eq!(known, expected.into_iter().map(str::to_owned).collect());
    for (probe, evidence) in answers.iter().filter(|(_, e)| e.answer == Answer::Unknown) {
        assert!(!evidence.proof.is_empty(), "{probe} gives no reason");
    }
}

#[tokio::test]
async fn states_say_who_manages_updates_and_what_the_host_does() {
    let mut told = Vec::new();
    for (name, record) in healthy().expect("recorded") {
        let (_root, host) = lay_out(record);
        let mut state = host_state(&host, NOW).await;
        assert!(state.disks.len() >= 3 && state.services.len() >= 8, "{name}");
        state.disks.truncate(1);
        state.services.truncate(2);
        told.push(format!("{name}: {}", serde_json::to_string_pretty(&state).expect("JSON")));
    }
    insta::assert_snapshot!("states", told.join("\n"));
}

/// Who manages updates, and the value that proves it.
#[tokio::test]
async fn the_update_authority_is_proved_by_policy() {
    const WU: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate";
    let ccm = |flags: u32| {
        format!(
            "then.service.CcmExec = {{ state = \"running\", start = \"auto\" }}\nthen.registry.'HKLM\\SOFTWARE\\Microsoft\\CCM'.CoManagementFlags = {flags}\n"
        )
    };
    let policy = |name: &str, value: &str| format!("then.registry.'{WU}'.{name} = {value}\n");
    let au = |name: &str| format!("then.registry.'{WU}\\AU'.{name} = 1\n");
    let wsus = policy("WUServer", "\"https://wsus.example.com:8531\"") + &au("UseWUServer");
    let by_class = wsus.clone()
        + &au("UseUpdateClassPolicySource")
        + &policy("SetPolicyDrivenUpdateSourceForQualityUpdates", "0");
    let cases = [
        (String::new(), UpdateAuthority::WindowsUpdate, "no update policy"),
        (ccm(1), UpdateAuthority::ConfigMgr, "CoManagementFlags = 1"),
        (ccm(1) + &wsus, UpdateAuthority::ConfigMgr, "CcmExec"),
        (ccm(0x31), UpdateAuthority::Wufb, "co-management gives updates to Intune"),
        (wsus.clone(), UpdateAuthority::Wsus, "WUServer = https://wsus.example.com:8531"),
        (
            policy("WUServer", "\"https://wsus.example.com\""),
            UpdateAuthority::WindowsUpdate,
            "no update policy",
        ),
        (by_class, UpdateAuthority::Wufb, "SetPolicyDrivenUpdateSourceForQualityUpdates = 0"),
        (
            policy("DeferQualityUpdatesPeriodInDays", "7"),
            UpdateAuthority::Wufb,
            "DeferQualityUpdatesPeriodInDays = 7",
        ),
        (au("NoAutoUpdate"), UpdateAuthority::None, "NoAutoUpdate = 1"),
        (
            "then.call.\"service.look CcmExec\" = { fails = \"access is denied (5)\" }\n"
                .to_owned()
                + &ccm(1),
            UpdateAuthority::Unknown,
            "access is denied",
        ),
    ];
    let base = healthy().expect("recorded").remove("windows10").expect("there");
    for (change, authority, proof) in cases {
        let patch: Patch = toml::from_str(&change).expect("reads");
        let (_root, host) = lay_out(base.with(&patch).expect("reads"));
        let state = host_state(&host, NOW).await;
        assert_eq!(state.update_authority, Some(authority), "{change}");
        let said = state.update_authority_proof.unwrap_or_default();
        assert!(said.contains(proof), "{change}: {said}");
    }
}

/// What a host does for others is told by its services and by Windows' own marks.
#[tokio::test]
async fn roles_are_found() {
    let change = r"
then.service.ClusSvc = { state = 'running', start = 'auto' }
then.service.vmms = { state = 'running', start = 'auto' }
then.service.'MSSQL$ERP' = { state = 'running', start = 'auto' }
then.service.MSExchangeIS = { state = 'running', start = 'auto' }
then.service.VeeamBackupSvc = { state = 'running', start = 'auto' }
then.service.VeeamEndpointBackupSvc = { state = 'running', start = 'auto' }
then.service.AcronisAgent = { state = 'running', start = 'auto' }
then.registry.'HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server'.TSAppCompat = 1
";
    let patch: Patch = toml::from_str(change).expect("reads");
    let base = healthy().expect("recorded").remove("server").expect("there");
    let (_root, host) = lay_out(base.with(&patch).expect("reads"));
    let state = host_state(&host, NOW).await;
    assert!(
        state.services.iter().any(|service| service.name == "AcronisAgent"),
        "a backup product that cannot be read is at least named"
    );
    let roles = state.roles;
    let expected = [
        "backup_server",
        "cluster",
        "dns_server",
        "domain_controller",
        "exchange",
        "hyper_v",
        "remote_desktop_host",
        "server",
        "sql_server",
    ];
    assert_eq!(roles, expected);
}

/// Veeam Agent ends each job with one event, whose level says how.
#[tokio::test]
async fn a_job_of_veeam_that_worked_is_the_last_backup() {
    let change = r"
then.event.'Veeam Agent'.monday = { provider = 'Veeam Agent', id = 190, level = 4, at = '2026-03-01T21:00:00Z' }
then.event.'Veeam Agent'.tuesday = { provider = 'Veeam Agent', id = 190, level = 3, at = '2026-03-01T22:00:00Z' }
then.event.'Veeam Agent'.wednesday = { provider = 'Veeam Agent', id = 190, level = 2, at = '2026-03-01T23:00:00Z' }
";
    let patch: Patch = toml::from_str(change).expect("reads");
    let base = healthy().expect("recorded").remove("windows10").expect("there");
    let known = host_state(&lay_out(base.clone()).1, NOW).await.last_backup;
    assert_eq!(known, "2026-03-01T18:00:00Z".parse().ok(), "Windows Backup's own");
    let (_root, host) = lay_out(base.with(&patch).expect("reads"));
    let known = host_state(&host, NOW).await.last_backup;
    assert_eq!(known, "2026-03-01T21:00:00Z".parse().ok(), "a warning and an error are no success");
}

/// A log that was cleared, or is overwritten by now, says *no* only of the days that it holds.
#[tokio::test]
async fn a_log_says_no_only_as_far_back_as_it_reaches() {
    let base = healthy().expect("recorded").remove("windows10").expect("there");
    let probes = &fleetmend_catalog::builtin().probes;
    let probe = probes.values().find(|p| p.id.as_str() == "disk_errors_lately").expect("there");
    let ask = async |change: &str| {
        let patch: Patch = toml::from_str(change).expect("reads");
        let (_root, host) = lay_out(base.with(&patch).expect("reads"));
        answer(&host, probe, About::Host, NOW, &mut || [7; 10]).await
    };
    assert_eq!(ask("").await.answer, Answer::No);
    let short = ask("remove = [['event', 'System', 'disk'], ['event', 'System', 'installed'], ['event', 'System', 'boot']]").await;
    assert_eq!(short.answer, Answer::Unknown, "{}", short.proof);
    assert!(short.proof.contains("reaches back to 2026-03-02"), "{}", short.proof);
    let seen = "remove = [['event', 'System', 'installed']]\nthen.event.System.disk.at = '2026-03-01T00:00:00Z'";
    assert_eq!(ask(seen).await.answer, Answer::Yes, "what it holds it says");
    let empty = "remove = [['event', 'System']]\nthen.event.System = {}";
    assert_eq!(ask(empty).await.answer, Answer::Unknown);
}
