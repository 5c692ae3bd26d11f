//! A scan as one HTML file that holds all it needs: no script, no picture, nothing fetched. For the
//! colleague who gets it by mail, and for the printer.

use std::collections::HashMap;
use std::fmt::Write as _;

use fleetmend_catalog::words::{Texts, word};
use fleetmend_catalog::{ExplainedRemediation, explain_cause};
use fleetmend_core::code::FailureCode;
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Lang, Risk};
use fleetmend_core::report::FailureReport;
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::{Certainty, RankedCause};

use super::{IncidentVerdict, ScanResult, meaning, said};

const STYLE: &str = include_str!("report.css");

/// Failures listed one by one; the rest is counted.
const FAILURES: usize = 1_000;
/// Incidents told with their causes, and codes in the table; the rest is counted.
const INCIDENTS: usize = 200;
const CODES: usize = 500;
/// Paths named at the head; the rest is counted.
const PATHS: usize = 20;
/// Notes listed; the rest is counted.
const NOTES: usize = 200;
/// Causes of one incident that are told with evidence and remedies.
const CAUSES: usize = 3;

/// What stands at the head of a report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// What was read; empty for the machine itself.
    pub(super) paths: &'a [std::path::PathBuf],
    /// When.
    pub(super) now: Timestamp,
    /// The reader's language.
    pub(super) lang: Lang,
}

/// The whole report.
pub(super) fn report(result: &ScanResult, catalogue: &Catalogue, head: Head<'_>) -> String {
    let said = said(head.lang);
    let mut page = Page { out: String::new(), said, catalogue, lang: head.lang };
    page.begin(result, head);
    page.codes(result);
    let mut latest = HashMap::new();
    for report in &result.reports {
        latest.insert(report.incident_key(), report);
    }
    for incident in result.verdicts.iter().take(INCIDENTS) {
        page.incident(latest.get(&incident.key).copied(), incident);
    }
    page.more(result.verdicts.len().saturating_sub(INCIDENTS));
    page.failures(result);
    page.notes(&result.notes);
    page.out.push_str("</body>\n</html>\n");
    page.out
}

struct Page<'a> {
    out: String,
    said: Texts,
    catalogue: &'a Catalogue,
    lang: Lang,
}

/// A text that HTML reads as text, without what would turn it around or hide in it.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The HTML of each item, one after the other.
fn each<T>(items: impl IntoIterator<Item = T>, html: impl Fn(T) -> String) -> String {
    let mut out = String::new();
    for item in items {
        out.push_str(&html(item));
    }
    out
}

