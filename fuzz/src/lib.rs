//! Everything that reads bytes from outside, as functions of those bytes: what an engine feeds with
//! inputs it makes up, and what the tests feed with the corpus and with what once broke a reader.
//!
//! A target fails by panicking: in the reader itself, or in what must hold of every answer (a text
//! printed is read back as the same thing, a reader never claims more bytes than it was given).

mod agent;
mod knowledge;
mod wire;

/// One reader of bytes from outside.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Reads the bytes; panics where something that must always hold does not.
    pub run: fn(&[u8]),
}

/// All targets, in order of name.
pub const TARGETS: &[Target] = &[
    Target { name: "apt_logs", run: agent::apt_logs },
    Target { name: "backups", run: agent::backups },
    Target { name: "catalogue", run: knowledge::catalogue },
    Target { name: "cbs", run: agent::cbs },
    Target { name: "code", run: knowledge::code },
    Target { name: "dism", run: agent::dism },
    Target { name: "dnf_logs", run: agent::dnf_logs },
    Target { name: "dpkg", run: agent::dpkg },
    Target { name: "evtx", run: agent::evtx },
    Target { name: "holds", run: agent::holds },
    Target { name: "journal", run: agent::journal },
    Target { name: "order", run: wire::order },
    Target { name: "question", run: knowledge::question },
    Target { name: "recognise", run: agent::recognise },
    Target { name: "reporting_events", run: agent::reporting_events },
    Target { name: "reports", run: wire::reports },
    Target { name: "setup", run: agent::setup },
    Target { name: "spool", run: agent::spool },
    Target { name: "steps", run: knowledge::steps },
    Target { name: "utf16", run: agent::utf16 },
    Target { name: "windows_update", run: agent::windows_update },
    Target { name: "zypper_logs", run: agent::zypper_logs },
];
