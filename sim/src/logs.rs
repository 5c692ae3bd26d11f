//! Synthetic logs and package state of our own, in the formats that the real collectors read.

use std::fs;
use std::io;
use std::path::Path;

use fleetmend_core::time::Timestamp;

/// A moment as CBS.log writes it: local time, no zone; simulated hosts live in UTC.
fn cbs_time(at: Timestamp) -> String {
    at.to_string()[..19].replace('T', " ")
}

/// A CBS.log in which an update's package fails for want of its payload.
pub(crate) fn cbs_source_missing(at: Timestamp, kb: &str) -> String {
    let t = cbs_time(at);
    let session = "31200411_1889231200";
    [
        format!("{t}, Info                  CBS    TI: --- Initializing Trusted Installer ---"),
        format!("{t}, Info                  CBS    Session: {session} initialized by client UpdateAgentLCU."),
        format!("{t}, Info                  CBS    Failed to find package payload. [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]"),
        format!("{t}, Info                  CBS    Exec: Processing complete.  Session: {session}, Package: Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.5100.1.4, Identifier: {kb} [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]"),
        format!("{t}, Info                  CBS    Session: {session} finalized. Reboot required: no [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]"),
        format!("{t}, Info                  CBS    Ending TrustedInstaller finalization."),
    ]
    .join("\r\n")
        + "\r\n"
}

/// A ReportingEvents.log (UTF-16LE with BOM) with one failing row.
pub(crate) fn reporting_events(
    at: Timestamp,
    event: &str,
    operation: &str,
    code: u32,
    title: &str,
) -> Vec<u8> {
    let stamp = at.to_string();
    let stamp = format!("{} {}:{}+0000", &stamp[..10], &stamp[11..19], &stamp[20..23]);
    let row = [
        "{3F1B2C4D-0000-4000-8000-00000000A001}",
        &stamp,
        "1",
        event,
        "101",
        "{9E0B7A11-0000-4000-8000-00000000B002}",
        "200",
        &format!("{code:x}"),
        "UpdateOrchestrator",
        "Failure",
        operation,
        title,
        "",
    ]
    .join("\t");
    let mut bytes = vec![0xFF, 0xFE];
    for unit in format!("{row}\r\n").encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

/// The lines of dpkg's status file for a package.
pub(crate) fn dpkg_package(name: &str, status: &str) -> String {
    format!(
        "Package: {name}\nStatus: {status}\nPriority: optional\nSection: misc\nMaintainer: Example <ops@example.com>\nArchitecture: all\nVersion: 1.0\nDescription: simulated package\n\n"
    )
}

/// Writes a file below a root, with its folders.
pub(crate) fn put(root: &Path, inside: &str, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let path = root.join(inside.trim_start_matches('/'));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}
