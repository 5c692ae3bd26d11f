//! Failure codes: what a machine reported, how it prints, and how people type it.
//!
//! Reading a code that a person typed (`read`) and saying what its bits mean (`decode`) live in
//! the submodules; the rest of the product handles [`FailureCode`] only.

mod decode;
mod ntstatus;
mod read;
mod reading;
mod stage;
mod win32;

pub use decode::{Decoded, decode};
pub use read::{of_windows, read, update_number};
pub use reading::{Change, CodeReading, Unreadable};
pub use stage::Stage;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::words::Slug;

/// The code of a failure: an HRESULT or NTSTATUS, a program's exit code, or a slug of our own.
///
/// Prints as `0x%08X`, as `exit:N`, or as the slug.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FailureCode {
    /// An HRESULT or NTSTATUS.
    Hresult(u32),
    /// The exit code of a program, such as restic's 11.
    Exit(i32),
    /// A failure that its source gives no number for, such as `apt.dpkg_interrupted`.
    Slug(Slug),
}

/// A text that is no code in its exact form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a failure code: write 0x and eight hex digits (0x80070003), exit:N, or a name such as apt.lock_held"
)]
pub struct BadCode(pub String);

impl FailureCode {
    /// Whether a 32-bit code says failure: its top bit is set.
    pub const fn is_failing(value: u32) -> bool {
        value & 0x8000_0000 != 0
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hresult(value) => f.pad(&format!("0x{value:08X}")),
            Self::Exit(status) => f.pad(&format!("exit:{status}")),
            Self::Slug(slug) => slug.fmt(f),
        }
    }
}

/// The exact forms only; what a person typed goes through the reader.
impl FromStr for FailureCode {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadCode(text.chars().take(80).collect());
        if let Some(digits) = text.strip_prefix("0x") {
            let exact = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let value = exact.then(|| u32::from_str_radix(digits, 16).ok()).flatten();
            return value.map(Self::Hresult).ok_or_else(bad);
        }
        if let Some(status) = text.strip_prefix("exit:") {
            // One spelling for one code: no plus, no zeros before it.
            let exact = status.parse().ok().filter(|n: &i32| n.to_string() == status);
            return exact.map(Self::Exit).ok_or_else(bad);
        }
        match Slug::new(text) {
            Ok(slug) if is_dotted(slug.as_str()) => Ok(Self::Slug(slug)),
            _ => Err(bad()),
        }
    }
}

/// Parts with dots between them. A dot at the end is a sentence's, and none of a code.
fn is_dotted(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|part| !part.is_empty())
}

impl TryFrom<String> for FailureCode {
    type Error = BadCode;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FailureCode> for String {
    fn from(code: FailureCode) -> Self {
        code.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_print_and_parse_exactly() {
        for text in ["0x80070003", "exit:11", "apt.dpkg_interrupted"] {
            assert_eq!(text.parse::<FailureCode>().expect(text).to_string(), text);
        }
        for bad in [
            "80070003",
            "0x8007",
            "0x800700030",
            "exit:",
            "lock",
            "",
            "0x+0070003",
            "x.",
            "a..b",
            "exit:011",
            "exit:+1",
            "exit:-0",
        ] {
            assert!(bad.parse::<FailureCode>().is_err(), "{bad:?} was taken");
        }
    }
}
