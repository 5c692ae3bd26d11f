//! A look of the collectors on demand: before a repair moves a folder aside, the logs in it are read
//! and what they tell is safe.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Between those who want a look and the collectors.
#[derive(Debug, Default)]
pub struct Looks {
    /// How often a look was asked for.
    asked: AtomicU64,
    /// How many of these are answered.
    answered: watch::Sender<u64>,
    bell: Notify,
    /// Whether there is somebody who looks.
    running: AtomicBool,
}

/// While it lives, somebody looks.
#[derive(Debug)]
pub struct Looking<'a>(&'a Looks);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

impl Looks {
    /// The collectors begin their work.
    pub fn run(&self) -> Looking<'_> {
        self.running.store(true, Ordering::Release);
        Looking(self)
    }

    /// Waits until somebody wants a look.
    pub async fn wanted(&self) {
        self.bell.notified().await;
    }

    /// A look begins; gives what to [end](Self::end) it with.
    pub fn begin(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// What a look found is safe.
    pub fn end(&self, begun: u64) {
        self.answered.send_if_modified(|answered| {
            let more = begun > *answered;
            *answered = begun.max(*answered);
            more
        });
    }

    /// Asks for a look and waits until what it found is safe. False where nobody looks, or not in
    /// time.
    pub async fn look(&self, patience: Duration) -> bool {
        if !self.running.load(Ordering::Acquire) {
            return false;
        }
        let mine = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.bell.notify_one();
        let mut answered = self.answered.subscribe();
        let look = answered.wait_for(|answered| *answered >= mine);
        matches!(tokio::time::timeout(patience, look).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_look_that_began_after_the_wish_answers_it() {
        let looks = Looks::default();
        assert!(!looks.look(Duration::from_mins(1)).await, "nobody looks");
        let looking = looks.run();
        let early = looks.begin();
        let wish = looks.look(Duration::from_mins(1));
        let collectors = async {
            looks.wanted().await;
            looks.end(early);
            assert_eq!(*looks.answered.borrow(), 0, "that look may have passed the log already");
            looks.end(looks.begin());
        };
        assert!(tokio::join!(wish, collectors).0);
        assert!(!looks.look(Duration::from_millis(1)).await, "not in time");
        drop(looking);
        assert!(!looks.look(Duration::from_mins(1)).await);
    }
}
