//! The collectors against logs of our own, written by the rules of each format, and against damage:
//! these tests travel with the repository.

#[path = "../../sim/src/logs/evtx_file.rs"]
#[expect(dead_code, reason = "times and numbers matter to simulated hosts only")]
mod evtx_file;

use std::fmt::Write as _;

use fleetmend_agent::collect;
use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, Source};
use fleetmend_core::update_class::UpdateClass;
use proptest::prelude::*;

use evtx_file::{Event, file};

fn read(source: Source, bytes: &[u8]) -> Vec<FailureReport> {
    read_all(source, bytes).reports
}

fn read_all(source: Source, bytes: &[u8]) -> collect::Collected {
    collect::read(source, bytes, fleetmend_catalog::builtin()).expect("memory can be read")
}

/// A report in a few words.
fn brief(r: &FailureReport) -> String {
    let code = r.code.as_ref().map_or("none".to_owned(), FailureCode::to_string);
    let mut text = format!("{} {} {code}", r.product, r.operation);
    if let Some(subject) = &r.subject {
        let _ = write!(text, " {subject}");
    }
    if let Some(line) = r.line {
        let _ = write!(text, " @{line}");
    }
    if let Some(count) = r.count {
        let _ = write!(text, " x{count}");
    }
    text
}

fn briefs(source: Source, text: &str) -> Vec<String> {
    read(source, text.as_bytes()).iter().map(brief).collect()
}

fn cbs(lines: &[&str]) -> String {
    let mut text = String::from("\u{FEFF}");
    for (n, line) in lines.iter().enumerate() {
        // A line that starts with a bar is a continuation: no time, no component.
        match line.strip_prefix('|') {
            Some(bare) => text += bare,
            None => {
                let _ =
                    write!(text, "2026-01-02 03:04:{n:02}, Info                  CBS    {line}");
            }
        }
        text += "\r\n";
    }
    text
}

const FAILED: &str = "[HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]";
const FINE: &str = "[HRESULT = 0x00000000 - S_OK]";

#[test]
fn a_session_decides_for_its_packages() {
    let text = cbs(&[
        &format!(
            "Exec: Processing complete.  Session: 7_1, Package: P~31bf~amd64~~10.0.1, Identifier: KB5000001 {FAILED}"
        ),
        &format!("Asynchronous Session: 7_1 finalized. Reboot required: no {FAILED}"),
        &format!("Session: 7_1 finalized. Reboot required: no {FAILED}"),
        &format!(
            "Exec: Processing complete.  Session: 8_1, Package: Q, Identifier: KB5000002 {FAILED}"
        ),
        &format!("Session: 8_1 finalized. Reboot required: yes {FINE}"),
        &format!("Exec: Processing complete.  Session: 9_1, Package: R, Identifier: x {FAILED}"),
        &format!("Exec: Processing complete.  Session: 9_1, Package: S, Identifier: x {FAILED}"),
        &format!("Failed to do something small {FAILED}"),
    ]);
    let wanted = [
        "servicing install 0x800F081F P~31bf~amd64~~10.0.1 @3",
        "servicing install 0x800F081F S @7",
    ];
    assert_eq!(briefs(Source::Cbs, &text), wanted);
    // The same with other line ends and without the mark at the start.
    let plain = text.replace("\r\n", "\n").replace('\u{FEFF}', "");
    assert_eq!(briefs(Source::Cbs, &plain), wanted);
    assert_eq!(briefs(Source::Cbs, plain.trim_end()), wanted);
}

#[test]
fn a_repair_session_is_known_by_its_kind() {
    let text = cbs(&[
        &format!("Exec: Processing complete, session(Corruption Detecting): 5_5 {FAILED}"),
        &format!("Session: 5_5 finalized. Reboot required: no {FAILED}"),
        &format!("Exec: Processing complete, session(Corruption Repairing): 6_6 {FAILED}"),
        &format!("Session: 6_6 finalized. Reboot required: no {FAILED}"),
    ]);
    assert_eq!(
        briefs(Source::Cbs, &text),
        ["servicing verify 0x800F081F @2", "servicing repair 0x800F081F @4"]
    );
}

