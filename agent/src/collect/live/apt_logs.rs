//! apt's own logs: runs of term.log and history.log, and the errors of unattended-upgrades. Pure:
//! text in, runs out.

use fleetmend_core::report::Operation;

use super::words::slug_of;
use crate::collect::stamp;

/// The longest text of one failure.
const WORDS: usize = 600;
/// Failures kept of one run.
const FAILURES: usize = 50;

/// One failure inside a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its slug.
    pub slug: &'static str,
    /// The package, where one is named.
    pub package: Option<String>,
    /// What was being done.
    pub operation: Operation,
    /// The source's words.
    pub words: String,
}

/// One run of term.log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its start, a wall clock in milliseconds.
    pub start: i64,
    /// Its end.
    pub end: i64,
    /// What failed in it.
    pub failures: Vec<Failure>,
}

/// The whole runs of a piece of term.log, and how many bytes they take. A run that has not ended
/// is left for later, unless another began after it.
pub(crate) fn runs(text: &[u8]) -> (Vec<Run>, usize) {
    let (mut found, mut taken, mut at) = (Vec::new(), 0, 0);
    let mut open: Option<Run> = None;
    // The package of an error line; its reason stands in the next.
    let mut named: Option<(String, Operation, String)> = None;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let begin = at;
        at += line.len();
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(start) = line.strip_prefix("Log started: ").and_then(clock) {
            if let Some(cut) = open.replace(Run { start, end: start, failures: Vec::new() }) {
                found.push(Run { end: start, ..cut });
                taken = begin;
            }
            named = None;
        } else if let Some(end) = line.strip_prefix("Log ended: ").and_then(clock) {
            if let Some(run) = open.take() {
                found.push(Run { end, ..run });
            }
            taken = at;
        } else if let Some(run) = open.as_mut() {
            read_line(line, &mut named, run);
        }
    }
    (found, taken)
}

fn read_line(line: &str, named: &mut Option<(String, Operation, String)>, run: &mut Run) {
    if let Some((package, operation)) = processing_error(line) {
        *named = Some((package, operation, line.to_owned()));
        return;
    }
    let Some(slug) = slug_of(line) else { return };
    let (package, operation, words) = match named.take() {
        Some((package, operation, first)) => {
            (Some(package), operation, format!("{first} {}", line.trim()))
        }
        None => (None, Operation::Install, line.trim().to_owned()),
    };
    let same = |f: &Failure| f.slug == slug && f.package == package;
    if run.failures.len() < FAILURES && !run.failures.iter().any(same) {
        let words = words.chars().take(WORDS).collect();
        run.failures.push(Failure { slug, package, operation, words });
    }
}

/// `dpkg: error processing package x:amd64 (--configure):`, or of an archive.
fn processing_error(line: &str) -> Option<(String, Operation)> {
    let rest = line.strip_prefix("dpkg: error processing ")?;
    let rest =
        rest.strip_prefix("package ").or_else(|| rest.strip_prefix("archive ")).unwrap_or(rest);
    let (name, action) = rest.split_once(" (")?;
    let name = name.rsplit('/').next().unwrap_or(name);
    // An archive is called name_version_arch.deb.
    let name = if name.contains(".deb") { name.split('_').next().unwrap_or(name) } else { name };
    let name = name.split(':').next().unwrap_or(name).trim();
    let operation = if action.starts_with("--remove") || action.starts_with("--purge") {
        Operation::Uninstall
    } else {
        Operation::Install
    };
    (!name.is_empty()).then(|| (name.to_owned(), operation))
}

/// One stanza of history.log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stanza {
    /// Its start, a wall clock in milliseconds.
    pub start: i64,
    /// Its end.
    pub end: i64,
    /// What it did.
    pub operation: Operation,
    /// Its command line.
    pub command: String,
    /// Its error.
    pub error: Option<String>,
}

