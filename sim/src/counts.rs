//! The outside ledger: what simulated agents put into their spools, and what the server has
//! acknowledged, counted by somebody who is neither of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fleetmend_agent::watch::Watch;

/// Classes of latency, each a tenth wider than the one before: from a millisecond to an hour.
const CLASSES: usize = 160;
const WIDER: f64 = 1.1;

/// The counts of a fleet.
#[derive(Debug)]
pub struct Counts {
    connected: AtomicI64,
    sessions: AtomicU64,
    put: AtomicU64,
    acknowledged: AtomicU64,
    latency: [AtomicU64; CLASSES],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            connected: AtomicI64::new(0),
            sessions: AtomicU64::new(0),
            put: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// A look at the counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Sessions open now.
    pub connected: i64,
    /// Sessions ever opened.
    pub sessions: u64,
    /// Items put into spools.
    pub put: u64,
    /// Items acknowledged.
    pub acknowledged: u64,
    latency: Vec<u64>,
}

impl Counts {
    /// One host's share of the counting.
    pub fn host(self: &Arc<Self>) -> Arc<dyn Watch> {
        Arc::new(HostCounts { all: Arc::clone(self), own: Mutex::default() })
    }

    /// What is counted now.
    pub fn seen(&self) -> Seen {
        Seen {
            connected: self.connected.load(Relaxed),
            sessions: self.sessions.load(Relaxed),
            // In this order, so that no acknowledgement is seen before its item.
            acknowledged: self.acknowledged.load(Relaxed),
            put: self.put.load(Relaxed),
            latency: self.latency.iter().map(|n| n.load(Relaxed)).collect(),
        }
    }
}

impl Seen {
    /// The time within which a share of the items put since `before` was acknowledged, to a tenth;
    /// `None` where there were none.
    pub fn within(&self, before: Option<&Self>, share: f64) -> Option<Duration> {
        let old = |at: usize| before.map_or(0, |b| b.latency[at]);
        let classes: Vec<u64> =
            self.latency.iter().enumerate().map(|(at, n)| n - old(at)).collect();
        let all: u64 = classes.iter().sum();
        if all == 0 {
            return None;
        }
        let mut seen = 0;
        let class = classes.iter().position(|n| {
            seen += n;
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            let enough = seen as f64 >= all as f64 * share;
            enough
        });
        let class = i32::try_from(class.unwrap_or(CLASSES - 1)).unwrap_or(i32::MAX);
        Some(Duration::from_secs_f64((WIDER.powi(class) - 1.0) / 1_000.0))
    }
}

/// The share of one host.
#[derive(Debug)]
struct HostCounts {
    all: Arc<Counts>,
    own: Mutex<Own>,
}

#[derive(Debug, Default)]
struct Own {
    put: u64,
    acknowledged: u64,
    /// Sequences not yet acknowledged, with the moment of their putting.
    waiting: VecDeque<(u64, Instant)>,
}

impl Watch for HostCounts {
    fn session(&self, open: bool) {
        self.all.connected.fetch_add(if open { 1 } else { -1 }, Relaxed);
        self.all.sessions.fetch_add(u64::from(open), Relaxed);
    }

    fn spooled(&self, through: u64) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if through <= own.put {
            // The spool began a new life, in which it counts anew.
            *own = Own::default();
        }
        self.all.put.fetch_add(through - own.put, Relaxed);
        own.put = through;
        own.waiting.push_back((through, Instant::now()));
    }

    fn acknowledged(&self, through: u64) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let through = through.min(own.put);
        let news = through.saturating_sub(own.acknowledged);
        own.acknowledged = own.acknowledged.max(through);
        self.all.acknowledged.fetch_add(news, Relaxed);
        while own.waiting.front().is_some_and(|(sequence, _)| *sequence <= through) {
            if let Some((_, at)) = own.waiting.pop_front() {
                self.all.latency[class(at.elapsed())].fetch_add(1, Relaxed);
            }
        }
    }
}

fn class(took: Duration) -> usize {
    let millis = took.as_secs_f64() * 1_000.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and cut to the classes"
    )]
    let class = ((millis + 1.0).ln() / WIDER.ln()).ceil() as usize;
    class.min(CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_and_acknowledged_is_counted_once() {
        let counts = Arc::new(Counts::default());
        let (a, b) = (counts.host(), counts.host());
        a.session(true);
        a.spooled(3);
        b.spooled(1);
        a.acknowledged(2);
        a.acknowledged(2);
        let seen = counts.seen();
        assert_eq!((seen.connected, seen.put, seen.acknowledged), (1, 4, 2));
        a.acknowledged(9);
        b.acknowledged(1);
        a.session(false);
        let seen = counts.seen();
        assert_eq!((seen.connected, seen.put, seen.acknowledged, seen.sessions), (0, 4, 4, 1));
        assert!(seen.within(None, 0.5).is_some());
        assert_eq!(seen.within(Some(&seen), 0.5), None, "nothing since");
    }

    #[test]
    fn latencies_come_back_to_a_tenth() {
        for millis in [1, 20, 350, 9_000] {
            let class = i32::try_from(class(Duration::from_millis(millis))).expect("small");
            let told = WIDER.powi(class) - 1.0;
            let millis = f64::from(u32::try_from(millis).expect("small"));
            assert!(
                (millis * 0.99 - 1.0..=millis * 1.11 + 1.0).contains(&told),
                "{millis}: {told}"
            );
        }
    }
}
