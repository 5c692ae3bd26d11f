//! The host's own time zone: the package tools' logs give local times and no offset.

use std::path::Path;

use fleetmend_core::time::{SourceTime, Timestamp};

/// The largest time-zone file that is read.
const FILE: u64 = 256 * 1024;

/// A host's time zone; UTC where none is set or it cannot be read.
#[derive(Debug, Clone)]
pub struct Zone(Option<jiff::tz::TimeZone>);

impl Zone {
    /// The zone of the host whose `/` is `root`.
    pub fn of(root: &Path) -> Self {
        let link = root.join("etc/localtime");
        // An absolute link means a place on that host, which may be a folder here.
        let path = match std::fs::read_link(&link) {
            Ok(to) => match to.strip_prefix("/") {
                Ok(below) => root.join(below),
                Err(_) => root.join("etc").join(to),
            },
            Err(_) => link,
        };
        let small = std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= FILE);
        let data = small.then(|| std::fs::read(&path).ok()).flatten();
        Self(data.and_then(|data| jiff::tz::TimeZone::tzif("local", &data).ok()))
    }

    /// Minutes east of UTC at a moment.
    pub fn offset_at(&self, at: Timestamp) -> i16 {
        let Some(zone) = &self.0 else { return 0 };
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        i16::try_from(zone.to_offset(at).seconds() / 60).unwrap_or(0)
    }

    /// A local wall clock with its offset.
    pub fn source_time(&self, wall_ms: i64) -> SourceTime {
        // The offset an hour off either way around a change is the best that a log without zone
        // allows.
        let first = self.offset_at(Timestamp::from_millis(wall_ms));
        let offset = self.offset_at(Timestamp::from_millis(wall_ms - i64::from(first) * 60_000));
        SourceTime::with_offset(wall_ms, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_zone_it_is_utc() {
        let zone = Zone::of(Path::new("/nonexistent"));
        assert_eq!(zone.source_time(0).to_string(), "1970-01-01T00:00:00.000+00:00");
    }
}
