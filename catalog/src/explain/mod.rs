//! The catalogue explained for people: a code in any spelling, a cause, a remediation or a probe by
//! its name. One structure for the command line, REST, pages and reports.

mod cause;
mod code;
mod contexts;
mod probe;
mod remediation;
mod search;

use fleetmend_core::code::{Change, CodeReading, FailureCode, Unreadable};
use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Serialize;

pub use cause::{CauseTopic, ExplainedCause, Occurrence, Recognition, explain_cause};
pub use code::{
    CodeTopic, Explanation, Related, StageTold, explain, explain_reading, known, read_code,
};
pub use contexts::Context;
pub use probe::{ProbeTopic, Tells, explain_probe};
pub use remediation::{
    Blocker, ExplainedRemediation, Named, RemediationTopic, explain_remediation,
};

use search::Index;

/// What the asker knows of the context, and the language of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The product it failed in.
    pub product: Option<Product>,
    /// The operation that failed.
    pub operation: Option<Operation>,
    /// The class of update.
    pub update_class: Option<UpdateClass>,
    /// The language of the texts.
    pub lang: Lang,
}

impl Wish {
    /// Every context, in a language.
    pub const fn all(lang: Lang) -> Self {
        Self { product: None, operation: None, update_class: None, lang }
    }
}

/// What was asked for, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "topic", rename_all = "snake_case")]
pub enum Topic {
    /// A code.
    Code(Box<CodeTopic>),
    /// A cause.
    Cause(Box<CauseTopic>),
    /// A remediation.
    Remediation(Box<RemediationTopic>),
    /// A probe.
    Probe(Box<ProbeTopic>),
}

/// Nothing of the catalogue goes by that name, and no code was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// Why it is no code.
    pub why: Unreadable,
    /// What may be meant: codes, or names of entries.
    pub near: Vec<String>,
}

/// Explains whatever was asked for: a name of the catalogue first, then a code in any spelling. Where
/// a cause and a probe share a name, the cause is told, and the probe with it; `probe:NAME` asks for
/// the probe, and so `cause:` and `remediation:`.
pub fn ask(cat: &Catalogue, asked: &str, wish: Wish) -> Result<Topic, NotFound> {
    if let Some(topic) = by_name(cat, asked, wish.lang) {
        return Ok(topic);
    }
    let read = read_code(cat, asked);
    // A sentence tells more than a number that only may be a code.
    let vague = |r: &CodeReading| r.suggested || matches!(r.code, FailureCode::Exit(_));
    if read.as_ref().map_or(true, vague)
        && let Some(reading) = sentence(cat, asked)
    {
        return Ok(Topic::Code(Box::new(explain_reading(cat, reading, wish))));
    }
    match read {
        Ok(reading) => {
            let unknown = !cat.codes.contains_key(&reading.code);
            if let (FailureCode::Slug(_), true) = (&reading.code, unknown) {
                // A name with a dot that nobody knows is rather a name mistyped than a code.
                let near = Index::of(cat).near(asked);
                if !near.is_empty() {
                    return Err(NotFound { why: Unreadable::NoCode(asked.to_owned()), near });
                }
            }
            Ok(Topic::Code(Box::new(explain_reading(cat, reading, wish))))
        }
        Err(why) => {
            let mut candidates = why.candidates().to_vec();
            if candidates.is_empty() {
                candidates = Index::of(cat).near(asked);
            }
            Err(NotFound { why, near: candidates })
        }
    }
}

/// The code of a sentence that a program says, and that a person quotes without any code.
fn sentence(cat: &Catalogue, asked: &str) -> Option<CodeReading> {
    let lower = asked.to_lowercase();
    let message = cat.messages.iter().find(|m| m.alone && lower.contains(&m.text))?;
    Some(CodeReading {
        code: message.code.clone(),
        original: asked.to_owned(),
        changes: vec![Change::Sentence],
        suggested: false,
        stage: None,
        product: message.product,
        detail: None,
    })
}

fn by_name(cat: &Catalogue, asked: &str, lang: Lang) -> Option<Topic> {
    let text = asked.trim().to_lowercase();
    let (set, name) = match text.split_once(':') {
        Some((set @ ("cause" | "probe" | "remediation"), name)) => (Some(set), name.trim()),
        _ => (None, text.as_str()),
    };
    let id = Slug::new(name).ok()?;
    if set.is_none() && cat.codes.contains_key(&FailureCode::Slug(id.clone())) {
        return None;
    }
    let asked_for = |this: &str| set.is_none_or(|set| set == this);
    if let Some(cause) = cat.causes.get(&id).filter(|_| asked_for("cause")) {
        return Some(Topic::Cause(Box::new(explain_cause(cat, cause, lang))));
    }
    if let Some(r) = cat.remediations.get(&id).filter(|_| asked_for("remediation")) {
        return Some(Topic::Remediation(Box::new(explain_remediation(cat, r, lang))));
    }
    let probe = cat.probes.get(&id).filter(|_| asked_for("probe"))?;
    Some(Topic::Probe(Box::new(explain_probe(cat, probe, lang))))
}

#[cfg(test)]
mod tests;
