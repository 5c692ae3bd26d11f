//! The logs and event files of a Windows host, below its root: read on from where the last look
//! ended, each failure told once. Where a look has to begin again (a log in UTF-16, one that was
//! replaced), what was told is known by its digest. Failures of updates that several logs tell are
//! [joined](super::join).

use std::path::Path;
use std::time::Duration;

use fleetmend_core::report::{FailureReport, Recovery};
use fleetmend_core::time::{SourceTime, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::join::New;
use super::{Live, Observed};
use crate::collect::follow::{Place, follow};
use crate::collect::names::Named;
use crate::collect::runs;

const APPLICATION: &str = "Windows/System32/winevt/Logs/Application.evtx";
/// The channel of wbengine's own, whose events have copies in the Application log.
const WBENGINE_LOG: &str = "Windows/System32/winevt/Logs/Microsoft-Windows-Backup.evtx";
/// Where Windows keeps what the collectors read.
const FILES: [&str; 18] = [
    "Windows/Logs/CBS/CBS.log",
    "Windows/Logs/DISM/dism.log",
    "Windows/Logs/MoSetup/BlueBox.log",
    "Windows/SoftwareDistribution/ReportingEvents.log",
    "Windows/WindowsUpdate.log",
    "Windows/Panther/setupact.log",
    "Windows/System32/Sysprep/Panther/setupact.log",
    "$WINDOWS.~BT/Sources/Panther/setupact.log",
    APPLICATION,
    "Windows/System32/winevt/Logs/Setup.evtx",
    "Windows/System32/winevt/Logs/System.evtx",
    WBENGINE_LOG,
    "Windows/System32/winevt/Logs/Microsoft-Windows-AppXDeploymentServer%4Operational.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-Bits-Client%4Operational.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-FileHistory-Engine%4BackupLog.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-Windows Defender%4Operational.evtx",
    "Windows/System32/winevt/Logs/Microsoft-Windows-WindowsUpdateClient%4Operational.evtx",
    "Windows/System32/winevt/Logs/Veeam Agent.evtx",
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
    /// Failures told, each by a short digest; the latest last.
    told: Vec<u64>,
    /// What is older than this, by the log's own clock, was told.
    told_before: i64,
    /// The latest success told, by the log's own clock.
    recovered: i64,
    /// When the run of wbengine that was told last had ended, in milliseconds since the epoch: a later
    /// look may find the event that ends every run.
    #[serde(default)]
    run_ended: i64,
    /// Where the last look ended.
    #[serde(default)]
    place: Place,
}

/// What came to one file since the last look.
#[derive(Debug, Default)]
struct News {
    /// With the identifiers of the updates that events are about.
    failures: Vec<(FailureReport, Option<String>)>,
    recoveries: Vec<Recovery>,
    names: Vec<Named>,
}

impl Live {
    /// Reads the files that changed.
    pub(super) async fn files(&mut self, now: Timestamp, observed: &mut Observed) {
        let from = observed.failures.len();
        let (mut failures, mut recoveries) = (Vec::new(), Vec::new());
        for (file, name) in FILES.into_iter().enumerate() {
            let path = self.root.join(name);
            let Ok(about) = std::fs::metadata(&path) else { continue };
            let changed = about.modified().ok().map_or(0, millis);
            let before = self.cursor.files.get(name);
            let same = |s: &Seen| s.size == about.len() && s.changed == changed;
            if before.is_some_and(|s| same(s) && s.place.unchanged(&path)) {
                continue;
            }
            let first = before.is_none();
            let mut seen = before.cloned().unwrap_or_default();
            (seen.size, seen.changed) = (about.len(), changed);
            match self.changed(&path, &mut seen, first, now, observed).await {
                Ok(news) => {
                    let new = |(report, update)| New { file, report, update };
                    failures.extend(news.failures.into_iter().map(new));
                    recoveries.extend(news.recoveries);
                    self.cursor.updates.learn(news.names);
                    self.cursor.files.insert(name.to_owned(), seen);
                }
                Err(e) => observed.notes.push(format!("{name} could not be read: {e}")),
            }
        }
        // Not before all names are known.
        let updates = &mut self.cursor.updates;
        observed.failures.extend(updates.failures(failures, self.zone.offset_at(now)));
        observed.recoveries.extend(recoveries.into_iter().flat_map(|r| updates.recovered(r)));
        runs::once(&mut observed.failures, from);
    }

    async fn changed(
        &self,
        path: &Path,
        seen: &mut Seen,
        first: bool,
        now: Timestamp,
        observed: &mut Observed,
    ) -> std::io::Result<News> {
        // On a thread of its own: such a log may be half a gigabyte, and the link's heartbeats go on
        // meanwhile.
        let (file, place, catalogue) = (path.to_owned(), seen.place.clone(), self.catalogue);
        let reading = tokio::task::spawn_blocking(move || follow(&file, Some(&place), catalogue));
        let followed = reading.await.map_err(std::io::Error::other)??;
        observed.notes.extend(followed.note);
        seen.place = followed.place;
        let mut found = followed.found;
        let mut news = News { names: std::mem::take(&mut found.names), ..News::default() };
        let offset = self.zone.offset_at(now);
        let since = now.before(self.first_look);
        let old = |time: SourceTime| first && time.to_timestamp(offset) < since;
        // The same upgrade is told of in several files.
        let elsewhere =
            |digest: u64| self.cursor.files.values().any(|other| other.told.contains(&digest));
        // The run's own channel tells of it, now or at the next look.
        let only_copies = path.ends_with(APPLICATION) && self.root.join(WBENGINE_LOG).exists();
        let run_ended = seen.run_ended;
        let run_told = |report: &FailureReport| {
            runs::may_repeat(report)
                && (only_copies || runs::is_one_run(report.time.wall_ms() - run_ended))
        };
        let mut told: Vec<(i64, u64)> = Vec::with_capacity(found.reports.len());
        for report in found.reports {
            let (wall, digest) = (report.time.wall_ms(), digest(&report));
            let known = wall < seen.told_before
                || seen.told.contains(&digest)
                || elsewhere(digest)
                || run_told(&report)
                || old(report.time);
            told.push((wall, digest));
            if runs::may_be_repeated(&report) {
                seen.run_ended = seen.run_ended.max(wall);
            }
            if !known {
                let update = report.record_id.and_then(|record| found.updates.get(&record));
                news.failures.push((report, update.cloned()));
            }
        }
        told.sort_unstable();
        if followed.went_on {
            // What stands before the place is not read again: what was told of it may be forgotten.
            let new = told.into_iter().map(|(_, digest)| digest);
            let new: Vec<u64> = new.filter(|digest| !seen.told.contains(digest)).collect();
            seen.told.extend(new);
            seen.told.drain(..seen.told.len().saturating_sub(TOLD));
        } else {
            let over = told.len().saturating_sub(TOLD);
            if over > 0 {
                seen.told_before = told[over].0;
            }
            seen.told = told.split_off(over).into_iter().map(|(_, digest)| digest).collect();
        }
        let latest = found.recovered.iter().map(|r| r.time.wall_ms()).max();
        for recovered in found.recovered {
            if recovered.time.wall_ms() > seen.recovered && !old(recovered.time) {
                news.recoveries.push(recovered.into_recovery(offset));
            }
        }
        seen.recovered = seen.recovered.max(latest.unwrap_or(i64::MIN));
        if found.damaged > 0 {
            let (name, n) = (path.display(), found.damaged);
            observed
                .notes
                .push(format!("{name}: {n} parts could not be read and were passed over"));
        }
        Ok(news)
    }
}

fn millis(at: std::time::SystemTime) -> i64 {
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What tells a failure of one file from its others.
fn digest(report: &FailureReport) -> u64 {
    let key = report.incident_key();
    let code = key.code.as_ref().map(ToString::to_string).unwrap_or_default();
    let subject = key.subject.as_deref().unwrap_or_default();
    let (time, record) = (report.time.to_string(), report.record_id.unwrap_or_default());
    let words = [key.product.as_str(), key.operation.as_str(), &code, subject, &time];
    digest_of(&words, &record.to_be_bytes())
}

/// A short digest of some words.
pub(super) fn words_digest(words: &[&str]) -> u64 {
    digest_of(words, &[])
}

fn digest_of(words: &[&str], end: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word);
    }
    hash.update(end);
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
        // Rotated, and what was written last to the old file was not seen yet.
        let (third, fourth) = ("2026-11-22 10:30:00, ", "2026-11-22 10:40:00, ");
        let old_name = log.with_file_name("CbsPersist_20261122110000.log");
        let all = std::fs::read_to_string(&log).expect("read");
        std::fs::write(&old_name, format!("{all}{third}{LINE}")).expect("written");
        std::fs::write(&log, format!("{fourth}{LINE}")).expect("written");
        let both = ["2026-11-22T10:30:00.000", "2026-11-22T10:40:00.000"];
        assert_eq!(look(&mut live, "2026-11-22T12:00:00Z").await, both);
        assert!(look(&mut live, "2026-11-22T12:01:00Z").await.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_decided_is_told_when_it_is_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("Windows/Logs/CBS/CBS.log");
        std::fs::create_dir_all(log.parent().expect("a parent")).expect("made");
        let mut live = Live::open(folder.path(), folder.path(), fleetmend_catalog::builtin());
        let mut text = "2026-11-22 10:00:00, Info                  CBS    Exec: Processing complete.  Session: 7_1, Package: P, Identifier: KB1 [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]\r\n\
            2026-11-22 10:00:01, Info                  CBS    TiWorker: Client requests SFP repair object.\r\n\
            2026-11-22 10:00:02, Info                  CSI    00000801 [SR] Cannot repair member file [l:36]'a' of b, Version\r\n"
            .to_owned();
        std::fs::write(&log, &text).expect("written");
        assert!(look(&mut live, "2026-11-22T10:01:00Z").await.is_empty(), "the session goes on");
        // Half a line is no line.
        text += "2026-11-22 10:00:03, Info                  CSI    00000802 [SR] Cannot repair member file [l:36]'c' of b, Version\r\n2026-11-22 10:00:04, Info                  CBS    Session: 7_1 finalized. Reboot required: no [HRESULT = 0x800f08";
        std::fs::write(&log, &text).expect("written");
        assert!(look(&mut live, "2026-11-22T10:02:00Z").await.is_empty());
        text += "1f - CBS_E_SOURCE_MISSING]\r\n2026-11-22 10:00:05, Info                  CBS    TiWorker signaled for shutdown, going to exit.\r\n";
        std::fs::write(&log, &text).expect("written");
        let told = look(&mut live, "2026-11-22T10:03:00Z").await;
        assert_eq!(told, ["2026-11-22T10:00:03.000", "2026-11-22T10:00:04.000"]);
        text += "2026-11-22 18:00:00, Info                  CBS    a quiet line\r\n";
        std::fs::write(&log, &text).expect("written");
        assert!(look(&mut live, "2026-11-22T18:01:00Z").await.is_empty(), "told already");
        // Another session that never ends is told when the log has gone on for hours.
        text += "2026-11-22 18:00:01, Info                  CBS    Exec: Processing complete.  Session: 8_1, Package: Q, Identifier: KB2 [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]\r\n";
        std::fs::write(&log, &text).expect("written");
        assert!(look(&mut live, "2026-11-22T18:02:00Z").await.is_empty());
        text += "2026-11-23 01:00:00, Info                  CBS    a quiet line\r\n";
        std::fs::write(&log, &text).expect("written");
        assert_eq!(look(&mut live, "2026-11-23T01:02:00Z").await, ["2026-11-22T18:00:01.000"]);
    }

    #[tokio::test]
    async fn one_upgrade_in_two_files_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = "2026-11-22 10:00:00, Error                 MOUPG  SetupHost: Reporting error event -> [0xC1900101, 0x4000D]\r\n";
        for name in ["Windows/Panther/setupact.log", "Windows/Logs/MoSetup/BlueBox.log"] {
            let log = folder.path().join(name);
            std::fs::create_dir_all(log.parent().expect("a parent")).expect("made");
            std::fs::write(&log, line).expect("written");
        }
        let mut live = Live::open(folder.path(), folder.path(), fleetmend_catalog::builtin());
        assert_eq!(look(&mut live, "2026-11-22T12:00:00Z").await.len(), 1);
    }

    #[tokio::test]
    async fn a_file_of_the_same_size_and_time_in_the_place_of_another_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("Windows/SoftwareDistribution/ReportingEvents.log");
        std::fs::create_dir_all(log.parent().expect("a parent")).expect("made");
        let guid = "{8B24B027-1DEE-BABB-9A95-3517DFB9C552}";
        let write = |at: &str| {
            let row = format!(
                "{guid}\t2026-11-22 {at}:000+0000\t1\t182 [X]\t101\t{guid}\t1\t80070003\tx\tFailure\tContent Install\tw\tv\r\n"
            );
            let wide = std::iter::once(0xFEFF).chain(row.encode_utf16());
            std::fs::write(&log, wide.flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
                .expect("written");
            let file = std::fs::File::options().write(true).open(&log).expect("opened");
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("set");
        };
        let mut live = Live::open(folder.path(), folder.path(), fleetmend_catalog::builtin());
        write("10:00:00");
        assert_eq!(look(&mut live, "2026-11-22T12:00:00Z").await.len(), 1);
        write("10:00:00");
        assert!(look(&mut live, "2026-11-22T12:00:10Z").await.is_empty(), "the same");
        write("11:00:00");
        assert_eq!(
            look(&mut live, "2026-11-22T12:00:20Z").await,
            ["2026-11-22T11:00:00.000+00:00"]
        );
    }
}
