//! Cron expressions of five fields.
//!
//! An evaluator of our own: the kept libraries for it (croner, cron) count in chrono's time, and
//! would bring a second set of zone rules beside jiff's. The syntax is Vixie's: lists, spans, steps and
//! names; where both a day of the month and a day of the week are set, either is enough. No seconds,
//! no `@daily`, no `L` or `#`: `Monthly` says such things in words.

use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::BadExpression;
use super::zone::{civil, moment};
use crate::time::Timestamp;

/// From one 29 February to the next are up to eight years, and one day for the zone.
const LOOK_AHEAD_DAYS: u32 = 8 * 366 + 1;
/// The longest expression, in bytes.
const BYTES: usize = 200;

const WANTED: &str =
    "five fields: minute hour day month weekday, such as \"0 22 * * 2\" for Tuesdays at 22:00";
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// An expression that was read: a bit for each value that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// From Sunday.
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

impl FromStr for Cron {
    type Err = BadExpression;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |accepted| BadExpression::new("cron expression", text, accepted);
        if text.len() > BYTES {
            return Err(bad(WANTED));
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return Err(bad(WANTED)) };
        let field = |text, first, last, names: &[&str], wanted| {
            bits(text, first, last, names).ok_or_else(|| bad(wanted))
        };
        let weekdays = field(weekday, 0, 7, &WEEKDAYS, "weekdays from 0 to 7 or sun to sat")?;
        let cron = Self {
            minutes: field(minute, 0, 59, &[], "minutes from 0 to 59")?,
            hours: field(hour, 0, 23, &[], "hours from 0 to 23")?,
            days: field(day, 1, 31, &[], "days of the month from 1 to 31")?,
            months: field(month, 1, 12, &MONTHS, "months from 1 to 12 or jan to dec")?,
            // Both 0 and 7 are Sunday.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        };
        if cron.ever() { Ok(cron) } else { Err(bad("a day that some month has")) }
    }
}

impl Cron {
    /// The first time after a moment, by the clock of a zone.
    pub fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        // A day back: zones may put the calendar back too.
        let mut date = civil(zone, after)?.date().checked_sub(1.day()).ok()?;
        for _ in 0..=LOOK_AHEAD_DAYS {
            if self.has(date) {
                let found = self.clock().find_map(|clock| {
                    moment(zone, date.to_datetime(clock)).filter(|at| *at > after)
                });
                if found.is_some() {
                    return found;
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// Its times of a day, in order.
    fn clock(&self) -> impl Iterator<Item = Time> + '_ {
        let hours = (0..24_i8).filter(|h| self.hours >> h & 1 == 1);
        hours.flat_map(|hour| {
            let minutes = (0..60_i8).filter(|m| self.minutes >> m & 1 == 1);
            minutes.filter_map(move |minute| Time::new(hour, minute, 0, 0).ok())
        })
    }

    fn has(&self, date: Date) -> bool {
        let day = self.days >> date.day() & 1 == 1;
        let weekday = self.weekdays >> date.weekday().to_sunday_zero_offset() & 1 == 1;
        let fits = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        fits && self.months >> date.month() & 1 == 1
    }

    /// Whether any date fits.
    fn ever(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let by_weekday = !self.any_weekday && !self.any_day;
        let by_day = LONGEST.iter().enumerate().any(|(i, longest)| {
            self.months >> (i + 1) & 1 == 1 && self.days.trailing_zeros() <= *longest
        });
        by_weekday || by_day
    }
}

/// The values of one field: `*`, `5`, `1-5`, `*/15`, `mon-fri`, and lists of those.
fn bits(text: &str, first: u32, last: u32, names: &[&str]) -> Option<u64> {
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        match named.and_then(|at| u32::try_from(at).ok()) {
            // Months count from 1, weekdays from 0.
            Some(at) => Some(at + first),
            None => number(text).filter(|n| (first..=last).contains(n)),
        }
    };
    let mut bits = 0_u64;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, number(step).filter(|s| (1..=last).contains(s))?),
            None => (part, 1),
        };
        let (low, high) = match span.split_once('-') {
            _ if span == "*" => (first, last),
            Some((low, high)) => (value(low)?, value(high)?),
            // `5/15` is from 5 on in some crons and an error in others: refused.
            None if step > 1 || part.contains('/') => return None,
            None => (value(span)?, value(span)?),
        };
        if low > high {
            return None;
        }
        let fitting = (low..=high).filter(|n| (n - low).is_multiple_of(step));
        bits |= fitting.fold(0, |bits, n| bits | 1 << n);
    }
    Some(bits)
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
