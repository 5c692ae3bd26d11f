//! Hosts: what a managed machine is, how its membership goes, and what its agent says of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::words;

words! {
    /// A host's place in its life.
    pub enum Lifecycle ("host state") {
        /// Enrolled by a deployment token and not yet accepted: reports, gets no order.
        Pending = "pending",
        /// Accepted.
        Active = "active",
        /// Accepted, and silent for longer than its threshold.
        Stale = "stale",
        /// Two machines use one identity: nothing is sent until a person decides.
        Quarantined = "quarantined",
        /// Its certificates are void; its stream is ended.
        Revoked = "revoked",
        /// Taken out of the fleet on purpose; its history is kept.
        Retired = "retired",
    }
}

impl Lifecycle {
    /// Whether a host in this state may connect and report.
    pub const fn may_connect(self) -> bool {
        matches!(self, Self::Pending | Self::Active | Self::Stale)
    }

    /// Whether a host may go from this state to `next`. A revoked or retired host does not come
    /// back: its certificates are void, so it enrols anew.
    pub const fn can_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Active | Self::Revoked | Self::Retired),
            Self::Active => !matches!(next, Self::Pending | Self::Active),
            Self::Stale => !matches!(next, Self::Pending | Self::Stale),
            Self::Quarantined => matches!(next, Self::Active | Self::Revoked | Self::Retired),
            Self::Revoked => matches!(next, Self::Retired),
            Self::Retired => false,
        }
    }

    /// Whether a host in this state may be given orders.
    pub const fn may_get_orders(self) -> bool {
        matches!(self, Self::Active | Self::Stale)
    }
}

words! {
    /// The family of operating systems that decides which probes and steps exist.
    pub enum OsFamily ("operating system") {
        /// Windows 7 to 11 and Server.
        Windows = "windows",
        /// Linux.
        Linux = "linux",
    }
}

/// What an agent says of itself when it enrols and when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The machine's own name.
    pub name: String,
    /// The operating-system family.
    pub os: OsFamily,
    /// The system's name and version as a person knows it, e.g. `Debian GNU/Linux 12 (bookworm)`.
    pub os_name: String,
    /// The build: `10.0.19045.3570`, or the kernel's release.
    pub os_build: String,
    /// The processor architecture, as Rust names it.
    pub arch: String,
    /// The agent's version.
    pub agent_version: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// Whether this is a simulated host; shown everywhere.
    pub simulated: bool,
}

words! {
    /// Who manages updates on a host.
    pub enum UpdateAuthority ("update authority") {
        /// A WSUS server.
        Wsus = "wsus",
        /// Configuration Manager.
        ConfigMgr = "configmgr",
        /// Intune or Windows Update for Business policy.
        Wufb = "wufb",
        /// Windows Update with no policy.
        WindowsUpdate = "windows_update",
        /// apt's own timers.
        AptTimer = "apt_timer",
        /// dnf-automatic, by one of its timers.
        DnfAutomatic = "dnf_automatic",
        /// Nobody.
        None = "none",
        /// Not found out.
        Unknown = "unknown",
    }
}

/// One disk of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// The file system's name.
    pub file_system: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes free for the system.
    pub free_bytes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// One service of a host that matters to updates or backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Its name.
    pub name: String,
    /// What the service manager says: `active`, `inactive`, `failed`, `running`, `stopped`…
    pub state: String,
    /// How it starts: `enabled`, `disabled`, `auto`, `manual`…
    pub start: String,
}

/// How the agent itself does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct AgentHealth {
    /// Items waiting in the spool.
    pub spool_items: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Items dropped from the full spool since it began.
    pub spool_dropped: u64,
    /// Corrupt spool records passed over.
    pub spool_corrupt: u64,
    /// Files of its state that were damaged and set aside, until somebody removes them.
    #[serde(default)]
    pub files_damaged: u64,
    /// Resident memory of the agent in bytes.
    pub rss_bytes: u64,
    /// The highest risk that the host's own ceiling allows; `observe` by default.
    pub ceiling: String,
}

/// The state of a host, kept by the server and shown. All of it is what the agent found; what it
/// could not find out is `None` or absent, never a guess.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct HostState {
    /// Installed updates, as KB numbers or package counts in words, newest first; at most 500.
    pub updates: Vec<String>,
    /// Last successful search for updates.
    pub last_scan: Option<Timestamp>,
    /// Last successful installation.
    pub last_install: Option<Timestamp>,
    /// Last successful backup of any known product.
    pub last_backup: Option<Timestamp>,
    /// Last boot.
    pub booted_at: Option<Timestamp>,
    /// Whether a restart is awaited, and why.
    pub pending_reboot: Option<String>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// Services that matter here.
    pub services: Vec<ServiceState>,
    /// Who manages updates.
    pub update_authority: Option<UpdateAuthority>,
    /// The policy or file that proves it.
    pub update_authority_proof: Option<String>,
    /// Roles found: `domain_controller`, `cluster`, `container`…
    pub roles: Vec<String>,
    /// How the agent does.
    pub agent: AgentHealth,
    /// Further facts, shown as they are: key → value, each at most 256 bytes; at most 64.
    pub more: BTreeMap<String, String>,
    /// When this was found.
    pub at: Option<Timestamp>,
}

/// Labels of a host, assigned by the server's people: `key=value`.
pub type Labels = BTreeMap<String, String>;
