//! The closed set of questions an agent can ask its host. All are read-only, bounded in time and
//! output, and answer yes / no / unknown with proof.

use serde::{Deserialize, Serialize};

use crate::host::OsFamily;
use crate::step::{Hive, Place};

mod words;

pub use words::{
    ProxyQuestion, ReparseTarget, ServerTrouble, ServiceQuestion, SmallPartition, TargetTrouble,
};

/// What a probe asks. *Yes* always means: the fault that the name tells of is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Was dpkg interrupted? (`/var/lib/dpkg/updates` holds files, or a package is unpacked or
    /// half-configured and waits for `dpkg --configure`.)
    DpkgInterrupted,
    /// Does `dpkg --audit` name a package that needs reinstalling?
    DpkgReinstRequired,
    /// Does a package's maintainer script fail? (A half-configured package whose last configure
    /// attempt, by apt's term log, ended in an error.) Value: the package.
    DpkgScriptFails,
    /// Does `apt-get check` report unmet dependencies?
    AptBrokenDeps,
    /// Does a running process hold one of apt's locks (fcntl)? Value: its pid and name.
    AptLockHeld,
    /// Did the last `apt-get update` leave this error? (By apt's own logs.)
    AptUpdateError {
        /// Text of the error, in English, compared without case.
        contains: String,
    },
    /// Are apt's periodic stamps older than `days`, or its timer disabled?
    AptPeriodicStale {
        /// Days.
        days: u32,
    },
    /// Is less than this free, for the system, at the mount that holds `path`?
    DiskFull {
        /// An absolute path.
        path: String,
        /// Mebibytes.
        min_free_mib: u64,
        /// Inodes.
        min_free_inodes: u64,
    },
    /// Is the file system that holds `path` mounted read-only?
    ReadOnly {
        /// An absolute path.
        path: String,
    },
    /// Is a restart awaited?
    RebootPending,
    /// Is the clock wrong? (Not synchronised, or before the newest file of the package lists.)
    ClockWrong,
    /// Does the resolver fail for the update sources' hosts?
    NameResolutionFails,
    /// A question about a service or unit. Value: the service.
    Service {
        /// Its name.
        service: String,
        /// What about it.
        question: ServiceQuestion,
    },
    /// Is another program at work on the packages of rpm (rpm's own lock, or a living dnf, zypper or
    /// PackageKit that left its process id)? Value: its pid and name.
    RpmLockHeld,
    /// Does `rpmdb --verifydb` find rpm's database damaged?
    RpmDbDamaged,
    /// Does `dnf check` find installed packages at odds with each other?
    DnfCheckFails,
    /// Does one of these programs run? Value: its pid.
    ProcessRuns {
        /// The programs' file names, such as `restic`; those of Windows end in `.exe`.
        programs: Vec<String>,
    },
    /// Does the lock that a backup's failure names belong to a process of this host that is gone?
    BackupLockDead,
    /// Did any systemd unit that updates or saves the system fail? Value: the unit.
    SystemdUnitFailed,
    /// Has any systemd timer that updates or saves the system missed two of its periods? Value: it.
    SystemdTimerMissed,
    /// Does the place not exist? Value: its path.
    Missing {
        /// The place.
        place: Place,
    },
    /// Does the place exist? Value: its path.
    Exists {
        /// The place.
        place: Place,
    },
    /// Is the folder older than `days` and larger than `min_mib`?
    StaleFolder {
        /// The place.
        place: Place,
        /// Days since anything in it changed.
        days: u32,
        /// Mebibytes.
        min_mib: u64,
    },
    /// Is a registry value other than this (compared without case)? Value: what it is.
    RegistryNot {
        /// The hive.
        hive: Hive,
        /// The key below it.
        key: String,
        /// The value's name.
        name: String,
        /// Accepted values.
        accepted: Vec<String>,
    },
    /// Is a registry value one of these (compared without case)? Value: what it is.
    RegistryIs {
        /// The hive.
        hive: Hive,
        /// The key below it.
        key: String,
        /// The value's name.
        name: String,
        /// The values that answer yes.
        values: Vec<String>,
    },
    /// Is a registry value there at all? Value: what it is.
    RegistrySet {
        /// The hive.
        hive: Hive,
        /// The key below it.
        key: String,
        /// The value's name.
        name: String,
    },
    /// Does an event log hold such an event of the last days? Value: the newest one's id and time.
    /// *Unknown* where it holds none and does not reach back so far.
    EventSeen {
        /// The log's name, such as `System`.
        channel: String,
        /// Accepted providers: names differ between versions of Windows.
        providers: Vec<String>,
        /// Accepted event ids.
        ids: Vec<u32>,
        /// Days.
        days: u32,
        /// Text that one of its fields holds, compared without case, such as a service's name; any
        /// event where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        says: Option<String>,
    },
    /// Is the failure itself one of these events? Where it has no code, the event's number is what
    /// says why it failed.
    FailureEvent {
        /// Accepted providers, in any letter case.
        providers: Vec<String>,
        /// Accepted event ids.
        ids: Vec<u32>,
    },
    /// Has the update server that policy names this trouble? *No* where policy names none.
    UpdateServer {
        /// The trouble.
        trouble: ServerTrouble,
    },
    /// Can features of Windows come only from an update server, which holds none? (Policy names one,
    /// and does not let them come from Windows Update.) *No* where policy names none.
    FeaturesFromServerOnly,
    /// A question about the machine's own proxy.
    Proxy {
        /// What about it.
        question: ProxyQuestion,
    },
    /// Does the place from which this host's update authority serves updates not answer? Value: it.
    EndpointUnreachable,
    /// Has a small partition less room than this? Value: its free mebibytes.
    PartitionSmall {
        /// Which.
        partition: SmallPartition,
        /// Mebibytes.
        min_free_mib: u64,
    },
    /// Has the place where the host's backup is written this trouble? Value: the place.
    BackupTarget {
        /// The trouble.
        trouble: TargetTrouble,
    },
    /// May the shadow copies of the system volume use less than this?
    ShadowStorageSmall {
        /// Mebibytes.
        min_mib: u64,
    },
    /// Has a volume at least so many shadow copies?
    ShadowCopiesMany {
        /// The number.
        count: u32,
    },
    /// Is a snapshot being made, or a backup being read from one? (The service runs, and a writer is
    /// between its freeze and the backup's end.)
    SnapshotUnderWay,
    /// Is a shadow copy writer in a failed state? Value: its id.
    VssWriterFailed,
    /// Is a shadow copy provider of another vendor registered? Value: its name.
    VssProviderForeign,
    /// Does the registry list a user profile whose folder is gone? Value: the folder.
    ProfileFolderMissing,
    /// Does the machine run on battery?
    OnBattery,
    /// Is the network in use marked as metered?
    MeteredNetwork,
    /// Is less memory than this to be had, commit limit included?
    MemoryLow {
        /// Mebibytes.
        min_free_mib: u64,
    },
    /// Is a virus scanner of another vendor at work? Value: its name.
    ForeignAntivirus,
    /// Does Windows' own virus scanner not run, although no other one is at work and no policy keeps it
    /// off?
    DefenderDown,
    /// Does the hosts file name a host that updates come from, so that it is looked for in the wrong
    /// place? Value: the name.
    HostsFileRedirects,
    /// Does policy name a place for the files that repair Windows, and there is none of them? Value:
    /// the place.
    RepairSourceMissing,
    /// Do the machine's COM permissions keep the system itself from starting a COM server?
    ComLaunchDenied,
    /// Do the permissions of a folder keep an account from reading and writing in it? Value: its path.
    /// *Unknown* where there is no such folder.
    AclLacks {
        /// The folder.
        place: Place,
        /// The account, and groups that it is in beside those of everybody: SIDs, `S-1-5-20`.
        sids: Vec<String>,
    },
    /// Is TLS 1.2 off for clients, by what is set or by what this version of Windows does where nothing
    /// is set?
    Tls12Off,
    /// Is none of these updates installed? Asked of systems that need one of them.
    UpdateMissing {
        /// KB numbers; a later one may stand for an earlier.
        any_of: Vec<String>,
        /// The builds (`6.1`, `10.0.19045`) on which it is asked, by their beginning.
        builds: Vec<String>,
    },
    /// Is a library location, or a folder that it lies below, such a reparse point? Not something below
    /// the location. Value: the reparse point's path.
    LibraryReparse {
        /// What it leads to.
        target: ReparseTarget,
    },
    /// Is the file there and not validly signed by Microsoft? Value: its path. *Unknown* where there
    /// is no such file.
    FileUnsigned {
        /// The place.
        place: Place,
    },
    /// Does the last look that CBS.log tells of say that the store is damaged: a scan of it, or a run
    /// of sfc that could not repair a file? Where there was none, or long ago, DISM's own mark of damage
    /// is asked for.
    StoreDamaged,
    /// Could the last run of sfc not repair some file?
    SfcUnrepairable,
    /// Does the path that the failure's message names not exist? Value: the path.
    FailurePathMissing,
    /// Do the logs hold this text near the failure? (Within ten minutes, same source folder.)
    LogSays {
        /// The text, compared without case.
        contains: String,
    },
}

