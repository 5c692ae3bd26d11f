//! The system programs that a step may run, with their one form of arguments each.

use super::Undo;
use crate::host::OsFamily;
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
