//! Moments, the clock that gives them, and times as a log wrote them.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Prints as RFC 3339 UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a time: write RFC 3339, such as 2026-11-22T08:00:00Z")]
pub struct BadTime(pub String);

impl Timestamp {
    /// The largest moment that can be printed in any time zone.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// From milliseconds since the epoch, held within years 0000 to 9999.
    pub const fn from_millis(ms: i64) -> Self {
        if ms > Self::MAX.0 {
            Self::MAX
        } else if ms < -62_167_219_200_000 {
            Self(-62_167_219_200_000)
        } else {
            Self(ms)
        }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment and `span` more, saturating.
    pub fn after(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(ms))
    }

    /// This moment less `span`, saturating.
    pub fn before(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(ms))
    }

    /// How long after `earlier` this is; zero where it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Days since the epoch (UTC): the key of daily partitions and roll-ups.
    pub fn day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        f.pad(&format!("{at:.3}"))
    }
}

impl FromStr for Timestamp {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self::from_millis(at.as_millisecond()))
            .map_err(|_| BadTime(text.chars().take(80).collect()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where time comes from. A parameter everywhere, so that tests can turn it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that tests set by hand.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millis()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Puts the clock at a moment, earlier ones too.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A time as its source wrote it: a wall clock to the millisecond, and the offset where the source
/// gave one. Local logs (CBS.log, WindowsUpdate.log) give none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceTime {
    /// The wall clock, as if it were UTC, in milliseconds since the epoch.
    wall_ms: i64,
    /// Minutes east of UTC; `None` where the source names no offset.
    offset: Option<i16>,
    /// Whether the source writes UTC as `Z` rather than `+00:00`.
    zulu: bool,
}

impl SourceTime {
    /// A moment in UTC, printed with `Z`.
    pub const fn utc(at: Timestamp) -> Self {
        Self { wall_ms: at.as_millis(), offset: Some(0), zulu: true }
    }

    /// A wall clock with its offset from UTC in minutes (within ±18 h, else none is kept).
    pub const fn with_offset(wall_ms: i64, minutes: i16) -> Self {
        let offset = if minutes.abs() <= 1_080 { Some(minutes) } else { None };
        Self { wall_ms, offset, zulu: false }
    }

    /// A local wall clock whose offset nobody wrote down.
    pub const fn local(wall_ms: i64) -> Self {
        Self { wall_ms, offset: None, zulu: false }
    }

    /// Milliseconds since the epoch of a calendar date and clock; `None` for a date that is not.
    pub fn wall(date: (i16, u8, u8), clock: (u8, u8, u8), ms: u16) -> Option<i64> {
        let cast = |n: u8| i8::try_from(n).ok();
        let at = jiff::civil::DateTime::new(
            date.0,
            cast(date.1)?,
            cast(date.2)?,
            cast(clock.0)?,
            cast(clock.1)?,
            cast(clock.2)?,
            i32::from(ms) * 1_000_000,
        )
        .ok()?;
        let utc = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(utc.timestamp().as_millisecond())
    }

    /// Milliseconds of the wall clock, as if it were UTC.
    pub const fn wall_ms(self) -> i64 {
        self.wall_ms
    }

    /// Whether the source writes UTC, whatever the zone of its machine.
    pub const fn is_utc(self) -> bool {
        self.zulu
    }

    /// The moment meant; a time without offset is read with `local_offset` (minutes east of UTC).
    pub fn to_timestamp(self, local_offset: i16) -> Timestamp {
        let minutes = i64::from(self.offset.unwrap_or(local_offset));
        Timestamp::from_millis(self.wall_ms - minutes * 60_000)
    }
}

impl fmt::Display for SourceTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Timestamp::from_millis(self.wall_ms).to_string();
        let wall = text.trim_end_matches('Z');
        match self.offset {
            None => f.pad(wall),
            Some(0) if self.zulu => f.pad(&text),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let (h, m) = (minutes.abs() / 60, minutes.abs() % 60);
                f.pad(&format!("{wall}{sign}{h:02}:{m:02}"))
            }
        }
    }
}

impl FromStr for SourceTime {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadTime(text.chars().take(80).collect());
        let (wall, offset, zulu) = if let Some(wall) = text.strip_suffix('Z') {
            (wall, Some(0), true)
        } else if let Some(at) = text.rfind(['+', '-']).filter(|at| *at > 10) {
            let (wall, zone) = text.split_at(at);
            let (h, m) = zone[1..].split_once(':').ok_or_else(bad)?;
            let h: i16 = h.parse().map_err(|_| bad())?;
            let m: i16 = m.parse().map_err(|_| bad())?;
            if h > 18 || m > 59 {
                return Err(bad());
            }
            let minutes = h * 60 + m;
            (wall, Some(if zone.starts_with('-') { -minutes } else { minutes }), false)
        } else {
            (text, None, false)
        };
        let at: jiff::civil::DateTime = wall.parse().map_err(|_| bad())?;
        let utc = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| bad())?;
        Ok(Self { wall_ms: utc.timestamp().as_millisecond(), offset, zulu })
    }
}

impl Serialize for SourceTime {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SourceTime {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_rfc3339_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        let at: Timestamp = "2026-11-22T08:00:00+03:00".parse().expect("valid");
        assert_eq!(at.to_string(), "2026-11-22T05:00:00.000Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!(Timestamp::from_millis(i64::MAX).to_string().starts_with("9999-12-30"));
    }

    #[test]
    fn source_times_print_as_the_source_wrote_them() {
        for text in [
            "2018-07-12T20:51:29.852Z",
            "2023-06-28T04:15:45.293+03:00",
            "2020-02-04T17:17:12.000",
            "2020-02-04T17:17:12.000-03:30",
        ] {
            assert_eq!(text.parse::<SourceTime>().expect(text).to_string(), text);
        }
        let local: SourceTime = "2020-02-04T17:17:12.000".parse().expect("valid");
        assert_eq!(local.to_timestamp(180).to_string(), "2020-02-04T14:17:12.000Z");
    }

    #[test]
    fn a_date_that_is_not_gives_none() {
        assert_eq!(SourceTime::wall((2023, 2, 30), (0, 0, 0), 0), None);
        assert_eq!(SourceTime::wall((2023, 2, 28), (0, 0, 0), 5), Some(1_677_542_400_005));
    }
}
