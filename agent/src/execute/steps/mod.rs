//! The steps themselves: check, what undoing will take, apply, verify, undo; one file a family. The
//! set is closed: what is not here cannot be done by this agent, whatever an order says.

mod as_unit;
mod file;
mod pause;
mod registry;
mod reparse;
mod restore_point;
mod service;
mod tool;
#[cfg(unix)]
mod tree;
pub(crate) mod update;
mod wait;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::step::{Action, Hive};
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use serde::{Deserialize, Serialize};

pub(super) use self::tool::none_is_there;

use super::output::StepLog;
use super::pauses::{Paused, Pauses};
use crate::platform::{Exit, Platform, Program, RegistryValue, Reparse};
use crate::prober::Prober;

/// What undoing a step takes. Written to the journal before the step's effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case", tag = "undo")]
pub(crate) enum UndoRecord {
    /// Nothing can or need be taken back.
    #[default]
    Nothing,
    /// Something was moved: it goes back. Host paths, absolute, below the platform's root.
    Moved {
        /// Where it was.
        from: String,
        /// Where it is to be found.
        to: Kept,
    },
    /// Folders were made, outermost first.
    Made {
        /// Host paths.
        folders: Vec<String>,
    },
    /// A service ran or did not.
    ServiceRan {
        /// Its name.
        service: String,
        /// Whether it ran.
        ran: bool,
    },
    /// A service's start type was changed.
    ServiceStart {
        /// Its name.
        service: String,
        /// What it was, in systemd's word.
        was: String,
    },
    /// A value of the registry was set or deleted.
    RegistryWas {
        /// The hive.
        hive: Hive,
        /// The key below it.
        key: String,
        /// The value's name.
        name: String,
        /// What it was; `None` where it was not there.
        was: Option<RegistryValue>,
        /// What it was made; `None` where it was deleted.
        set: Option<RegistryValue>,
    },
    /// The host is less protected for a while; the register of pauses has the same.
    Pause {
        /// What is to be put back.
        paused: Paused,
    },
    /// A mounted volume or junction was taken off its folder.
    Detached {
        /// The folder.
        path: String,
        /// What it led to.
        reparse: Reparse,
    },
    /// A restore point was made.
    RestorePoint {
        /// Its name, of this job alone.
        name: String,
    },
}

/// Where a moved thing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kept", content = "name")]
pub(crate) enum Kept {
    /// In its own folder, under another name.
    Beside(String),
    /// In the agent's quarantine, under this name.
    Quarantine(String),
}

/// What a look before the step gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is so already.
    AlreadySo(String),
    /// It is to be done; this is what undoing it will take.
    Todo(UndoRecord),
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Applied {
    /// In words.
    pub detail: String,
    /// The exit status, where a program ran.
    pub exit: Option<i32>,
}

/// What the host says of a step that a crash hid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AfterCrash {
    /// It was done.
    Done(String),
    /// It had no effect: it may be done now.
    NotDone,
    /// Nobody can tell.
    Unclear(String),
    /// It ended without the agent, and so.
    Ended(Result<Applied, StepError>),
}

/// A step that cannot be done, or was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepError {
    /// It cannot be done on this host.
    #[error("{0}")]
    Impossible(String),
    /// It was tried and did not work.
    #[error("{detail}")]
    Failed {
        /// What happened.
        detail: String,
        /// The exit status, where a program ran.
        exit: Option<i32>,
    },
}

impl StepError {
    pub(crate) fn failed(detail: impl Into<String>) -> Self {
        Self::Failed { detail: detail.into(), exit: None }
    }

    /// The exit status, where a program ran.
    pub(crate) fn exit(&self) -> Option<i32> {
        match self {
            Self::Failed { exit, .. } => *exit,
            Self::Impossible(_) => None,
        }
    }
}

/// All that a step may use.
pub(crate) struct Bench<'a> {
    /// The machine.
    pub platform: &'a dyn Platform,
    /// Its probes.
    pub prober: &'a dyn Prober,
    /// The job.
    pub job: JobId,
    /// The step's place.
    pub index: u32,
    /// The boot this agent runs in.
    pub boot: &'a str,
    /// The values of the agent's own evidence that the order names, by probe.
    pub values: &'a BTreeMap<Slug, String>,
    /// The one update (`KB5031356`) that the failure is about, where it is about one.
    pub update: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
    /// What leaves the host less protected for a while.
    pub pauses: &'a Pauses,
    /// The undo records of the steps before, oldest first.
    pub earlier: &'a [UndoRecord],
    /// The services that earlier steps were to stop, and that did not run.
    pub idle: &'a [String],
    /// The agent's quarantine folder, on the agent's own file system.
    pub quarantine: &'a Path,
    /// Time for the step.
    pub timeout: Duration,
    /// Time between two looks of a step that waits.
    pub look_every: Duration,
    /// Where output goes.
    pub log: &'a StepLog,
    /// Where a program's output and outcome are kept until the job's end is with the server.
    pub kept: &'a Path,
}

