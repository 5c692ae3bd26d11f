//! The system programs that a step may run, with their one form of arguments each.

use super::Undo;
use super::is_build;
use crate::host::OsFamily;
use crate::knowledge::{Lang, NetworkCost};
use crate::words;

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
        /// `apt-get install --reinstall PACKAGE` for the package that evidence names; removes nothing.
        AptReinstall = "apt.reinstall",
        /// Copies `/var/lib/rpm` to `/var/lib/rpm.fleetmend`; the files of an older copy keep their
        /// content under numbered names.
        RpmCopyDb = "rpm.copy_db",
        /// `rpm --rebuilddb`
        RpmRebuildDb = "rpm.rebuild_db",
        /// `dnf clean metadata`
        DnfCleanMetadata = "dnf.clean_metadata",
        /// `dnf makecache`
        DnfMakecache = "dnf.makecache",
        /// `dnf check`
        DnfCheck = "dnf.check",
        /// `zypper refresh --force`
        ZypperRefresh = "zypper.refresh",
        /// `restic unlock`, as the unit that evidence names would run it: restic itself leaves every
        /// lock that a living process has renewed within the last half hour.
        ResticUnlock = "restic.unlock",
        /// `restic check`, as the unit that evidence names would run it.
        ResticCheck = "restic.check",
        /// `borg break-lock`, as the unit that evidence names would run it.
        BorgBreakLock = "borg.break_lock",
        /// `borg check`, as the unit that evidence names would run it.
        BorgCheck = "borg.check",
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
        /// `wuauclt /resetauthorization /detectnow`: only old systems heed it.
        WuaucltDetectNow = "wuauclt.detect_now",
        /// `vssadmin list writers`, for the record.
        VssadminListWriters = "vssadmin.list_writers",
        /// `vssadmin delete shadows /for=C: /oldest /quiet`: one copy, the oldest.
        VssadminDeleteOldest = "vssadmin.delete_oldest",
        /// Removes superseded parts from the component store.
        DismCleanupStore = "dism.cleanup_store",
        /// `chkdsk C: /scan`: looks at a file system while it is in use, and repairs what it can so.
        ChkdskScan = "chkdsk.scan",
        /// Lets NTFS make the journal of its transactions anew at the next start.
        FsutilResetTransactions = "fsutil.reset_transactions",
    }
}

/// A program that systemd runs as a unit runs its own, and waits for.
macro_rules! as_unit {
    ($program:literal, $command:literal) => {
        (
            "/usr/bin/systemd-run",
            &["--wait", "--pipe", "--collect", "--quiet", "{as_unit}", "--", $program, $command],
        )
    };
}

