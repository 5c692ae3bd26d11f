//! A failed run of wbengine stands in its own channel, by two events, and once more in the Application
//! log: it is told once, whichever of them is read first.

use std::fs;

use fleetmend_agent::scan;
use fleetmend_core::report::FailureReport;

use super::evtx_file::{Event, file};
use super::host::{Host, look, now};

const PROVIDER: &str = "Microsoft-Windows-Backup";
const APPLICATION: &str = "Windows/System32/winevt/Logs/Application.evtx";
const CHANNEL: &str = "Windows/System32/winevt/Logs/Microsoft-Windows-Backup.evtx";
/// 2026-01-02T03:04:05Z.
const AT: i64 = 1_767_323_045_000;
const CODE: &str = "0x80780119";

fn run(id: u32, level: u8, field: &str, at: i64) -> Event {
    Event::new(PROVIDER, id, level).data(field, CODE).at(at)
}

fn ids(failures: &[FailureReport]) -> Vec<u32> {
    failures.iter().filter_map(|f| f.event_id).collect()
}

fn write(host: &Host, name: &str, events: Vec<Event>) {
    let path = host.path(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, file(&[events])).expect("written");
}

#[test]
fn a_scan_tells_a_run_of_two_logs_once() {
    let host = Host::new();
    let copy = || vec![run(517, 2, "ErrorCode", AT)];
    let own = vec![run(5, 2, "HRESULT", AT), run(14, 4, "HRESULT", AT + 1_000)];
    write(&host, APPLICATION, copy());
    write(&host, CHANNEL, own);
    let folder = host.path("Windows");
    let scanned = scan::files(&[folder], fleetmend_catalog::builtin(), now());
    assert_eq!(ids(&scanned.reports), [5]);
    // A copy that is all there is counts.
    let alone = scan::files(&[host.path(APPLICATION)], fleetmend_catalog::builtin(), now());
    assert_eq!(ids(&alone.reports), [517]);
    assert_eq!(alone.by_code[CODE], 1);
    fs::remove_file(host.path(CHANNEL)).expect("removed");
    assert_eq!(
        ids(&scan::files(&[host.path("Windows")], fleetmend_catalog::builtin(), now()).reports),
        [517]
    );
}

#[tokio::test]
async fn looks_between_the_events_of_a_run_tell_it_once() {
    let host = Host::new();
    let mut live = host.live();
    let failed = || vec![run(5, 2, "HRESULT", AT)];
    write(&host, APPLICATION, Vec::new());
    write(&host, CHANNEL, failed());
    assert_eq!(ids(&look(&mut live, &host).await.failures), [5]);
    // The end of the run and the copy come later, and the agent was restarted meanwhile.
    let mut live = host.live();
    write(&host, APPLICATION, vec![run(517, 2, "ErrorCode", AT + 500)]);
    let ended = || vec![failed().remove(0), run(14, 4, "HRESULT", AT + 1_000)];
    write(&host, CHANNEL, ended());
    assert_eq!(ids(&look(&mut live, &host).await.failures), Vec::<u32>::new());
    // Another run, of which only the end is told.
    let day = 86_400_000;
    let next = vec![failed().remove(0), ended().remove(1), run(14, 4, "HRESULT", AT + day)];
    write(&host, CHANNEL, next);
    assert_eq!(ids(&look(&mut live, &host).await.failures), [14]);
}

#[tokio::test]
async fn copies_are_told_where_there_is_no_channel() {
    let host = Host::new();
    let mut live = host.live();
    write(&host, APPLICATION, vec![run(517, 2, "ErrorCode", AT)]);
    assert_eq!(ids(&look(&mut live, &host).await.failures), [517]);
}
