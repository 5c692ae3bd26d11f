use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::{FailureReport, Kind};
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
    assert_eq!(recovered[1].message, format!("{WUC} 19: x (KB5034122)"), "with its title");
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
    let end = one(&event(BACKUP, 14, 4, &codes)).expect("a run that ended so");
    assert_eq!(end.code.expect("code").to_string(), "0x80780119");
    assert_eq!(one(&event(BACKUP, 14, 4, &[("HRESULT", "0x0")])), None, "it worked");
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

fn with_catalogue(event: &Event) -> Vec<FailureReport> {
    let mut sink = Sink::new(fleetmend_catalog::builtin());
    apply(event, &mut sink);
    sink.finish().0
}

#[test]
fn a_failed_image_has_the_code_that_says_more() {
    let code = |id, fields: &[(&str, &str)]| {
        with_catalogue(&event(BACKUP, id, 2, fields))
            .pop()
            .map(|r| (r.operation.as_str(), r.code.map(|c| c.to_string()).unwrap_or_default()))
    };
    let denied = ("DetailedHRESULT", "-2147024891");
    // Known for this product: the outer code stays.
    let wanted = Some(("backup", "0x8078011E".to_owned()));
    assert_eq!(code(5, &[("HRESULT", "0x8078011e"), denied]), wanted);
    // Unknown: the detail is nearer to the cause; older versions of the event name it otherwise.
    let wanted = Some(("backup", "0x80070005".to_owned()));
    assert_eq!(code(5, &[("HRESULT", "0x80780777"), denied]), wanted);
    assert_eq!(code(5, &[("HRESULT2", "2147942405"), ("HRESULT", "0x80780777")]), wanted);
    assert_eq!(code(9, &[("SppErrorCode", "0x80070005")]), wanted);
    assert_eq!(code(49, &[]), Some(("backup", String::new())), "no target, and no code");
    // Warnings of runs that worked, and runs that wait.
    for id in [6, 13, 16, 20, 22, 23, 24, 51, 518, 525, 527, 547, 565] {
        assert_eq!(code(id, &[("HRESULT", "0x8078011e")]), None, "{id}");
    }
    assert_eq!(code(7, &[("HRESULT", "0x0")]), None, "errors that left no code");
    // The copies in the Application log name the code otherwise.
    let wanted = Some(("backup", "0x8078011E".to_owned()));
    assert_eq!(code(517, &[("ErrorCode", "0x8078011e"), ("ErrorMessage", "%%1")]), wanted);
    // A recovery that failed, and one that did not.
    let wanted = Some(("restore", "0x80070003".to_owned()));
    assert_eq!(code(195, &[("HRESULT", "0x80070003")]), wanted);
    assert_eq!(code(195, &[("HRESULT", "0x0")]), None);
}

