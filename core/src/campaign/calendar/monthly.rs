//! Monthly times as update days go: `second tuesday + 3 days 22:00`; at midnight where they name no time.

use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::zone::{civil, moment};
use super::{BadExpression, time_of_day, weekday};
use crate::time::Timestamp;

const WANTED: &str = "first to fourth or last, a weekday or day, if wanted + or - up to 27 days, and a time, \
     else midnight: \"second tuesday + 3 days 22:00\", \"last day\"";
/// Days that it may be moved by.
const SHIFT_DAYS: i64 = 27;
/// Months that are looked through: every one has its own time.
const LOOK_AHEAD: usize = 4;

/// A monthly time that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monthly {
    /// From 1; `None` for the last.
    nth: Option<i8>,
    /// `None` for any day.
    weekday: Option<Weekday>,
    shift: i64,
    clock: Time,
}

impl FromStr for Monthly {
    type Err = BadExpression;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| BadExpression::new("monthly time", text, WANTED))
    }
}

impl Monthly {
    /// The first time after a moment, by the clock of a zone.
    pub fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        // It may have been moved here from the month before, or out of the next one.
        let mut month = civil(zone, after)?.date().first_of_month().checked_sub(1.month()).ok()?;
        for _ in 0..LOOK_AHEAD {
            let date = self.on(month).and_then(|date| date.checked_add(self.shift.days()).ok());
            let at = date.and_then(|date| moment(zone, date.to_datetime(self.clock)));
            if let Some(at) = at.filter(|at| *at > after) {
                return Some(at);
            }
            month = month.checked_add(1.month()).ok()?;
        }
        None
    }

    /// Its day in the month of a date, before it is moved.
    fn on(&self, month: Date) -> Option<Date> {
        match (self.nth, self.weekday) {
            (Some(nth), Some(weekday)) => month.nth_weekday_of_month(nth, weekday).ok(),
            (None, Some(weekday)) => month.nth_weekday_of_month(-1, weekday).ok(),
            (Some(nth), None) => month.first_of_month().checked_add((nth - 1).days()).ok(),
            (None, None) => Some(month.last_of_month()),
        }
    }
}

fn read(text: &str) -> Option<Monthly> {
    let lower = text.get(..text.len().min(80))?.to_ascii_lowercase();
    let spaced = lower.replace('+', " + ").replace('-', " - ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    // Without a clock time it is the first moment of the day.
    let (words, clock) = match words.split_last() {
        Some((last, rest)) if last.contains(':') => (rest, *last),
        _ => (&words[..], "00:00"),
    };
    let (nth, day, shift, clock) = match *words {
        [nth, day] => (nth, day, 0, clock),
        [nth, day, sign, count, unit] => {
            let digits = count.len() <= 2 && count.bytes().all(|b| b.is_ascii_digit());
            let count = digits.then(|| count.parse().ok()).flatten()?;
            let fits = (1..=SHIFT_DAYS).contains(&count) && matches!(unit, "day" | "days");
            match sign {
                "+" if fits => (nth, day, count, clock),
                "-" if fits => (nth, day, -count, clock),
                _ => return None,
            }
        }
        _ => return None,
    };
    let nth = match nth {
        "first" => Some(1),
        "second" => Some(2),
        "third" => Some(3),
        "fourth" => Some(4),
        "last" => None,
        _ => return None,
    };
    let weekday = if day == "day" { None } else { Some(weekday(day)?) };
    Some(Monthly { nth, weekday, shift, clock: time_of_day(clock)? })
}
