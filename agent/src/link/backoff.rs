//! How long to wait before the next try: full jitter, so that ten thousand agents that lost their
//! server together do not come back together. Pure.

use std::time::Duration;

/// The law of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Law {
    /// The most the first wait may be.
    pub base: Duration,
    /// The most any wait may be.
    pub cap: Duration,
}

/// The first wait is short, since most that ends a session is over at once: a server or an agent that
/// was started anew. The longest is half a minute, so that a job that waits for its host ends within a
/// minute of the server's return; ten thousand agents then knock 700 times a second, which a server
/// that is too busy refuses cheaply.
impl Default for Law {
    fn default() -> Self {
        Self { base: Duration::from_millis(250), cap: Duration::from_secs(30) }
    }
}

/// Counts failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: anything from nothing to the bound, which doubles from
    /// `base` to `cap`. `random` is any number; each gives one place in that span.
    pub fn next(&mut self, law: Law, random: u64) -> Duration {
        let doubled = law.base.saturating_mul(2u32.saturating_pow(self.failures.min(31)));
        self.failures = self.failures.saturating_add(1);
        let bound = u64::try_from(doubled.min(law.cap).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(random % bound.saturating_add(1))
    }

    /// A session that worked: the next failure begins anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub fn failures(self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_wait_is_over_its_bound(random: Vec<u64>) {
            let law = Law::default();
            let mut backoff = Backoff::default();
            let mut bound = law.base;
            for random in random {
                prop_assert!(backoff.next(law, random) <= bound);
                bound = (bound * 2).min(law.cap);
            }
        }
    }

    #[test]
    fn waits_reach_from_nothing_to_the_cap() {
        let law = Law::default();
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            backoff.next(law, 0);
        }
        assert_eq!(backoff.next(law, 30_000), law.cap);
        assert_eq!(backoff.next(law, 30_001), Duration::ZERO);
        backoff.reset();
        assert_eq!(backoff.next(law, 250), law.base);
    }
}
