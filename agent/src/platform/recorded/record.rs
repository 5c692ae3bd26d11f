//! The record: what a recorded host is, as TOML. Everything has a name of its own, so that a patch
//! says only what is other.
//!
//! ```toml
//! [host]
//! name = "PC-0042"
//! os = "windows"
//! os_name = "Windows 10 Pro"
//! build = "10.0.19045.3570"
//! boot = "boot-1"
//!
//! [registry.'HKLM\SYSTEM\CurrentControlSet\Services\WIMMount']
//! ImagePath = { expand = 'system32\drivers\wimmount.sys' }
//!
//! [service.wuauserv]
//! state = "stopped"
//! start = "manual"
//! trigger = true
//!
//! [file."Windows/System32/drivers/wimmount.sys"]
//! size = 40_960
//! signature = { valid = "Microsoft Windows" }
//!
//! [call."run /Windows/System32/sfc.exe /scannow"]
//! exit = 0
//! then.file."Windows/System32/sppsvc.exe" = { size = 100 }
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use fleetmend_core::host::OsFamily;
use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::platform::{
    Antivirus, BackupTarget, Event, FirewallState, InstalledUpdate, LibraryLocation, Memory,
    Outcome, Power, Process, Proxy, RegistryValue, Reparse, ServiceSeen, Session, ShadowCopy,
    ShadowStorage, Signature, TimeSource, Volume, VssProvider, VssWriter,
};

/// A record, or a patch of one, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record of the host: {0}")]
pub struct BadRecord(String);

impl BadRecord {
    pub(super) fn of(name: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{name}: {error}"))
    }

    pub(super) fn no_host(name: &str) -> Self {
        Self(format!("there is no host {name}"))
    }
}

/// A host, as it is written down. Groups that are `None` are those that the host cannot be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What it is.
    pub host: RecordedHost,
    /// Keys (`HKLM\…`) and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registry: BTreeMap<String, BTreeMap<String, RegistryValue>>,
    /// Services by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service: BTreeMap<String, ServiceSeen>,
    /// Files by their path from the root, or from `D:/` for another drive.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub file: BTreeMap<String, FileRecord>,
    /// Folders that are there although no recorded file lies in them, or of a recorded age.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub folder: BTreeMap<String, FolderRecord>,
    /// Who may do what with a file or folder, by its path: `allow 0x1F01FF S-1-5-18`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub security: BTreeMap<String, Vec<String>>,
    /// Events by log and then by any name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event: BTreeMap<String, BTreeMap<String, Event>>,
    /// Volumes by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<BTreeMap<String, Volume>>,
    /// Library locations by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<BTreeMap<String, LibraryLocation>>,
    /// Reparse points by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reparse: BTreeMap<String, Reparse>,
    /// Processes by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<BTreeMap<String, Process>>,
    /// Writers of the shadow copy service by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vss_writer: Option<BTreeMap<String, VssWriter>>,
    /// Its providers by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vss_provider: Option<BTreeMap<String, VssProvider>>,
    /// Room for shadow copies by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_storage: Option<BTreeMap<String, ShadowStorage>>,
    /// Shadow copies by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_copy: Option<BTreeMap<String, ShadowCopy>>,
    /// Places of backups by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_target: Option<BTreeMap<String, BackupTarget>>,
    /// Power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// What somebody has to type at each start; empty where it starts by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks_at_boot: Option<String>,
    /// Who is logged in, by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<BTreeMap<String, Session>>,
    /// How often those who are logged in put a restart off.
    #[serde(default)]
    pub put_off: u32,
    /// Whether the network is metered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Virus scanners by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub antivirus: Option<BTreeMap<String, Antivirus>>,
    /// Paths that Windows' own virus scanner leaves alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub antivirus_excluded: Vec<String>,
    /// Profiles of the firewall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallState>,
    /// Installed updates by any name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<BTreeMap<String, InstalledUpdate>>,
    /// What sets the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// The machine's proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Names that resolve, with their addresses; one without addresses is not found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resolves: BTreeMap<String, Vec<IpAddr>>,
    /// Whether somebody answers at `host:port`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reaches: BTreeMap<String, bool>,
    /// Restore points by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restore_point: BTreeMap<String, String>,
    /// What calls do beside what they always do, by their words: `service.start wuauserv`,
    /// `run /Windows/System32/sfc.exe /scannow`, `update.scan`, `volumes`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub call: BTreeMap<String, Call>,
}

