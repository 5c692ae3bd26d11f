//! When: zones, windows, schedules and freezes, from the words of people to moments.
//!
//! The rules of the IANA database are compiled in: an answer never depends on the machine's own
//! copy. Three rules hold everywhere. A wall-clock time that a zone skips is the moment of the skip; one
//! that comes twice is its first pass; a whole day that a zone skips has no time of its own.

mod cron;
mod freeze;
mod monthly;
mod schedule;
mod window;
mod zone;

#[cfg(test)]
mod tests;

pub use self::cron::Cron;
pub use self::freeze::{FreezeRule, FreezeWhen};
pub use self::monthly::Monthly;
pub(super) use self::schedule::once;
pub use self::window::{Opening, Weekly};
pub use self::zone::{clock_in, zone};

/// A text of a schedule, a window or a zone that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {what}: write {accepted}")]
pub struct BadExpression {
    /// What was wanted.
    pub what: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
    /// What is understood.
    pub accepted: &'static str,
}

impl BadExpression {
    fn new(what: &'static str, text: &str, accepted: &'static str) -> Self {
        Self { what, text: text.chars().take(80).collect(), accepted }
    }
}

/// A clock time, `22:00`.
fn time_of_day(text: &str) -> Option<jiff::civil::Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    jiff::civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// A day of the week by the first three letters of its English name, or all of it.
fn weekday(text: &str) -> Option<jiff::civil::Weekday> {
    use jiff::civil::Weekday as W;
    let day = match text.get(..3)?.to_ascii_lowercase().as_str() {
        "mon" => (W::Monday, "day"),
        "tue" => (W::Tuesday, "sday"),
        "wed" => (W::Wednesday, "nesday"),
        "thu" => (W::Thursday, "rsday"),
        "fri" => (W::Friday, "day"),
        "sat" => (W::Saturday, "urday"),
        "sun" => (W::Sunday, "day"),
        _ => return None,
    };
    let rest = &text[3..];
    (rest.is_empty() || rest.eq_ignore_ascii_case(day.1)).then_some(day.0)
}
