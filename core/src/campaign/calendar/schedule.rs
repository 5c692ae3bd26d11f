//! When a campaign's runs begin, and when a host's own clock lets its job begin.

use jiff::civil::DateTime;

use super::zone::moment;
use super::{BadExpression, Cron, Monthly, Opening, zone};
use crate::campaign::{Definition, Schedule, Zone};
use crate::hold::Interval;
use crate::host::Labels;
use crate::limits;
use crate::time::Timestamp;

/// The label that names a host's zone.
const ZONE_LABEL: &str = "timezone";

impl Definition {
    /// When the next run begins, after a moment; `None` where somebody starts it by hand.
    ///
    /// `hosts` are the labels of the hosts that it would have: where each goes by its own clock, a
    /// single time comes first where the day begins first. Recurring times go by the campaign's own
    /// zone, or the fallback; their windows go by each host's.
    pub fn next_start<'l>(
        &self,
        after: Timestamp,
        hosts: impl IntoIterator<Item = &'l Labels>,
    ) -> Result<Option<Timestamp>, BadExpression> {
        let own = zone(self.zone.name())?;
        match &self.schedule {
            Schedule::ByHand => Ok(None),
            Schedule::Once { at } => {
                let at = once(at)?;
                // A host whose label names no zone never begins, and delays nobody.
                let zones = hosts.into_iter().filter_map(|l| zone(self.zone.of(l)).ok());
                Ok(zones.chain([own]).filter_map(|zone| moment(&zone, at)).min())
            }
            Schedule::Cron { expression } => Ok(expression.parse::<Cron>()?.next(&own, after)),
            Schedule::Monthly { expression } => {
                Ok(expression.parse::<Monthly>()?.next(&own, after))
            }
        }
    }

    /// The spans in which a job of `minutes` may begin on a host, from now until a moment: its
    /// windows, each cut by the time that must be left beyond what the job takes itself. `None` where
    /// it has no windows: at any time.
    pub fn begin_in(
        &self,
        labels: &Labels,
        minutes: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Interval>>, BadExpression> {
        if self.windows.is_empty() {
            return Ok(None);
        }
        let zone = zone(self.zone.of(labels))?;
        let work = std::time::Duration::from_mins(minutes.into());
        let mut spans = Vec::new();
        for window in &self.windows {
            let window = window.read()?;
            let beyond = window.least_left().saturating_sub(work);
            for span in window.openings(&zone, now, until) {
                let closes = span.until.before(beyond);
                if span.from < closes && closes > now {
                    spans.push(Interval { from: span.from, until: closes });
                }
            }
        }
        spans.sort();
        spans.truncate(limits::BEGIN_SPANS);
        Ok(Some(spans))
    }

    /// How the windows of a zone stand; the best of them where there are several.
    pub(crate) fn opening(
        &self,
        zone: &jiff::tz::TimeZone,
        now: Timestamp,
    ) -> Result<Opening, BadExpression> {
        let mut best = Opening::Never;
        for window in &self.windows {
            let standing = window.read()?.at(zone, now);
            best = match (best, standing) {
                (Opening::Open(a), Opening::Open(b)) => Opening::Open(a.max(b)),
                (open @ Opening::Open(_), _) | (_, open @ Opening::Open(_)) => open,
                (Opening::Opens(a), Opening::Opens(b)) => Opening::Opens(a.min(b)),
                (opens @ Opening::Opens(_), _) | (_, opens @ Opening::Opens(_)) => opens,
                (Opening::Never, Opening::Never) => Opening::Never,
            };
        }
        Ok(best)
    }

    /// The moment before which nothing begins by the clock of a zone: that of a single time.
    pub(crate) fn not_before(&self, zone: &jiff::tz::TimeZone) -> Option<Timestamp> {
        match (&self.schedule, &self.zone) {
            (Schedule::Once { at }, Zone::Host { .. }) => moment(zone, once(at).ok()?),
            _ => None,
        }
    }
}

impl Zone {
    /// The zone of the campaign itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::Host { fallback: name } => name,
        }
    }

    /// The zone that a host goes by.
    pub fn of<'a>(&'a self, labels: &'a Labels) -> &'a str {
        match self {
            Self::Named(name) => name,
            Self::Host { fallback } => labels.get(ZONE_LABEL).unwrap_or(fallback),
        }
    }
}

/// A wall-clock time, `2026-12-01T22:00`.
pub(crate) fn once(text: &str) -> Result<DateTime, BadExpression> {
    let bad = || BadExpression::new("date and time", text, "2026-12-01T22:00, without an offset");
    // Nothing but a wall clock: an offset would contradict the zone.
    let fits = text.len() == 16
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            10 => b == b'T',
            13 => b == b':',
            _ => b.is_ascii_digit(),
        });
    if fits { text.parse().map_err(|_| bad()) } else { Err(bad()) }
}
