//! The `scan` command: failures in logs and on this machine, with what is behind them.
//!
//! It reads and prints; it changes nothing, keeps nothing and sends nothing.

mod html;
mod output;
mod verdicts;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use fleetmend_catalog::words::{Texts, texts};
use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::report::{FailureReport, Kind};
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_core::triage::Verdict;
use fleetmend_core::words::Slug;
use serde::Serialize;

use crate::collect::{self, live::Live};
use crate::platform::Platform;
use crate::probe::offline::Logs;
use output::Form;

/// What to scan and how to say it.
#[derive(Debug, Clone, clap::Args)]
pub struct ScanArgs {
    /// Log files, event files, and folders of them, each of one machine; this machine where none is
    /// given.
    pub paths: Vec<PathBuf>,
    /// How to print what was found.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,
    /// The same as `-o json`.
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
    /// Writes a report into this file as well: one file that needs no other, for browser and printer.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The language of table and report: en or ru.
    #[arg(long, default_value = "en")]
    pub lang: Lang,
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ScanResult {
    /// Every failure, in the order of files and of their lines.
    pub reports: Vec<FailureReport>,
    /// Failures and pending ones by code; `none` for those without.
    pub by_code: BTreeMap<String, u64>,
    /// What is behind each incident.
    pub verdicts: Vec<IncidentVerdict>,
    /// What could not be read, in words; told on standard error.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// Whether a path that was asked for could not be read.
    #[serde(skip)]
    pub failed: bool,
    /// Sources that were read: logs that are known here, or the machine.
    #[serde(skip)]
    pub sources: u64,
}

impl ScanResult {
    /// Whether there was nothing that could tell of a failure: not the same as none found.
    pub const fn read_nothing(&self) -> bool {
        self.sources == 0
    }
}

/// The ranked causes of one incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentVerdict {
    /// Which incident.
    #[serde(flatten)]
    pub key: fleetmend_core::report::IncidentKey,
    /// How many reports it has.
    pub reports: u64,
    /// Its causes.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What helps against the likeliest cause that is named, best first.
    pub help: Vec<Slug>,
    /// Probes that could tell more and had no answer: what an agent on that machine would ask. Told
    /// to people only.
    #[serde(skip)]
    pub would_ask: Vec<Slug>,
}

/// Scans files and folders.
pub fn files(paths: &[PathBuf], catalogue: &Catalogue, now: Timestamp) -> ScanResult {
    let mut result = ScanResult::default();
    for path in paths {
        let found = walk::files(path);
        let before = result.reports.len();
        let mut looks = Vec::new();
        result.failed |= found.missing;
        result.notes.extend(found.notes);
        for file in found.files {
            match collect::file(&file, catalogue) {
                Ok(read) => {
                    let name = file.display();
                    match read.source {
                        Some(_) => result.sources += 1,
                        None => result.notes.push(format!("{name}: no log that is known here")),
                    }
                    if read.damaged > 0 {
                        let words = format!("{name}: {} damaged parts passed over", read.damaged);
                        result.notes.push(words);
                    }
                    if read.dropped > 0 {
                        result.notes.push(format!("{name}: {} findings dropped", read.dropped));
                    }
                    result.reports.extend(read.reports);
                    looks.extend(read.looks);
                }
                Err(e) => {
                    result.failed |= file == *path;
                    result.notes.push(format!("{}: {e}", file.display()));
                }
            }
        }
        // One run may stand in two logs of the machine.
        collect::runs::once(&mut result.reports, before);
        looks.sort_by_key(|look| look.wall_ms);
        let logs = Logs { reports: &result.reports[before..], looks: &looks };
        let judged = verdicts::offline(logs, catalogue, now);
        result.verdicts.extend(judged);
    }
    result.failed |= result.read_nothing();
    result.by_code = by_code(&result.reports);
    result
}

/// What a code means: the catalogue's words, else what its bits say for certain.
fn meaning(cat: &Catalogue, code: Option<&FailureCode>, lang: Lang) -> Option<String> {
    let code = code?;
    let known = cat.codes.get(code).map(|entry| entry.meaning.get(lang).to_owned());
    known.or_else(|| match code {
        FailureCode::Hresult(value) => Some(fleetmend_core::code::decode(*value, lang).words),
        FailureCode::Exit(_) | FailureCode::Slug(_) => None,
    })
}

/// What a scan says in a language.
fn said(lang: Lang) -> Texts {
    texts(match lang {
        Lang::En => include_str!("../../locales/en.toml"),
        Lang::Ru => include_str!("../../locales/ru.toml"),
    })
}

/// Scans the machine itself; leaves no trace.
pub async fn machine(
    platform: &dyn Platform,
    catalogue: &'static Catalogue,
    now: Timestamp,
) -> ScanResult {
    let observed = Live::once(platform.root(), catalogue).poll(platform, now).await;
    let mut result = ScanResult {
        by_code: by_code(&observed.failures),
        reports: observed.failures,
        notes: observed.notes,
        sources: 1,
        ..ScanResult::default()
    };
    result.verdicts = verdicts::live(&result.reports, platform, catalogue, now).await;
    result
}

/// Failures and pending ones by code; what is benign or cancelled is listed and not counted.
pub fn by_code(reports: &[FailureReport]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for report in reports.iter().filter(|r| matches!(r.kind, Kind::Failure | Kind::Pending)) {
        let key = report.code.as_ref().map_or_else(|| "none".to_owned(), FailureCode::to_string);
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Runs the command: 0 where all was read, 1 where a path could not be read, nothing at all was a
/// log that is known, or the report could not be written, whatever was found; wrong use ends with 2.
pub async fn command(
    args: ScanArgs,
    platform: &dyn Platform,
    clock: &dyn Clock,
) -> anyhow::Result<ExitCode> {
    let catalogue = fleetmend_catalog::builtin();
    let now = clock.now();
    let result = if args.paths.is_empty() {
        machine(platform, catalogue, now).await
    } else {
        files(&args.paths, catalogue, now)
    };
    let head = html::Head { paths: &args.paths, now, lang: args.lang };
    if let Some(file) = &args.html {
        std::fs::write(file, html::report(&result, catalogue, head))
            .with_context(|| format!("the report {} cannot be written", file.display()))?;
    }
    let form = if args.json { Form::Json } else { args.output };
    let printed = output::print(&result, form, catalogue, head, &mut std::io::stdout().lock())
        .and_then(|()| output::notes(&result.notes, &mut std::io::stderr().lock()));
    match printed {
        // Whoever read has read enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(if result.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
