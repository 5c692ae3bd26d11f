//! The closed set of steps that a remediation may hold, and what each declares: how it is undone
//! and how long it may take. An agent can do nothing that is not in this file.

use serde::{Deserialize, Serialize};

use crate::host::OsFamily;
use crate::words;
use crate::words::Slug;

words! {
    /// The system folders that a step may work in. Absolute, found by the operating system's own
    /// means, never by an environment variable.
    pub enum Base ("base folder") {
        /// `%SystemRoot%`, from the system itself.
        Windows = "windows",
        /// `%SystemRoot%\System32`.
        System32 = "system32",
        /// `%ProgramData%`.
        ProgramData = "program_data",
        /// `/etc`.
        Etc = "etc",
        /// `/var/lib`.
        VarLib = "var_lib",
        /// `/var/cache`.
        VarCache = "var_cache",
        /// `/var/log`.
        VarLog = "var_log",
    }
}

impl Base {
    /// The system that has this folder.
    pub const fn system(self) -> OsFamily {
        match self {
            Self::Windows | Self::System32 | Self::ProgramData => OsFamily::Windows,
            Self::Etc | Self::VarLib | Self::VarCache | Self::VarLog => OsFamily::Linux,
        }
    }
}

/// A place a step works on: below a system folder, or the value of evidence that the agent itself
/// collected. Never a path from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, untagged)]
pub enum Place {
    /// Below a system folder. `path` uses `/`, is relative, and holds no `.`, `..` or empty part.
    Below {
        /// The folder.
        base: Base,
        /// The way from there.
        path: String,
    },
    /// The value of the evidence of this probe.
    Evidence {
        /// The probe.
        evidence: Slug,
    },
}

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
    /// The system programs that a step may run, each one fixed form of arguments. No shell, no
    /// `.cmd`, no argument from outside.
    pub enum Tool ("tool") {
        /// `dpkg --force-confdef --force-confold --configure -a`
        DpkgConfigureAll = "dpkg.configure_all",
        /// `apt-get -y -f install --no-remove`: apt itself refuses where a package would have to go.
        AptFixBroken = "apt.fix_broken",
        /// `apt-get check`
        AptCheck = "apt.check",
        /// `apt-get clean`
        AptClean = "apt.clean",
        /// `apt-get update` with caches passed by.
        AptUpdate = "apt.update",
        /// `systemctl reset-failed UNIT` for the unit that evidence names.
        SystemctlResetFailed = "systemctl.reset_failed",
        /// `sfc /scannow`
        SfcScannow = "sfc.scannow",
        /// `DISM /Online /Cleanup-Image /ScanHealth`
        DismScanHealth = "dism.scan_health",
        /// `DISM /Online /Cleanup-Image /RestoreHealth`
        DismRestoreHealth = "dism.restore_health",
        /// `UsoClient StartScan`
        UsoStartScan = "usoclient.start_scan",
        /// Removes superseded parts from the component store.
        DismCleanupStore = "dism.cleanup_store",
        /// Looks at the system volume's file system while it is in use, and repairs what it can so.
        ChkdskScan = "chkdsk.scan",
        /// Lets NTFS make the journal of its transactions anew at the next start.
        FsutilResetTransactions = "fsutil.reset_transactions",
    }
}

