//! Slows a stream that sends more than its share. Nothing is dropped: the agent's spool keeps it.

use std::time::Duration;

use fleetmend_core::limits;
use tokio::time::Instant;

/// A token bucket that holds one minute's share.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Items that may be taken at once; negative is a debt.
    credit: f64,
    at: Instant,
}

const PER_SECOND: f64 = limits::REPORTS_PER_MINUTE as f64 / 60.0;
const BURST: f64 = limits::REPORTS_PER_MINUTE as f64;

impl Limiter {
    pub(super) fn new(now: Instant) -> Self {
        Self { credit: BURST, at: now }
    }

    /// Takes items, and says until when to wait before the next are taken.
    pub(super) fn take(&mut self, items: u32, now: Instant) -> Option<Instant> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.credit = (self.credit + passed * PER_SECOND).min(BURST) - f64::from(items);
        self.at = now;
        (self.credit < 0.0).then(|| now + Duration::from_secs_f64(-self.credit / PER_SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_share_is_free_and_more_waits_its_time() {
        let now = Instant::now();
        let mut limiter = Limiter::new(now);
        assert_eq!(limiter.take(limits::REPORTS_PER_MINUTE, now), None);
        let until = limiter.take(100, now).expect("waits");
        assert_eq!(until - now, Duration::from_secs(1));
        assert_eq!(limiter.take(0, until), None);
    }
}