impl Page<'_> {
    fn s(&self, key: &str) -> String {
        esc(self.said.get(key).map_or(key, String::as_str))
    }

    fn f(&self, key: &str, values: &[&str]) -> String {
        let mut text = self.s(key);
        for (at, value) in values.iter().enumerate() {
            text = text.replace(&format!("{{{at}}}"), &esc(value));
        }
        text
    }

    fn word(&self, set: &str, of: impl std::fmt::Display) -> String {
        esc(&word(self.lang, set, of))
    }

    fn put(&mut self, html: &str) {
        self.out.push_str(html);
        self.out.push('\n');
    }

    fn begin(&mut self, result: &ScanResult, head: Head<'_>) {
        let (title, lang) = (self.s("title"), self.lang);
        let _ = write!(
            self.out,
            "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        let version = env!("CARGO_PKG_VERSION");
        let made = self.f("made", &[&head.now.to_string(), version, &self.catalogue.version]);
        let read = if head.paths.is_empty() {
            self.s("of_machine")
        } else {
            let named = head.paths.iter().take(PATHS);
            let mut paths: Vec<String> = named.map(|p| p.display().to_string()).collect();
            if head.paths.len() > PATHS {
                paths.push(format!("… (+{})", head.paths.len() - PATHS));
            }
            self.f("of_files", &[&paths.join(", ")])
        };
        let counted: u64 = result.by_code.values().sum();
        let found = if result.read_nothing() {
            self.s("nothing_read")
        } else if counted == 0 {
            self.s("healthy")
        } else {
            self.f("summary", &[&counted.to_string(), &result.verdicts.len().to_string()])
        };
        self.put(&format!("<p class=\"big\">{found}</p>\n<p class=\"soft\">{read} {made}</p>"));
    }

    /// How often each code was seen, and what it means.
    fn codes(&mut self, result: &ScanResult) {
        if result.by_code.is_empty() {
            return;
        }
        let heads = [self.s("code"), self.s("count"), self.s("meaning")];
        self.table(&heads);
        let mut codes: Vec<(&String, &u64)> = result.by_code.iter().collect();
        codes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (code, count) in codes.iter().take(CODES) {
            let known = code.parse::<FailureCode>().ok();
            let meaning = meaning(self.catalogue, known.as_ref(), self.lang);
            let meaning = meaning.map(|words| esc(&words)).unwrap_or_default();
            let name = match &known {
                Some(code) => format!("<code>{}</code>", esc(&code.to_string())),
                None => self.s("no_code"),
            };
            self.put(&format!("<tr><td>{name}</td><td>{count}</td><td>{meaning}</td></tr>"));
        }
        self.put("</tbody></table></div>");
        self.more(codes.len().saturating_sub(CODES));
    }

    fn table(&mut self, heads: &[String]) {
        let cells = each(heads.iter(), |h| format!("<th scope=\"col\">{h}</th>"));
        self.put(&format!("<div class=\"wide\"><table><thead><tr>{cells}</tr></thead><tbody>"));
    }

    fn incident(&mut self, latest: Option<&FailureReport>, incident: &IncidentVerdict) {
        let key = &incident.key;
        let product = self.word("product", key.product);
        let operation = self.word("operation", key.operation);
        let code = match &key.code {
            Some(code) => {
                let symbol = self.catalogue.symbol_of(Some(code));
                let symbol = symbol.map(|s| format!(" {}", esc(&s))).unwrap_or_default();
                format!("<code>{}{symbol}</code>", esc(&code.to_string()))
            }
            None => self.s("no_code"),
        };
        self.put(&format!("<section>\n<h2>{product}: {operation} · {code}</h2>"));
        if let Some(subject) = &key.subject {
            self.put(&format!("<p class=\"mono\">{}</p>", esc(subject)));
        }
        if let Some(latest) = latest {
            let at = latest.time.to_string();
            let times = if incident.reports == 1 {
                self.f("once", &[&at])
            } else {
                self.f("times", &[&incident.reports.to_string(), &at])
            };
            let message = esc(&latest.message);
            self.put(&format!("<p class=\"soft\">{times}</p>\n<p class=\"mono\">{message}</p>"));
        }
        if let Some(meaning) = meaning(self.catalogue, key.code.as_ref(), self.lang) {
            self.put(&format!("<p>{}</p>", esc(&meaning)));
        }
        let why = self.s("why");
        self.put(&format!("<h3>{why}</h3>"));
        let told: Vec<&RankedCause> =
            incident.verdict.causes.iter().filter(|c| c.certainty != Certainty::RuledOut).collect();
        for (rank, ranked) in told.iter().take(CAUSES).enumerate() {
            self.cause(ranked, rank == 0, key.product.system());
        }
        let rest: Vec<&&RankedCause> = told.iter().skip(CAUSES).collect();
        if !rest.is_empty() {
            let names: Vec<String> = rest.iter().map(|c| self.name(c)).collect();
            let more = self.s("more_causes");
            self.put(&format!("<p class=\"soft\">{more}: {}.</p>", names.join("; ")));
        }
        if !incident.would_ask.is_empty() {
            let asks = self.s("would_ask");
            let probes = incident.would_ask.iter().filter_map(|id| self.catalogue.probes.get(id));
            let lines = each(probes, |p| format!("<li>{}</li>", esc(p.name.get(self.lang))));
            self.put(&format!("<details><summary>{asks}</summary><ul>{lines}</ul></details>"));
        }
        self.put("</section>");
    }

    fn name(&self, ranked: &RankedCause) -> String {
        let name = match &ranked.cause {
            Some(id) => {
                let entry = self.catalogue.causes.get(id);
                esc(entry.map_or(id.as_str(), |c| c.name.get(self.lang)))
            }
            None => self.s("none_of_these"),
        };
        format!("{name} ({:.0} %)", ranked.share * 100.0)
    }

    /// `system`: what the product is of, where it is of one alone; the other's remedies are left out.
    fn cause(&mut self, ranked: &RankedCause, leads: bool, system: Option<OsFamily>) {
        let name = self.name(ranked);
        let certainty = self.word("certainty", ranked.certainty);
        let open = if leads { " open" } else { "" };
        self.put(&format!(
            "<details{open}><summary>{name} <span class=\"word\">{certainty}</span></summary>"
        ));
        let entry = ranked.cause.as_ref().and_then(|id| self.catalogue.causes.get(id));
        if let Some(cause) = entry {
            let mut told = explain_cause(self.catalogue, cause, self.lang).cause;
            told.remediations.retain(|r| system.is_none_or(|system| r.os == system));
            self.put(&format!("<p>{}</p>", esc(&told.explanation)));
            self.evidence(ranked);
            let does = self.s("do");
            self.put(&format!("<h3>{does}</h3>"));
            if told.remediations.is_empty() {
                let nothing = self.s("nothing_to_do");
                self.put(&format!("<p>{nothing}</p>"));
            }
            for remediation in &told.remediations {
                self.remediation(remediation);
            }
        }
        self.put("</details>");
    }

    fn evidence(&mut self, ranked: &RankedCause) {
        if ranked.evidence.is_empty() {
            let none = self.s("no_evidence");
            self.put(&format!("<p class=\"soft\">{none}</p>"));
            return;
        }
        let heads = [self.s("asked"), self.s("answer"), self.s("weight"), self.s("seen")];
        self.table(&heads);
        for seen in &ranked.evidence {
            let probe = self.catalogue.probes.get(&seen.probe);
            let name = esc(probe.map_or(seen.probe.as_str(), |p| p.name.get(self.lang)));
            let answer = self.word("answer", seen.answer);
            let weight = self.word("strength", seen.strength);
            let proof = esc(&seen.proof);
            self.put(&format!(
                "<tr><td>{name}</td><td>{answer}</td><td>{weight}</td><td class=\"mono\">{proof}</td></tr>"
            ));
        }
        self.put("</tbody></table></div>");
    }

    fn remediation(&mut self, r: &ExplainedRemediation) {
        let risk = self.word("risk", r.risk);
        let class = match r.risk {
            Risk::Safe | Risk::Guided => "word",
            Risk::Disruptive | Risk::Dangerous | Risk::Refused => "word warn",
        };
        let (name, explanation) = (esc(&r.name), esc(&r.explanation));
        self.put(&format!(
            "<details><summary>{name} <span class=\"{class}\">{risk}</span></summary>\n<p>{explanation}</p>"
        ));
        if let Some(undo) = r.undo {
            let minutes = self.f("minutes", &[&r.minutes.to_string()]);
            let facts = [
                ("undo", self.word("undo", undo)),
                ("reboot", self.word("reboot", r.reboot)),
                ("takes", minutes),
                ("proof", self.word("verification", r.verification)),
            ];
            let rows = each(facts.iter(), |(key, value)| {
                format!("<dt>{}</dt><dd>{value}</dd>", self.s(key))
            });
            let steps = each(r.steps.iter(), |s| format!("<li><code>{}</code></li>", esc(s)));
            let head = self.s("steps");
            self.put(&format!("<dl>{rows}</dl>\n<p class=\"soft\">{head}</p><ol>{steps}</ol>"));
        }
        if !r.guide.is_empty() {
            let head = self.s(if r.risk == Risk::Refused { "refused" } else { "by_hand" });
            let lines = each(r.guide.iter(), |l| format!("<li>{}</li>", esc(l)));
            self.put(&format!("<p>{head}</p><ol>{lines}</ol>"));
        }
        self.put("</details>");
    }

    fn failures(&mut self, result: &ScanResult) {
        if result.reports.is_empty() {
            return;
        }
        let (head, zone) = (self.s("failures"), self.s("time_zone"));
        self.put(&format!(
            "<details><summary>{head} ({})</summary><p class=\"soft\">{zone}</p>",
            result.reports.len()
        ));
        let heads = ["time", "what", "code", "kind", "subject", "source"].map(|key| self.s(key));
        self.table(&heads);
        for r in result.reports.iter().take(FAILURES) {
            let code = r.code.as_ref().map(FailureCode::to_string).unwrap_or_default();
            let place = r.line.map(|line| format!(":{line}"));
            let place =
                place.or_else(|| r.record_id.map(|id| format!("#{id}"))).unwrap_or_default();
            let cells = [
                esc(&r.time.to_string()),
                format!(
                    "{}: {}",
                    self.word("product", r.product),
                    self.word("operation", r.operation)
                ),
                format!("<code>{}</code>", esc(&code)),
                self.word("kind", r.kind),
                esc(r.subject.as_deref().unwrap_or_default()),
                format!("{}{place}", esc(&r.source.to_string())),
            ];
            let row = each(cells.iter(), |cell| format!("<td>{cell}</td>"));
            self.put(&format!("<tr>{row}</tr>"));
        }
        self.put("</tbody></table></div>");
        self.more(result.reports.len().saturating_sub(FAILURES));
        self.put("</details>");
    }

    fn notes(&mut self, notes: &[String]) {
        if notes.is_empty() {
            return;
        }
        let head = self.s("notes");
        let lines =
            each(notes.iter().take(NOTES), |n| format!("<li class=\"mono\">{}</li>", esc(n)));
        let count = notes.len();
        self.put(&format!("<details><summary>{head} ({count})</summary><ul>{lines}</ul>"));
        self.more(notes.len().saturating_sub(NOTES));
        self.put("</details>");
    }

    fn more(&mut self, count: usize) {
        if count > 0 {
            let more = self.f("more", &[&count.to_string()]);
            self.put(&format!("<p>{more}</p>"));
        }
    }
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
