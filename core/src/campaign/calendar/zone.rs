//! Zones of the IANA database, and the moment of a wall-clock time in one.

use std::sync::OnceLock;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::BadExpression;
use crate::time::Timestamp;

/// The longest name of a zone, in bytes.
const NAME_BYTES: usize = 64;

/// A zone by its name in the IANA database: `Europe/Berlin`, `UTC`.
pub fn zone(name: &str) -> Result<TimeZone, BadExpression> {
    static BUNDLED: OnceLock<TimeZoneDatabase> = OnceLock::new();
    let bad =
        || BadExpression::new("time zone", name, "a name of the IANA database: Europe/Berlin, UTC");
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(bad());
    }
    BUNDLED.get_or_init(TimeZoneDatabase::bundled).get(name).map_err(|_| bad())
}

/// What the clock of a zone shows, for people: `2026-11-22 23:05 +01:00`.
pub fn clock_in(zone: &TimeZone, at: Timestamp) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return at.to_string() };
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
}

/// What the clock of a zone shows.
pub(super) fn civil(zone: &TimeZone, at: Timestamp) -> Option<DateTime> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    Some(zone.to_datetime(at))
}

/// The moment of a wall-clock time: its first pass where it comes twice, the moment of the skip where
/// the zone skips it. `None` outside of the years that there are.
pub(super) fn moment(zone: &TimeZone, at: DateTime) -> Option<Timestamp> {
    let moment = match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).ok()?,
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(at).ok()?,
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_skip = after.to_timestamp(at).ok()?;
            zone.following(before_the_skip).next()?.timestamp()
        }
    };
    Some(Timestamp::from_millis(moment.as_millisecond()))
}