#[test]
fn a_damaged_store_is_one_report() {
    let scan = [
        "Summary:",
        "Operation: Detect only ",
        "|Total Detected Corruption:\t5",
        "|Total Repaired Corruption:\t2",
    ];
    let end = format!("Session: 1_1 finalized. Reboot required: no {FINE}");
    let mut lines = scan.to_vec();
    lines.push(&end);
    let reports = read(Source::Cbs, cbs(&lines).as_bytes());
    assert_eq!(
        reports.iter().map(brief).collect::<Vec<_>>(),
        ["servicing verify servicing.store_corrupt @3 x3"]
    );
    // The line has no time: the last one before it holds.
    assert_eq!(reports[0].time.to_string(), "2026-01-02T03:04:01.000");
    // A session that is reported itself tells of the same fault.
    let failed = format!("Session: 1_1 finalized. Reboot required: no {FAILED}");
    lines[4] = &failed;
    assert_eq!(briefs(Source::Cbs, &cbs(&lines)), ["servicing install 0x800F081F @5"]);
    // A cancelled one does not.
    let cancelled =
        "Session: 1_1 finalized. Reboot required: no [HRESULT = 0x800f0820 - CBS_E_CANCEL]";
    lines[4] = cancelled;
    assert_eq!(briefs(Source::Cbs, &cbs(&lines)).len(), 2);
    // All repaired, or nothing found: nothing to say. The end of the file closes it too.
    for (detected, found) in
        [("|Total Detected Corruption:\t2", 0), ("|Total Detected Corruption:\t3", 1)]
    {
        let lines = [scan[0], "Operation: Detect and Repair ", detected, scan[3]];
        assert_eq!(briefs(Source::Cbs, &cbs(&lines)).len(), found);
    }
}

#[test]
fn a_run_of_sfc_counts_distinct_files() {
    let repair = "Repair complete";
    let bad = |file: &str, of: &str, q: char| {
        format!(
            "00000801 [SR] Cannot repair member file [l:36{{18}}]{q}{file}{q} of {of}, Version = 6.2, hash mismatch"
        )
    };
    let text = cbs(&[
        "TiWorker: Client requests SFP repair object.",
        &bad("a.dll", "one", '"'),
        &bad("a.dll", "one", '\''),
        &bad("a.dll", "two", '\''),
        "All files and registry keys listed in this transaction have been successfully repaired",
        repair,
        "TiWorker: Client requests SFP repair object.",
        "nothing wrong",
        "TiWorker signaled for shutdown, going to exit.",
        &bad("b's.dll", "one", '"'),
    ]);
    assert_eq!(
        briefs(Source::Cbs, &text),
        [
            "servicing repair servicing.sfc_unrepairable @4 x2",
            "servicing repair servicing.sfc_unrepairable @10 x1"
        ]
    );
}

#[test]
fn a_line_of_any_length_is_no_obstacle() {
    let long = "x".repeat(3_000_000);
    let text =
        cbs(&[&long, &format!("Session: 1_1 finalized. Reboot required: no {FAILED}"), &long]);
    assert_eq!(briefs(Source::Cbs, &text), ["servicing install 0x800F081F @2"]);
}

const GUID: &str = "{8B24B027-1DEE-BABB-9A95-3517DFB9C552}";

fn row(hresult: &str, status: &str, operation: &str, zone: &str) -> String {
    format!(
        "{GUID}\t2026-01-02 03:04:05:678{zone}\t1\t182 [AGENT_X]\t101\t{GUID}\t100\t{hresult}\tcaller\t{status}\t{operation}\twords\tvector\r\n"
    )
}

