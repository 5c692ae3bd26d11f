//! The machine at large: processes, power, memory, security software, installed updates, time.

use std::collections::BTreeMap;

use fleetmend_core::time::Timestamp;
use fleetmend_core::words;
use serde::{Deserialize, Serialize};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Its program's file name, such as `msiexec.exe`.
    pub name: String,
}

/// Where the machine's power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Whether it runs on battery.
    pub on_battery: bool,
    /// How full the battery is, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Who.
    pub user: String,
}

/// Memory to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes of physical memory free for programs.
    pub free_bytes: u64,
    /// Bytes that may still be committed: memory and page files, less what is promised.
    pub commit_free_bytes: u64,
}

/// A virus scanner that Windows knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Antivirus {
    /// Its name.
    pub name: String,
    /// Whether it is Windows' own.
    pub of_windows: bool,
    /// Whether it watches now.
    pub active: bool,
}

words! {
    /// A profile of the firewall.
    pub enum FirewallProfile ("firewall profile") {
        /// In the organisation's network.
        Domain = "domain",
        /// In a private network.
        Private = "private",
        /// In a public network.
        Public = "public",
    }
}

/// Which profiles of the firewall are on.
pub type FirewallState = BTreeMap<FirewallProfile, bool>;

/// An installed update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledUpdate {
    /// Its number: `KB5031356`.
    pub kb: String,
    /// When it was installed, to the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What the machine's clock is set by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeSource {
    /// Its name; `None` where the clock runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was set last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// The machine's own proxy, which services use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}