impl Tool {
    /// The program's absolute path (`%System32%` stands for the system's own folder) and its
    /// arguments. `{value}` stands for the evidence's value, checked by the platform before use.
    /// `{as_unit}` stands for what makes systemd run the program as the unit of that name runs its
    /// own: user, group, folder and the *names* of its environment files, never what they hold.
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
            Self::AptReinstall => (
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
                    "install",
                    "--reinstall",
                    "{value}",
                ],
            ),
            // -H: where the database moved, the old place is a link to it. A second copy may be of what
            // is worse already: the first is never overwritten.
            Self::RpmCopyDb => (
                "/usr/bin/cp",
                &[
                    "-a",
                    "-H",
                    "-T",
                    "--backup=numbered",
                    "--",
                    "/var/lib/rpm",
                    "/var/lib/rpm.fleetmend",
                ],
            ),
            Self::RpmRebuildDb => ("/usr/bin/rpm", &["--rebuilddb"]),
            Self::DnfCleanMetadata => ("/usr/bin/dnf", &["-y", "clean", "metadata"]),
            Self::DnfMakecache => ("/usr/bin/dnf", &["-y", "makecache"]),
            Self::DnfCheck => ("/usr/bin/dnf", &["-y", "check"]),
            Self::ZypperRefresh => {
                ("/usr/bin/zypper", &["--non-interactive", "refresh", "--force"])
            }
            Self::ResticUnlock => as_unit!("/usr/bin/restic", "unlock"),
            Self::ResticCheck => as_unit!("/usr/bin/restic", "check"),
            Self::BorgBreakLock => as_unit!("/usr/bin/borg", "break-lock"),
            Self::BorgCheck => as_unit!("/usr/bin/borg", "check"),
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
            Self::WuaucltDetectNow => {
                ("%System32%/wuauclt.exe", &["/resetauthorization", "/detectnow"])
            }
            Self::VssadminListWriters => ("%System32%/vssadmin.exe", &["list", "writers"]),
            Self::VssadminDeleteOldest => {
                ("%System32%/vssadmin.exe", &["delete", "shadows", "/for=C:", "/oldest", "/quiet"])
            }
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
            | Self::AptReinstall
            | Self::RpmCopyDb
            | Self::RpmRebuildDb
            | Self::DnfCleanMetadata
            | Self::DnfMakecache
            | Self::DnfCheck
            | Self::ZypperRefresh
            | Self::ResticUnlock
            | Self::ResticCheck
            | Self::BorgBreakLock
            | Self::BorgCheck
            | Self::SystemctlResetFailed
            | Self::SfcScannow
            | Self::DismScanHealth
            | Self::ChkdskScan
            | Self::FsutilResetTransactions
            | Self::WuaucltDetectNow
            | Self::VssadminListWriters
            | Self::VssadminDeleteOldest
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
            | Self::AptReinstall
            | Self::RpmCopyDb
            | Self::RpmRebuildDb
            | Self::DnfCleanMetadata
            | Self::DnfMakecache
            | Self::DnfCheck
            | Self::ZypperRefresh
            | Self::ResticUnlock
            | Self::ResticCheck
            | Self::BorgBreakLock
            | Self::BorgCheck
            | Self::SystemctlResetFailed => OsFamily::Linux,
            Self::SfcScannow
            | Self::DismScanHealth
            | Self::DismRestoreHealth
            | Self::DismCleanupStore
            | Self::ChkdskScan
            | Self::FsutilResetTransactions
            | Self::WuaucltDetectNow
            | Self::VssadminListWriters
            | Self::VssadminDeleteOldest
            | Self::UsoStartScan => OsFamily::Windows,
        }
    }

    /// Whether the program's arguments want the value of evidence.
    pub fn takes_value(self) -> bool {
        self.command().1.iter().any(|a| matches!(*a, "{value}" | "{as_unit}"))
    }

    /// Whether the program changes the host at all.
    pub const fn changes(self) -> bool {
        !matches!(
            self,
            Self::AptCheck
                | Self::DnfCheck
                | Self::ResticCheck
                | Self::BorgCheck
                | Self::DismScanHealth
                | Self::UsoStartScan
                | Self::WuaucltDetectNow
                | Self::VssadminListWriters
        )
    }

    /// The builds on which it does anything, by their beginning; empty for all. Elsewhere a step
    /// with it has nothing to do.
    pub const fn builds(self) -> &'static [&'static str] {
        match self {
            // Since Windows 10 its switches do nothing, and UsoClient is there instead.
            Self::WuaucltDetectNow => &["6.0", "6.1", "6.2", "6.3"],
            Self::UsoStartScan => &["10.0"],
            // Since Windows 8. (Microsoft: Repair a Windows image; chkdsk.)
            Self::DismScanHealth
            | Self::DismRestoreHealth
            | Self::DismCleanupStore
            | Self::ChkdskScan => &["6.2", "6.3", "10.0"],
            Self::DpkgConfigureAll
            | Self::AptFixBroken
            | Self::AptCheck
            | Self::AptClean
            | Self::AptUpdate
            | Self::SystemctlResetFailed
            | Self::SfcScannow
            | Self::VssadminListWriters
            | Self::VssadminDeleteOldest
            | Self::AptReinstall
            | Self::RpmCopyDb
            | Self::RpmRebuildDb
            | Self::DnfCleanMetadata
            | Self::DnfMakecache
            | Self::DnfCheck
            | Self::ZypperRefresh
            | Self::ResticUnlock
            | Self::ResticCheck
            | Self::BorgBreakLock
            | Self::BorgCheck
            | Self::FsutilResetTransactions => &[],
        }
    }

    /// Whether it does anything on a build.
    pub fn is_on(self, build: &str) -> bool {
        self.builds().is_empty() || self.builds().iter().any(|known| is_build(build, known))
    }

    /// What a person does in its place on builds that have not got it; `None` where nothing is needed
    /// there, or it is on every build.
    pub const fn instead(self, lang: Lang) -> Option<&'static str> {
        Some(match self {
            Self::DismScanHealth | Self::DismRestoreHealth => lang.pick(
                "On Windows 7 the System Update Readiness Tool (KB947821) looks and repairs.",
                "В Windows 7 проверяет и чинит средство проверки готовности к обновлению (KB947821).",
            ),
            Self::DismCleanupStore => lang.pick(
                "On Windows 7 Disk Cleanup does it: Windows Update Cleanup (KB2852386).",
                "В Windows 7 это делает очистка диска: «Очистка обновлений Windows» (KB2852386).",
            ),
            Self::ChkdskScan => lang.pick(
                "On Windows 7 chkdsk C: only looks, and chkdsk C: /f repairs at the next start.",
                "В Windows 7 chkdsk C: только смотрит, а chkdsk C: /f чинит при следующем запуске.",
            ),
            _ => return None,
        })
    }

    /// What it may cost on the network.
    pub const fn network(self) -> NetworkCost {
        match self {
            // The checks read the repository, which may lie far away.
            Self::DismRestoreHealth
            | Self::AptFixBroken
            | Self::AptReinstall
            | Self::ResticCheck
            | Self::BorgCheck => NetworkCost::Large,
            Self::AptUpdate
            | Self::DnfMakecache
            | Self::DnfCheck
            | Self::ZypperRefresh
            | Self::ResticUnlock
            | Self::BorgBreakLock
            | Self::UsoStartScan
            | Self::WuaucltDetectNow => NetworkCost::Small,
            Self::DpkgConfigureAll
            | Self::AptCheck
            | Self::AptClean
            | Self::SystemctlResetFailed
            | Self::SfcScannow
            | Self::DismScanHealth
            | Self::DismCleanupStore
            | Self::ChkdskScan
            | Self::VssadminListWriters
            | Self::VssadminDeleteOldest
            | Self::RpmCopyDb
            | Self::RpmRebuildDb
            | Self::DnfCleanMetadata
            | Self::FsutilResetTransactions => NetworkCost::None,
        }
    }

    /// What of its change can be taken back.
    pub const fn undo(self) -> Undo {
        match self {
            Self::AptCheck
            | Self::DnfCheck
            | Self::ResticCheck
            | Self::BorgCheck
            | Self::DismScanHealth
            | Self::UsoStartScan
            | Self::WuaucltDetectNow
            | Self::VssadminListWriters => Undo::Exact,
            // What is fetched again is what was there.
            Self::AptClean
            | Self::AptUpdate
            | Self::DnfCleanMetadata
            | Self::DnfMakecache
            | Self::ZypperRefresh
            // The copy is kept under a name of ours: nothing else reads it.
            | Self::RpmCopyDb => Undo::Compensating,
            Self::DpkgConfigureAll
            | Self::AptFixBroken
            | Self::AptReinstall
            | Self::RpmRebuildDb
            | Self::ResticUnlock
            | Self::BorgBreakLock
            | Self::SystemctlResetFailed
            | Self::SfcScannow
            | Self::DismCleanupStore
            | Self::ChkdskScan
            | Self::FsutilResetTransactions
            | Self::VssadminDeleteOldest
            | Self::DismRestoreHealth => Undo::None,
        }
    }
}
