//! Natural runs: how the host's own searches, installations and backups ended, as the collectors saw
//! them. A job whose remediation can only be proved by the next of them waits for it.

use std::sync::{Mutex, PoisonError};

use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::state::StateDir;

/// The file's name in the state directory.
const NAME: &str = "natural.json";
/// Runs remembered, of different things: a job asks for those after its steps only.
const KEPT: usize = 256;
/// Bytes kept of what was seen.
const WORDS: usize = 400;

/// One run that the host did by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NaturalRun {
    /// What ran. In a success, no code and no subject mean any.
    pub key: IncidentKey,
    /// When it ended.
    pub at: Timestamp,
    /// Whether it worked.
    pub worked: bool,
    /// Whether no run was seen: the condition that was reported is gone from the present state.
    pub by_state: bool,
    /// What was seen.
    pub words: String,
}

/// The latest run of each thing, in memory and on disk: the collectors tell of each once only.
#[derive(Debug)]
pub(super) struct Runs {
    state: StateDir,
    kept: Mutex<Vec<NaturalRun>>,
    bell: Notify,
}

impl Runs {
    /// Opens what an agent before this one saw. Damaged, it is begun anew: a job then waits for a
    /// later run.
    pub(super) fn open(state: &StateDir) -> Self {
        let kept = Mutex::new(state.read_or_set_aside(NAME).unwrap_or_default());
        Self { state: state.clone(), kept, bell: Notify::new() }
    }

    /// Takes what was seen; on disk when this returns, where the disk takes it.
    pub(super) fn add(&self, runs: impl IntoIterator<Item = NaturalRun>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = false;
        for mut run in runs {
            run.words.truncate(words::cut(&run.words, WORDS).len());
            let same = |old: &NaturalRun| old.key == run.key && old.worked == run.worked;
            match kept.iter_mut().find(|old| same(old)) {
                Some(old) if old.at >= run.at => continue,
                Some(old) => *old = run,
                None => kept.push(run),
            }
            news = true;
        }
        if !news {
            return;
        }
        kept.sort_by_key(|run| run.at);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
        if let Err(error) = self.state.write_json(NAME, &*kept) {
            tracing::warn!(%error, "natural runs not kept: after a restart their jobs wait for later ones");
        }
        drop(kept);
        self.bell.notify_one();
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
        NaturalRun {
            key,
            at: Timestamp::from_millis(at),
            worked,
            by_state: false,
            words: String::new(),
        }
    }

    #[test]
    fn the_latest_run_of_the_same_thing_after_the_steps_counts() {
        let failing = key(Some("0x80070003"), Some("KB1"));
        let since = Timestamp::from_millis(10);
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(&folder.path().join("state")).expect("opens");
        let runs = Runs::open(&state);
        runs.add([run(failing.clone(), 10, false), run(key(None, Some("KB2")), 20, true)]);
        assert_eq!(runs.after(&failing, since), None, "before, or of another update");
        runs.add([run(key(Some("0x80070005"), Some("KB1")), 20, false)]);
        assert!(!runs.after(&failing, since).expect("it failed otherwise").worked);
        runs.add([run(key(None, None), 30, true)]);
        assert!(runs.after(&failing, since).expect("a success of all").worked);
        // Another agent knows it: the collectors tell of each run once.
        assert!(Runs::open(&state).after(&failing, since).expect("kept").worked);
        runs.add((0..300).map(|n| run(key(None, Some("KB3")), 100 + n, true)));
        assert!(runs.after(&failing, since).is_some(), "many runs of one thing crowd out nothing");
        runs.add((0..300).map(|n| run(key(None, Some(&format!("KB{n}"))), 100 + n, true)));
        assert_eq!(runs.kept.lock().expect("whole").len(), KEPT);
    }
}