impl Question {
    /// The systems on which the question has an answer.
    pub const fn systems(&self) -> &'static [OsFamily] {
        match self {
            Self::DpkgInterrupted
            | Self::DpkgReinstRequired
            | Self::DpkgScriptFails
            | Self::AptBrokenDeps
            | Self::AptLockHeld
            | Self::AptUpdateError { .. }
            | Self::AptPeriodicStale { .. }
            | Self::ReadOnly { .. }
            | Self::RpmLockHeld
            | Self::RpmDbDamaged
            | Self::DnfCheckFails
            | Self::BackupLockDead
            | Self::SystemdUnitFailed
            | Self::SystemdTimerMissed => &[OsFamily::Linux],
            Self::RegistryNot { .. }
            | Self::RegistryIs { .. }
            | Self::RegistrySet { .. }
            | Self::EventSeen { .. }
            | Self::FailureEvent { .. }
            | Self::UpdateServer { .. }
            | Self::FeaturesFromServerOnly
            | Self::FileUnsigned { .. }
            | Self::PartitionSmall { .. }
            | Self::BackupTarget { .. }
            | Self::ShadowStorageSmall { .. }
            | Self::ShadowCopiesMany { .. }
            | Self::SnapshotUnderWay
            | Self::VssWriterFailed
            | Self::VssProviderForeign
            | Self::ProfileFolderMissing
            | Self::MeteredNetwork
            | Self::ForeignAntivirus
            | Self::DefenderDown
            | Self::HostsFileRedirects
            | Self::RepairSourceMissing
            | Self::ComLaunchDenied
            | Self::AclLacks { .. }
            | Self::Tls12Off
            | Self::UpdateMissing { .. }
            | Self::LibraryReparse { .. }
            | Self::StoreDamaged
            | Self::SfcUnrepairable => &[OsFamily::Windows],
            Self::DiskFull { .. }
            | Self::RebootPending
            | Self::ClockWrong
            | Self::NameResolutionFails
            | Self::Service { .. }
            | Self::Missing { .. }
            | Self::Exists { .. }
            | Self::StaleFolder { .. }
            | Self::Proxy { .. }
            | Self::EndpointUnreachable
            | Self::OnBattery
            | Self::MemoryLow { .. }
            | Self::ProcessRuns { .. }
            | Self::FailurePathMissing
            | Self::LogSays { .. } => &[OsFamily::Windows, OsFamily::Linux],
        }
    }

    /// Whether the question, with what it names, can be answered on a system: a folder below
    /// `/var` is not asked for on Windows, nor a systemd unit.
    pub fn has_answer_on(&self, os: OsFamily) -> bool {
        self.systems().contains(&os) && self.names_of().is_none_or(|named| named == os)
    }

    /// Whether the answer is read from what was logged, so that it may stay *yes* after the fault
    /// is gone. Such a question can support a cause, but not be the cause's own probe.
    pub const fn is_of_the_past(&self) -> bool {
        matches!(
            self,
            Self::AptUpdateError { .. }
                | Self::LogSays { .. }
                | Self::EventSeen { .. }
                | Self::FailureEvent { .. }
        )
    }

    /// Whether the answer is about the failure's own subject (its unit, its package, its path), so
    /// that it says nothing of another failure on the same host.
    pub const fn is_about_the_subject(&self) -> bool {
        matches!(
            self,
            Self::SystemdUnitFailed
                | Self::SystemdTimerMissed
                | Self::FailurePathMissing
                | Self::BackupLockDead
                | Self::AptUpdateError { .. }
                | Self::LogSays { .. }
                | Self::FailureEvent { .. }
        )
    }

    /// The system whose names the question uses; `None` where it names nothing.
    fn names_of(&self) -> Option<OsFamily> {
        let is = |linux: bool| Some(if linux { OsFamily::Linux } else { OsFamily::Windows });
        match self {
            Self::DiskFull { path, .. } | Self::ReadOnly { path } => is(path.starts_with('/')),
            Self::Service { service, .. } => {
                is([".service", ".timer", ".socket"].iter().any(|end| service.ends_with(end)))
            }
            Self::ProcessRuns { programs } => {
                is(!programs.iter().any(|name| is_windows_program(name)))
            }
            Self::Missing { place } | Self::Exists { place } | Self::StaleFolder { place, .. } => {
                match place {
                    Place::Below { base, .. } => Some(base.system()),
                    Place::Evidence { .. } => None,
                }
            }
            _ => match self.systems() {
                [one] => Some(*one),
                _ => None,
            },
        }
    }
}

/// Whether a program's file name is one of Windows: it ends in `.exe`.
pub fn is_windows_program(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("exe"))
}
