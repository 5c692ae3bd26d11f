//! Spans of time as people write them in settings and on command lines: `90m`, `24h`, `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time of whole seconds. Prints in the largest unit that holds it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// A text that is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a span of time: write a number and s, m, h or d, such as 24h")]
pub struct BadSpan(pub String);

/// The units, the largest first, with their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// So many days.
    pub const fn days(days: u32) -> Self {
        Self(Duration::from_hours(24 * days as u64))
    }

    /// So many hours.
    pub const fn hours(hours: u32) -> Self {
        Self(Duration::from_hours(hours as u64))
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    /// Of a duration's whole seconds.
    fn from(time: Duration) -> Self {
        Self(Duration::from_secs(time.as_secs()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (unit, size) =
            UNITS.into_iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(('s', 1));
        f.pad(&format!("{}{unit}", seconds / size))
    }
}

impl FromStr for Span {
    type Err = BadSpan;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadSpan(text.chars().take(40).collect());
        let unit = text.chars().last().ok_or_else(bad)?;
        let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let count = &text[..text.len() - 1];
        if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let count: u64 = count.parse().map_err(|_| bad())?;
        count.checked_mul(size).map(|s| Self(Duration::from_secs(s))).ok_or_else(bad)
    }
}

impl TryFrom<String> for Span {
    type Error = BadSpan;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_written() {
        for (text, seconds) in [("90m", 5_400), ("7d", 604_800), ("36h", 129_600), ("5s", 5)] {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.duration().as_secs(), span.to_string()), (seconds, text.to_owned()));
        }
        for bad in ["", "7", "d", "7w", "-1h", "+1h", "99999999999999999999d", "7д", "1 h"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?} was taken");
        }
    }
}
