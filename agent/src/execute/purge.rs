//! What a job leaves behind for its undo is kept for thirty days after its end was told: then its
//! journal goes, and before it what it put into the agent's own quarantine. What lies beside its old
//! place on the host (a rename) is the host's, and stays.

use std::fs;
use std::io;
use std::path::Path;

use fleetmend_core::time::Timestamp;

use super::journal::{self, Journal};

/// Removes journals of jobs that ended before `keep_from`, with their quarantined things.
pub(crate) fn purge(journals: &Path, quarantine: &Path, keep_from: Timestamp) {
    for path in journal::list(journals).unwrap_or_default() {
        let Ok(Some(progress)) = Journal::read(&path) else { continue };
        let old = progress.finished.as_ref().is_some_and(|update| update.at < keep_from);
        if !old || !progress.told {
            continue;
        }
        let job = progress.order.job;
        // The journal goes last: while it is there, the rest is tried again.
        let gone = forget(quarantine, &format!("{job}-")).and_then(|()| fs::remove_file(&path));
        match gone {
            Ok(()) => tracing::info!(job.id = %job, "old journal and undo data removed"),
            Err(error) => tracing::warn!(job.id = %job, %error, "old undo data not removed"),
        }
    }
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
