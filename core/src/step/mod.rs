//! The closed set of steps that a remediation may hold, and what each declares: how it is undone
//! and how long it may take. An agent can do nothing that is not in this module.

mod place;
mod registry;
mod tool;

use serde::{Deserialize, Serialize};

use crate::words;
use crate::words::Slug;

pub use self::place::{Base, Place};
pub use self::registry::{Hive, RegistryData};
pub use self::tool::Tool;

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

words! {
    /// How far a step can be taken back.
    pub enum Undo ("undo") {
        /// To the state before.
        Exact = "exact",
        /// To a state as good as before.
        Compensating = "compensating",
        /// Not at all: said before it is done.
        None = "none",
    }
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
    /// Sets how a service starts, only from *disabled*. Undo: sets the old value.
    #[serde(rename = "service.set_start")]
    ServiceSetStart {
        /// Its name.
        service: String,
        /// The wanted start type.
        start: StartType,
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
            | Self::WaitUntil { .. } => Undo::Exact,
            Self::ServiceRestart { .. } => Undo::Compensating,
            Self::ToolRun { tool, .. } => tool.undo(),
            Self::Reboot {} => Undo::None,
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
            Self::WaitUntil { .. } => "wait_until",
            Self::Reboot {} => "reboot",
        }
    }

    /// The step in words for a person: kind and object.
    pub fn title(&self) -> String {
        let place = |p: &Place| match p {
            Place::Below { base, path } => format!("{base}/{path}"),
            Place::Evidence { evidence } => format!("the path found by {evidence}"),
        };
        let object = match self {
            Self::ServiceStart { service }
            | Self::ServiceStop { service }
            | Self::ServiceRestart { service } => service.clone(),
            Self::ServiceSetStart { service, start } => format!("{service} {start}"),
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
            Self::WaitUntil { probe } => probe.to_string(),
            Self::Reboot {} => String::new(),
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