impl Tool {
    /// The program's absolute path (`%System32%` stands for the system's own folder) and its
    /// arguments. `{value}` stands for the evidence's value, checked by the platform before use.
    pub const fn command(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::DpkgConfigureAll => {
                ("/usr/bin/dpkg", &["--force-confdef", "--force-confold", "--configure", "-a"])
            }
            Self::AptFixBroken => (
                "/usr/bin/apt-get",
                &[
                    "-y",
                    "-q",
                    "--no-remove",
                    "-o",
                    "Dpkg::Options::=--force-confdef",
                    "-o",
                    "Dpkg::Options::=--force-confold",
                    "-o",
                    "DPkg::Lock::Timeout=120",
                    "-f",
                    "install",
                ],
            ),
            Self::AptCheck => ("/usr/bin/apt-get", &["-q", "check"]),
            Self::AptClean => ("/usr/bin/apt-get", &["-q", "clean"]),
            Self::AptUpdate => (
                "/usr/bin/apt-get",
                &[
                    "-q",
                    "-o",
                    "Acquire::http::No-Cache=true",
                    "-o",
                    "DPkg::Lock::Timeout=120",
                    "update",
                ],
            ),
            Self::SystemctlResetFailed => ("/usr/bin/systemctl", &["reset-failed", "{value}"]),
            Self::SfcScannow => ("%System32%/sfc.exe", &["/scannow"]),
            Self::DismScanHealth => {
                ("%System32%/Dism.exe", &["/English", "/Online", "/Cleanup-Image", "/ScanHealth"])
            }
            Self::DismRestoreHealth => (
                "%System32%/Dism.exe",
                &["/English", "/Online", "/Cleanup-Image", "/RestoreHealth"],
            ),
            Self::UsoStartScan => ("%System32%/UsoClient.exe", &["StartScan"]),
            Self::DismCleanupStore => (
                "%System32%/Dism.exe",
                &["/English", "/Online", "/Cleanup-Image", "/StartComponentCleanup"],
            ),
            Self::ChkdskScan => ("%System32%/chkdsk.exe", &["C:", "/scan"]),
            Self::FsutilResetTransactions => {
                ("%System32%/fsutil.exe", &["resource", "setautoreset", "true", "C:\\"])
            }
        }
    }

    /// Exit codes that mean success; 3010 means success that wants a restart.
    pub const fn success(self) -> &'static [i32] {
        match self {
            Self::DismRestoreHealth | Self::DismCleanupStore => &[0, 3010],
            Self::DpkgConfigureAll
            | Self::AptFixBroken
            | Self::AptCheck
            | Self::AptClean
            | Self::AptUpdate
            | Self::SystemctlResetFailed
            | Self::SfcScannow
            | Self::DismScanHealth
            | Self::ChkdskScan
            | Self::FsutilResetTransactions
            | Self::UsoStartScan => &[0],
        }
    }

    /// The system that has this program.
    pub const fn system(self) -> OsFamily {
        match self {
            Self::DpkgConfigureAll
            | Self::AptFixBroken
            | Self::AptCheck
            | Self::AptClean
            | Self::AptUpdate
            | Self::SystemctlResetFailed => OsFamily::Linux,
            Self::SfcScannow
            | Self::DismScanHealth
            | Self::DismRestoreHealth
            | Self::DismCleanupStore
            | Self::ChkdskScan
            | Self::FsutilResetTransactions
            | Self::UsoStartScan => OsFamily::Windows,
        }
    }

    /// Whether the program's arguments want the value of evidence.
    pub fn takes_value(self) -> bool {
        self.command().1.contains(&"{value}")
    }

    /// Whether the program changes the host at all.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::AptCheck | Self::DismScanHealth | Self::UsoStartScan)
    }

    /// What of its change can be taken back.
    pub const fn undo(self) -> Undo {
        match self {
            Self::AptCheck | Self::DismScanHealth | Self::UsoStartScan => Undo::Exact,
            // What is fetched again is what was there.
            Self::AptClean | Self::AptUpdate => Undo::Compensating,
            Self::DpkgConfigureAll
            | Self::AptFixBroken
            | Self::SystemctlResetFailed
            | Self::SfcScannow
            | Self::DismCleanupStore
            | Self::ChkdskScan
            | Self::FsutilResetTransactions
            | Self::DismRestoreHealth => Undo::None,
        }
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

words! {
    /// The registry hives a step may work in.
    pub enum Hive ("registry hive") {
        /// `HKEY_LOCAL_MACHINE`.
        LocalMachine = "hklm",
    }
}

/// A value of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RegistryData {
    /// REG_SZ.
    Sz(String),
    /// REG_EXPAND_SZ.
    ExpandSz(String),
    /// REG_DWORD.
    Dword(u32),
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
