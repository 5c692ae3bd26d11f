//! Natural runs: how the host's own searches, installations and backups ended, as the collectors saw
//! them. A job whose remediation can only be proved by the next of them waits here.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use tokio::sync::Notify;

/// Runs remembered: a look may find several, and a job asks for those after its steps only.
const KEPT: usize = 256;

/// One run that the host did by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalRun {
    /// What ran. In a success, no code and no subject mean any.
    pub key: IncidentKey,
    /// When it ended.
    pub at: Timestamp,
    /// Whether it worked.
    pub worked: bool,
    /// What was seen.
    pub words: String,
}

/// The latest runs.
#[derive(Debug, Default)]
pub(super) struct Runs {
    kept: Mutex<VecDeque<NaturalRun>>,
    bell: Notify,
}

impl Runs {
    /// Takes what was seen.
    pub(super) fn add(&self, runs: impl IntoIterator<Item = NaturalRun>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.len();
        kept.extend(runs);
        let news = kept.len() > before;
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
        drop(kept);
        if news {
            self.bell.notify_one();
        }
    }

    /// The latest run of the operation of `key` that ended after `since`.
    pub(super) fn after(&self, key: &IncidentKey, since: Timestamp) -> Option<NaturalRun> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = kept.iter().filter(|run| run.at > since && tells_of(run, key));
        meant.max_by_key(|run| run.at).cloned()
    }

    /// Ends when something was added.
    pub(super) async fn news(&self) {
        self.bell.notified().await;
    }
}

/// Whether a run tells how the failing operation does now. A failure with another code tells that
/// it still fails; one of another subject tells nothing.
fn tells_of(run: &NaturalRun, key: &IncidentKey) -> bool {
    let same = run.key.product == key.product && run.key.operation == key.operation;
    let subject = run.key.subject == key.subject || (run.worked && run.key.subject.is_none());
    let code = !run.worked || run.key.code.is_none() || run.key.code == key.code;
    same && subject && code
}

#[cfg(test)]
mod tests {
    use fleetmend_core::report::{Operation, Product};

    use super::*;

    fn key(code: Option<&str>, subject: Option<&str>) -> IncidentKey {
        IncidentKey {
            product: Product::WindowsUpdate,
            operation: Operation::Install,
            code: code.map(|c| c.parse().expect("a code")),
            subject: subject.map(str::to_owned),
        }
    }

    fn run(key: IncidentKey, at: i64, worked: bool) -> NaturalRun {
        NaturalRun { key, at: Timestamp::from_millis(at), worked, words: String::new() }
    }

    #[test]
    fn the_latest_run_of_the_same_thing_after_the_steps_counts() {
        let failing = key(Some("0x80070003"), Some("KB1"));
        let since = Timestamp::from_millis(10);
        let runs = Runs::default();
        runs.add([run(failing.clone(), 10, false), run(key(None, Some("KB2")), 20, true)]);
        assert_eq!(runs.after(&failing, since), None, "before, or of another update");
        runs.add([run(key(Some("0x80070005"), Some("KB1")), 20, false)]);
        assert!(!runs.after(&failing, since).expect("it failed otherwise").worked);
        runs.add([run(key(None, None), 30, true)]);
        assert!(runs.after(&failing, since).expect("a success of all").worked);
        runs.add((0..300).map(|n| run(key(None, Some("KB3")), n, true)));
        assert_eq!(runs.after(&failing, since), None, "forgotten");
    }
}
