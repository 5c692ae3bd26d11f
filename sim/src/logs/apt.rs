//! The logs of apt, dpkg and unattended-upgrades, and dpkg's status file.

use fleetmend_core::time::Timestamp;

use super::{clock, millis};

/// A package of dpkg's status file.
pub(crate) fn package(name: &str, status: &str) -> String {
    format!(
        "Package: {name}\nStatus: {status}\nPriority: optional\nSection: misc\nMaintainer: Example <ops@example.com>\nArchitecture: all\nVersion: 1.0\nDescription: simulated package\n\n"
    )
}

/// A run in history.log.
pub(crate) fn history(at: Timestamp, error: Option<&str>) -> String {
    let time = clock(at).replace(' ', "  ");
    let error = error.map(|e| format!("Error: {e}\n")).unwrap_or_default();
    format!(
        "\nStart-Date: {time}\nCommandline: /usr/bin/unattended-upgrade\nUpgrade: example-lib:all (1.0, 1.1)\n{error}End-Date: {time}\n"
    )
}

/// A run in term.log that ends with these words.
pub(crate) fn term(at: Timestamp, words: &str) -> String {
    let time = clock(at).replace(' ', "  ");
    format!("\nLog started: {time}\n{words}\nLog ended: {time}\n")
}

/// A line of unattended-upgrades.log.
pub(crate) fn unattended(at: Timestamp, words: &str) -> String {
    format!("{},{:03} ERROR {words}\n", clock(at), millis(at))
}

/// A line of dpkg.log.
pub(crate) fn dpkg(at: Timestamp, words: &str) -> String {
    format!("{} {words}\n", clock(at))
}

/// A line of the journal, as `journalctl -o short-unix` prints it.
pub(crate) fn journal(at: Timestamp, words: &str) -> String {
    let (seconds, millis) = (at.as_millis().div_euclid(1_000), millis(at));
    format!("{seconds}.{millis:03}000 simulated apt.systemd.daily[977]: {words}\n")
}
