//! Printing what a scan found.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use fleetmend_catalog::words::word;
use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::report::IncidentKey;
use fleetmend_core::words::{Slug, cut};

use super::html::{self, Head};
use super::{IncidentVerdict, ScanResult};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// A report that needs no other file.
    Html,
}

/// Notes printed one by one; the rest is counted.
const NOTES: usize = 50;
/// Rows of the table of failures; the rest is counted.
const ROWS: usize = 200;

/// Prints the result.
pub(super) fn print(
    result: &ScanResult,
    form: Form,
    catalogue: &Catalogue,
    head: Head<'_>,
    to: &mut dyn Write,
) -> io::Result<()> {
    match form {
        Form::Html => to.write_all(html::report(result, catalogue, head).as_bytes()),
        Form::Json => {
            serde_json::to_writer_pretty(&mut *to, &json(result))?;
            writeln!(to)
        }
        Form::Table => table(result, catalogue, head.lang, to),
    }
}

/// Tells what could not be read.
pub(super) fn notes(notes: &[String], to: &mut dyn Write) -> io::Result<()> {
    for note in notes.iter().take(NOTES) {
        writeln!(to, "{note}")?;
    }
    let more = notes.len().saturating_sub(NOTES);
    if more > 0 {
        writeln!(to, "and {more} more")?;
    }
    Ok(())
}

/// The result as it stands in the interface: every field, null where absent; `count` only where the
/// source counts.
fn json(result: &ScanResult) -> serde_json::Value {
    serde_json::to_value(result).unwrap_or_default()
}

fn table(
    result: &ScanResult,
    catalogue: &Catalogue,
    lang: Lang,
    to: &mut dyn Write,
) -> io::Result<()> {
    if result.reports.is_empty() {
        return writeln!(to, "No failure found.");
    }
    let mut rows = new(&["time", "what", "code", "kind", "subject", "source"]);
    for report in result.reports.iter().take(ROWS) {
        let code = code_words(report.code.as_ref(), report.symbol.as_deref());
        let count = report.count.map(|n| format!(" ({n})")).unwrap_or_default();
        let place = match (report.line, report.record_id) {
            (Some(line), _) => format!("{}:{line}", report.source),
            (None, Some(record)) => format!("{}#{record}", report.source),
            (None, None) => report.source.to_string(),
        };
        rows.add_row([
            report.time.to_string(),
            format!("{} {}", report.product, report.operation),
            format!("{code}{count}"),
            report.kind.to_string(),
            cut(report.subject.as_deref().unwrap_or("-"), 60).to_owned(),
            place,
        ]);
    }
    writeln!(to, "{rows}")?;
    let more = result.reports.len().saturating_sub(ROWS);
    if more > 0 {
        writeln!(to, "and {more} more")?;
    }
    writeln!(to)?;
    for incident in &result.verdicts {
        let times = if incident.reports == 1 { "time" } else { "times" };
        writeln!(to, "{} — {} {times}", incident_words(&incident.key), incident.reports)?;
        causes(incident, catalogue, lang, to)?;
    }
    Ok(())
}

/// The likeliest causes, what speaks for or against each, and what is left to ask.
fn causes(
    incident: &IncidentVerdict,
    catalogue: &Catalogue,
    lang: Lang,
    to: &mut dyn Write,
) -> io::Result<()> {
    for ranked in incident.verdict.causes.iter().take(4) {
        let name = match &ranked.cause {
            Some(id) => catalogue.causes.get(id).map_or(id.as_str(), |c| c.name.get(lang)),
            None => "none of these",
        };
        let certainty = word(lang, "certainty", ranked.certainty);
        writeln!(to, "  {:>3.0} %  {certainty}: {name}", ranked.share * 100.0)?;
        for seen in &ranked.evidence {
            let probe = catalogue.probes.get(&seen.probe);
            let asked = probe.map_or(seen.probe.as_str(), |p| p.name.get(lang));
            let (answer, proof) = (word(lang, "answer", seen.answer), cut(&seen.proof, 160));
            writeln!(to, "         {asked} – {answer}: {proof}")?;
        }
    }
    if !incident.would_ask.is_empty() {
        let ids: Vec<&str> = incident.would_ask.iter().map(Slug::as_str).collect();
        writeln!(to, "  not told by what was read; the host would be asked: {}", ids.join(", "))?;
    }
    Ok(())
}

fn incident_words(key: &IncidentKey) -> String {
    let code = key.code.as_ref().map_or("no code".to_owned(), FailureCode::to_string);
    let subject = key.subject.as_deref().map(|s| format!(" of {}", cut(s, 80))).unwrap_or_default();
    format!("{} {}{subject}: {code}", key.product, key.operation)
}

fn code_words(code: Option<&FailureCode>, symbol: Option<&str>) -> String {
    match (code, symbol) {
        (Some(code), Some(symbol)) => format!("{code} {symbol}"),
        (Some(code), None) => code.to_string(),
        (None, _) => "-".to_owned(),
    }
}

fn new(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns);
    table
}