/// What a machine gives that does not know its boot.
const NO_BOOT: &str = "unknown";

/// Looks whether the step is needed and possible, and what undoing it will take.
pub(crate) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    match action {
        Action::ToolRun { .. } | Action::BackupRun { .. } => tool::check(action, bench).await,
        Action::FileRename { .. }
        | Action::FileQuarantine { .. }
        | Action::FileCreateDir { .. }
        | Action::FileRestore { .. } => file::check(action, bench),
        Action::ServiceStart { .. }
        | Action::ServiceStop { .. }
        | Action::ServiceRestart { .. }
        | Action::ServiceSetStart { .. } => service::check(action, bench).await,
        Action::WaitUntil { probe } => wait::check(probe, bench).await,
        Action::Reboot {} => Ok(Checked::Todo(UndoRecord::Nothing)),
        Action::RegistrySet { .. } | Action::RegistryDelete { .. } => {
            registry::check(action, bench).await
        }
        Action::FirewallSuspend { .. } | Action::AntivirusExclude { .. } => {
            pause::check(action, bench).await
        }
        Action::ReparseList { .. } | Action::ReparseDetach { .. } => {
            reparse::check(action, bench).await
        }
        Action::UpdateScan {} | Action::UpdateDownload {} | Action::UpdateInstall {} => {
            update::check(action, bench).await
        }
        Action::RestorePointCreate {} => restore_point::check(bench).await,
    }
}

/// Does it. `undo` stands in the journal already.
pub(crate) async fn apply(
    action: &Action,
    undo: &UndoRecord,
    bench: &Bench<'_>,
) -> Result<Applied, StepError> {
    match action {
        Action::ToolRun { .. } | Action::BackupRun { .. } => tool::apply(action, bench).await,
        Action::FileRename { .. }
        | Action::FileQuarantine { .. }
        | Action::FileCreateDir { .. }
        | Action::FileRestore { .. } => file::apply(undo, bench),
        Action::ServiceStart { .. }
        | Action::ServiceStop { .. }
        | Action::ServiceRestart { .. }
        | Action::ServiceSetStart { .. } => service::apply(action, bench).await,
        Action::WaitUntil { probe } => wait::apply(probe, bench).await,
        Action::Reboot {} => service::reboot(bench).await,
        Action::RegistrySet { .. } | Action::RegistryDelete { .. } => {
            registry::apply(action, bench).await
        }
        Action::FirewallSuspend { .. } | Action::AntivirusExclude { .. } => {
            pause::apply(action, undo, bench).await
        }
        Action::ReparseList { .. } | Action::ReparseDetach { .. } => {
            reparse::apply(action, undo, bench).await
        }
        Action::UpdateScan {} | Action::UpdateDownload {} | Action::UpdateInstall {} => {
            update::apply(action, bench).await
        }
        Action::RestorePointCreate {} => restore_point::apply(undo, bench).await,
    }
}

/// Looks whether it is so now. A program's own exit status was looked at by [`apply`].
pub(crate) async fn verify(
    action: &Action,
    undo: &UndoRecord,
    bench: &Bench<'_>,
) -> Result<(), StepError> {
    match action {
        Action::FileRename { .. }
        | Action::FileQuarantine { .. }
        | Action::FileCreateDir { .. }
        | Action::FileRestore { .. } => file::verify(undo, bench),
        Action::ServiceStart { .. }
        | Action::ServiceStop { .. }
        | Action::ServiceRestart { .. }
        | Action::ServiceSetStart { .. } => service::verify(action, bench).await,
        Action::RegistrySet { .. } | Action::RegistryDelete { .. } => {
            registry::verify(action, bench).await
        }
        Action::FirewallSuspend { .. } | Action::AntivirusExclude { .. } => {
            pause::verify(undo, bench).await
        }
        Action::ReparseDetach { .. } => reparse::verify(undo, bench).await,
        Action::RestorePointCreate {} => restore_point::verify(undo, bench).await,
        Action::ToolRun { .. }
        | Action::BackupRun { .. }
        | Action::ReparseList { .. }
        | Action::UpdateScan {}
        | Action::UpdateDownload {}
        | Action::UpdateInstall {}
        | Action::WaitUntil { .. }
        | Action::Reboot {} => Ok(()),
    }
}

