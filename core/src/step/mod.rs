//! The closed set of steps that a remediation may hold, and what each declares: how it is undone
//! and how long it may take. An agent can do nothing that is not in this module.

mod backup;
mod place;
mod registry;
mod tool;
mod undo;

use serde::{Deserialize, Serialize};

use crate::host::OsFamily;
use crate::knowledge::NetworkCost;
#[cfg(doc)]
use crate::limits;
use crate::words;
use crate::words::Slug;

pub use self::backup::Backup;
pub use self::place::{Base, Place};
pub use self::registry::{Hive, RegistryData};
pub use self::tool::Tool;
pub use self::undo::Undo;

words! {
    /// How a service starts.
    pub enum StartType ("start type") {
        /// At boot.
        Auto = "auto",
        /// On demand.
        Manual = "manual",
        /// Never.
        Disabled = "disabled",
    }
}

/// The start type of a service on some builds of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartOn {
    /// The beginning of the build: `6.1` for Windows 7 and Server 2008 R2.
    pub build: String,
    /// The start type there.
    pub start: StartType,
}

/// Whether a build of a system begins so: by whole numbers, `6.1` is not `6.10`.
pub fn is_build(build: &str, begins: &str) -> bool {
    build.strip_prefix(begins).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What one step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", deny_unknown_fields)]
pub enum Action {
    /// Starts a service. Undo: stops it, if it was stopped.
    #[serde(rename = "service.start")]
    ServiceStart {
        /// Its name.
        service: String,
    },
    /// Stops a service. Undo: starts it, if it ran.
    #[serde(rename = "service.stop")]
    ServiceStop {
        /// Its name.
        service: String,
    },
    /// Stops and starts a service. Undo: none needed beyond its state.
    #[serde(rename = "service.restart")]
    ServiceRestart {
        /// Its name.
        service: String,
    },
    /// Sets how a service starts, only from *disabled*, and not where policy set it. Undo: sets the
    /// old value.
    #[serde(rename = "service.set_start")]
    ServiceSetStart {
        /// Its name.
        service: String,
        /// The wanted start type.
        start: StartType,
        /// Builds of the system that have another one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        on: Vec<StartOn>,
    },
    /// Renames a file or folder within its folder to `<name>.fleetmend-<job>`. Undo: renames back.
    #[serde(rename = "file.rename")]
    FileRename {
        /// What.
        place: Place,
    },
    /// Moves a file or folder into the agent's quarantine on the same file system. Undo: moves back.
    #[serde(rename = "file.quarantine")]
    FileQuarantine {
        /// What.
        place: Place,
    },
    /// Creates a folder and its missing parents. Undo: removes those it made, if empty.
    #[serde(rename = "file.create_dir")]
    FileCreateDir {
        /// What.
        place: Place,
    },
    /// Puts back what an earlier `file.rename` or `file.quarantine` of this remediation moved away,
    /// where nothing new took its place. Undo: moves it away again.
    #[serde(rename = "file.restore")]
    FileRestore {
        /// What.
        place: Place,
    },
    /// Sets a registry value, never under a policy key. Undo: the old value, or its absence.
    #[serde(rename = "registry.set")]
    RegistrySet {
        /// The hive.
        hive: Hive,
        /// The key below it.
        key: String,
        /// The value's name.
        name: String,
        /// What it is to be.
        data: RegistryData,
    },
    /// Deletes a registry value, never under a policy key. Undo: the old value.
    #[serde(rename = "registry.delete")]
    RegistryDelete {
        /// The hive.
        hive: Hive,
        /// The key below it.
        key: String,
        /// The value's name.
        name: String,
    },
    /// Runs a system program in its one fixed form.
    #[serde(rename = "tool.run")]
    ToolRun {
        /// Which.
        tool: Tool,
        /// The probe whose evidence fills `{value}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value_from: Option<Slug>,
    },
    /// Switches all profiles of the firewall off for some minutes. Its service goes on. The agent
    /// itself puts back what each profile was: after the last step, when a step fails, when the time
    /// is up, and when it is started again after a crash or a restart.
    #[serde(rename = "firewall.suspend")]
    FirewallSuspend {
        /// Minutes, 1 to [`limits::SUSPEND_MINUTES`].
        minutes: u32,
    },
    /// Excludes places from the virus scanner for some minutes; ended as `firewall.suspend` is. What
    /// was excluded before stays so.
    #[serde(rename = "antivirus.exclude")]
    AntivirusExclude {
        /// Which; 1 to [`limits::EXCLUDED_PLACES`], none by evidence.
        places: Vec<Place>,
        /// Minutes, 1 to [`limits::EXCLUDE_MINUTES`].
        minutes: u32,
    },
    /// Writes down what the reparse point is that a probe found: its kind and target. Changes
    /// nothing.
    #[serde(rename = "reparse.list")]
    ReparseList {
        /// The probe that found it.
        evidence: Slug,
    },
    /// Takes a mounted volume or a junction off its folder. The link alone goes; nothing below it is
    /// touched, and a link of any other kind is refused. Undo: the same link again.
    #[serde(rename = "reparse.detach")]
    ReparseDetach {
        /// The probe that found it.
        evidence: Slug,
    },
    /// Runs the host's own backup once.
    #[serde(rename = "backup.run")]
    BackupRun {
        /// Which.
        backup: Backup,
    },
    /// Searches for updates through the host's own update authority.
    #[serde(rename = "update.scan")]
    UpdateScan {},
    /// Downloads what the host's update authority has approved for it; where the failure is about one
    /// update, that one alone.
    #[serde(rename = "update.download")]
    UpdateDownload {},
    /// Installs what the host's update authority has approved for it; where the failure is about one
    /// update, that one alone.
    #[serde(rename = "update.install")]
    UpdateInstall {},
    /// Makes a restore point. Undo: removes it.
    #[serde(rename = "restore_point.create")]
    RestorePointCreate {},
    /// Waits until a probe answers *no* (the fault is gone).
    #[serde(rename = "wait_until")]
    WaitUntil {
        /// The probe.
        probe: Slug,
    },
    /// Restarts the host. Undo: none.
    #[serde(rename = "reboot")]
    Reboot {},
}

impl Action {
    /// What of it can be taken back.
    pub fn undo(&self) -> Undo {
        match self {
            Self::ServiceStart { .. }
            | Self::ServiceStop { .. }
            | Self::ServiceSetStart { .. }
            | Self::FileRename { .. }
            | Self::FileQuarantine { .. }
            | Self::FileCreateDir { .. }
            | Self::FileRestore { .. }
            | Self::RegistrySet { .. }
            | Self::RegistryDelete { .. }
            | Self::FirewallSuspend { .. }
            | Self::AntivirusExclude { .. }
            | Self::ReparseList { .. }
            | Self::ReparseDetach { .. }
            | Self::UpdateScan {}
            | Self::WaitUntil { .. } => Undo::Exact,
            // What is downloaded harms nobody; a new restore point may have made room for itself.
            Self::ServiceRestart { .. } | Self::UpdateDownload {} | Self::RestorePointCreate {} => {
                Undo::Compensating
            }
            Self::ToolRun { tool, .. } => tool.undo(),
            Self::BackupRun { .. } | Self::UpdateInstall {} | Self::Reboot {} => Undo::None,
        }
    }

    /// What it may cost on the network.
    pub const fn network(&self) -> NetworkCost {
        match self {
            Self::ToolRun { tool, .. } => tool.network(),
            Self::UpdateScan {} => NetworkCost::Small,
            Self::UpdateDownload {} | Self::UpdateInstall {} | Self::BackupRun { .. } => {
                NetworkCost::Large
            }
            Self::ServiceStart { .. }
            | Self::ServiceStop { .. }
            | Self::ServiceRestart { .. }
            | Self::ServiceSetStart { .. }
            | Self::FileRename { .. }
            | Self::FileQuarantine { .. }
            | Self::FileCreateDir { .. }
            | Self::FileRestore { .. }
            | Self::RegistrySet { .. }
            | Self::RegistryDelete { .. }
            | Self::FirewallSuspend { .. }
            | Self::AntivirusExclude { .. }
            | Self::ReparseList { .. }
            | Self::ReparseDetach { .. }
            | Self::RestorePointCreate {}
            | Self::WaitUntil { .. }
            | Self::Reboot {} => NetworkCost::None,
        }
    }

    /// The only system that has such a step; `None` where others have it too.
    pub const fn system(&self) -> Option<OsFamily> {
        match self {
            Self::ToolRun { tool, .. } => Some(tool.system()),
            Self::RegistrySet { .. }
            | Self::RegistryDelete { .. }
            | Self::FirewallSuspend { .. }
            | Self::AntivirusExclude { .. }
            | Self::ReparseList { .. }
            | Self::ReparseDetach { .. }
            | Self::BackupRun { .. }
            | Self::UpdateScan {}
            | Self::UpdateDownload {}
            | Self::UpdateInstall {}
            | Self::RestorePointCreate {} => Some(OsFamily::Windows),
            Self::ServiceStart { .. }
            | Self::ServiceStop { .. }
            | Self::ServiceRestart { .. }
            | Self::ServiceSetStart { .. }
            | Self::FileRename { .. }
            | Self::FileQuarantine { .. }
            | Self::FileCreateDir { .. }
            | Self::FileRestore { .. }
            | Self::WaitUntil { .. }
            | Self::Reboot {} => None,
        }
    }

    /// The longest time for which it leaves the host less protected, where it does.
    pub fn pauses(&self) -> Option<std::time::Duration> {
        match self {
            Self::FirewallSuspend { minutes } | Self::AntivirusExclude { minutes, .. } => {
                Some(std::time::Duration::from_mins(u64::from(*minutes)))
            }
            _ => None,
        }
    }

    /// The step's kind, as design and ceiling name it: `tool.run`, `file.rename`…
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ServiceStart { .. } => "service.start",
            Self::ServiceStop { .. } => "service.stop",
            Self::ServiceRestart { .. } => "service.restart",
            Self::ServiceSetStart { .. } => "service.set_start",
            Self::FileRename { .. } => "file.rename",
            Self::FileQuarantine { .. } => "file.quarantine",
            Self::FileCreateDir { .. } => "file.create_dir",
            Self::FileRestore { .. } => "file.restore",
            Self::RegistrySet { .. } => "registry.set",
            Self::RegistryDelete { .. } => "registry.delete",
            Self::ToolRun { .. } => "tool.run",
            Self::FirewallSuspend { .. } => "firewall.suspend",
            Self::AntivirusExclude { .. } => "antivirus.exclude",
            Self::ReparseList { .. } => "reparse.list",
            Self::ReparseDetach { .. } => "reparse.detach",
            Self::BackupRun { .. } => "backup.run",
            Self::UpdateScan {} => "update.scan",
            Self::UpdateDownload {} => "update.download",
            Self::UpdateInstall {} => "update.install",
            Self::RestorePointCreate {} => "restore_point.create",
            Self::WaitUntil { .. } => "wait_until",
            Self::Reboot {} => "reboot",
        }
    }

    /// The step in words for a person: kind and object.
    pub fn title(&self) -> String {
        let found = |evidence: &Slug| format!("the path found by {evidence}");
        let place = |p: &Place| match p {
            Place::Below { base, path } => format!("{base}/{path}"),
            Place::Evidence { evidence } => found(evidence),
        };
        let object = match self {
            Self::ServiceStart { service }
            | Self::ServiceStop { service }
            | Self::ServiceRestart { service } => service.clone(),
            Self::ServiceSetStart { service, start, .. } => format!("{service} {start}"),
            Self::FileRename { place: p }
            | Self::FileQuarantine { place: p }
            | Self::FileCreateDir { place: p }
            | Self::FileRestore { place: p } => place(p),
            Self::RegistrySet { hive, key, name, .. }
            | Self::RegistryDelete { hive, key, name } => format!("{hive}\\{key}\\{name}"),
            Self::ToolRun { tool, .. } => {
                let (program, args) = tool.command();
                format!("{program} {}", args.join(" "))
            }
            Self::FirewallSuspend { minutes } => format!("for {minutes} minutes"),
            Self::AntivirusExclude { places, minutes } => {
                let places: Vec<String> = places.iter().map(place).collect();
                format!("{} for {minutes} minutes", places.join(", "))
            }
            Self::ReparseList { evidence } | Self::ReparseDetach { evidence } => found(evidence),
            Self::BackupRun { backup } => backup.to_string(),
            Self::WaitUntil { probe } => probe.to_string(),
            Self::UpdateScan {}
            | Self::UpdateDownload {}
            | Self::UpdateInstall {}
            | Self::RestorePointCreate {}
            | Self::Reboot {} => String::new(),
        };
        format!("{} {object}", self.kind()).trim_end().to_owned()
    }
}

/// One step of a remediation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
    /// Seconds after which it is stopped and counts as failed; 1 to 14,400.
    pub timeout_s: u32,
    /// Whether the step runs although an earlier one failed: for what must be put back (services
    /// stopped for the work), whatever happened.
    #[serde(default)]
    pub always: bool,
}