#[test]
fn a_failed_image_names_its_volume_and_that_volumes_code() {
    let volumes = r#"<VolumeInfo><VolumeInfoItem Name="C:" HResult="0" DetailedHResult="0"/>
        <VolumeInfoItem Name="Esp" HResult="-2139619042" DetailedHResult="-2147024891"/></VolumeInfo>"#;
    let told = |id, fields: &[(&str, &str)]| {
        let report = with_catalogue(&event(BACKUP, id, 2, fields)).pop()?;
        Some((report.subject.unwrap_or_default(), report.code?.to_string()))
    };
    let esp = Some(("Esp".to_owned(), "0x8078011E".to_owned()));
    // "None of the items was backed up" says less than what the volume says.
    let outer = ("HRESULT", "0x80780049");
    assert_eq!(told(5, &[outer, ("VolumesInfo", volumes)]), esp);
    // A run that ended "with errors" failed for this volume.
    assert_eq!(told(7, &[("HRESULT", "0x0"), ("VolumesInfo", volumes)]), esp);
    // Where nothing is known of the outer codes, the innermost is nearest to the cause.
    let other = volumes.replace("-2139619042", "-2139617417");
    let wanted = Some(("Esp".to_owned(), "0x80070005".to_owned()));
    assert_eq!(told(5, &[outer, ("VolumesInfo", &other)]), wanted);
    let both = volumes.replace(r#"HResult="0""#, r#"HResult="-2139619042""#);
    assert_eq!(told(5, &[("VolumesInfo", &both)]).expect("a failure").0, "C:, Esp");
}

#[test]
fn damaged_missing_and_cancelled_backups() {
    let told = |provider, id, level, fields: &[(&str, &str)]| {
        let report = with_catalogue(&event(provider, id, level, fields)).pop().expect("told");
        (report.operation, report.kind, report.subject)
    };
    let disk = ("VolumeFriendlyName", "Disk (E:)");
    for (id, level) in [(2, 1), (10, 3), (11, 2), (12, 2), (514, 1), (522, 3)] {
        let found = told(BACKUP, id, level, &[disk]);
        assert_eq!(found, (Operation::Check, Kind::Failure, Some("Disk (E:)".to_owned())), "{id}");
    }
    for id in [146, 658] {
        let missing = told(BACKUP, id, 3, &[disk]);
        assert_eq!(missing, (Operation::Backup, Kind::Failure, Some("Disk (E:)".to_owned())));
    }
    let code = ("HRESULT", "0x8078014b");
    assert_eq!(told(BACKUP, 8, 2, &[code]), (Operation::Backup, Kind::Cancelled, None));
    assert_eq!(told(BACKUP, 217, 2, &[code]), (Operation::Restore, Kind::Cancelled, None));
    let files = told("Windows Backup", 4099, 4, &[]);
    assert_eq!(files, (Operation::Backup, Kind::Cancelled, None));
    let full = told("Windows Backup", 4101, 2, &[("", "E:\\")]);
    assert_eq!(full.2.as_deref(), Some("E:\\"));
}

#[test]
fn restore_points_and_restores() {
    let restore = |id, level, text: &str| one(&event("System Restore", id, level, &[("", text)]));
    let report = restore(8193, 2, "C:\\x.exe; demo; 0x80042306").expect("failure");
    assert_eq!((report.product, report.operation), (Product::SystemRestore, Operation::Snapshot));
    assert_eq!(report.code.expect("code").to_string(), "0x80042306");
    let report = restore(8211, 2, "0x81000101").expect("failure");
    assert_eq!(report.operation, Operation::Snapshot);
    assert_eq!(restore(8210, 2, "0x80070005").expect("failure").operation, Operation::Restore);
    assert_eq!(restore(8195, 4, "disabled"), None);
    assert_eq!(restore(8198, 2, "another"), None);
    // The same number of another provider is another event.
    assert_eq!(one(&event("VSS", 8193, 2, &[])).expect("failure").product, Product::Vss);
    let catalogue = Catalogue::default();
    let mut sink = Sink::new(&catalogue);
    apply(&event("System Restore", 8194, 4, &[]), &mut sink);
    assert_eq!(sink.finish().1.len(), 1);
}

#[test]
fn a_backup_job_of_another_vendor_ends_by_its_level() {
    let words = "Veeam Agent 'Demo job' finished with Failed. Job details: Error: 0x80042306";
    let ended = |level| event("Veeam Agent", 190, level, &[("", words)]);
    let report = one(&ended(2)).expect("failure");
    assert_eq!((report.product, report.operation), (Product::Other, Operation::Backup));
    assert_eq!(report.subject.as_deref(), Some("Demo job"));
    assert_eq!(report.code.expect("code").to_string(), "0x80042306");
    assert_eq!(one(&ended(3)), None, "a warning");
    let catalogue = Catalogue::default();
    let mut sink = Sink::new(&catalogue);
    apply(&ended(4), &mut sink);
    assert_eq!(sink.finish().1[0].key.subject.as_deref(), Some("Demo job"));
    assert_eq!(one(&event("Veeam Agent", 110, 2, &[("", words)])), None, "a start");
}

#[test]
fn definitions_packages_and_upgrades() {
    let defender = "Microsoft-Windows-Windows Defender";
    let report = one(&event(defender, 2001, 2, &[("Error Code", "0x80072ee7")])).expect("failure");
    assert_eq!(report.subject.as_deref(), Some("KB2267602"));
    assert_eq!(report.update_class, Some(UpdateClass::Definition));
    assert_eq!(one(&event(defender, 1116, 3, &[("Error Code", "0x80508023")])), None, "a virus");

    let appx = "Microsoft-Windows-AppXDeployment-Server";
    let fields = [("PackageFullName", "Demo.App_1.0.0.0_x64__x"), ("ErrorCode", "0x80073cf3")];
    let report = one(&event(appx, 404, 2, &fields)).expect("failure");
    assert_eq!(report.product, Product::StoreApps);
    assert_eq!(report.subject.as_deref(), Some("Demo.App_1.0.0.0_x64__x"));
    assert_eq!(one(&event(appx, 401, 2, &fields)), None, "a try below it");

    let wer = "Windows Error Reporting";
    let by_place = |kind: &str, result: &str| {
        let data = ["", "0", kind, "x", "0", "5", "5", "9", result, "0xc1900101", "0x4000d"];
        let fields: Vec<_> = data.iter().map(|value| ("", *value)).collect();
        one(&event(wer, 1001, 4, &fields))
    };
    let report = by_place("WinSetupDiag02", "1").expect("failure");
    assert_eq!((report.product, report.operation), (Product::Upgrade, Operation::Upgrade));
    assert_eq!(report.subject.as_deref(), Some("0x4000D"));
    assert_eq!(report.code.expect("code").to_string(), "0xC1900101");
    assert!(report.message.starts_with("it ended at the last start"), "{}", report.message);
    assert!(report.message.contains("migrating data"), "{}", report.message);
    assert_eq!(by_place("WinSetupDiag02", "0"), None, "it worked");
    assert_eq!(by_place("APPCRASH", "1"), None);
    let named = [("EventName", "WinSetupDiag02"), ("P4", "3"), ("P5", "0xc1900208"), ("P6", "0x1")];
    let report = one(&event(wer, 1001, 4, &named)).expect("blocked");
    assert_eq!(report.code.expect("code").to_string(), "0xC1900208");
}

#[test]
fn file_history_and_servicing_successes() {
    let report = one(&event("Microsoft-Windows-FileHistory-Engine", 203, 2, &[]));
    assert_eq!(report.expect("failure").subject.as_deref(), Some("File History"));
    assert_eq!(one(&event("Microsoft-Windows-FileHistory-Engine", 203, 3, &[])), None);
    let catalogue = Catalogue::default();
    let mut sink = Sink::new(&catalogue);
    for state in ["Installed", "Staged", "Absent"] {
        let id = ("PackageIdentifier", "KB5999001");
        let fields = [id, ("IntendedPackageStateTextized", state), ("ErrorCode", "0x0")];
        apply(&event(SERVICING, 2, 0, &fields), &mut sink);
    }
    let ended: Vec<_> = sink.finish().1.iter().map(|r| r.key.operation).collect();
    assert_eq!(ended, [Operation::Install, Operation::Uninstall]);
}

#[test]
fn what_is_not_read_is_not_told_either() {
    for (provider, id, level) in [
        ("disk", 7, 2),
        ("Ntfs", 55, 2),
        ("Microsoft-Windows-UpdateOrchestrator", 20, 2),
        ("Microsoft-Windows-WindowsUpdateClient2", 20, 2),
        ("VSS", 8193, 3),
    ] {
        assert!(!may_matter(Head { provider, id, level }), "{provider}");
        assert_eq!(one(&event(provider, id, level, &[("errorCode", "0x80070003")])), None);
    }
    assert!(may_matter(Head { provider: "VOLSNAP", id: 25, level: 2 }));
}
