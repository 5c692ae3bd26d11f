//! How long something is waited for: until a moment by the host's clock, and never longer than that is
//! away now. A clock that is set back lengthens no wait.

use std::time::Duration;

use fleetmend_core::time::Timestamp;
use tokio::time::Instant;

/// A bounded wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    until: Timestamp,
    /// The same on the clock that nobody can set; `None` where it lies beyond all times.
    end: Option<Instant>,
}

impl Patience {
    /// Waits until `until`, and it is `now`.
    pub(super) fn until(until: Timestamp, now: Timestamp) -> Self {
        Self { until, end: Instant::now().checked_add(until.since(now)) }
    }

    /// Whether it is over, by either clock.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.is_over_by(Duration::ZERO, now)
    }

    /// Whether it has been over for so long.
    pub(super) fn is_over_by(self, span: Duration, now: Timestamp) -> bool {
        let end = self.end.and_then(|end| end.checked_add(span));
        now > self.until.after(span) || end.is_some_and(|end| Instant::now() > end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_is_set_back_lengthens_no_wait() {
        let hour = Duration::from_hours(1);
        let now = Timestamp::from_millis(1_790_000_000_000);
        let patience = Patience::until(now.after(hour), now);
        assert!(!patience.is_over(now.after(hour)) && patience.is_over(now.after(hour * 2)));
        let short = Patience::until(now.after(Duration::from_millis(5)), now);
        while !short.is_over(now.before(hour * 1_000)) {
            tokio::task::yield_now().await;
        }
        assert!(!short.is_over_by(hour, now));
        let for_ever = Patience::until(Timestamp::from_millis(i64::MAX), now);
        assert!(!for_ever.is_over(now));
    }
}