/// The whole stanzas of a piece of history.log, and how many bytes they take.
pub(crate) fn stanzas(text: &[u8]) -> (Vec<Stanza>, usize) {
    let (mut found, mut taken, mut at) = (Vec::new(), 0, 0);
    let mut open: Option<Stanza> = None;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let begin = at;
        at += line.len();
        // The lists of packages can be very long; only their first words matter.
        let line = String::from_utf8_lossy(&line[..line.len().min(2_048)]);
        let Some((field, value)) = line.trim_end().split_once(": ") else { continue };
        if field == "Start-Date" {
            // One without an end was cut short: dpkg's own state tells of that.
            taken = begin;
            let start = clock(value);
            open = start.map(|start| Stanza {
                start,
                end: start,
                operation: Operation::Other,
                command: String::new(),
                error: None,
            });
            continue;
        }
        let Some(stanza) = open.as_mut() else { continue };
        match field {
            "Commandline" => stanza.command = value.chars().take(200).collect(),
            "Install" | "Upgrade" | "Reinstall" | "Downgrade" => {
                stanza.operation = Operation::Install;
            }
            "Remove" | "Purge" if stanza.operation == Operation::Other => {
                stanza.operation = Operation::Uninstall;
            }
            "Error" => stanza.error = Some(value.chars().take(WORDS).collect()),
            "End-Date" => {
                if let (Some(end), Some(stanza)) = (clock(value), open.take()) {
                    found.push(Stanza { end, ..stanza });
                }
                taken = at;
            }
            _ => {}
        }
    }
    (found, taken)
}

/// One error line of unattended-upgrades.log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    /// When, a wall clock in milliseconds.
    pub at: i64,
    /// Its slug; `None` for an error nobody knows.
    pub slug: Option<&'static str>,
    /// Its text.
    pub words: String,
}

/// The errors of a piece of unattended-upgrades.log: `2024-01-01 06:25:03,123 ERROR text`. One run
/// logs one fault many times: the same within ten minutes is one.
pub(crate) fn unattended_errors(text: &[u8]) -> Vec<Logged> {
    let mut found: Vec<Logged> = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        let Some(wall) = stamp::comma(line) else { continue };
        let line = String::from_utf8_lossy(&line[..line.len().min(4_096)]);
        let Some(words) = line.get(19..).and_then(|rest| rest.split_once(" ERROR ")) else {
            continue;
        };
        let words = words.1.trim();
        let slug = slug_of(words);
        let near = found.iter_mut().rev().find(|l| (wall - l.at).abs() < 600_000);
        match near {
            // The telling line comes before or after the one that says that all failed.
            Some(same) if same.slug.is_none() && slug.is_some() => {
                *same = Logged { at: same.at, slug, words: words.to_owned() };
            }
            Some(same) if slug.is_none() || same.slug == slug => {}
            _ => found.push(Logged { at: wall, slug, words: words.chars().take(WORDS).collect() }),
        }
    }
    found
}

/// The last attempt to configure a package, by a piece of dpkg.log: its wall clock, if it did not
/// end in *installed*.
pub(crate) fn unfinished_configure(text: &[u8], package: &str) -> Option<i64> {
    let mut attempt = None;
    for line in text.split(|b| *b == b'\n') {
        let Some(wall) = stamp::date_clock(line, b'-', b' ') else { continue };
        let Ok(rest) = std::str::from_utf8(&line[19..]) else { continue };
        let words: Vec<&str> = rest.split_whitespace().take(4).collect();
        let is = |name: &str| name.split(':').next() == Some(package);
        match words.as_slice() {
            ["configure", name, ..] if is(name) => attempt = Some(wall),
            // Installed since, gone since, or unpacked anew and not yet tried.
            ["status", "installed" | "not-installed" | "config-files", name, ..]
            | ["install" | "upgrade" | "remove" | "purge", name, ..]
                if is(name) =>
            {
                attempt = None;
            }
            _ => {}
        }
    }
    attempt
}

/// `2026-11-22  12:03:59`, with one or two spaces.
fn clock(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once(' ')?;
    stamp::date_clock(format!("{date} {}", time.trim()).as_bytes(), b'-', b' ')
}

#[cfg(test)]
#[path = "apt_logs_tests.rs"]
mod tests;
