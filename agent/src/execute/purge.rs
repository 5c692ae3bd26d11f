//! What a job leaves behind for its undo is kept for thirty days after its end was told: then its
//! journal goes, and before it what it put into the agent's own quarantine and what lies renamed beside
//! its old place. Of a job that did not help the renamed thing stays, and so it does where nothing new
//! came to its place.

use std::fs;
use std::io;
use std::path::Path;

use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;

use super::journal::{self, Journal, Progress, StepProgress};
use super::shop::UNREADABLE;
use super::steps;

/// Removes journals of jobs that ended before `keep_from`, with their quarantined things.
pub(crate) fn purge(root: &Path, journals: &Path, quarantine: &Path, keep_from: Timestamp) {
    for path in journal::list(journals).unwrap_or_default() {
        let unreadable = path.with_extension(UNREADABLE);
        if older(&unreadable, keep_from) {
            let gone = fs::remove_file(&path).and_then(|()| fs::remove_file(&unreadable));
            if let Err(error) = gone {
                tracing::warn!(path = %path.display(), %error, "old damaged journal not removed");
            }
            continue;
        }
        let Ok(Some(progress)) = Journal::read(&path) else { continue };
        let old = progress.finished.as_ref().is_some_and(|update| update.at < keep_from);
        if !old || !progress.told {
            continue;
        }
        let job = progress.order.job;
        // The journal goes last: while it is there, the rest is tried again.
        let gone = beside(root, &progress)
            .and_then(|()| forget(quarantine, &format!("{job}-")))
            .and_then(|()| fs::remove_file(&path));
        match gone {
            Ok(()) => tracing::info!(job.id = %job, "old journal and undo data removed"),
            Err(error) => tracing::warn!(job.id = %job, %error, "old undo data not removed"),
        }
    }
}

/// Removes what a job that helped keeps beside its old place. What it did not mend stays for a person
/// to look at.
fn beside(root: &Path, progress: &Progress) -> io::Result<()> {
    let state = progress.finished.as_ref().map(|update| update.state);
    if !matches!(state, Some(JobState::Fixed | JobState::Unverified)) {
        return Ok(());
    }
    for step in &progress.steps {
        if let StepProgress::Done { undo, .. } = step {
            steps::forget(undo, progress.order.job, root).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// Whether a file is there and was last changed before `keep_from`.
fn older(path: &Path, keep_from: Timestamp) -> bool {
    let since = fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let since = since.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.is_some_and(|ms| ms < keep_from.as_millis())
}

/// Removes what begins with `prefix`; a link is removed itself, never what it points to.
fn forget(quarantine: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(quarantine)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
