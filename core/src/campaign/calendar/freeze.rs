//! Freezes: spans in which nothing begins, once or every year.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::zone::{civil, moment};
use super::{BadExpression, zone};
use crate::campaign::FreezeSpan;
use crate::host::Labels;
use crate::time::Timestamp;

/// A freeze as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeRule {
    /// Its name for people.
    pub name: String,
    /// When.
    pub when: FreezeWhen,
    /// The zone of a yearly one.
    #[serde(default = "utc")]
    pub zone: String,
    /// For hosts with all of these labels; for every host where there are none.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// When a freeze holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FreezeWhen {
    /// Once.
    Once {
        /// From this moment on.
        from: Timestamp,
        /// And before this one.
        until: Timestamp,
    },
    /// Every year, whole days, over the new year where the last is before the first.
    Yearly {
        /// The first day, `12-20`.
        first: String,
        /// The last day, `01-06`.
        last: String,
    },
}

impl FreezeRule {
    /// Its spans that overlap the time between two moments, in order.
    pub fn spans(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<FreezeSpan>, BadExpression> {
        let span = |(from, until)| FreezeSpan {
            from,
            until,
            name: self.name.clone(),
            labels: self.labels.clone(),
        };
        let found = match &self.when {
            FreezeWhen::Once { from, until } if from >= until => {
                let text = format!("{from} to {until}");
                let accepted = "an end after the beginning";
                return Err(BadExpression::new("span of a freeze", &text, accepted));
            }
            FreezeWhen::Once { from, until } => vec![(*from, *until)],
            FreezeWhen::Yearly { first, last } => {
                self.yearly(month_day(first)?, month_day(last)?, (from, until))?
            }
        };
        let overlaps = |(begins, ends): &(Timestamp, Timestamp)| {
            // A year without the day of a freeze has none.
            begins < ends && *begins < until && *ends > from
        };
        Ok(found.into_iter().filter(overlaps).map(span).collect())
    }

    fn yearly(
        &self,
        first: (i8, i8),
        last: (i8, i8),
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Vec<(Timestamp, Timestamp)>, BadExpression> {
        let zone = zone(&self.zone)?;
        let (Some(begin), Some(end)) = (civil(&zone, from), civil(&zone, until)) else {
            return Ok(Vec::new());
        };
        let year = |year: i16| {
            let begins = day_of(year, first, Whole::Next)?;
            let ends = day_of(if last < first { year + 1 } else { year }, last, Whole::Before)?;
            // Whole days: over at the first moment of the day after.
            let after = ends.checked_add(1.day()).ok()?;
            let midnight = jiff::civil::Time::midnight();
            let from = moment(&zone, begins.to_datetime(midnight))?;
            Some((from, moment(&zone, after.to_datetime(midnight))?))
        };
        Ok((begin.year().saturating_sub(1)..=end.year()).filter_map(year).collect())
    }
}

/// What 29 February means in a year without one.
#[derive(Clone, Copy)]
enum Whole {
    /// The day after.
    Next,
    /// The day before.
    Before,
}

fn day_of(year: i16, (month, day): (i8, i8), missing: Whole) -> Option<Date> {
    Date::new(year, month, day).ok().or_else(|| match missing {
        Whole::Next => Date::new(year, month + 1, 1).ok(),
        Whole::Before => Date::new(year, month, 28).ok(),
    })
}

/// A day of every year, `12-20`; 29 February is one.
fn month_day(text: &str) -> Result<(i8, i8), BadExpression> {
    let read = || {
        let (month, day) = text.split_once('-')?;
        let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
        let both = (digits(month) && digits(day)).then_some((month, day))?;
        let (month, day) = (both.0.parse().ok()?, both.1.parse().ok()?);
        // A leap year has every day that there is.
        Date::new(2024, month, day).ok().map(|_| (month, day))
    };
    read().ok_or_else(|| BadExpression::new("day of the year", text, "month and day: 12-20"))
}

fn utc() -> String {
    "UTC".to_owned()
}
