//! The values of evidence that this agent itself collected, by id: the only way for a path or a
//! service name to reach a step. Bounded; the oldest go first.

use std::collections::VecDeque;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::limits;
use fleetmend_core::words::Slug;

use crate::state::{StateDir, StateError};

const NAME: &str = "evidence.json";
/// Values kept: what the open failures of a host can need, many times over.
const KEPT: usize = 512;

/// The store, in memory and on disk.
#[derive(Debug)]
pub struct EvidenceStore {
    state: StateDir,
    kept: VecDeque<Evidence>,
}

impl EvidenceStore {
    /// Opens it. A damaged store is empty: orders that name its evidence are then refused.
    pub fn open(state: &StateDir) -> Self {
        let kept = state.read_or_set_aside(NAME).unwrap_or_default();
        Self { state: state.clone(), kept }
    }

    /// Keeps what has a value.
    pub fn remember(&mut self, evidence: &[Evidence]) -> Result<(), StateError> {
        let fits = |e: &&Evidence| e.value.as_ref().is_some_and(|v| v.len() <= limits::VALUE_BYTES);
        let new: Vec<Evidence> = evidence.iter().filter(fits).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.kept.extend(new);
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.state.write_json(NAME, &self.kept)
    }

    /// The evidence of this id, if this agent collected it.
    pub fn get(&self, id: EvidenceId) -> Option<&Evidence> {
        self.kept.iter().rev().find(|e| e.id == id)
    }

    /// The latest evidence of a probe that has this value.
    pub fn about(&self, probe: &Slug, value: &str) -> Option<&Evidence> {
        self.kept.iter().rev().find(|e| e.probe == *probe && e.value.as_deref() == Some(value))
    }
}
