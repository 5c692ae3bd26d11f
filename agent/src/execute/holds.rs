//! What the server holds back: the halt of the fleet, and freezes. Kept on disk, so that they hold
//! while the server is away; only its own word ends a halt.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleetmend_core::hold::{Freeze, Halt};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[cfg(feature = "fuzz")]
use crate::state;
use crate::state::StateDir;

/// The file's name in the state directory.
const NAME: &str = "holds.json";

/// What the server said last.
#[derive(Debug)]
pub(super) struct Holds {
    state: StateDir,
    kept: Mutex<Kept>,
    /// The server's clock less this host's, in milliseconds, as it was heard last.
    ahead: AtomicI64,
    bell: Notify,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Kept {
    halt: Halt,
    freezes: Vec<Freeze>,
}

/// What holds jobs back on this host by the server's last word, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Held {
    /// Why the fleet is halted.
    pub(crate) halt: Option<String>,
    /// Freezes that hold now or later.
    pub(crate) freezes: Vec<String>,
}

/// Reads what is on disk, with the agent running or not.
pub(crate) fn held(state: &StateDir, now: Timestamp) -> Held {
    let Kept { halt, freezes } =
        state.read_json(NAME).map_or_else(|_| Kept::unreadable(), Option::unwrap_or_default);
    let reason = if halt.reason.is_empty() { "no reason given".to_owned() } else { halt.reason };
    let named = |freeze: &Freeze| {
        let Freeze { span, name } = freeze;
        format!("{name}: from {} until {}", span.from, span.until)
    };
    Held {
        halt: halt.on.then_some(reason),
        freezes: freezes.iter().filter(|f| now < f.span.until).map(named).collect(),
    }
}

impl Kept {
    fn unreadable() -> Self {
        let reason =
            "whether it is halted cannot be read on this host; its server says it with the next session"
                .to_owned();
        Self { halt: Halt { on: true, reason }, freezes: Vec::new() }
    }

    fn obstacle(&self, now: Timestamp, changes: bool) -> Option<String> {
        if self.halt.on {
            let reason = &self.halt.reason;
            return Some(if reason.is_empty() {
                "the fleet is halted".to_owned()
            } else {
                format!("the fleet is halted: {reason}")
            });
        }
        let freezes = self.freezes.iter().filter(|freeze| changes && freeze.span.holds(now));
        let freeze = freezes.max_by_key(|freeze| freeze.span.until)?;
        Some(format!("a freeze until {}: {}", freeze.span.until, freeze.name))
    }
}

impl Holds {
    /// Opens what is on disk. Where that is damaged nothing begins until the server says again
    /// what holds: it does so at the beginning of each session.
    pub(super) fn open(state: &StateDir) -> Self {
        let kept = match state.read_json(NAME) {
            Ok(kept) => kept.unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "what the server held back is unreadable: nothing begins until it says so again");
                Kept::unreadable()
            }
        };
        Self {
            state: state.clone(),
            kept: Mutex::new(kept),
            ahead: AtomicI64::new(0),
            bell: Notify::new(),
        }
    }

    /// The server's word on the halt.
    pub(super) fn halt(&self, halt: Halt) {
        if self.kept().halt.on != halt.on {
            tracing::warn!(on = halt.on, reason = %halt.reason, "halt of the fleet");
        }
        self.change(|kept| kept.halt = halt);
    }

    /// The server's word on the freezes.
    pub(super) fn freeze(&self, freezes: Vec<Freeze>) {
        self.change(|kept| kept.freezes = freezes);
    }

    /// What time it is at the server, which says it with each heartbeat, and here.
    pub(super) fn server_clock(&self, there: Timestamp, here: Timestamp) {
        let ahead = there.as_millis().saturating_sub(here.as_millis());
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// The server's time, where this host's clock is another: what may not be at the one or the other is
    /// not done.
    pub(super) fn server_time(&self, now: Timestamp) -> Option<Timestamp> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let skew = u64::try_from(limits::CLOCK_SKEW.as_millis()).unwrap_or(u64::MAX);
        let there = Timestamp::from_millis(now.as_millis().saturating_add(ahead));
        (ahead.unsigned_abs() > skew).then_some(there)
    }

    /// Why nothing begins now. A freeze holds back what changes the host; the halt holds back all.
    pub(super) fn obstacle(&self, now: Timestamp, changes: bool) -> Option<String> {
        self.kept().obstacle(now, changes)
    }

    /// Ends when something was changed.
    pub(super) async fn changed(&self) {
        self.bell.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept();
        let before = kept.clone();
        change(&mut kept);
        if *kept == before {
            return;
        }
        if let Err(error) = self.state.write_json(NAME, &*kept) {
            tracing::error!(%error, "what the server holds back is not on disk: it holds until this agent stops");
        }
        drop(kept);
        self.bell.notify_waiters();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file as anything may have left it, for a fuzz target: what cannot be read holds everything back,
/// what can be read holds back by its own word, and is written as it was read.
#[cfg(feature = "fuzz")]
pub(crate) fn read_through(bytes: &[u8]) {
    let Ok(kept) = state::parse::<Kept>(bytes) else {
        assert!(Kept::unreadable().obstacle(Timestamp::from_millis(0), false).is_some());
        return;
    };
    let spans = kept.freezes.iter().flat_map(|freeze| [freeze.span.from, freeze.span.until]);
    let ends = [i64::MIN, 0, i64::MAX].map(Timestamp::from_millis);
    for now in ends.into_iter().chain(spans.take(64)) {
        let frozen = kept.freezes.iter().any(|freeze| freeze.span.holds(now));
        assert_eq!(kept.obstacle(now, true).is_some(), kept.halt.on || frozen, "at {now:?}");
        assert_eq!(kept.obstacle(now, false).is_some(), kept.halt.on, "at {now:?}");
    }
    let again = state::sealed(&kept).ok().and_then(|bytes| state::parse::<Kept>(&bytes).ok());
    assert_eq!(again.as_ref(), Some(&kept), "written and read again");
}

/// A file with a halt, and one with freezes, as an agent writes them. For the corpus.
#[cfg(feature = "fuzz")]
pub(crate) fn written(freezes: Vec<Freeze>, halt: Halt) -> Vec<u8> {
    state::sealed(&Kept { halt, freezes }).unwrap_or_default()
}
