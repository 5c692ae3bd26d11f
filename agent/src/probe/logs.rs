//! Questions to the package tools' logs.

use std::path::Path;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::report::FailureReport;
use fleetmend_core::time::Timestamp;

use super::words;
use crate::collect::live::{Zone, added, apt_journal};
use crate::collect::stamp;
use crate::platform::Platform;

/// How far from a failure a line may stand to be about it.
const NEAR_MS: i64 = 600_000;
/// How far back the last fetching of lists is looked for.
const UPDATES: Duration = Duration::from_hours(3 * 24);
/// Logs of the package tools.
const LOGS: [&str; 5] = [
    "var/log/apt/term.log",
    "var/log/apt/history.log",
    "var/log/dpkg.log",
    "var/log/unattended-upgrades/unattended-upgrades.log",
    "var/log/unattended-upgrades/unattended-upgrades-dpkg.log",
];

pub(super) fn says(root: &Path, contains: &str, failure: Option<&FailureReport>) -> Finding {
    let Some(failure) = failure else { return Finding::unknown("no failure to look around") };
    let wanted = contains.to_lowercase();
    if failure.message.to_lowercase().contains(&wanted) {
        return Finding::new(
            Answer::Yes,
            format!("the failure itself: {}", words(&failure.message)),
        );
    }
    let zone = Zone::of(root);
    let at = failure.time.to_timestamp(zone.offset_at(failure.time.to_timestamp(0))).as_millis();
    let (mut logs, mut seen) = (0_u8, 0_u8);
    let mut unread = None;
    for log in LOGS {
        let piece = match added(&root.join(log), None) {
            Ok(Some(piece)) => piece,
            Ok(None) => continue,
            Err(e) => {
                unread.get_or_insert(format!("/{log} cannot be read: {e}"));
                continue;
            }
        };
        logs += 1;
        let mut says_anything = false;
        // Lines without a time of their own belong to the last one before them.
        let mut when = None;
        for line in piece.text.split(|b| *b == b'\n') {
            if let Some(wall) = time_in(line) {
                when = Some(zone.source_time(wall).to_timestamp(0).as_millis());
            }
            let near = when.is_some_and(|w| (w - at).abs() <= NEAR_MS);
            says_anything |= near;
            let text = String::from_utf8_lossy(&line[..line.len().min(4_096)]);
            if near && text.to_lowercase().contains(&wanted) {
                return Finding::new(Answer::Yes, format!("/{log}: {}", words(&text)));
            }
        }
        seen += u8::from(says_anything);
    }
    // What was not read may say it.
    if let Some(unread) = unread {
        return Finding::unknown(unread);
    }
    if logs == 0 {
        return Finding::unknown("the package tools keep no log here");
    }
    // Rotated away, or not of this failure: that is no *no*.
    if seen == 0 {
        return Finding::unknown(format!(
            "no log has a line within ten minutes of {}",
            failure.time
        ));
    }
    Finding::new(Answer::No, format!("{seen} logs, ten minutes around {}", failure.time))
}

/// The time in a line of any of the logs.
fn time_in(line: &[u8]) -> Option<i64> {
    if let Some(wall) = stamp::date_clock(line, b'-', b' ') {
        return Some(wall);
    }
    let marks = ["Log started: ", "Log ended: ", "Start-Date: ", "End-Date: "];
    let rest = marks.iter().find_map(|mark| line.strip_prefix(mark.as_bytes()))?;
    let text = String::from_utf8_lossy(rest);
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    stamp::date_clock(joined.as_bytes(), b'-', b' ')
}

/// Whether the last fetching of lists left this error: by the failure's own words, the journal of
/// apt's timers, and the log of unattended-upgrades.
pub(super) async fn update_error(
    platform: &dyn Platform,
    contains: &str,
    failure: Option<&FailureReport>,
    now: Timestamp,
) -> Finding {
    let wanted = contains.to_lowercase();
    if let Some(failure) = failure.filter(|f| f.message.to_lowercase().contains(&wanted)) {
        return Finding::new(
            Answer::Yes,
            format!("the failure itself: {}", words(&failure.message)),
        );
    }
    let root = platform.root();
    // Only the journal holds every fetch: that the other log is silent says nothing.
    let mut journal_seen = false;
    let mut text = String::new();
    if root.join("run/systemd/system").is_dir()
        && let Ok(journal) = apt_journal(platform, now.before(UPDATES), None).await
    {
        journal_seen = true;
        text += &journal;
    }
    let log = "var/log/unattended-upgrades/unattended-upgrades.log";
    if let Ok(Some(piece)) = added(&root.join(log), None) {
        text += &String::from_utf8_lossy(&piece.text);
    }
    match text.lines().rev().find(|l| l.to_lowercase().contains(&wanted)) {
        Some(line) => Finding::new(Answer::Yes, words(line)),
        None if journal_seen => Finding::new(Answer::No, "not in the journal of apt's timers"),
        None => Finding::unknown("apt keeps no log of its fetches here"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use fleetmend_core::knowledge::Catalogue;
    use fleetmend_core::report::{Operation, Product, Source};

    use super::*;
    use crate::collect::draft::Draft;

    fn failure(at: &str, message: &str) -> FailureReport {
        let draft = Draft {
            product: Product::Apt,
            operation: Operation::Install,
            code: None,
            subject: None,
            time: at.parse().expect("a time"),
            source: Source::Dpkg,
            event: None,
            line: None,
            count: None,
            update_class: None,
            message: message.to_owned(),
        };
        draft.finish(&Catalogue::default())
    }

    fn write(root: &Path, log: &str, text: &str) {
        let path = root.join(log);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn only_logs_that_tell_of_the_time_of_the_failure_say_no() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let failed = failure("2026-01-02T09:05:00.000Z", "exit status 1");
        let ask = |text: &str| says(root, text, Some(&failed)).answer;
        assert_eq!(says(root, "full", None).answer, Answer::Unknown, "around which failure");
        assert_eq!(ask("EXIT status"), Answer::Yes, "the failure's own words");
        assert_eq!(ask("disk is full"), Answer::Unknown, "no log at all");

        // A line without a time of its own is of the last one that has one.
        let term = "Log started: 2026-01-02  07:00:00\nno space\nLog started: 2026-01-02  09:14:59\nThe disk is FULL\nLog started: 2026-01-02  09:15:01\ntoo late\n";
        write(root, LOGS[0], term);
        assert_eq!(ask("disk is full"), Answer::Yes);
        assert_eq!(ask("no space"), Answer::No, "hours before");
        assert_eq!(ask("too late"), Answer::No, "a second over ten minutes");
        write(root, LOGS[0], "no time stands here: disk is full\n");
        assert_eq!(ask("disk is full"), Answer::Unknown, "nobody knows when");

        // A log that cannot be read may hold it, whatever the others say.
        write(root, LOGS[2], "2026-01-02 09:04:00 status installed demo\n");
        assert_eq!(ask("disk is full"), Answer::No);
        fs::remove_file(root.join(LOGS[0])).expect("removed");
        std::os::unix::fs::symlink("term.log", root.join(LOGS[0])).expect("a link to itself");
        let told = says(root, "disk is full", Some(&failed));
        assert_eq!(told.answer, Answer::Unknown);
        assert!(told.proof.contains("term.log cannot be read"), "{}", told.proof);
        assert_eq!(ask("installed demo"), Answer::Yes, "a yes stays one");
    }
}