#[test]
fn rows_tell_status_and_operation() {
    let text = [
        row("80240438", "Failure", "Software Synchronization", "+0300"),
        row("8024000b", "Success", "Content Download", "+0300"),
        row("80070003", "Failure", "Content Install", "-0330"),
        row("0", "Failure", "Something Else", ""),
        "cut off row\tFailure".to_owned(),
    ]
    .concat();
    let id = "8B24B027-1DEE-BABB-9A95-3517DFB9C552";
    let wanted = [
        "windows_update scan 0x80240438 @1".to_owned(),
        format!("windows_update install 0x80070003 {id} @3"),
        format!("windows_update other none {id} @4"),
    ];
    let wide: Vec<u8> =
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes(), &wide, text.replace("\r\n", "\n").as_bytes()] {
        let reports = read(Source::ReportingEvents, bytes);
        assert_eq!(reports.iter().map(brief).collect::<Vec<_>>(), wanted);
        assert_eq!(reports[1].time.to_string(), "2026-01-02T03:04:05.678-03:30");
    }
}

#[test]
fn update_outcomes_are_told_once() {
    let a = "AAAAAAAA-0000-0000-0000-000000000001";
    let text = format!(
        "2026/01/02 03:04:00.0000001 1 2 Agent           * END * Finding updates CallerId = x, Exit code = 0x8024402C (cV = y)\r\n\
         2026/01/02 03:04:01.0000001 1 2 DownloadManager *FAILED* [80240061] Error occurred while downloading update {a}.1; notifying dependent calls.\r\n\
         2026/01/02 03:04:01.0000001 1 2 DownloadManager *FAILED* [80240061] Method failed [X::Y:1]\r\n\
         2026/01/02 03:04:02.0000001 1 2 Agent           LogHistory called. idUpdate={{{a}}}.1, x, resultMapped=8024200B, resultUnMapped=800F081F\r\n\
         2026/01/02 03:04:09.0000001 1 2 ComApi          deployment callback for top-level update {a}.1, callback code = Update failed, x mapped result = 0x8024200B, unmapped result = 0x800F081F\r\n\
         2026/01/02 03:06:00.0000001 1 2 Agent           LogHistory called. idUpdate={{{a}}}.1, x, resultMapped=80242014, resultUnMapped=80070BC9\r\n\
         2026/01/02 03:07:00.0000001 1 2 ComApi          ClientId = c; Call error code = 0x80240022\r\n"
    );
    assert_eq!(
        briefs(Source::WindowsUpdate, &text),
        [
            "windows_update scan 0x8024402C @1".to_owned(),
            format!("windows_update download 0x80240061 {a} @2"),
            format!("windows_update install 0x800F081F {a} @4"),
        ]
    );
    let only_summary =
        "2026-01-02 03:07:00.0000001 1 2 ComApi          Call error code = 0x80240022\n";
    assert_eq!(
        briefs(Source::WindowsUpdate, only_summary),
        ["windows_update install 0x80240022 @1"]
    );
}

/// The lines as Windows 7 writes them: stars around what ends, two blanks within, and the handler
/// of an update warning in the words of the agent.
#[test]
fn windows_7_tells_the_code_before_the_end() {
    let at = "2026-01-02\t03:04:05:678\t 808\taac\t";
    let lines = |texts: &[&str]| texts.iter().flat_map(|t| [at, t, "\r\n"]).collect::<String>();
    let end = "Agent\t**  END  **  Agent: Finding updates [CallerId = x]";
    let stars = "Agent\t*********";
    let warning = "Agent\t  * WARNING: Exit code = 0x8024402C";
    let failed = lines(&[warning, stars, end, "Agent\t*************"]);
    let told = ["windows_update scan 0x8024402C @3"];
    assert_eq!(briefs(Source::WindowsUpdate, &failed), told);
    let copied = failed.replace('\t', " ");
    assert_eq!(briefs(Source::WindowsUpdate, &copied), told, "tabs lost on a page");
    let near = lines(&[warning, &end.replace("  END  ", " END ")]);
    assert_eq!(briefs(Source::WindowsUpdate, &near), ["windows_update scan 0x8024402C @2"]);
    let install =
        lines(&[warning, stars, "Agent\t**  END  **  Agent: Installing updates [CallerId = x]"]);
    assert_eq!(briefs(Source::WindowsUpdate, &install), ["windows_update install 0x8024402C @3"]);
    let handlers = "Handler\t  : WARNING: Exit code = 0x8024200B";
    let others: [&[&str]; 3] = [
        &[handlers, "Handler\t:::::::::", end],
        &[warning, stars, stars, stars, stars, end],
        &[warning, stars, "Setup\t**  END  **  Setup: SelfUpdate", end],
    ];
    for other in others {
        assert_eq!(briefs(Source::WindowsUpdate, &lines(other)), [""; 0], "{other:?}");
    }
}

