//! Pauses of a job's steps: ended before anything but the next step is done, and never taken for
//! granted by a step that comes after one.

use std::io;

use fleetmend_core::job::{JobState, StepState};
use tokio_util::sync::CancellationToken;

use super::{Came, Runner, place};
use crate::execute::journal::StepProgress;
use crate::execute::next::Next;

impl Runner<'_> {
    /// Ends the job's pauses where the next thing is not a step that they are for. What cannot be
    /// ended is tried again: a job does not go on, and does not end, while its host is less protected.
    pub(super) async fn pauses_end(
        &self,
        next: Next,
        stop: &CancellationToken,
    ) -> io::Result<Option<Came>> {
        if matches!(next, Next::Do(_)) && self.journal.progress.failure.is_none() {
            return Ok(None);
        }
        let job = self.order().job;
        let mut told = String::new();
        loop {
            match self.shop.pauses.end(job).await {
                Ok(said) if said.is_empty() => return Ok(None),
                Ok(said) => {
                    let said = said.join("; ");
                    tracing::info!(job.id = %job, "{said}");
                    self.tell(JobState::Running, &said, None, Vec::new(), None);
                    return Ok(None);
                }
                Err(error) => {
                    tracing::error!(job.id = %job, %error, "a pause could not be ended: tried again");
                    if told != error {
                        self.tell(JobState::Running, &error, None, Vec::new(), None);
                        told = error;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Some(Came::Stopped)),
                () = tokio::time::sleep(self.shop.recheck_every) => {}
            }
        }
    }

    /// Whether a step before this one paused something, and that is over.
    pub(super) async fn lapsed(&self, index: usize) -> bool {
        if self.journal.progress.failure.is_some() {
            return false;
        }
        for (earlier, step) in self.remediation.steps.iter().enumerate().take(index) {
            let progress = self.journal.progress.step(earlier);
            let paused = matches!(progress, StepProgress::Done { state: StepState::Done, .. });
            if paused
                && step.action.pauses().is_some()
                && !self.shop.pauses.lasts(self.order().job, place(earlier)).await
            {
                return true;
            }
        }
        false
    }
}
