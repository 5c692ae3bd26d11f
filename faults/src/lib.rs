//! Named places at which a test ends a program as a power cut would, and the two mistakes that the
//! tests must be able to catch. All of it is in builds with debug assertions only: a release build
//! holds no crash point and no mistake, and the calls compile to nothing.
//!
//! `FLEETMEND_CRASH_AT=ingest.before_commit` aborts the program the first time that it gets there,
//! `FLEETMEND_CRASH_AT=ingest.before_commit@7` the seventh time. `FLEETMEND_MISTAKE=ack_before_commit`
//! makes the program wrong on purpose: a test that does not notice is worth nothing.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares an enum whose members have a name in a variable, with the list of them all.
macro_rules! named {
    ($(#[$meta:meta])* $kind:ident { $($(#[$doc:meta])* $member:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind {
            $($(#[$doc])* $member,)+
        }

        impl $kind {
            /// Every one, in the order in which a failure or an order meets them.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// Its name, as the variable holds it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $name),+ }
            }
        }
    };
}

named! {
    /// A place at which the program can be made to end at once.
    Point {
        // The server.
        /// A batch of items is written in its transaction, which is not committed.
        IngestBeforeCommit = "ingest.before_commit",
        /// The batch is committed; no session knows of it.
        IngestAfterCommit = "ingest.after_commit",
        /// A session is about to send the acknowledgement.
        AckBeforeSend = "ack.before_send",
        /// The acknowledgement was handed to the stream.
        AckAfterSend = "ack.after_send",
        /// An order has its counter in a transaction that is not committed.
        OfferBeforeCommit = "offer.before_commit",
        /// The offer is committed; the order was not sent.
        OfferAfterCommit = "offer.after_commit",
        // The agent.
        /// Items stand ready, none is in the spool.
        SpoolBeforeWrite = "spool.before_write",
        /// The frame is written, not synced.
        SpoolAfterWrite = "spool.after_write",
        /// The frame is synced; the collectors' place is not written.
        SpoolAfterSync = "spool.after_sync",
        /// The server acknowledged; the spool does not know.
        SpoolBeforeCommit = "spool.before_commit",
        /// The spool knows what was acknowledged.
        SpoolAfterCommit = "spool.after_commit",
        /// An order is accepted, and not yet in the journal.
        JournalBeforePlan = "journal.before_plan",
        /// The journal holds the order.
        JournalPlanned = "journal.planned",
        /// An entry of any kind is about to be written to the journal.
        JournalBeforeEntry = "journal.before_entry",
        /// An entry of any kind is in the journal.
        JournalEntry = "journal.entry",
        /// The journal holds a step's undo and intent; nothing is done.
        JournalIntent = "journal.intent",
        /// The step took effect; the journal does not know.
        JournalEffect = "journal.effect",
        /// The journal holds the step's outcome.
        JournalOutcome = "journal.outcome",
        /// The result is in the spool; the journal still holds the job open.
        JournalReported = "journal.reported",
        /// The journal closed the job.
        JournalClosed = "journal.closed",
    }
}

named! {
    /// A mistake that a test makes the program commit, to see that the test would notice.
    Mistake {
        /// The server acknowledges what it has not committed.
        AckBeforeCommit = "ack_before_commit",
        /// The agent writes a step's intent after its effect.
        JournalAfterEffect = "journal_after_effect",
    }
}

/// Ends the program at once, without unwinding or flushing, if it was told to crash here.
#[inline]
pub fn crash_point(point: Point) {
    if cfg!(debug_assertions) && wanted().is_some_and(|w| w.hits(point)) {
        // The last word goes straight to standard error: nothing may be flushed that a kill would lose.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("crash point {}\n", point.name()).as_bytes(),
        );
        std::process::abort();
    }
}

/// Whether the program shall commit this mistake. Never in a release build.
#[inline]
pub fn mistaken(mistake: Mistake) -> bool {
    static MISTAKE: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("FLEETMEND_MISTAKE").ok());
    cfg!(debug_assertions) && MISTAKE.as_deref() == Some(mistake.name())
}

/// What the variables ask for, in words, or what is wrong with them; `None` where nothing is asked.
/// A program says it when it starts, so that none runs so by accident.
pub fn asked() -> Result<Option<String>, String> {
    let crash = std::env::var("FLEETMEND_CRASH_AT").ok();
    let mistake = std::env::var("FLEETMEND_MISTAKE").ok();
    if crash.is_none() && mistake.is_none() {
        return Ok(None);
    }
    if !cfg!(debug_assertions) {
        return Err(
            "FLEETMEND_CRASH_AT and FLEETMEND_MISTAKE work in test builds only; unset them"
                .to_owned(),
        );
    }
    if let Some(text) = &crash {
        Wanted::read(text).ok_or_else(|| {
            let names: Vec<_> = Point::ALL.iter().map(|p| p.name()).collect();
            format!("FLEETMEND_CRASH_AT {text:?} names no crash point; write NAME or NAME@N with one of {}", names.join(", "))
        })?;
    }
    if let Some(text) = &mistake
        && !Mistake::ALL.iter().any(|m| m.name() == text)
    {
        return Err(format!("FLEETMEND_MISTAKE {text:?} names no mistake"));
    }
    Ok(Some(format!("crash at {crash:?}, mistake {mistake:?}")))
}

struct Wanted {
    point: Point,
    /// Which time, from 1.
    time: u64,
    seen: AtomicU64,
}

impl Wanted {
    fn read(text: &str) -> Option<Self> {
        let (name, time) = match text.split_once('@') {
            Some((name, time)) => (name, time.parse().ok().filter(|n| *n > 0)?),
            None => (text, 1),
        };
        let point = *Point::ALL.iter().find(|p| p.name() == name)?;
        Some(Self { point, time, seen: AtomicU64::new(0) })
    }

    fn hits(&self, point: Point) -> bool {
        self.point == point && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.time
    }
}

fn wanted() -> Option<&'static Wanted> {
    static WANTED: LazyLock<Option<Wanted>> = LazyLock::new(|| {
        std::env::var("FLEETMEND_CRASH_AT").ok().and_then(|text| Wanted::read(&text))
    });
    WANTED.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_hit_the_time_that_was_asked_for() {
        let wanted = Wanted::read("journal.intent@3").expect("reads");
        let hits: Vec<bool> = (0..4).map(|_| wanted.hits(Point::JournalIntent)).collect();
        assert_eq!(hits, [false, false, true, false]);
        assert!(!wanted.hits(Point::JournalEffect));
        assert!(Wanted::read("journal.intent").expect("reads").hits(Point::JournalIntent));
        for bad in ["", "nowhere", "journal.intent@0", "journal.intent@x"] {
            assert!(Wanted::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = Point::ALL.iter().map(|p| p.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
