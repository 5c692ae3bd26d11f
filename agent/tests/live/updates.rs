//! Updates of Windows, whose failures several logs tell.

use std::fs;

use fleetmend_core::report::Product;
use fleetmend_core::supersede::MonthlyUpdate;

use crate::evtx_file::{Event, file};
use crate::host::{Host, codes, look};

const CLIENT: &str = "Microsoft-Windows-WindowsUpdateClient";
const LOGS: &str = "Windows/System32/winevt/Logs";
const ROWS: &str = "Windows/SoftwareDistribution/ReportingEvents.log";
const ID: &str = "8B24B027-1DEE-BABB-9A95-3517DFB9C552";
const TITLE: &str =
    "2025-12 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5072653)";
/// 2026-01-02T10:00:00Z.
const TEN: i64 = 1_767_348_000_000;

fn events(host: &Host, log: &str, events: Vec<Event>) {
    let path = host.path(LOGS).join(log);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, file(&[events])).expect("written");
}

fn update(id: u32, level: u8, at: i64) -> Event {
    Event::new(CLIENT, id, level)
        .at(at)
        .data("errorCode", "0x80070643")
        .data("updateTitle", TITLE)
        .data("updateGuid", &format!("{{{}}}", ID.to_lowercase()))
}

fn row(clock: &str, event: &str, id: &str, code: &str, status: &str, words: &str) -> String {
    let operation = if words.is_empty() { "Software Synchronization" } else { "Content Install" };
    format!(
        "{{0}}\t2026-01-02 {clock}+0300\t1\t{event}\t101\t{{{id}}}\t1\t{code}\tx\t{status}\t{operation}\t{words}\ty\r\n"
    )
}

/// Windows writes the event at once and the row when it likes; each look sees what is there by then.
#[tokio::test]
async fn a_failed_update_is_one_failure_whoever_tells_it_and_when() {
    let host = Host::new();
    let mut live = host.live();
    events(&host, "System.evtx", vec![update(20, 2, TEN)]);
    assert_eq!(codes(&look(&mut live, &host).await), ["0x80070643 KB5072653"]);
    let failed = |clock: &str| {
        let words = format!("Installation Failure: … 0x80070643: {TITLE}.");
        row(clock, "182 [AGENT_INSTALLING_FAILED]", ID, "80070643", "Failure", &words)
    };
    host.write(ROWS, &failed("13:00:01:250"));
    // The agent was started anew meanwhile.
    let mut live = host.live();
    assert_eq!(codes(&look(&mut live, &host).await), [""; 0]);
    // The log of Windows 7 has no titles here, and local times (UTC on this host).
    let line = format!(
        "2026-01-02\t09:59:58:123\t 952\t3e8\tReport\tLogHistory called. idUpdate={{{ID}}}.200, resultMapped=80070643, resultUnMapped=80070643\r\n"
    );
    host.write("Windows/WindowsUpdate.log", &line);
    assert_eq!(codes(&look(&mut live, &host).await), [""; 0]);
    // Another try an hour later: the row comes first now.
    host.write(ROWS, &(failed("13:00:01:250") + &failed("14:00:01:250")));
    let again = look(&mut live, &host).await;
    assert_eq!(codes(&again), ["0x80070643 KB5072653"]);
    events(&host, "System.evtx", vec![update(20, 2, TEN), update(20, 2, TEN + 3_600_000)]);
    assert_eq!(codes(&look(&mut live, &host).await), [""; 0]);
    // It goes in: by the row alone, and by the event, under the name of its failures.
    let words = format!("Installation Successful: … {TITLE}");
    let done = row("15:00:01:250", "183 [AGENT_INSTALLING_SUCCEEDED]", ID, "0", "Success", &words);
    host.write(ROWS, &(failed("13:00:01:250") + &failed("14:00:01:250") + &done));
    let ended = look(&mut live, &host).await.recoveries;
    assert_eq!(ended[0].key.subject.as_deref(), Some("KB5072653"));
    let all =
        vec![update(20, 2, TEN), update(20, 2, TEN + 3_600_000), update(19, 4, TEN + 7_200_000)];
    events(&host, "System.evtx", all);
    let ended = look(&mut live, &host).await.recoveries;
    assert_eq!(ended[0].key.subject.as_deref(), Some("KB5072653"));
    assert!(MonthlyUpdate::find(&ended[0].message).is_some(), "{}", ended[0].message);
}

#[tokio::test]
async fn a_failed_search_counts_once() {
    let host = Host::new();
    let mut live = host.live();
    let search = |at: i64| Event::new(CLIENT, 25, 2).at(at).data("errorCode", "0x80240438");
    let service = "7971F918-A847-4430-9279-4A52D1EFE18D";
    let failed = |clock: &str| {
        row(clock, "148 [AGENT_DETECTION_FAILED]", service, "80240438", "Failure", "")
    };
    let operational = "Microsoft-Windows-WindowsUpdateClient%4Operational.evtx";
    host.write(ROWS, &failed("13:00:00:700"));
    assert_eq!(codes(&look(&mut live, &host).await), ["0x80240438"]);
    events(&host, operational, vec![search(TEN)]);
    assert_eq!(codes(&look(&mut live, &host).await), [""; 0]);
    // Two more, a minute apart, in one look.
    let rows = ["13:00:00:700", "13:30:00:700", "13:31:00:700"].map(failed).concat();
    host.write(ROWS, &rows);
    let half = TEN + 1_800_000;
    events(&host, operational, vec![search(TEN), search(half), search(half + 60_000)]);
    let observed = look(&mut live, &host).await;
    assert_eq!(codes(&observed), ["0x80240438"; 2]);
    assert!(observed.failures.iter().all(|f| f.product == Product::WindowsUpdate));
}
