//! What tasks did when they last ran, for people to see.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fleetmend_core::time::Timestamp;
use fleetmend_store::StoreError;
use serde::Serialize;

use crate::database;

/// How one activation went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// All that was due is done.
    Done,
    /// A bounded portion is done and more is due: it runs again at once.
    More,
    /// It failed; the next activation tries again.
    Failed(String),
    /// The database is away; the next activation tries again.
    Away(String),
}

impl Outcome {
    /// Whether it did not do what it should.
    pub const fn is_failure(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Away(_) => true,
            Self::Done | Self::More => false,
        }
    }
}

/// What one activation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// How it went.
    pub outcome: Outcome,
    /// How many things it acted on.
    pub acted: u64,
}

impl Status {
    /// All that was due is done.
    pub fn done(acted: usize) -> Self {
        Self { outcome: Outcome::Done, acted: acted as u64 }
    }

    /// It broke off, as nothing should.
    pub fn broke(words: String) -> Self {
        Self { outcome: Outcome::Failed(words), acted: 0 }
    }

    /// It failed, with the chain of causes.
    pub fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        let text = database::chain(error);
        let away = error.downcast_ref::<StoreError>().is_some_and(database::note);
        let outcome = if away { Outcome::Away(text) } else { Outcome::Failed(text) };
        Self { outcome, acted: 0 }
    }
}

/// How a task did when it last ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// When it last ended.
    pub at: Timestamp,
    /// What it did.
    pub last: Status,
    /// Activations since the server started.
    pub runs: u64,
    /// Failed ones among them.
    pub failures: u64,
}

/// The last status of every task, by name.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<&'static str, TaskStatus>>);

impl Board {
    /// Every task that has run, by name.
    pub fn read(&self) -> BTreeMap<&'static str, TaskStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, task: &'static str, at: Timestamp, last: Status) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = u64::from(last.outcome.is_failure());
        let before = board.get(task);
        let runs = before.map_or(0, |status| status.runs) + 1;
        let failures = before.map_or(0, |status| status.failures) + failed;
        board.insert(task, TaskStatus { at, last, runs, failures });
    }
}
