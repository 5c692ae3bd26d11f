//! Failure reports: one terminal failure observed, and the key that groups them into incidents.

use serde::{Deserialize, Serialize};

use crate::code::FailureCode;
use crate::evidence::Evidence;
use crate::host::OsFamily;
use crate::ids::ReportId;
use crate::time::{SourceTime, Timestamp};
use crate::update_class::UpdateClass;
use crate::words;

words! {
    /// What was being kept up to date or saved when it failed.
    pub enum Product ("product") {
        /// Windows Update.
        WindowsUpdate = "windows_update",
        /// Component-based servicing (CBS, DISM, SFC).
        Servicing = "servicing",
        /// Windows Backup and Restore (Windows 7 style), files.
        WindowsBackup = "windows_backup",
        /// System image and Windows Server Backup (wbengine).
        SystemImage = "system_image",
        /// Volume Shadow Copy.
        Vss = "vss",
        /// System Restore.
        SystemRestore = "system_restore",
        /// Feature update or in-place upgrade (setup).
        Upgrade = "upgrade",
        /// Store packages.
        StoreApps = "store_apps",
        /// Background Intelligent Transfer Service.
        Bits = "bits",
        /// Debian's package tools.
        Apt = "apt",
        /// Fedora's package tools.
        Dnf = "dnf",
        /// SUSE's package tools.
        Zypper = "zypper",
        /// systemd units and timers.
        Systemd = "systemd",
        /// restic backups.
        Restic = "restic",
        /// Borg backups.
        Borg = "borg",
        /// rsync copies.
        Rsync = "rsync",
        /// Fleetmend's own agent.
        Agent = "agent",
        /// Anything else.
        Other = "other",
    }
}

impl Product {
    /// The system that it is part of; `None` where it runs on any.
    pub const fn system(self) -> Option<OsFamily> {
        match self {
            Self::WindowsUpdate
            | Self::Servicing
            | Self::WindowsBackup
            | Self::SystemImage
            | Self::Vss
            | Self::SystemRestore
            | Self::Upgrade
            | Self::StoreApps
            | Self::Bits => Some(OsFamily::Windows),
            Self::Apt | Self::Dnf | Self::Zypper | Self::Systemd => Some(OsFamily::Linux),
            Self::Restic | Self::Borg | Self::Rsync | Self::Agent | Self::Other => None,
        }
    }
}

words! {
    /// What the product was doing.
    pub enum Operation ("operation") {
        /// Looking for updates.
        Scan = "scan",
        /// Fetching content.
        Download = "download",
        /// Installing.
        Install = "install",
        /// Removing.
        Uninstall = "uninstall",
        /// Backing up.
        Backup = "backup",
        /// Restoring from a backup.
        Restore = "restore",
        /// Making a shadow copy or restore point.
        Snapshot = "snapshot",
        /// Upgrading the operating system.
        Upgrade = "upgrade",
        /// Repairing the system's own files.
        Repair = "repair",
        /// Verifying the system's own files.
        Verify = "verify",
        /// Checking a repository or archive.
        Check = "check",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// What a code or event means for the operation.
    pub enum Kind ("kind") {
        /// The operation failed.
        Failure = "failure",
        /// It is not finished: usually a restart is awaited.
        Pending = "pending",
        /// Harmless.
        Benign = "benign",
        /// Somebody or something stopped it on purpose.
        Cancelled = "cancelled",
        /// It succeeded.
        Success = "success",
    }
}

words! {
    /// The kind of place a failure was read from; recognised by content and name, never by folder.
    pub enum Source ("source") {
        /// A Windows event file or channel.
        Evtx = "evtx",
        /// CBS.log.
        Cbs = "cbs",
        /// WindowsUpdate.log.
        WindowsUpdate = "windowsupdate",
        /// ReportingEvents.log.
        ReportingEvents = "reportingevents",
        /// DISM.log.
        Dism = "dism",
        /// setupact.log and setuperr.log.
        Setup = "setup",
        /// The logs of apt.
        Apt = "apt",
        /// dpkg's log and status files.
        Dpkg = "dpkg",
        /// The logs of dnf.
        Dnf = "dnf",
        /// The logs of zypper.
        Zypper = "zypper",
        /// systemd's units and timers.
        Systemd = "systemd",
        /// A probe of the host's present state.
        Probe = "probe",
        /// A job of ours.
        Job = "job",
    }
}

/// One terminal failure, as a collector read it. The field names are those of `scan -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReport {
    /// What failed.
    pub product: Product,
    /// What it was doing.
    pub operation: Operation,
    /// Its code; `None` where the source gives none.
    pub code: Option<FailureCode>,
    /// The symbolic name of the code, where the catalogue knows one.
    #[serde(default)]
    pub symbol: Option<String>,
    /// Whether it is a failure, pending, benign or cancelled, by the catalogue.
    pub kind: Kind,
    /// What it was about: a KB, a package, a volume, a path. At most 512 bytes.
    pub subject: Option<String>,
    /// When, as the source wrote it.
    pub time: SourceTime,
    /// The kind of source.
    pub source: Source,
    /// The event provider, for event files.
    pub provider: Option<String>,
    /// The event id, for event files.
    pub event_id: Option<u32>,
    /// The event record id, for event files.
    pub record_id: Option<u64>,
    /// The physical line, from 1, for text logs.
    pub line: Option<u64>,
    /// How many things are concerned (corruptions, files), where the source counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What kind of update it was about, where the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_class: Option<UpdateClass>,
    /// The source's own words, cut to 1,024 bytes.
    pub message: String,
}

impl FailureReport {
    /// What makes two reports of one host the same incident.
    pub fn incident_key(&self) -> IncidentKey {
        IncidentKey {
            product: self.product,
            operation: self.operation,
            code: self.code.clone(),
            subject: self.subject.clone(),
        }
    }
}

/// What makes two reports of one host the same incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey {
    /// What failed.
    pub product: Product,
    /// What it was doing.
    pub operation: Operation,
    /// Its code.
    pub code: Option<FailureCode>,
    /// What it was about.
    pub subject: Option<String>,
}

impl IncidentKey {
    /// The one update (`KB5031356`) that it is about, where it is about one.
    pub fn update(&self) -> Option<&str> {
        let kb = self.subject.as_deref()?;
        let digits = kb.strip_prefix("KB")?;
        let number = (6..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        (number && matches!(self.product, Product::WindowsUpdate | Product::Servicing))
            .then_some(kb)
    }
}

/// A failure on its way to the server: the report, its moment in UTC, and what the agent found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFailure {
    /// The report's id, drawn by the agent.
    pub id: ReportId,
    /// When it happened, in UTC by the host's own offset.
    pub at: Timestamp,
    /// What was read.
    pub failure: FailureReport,
    /// The answers of the probes that the catalogue asks for.
    pub evidence: Vec<Evidence>,
}

/// A failing condition that is gone, or an operation that worked again, without a job of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Which incident of the host it ends. A `None` code or subject means *any*.
    pub key: IncidentKey,
    /// When it was seen to work, in UTC.
    pub at: Timestamp,
    /// What was seen, in the source's words; at most 1,024 bytes.
    pub message: String,
}
