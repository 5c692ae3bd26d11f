//! The proof at a job's end: the failing operation repeated, or its next natural run awaited.

use std::io;
use std::sync::PoisonError;

use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::knowledge::Verification;
use fleetmend_core::limits;
use fleetmend_core::order::Task;

use super::{Came, Runner};
use crate::execute::journal::Entry;
use crate::execute::verify::{self, Court, Proof};

impl Runner<'_> {
    /// Ends the job by its proof; `None` where it goes on to be taken back.
    pub(super) async fn verify(&mut self) -> io::Result<Option<Came>> {
        if self.awaits_run() && !self.desk.journal.after_stop {
            return self.by_natural_run().await;
        }
        match self.prove().await? {
            Proof::NextRun => self.by_natural_run().await,
            proof => self.proved(proof).await,
        }
    }

    async fn prove(&mut self) -> io::Result<Proof> {
        if !self.desk.journal.progress.verifying {
            self.desk.note(Entry::Verifying { at: self.desk.shop.clock.now() })?;
        }
        self.desk.state = JobState::Verifying;
        let method = self.method();
        let detail = match method {
            Verification::NextRun => "the next natural run of the failing operation is awaited",
            _ => "the failing operation is repeated",
        };
        self.desk.tell(JobState::Verifying, detail, None);
        let log = self.desk.log(self.steps.len(), 0);
        let court = Court {
            platform: self.desk.shop.platform.as_ref(),
            prober: self.desk.shop.prober.as_ref(),
            values: &self.desk.values,
            log: &log,
        };
        Ok(verify::verify(method, self.cause, &court).await)
    }

    /// Ends the job by its proof; `None` where it goes on to be taken back.
    async fn proved(&mut self, proof: Proof) -> io::Result<Option<Came>> {
        match proof {
            Proof::Fixed(level, why) => {
                let came = self.finish(JobState::Fixed, why, Some(level)).await?;
                let mut mended =
                    self.desk.shop.mended.lock().unwrap_or_else(PoisonError::into_inner);
                mended.push(self.desk.order().key.clone());
                Ok(Some(came))
            }
            Proof::Unproved(why) => self.finish(JobState::Unverified, why, None).await.map(Some),
            Proof::NextRun => {
                let why = "no natural run of the failing operation was seen".to_owned();
                self.finish(JobState::Unverified, why, None).await.map(Some)
            }
            Proof::NotCured(why) => {
                let why = match self.desk.order().task {
                    Task::Verify => format!("it is not fixed: {why}"),
                    _ => format!("the steps went well, and it is not cured: {why}"),
                };
                self.desk.give_up(&why, false)?;
                Ok(None)
            }
        }
    }

    /// How this order's failure is proved to be gone.
    pub(super) fn method(&self) -> Verification {
        self.remediation.proof_of(&self.desk.order().key)
    }

    /// Whether the steps are done, and only a natural run is awaited.
    pub(super) fn awaits_run(&self) -> bool {
        let progress = &self.desk.journal.progress;
        let natural = self.method() == Verification::NextRun;
        natural && progress.verifying && progress.failure.is_none()
    }

    /// Ends the job by the next natural run of the failing operation; it waits as long as a proof
    /// may take.
    async fn by_natural_run(&mut self) -> io::Result<Option<Came>> {
        let since = self.desk.journal.progress.verifying_since;
        if let Some(run) = self.desk.shop.natural.after(&self.desk.order().key, since) {
            let proof = if run.worked && run.by_state {
                // What was reported is gone, and yet nobody saw the operation work.
                let why = format!("the condition is gone: {}", run.words);
                Proof::Fixed(ProofLevel::ProbeOnly, why)
            } else if run.worked {
                let why = format!("the next run, at {}, worked: {}", run.at, run.words);
                Proof::Fixed(ProofLevel::Observed, why)
            } else {
                Proof::NotCured(format!("the next run, at {}, failed: {}", run.at, run.words))
            };
            return self.proved(proof).await;
        }
        if self.desk.shop.clock.now() >= since.after(limits::VERIFY_WITHIN) {
            return self.proved(Proof::NextRun).await;
        }
        Ok(Some(Came::Waits))
    }
}
