//! Which events are failures, and of what.

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::update_class::UpdateClass;

use super::event::{Event, Head};
use crate::collect::draft::{Draft, Recovered, Sink};
use crate::collect::text;

/// Reports the event if it is a failure, and takes it down if it is a success that ends one.
pub(crate) fn apply(event: &Event, sink: &mut Sink<'_>) {
    let provider = |name: &str| event.provider.eq_ignore_ascii_case(name);
    if provider("Microsoft-Windows-WindowsUpdateClient") {
        update_client(event, sink);
    } else if provider("Microsoft-Windows-Servicing") {
        servicing(event, sink);
    } else if provider("Microsoft-Windows-Bits-Client") {
        transfer(event, sink);
    } else if provider("Windows Backup") || provider("Microsoft-Windows-Backup") {
        backup(event, sink);
    } else if provider("VSS") && matches!(event.level, 1 | 2) {
        let all = event.fields.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join("\n");
        let code = text::first_hresult(all.as_bytes()).map(FailureCode::Hresult);
        report(event, (Product::Vss, Operation::Snapshot), code, None, sink);
    } else if provider("volsnap") && matches!(event.level, 1 | 2) {
        let volume = event.field("VolumeName").or_else(|| event.unnamed(1)).map(str::to_owned);
        report(event, (Product::Vss, Operation::Snapshot), None, volume, sink);
    }
}

/// Whether an event with such a head can be of use.
pub(crate) fn may_matter(head: Head<'_>) -> bool {
    let provider = |name: &str| head.provider.eq_ignore_ascii_case(name.as_bytes());
    if provider("Microsoft-Windows-WindowsUpdateClient") {
        matches!(head.id, 19 | 20 | 24 | 25 | 26 | 31 | 34 | 35 | 213 | 217)
    } else if provider("Microsoft-Windows-Servicing") {
        matches!(head.id, 3 | 6 | 11 | 12 | 16)
    } else if provider("Microsoft-Windows-Bits-Client") {
        head.id == 61
    } else if provider("Windows Backup") {
        matches!(head.id, 4098 | 4100 | 4101 | 4103 | 4104)
    } else if provider("Microsoft-Windows-Backup") {
        matches!(head.id, 4 | 5 | 49 | 50 | 52)
    } else if provider("VSS") || provider("volsnap") {
        matches!(head.level, 1 | 2)
    } else {
        // An empty name: the provider stands in another attribute.
        head.provider.is_empty()
    }
}

/// Whether it is a success of an update or a scan.
pub(crate) fn is_success(head: Head<'_>) -> bool {
    let ours = head.provider.eq_ignore_ascii_case(b"Microsoft-Windows-WindowsUpdateClient");
    ours && matches!(head.id, 19 | 26)
}

fn update_client(event: &Event, sink: &mut Sink<'_>) {
    let operation = match event.id {
        20 | 19 => Operation::Install,
        24 => Operation::Uninstall,
        25 | 26 => Operation::Scan,
        31 => Operation::Download,
        34 | 35 | 213 | 217 => Operation::Other,
        _ => return,
    };
    let title = event.field("updateTitle");
    let store = title.is_some_and(is_store_package);
    let product = if store { Product::StoreApps } else { Product::WindowsUpdate };
    let subject = title.and_then(kb).or(title).or_else(|| event.field("updateGuid"));
    let subject = subject.map(str::to_owned);
    if matches!(event.id, 19 | 26) {
        // A success without a name would end every incident of its kind.
        if event.id == 26 || subject.is_some() {
            let key = IncidentKey { product, operation, code: None, subject };
            sink.success(Recovered { key, time: event.time, message: event.words() });
        }
        return;
    }
    match event.code("errorCode") {
        Some(value) if !FailureCode::is_failing(value) => {}
        code => report(event, (product, operation), code.map(FailureCode::Hresult), subject, sink),
    }
}

fn servicing(event: &Event, sink: &mut Sink<'_>) {
    let state = event.field("IntendedPackageStateTextized").or(event.field("IntendedPackageState"));
    let operation = match event.id {
        3 if state.is_some_and(|s| s.eq_ignore_ascii_case("Absent")) => Operation::Uninstall,
        3 | 6 | 11 => Operation::Install,
        12 => Operation::Uninstall,
        16 => Operation::Other,
        _ => return,
    };
    let subject = event.field("PackageIdentifier").map(str::to_owned);
    match event.code("ErrorCode") {
        Some(value) if !FailureCode::is_failing(value) => {}
        code => {
            let code = code.map(FailureCode::Hresult);
            report(event, (Product::Servicing, operation), code, subject, sink);
        }
    }
}