#[test]
fn a_dism_command_fails_once() {
    let line = |pid: u32, text: &str| {
        format!(
            "2026-01-02 03:04:05, Error                 DISM   DISM Package Manager: PID={pid} TID=2 {text}\r\n"
        )
    };
    let text = [
        line(1, "x - CDISMPackageManager::ScanHealth(hr:0x80070bc9)"),
        line(2, "Failed processing command to add Appx package - CAppxManager::ExecuteCmdLine(hr:0x80070003)"),
        line(1, "Failed while processing command cleanup-image. - CPackageManagerCLIHandler::ExecuteCmdLine(hr:0x80070bc9)"),
        line(1, "Failed while processing command enable-feature. - CPackageManagerCLIHandler::ExecuteCmdLine(hr:0x800f081f)"),
        line(1, "x - CBaseCommandObject::Execute(hr:0x00000000)"),
        line(3, "y - CBaseCommandObject::Execute(hr:0x800706be)").replace("Error  ", "Warning"),
    ]
    .concat();
    assert_eq!(
        briefs(Source::Dism, &text),
        [
            "servicing install 0x80070003 @2",
            "servicing verify 0x80070BC9 @3",
            "servicing install 0x800F081F @4"
        ]
    );
}

#[test]
fn setup_ends_with_a_pair_or_a_package() {
    let text = "2026-01-02 03:04:05, Error                 MOUPG  SetupHost: Reporting error event -> [0xC1900101, 0x4000D]\n\
        2026-01-02 03:04:06, Error                 SYSPRP Package Demo.App_1 was installed for a user, but not provisioned for all users.\n\
        2026-01-02 03:04:07, Error      [0x0f0082] SYSPRP WinMain:Hit failure while processing x; hr = 0x80073cf2\n\
        2026-01-02 03:04:08, Error                 SYSPRP WinMain:Hit failure while pre-validating; hr = 0x80073cf2\n\
        2026-01-02 03:04:09, Error                 MOUPG  SetupHost: Reporting error event -> [0x0, 0x0]\n";
    assert_eq!(
        briefs(Source::Setup, text),
        [
            "upgrade upgrade 0xC1900101 0x4000D @1",
            "store_apps other 0x80073CF2 Demo.App_1 @3",
            "other other 0x80073CF2 @4"
        ]
    );
}

const WUC: &str = "Microsoft-Windows-WindowsUpdateClient";

fn failing_update(kb: u32) -> Event {
    Event::new(WUC, 20, 2)
        .data("errorCode", "0x80070003")
        .data("updateTitle", &format!("Demo update (KB{kb})"))
}

#[test]
fn an_event_file_is_read_to_its_true_end() {
    // Three chunks, of which the header admits one; the second is zeroed.
    let chunks: Vec<Vec<Event>> = (0..3).map(|n| vec![failing_update(5_000_001 + n)]).collect();
    let mut bytes = file(&chunks);
    bytes[4096 + 65_536..4096 + 2 * 65_536].fill(0);
    let found = read_all(Source::Evtx, &bytes);
    let subjects: Vec<_> = found.reports.iter().filter_map(|r| r.subject.as_deref()).collect();
    assert_eq!(subjects, ["KB5000001", "KB5000003"]);
    assert_eq!(found.damaged, 0);
    // A chunk of garbage is passed over and counted.
    bytes[4096 + 65_536..4096 + 2 * 65_536].fill(0xA5);
    let found = read_all(Source::Evtx, &bytes);
    assert_eq!((found.reports.len(), found.damaged), (2, 1));
    // A file cut inside its last chunk keeps what is whole.
    bytes.truncate(bytes.len() - 40_000);
    assert_eq!(read(Source::Evtx, &bytes).len(), 2);
}