/// What a recorded host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedHost {
    /// Its name.
    pub name: String,
    /// Its system.
    pub os: OsFamily,
    /// The system's name.
    pub os_name: String,
    /// The system's build.
    pub build: String,
    /// Its processor architecture.
    #[serde(default = "x86_64")]
    pub arch: String,
    /// Which boot it is in.
    pub boot: String,
}

fn x86_64() -> String {
    "x86_64".to_owned()
}

/// A file. Without a size and a text it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its size in bytes, where it holds nothing that is read; takes no room on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// What its signature says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderRecord {
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
}

/// What a call does beside what it always does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// It fails with these words, and does nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<String>,
    /// A program's exit status.
    #[serde(default)]
    pub exit: i32,
    /// A program's output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// A program that is ended because its time is up. Its effects come all the same.
    #[serde(default)]
    pub hangs: bool,
    /// What a run of the update agent or of the backup gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What is other afterwards.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub then: Table,
    /// What is gone afterwards, each by its way through the record: `["service", "wuauserv"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Vec<String>>,
}

impl Call {
    /// What is other afterwards.
    pub(super) fn patch(&self) -> Patch {
        Patch { then: self.then.clone(), remove: self.remove.clone() }
    }
}

/// What is other in a record.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Parts of a record that are put in, or replace what is there.
    #[serde(default)]
    pub then: Table,
    /// Parts that are taken out first, each by its way through the record. Every one must be there.
    #[serde(default)]
    pub remove: Vec<Vec<String>>,
}

impl Record {
    /// Reads a record. Also tries what its calls would do, so that a slip in one is found now.
    pub fn parse(text: &str) -> Result<Self, BadRecord> {
        let record: Self = toml::from_str(text).map_err(bad)?;
        record.check()?;
        Ok(record)
    }

    /// The record with a patch.
    pub fn with(&self, patch: &Patch) -> Result<Self, BadRecord> {
        let record = self.patched(patch)?;
        record.check()?;
        Ok(record)
    }

    pub(super) fn patched(&self, patch: &Patch) -> Result<Self, BadRecord> {
        let mut table = Table::try_from(self).map_err(bad)?;
        for way in &patch.remove {
            remove(&mut table, way)?;
        }
        merge(&mut table, &patch.then);
        table.try_into().map_err(bad)
    }

    /// Whether what each call would do can be read. What it takes out may not be there yet.
    fn check(&self) -> Result<(), BadRecord> {
        for (words, call) in &self.call {
            let patch = Patch { then: call.then.clone(), remove: Vec::new() };
            self.patched(&patch).map_err(|e| BadRecord(format!("call \"{words}\": {e}")))?;
        }
        Ok(())
    }
}

fn bad(error: impl std::fmt::Display) -> BadRecord {
    BadRecord(error.to_string())
}

fn merge(table: &mut Table, patch: &Table) {
    for (name, new) in patch {
        match (table.get_mut(name), new) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            _ => {
                table.insert(name.clone(), new.clone());
            }
        }
    }
}

fn remove(table: &mut Table, way: &[String]) -> Result<(), BadRecord> {
    let missing = || BadRecord(format!("there is no {} to take out", way.join(" → ")));
    let (last, parents) = way.split_last().ok_or_else(missing)?;
    let mut at = table;
    for name in parents {
        at = at.get_mut(name).and_then(Value::as_table_mut).ok_or_else(missing)?;
    }
    at.remove(last).map(|_| ()).ok_or_else(missing)
}
