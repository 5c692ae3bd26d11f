//! The logs and event files of a Windows host, below its root: read when they changed, each failure
//! told once. A file is read from its beginning, because what ended badly is often decided by lines
//! far apart; that costs time in step with its size, and only when it grew.

use std::path::Path;
use std::time::Duration;

use fleetmend_core::report::FailureReport;
use fleetmend_core::time::{SourceTime, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Live, Observed};
use crate::collect;

/// Where Windows keeps what the collectors read.
const FILES: [&str; 12] = [
    "Windows/Logs/CBS/CBS.log",
    "Windows/Logs/DISM/dism.log",
    "Windows/SoftwareDistribution/ReportingEvents.log",
    "Windows/WindowsUpdate.log",
    "Windows/Panther/setupact.log",
    "Windows/System32/winevt/Logs/Application.evtx",
    "Windows/System32/winevt/Logs/Setup.evtx",
    "Windows/System32/winevt/Logs/System.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-Backup.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-Bits-Client%4Operational.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-WindowsBackup%4ActionCenter.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-WindowsUpdateClient%4Operational.evtx",
];
/// Failures of one file that are remembered one by one; older ones are remembered by their time.
const TOLD: usize = 2_000;

/// What is remembered of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// Its size when it was read.
    size: u64,
    /// When it had last changed, in milliseconds since the epoch.
    changed: i64,
    /// Failures told, each by a short digest.
    told: Vec<u64>,
    /// What is older than this, by the log's own clock, was told.
    told_before: i64,
    /// The latest success told, by the log's own clock.
    recovered: i64,
}

impl Live {
    /// Reads the files that changed.
    pub(super) async fn files(&mut self, now: Timestamp, observed: &mut Observed) {
        for name in FILES {
            let path = self.root.join(name);
            let Ok(about) = std::fs::metadata(&path) else { continue };
            let changed = about.modified().ok().map_or(0, millis);
            let before = self.cursor.files.get(name);
            if before.is_some_and(|s| s.size == about.len() && s.changed == changed) {
                continue;
            }
            let first = before.is_none();
            let mut seen = before.cloned().unwrap_or_default();
            (seen.size, seen.changed) = (about.len(), changed);
            match self.changed(&path, &mut seen, first, now, observed).await {
                Ok(()) => {
                    self.cursor.files.insert(name.to_owned(), seen);
                }
                Err(e) => observed.notes.push(format!("{name} could not be read: {e}")),
            }
        }
    }

    async fn changed(
        &self,
        path: &Path,
        seen: &mut Seen,
        first: bool,
        now: Timestamp,
        observed: &mut Observed,
    ) -> std::io::Result<()> {
        // On a thread of its own: such a log may be half a gigabyte, and the link's heartbeats go on
        // meanwhile.
        let (file, catalogue) = (path.to_owned(), self.catalogue);
        let reading = tokio::task::spawn_blocking(move || collect::file(&file, catalogue));
        let found = reading.await.map_err(std::io::Error::other)??;
        let offset = self.zone.offset_at(now);
        let since = now.before(self.first_look);
        let old = |time: SourceTime| first && time.to_timestamp(offset) < since;
        let mut told: Vec<(i64, u64)> = Vec::with_capacity(found.reports.len());
        for report in found.reports {
            let (wall, digest) = (report.time.wall_ms(), digest(&report));
            let known = wall < seen.told_before || seen.told.contains(&digest) || old(report.time);
            told.push((wall, digest));
            if !known {
                observed.failures.push(report);
            }
        }
        told.sort_unstable();
        let over = told.len().saturating_sub(TOLD);
        if over > 0 {
            seen.told_before = told[over].0;
        }
        seen.told = told.split_off(over).into_iter().map(|(_, digest)| digest).collect();
        let latest = found.recovered.iter().map(|r| r.time.wall_ms()).max();
        for recovered in found.recovered {
            if recovered.time.wall_ms() > seen.recovered && !old(recovered.time) {
                observed.recoveries.push(recovered.into_recovery(offset));
            }
        }
        seen.recovered = seen.recovered.max(latest.unwrap_or(i64::MIN));
        if found.damaged > 0 {
            let (name, n) = (path.display(), found.damaged);
            observed
                .notes
                .push(format!("{name}: {n} parts could not be read and were passed over"));
        }
        Ok(())
    }
}

fn millis(at: std::time::SystemTime) -> i64 {
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What tells a failure of one file from its others.
fn digest(report: &FailureReport) -> u64 {
    let mut hash = Sha256::new();
    let key = report.incident_key();
    let code = key.code.as_ref().map(ToString::to_string).unwrap_or_default();
    let subject = key.subject.as_deref().unwrap_or_default();
    let words = [key.product.as_str(), key.operation.as_str(), &code, subject];
    for word in words.into_iter().chain([report.time.to_string().as_str()]) {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word);
    }
    hash.update(report.record_id.unwrap_or_default().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "Info                  CBS    Session: 30_1 finalized. Reboot required: no [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]\r\n";

    async fn look(live: &mut Live, now: &str) -> Vec<String> {
        let mut observed = Observed::default();
        live.cursor.clone_from(&live.safe);
        live.files(now.parse().expect("a time"), &mut observed).await;
        live.commit().expect("saved");
        assert!(observed.notes.is_empty(), "{:?}", observed.notes);
        observed.failures.iter().map(|f| f.time.to_string()).collect()
    }

    #[tokio::test]
    async fn a_large_log_holds_up_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("Windows/Logs/CBS/CBS.log");
        std::fs::create_dir_all(log.parent().expect("a parent")).expect("made");
        std::fs::write(&log, format!("2026-11-20 10:00:00, {LINE}").repeat(30_000))
            .expect("written");
        let mut live = Live::open(folder.path(), folder.path(), fleetmend_catalog::builtin());
        let heartbeat = std::cell::Cell::new(false);
        let look = async {
            look(&mut live, "2026-11-22T00:00:00Z").await;
            assert!(heartbeat.get(), "nobody else came to their turn while the log was read");
        };
        tokio::join!(look, async { heartbeat.set(true) });
    }

    #[tokio::test]
    async fn each_failure_of_a_growing_log_is_told_once_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("Windows/Logs/CBS/CBS.log");
        std::fs::create_dir_all(log.parent().expect("a parent")).expect("made");
        let old = "2026-01-02 03:04:05, ";
        let first = "2026-11-20 10:00:00, ";
        std::fs::write(&log, format!("{old}{LINE}{first}{LINE}")).expect("written");
        let catalogue = fleetmend_catalog::builtin();
        let mut live = Live::open(folder.path(), folder.path(), catalogue);
        assert_eq!(look(&mut live, "2026-11-22T00:00:00Z").await, ["2026-11-20T10:00:00.000"]);
        assert!(look(&mut live, "2026-11-22T00:01:00Z").await.is_empty(), "unchanged");

        let second = "2026-11-22 10:00:00, ";
        std::fs::write(&log, format!("{old}{LINE}{first}{LINE}{second}{LINE}")).expect("written");
        let mut live = Live::open(folder.path(), folder.path(), catalogue);
        assert_eq!(look(&mut live, "2026-11-22T11:00:00Z").await, ["2026-11-22T10:00:00.000"]);
        // Rotated: what stood in the old file is not told again from the new one.
        std::fs::write(&log, format!("{second}{LINE}")).expect("written");
        assert!(look(&mut live, "2026-11-22T12:00:00Z").await.is_empty());
    }
}
