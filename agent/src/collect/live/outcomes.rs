//! How past runs of apt and unattended-upgrades ended, by their logs; each once.

use std::time::Duration;

use fleetmend_core::code::FailureCode;
use fleetmend_core::limits;
use fleetmend_core::report::{IncidentKey, Operation, Product, Recovery, Source};
use fleetmend_core::time::Timestamp;

use super::apt_logs::{self, Logged, Stanza};
use super::words::{operation_of, slug_of};
use super::{Live, Observed, added};
use crate::collect::draft::{Draft, slug};
use crate::platform::{Platform, Program};

/// apt's runs told apart that are remembered, so that the other log does not tell of them again.
const EXPLAINED: usize = 64;
/// How far apart the two logs may put one run.
const SAME_RUN_MS: i64 = 5_000;
/// A log whose open run is larger than this is taken as it is.
const OPEN_RUN: usize = 768 * 1024;
/// Slugs that the present state tells of, better than the logs.
const BY_STATE: [&str; 4] =
    ["apt.dpkg_interrupted", "apt.half_installed", "apt.broken_deps", "apt.conffile_prompt"];

impl Live {
    /// Reads what was added to the logs.
    pub(super) async fn outcomes(
        &mut self,
        platform: &dyn Platform,
        now: Timestamp,
        observed: &mut Observed,
    ) {
        for log in
            ["var/log/apt/term.log", "var/log/unattended-upgrades/unattended-upgrades-dpkg.log"]
        {
            if let Some((runs, _)) = self.added_to(log, apt_logs::runs, observed) {
                for run in runs {
                    self.run(run, now, observed);
                }
            }
        }
        if let Some((stanzas, _)) =
            self.added_to("var/log/apt/history.log", apt_logs::stanzas, observed)
        {
            for stanza in stanzas {
                self.stanza(stanza, now, observed);
            }
        }
        let whole = |text: &[u8]| (apt_logs::unattended_errors(text), text.len());
        let log = "var/log/unattended-upgrades/unattended-upgrades.log";
        if let Some((errors, _)) = self.added_to(log, whole, observed) {
            for error in errors {
                self.unattended(error, now, observed);
            }
        }
        if self.root.join("run/systemd/system").is_dir() {
            self.journal(platform, now, observed).await;
        }
    }

    /// What was added to one log, read by `read`, which says how much it took.
    pub(super) fn added_to<T>(
        &mut self,
        log: &str,
        read: impl Fn(&[u8]) -> (T, usize),
        observed: &mut Observed,
    ) -> Option<(T, usize)> {
        let last = self.cursor.logs.get(log).copied();
        match added(&self.root.join(log), last) {
            Ok(Some(piece)) => {
                observed.notes.extend(piece.note.clone());
                let (found, mut taken) = read(&piece.text);
                // A run that was cut short at the end of a rotated log never gets its own end: it must
                // not keep the look from the log that is written now.
                if piece.closed || (taken == 0 && piece.text.len() > OPEN_RUN) {
                    taken = piece.text.len();
                }
                self.cursor.logs.insert(log.to_owned(), piece.place(taken));
                Some((found, taken))
            }
            Ok(None) => None,
            Err(e) => {
                observed.notes.push(format!("/{log} cannot be read: {e}"));
                None
            }
        }
    }

    /// One run of term.log: what failed in it, but for what the present state tells of.
    fn run(&mut self, run: apt_logs::Run, now: Timestamp, observed: &mut Observed) {
        if run.failures.is_empty() {
            return;
        }
        self.cursor.explained.push((run.start, run.end));
        let over = self.cursor.explained.len().saturating_sub(EXPLAINED);
        self.cursor.explained.drain(..over);
        if !self.recent(run.end, now) {
            return;
        }
        for failure in run.failures {
            // A failing configuration leaves the package half-configured: reported from there.
            let configures = failure.words.contains("(--configure)");
            if BY_STATE.contains(&failure.slug) || configures {
                continue;
            }
            let subject = failure.package.filter(|_| failure.slug.starts_with("apt."));
            let draft = self.draft(failure.operation, slug(failure.slug), run.end, failure.words);
            observed.failures.push(Draft { subject, ..draft }.finish(self.catalogue));
        }
    }

    /// One run of history.log: an error that nothing else explains, or a success.
    fn stanza(&mut self, stanza: Stanza, now: Timestamp, observed: &mut Observed) {
        if !self.recent(stanza.end, now) {
            return;
        }
        let Some(error) = stanza.error else {
            self.success(&stanza, observed);
            return;
        };
        let explained = self.cursor.explained.iter().any(|(start, end)| {
            stanza.start >= start - SAME_RUN_MS && stanza.end <= end + SAME_RUN_MS
        });
        if explained {
            return;
        }
        let operation = match stanza.operation {
            Operation::Uninstall => Operation::Uninstall,
            _ => Operation::Install,
        };
        // apt ends with 100 whatever failed.
        let code = slug_of(&error).and_then(slug).unwrap_or(FailureCode::Exit(100));
        let words = format!("{}: {error}", stanza.command);
        let draft = self.draft(operation, Some(code), stanza.end, words);
        observed.failures.push(draft.finish(self.catalogue));
    }