#[test]
fn events_of_every_form_are_read_by_name() {
    let events = vec![
        Event::new("Microsoft-Windows-Servicing", 3, 0).user_data(&[
            ("PackageIdentifier", "KB5000009"),
            ("IntendedPackageState", "5112"),
            ("IntendedPackageStateTextized", "Absent"),
            ("ErrorCode", "0x800f0816"),
        ]),
        Event::new("Volsnap", 36, 2).data("", "\\Device\\X").data("", "D:"),
        Event::new("VSS", 8193, 2).data("", "routine").data("", "0x80070005, denied"),
        Event::new("VSS", 8194, 4).data("", "0x80070005"),
        Event::new("Somebody-Else", 20, 2).data("errorCode", "0x80070003"),
        Event::new("Microsoft-Windows-Bits-Client", 61, 3)
            .data("name", "WU Client Download")
            .data("hr", "2149580817"),
        Event::new("Microsoft-Windows-Bits-Client", 61, 3)
            .data("name", "job")
            .data("url", "http://au.download.WINDOWSUPDATE.com/x.cab")
            .data("hr", "2149580817"),
        Event::new("Microsoft-Windows-Bits-Client", 61, 3)
            .data("name", "Font Download")
            .data("url", "https://fs.example.com/x")
            .data("hr", "2149580817"),
    ];
    let reports = read(Source::Evtx, &file(&[events]));
    assert_eq!(
        reports.iter().map(brief).collect::<Vec<_>>(),
        [
            "servicing uninstall 0x800F0816 KB5000009",
            "vss snapshot none D:",
            "vss snapshot 0x80070005",
            "windows_update download 0x80200011 WU Client Download",
            "windows_update download 0x80200011 job",
        ]
    );
    assert_eq!(reports[0].time.to_string(), "2026-01-02T03:04:05.678Z");
    assert_eq!((reports[1].event_id, reports[1].record_id), (Some(36), Some(2)));
}

#[test]
fn a_success_is_found_with_its_update() {
    let events = vec![
        Event::new(WUC, 19, 4).data("updateTitle", "Demo (KB5000001)"),
        Event::new(WUC, 26, 4).data("updateCount", "0"),
    ];
    let found = read_all(Source::Evtx, &file(&[events]));
    assert_eq!((found.reports.len(), found.recovered.len()), (0, 2));
    assert_eq!(found.recovered[1].key.subject.as_deref(), Some("KB5000001"));
}

fn classes(source: Source, bytes: &[u8]) -> Vec<Option<UpdateClass>> {
    read(source, bytes).iter().map(|r| r.update_class).collect()
}

#[test]
fn every_source_that_tells_the_kind_of_update_is_heard() {
    use UpdateClass as C;
    let update = |title: &str| {
        Event::new(WUC, 20, 2).data("errorCode", "0x80070643").data("updateTitle", title)
    };
    let package = |name: &str| {
        Event::new("Microsoft-Windows-Servicing", 3, 0)
            .user_data(&[("PackageIdentifier", name), ("ErrorCode", "0x800f081f")])
    };
    let events = vec![
        update("2026-01 Cumulative Update for Windows 11 (KB5999001)"),
        update("Demo Corp. - Net - 1.2.3.4"),
        update("9NBLGGH3FL3T-Demo.NET Framework"),
        package("KB5034441"),
        package("KB5999001"),
    ];
    assert_eq!(
        classes(Source::Evtx, &file(&[events])),
        [Some(C::Cumulative), Some(C::Driver), None, Some(C::Winre), None]
    );
    let session = |name: &str| {
        cbs(&[
            &format!(
                "Exec: Processing complete.  Session: 7_1, Package: {name}, Identifier: x {FAILED}"
            ),
            &format!("Session: 7_1 finalized. Reboot required: no {FAILED}"),
        ])
    };
    let rollup = session("Package_for_RollupFix~31bf~amd64~~10.0.1");
    assert_eq!(classes(Source::Cbs, rollup.as_bytes()), [Some(C::Cumulative)]);
    let open = rollup.lines().next().expect("a line");
    assert_eq!(classes(Source::Cbs, open.as_bytes()), [Some(C::Cumulative)]);
    let words = "Installation Failure: Windows failed to install the following update with error 0x80070643: 2026-01 Накопительное обновление .NET Framework 3.5 (KB5999002).";
    let text = row("80070643", "Failure", "Content Install", "+0300").replace("words", words);
    assert_eq!(classes(Source::ReportingEvents, text.as_bytes()), [Some(C::Dotnet)]);
    let a = "AAAAAAAA-0000-0000-0000-000000000001";
    let b = "BBBBBBBB-0000-0000-0000-000000000001";
    let line = |text: &str| format!("2026/01/02 03:04:00.0000001 1 2 Agent           {text}\r\n");
    let text = [
        line("  Title = Funktionsupdate für Windows 10, Version 22H2"),
        line(&format!("  UpdateId = {a}.1")),
        line("  Title = 2026-01 Update (KB5999003)"),
        line(&format!("  UpdateId = {b}.1")),
        line(&format!(
            "LogHistory called. idUpdate={{{a}}}.1, resultMapped=80070643, resultUnMapped=80070643"
        )),
        line(&format!(
            "LogHistory called. idUpdate={{{b}}}.1, resultMapped=80070643, resultUnMapped=80070643"
        )),
    ]
    .concat();
    assert_eq!(classes(Source::WindowsUpdate, text.as_bytes()), [Some(C::Feature), None]);
}

