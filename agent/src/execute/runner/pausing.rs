//! Pauses of a job's steps: ended before anything but the next step is done, and never taken for
//! granted by a step that comes after one.

use std::io;

use fleetmend_core::job::{JobState, StepState};
use tokio_util::sync::CancellationToken;

use super::{Came, Runner, place};
use crate::execute::journal::StepProgress;
use crate::execute::next::Next;
use crate::execute::pauses::Paused;
use crate::execute::steps::UndoRecord;

impl Runner<'_> {
    /// Ends the job's pauses where the next thing is not a step that they are for. What cannot be
    /// ended is tried again: a job does not go on, and does not end, while its host is less protected.
    pub(super) async fn pauses_end(
        &self,
        next: Next,
        stop: &CancellationToken,
    ) -> io::Result<Option<Came>> {
        if matches!(next, Next::Do(_)) && self.desk.journal.progress.failure.is_none() {
            return Ok(None);
        }
        let job = self.desk.order().job;
        let mut told = String::new();
        let known = self.paused();
        loop {
            match self.desk.shop.pauses.end_all_known(job, &known).await {
                Ok(said) if said.is_empty() => return Ok(None),
                Ok(said) => {
                    let said = said.join("; ");
                    tracing::info!(job.id = %job, "{said}");
                    self.desk.tell(JobState::Running, &said, None);
                    return Ok(None);
                }
                Err(error) => {
                    tracing::error!(job.id = %job, %error, "a pause could not be ended: tried again");
                    if told != error {
                        self.desk.tell(JobState::Running, &error, None);
                        told = error;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Some(Came::Stopped)),
                () = tokio::time::sleep(self.desk.shop.recheck_every) => {}
            }
        }
    }

    /// What the job's steps paused, by its journal.
    fn paused(&self) -> Vec<Paused> {
        let undo = |step: &StepProgress| match step {
            StepProgress::Done { undo, .. }
            | StepProgress::Failed { undo }
            | StepProgress::Unknown { undo }
            | StepProgress::UndoFailed { undo } => Some(undo.clone()),
            _ => None,
        };
        let records = self.desk.journal.progress.steps.iter().filter_map(undo);
        let paused = |undo| match undo {
            UndoRecord::Pause { paused } => Some(paused),
            _ => None,
        };
        records.filter_map(paused).collect()
    }

    /// Whether a step before this one paused something, and that is over.
    pub(super) async fn lapsed(&self, index: usize) -> bool {
        if self.desk.journal.progress.failure.is_some() {
            return false;
        }
        for (earlier, step) in self.steps.iter().enumerate().take(index) {
            let progress = self.desk.journal.progress.step(earlier);
            let paused = matches!(progress, StepProgress::Done { state: StepState::Done, .. });
            if paused
                && step.action.pauses().is_some()
                && !self.desk.shop.pauses.lasts(self.desk.order().job, place(earlier)).await
            {
                return true;
            }
        }
        false
    }
}