/// Windows Backup (its files) and the engine behind it (system images). The engine's copies in the
/// Application log, ids from 512 on, tell the same again.
fn backup(event: &Event, sink: &mut Sink<'_>) {
    let files = event.provider.eq_ignore_ascii_case("Windows Backup");
    let product = if files { Product::WindowsBackup } else { Product::SystemImage };
    let mapped = event.code("DetailedHRESULT").filter(|code| FailureCode::is_failing(*code));
    let engine = mapped.or_else(|| event.code("HRESULT"));
    let worked = match (files, event.id) {
        (true, 4098) | (false, 4) => true,
        (true, 4100 | 4101 | 4103 | 4104) | (false, 5 | 49 | 50 | 52) => false,
        // Event 14 ends every run, whatever its result: 4 or 5 has told it already.
        _ => return,
    };
    let key = (product, Operation::Backup);
    if worked {
        let key = IncidentKey { product, operation: Operation::Backup, code: None, subject: None };
        sink.success(Recovered { key, time: event.time, message: event.words() });
        return;
    }
    let words = event.fields.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join("\n");
    let code = if files { text::first_hresult(words.as_bytes()) } else { engine };
    report(event, key, code.map(FailureCode::Hresult), None, sink);
}

/// How the names of our transfers begin.
const TRANSFERS: [&str; 4] =
    ["WU Client Download", "Windows Update", "Windows Defender", "Microsoft Antimalware"];
/// The domains of Microsoft's update servers.
const HOSTS: [&str; 3] = ["windowsupdate.com", "update.microsoft.com", "delivery.mp.microsoft.com"];

/// Whether a rendered transfer names anything of ours at all: most are other programs'.
pub(crate) fn may_be_ours(head: Head<'_>, json: &[u8]) -> bool {
    if !head.provider.eq_ignore_ascii_case(b"Microsoft-Windows-Bits-Client") {
        return true;
    }
    // Host names may be written in any case.
    let lower = json.to_ascii_lowercase();
    TRANSFERS.iter().any(|name| text::holds(json, name))
        || HOSTS.iter().any(|host| text::holds(&lower, host))
}

/// Transfers of other programs are theirs, not ours.
fn transfer(event: &Event, sink: &mut Sink<'_>) {
    let name = event.field("name").unwrap_or_default();
    let ours =
        ["WU Client Download", "Windows Update", "Windows Defender", "Microsoft Antimalware"];
    let ours = ours.iter().any(|start| name.starts_with(start))
        || event.field("url").is_some_and(is_update_host);
    let code = event.code("hr").and_then(text::failing);
    if event.id == 61 && ours && code.is_some() {
        let subject = (!name.is_empty()).then(|| name.to_owned());
        report(event, (Product::WindowsUpdate, Operation::Download), code, subject, sink);
    }
}

fn report(
    event: &Event,
    (product, operation): (Product, Operation),
    code: Option<FailureCode>,
    subject: Option<String>,
    sink: &mut Sink<'_>,
) {
    sink.failure(Draft {
        product,
        operation,
        code,
        subject,
        time: event.time,
        source: Source::Evtx,
        event: Some((event.provider.clone(), event.id, event.record)),
        line: None,
        count: None,
        update_class: class(event),
        message: event.words(),
    });
}

/// What kind of update the event is about, by its title or the name of its package.
fn class(event: &Event) -> Option<UpdateClass> {
    let title = event.field("updateTitle").filter(|title| !is_store_package(title));
    let package = || event.field("PackageIdentifier").and_then(UpdateClass::of_package);
    title.and_then(UpdateClass::of_title).or_else(package)
}

/// The `KB` number in a title: six to eight digits.
fn kb(title: &str) -> Option<&str> {
    title.match_indices("KB").find_map(|(at, _)| {
        let digits = title[at + 2..].bytes().take(8).take_while(u8::is_ascii_digit).count();
        (digits >= 6).then(|| &title[at..at + 2 + digits])
    })
}

/// `9NBLGGH3FL3T-Microsoft.VCLibs…`: a package of the Store.
fn is_store_package(title: &str) -> bool {
    let bytes = title.as_bytes();
    bytes.len() >= 13
        && bytes[0] == b'9'
        && bytes[12] == b'-'
        && bytes[1..12].iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
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

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
