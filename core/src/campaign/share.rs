//! Shares of hosts and limits of errors, as people write them: `5`, `10%`, `all`, `off`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is no share or limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {what}: write {accepted}")]
pub struct BadShare {
    /// What was wanted.
    pub what: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
    /// What is understood.
    pub accepted: &'static str,
}

/// A share of a campaign's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Share {
    /// So many; at least one.
    Hosts(u32),
    /// So many of a hundred, 1 to 100, rounded up to whole hosts.
    Percent(u8),
}

/// How many errors are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ErrorLimit {
    /// More than so many hosts; 0 means that the first error is too many.
    Hosts(u32),
    /// More than so many of a hundred of the hosts that were started, 0 to 99.
    Percent(u8),
    /// Never: must be written out, an empty or unreadable text is refused.
    Off,
}

impl Share {
    /// Whole hosts out of `total`: at least one where there is one, never more than there are.
    pub fn of(self, total: usize) -> usize {
        let wanted = match self {
            Self::Hosts(n) => n as usize,
            Self::Percent(p) => (total * usize::from(p)).div_ceil(100),
        };
        wanted.max(1).min(total)
    }
}

impl ErrorLimit {
    /// Whether `errors` among `started` hosts are more than allowed.
    pub fn is_crossed(self, errors: usize, started: usize) -> bool {
        match self {
            Self::Hosts(n) => errors > n as usize,
            Self::Percent(p) => errors > 0 && errors * 100 > started * usize::from(p),
            Self::Off => false,
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(n) => write!(f, "{n}"),
            Self::Percent(100) => f.write_str("all"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

impl FromStr for Share {
    type Err = BadShare;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadShare {
            what: "share of hosts",
            text: text.chars().take(80).collect(),
            accepted: "a number of hosts (5), a percentage from 1% to 100%, or all",
        };
        let share = match (text, text.strip_suffix('%')) {
            ("all", _) => Self::Percent(100),
            (_, Some(number)) => Self::Percent(digits(number).ok_or_else(bad)?),
            (_, None) => Self::Hosts(digits(text).ok_or_else(bad)?),
        };
        match share {
            Self::Percent(1..=100) => Ok(share),
            Self::Hosts(n) if n > 0 => Ok(share),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for ErrorLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
            Self::Off => f.write_str("off"),
        }
    }
}

impl FromStr for ErrorLimit {
    type Err = BadShare;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadShare {
            what: "limit of errors",
            text: text.chars().take(80).collect(),
            accepted: "a number of hosts (0 or more), a percentage from 0% to 99%, or off",
        };
        let limit = match (text, text.strip_suffix('%')) {
            ("off", _) => Self::Off,
            (_, Some(number)) => Self::Percent(digits(number).ok_or_else(bad)?),
            (_, None) => Self::Hosts(digits(text).ok_or_else(bad)?),
        };
        match limit {
            Self::Percent(100..) => Err(bad()),
            _ => Ok(limit),
        }
    }
}

/// A number of ASCII digits alone: no sign, no space.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = BadShare;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}
as_text!(Share, ErrorLimit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_print_and_bad_ones_are_refused() {
        for text in ["1", "5", "1%", "10%", "all"] {
            assert_eq!(text.parse::<Share>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "0", "0%", "101%", "-1", "+1", " 5", "5 %", "many", "1.5%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        for text in ["0", "3", "0%", "5%", "off"] {
            assert_eq!(text.parse::<ErrorLimit>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "100%", "none", "-1", "5%%", "5 errors", "null"] {
            assert!(text.parse::<ErrorLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_whole_hosts_and_limits_are_crossed_above_them() {
        let of = |text: &str, total| text.parse::<Share>().expect("a share").of(total);
        assert_eq!((of("1%", 50), of("1%", 101), of("10%", 1_000), of("all", 7)), (1, 2, 100, 7));
        assert_eq!((of("5", 3), of("5", 0)), (3, 0));
        let crossed = |text: &str, errors, started| {
            text.parse::<ErrorLimit>().expect("a limit").is_crossed(errors, started)
        };
        assert!(!crossed("5%", 5, 100) && crossed("5%", 6, 100) && crossed("0%", 1, 1_000));
        assert!(crossed("0", 1, 9) && !crossed("3", 3, 9) && !crossed("off", 9, 9));
    }
}
