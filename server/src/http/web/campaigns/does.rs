//! What a campaign may do on a host, by the catalogue: each remediation with its steps and their undo.

use fleetmend_core::campaign::Definition;
use fleetmend_core::knowledge::{Catalogue, RebootNeed, Risk};
use fleetmend_core::step::Undo;

use crate::http::web::i18n::Words;

/// One remediation that it may run.
#[derive(Debug)]
pub(crate) struct Does {
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) explanation: String,
    /// Its risk.
    pub(crate) risk: Risk,
    /// Whether it restarts.
    pub(crate) reboot: RebootNeed,
    /// How far it is taken back.
    pub(crate) undo: Undo,
    /// Whether it has not run on a real system.
    pub(crate) unproven: bool,
    /// Its steps with the undo of each.
    pub(crate) steps: Vec<(String, Undo)>,
}

/// All that it may run, what cannot be taken back first.
pub(crate) fn may_do(d: &Definition, catalogue: &Catalogue, t: Words) -> Vec<Does> {
    let mut all: Vec<Does> = d
        .may_do(catalogue)
        .into_iter()
        .map(|r| Does {
            name: r.name.get(t.0).to_owned(),
            explanation: r.explanation.get(t.0).to_owned(),
            risk: r.risk,
            reboot: r.reboot,
            undo: r.undo(),
            unproven: r.unproven,
            steps: r.steps.iter().map(|s| (s.action.title(), s.action.undo())).collect(),
        })
        .collect();
    all.sort_by_key(|does| std::cmp::Reverse((does.undo, does.risk)));
    all
}

/// Every step that cannot be taken back, with the remediation that it is of.
pub(crate) fn irreversible(
    d: &Definition,
    catalogue: &Catalogue,
    t: Words,
) -> Vec<(String, String)> {
    may_do(d, catalogue, t)
        .into_iter()
        .flat_map(|does| {
            let Does { name, steps, .. } = does;
            steps
                .into_iter()
                .filter(|(_, undo)| *undo == Undo::None)
                .map(move |(step, _)| (name.clone(), step))
        })
        .collect()
}
