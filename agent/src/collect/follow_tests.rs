use std::fs::OpenOptions;
use std::io::Write as _;

use super::*;

const FAILED: &str = "Info                  CBS    Session: 30_1 finalized. Reboot required: no [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]\r\n";

fn line(hour: u32) -> String {
    format!("2026-11-22 {hour:02}:00:00, {FAILED}")
}

fn look(path: &Path, last: Option<&Place>) -> (Vec<String>, Followed) {
    let followed = follow(path, last, fleetmend_catalog::builtin()).expect("readable");
    let told = followed.found.reports.iter().map(|r| {
        let line = r.line.map_or(String::new(), |line| format!(" @{line}"));
        format!("{}{line}", r.time.to_string().get(11..16).unwrap_or_default())
    });
    (told.collect(), followed)
}

#[test]
fn only_what_was_added_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("CBS.log");
    let long = "2026-11-22 01:00:00, Info                  CBS    quiet\r\n".repeat(20_000);
    fs::write(&log, format!("{}{long}", line(1))).expect("written");
    let (told, first) = look(&log, None);
    assert_eq!(told, ["01:00 @1"]);
    assert!(!first.went_on);
    let mut file = OpenOptions::new().append(true).open(&log).expect("opened");
    file.write_all(line(2).as_bytes()).expect("written");
    let (told, second) = look(&log, Some(&first.place));
    assert_eq!(told, ["02:00 @20002"], "lines are still counted from the first");
    assert!(second.went_on && second.found.bytes < 200, "{} bytes", second.found.bytes);
    assert!(look(&log, Some(&second.place)).0.is_empty());
    assert!(second.place.unchanged(&log));
    // Cut, and written anew past the old place: another file under the same name.
    let other: String = (3..9).map(line).collect();
    fs::write(&log, format!("{other}{long}{long}")).expect("written");
    let (told, third) = look(&log, Some(&second.place));
    assert_eq!((told.len(), told[0].as_str()), (6, "03:00 @1"));
    assert!(third.note.expect("said").contains("was replaced"));
}

#[test]
fn a_log_that_was_rotated_twice_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("CBS.log");
    fs::write(&log, line(1)).expect("written");
    let (_, first) = look(&log, None);
    let aside = |name: &str, text: String, second: u64| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        fs::File::options().write(true).open(&path).expect("opened").set_modified(at).expect("set");
    };
    aside("CbsPersist_20261122020000.log", line(1) + &line(2), 20);
    aside("CbsPersist_20261122030000.log", line(3), 30);
    aside("CbsPersist_20261122040000.log", line(4), 40);
    // Older than what was read, and what is no such log.
    aside("CbsPersist_20261121000000.log", line(0), 10);
    aside("DeepClean.log", line(9), 50);
    fs::write(&log, line(5)).expect("written");
    let (told, second) = look(&log, Some(&first.place));
    assert_eq!(told, ["02:00 @2", "03:00 @1", "04:00 @1", "05:00 @1"]);
    assert_eq!(second.note, None);
    assert!(look(&log, Some(&second.place)).0.is_empty());
}

fn event(id: u64, time: u64, kb: u32) -> Vec<u8> {
    let at = i64::try_from(time).expect("small") * 1_000 + 1_767_323_045_678;
    let event = evtx_file::Event::new("Microsoft-Windows-WindowsUpdateClient", 20, 2)
        .at(at)
        .data("errorCode", "0x80070003")
        .data("updateTitle", &format!("Demo (KB{kb})"));
    evtx_file::file_from(id, &[vec![event]])
}

#[expect(dead_code, reason = "simulated hosts need more")]
#[path = "../../../sim/src/logs/evtx_file.rs"]
mod evtx_file;

#[test]
fn only_later_events_are_read_and_a_cleared_log_is_read_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("System.evtx");
    let subjects = |last: Option<&Place>| {
        let followed = follow(&log, last, fleetmend_catalog::builtin()).expect("readable");
        let of = |r: &fleetmend_core::report::FailureReport| r.subject.clone();
        (followed.found.reports.iter().filter_map(of).collect::<Vec<_>>(), followed.place)
    };
    let first = event(7, 0, 5_000_007);
    fs::write(&log, &first).expect("written");
    let (told, place) = subjects(None);
    assert_eq!(told, ["KB5000007"]);
    assert_eq!(place.mark.record, 7);
    // A second chunk follows.
    let grown = [&first[..], &event(8, 1, 5_000_008)[4_096..]].concat();
    fs::write(&log, &grown).expect("written");
    let (told, place) = subjects(Some(&place));
    assert_eq!(told, ["KB5000008"]);
    assert!(subjects(Some(&place)).0.is_empty());
    // Cleared: the numbers begin again, at less, at as much or at more than was seen.
    for id in [1, 8] {
        fs::write(&log, event(id, 5, 5_000_009)).expect("written");
        assert_eq!(subjects(Some(&place)).0, ["KB5000009"], "from {id}");
    }
}