/// One log of every kind, good enough to be damaged.
fn seeds() -> Vec<(Source, Vec<u8>)> {
    let text = cbs(&[
        "TiWorker: Client requests SFP repair object.",
        "00000801 [SR] Cannot repair member file [l:36]'a' of b, Version",
        &format!("Exec: Processing complete.  Session: 9_1, Package: R, Identifier: x {FAILED}"),
        "Operation: Detect only ",
        "|Total Detected Corruption:\t5",
        &format!("Session: 1_1 finalized. Reboot required: no {FAILED}"),
    ]);
    vec![
        (Source::Cbs, text.into_bytes()),
        (Source::ReportingEvents, row("80070003", "Failure", "Content Install", "+0300").into_bytes()),
        (
            Source::WindowsUpdate,
            b"2026/01/02 03:04:00.0000001 1 2 Agent * END * Finding updates x, Exit code = 0x8024402C\r\n\
              2026/01/02 03:04:02.0000001 1 2 Agent LogHistory called. idUpdate={AAAAAAAA-0000-0000-0000-000000000001}.1, resultMapped=8024200B, resultUnMapped=800F081F\r\n"
                .to_vec(),
        ),
        (Source::Dism, b"2026-01-02 03:04:05, Error                 DISM   x: PID=1 TID=2 y - C::ExecuteCmdLine(hr:0x80070bc9)\r\n".to_vec()),
        (Source::Setup, b"2026-01-02 03:04:05, Error                 MOUPG  SetupHost: Reporting error event -> [0xC1900101, 0x4000D]\n".to_vec()),
        (Source::Evtx, file(&[vec![failing_update(5_000_001), Event::new("VSS", 1, 2).data("", "x")]])),
    ]
}

#[test]
fn the_seeds_are_worth_damaging() {
    for (source, bytes) in seeds() {
        assert!(!read(source, &bytes).is_empty(), "{source}");
    }
}

proptest! {

    #[test]
    fn no_damage_makes_a_panic(
        which in 0_usize..6,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in any::<prop::sample::Index>(),
        keep in any::<bool>(),
    ) {
        let (source, mut bytes) = seeds().swap_remove(which);
        // In an event file most bytes are empty: the damage belongs where the records are.
        let busy = bytes.len().min(if source == Source::Evtx { 4_096 + 3_000 } else { usize::MAX });
        for (at, byte) in edits {
            bytes[at.index(busy)] = byte;
        }
        if !keep {
            bytes.truncate(cut.index(bytes.len()));
        }
        let found = collect::read(source, bytes.as_slice(), &Catalogue::default());
        prop_assert!(found.is_ok());
        let _ = collect::recognise("x.log", &bytes[..bytes.len().min(collect::HEAD)]);
    }
}