/// Takes it back. Harmless where it was never done, or was taken back already.
pub(crate) async fn undo(undo: &UndoRecord, bench: &Bench<'_>) -> Result<String, StepError> {
    match undo {
        UndoRecord::Nothing => Ok("nothing to take back".to_owned()),
        UndoRecord::Moved { .. } | UndoRecord::Made { .. } => file::undo(undo, bench),
        UndoRecord::ServiceRan { .. } | UndoRecord::ServiceStart { .. } => {
            service::undo(undo, bench).await
        }
        UndoRecord::RegistryWas { .. } => registry::undo(undo, bench).await,
        UndoRecord::Pause { .. } => pause::undo(undo, bench).await,
        UndoRecord::Detached { .. } => reparse::undo(undo, bench).await,
        UndoRecord::RestorePoint { .. } => restore_point::undo(undo, bench).await,
    }
}

/// Why a job that ended long ago is not taken back here: something new stands where the old would go.
pub(crate) fn in_the_way(
    undo: &UndoRecord,
    bench: &Bench<'_>,
) -> Result<Option<String>, StepError> {
    file::in_the_way(undo, bench)
}

/// Removes what a step keeps beside its old place for its undo, once nobody undoes it any more.
pub(crate) fn forget(undo: &UndoRecord, job: JobId, root: &Path) -> Result<(), StepError> {
    file::forget(undo, job, root)
}

/// Asks the host what became of a step that a crash hid.
pub(crate) async fn after_crash(
    action: &Action,
    undo: &UndoRecord,
    same_boot: bool,
    bench: &Bench<'_>,
) -> AfterCrash {
    match action {
        Action::ToolRun { .. } | Action::BackupRun { .. } => {
            tool::after_crash(action, bench).await
        }
        Action::FileRename { .. }
        | Action::FileQuarantine { .. }
        | Action::FileCreateDir { .. }
        | Action::FileRestore { .. } => file::after_crash(undo, bench),
        Action::ServiceStart { .. }
        | Action::ServiceStop { .. }
        | Action::ServiceSetStart { .. } => match service::verify(action, bench).await {
            Ok(()) => AfterCrash::Done("found so after the agent was stopped".to_owned()),
            // Starting, stopping and enabling twice is what doing it once is.
            Err(StepError::Failed { .. }) => AfterCrash::NotDone,
            Err(error @ StepError::Impossible(_)) => AfterCrash::Unclear(error.to_string()),
        },
        Action::ServiceRestart { .. } => match service::verify(action, bench).await {
            Ok(()) => AfterCrash::Unclear(
                "the service runs; whether it was restarted before the agent was stopped is not known"
                    .to_owned(),
            ),
            Err(error) => AfterCrash::Unclear(error.to_string()),
        },
        Action::WaitUntil { .. } => AfterCrash::NotDone,
        Action::Reboot {} if bench.boot == NO_BOOT => AfterCrash::Unclear(
            "this machine does not say which boot it is in: whether it has restarted is not known"
                .to_owned(),
        ),
        Action::Reboot {} if same_boot => AfterCrash::NotDone,
        Action::Reboot {} => AfterCrash::Done("the host has restarted".to_owned()),
        Action::RegistrySet { .. } | Action::RegistryDelete { .. } => {
            registry::after_crash(undo, bench).await
        }
        Action::FirewallSuspend { .. } | Action::AntivirusExclude { .. } => {
            pause::after_crash(undo, bench).await
        }
        Action::ReparseList { .. } | Action::ReparseDetach { .. } => {
            reparse::after_crash(undo, bench).await
        }
        Action::UpdateScan {} | Action::UpdateDownload {} | Action::UpdateInstall {} => {
            update::after_crash(action, bench).await
        }
        Action::RestorePointCreate {} => restore_point::after_crash(undo, bench).await,
    }
}

/// Whether a value of evidence is the name of a systemd unit.
pub(crate) fn is_unit(value: &str) -> bool {
    let kinds = [".service", ".timer", ".mount", ".socket", ".path", ".target"];
    plain_name(value) && kinds.iter().any(|kind| value.ends_with(kind))
}

/// Runs a program and puts its output into the step's log.
async fn run(bench: &Bench<'_>, path: &str, args: &[&str]) -> Result<Exit, StepError> {
    let program = program(bench, path, args);
    bench
        .log
        .run(bench.platform, &program)
        .await
        .map_err(|error| StepError::Impossible(format!("{path} cannot be run: {error}")))
}

/// A program with the bounds of a step.
fn program(bench: &Bench<'_>, path: &str, args: &[&str]) -> Program {
    Program {
        path: path.to_owned(),
        args: args.iter().map(|a| (*a).to_owned()).collect(),
        timeout: bench.timeout,
        max_output: fleetmend_core::limits::STEP_LOG_BYTES,
    }
}

/// A value of evidence that may become an argument: a unit or package name, never an option.
fn plain_name(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 255
        && !value.starts_with('-')
        && value.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'@' | b'_' | b'.' | b':' | b'+' | b'-' | b'\\')
        })
}