    /// A run that worked ends the failures of earlier runs. What state still calls wrong stays.
    fn success(&self, stanza: &Stanza, observed: &mut Observed) {
        let known = matches!(stanza.operation, Operation::Install | Operation::Uninstall);
        if !known || !self.cursor.failing.is_empty() {
            return;
        }
        let key = IncidentKey {
            product: Product::Apt,
            operation: stanza.operation,
            code: None,
            subject: None,
        };
        let at = self.zone.source_time(stanza.end).to_timestamp(0);
        let message = format!("{} ended without error", stanza.command);
        // The latest says it all.
        observed.recoveries.retain(|r| r.key != key);
        observed.recoveries.push(Recovery { key, at, message });
    }

    fn unattended(&mut self, error: Logged, now: Timestamp, observed: &mut Observed) {
        let explained = self
            .cursor
            .explained
            .iter()
            .any(|(start, end)| (start - SAME_RUN_MS..=end + 600_000).contains(&error.at));
        let by_state = error.slug.is_some_and(|s| BY_STATE.contains(&s));
        if self.recent(error.at, now) && !by_state && !(explained && error.slug.is_none()) {
            let operation = error.slug.map_or(Operation::Install, operation_of);
            let code = error.slug.and_then(slug).unwrap_or(FailureCode::Exit(1));
            let draft = self.draft(operation, Some(code), error.at, error.words);
            observed.failures.push(draft.finish(self.catalogue));
        }
    }

    /// The package lists' own failures stand in the journal of apt's timers only.
    async fn journal(&mut self, platform: &dyn Platform, now: Timestamp, observed: &mut Observed) {
        let since = match self.cursor.journal_until {
            Some(ms) => Timestamp::from_millis(ms),
            None => now.before(self.first_look),
        };
        let text = match apt_journal(platform, since, Some(now)).await {
            Ok(text) => text,
            Err(why) => {
                observed.notes.push(why);
                return;
            }
        };
        self.cursor.journal_until = Some(now.as_millis());
        let mut found: Vec<(&'static str, Timestamp, String)> = Vec::new();
        for line in text.lines() {
            let Some((seconds, rest)) = line.split_once(' ') else { continue };
            let Ok(seconds) = seconds.parse::<f64>() else { continue };
            #[expect(clippy::cast_possible_truncation, reason = "a time in this century")]
            let at = Timestamp::from_millis((seconds * 1000.0) as i64);
            let tells = rest.contains(" E: ") || rest.contains(" W: ") || rest.contains("Err:");
            let Some(slug) = slug_of(rest).filter(|s| tells && !BY_STATE.contains(s)) else {
                continue;
            };
            // One run prints one fault for every list.
            let same = |f: &&mut (&str, Timestamp, String)| {
                f.0 == slug && at.since(f.1) < Duration::from_hours(1)
            };
            if found.iter_mut().rev().find(same).is_none() {
                found.push((slug, at, rest.to_owned()));
            }
        }
        for (name, at, words) in found {
            let mut draft = self.draft(operation_of(name), slug(name), 0, words);
            draft.time = fleetmend_core::time::SourceTime::utc(at);
            observed.failures.push(draft.finish(self.catalogue));
        }
    }

    fn draft(
        &self,
        operation: Operation,
        code: Option<FailureCode>,
        wall_ms: i64,
        message: String,
    ) -> Draft {
        Draft {
            product: Product::Apt,
            operation,
            code,
            subject: None,
            time: self.zone.source_time(wall_ms),
            source: Source::Apt,
            event: None,
            line: None,
            count: None,
            update_class: None,
            message,
        }
    }

    fn recent(&self, wall_ms: i64, now: Timestamp) -> bool {
        let at = self.zone.source_time(wall_ms).to_timestamp(0);
        at >= now.before(self.first_look)
    }
}

/// What apt's timers printed between two moments, each line with its seconds since the epoch.
pub(crate) async fn apt_journal(
    platform: &dyn Platform,
    since: Timestamp,
    until: Option<Timestamp>,
) -> Result<String, String> {
    let seconds = |at: Timestamp| format!("@{}", at.as_millis().div_euclid(1000));
    let mut args: Vec<String> = [
        "-q",
        "--no-pager",
        "-o",
        "short-unix",
        "-u",
        "apt-daily.service",
        "-u",
        "apt-daily-upgrade.service",
    ]
    .map(str::to_owned)
    .to_vec();
    args.extend(["--since".to_owned(), seconds(since)]);
    if let Some(until) = until {
        args.extend(["--until".to_owned(), seconds(until)]);
    }
    let program = Program {
        path: "/usr/bin/journalctl".to_owned(),
        args,
        timeout: limits::PROBE_TIME,
        max_output: limits::PROBE_OUTPUT_BYTES,
    };
    let exit = platform
        .run(&program, &mut |_: &[u8]| {})
        .await
        .map_err(|e| format!("the journal of apt's timers cannot be read: {e}"))?;
    if exit.status == Some(0) {
        Ok(exit.text())
    } else {
        Err(format!("the journal of apt's timers cannot be read: {}", exit.text().trim()))
    }
}
