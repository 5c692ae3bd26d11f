//! Where a step works: below a system folder, or where the agent's own evidence points.

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

    /// A path below it as a person of its system writes it; `path` has `/`.
    pub fn join(self, path: &str) -> String {
        let base = match self {
            Self::Windows => "%SystemRoot%",
            Self::System32 => "%SystemRoot%\\System32",
            Self::ProgramData => "%ProgramData%",
            Self::Etc => "/etc",
            Self::VarLib => "/var/lib",
            Self::VarCache => "/var/cache",
            Self::VarLog => "/var/log",
        };
        match self.system() {
            OsFamily::Windows => format!("{base}\\{}", path.replace('/', "\\")),
            OsFamily::Linux => format!("{base}/{path}"),
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
