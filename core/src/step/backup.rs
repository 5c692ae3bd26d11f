//! The host's own backups, and how each is run once.

use crate::words;

words! {
    /// The host's own backups that a step can run once.
    pub enum Backup ("backup") {
        /// Windows Backup as people set it up in the Control Panel.
        WindowsBackup = "windows_backup",
        /// The system image or server backup, by its own schedule's settings.
        SystemImage = "system_image",
    }
}

impl Backup {
    /// The program that runs it as it is set up, and its arguments. `%System32%` stands for the
    /// system's own folder.
    pub const fn command(self) -> (&'static str, &'static [&'static str]) {
        match self {
            // What the scheduled task AutomaticBackup of Windows Backup runs.
            Self::WindowsBackup => {
                ("%System32%/rundll32.exe", &["/d", "sdengin2.dll,ExecuteScheduledBackup"])
            }
            // Without further words it takes what the schedule says (Microsoft, wbadmin start backup).
            Self::SystemImage => ("%System32%/wbadmin.exe", &["start", "backup", "-quiet"]),
        }
    }
}
