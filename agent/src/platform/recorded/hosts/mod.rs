//! Hosts that are recorded: healthy ones, and what is other on such a one with a fault. Their time is
//! [`NOW`].

use std::collections::BTreeMap;

use fleetmend_core::time::Timestamp;
use serde::Deserialize;
use toml::{Table, Value};

use super::{BadRecord, Patch, Record};

/// The time of the recorded hosts: 2026-03-02T09:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_772_442_000_000);

const WINDOWS_10: &str = include_str!("windows10.toml");
/// What is other than on Windows 10.
const OTHERS: [(&str, &str); 3] = [
    ("windows7", include_str!("windows7.toml")),
    ("windows11", include_str!("windows11.toml")),
    ("server", include_str!("server.toml")),
];
const FAULTS: &str = include_str!("faults.toml");

/// A fault, and which probes tell of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The healthy host.
    pub base: String,
    /// The probes that say *yes* where they did not on the healthy host.
    pub yes: Vec<String>,
    /// The words of the failure that is asked about, where it has its own.
    #[serde(default)]
    pub message: Option<String>,
    /// So many shadow copies of `D:\` are there besides.
    #[serde(default)]
    many_shadow_copies: u32,
    #[serde(default)]
    then: Table,
    #[serde(default)]
    remove: Vec<Vec<String>>,
}

impl Fault {
    /// What is other on the faulty host.
    pub fn patch(&self) -> Patch {
        let mut then = self.then.clone();
        let mut copies = Table::new();
        for n in 0..self.many_shadow_copies {
            let copy = [
                ("id", format!("{{00000000-0000-0000-0001-{n:012}}}")),
                ("volume", r"D:\".to_owned()),
                ("at", NOW.to_string()),
            ];
            let copy = copy.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text)));
            copies.insert(format!("copy {n}"), Value::Table(copy.collect()));
        }
        if !copies.is_empty() {
            then.insert("shadow_copy".to_owned(), Value::Table(copies));
        }
        Patch { then, remove: self.remove.clone() }
    }

    /// The faulty host.
    pub fn record(&self) -> Result<Record, BadRecord> {
        healthy()?
            .remove(&self.base)
            .ok_or_else(|| BadRecord::no_host(&self.base))?
            .with(&self.patch())
    }
}

/// The healthy hosts, by name: `windows7`, `windows10`, `windows11`, `server` (a domain controller
/// with an update server).
pub fn healthy() -> Result<BTreeMap<String, Record>, BadRecord> {
    let base = Record::parse(WINDOWS_10)?;
    let mut hosts = BTreeMap::new();
    for (name, text) in OTHERS {
        let patch: Patch = toml::from_str(text).map_err(|e| BadRecord::of(name, e))?;
        let host = base.with(&patch).map_err(|e| BadRecord::of(name, e))?;
        hosts.insert(name.to_owned(), host);
    }
    hosts.insert("windows10".to_owned(), base);
    Ok(hosts)
}

/// The faults, by name.
pub fn faults() -> Result<BTreeMap<String, Fault>, BadRecord> {
    toml::from_str(FAULTS).map_err(|e| BadRecord::of("faults", e))
}
