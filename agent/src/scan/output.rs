//! Printing what a scan found.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use fleetmend_catalog::words::{Texts, word};
use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::triage::RankedCause;
use fleetmend_core::words::{Slug, cut};

use super::html::{self, Head};
use super::{IncidentVerdict, ScanResult, meaning, said};

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
    let page = Page { said: said(lang), catalogue, lang };
    if result.reports.is_empty() {
        let key = if result.read_nothing() { "nothing_read" } else { "healthy" };
        return writeln!(to, "{}", page.s(key));
    }
    page.reports(result, to)?;
    for incident in &result.verdicts {
        page.incident(incident, to)?;
    }
    Ok(())
}

struct Page<'a> {
    said: Texts,
    catalogue: &'a Catalogue,
    lang: Lang,
}

impl Page<'_> {
    fn s(&self, key: &str) -> String {
        self.said.get(key).cloned().unwrap_or_else(|| key.to_owned())
    }

    fn f(&self, key: &str, value: impl std::fmt::Display) -> String {
        self.s(key).replace("{0}", &value.to_string())
    }

    fn word(&self, set: &str, of: impl std::fmt::Display) -> String {
        word(self.lang, set, of)
    }

    /// What was reported, one by one.
    fn reports(&self, result: &ScanResult, to: &mut dyn Write) -> io::Result<()> {
        let heads = ["time", "what", "code", "kind", "subject", "source"].map(|key| self.s(key));
        let mut rows = Table::new();
        rows.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        rows.set_header(heads);
        for report in result.reports.iter().take(ROWS) {
            let code = match (&report.code, &report.symbol) {
                (Some(code), Some(symbol)) => format!("{code} {symbol}"),
                (Some(code), None) => code.to_string(),
                (None, _) => "-".to_owned(),
            };
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
                self.word("kind", report.kind),
                cut(report.subject.as_deref().unwrap_or("-"), 60).to_owned(),
                place,
            ]);
        }
        writeln!(to, "{rows}")?;
        let more = result.reports.len().saturating_sub(ROWS);
        if more > 0 {
            writeln!(to, "{}", self.f("more", more))?;
        }
        writeln!(to)
    }

    /// What it means, the likeliest causes, what speaks for or against each, what is left to ask,
    /// and the first help.
    fn incident(&self, incident: &IncidentVerdict, to: &mut dyn Write) -> io::Result<()> {
        let key = &incident.key;
        let product = self.word("product", key.product);
        let operation = self.word("operation", key.operation);
        let code = key.code.as_ref().map_or_else(|| self.s("no_code"), FailureCode::to_string);
        let subject = key.subject.as_deref().map(|s| format!(" · {}", cut(s, 80)));
        let subject = subject.unwrap_or_default();
        let reports = self.f("count_of", incident.reports);
        writeln!(to, "{product}: {operation} · {code}{subject} ({reports})")?;
        if let Some(meaning) = meaning(self.catalogue, key.code.as_ref(), self.lang) {
            writeln!(to, "  {meaning}")?;
        }
        for ranked in incident.verdict.causes.iter().take(4) {
            self.cause(ranked, to)?;
        }
        for id in &incident.help {
            if let Some(r) = self.catalogue.remediations.get(id) {
                let (risk, name) = (self.word("risk", r.risk), r.name.get(self.lang));
                writeln!(to, "  → {name} ({risk})  [{id}]")?;
            }
        }
        if !incident.would_ask.is_empty() {
            let ids: Vec<&str> = incident.would_ask.iter().map(Slug::as_str).collect();
            writeln!(to, "  {} {}", self.s("would_ask"), ids.join(", "))?;
        }
        Ok(())
    }

    fn cause(&self, ranked: &RankedCause, to: &mut dyn Write) -> io::Result<()> {
        let name = match &ranked.cause {
            Some(id) => {
                let entry = self.catalogue.causes.get(id);
                entry.map_or_else(|| id.to_string(), |c| c.name.get(self.lang).to_owned())
            }
            None => self.s("none_of_these"),
        };
        let certainty = self.word("certainty", ranked.certainty);
        writeln!(to, "  {:>3.0} %  {certainty}: {name}", ranked.share * 100.0)?;
        for seen in &ranked.evidence {
            let probe = self.catalogue.probes.get(&seen.probe);
            let asked = probe.map_or(seen.probe.as_str(), |p| p.name.get(self.lang));
            let (answer, proof) = (self.word("answer", seen.answer), cut(&seen.proof, 160));
            writeln!(to, "         {asked} – {answer}: {proof}")?;
        }
        Ok(())
    }
}
