use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::FailureReport;
use fleetmend_core::time::{SourceTime, Timestamp};

use super::*;

fn event(provider: &str, id: u32, level: u8, fields: &[(&str, &str)]) -> Event {
    let fields = fields.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
    let time = SourceTime::utc(Timestamp::from_millis(0));
    Event { provider: provider.to_owned(), id, level, record: 1, time, fields }
}

fn one(event: &Event) -> Option<FailureReport> {
    let catalogue = Catalogue::default();
    let mut sink = Sink::new(&catalogue);
    apply(event, &mut sink);
    let mut reports = sink.finish().0;
    assert!(reports.len() <= 1);
    reports.pop()
}

const WUC: &str = "Microsoft-Windows-WindowsUpdateClient";
const SERVICING: &str = "Microsoft-Windows-Servicing";
const BACKUP: &str = "Microsoft-Windows-Backup";
const BITS: &str = "Microsoft-Windows-Bits-Client";

#[test]
fn an_update_is_known_by_kb_title_or_guid() {
    let fail = |fields: &[(&str, &str)]| one(&event(WUC, 20, 2, fields)).expect("a failure");
    let code = ("errorCode", "0x80070003");
    let title = ("updateTitle", "2024-01 Update for Windows 10 (KB5034122)");
    let guid = ("updateGuid", "{A}");
    assert_eq!(fail(&[code, title, guid]).subject.as_deref(), Some("KB5034122"));
    let plain = ("updateTitle", "KB12 Realtek driver");
    assert_eq!(fail(&[code, plain, guid]).subject.as_deref(), Some("KB12 Realtek driver"));
    assert_eq!(fail(&[code, ("updateTitle", " "), guid]).subject.as_deref(), Some("{A}"));
    let store = fail(&[code, ("updateTitle", "9NBLGGH3FL3T-Microsoft.X")]);
    assert_eq!(store.product, Product::StoreApps);
    assert_eq!(fail(&[code, ("updateTitle", "9NBLGGH3fL3T-x")]).product, Product::WindowsUpdate);
}

#[test]
fn ids_decide_the_operation_and_successes_are_none() {
    let code = ("errorCode", "0x8024402c");
    for (id, operation) in [
        (24, Operation::Uninstall),
        (25, Operation::Scan),
        (31, Operation::Download),
        (34, Operation::Other),
        (217, Operation::Other),
    ] {
        assert_eq!(one(&event(WUC, id, 2, &[code])).expect("failure").operation, operation);
    }
    for id in [16, 19, 26, 43] {
        assert_eq!(one(&event(WUC, id, 2, &[code])), None, "{id}");
    }
    assert_eq!(one(&event(WUC, 20, 2, &[("errorCode", "0x240006")])), None);
    assert_eq!(one(&event(WUC, 20, 2, &[])).expect("no code is still a failure").code, None);
}

#[test]
fn a_success_is_kept_by_its_subject() {
    let catalogue = Catalogue::default();
    let mut sink = Sink::new(&catalogue);
    apply(&event(WUC, 19, 4, &[("updateTitle", "x (KB5034122)")]), &mut sink);
    apply(&event(WUC, 19, 4, &[]), &mut sink);
    apply(&event(WUC, 26, 4, &[("updateCount", "0")]), &mut sink);
    let (reports, recovered, dropped) = sink.finish();
    assert!(reports.is_empty());
    let keys: Vec<_> = recovered.iter().map(|r| (r.key.operation, r.key.subject.clone())).collect();
    assert_eq!(keys, [(Operation::Scan, None), (Operation::Install, Some("KB5034122".to_owned()))]);
    assert_eq!(dropped, 0);
}

#[test]
fn servicing_reads_the_intended_state() {
    let code = ("ErrorCode", "0x800f0816");
    let id = ("PackageIdentifier", "KB1");
    let text = ("IntendedPackageStateTextized", "Absent");
    let number = ("IntendedPackageState", "5112");
    let report = one(&event(SERVICING, 3, 0, &[id, number, text, code])).expect("failure");
    assert_eq!((report.operation, report.subject.as_deref()), (Operation::Uninstall, Some("KB1")));
    let report = one(&event(SERVICING, 3, 0, &[id, number, code])).expect("failure");
    assert_eq!(report.operation, Operation::Install);
    assert_eq!(one(&event(SERVICING, 2, 0, &[id, code])), None);
}

