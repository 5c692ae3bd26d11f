//! What an agent reads: logs, event files, package databases, its own spool and journal.

use fleetmend_agent::collect::{self, Collected};
use fleetmend_agent::fuzz;
use fleetmend_core::limits;
use fleetmend_core::report::Source;

fn log(source: Source, bytes: &[u8]) {
    // Reading from memory fails only where the bytes are no such source.
    let Ok(found) = collect::read(source, bytes, fleetmend_catalog::builtin()) else { return };
    check(&found, bytes.len());
}

fn check(found: &Collected, given: usize) {
    assert!(found.bytes <= given as u64 * 2, "{} bytes read of {given}", found.bytes);
    for report in &found.reports {
        let subject = report.subject.as_deref().unwrap_or_default();
        assert!(subject.len() <= limits::SUBJECT_BYTES, "a subject of {} bytes", subject.len());
        assert!(report.message.len() <= limits::REPORT_MESSAGE_BYTES, "a message over its bound");
    }
}

pub(crate) fn cbs(bytes: &[u8]) {
    log(Source::Cbs, bytes);
}

pub(crate) fn dism(bytes: &[u8]) {
    log(Source::Dism, bytes);
}

pub(crate) fn setup(bytes: &[u8]) {
    log(Source::Setup, bytes);
}

pub(crate) fn windows_update(bytes: &[u8]) {
    log(Source::WindowsUpdate, bytes);
}

pub(crate) fn reporting_events(bytes: &[u8]) {
    log(Source::ReportingEvents, bytes);
}

pub(crate) fn evtx(bytes: &[u8]) {
    log(Source::Evtx, bytes);
}

/// The first byte chooses among names that people give such files.
pub(crate) fn recognise(bytes: &[u8]) {
    let Some((first, head)) = bytes.split_first() else { return };
    let names = ["CBS.log", "x", "dism.log", "setupact.log", "System.evtx", "ReportingEvents.log"];
    let name = names[usize::from(*first) % names.len()];
    if let Some(source) = collect::recognise(name, head) {
        log(source, head);
    }
}

pub(crate) fn utf16(bytes: &[u8]) {
    let text = fuzz::utf16(bytes);
    assert!(text.len() <= bytes.len() * 3 + 4, "{} bytes became {}", bytes.len(), text.len());
}

pub(crate) fn apt_logs(bytes: &[u8]) {
    fuzz::apt_logs(bytes);
}

pub(crate) fn dnf_logs(bytes: &[u8]) {
    fuzz::dnf_logs(bytes);
}

pub(crate) fn zypper_logs(bytes: &[u8]) {
    fuzz::zypper_logs(bytes);
}

pub(crate) fn backups(bytes: &[u8]) {
    fuzz::backups(bytes);
}

pub(crate) fn dpkg(bytes: &[u8]) {
    fuzz::dpkg(bytes);
}

pub(crate) fn spool(bytes: &[u8]) {
    fuzz::spool(bytes);
}

pub(crate) fn holds(bytes: &[u8]) {
    fuzz::holds(bytes);
}

pub(crate) fn journal(bytes: &[u8]) {
    fuzz::journal(bytes);
}
