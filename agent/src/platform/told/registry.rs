//! The registry of Windows.

use std::fmt;

use fleetmend_core::step::RegistryData;
use serde::{Deserialize, Serialize};

/// A value of the registry, with its type. Written as it is read by a person: a number is a DWORD, a
/// text a REG_SZ, a list a REG_MULTI_SZ; the others name their type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum RegistryValue {
    /// REG_DWORD.
    Dword(u32),
    /// REG_SZ.
    Sz(String),
    /// REG_MULTI_SZ.
    MultiSz(Vec<String>),
    /// REG_EXPAND_SZ, unexpanded.
    ExpandSz {
        /// The text.
        expand: String,
    },
    /// REG_QWORD.
    Qword {
        /// The number.
        qword: u64,
    },
    /// REG_BINARY.
    Binary {
        /// The bytes, in hexadecimal.
        hex: String,
    },
}

impl fmt::Display for RegistryValue {
    /// The value in words that compare: numbers in decimal, several texts with `; ` between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dword(number) => number.fmt(f),
            Self::Qword { qword } => qword.fmt(f),
            Self::Sz(text) | Self::ExpandSz { expand: text } | Self::Binary { hex: text } => {
                f.pad(text)
            }
            Self::MultiSz(texts) => f.pad(&texts.join("; ")),
        }
    }
}

impl From<&RegistryData> for RegistryValue {
    fn from(data: &RegistryData) -> Self {
        match data {
            RegistryData::Sz(text) => Self::Sz(text.clone()),
            RegistryData::ExpandSz(text) => Self::ExpandSz { expand: text.clone() },
            RegistryData::Dword(number) => Self::Dword(*number),
        }
    }
}

/// What a key holds: names only, in the registry's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryKey {
    /// Its subkeys.
    pub keys: Vec<String>,
    /// Its values.
    pub values: Vec<String>,
}
