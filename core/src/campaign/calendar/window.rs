//! Maintenance windows: the hours in which jobs may begin.

use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::zone::{civil, moment};
use super::{BadExpression, time_of_day, weekday};
use crate::campaign::Window;
use crate::hold::Interval;
use crate::time::Timestamp;

/// How far ahead the next opening is looked for: a weekly window opens within that even where a
/// zone skips one of its nights.
const LOOK_AHEAD_DAYS: i64 = 15;

/// A window that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weekly {
    /// By the number of days after Monday.
    days: [bool; 7],
    start: Time,
    end: Time,
    least_left: Duration,
}

/// How windows stand at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A job may begin until then.
    Open(Timestamp),
    /// The next one opens then.
    Opens(Timestamp),
    /// None opens within two weeks.
    Never,
}

impl Window {
    /// Reads it; the error names what is not understood.
    pub fn read(&self) -> Result<Weekly, BadExpression> {
        let clock = |text: &str| {
            time_of_day(text).ok_or_else(|| BadExpression::new("time of day", text, "22:00"))
        };
        let (start, end) = (clock(&self.start)?, clock(&self.end)?);
        let least_left = self.least_left.map_or(Duration::ZERO, crate::span::Span::duration);
        let window = Weekly { days: days(&self.days)?, start, end, least_left };
        if window.least_left > window.length() {
            let text = least_left.as_secs() / 60;
            return Err(BadExpression::new(
                "time that can be left in this window",
                &format!("{text}m"),
                "no more than the window is long",
            ));
        }
        Ok(window)
    }
}

impl Weekly {
    /// Every opening that overlaps a span, in order, whole: from when it opens until when it closes.
    pub fn openings(&self, zone: &TimeZone, from: Timestamp, until: Timestamp) -> Vec<Interval> {
        let (Some(first), Some(last)) = (civil(zone, from), civil(zone, until)) else {
            return Vec::new();
        };
        // One that opened yesterday may still be open; a day more where the zone skipped one.
        let mut date = first.date().checked_sub(2.days()).unwrap_or(Date::MIN);
        let mut openings = Vec::new();
        while date <= last.date() {
            if let Some(span) = self.on(zone, date)
                && span.from < until
                && span.until > from
            {
                openings.push(span);
            }
            match date.tomorrow() {
                Ok(next) => date = next,
                Err(_) => break,
            }
        }
        openings
    }

    /// The least time that must be left of it for a job to begin.
    pub const fn least_left(&self) -> Duration {
        self.least_left
    }

    /// How it stands.
    pub fn at(&self, zone: &TimeZone, now: Timestamp) -> Opening {
        let ahead = now.after(Duration::from_hours(24 * LOOK_AHEAD_DAYS.unsigned_abs()));
        for span in self.openings(zone, now, ahead) {
            let Some(begins_until) = self.begins_until(span) else { continue };
            if span.from > now {
                return Opening::Opens(span.from);
            }
            if now <= begins_until {
                return Opening::Open(begins_until);
            }
        }
        Opening::Never
    }

    /// The last moment of an opening at which a job may begin; `None` where it is too short.
    fn begins_until(&self, span: Interval) -> Option<Timestamp> {
        // It closes before its last moment.
        let last = span.until.before(self.least_left.max(Duration::from_millis(1)));
        (last >= span.from).then_some(last)
    }

    /// The opening that begins on a date.
    fn on(&self, zone: &TimeZone, date: Date) -> Option<Interval> {
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).ok()?;
        if !self.days[day] {
            return None;
        }
        let closes = if self.end > self.start { date } else { date.tomorrow().ok()? };
        let from = moment(zone, date.to_datetime(self.start))?;
        let until = moment(zone, closes.to_datetime(self.end))?;
        // Nothing is left of one that lies in the hours that the zone skips.
        (from < until).then_some(Interval { from, until })
    }

    /// How long it is on an ordinary day.
    fn length(&self) -> Duration {
        let minutes = |t: Time| {
            u64::from(t.hour().unsigned_abs()) * 60 + u64::from(t.minute().unsigned_abs())
        };
        let (start, end) = (minutes(self.start), minutes(self.end));
        Duration::from_mins(if end > start { end - start } else { 24 * 60 + end - start })
    }
}

/// `daily`, or days and spans of days: `mon-fri`, `sat,sun`, `fri-mon`.
fn days(text: &str) -> Result<[bool; 7], BadExpression> {
    let bad = || {
        BadExpression::new(
            "set of days",
            text,
            "daily, or days and spans of days: mon-fri, sat,sun",
        )
    };
    if text == "daily" {
        return Ok([true; 7]);
    }
    let index = |name: &str| {
        weekday(name).and_then(|day| usize::try_from(day.to_monday_zero_offset()).ok())
    };
    let mut days = [false; 7];
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first).ok_or_else(bad)?, index(last).ok_or_else(bad)?);
        let mut day = first;
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}
