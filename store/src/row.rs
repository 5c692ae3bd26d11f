//! From columns to the core's words. A value that makes no sense is an error that names its table,
//! column and row, never a guess.

use std::fmt::Display;
use std::str::FromStr;

use fleetmend_core::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::error::{Result, StoreError};

/// One row's place, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a dyn IdText,
}

/// Anything that names a row.
pub(crate) trait IdText: std::fmt::Debug + Sync {
    fn text(&self) -> String;
}

impl<T: Display + std::fmt::Debug + Sync> IdText for T {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl At<'_> {
    pub(crate) fn bad(&self, column: &'static str, why: impl ToString) -> StoreError {
        StoreError::Inconsistent {
            table: self.table,
            column,
            id: self.id.text(),
            why: why.to_string(),
        }
    }

    /// A word, code, slug or id that stands as text.
    pub(crate) fn word<T>(&self, column: &'static str, text: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.parse().map_err(|e: T::Err| self.bad(column, e))
    }

    /// The same where the empty text means none.
    pub(crate) fn maybe<T>(&self, column: &'static str, text: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        if text.is_empty() { Ok(None) } else { self.word(column, text).map(Some) }
    }

    /// A value that stands as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|e| self.bad(column, e))
    }

    /// A number that cannot be negative or too large.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str, n: i64) -> Result<T> {
        T::try_from(n).map_err(|_| self.bad(column, format!("{n} is out of range")))
    }
}

/// A count: never negative.
pub(crate) fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A number for a column; what is larger than the column holds is the largest.
pub(crate) fn big(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A text where the empty one means none.
pub(crate) fn some(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// A time.
pub(crate) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A value as JSON text. The values are plain data of ours: this cannot fail for them.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Conflict(format!("a value cannot be written as JSON: {e}")))
}
