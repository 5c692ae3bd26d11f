//! What reading a code gives: the code with what was changed, or why not.

use std::fmt;

use serde::{Serialize, Serializer};

use super::FailureCode;

/// The longest text that is looked at, in bytes.
pub(super) const INPUT_BYTES: usize = 1_024;

/// What was changed to read a code. Prints in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Look-alike letters or signs became Latin ones.
    Letters,
    /// Spaces, brackets or punctuation were dropped.
    Marks,
    /// Words around the code were dropped.
    Words,
    /// `0x` was put before it.
    Prefix,
    /// Upper-case letters of a name became lower-case ones.
    LowerCase,
    /// A signed decimal number.
    Signed,
    /// An unsigned decimal number.
    Unsigned,
    /// A message number as event logs write it (`%%N`).
    MessageNumber,
    /// A Win32 error number, made an HRESULT.
    Win32(u16),
    /// 64 bits of which the upper half only repeats the sign.
    SignExtended,
    /// Leading zeros were missing.
    Padded,
    /// The code of a symbol, such as `WU_E_NO_SERVICE`.
    Symbol,
    /// One zero was missing.
    ZeroAdded,
    /// One zero was too many.
    ZeroRemoved,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Letters => "look-alike letters were replaced by Latin ones",
            Self::Marks => "spaces, brackets or punctuation were dropped",
            Self::Words => "the words around the code were dropped",
            Self::Prefix => "0x was put before it",
            Self::LowerCase => "capital letters were made small",
            Self::Signed => "a signed decimal number was written in hex",
            Self::Unsigned => "an unsigned decimal number was written in hex",
            Self::MessageNumber => "an event log's message number (%%) was written in hex",
            Self::Win32(code) => return write!(f, "Win32 error {code} was written as an HRESULT"),
            Self::SignExtended => "the upper half of 64 bits was dropped",
            Self::Padded => "leading zeros were added",
            Self::Symbol => "the code of this symbol was looked up",
            Self::ZeroAdded => "a missing zero was added",
            Self::ZeroRemoved => "a zero too many was removed",
        })
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A code as it was read from what somebody typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeReading {
    /// The code.
    pub code: FailureCode,
    /// What was typed.
    pub original: String,
    /// What was changed, in the order of the list in [`Change`]; empty for an exact code.
    pub changes: Vec<Change>,
    /// Whether the code is a guess to be confirmed ("did you mean"): a zero was added or removed.
    pub suggested: bool,
    /// The stage that setup prints after its code, such as `0xA001B`.
    pub stage: Option<u32>,
}

/// Why a text could not be read as a code. Each message says what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nothing was typed.
    #[error("no code was given; {ACCEPTED}")]
    Empty,
    /// More was typed than is looked at.
    #[error("the text is longer than {INPUT_BYTES} bytes: give the code alone; {ACCEPTED}")]
    TooLong,
    /// There is no code in it.
    #[error("\"{0}\" holds no code; {ACCEPTED}")]
    NoCode(String),
    /// A wrong number of digits, and no single code that it may have meant.
    #[error("\"{text}\" has {digits} hex digits where a code has 8{}", did_you_mean(.candidates))]
    Length {
        /// What was typed.
        text: String,
        /// Its digits.
        digits: usize,
        /// Known codes that are one zero away.
        candidates: Vec<String>,
    },
    /// A decimal number that is no code.
    #[error("the number {0} is no 32-bit failure code; for a program's exit code write exit:{0}")]
    Number(String),
    /// An exit code out of range.
    #[error("\"{0}\" is not an exit code: write exit: and a whole number, such as exit:11")]
    Exit(String),
    /// A setup stage without its code.
    #[error(
        "0x{0:05X} is a setup stage: put the result code before it, as in 0xC1900101 0x{0:05X}"
    )]
    StageAlone(u32),
    /// Several codes.
    #[error("the text holds several codes ({}): give one", .0.join(", "))]
    Several(Vec<String>),
}

const ACCEPTED: &str = "write it as 0x80070003, 80070003, -2147024893, 2147942403, exit:11 or a name such as apt.lock_held";

fn did_you_mean(candidates: &[String]) -> String {
    if candidates.is_empty() {
        format!("; {ACCEPTED}")
    } else {
        format!("; did you mean {}?", candidates.join(" or "))
    }
}
