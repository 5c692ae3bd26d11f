//! Jobs whose steps are done, and whose proof is the next natural run of the failing operation. That
//! may be days away: they stand aside, and the host's other jobs go on.

use std::io;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use fleetmend_core::ids::JobId;
use fleetmend_core::limits;
use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;

use super::Executor;
use super::journal::Journal;

/// A job that waits for a natural run.
#[derive(Debug)]
pub(super) struct Waiting {
    path: PathBuf,
    job: JobId,
    key: IncidentKey,
    since: Timestamp,
}

impl Executor {
    /// Puts a job aside until a natural run tells of it.
    pub(super) fn await_run(&self, path: PathBuf) {
        match Journal::read(&path) {
            Ok(Some(progress)) => self.waiting().push(Waiting {
                path,
                job: progress.order.job,
                key: progress.order.key,
                since: progress.verifying_since,
            }),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "journal unreadable: the job goes on at the next start");
            }
        }
    }

    /// Takes up the waiting jobs that can come to their end: their run was seen, somebody took them
    /// back, or their time is over. The host's kill switch is no end: they only look.
    pub(super) fn wake(&self) {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            return;
        }
        let now = self.shop.clock.now();
        let ready = |job: &mut Waiting| {
            now >= job.since.after(limits::VERIFY_WITHIN)
                || self.recalls.of(job.job).is_some()
                || self.shop.natural.after(&job.key, job.since).is_some()
        };
        for job in waiting.extract_if(.., ready).collect::<Vec<_>>() {
            match Journal::reopen(&job.path) {
                Ok(Some(journal)) => self.queue().push_back(journal),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!(job.id = %job.job, %error, "journal unreadable");
                }
                Err(error) => {
                    tracing::debug!(job.id = %job.job, %error, "the journal cannot be opened yet");
                    waiting.push(job);
                }
            }
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
