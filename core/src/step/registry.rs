//! The registry as steps and probes name it.

use serde::{Deserialize, Serialize};

use crate::words;

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
