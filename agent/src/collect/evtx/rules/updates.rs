//! Updates: the client, servicing, transfers, the antivirus' definitions, Store packages, upgrades.

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Operation, Product};
use fleetmend_core::update_class::UpdateClass;

use super::super::event::{Event, code};
use super::{Failed, worked, worked_on};
use crate::collect::draft::Sink;
use crate::collect::names::name_of;
use crate::collect::setup;

/// `Microsoft-Windows-WindowsUpdateClient`.
pub(super) fn update_client(event: &Event, sink: &mut Sink<'_>) {
    let operation = match event.id {
        19 | 20 => Operation::Install,
        23 | 24 => Operation::Uninstall,
        25 | 26 => Operation::Scan,
        31 | 41 => Operation::Download,
        _ => Operation::Other,
    };
    let title = event.field("updateTitle");
    let id = event.field("updateGuid");
    let (product, name) = title.map_or((Product::WindowsUpdate, None), |title| {
        let (product, name) = name_of(title);
        (product, Some(name))
    });
    let subject = name.or(id);
    if let (Some(id), Some(title)) = (id, title) {
        sink.names.title(id, title);
    }
    if matches!(event.id, 19 | 23 | 26 | 41) {
        // A success without a name would end every incident of its kind.
        if event.id == 26 || subject.is_some() {
            let key =
                IncidentKey { product, operation, code: None, subject: subject.map(str::to_owned) };
            // The title tells which updates this one replaces.
            worked_on(event, key, title.or(subject).unwrap_or_default(), sink);
        }
        return;
    }
    let store = product == Product::StoreApps;
    match event.code("errorCode") {
        Some(value) if !FailureCode::is_failing(value) => {}
        code => {
            if let Some(id) = id.filter(|_| operation != Operation::Scan) {
                sink.names.event(event.record, id);
            }
            let mut failed = Failed::new(product, operation, code).of(subject);
            failed.update_class = title.filter(|_| !store).and_then(UpdateClass::of_title);
            failed.report(event, sink);
        }
    }
}

/// `Microsoft-Windows-Servicing`, in the Setup log.
pub(super) fn servicing(event: &Event, sink: &mut Sink<'_>) {
    let state = event.field("IntendedPackageStateTextized").or(event.field("IntendedPackageState"));
    let absent = state.is_some_and(|s| s.eq_ignore_ascii_case("Absent"));
    let operation = match event.id {
        2 | 3 if absent => Operation::Uninstall,
        12 => Operation::Uninstall,
        16 => Operation::Other,
        _ => Operation::Install,
    };
    let subject = event.field("PackageIdentifier");
    if event.id == 2 {
        // Staged is not yet installed.
        let done = absent || state.is_some_and(|s| s.eq_ignore_ascii_case("Installed"));
        if let Some(subject) = subject.filter(|_| done) {
            worked(event, Product::Servicing, operation, Some(subject.to_owned()), sink);
        }
        return;
    }
    match event.code("ErrorCode") {
        Some(value) if !FailureCode::is_failing(value) => {}
        code => {
            let mut failed = Failed::new(Product::Servicing, operation, code).of(subject);
            failed.update_class = subject.and_then(UpdateClass::of_package);
            failed.report(event, sink);
        }
    }
}

/// How the names of our transfers begin.
const TRANSFERS: [&str; 4] =
    ["WU Client Download", "Windows Update", "Windows Defender", "Microsoft Antimalware"];
/// The domains of Microsoft's update servers.
const HOSTS: [&str; 3] = ["windowsupdate.com", "update.microsoft.com", "delivery.mp.microsoft.com"];

/// `Microsoft-Windows-Bits-Client`: transfers of other programs are theirs, not ours.
pub(super) fn transfer(event: &Event, sink: &mut Sink<'_>) {
    let name = event.field("name").unwrap_or_default();
    let ours = TRANSFERS.iter().any(|start| name.starts_with(start))
        || event.field("url").is_some_and(is_update_host);
    let code = event.code("hr").filter(|code| FailureCode::is_failing(*code));
    if ours && code.is_some() {
        let subject = (!name.is_empty()).then_some(name);
        let failed = Failed::new(Product::WindowsUpdate, Operation::Download, code).of(subject);
        failed.report(event, sink);
    }
}

/// The number of every update of the antivirus' definitions.
const DEFINITIONS: &str = "KB2267602";

/// `Microsoft-Windows-Windows Defender`: 2000 and 2001 definitions, 2002 and 2003 the engine.
pub(super) fn definitions(event: &Event, sink: &mut Sink<'_>) {
    let (product, operation) = (Product::WindowsUpdate, Operation::Install);
    if matches!(event.id, 2000 | 2002) {
        worked(event, product, operation, Some(DEFINITIONS.to_owned()), sink);
        return;
    }
    match event.code("Error Code") {
        Some(value) if !FailureCode::is_failing(value) => {}
        code => {
            let mut failed = Failed::new(product, operation, code).of(Some(DEFINITIONS));
            failed.update_class = Some(UpdateClass::Definition);
            failed.report(event, sink);
        }
    }
}

/// `Microsoft-Windows-AppXDeployment-Server` 404: a package could not be deployed. (401 tells of
/// each try below it.)
pub(super) fn store_package(event: &Event, sink: &mut Sink<'_>) {
    if let Some(code) = event.code("ErrorCode").filter(|code| FailureCode::is_failing(*code)) {
        let package = event.field("PackageFullName");
        let failed = Failed::new(Product::StoreApps, Operation::Install, Some(code)).of(package);
        failed.report(event, sink);
    }
}

/// `Windows Error Reporting` 1001 of the kind `WinSetupDiag02`: how an upgrade ended. P4 is the
/// result (1 failure, 3 blocked), P5 the code, P6 the extended one. (Microsoft: Windows Error
/// Reporting and Windows upgrade.)
pub(super) fn upgrade(event: &Event, sink: &mut Sink<'_>) {
    // Named in later versions of Windows, by place in earlier ones.
    let named = |name: &str, place: usize| event.field(name).or_else(|| event.unnamed(place));
    let kind = named("EventName", 2).unwrap_or_default();
    if !kind.starts_with("WinSetupDiag") || !matches!(named("P4", 8), Some("1" | "3")) {
        return;
    }
    let value = named("P5", 9).and_then(code).filter(|code| FailureCode::is_failing(*code));
    let stage = named("P6", 10).and_then(code);
    let mut failed = Failed::new(Product::Upgrade, Operation::Upgrade, value);
    failed.subject = stage.map(setup::stage_name);
    failed.update_class = Some(UpdateClass::Feature);
    let mut draft = failed.draft(event);
    if let Some(words) = stage.and_then(setup::stage_words) {
        draft.message = format!("{words}; {}", draft.message);
    }
    // An upgrade ended with it, so it is no harmless code here.
    sink.failure_even_if_benign(draft);
}

/// Whether a URL leads to Microsoft's update servers (its Edge downloads share their domain).
fn is_update_host(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host =
        host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    !host.starts_with("msedge.")
        && HOSTS
            .iter()
            .any(|ours| host.strip_suffix(ours).is_some_and(|b| b.is_empty() || b.ends_with('.')))
}