#[test]
fn backups_fail_and_succeed() {
    let words = "A file could not be read. (0x81000037)";
    let report = one(&event("Windows Backup", 4104, 2, &[("", words)])).expect("failure");
    assert_eq!((report.product, report.operation), (Product::WindowsBackup, Operation::Backup));
    assert_eq!(report.code.expect("code").to_string(), "0x81000037");
    assert_eq!(one(&event("Windows Backup", 4106, 3, &[("", "(0x8100002F)")])), None, "a warning");
    let codes = [("HRESULT", "0x80780119"), ("DetailedHRESULT", "0x0")];
    let report = one(&event(BACKUP, 5, 2, &codes)).expect("failure");
    assert_eq!(report.product, Product::SystemImage);
    assert_eq!(report.code.expect("code").to_string(), "0x80780119");
    assert_eq!(one(&event(BACKUP, 14, 4, &codes)), None, "told already");
    let catalogue = Catalogue::default();
    let mut sink = Sink::new(&catalogue);
    apply(&event("Windows Backup", 4098, 4, &[]), &mut sink);
    apply(&event(BACKUP, 4, 4, &[]), &mut sink);
    assert_eq!(sink.finish().1.len(), 2);
}

#[test]
fn shadow_copies_fail_by_level() {
    let data = [("", "routine"), ("", "0x80070005, Access is denied.")];
    let report = one(&event("VSS", 8193, 2, &data)).expect("failure");
    assert_eq!(report.code.expect("code").to_string(), "0x80070005");
    assert_eq!(one(&event("VSS", 8193, 3, &data)), None);
    let data = [("", "\\Device\\X"), ("", "C:"), ("NTSTATUS", "0x00000000")];
    let report = one(&event("VolSnap", 36, 2, &data)).expect("failure");
    assert_eq!((report.code, report.subject.as_deref()), (None, Some("C:")));
    let report = one(&event("volsnap", 25, 1, &[("VolumeName", "D:")])).expect("failure");
    assert_eq!(report.subject.as_deref(), Some("D:"));
}

#[test]
fn only_our_transfers_count() {
    let hr = ("hr", "2149580817");
    let ours = |name: &str, url: &str| {
        one(&event(BITS, 61, 3, &[("name", name), ("url", url), hr])).is_some()
    };
    assert!(ours("WU Client Download", "https://x/"));
    assert!(ours("job", "http://7.au.DOWNLOAD.windowsupdate.com:80/c/x.cab"));
    assert!(ours("job", "https://fe2.update.microsoft.com/v6"));
    assert!(ours("job", "https://tlu.dl.delivery.mp.microsoft.com?x"));
    assert!(!ours("job", "https://msedge.b.tlu.dl.delivery.mp.microsoft.com/x"));
    assert!(!ours("job", "https://evilwindowsupdate.com/"));
    assert!(!ours("Font Download", "https://fs.microsoft.com/windowsupdate.com/x"));
    let zero = event(BITS, 61, 3, &[("name", "Windows Update"), ("hr", "0")]);
    assert_eq!(one(&zero), None);
    let stopped = event(BITS, 60, 3, &[("name", "Windows Update"), hr]);
    assert_eq!(one(&stopped), None);
}

#[test]
fn nothing_that_is_reported_is_passed_over_by_its_head() {
    let field = [("errorCode", "0x80070003"), ("ErrorCode", "0x80070003"), ("hr", "2149580817")];
    let named = [("name", "Windows Update"), ("updateTitle", "x")];
    let fields: Vec<_> = field.into_iter().chain(named).collect();
    for provider in [WUC, SERVICING, BITS, "Windows Backup", BACKUP, "VSS", "Volsnap", "Other"] {
        for id in (0..300).chain(4090..4110) {
            for level in 0..5 {
                let event = event(provider, id, level, &fields);
                let head = Head {
                    provider: provider.as_bytes(),
                    id: u64::from(id),
                    level: u64::from(level),
                };
                assert!(one(&event).is_none() || may_matter(head), "{provider} {id} {level}");
            }
        }
    }
}
