//! What a job does next, by what its journal says. Pure.

use fleetmend_core::job::StepState;
use fleetmend_core::step::{Action, Step, Undo};

use super::journal::{Progress, StepProgress};
use super::steps::UndoRecord;

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the host what became of this step, which a crash hid.
    Clear(usize),
    /// Do this step.
    Do(usize),
    /// Take this step back.
    Undo(usize),
    /// All steps are done: prove the fix.
    Verify,
    /// Not cured, and all of it taken back.
    RolledBack,
    /// Not cured.
    Failed,
    /// A crash hid what happened.
    Unknown,
}

/// Decides. After a failure: what was done is taken back, last first; then the steps marked
/// *always* run. After an unknown outcome nothing is taken back (it might be the wrong thing), and
/// the steps marked *always* still run.
pub(crate) fn next(steps: &[Step], progress: &Progress) -> Next {
    let hidden = |i: &usize| matches!(progress.step(*i), StepProgress::Intent { .. });
    if let Some(index) = (0..steps.len()).find(hidden) {
        return Next::Clear(index);
    }
    let waits = |i: &usize| *progress.step(*i) == StepProgress::Waiting;
    if progress.failure.is_none() {
        return (0..steps.len()).find(waits).map_or(Next::Verify, Next::Do);
    }
    let unknown = progress.hidden || progress.steps.iter().any(is_unknown);
    let begun = progress.failed_at.min(steps.len());
    let undoes = |i: &usize| to_undo(progress.step(*i)) && !stays(steps, progress, *i);
    if !unknown && let Some(index) = (0..begun).rev().find(undoes) {
        return Next::Undo(index);
    }
    if let Some(index) = (begun..steps.len()).find(|i| steps[*i].always && waits(i)) {
        return Next::Do(index);
    }
    if unknown {
        return Next::Unknown;
    }
    let undone = (0..begun).any(|i| *progress.step(i) == StepProgress::Undone);
    let clean = (0..begun).all(|i| left_nothing(&steps[i], progress.step(i)));
    if undone && clean { Next::RolledBack } else { Next::Failed }
}

/// Whether it is a restore point that is the only way back from a step after it, which was done or
/// tried.
fn stays(steps: &[Step], progress: &Progress, index: usize) -> bool {
    let went = |i: usize| {
        matches!(
            progress.step(i),
            StepProgress::Done { state: StepState::Done, .. } | StepProgress::Failed { .. }
        )
    };
    matches!(steps[index].action, Action::RestorePointCreate {})
        && (index + 1..steps.len()).any(|i| steps[i].action.undo() == Undo::None && went(i))
}

/// Whether something was done that is to be taken back after a failure.
pub(crate) fn to_undo(step: &StepProgress) -> bool {
    match step {
        StepProgress::Done { undo, state: StepState::Done } | StepProgress::Failed { undo } => {
            *undo != UndoRecord::Nothing
        }
        // Stopped in the midst of taking back: doing that again is harmless.
        StepProgress::Undoing { .. } => true,
        StepProgress::Done { .. }
        | StepProgress::Waiting
        | StepProgress::Intent { .. }
        | StepProgress::Undone
        | StepProgress::UndoFailed { .. }
        | StepProgress::Unknown { .. } => false,
    }
}

fn is_unknown(step: &StepProgress) -> bool {
    matches!(step, StepProgress::Unknown { .. })
}

/// Whether nothing of the step's effect is left that should have been taken back.
fn left_nothing(step: &Step, progress: &StepProgress) -> bool {
    match progress {
        StepProgress::Waiting
        | StepProgress::Undone
        | StepProgress::Done { state: StepState::AlreadyDone, .. } => true,
        StepProgress::Done { undo, .. } | StepProgress::Failed { undo } => {
            *undo == UndoRecord::Nothing && step.action.undo() != Undo::None
        }
        StepProgress::Intent { .. }
        | StepProgress::Undoing { .. }
        | StepProgress::UndoFailed { .. }
        | StepProgress::Unknown { .. } => false,
    }
}
