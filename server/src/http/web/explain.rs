//! The search box: a code in any spelling, a cause, a remediation or a probe is explained; a host's
//! name leads to the host, an update's number to its incidents.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use askama::Template;
use fleetmend_catalog::{ExplainedCause, Topic, Wish, ask};
use fleetmend_core::code::update_number;
use fleetmend_core::knowledge::Catalogue;

use super::hosts::{Found, search};
use super::{Frame, html, see};
use crate::http::api::catalog::wish;
use crate::http::call::Call;
use crate::http::params::encode;
use crate::http::route::Answer;

/// From so many contexts on, the page first asks in which one it failed.
const OVERVIEW_FROM: usize = 4;

#[derive(Debug, Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    p: Frame,
    title: String,
    found: Option<Topic>,
    /// What was asked, as the links of the page ask it again.
    asked: String,
    /// The same for a shell.
    shell: String,
    /// Whether a context was named.
    narrowed: bool,
    /// Whether the contexts are listed first, each with its likeliest cause.
    overview: bool,
    /// The named context as flags of the command line, and as part of an address.
    flags: String,
    query: String,
    sources: Vec<String>,
    /// What each step of a remediation would do, and the details of that.
    dry_run: Vec<(String, Vec<String>)>,
    /// A probe's question as the catalogue holds it.
    question: String,
    problem: String,
    accepted: Vec<String>,
    /// Codes, causes and remediations that the catalogue holds.
    held: (usize, usize, usize),
}

impl ExplainPage {
    fn empty(p: Frame, catalogue: &Catalogue) -> Self {
        let held = (catalogue.codes.len(), catalogue.causes.len(), catalogue.remediations.len());
        Self {
            p,
            title: String::new(),
            found: None,
            asked: String::new(),
            shell: String::new(),
            narrowed: false,
            overview: false,
            flags: String::new(),
            query: String::new(),
            sources: Vec::new(),
            dry_run: Vec::new(),
            question: String::new(),
            problem: String::new(),
            accepted: Vec::new(),
            held,
        }
    }
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let mut p = Frame::new(&call, "explain");
    let catalogue = call.shared().catalogue;
    let Some(text) = call.query.text("q").map(str::to_owned) else {
        return html(&ExplainPage::empty(p, catalogue));
    };
    p.search.clone_from(&text);
    if let Some(kb) = update_number(&text) {
        return Ok(see(&format!("/incidents?kb={kb}")));
    }
    // The name of a host may look like a code of our own, with its dots: the host comes first.
    let host = search(&call, &text).await?;
    if let Found::Named(id) = host {
        return Ok(see(&format!("/hosts/{id}")));
    }
    let wish = wish(&call, p.t.0)?;
    let mut page = ExplainPage::empty(p, catalogue);
    match ask(catalogue, &text, wish) {
        Ok(topic) => {
            fill(&mut page, topic, text, wish);
            html(&page)
        }
        Err(lost) => match host {
            Found::Named(id) | Found::One(id) => Ok(see(&format!("/hosts/{id}"))),
            Found::Many => Ok(see(&format!("/hosts?search={}", encode(&text)))),
            Found::None => {
                page.problem = lost.why.words(wish.lang);
                page.accepted = lost.near;
                html(&page)
            }
        },
    }
}

fn fill(page: &mut ExplainPage, topic: Topic, asked: String, wish: Wish) {
    page.narrowed = wish.product.is_some() || wish.operation.is_some();
    let words = [
        ("product", wish.product.map(|p| p.to_string())),
        ("operation", wish.operation.map(|o| o.to_string())),
        ("update_class", wish.update_class.map(|c| c.to_string())),
    ];
    for (name, value) in words {
        let Some(value) = value else { continue };
        // Writing to a string cannot fail.
        let _ = write!(page.flags, " --{} {}", name.replace('_', "-"), quoted(&value));
        let _ = write!(page.query, "&{name}={}", encode(&value));
    }
    page.shell = quoted(&asked);
    page.asked = asked;
    match &topic {
        Topic::Code(told) => {
            let contexts = &told.explanation.contexts;
            page.title = told.explanation.code.to_string();
            page.overview = !page.narrowed && contexts.len() >= OVERVIEW_FROM;
            let causes = contexts.iter().flat_map(|c| &c.causes);
            page.sources = sources(told.explanation.sources.iter(), causes);
        }
        Topic::Cause(told) => {
            page.title.clone_from(&told.cause.name);
            page.sources = sources([].iter(), [&told.cause].into_iter());
        }
        Topic::Remediation(told) => {
            page.title.clone_from(&told.remediation.name);
            let steps = told.dry_run.iter();
            page.dry_run = steps.map(|s| (s.does.clone(), s.details(wish.lang))).collect();
        }
        Topic::Probe(told) => {
            page.title.clone_from(&told.name);
            page.question = toml_of(&told.question);
        }
    }
    page.found = Some(topic);
}

/// Where it all stands, each place once.
fn sources<'a>(
    own: impl Iterator<Item = &'a String>,
    causes: impl Iterator<Item = &'a ExplainedCause>,
) -> Vec<String> {
    let recognised = causes.flat_map(|c| &c.recognised_by).map(|r| &r.source);
    let all: BTreeSet<&String> =
        own.chain(recognised).filter(|s| !s.is_empty() && *s != "expert").collect();
    all.into_iter().cloned().collect()
}

/// A question as it stands in the catalogue's files, a line a field.
fn toml_of(question: &fleetmend_core::probe::Question) -> String {
    let value = serde_json::to_value(question).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join("\n")
}

/// A word for a shell: as it is where it is plain, else in single quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_for_a_shell_stay_one_word() {
        for (text, wanted) in [
            ("0x80070003", "0x80070003"),
            ("restic exit 11", "'restic exit 11'"),
            ("a'; rm -rf /", "'a'\\''; rm -rf /'"),
            ("$(id)", "'$(id)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), wanted);
        }
    }
}
