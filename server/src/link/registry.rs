//! The hosts with an open stream on this server. Hints only: truth is in the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fleetmend_core::ids::HostId;
use fleetmend_core::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::{self, StreamEnd};

/// The hosts with an open stream.
#[derive(Debug, Default)]
pub struct Registry {
    slots: Mutex<HashMap<HostId, Slot>>,
    numbers: AtomicU64,
}

#[derive(Debug, Clone)]
struct Slot {
    number: u64,
    serial: Arc<str>,
    /// When the certificate's time is over.
    not_after: Timestamp,
    nudge: Arc<Notify>,
    ender: Ender,
}

/// How a stream is told to end, and why.
#[derive(Debug, Clone, Default)]
struct Ender {
    token: CancellationToken,
    reason: Arc<OnceLock<End>>,
}

/// Why a stream shall end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) why: StreamEnd,
    pub(super) words: String,
}

/// A stream's place in the registry; given up when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<Registry>,
    host: HostId,
    slot: Slot,
}

impl Registry {
    /// How many hosts have a stream.
    pub fn connected(&self) -> usize {
        self.lock().len()
    }

    /// Whether a host has a stream.
    pub fn is_connected(&self, host: HostId) -> bool {
        self.lock().contains_key(&host)
    }

    /// Lets a host's session look for orders, where it has one.
    pub fn nudge(&self, host: HostId) {
        if let Some(slot) = self.lock().get(&host) {
            slot.nudge.notify_one();
        }
    }

    /// Ends a host's stream, where it has one. The agent is told the reason.
    pub fn end(&self, host: HostId, reason: &str) {
        if let Some(slot) = self.lock().get(&host) {
            slot.ender.end(StreamEnd::Refused, reason);
        }
    }

    /// Ends every stream, because the server stops.
    pub fn end_all(&self) {
        for slot in self.lock().values() {
            slot.ender.end(StreamEnd::Shutdown, "the server stops; connect again in a moment");
        }
    }

    /// Ends every stream for which there is a reason to; `reason` is asked with the certificate's
    /// serial number and the end of its time.
    pub(super) fn end_where(&self, reason: impl Fn(&str, Timestamp) -> Option<&'static str>) {
        for slot in self.lock().values() {
            if let Some(why) = reason(&slot.serial, slot.not_after) {
                slot.ender.end(StreamEnd::Refused, why);
            }
        }
    }

    /// Takes a host's place; an older stream of the same host is ended.
    pub(super) fn register(
        self: &Arc<Self>,
        host: HostId,
        serial: &str,
        not_after: Timestamp,
    ) -> Registration {
        let slot = Slot {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            serial: serial.into(),
            not_after,
            nudge: Arc::default(),
            ender: Ender::default(),
        };
        let mut slots = self.lock();
        if let Some(older) = slots.insert(host, slot.clone()) {
            older.ender.end(StreamEnd::Replaced, "a newer stream of this host took its place");
        }
        metrics::streams(slots.len());
        drop(slots);
        Registration { registry: self.clone(), host, slot }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// Waits for a nudge. One that came while nobody waited is not lost.
    pub(super) async fn nudged(&self) {
        self.slot.nudge.notified().await;
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) -> End {
        self.slot.ender.token.cancelled().await;
        self.slot
            .ender
            .reason
            .get()
            .cloned()
            .unwrap_or(End { why: StreamEnd::Internal, words: "the stream was ended".to_owned() })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut slots = self.registry.lock();
        if slots.get(&self.host).is_some_and(|slot| slot.number == self.slot.number) {
            slots.remove(&self.host);
        }
        metrics::streams(slots.len());
    }
}

impl Ender {
    /// The first reason stands.
    fn end(&self, why: StreamEnd, words: &str) {
        let _ = self.reason.set(End { why, words: words.to_owned() });
        self.token.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_stream_replaces_the_first_and_keeps_its_place() {
        let registry = Arc::new(Registry::default());
        let host = HostId::at(Timestamp::from_millis(1), [1; 10]);
        let first = registry.register(host, "01", Timestamp::from_millis(9));
        let second = registry.register(host, "01", Timestamp::from_millis(9));
        assert_eq!(first.ended().await.why, StreamEnd::Replaced);
        drop(first);
        assert!(registry.is_connected(host), "the newer stream lost its place to the older's end");
        registry.nudge(host);
        second.nudged().await;
        registry.end(host, "revoked");
        registry.end_all();
        assert_eq!(second.ended().await.words, "revoked");
        drop(second);
        assert_eq!(registry.connected(), 0);
    }
}
