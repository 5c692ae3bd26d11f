//! When a campaign's runs begin, and when a host's own clock lets its job begin.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::zone::moment;
use super::{BadExpression, Cron, Monthly, Opening, clock_in, zone};
use crate::campaign::{Definition, Schedule, Zone};
use crate::hold::Interval;
use crate::host::Labels;
use crate::limits;
use crate::time::Timestamp;

/// The label that names a host's zone.
const ZONE_LABEL: &str = "timezone";
/// How far back the last of its times is looked for: a day that comes once in eight years (29 February
/// around 2100) is found.
const LOOK_BACK: std::time::Duration = std::time::Duration::from_hours(24 * 4_000);

impl Definition {
    /// When the next run begins, after a moment; `None` where somebody starts it by hand.
    ///
    /// `hosts` are the labels of the hosts that it would have: where each goes by its own clock, the run
    /// begins where the day begins first, and each host waits for its own time.
    pub fn next_start<'l>(
        &self,
        after: Timestamp,
        hosts: impl IntoIterator<Item = &'l Labels>,
    ) -> Result<Option<Timestamp>, BadExpression> {
        let own = zone(self.zone.name())?;
        if let Schedule::Once { at } = &self.schedule {
            let at = once(at)?;
            let zones = self.zones(hosts).into_iter().chain([own]);
            return Ok(zones.filter_map(|zone| moment(&zone, at)).min());
        }
        let Some(time) = Recurring::of(&self.schedule)? else { return Ok(None) };
        // A run is for one time of all its clocks: what has come on the first of them is not for it.
        let first = furthest_on(self.zones(hosts), after).unwrap_or(own);
        Ok(time.next(&first, after))
    }

    /// When its next runs would begin by the campaign's own clock, or the fallback; none where somebody
    /// starts it by hand.
    pub fn next_runs(&self, after: Timestamp, count: usize) -> Result<Vec<String>, BadExpression> {
        let own = zone(self.zone.name())?;
        let moments: Vec<Timestamp> = match Recurring::of(&self.schedule)? {
            Some(time) => {
                let next = |at: &Timestamp| time.next(&own, *at);
                std::iter::successors(next(&after), next).take(count).collect()
            }
            None => self.next_start(after, [])?.into_iter().collect(),
        };
        Ok(moments.into_iter().map(|at| clock_in(&own, at)).collect())
    }

    /// When the recurring time of a run came where the day begins first: from then on each host begins at
    /// its own. `None` where hosts do not go by their own clocks, or the time does not recur.
    pub(crate) fn turn<'l>(
        &self,
        started: Timestamp,
        hosts: impl IntoIterator<Item = &'l Labels>,
    ) -> Option<Timestamp> {
        if !matches!(self.zone, Zone::Host { .. }) {
            return None;
        }
        let time = Recurring::of(&self.schedule).ok()??;
        // There it came first, be the run late by hours.
        time.last(&furthest_on(self.zones(hosts), started)?, started)
    }

    /// The zones that hosts with these labels go by. A host whose label names none never begins, and
    /// delays nobody.
    fn zones<'l>(&self, hosts: impl IntoIterator<Item = &'l Labels>) -> Vec<TimeZone> {
        let names: BTreeSet<&str> = hosts.into_iter().map(|l| self.zone.of(l)).collect();
        names.into_iter().filter_map(|name| zone(name).ok()).collect()
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
        zone: &TimeZone,
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

    /// The moment before which nothing begins by the clock of a zone: that of a single time, or of a
    /// recurring one whose [`Definition::turn`] it is.
    pub(crate) fn not_before(&self, zone: &TimeZone, turn: Option<Timestamp>) -> Option<Timestamp> {
        if let (Schedule::Once { at }, Zone::Host { .. }) = (&self.schedule, &self.zone) {
            return moment(zone, once(at).ok()?);
        }
        let just_before = turn?.before(std::time::Duration::from_millis(1));
        Recurring::of(&self.schedule).ok()??.next(zone, just_before)
    }
}

/// The zone whose clock is furthest on at a moment.
fn furthest_on(zones: Vec<TimeZone>, at: Timestamp) -> Option<TimeZone> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    zones.into_iter().max_by_key(|zone| zone.to_offset(at))
}

/// A time that comes again and again.
enum Recurring {
    Cron(Cron),
    Monthly(Monthly),
}

impl Recurring {
    fn of(schedule: &Schedule) -> Result<Option<Self>, BadExpression> {
        Ok(match schedule {
            Schedule::ByHand | Schedule::Once { .. } => None,
            Schedule::Cron { expression } => Some(Self::Cron(expression.parse()?)),
            Schedule::Monthly { expression } => Some(Self::Monthly(expression.parse()?)),
        })
    }

    fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next(zone, after),
            Self::Monthly(monthly) => monthly.next(zone, after),
        }
    }

    /// The last time up to a moment, that moment too: looked for in ever longer spans, so that neither
    /// one that comes every minute nor one that comes every year takes long.
    fn last(&self, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
        let mut back = std::time::Duration::from_hours(1);
        while back < LOOK_BACK {
            let next = |after: &Timestamp| self.next(zone, *after).filter(|found| *found <= at);
            let found = std::iter::successors(next(&at.before(back)), next).last();
            if found.is_some() {
                return found;
            }
            back *= 4;
        }
        None
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
