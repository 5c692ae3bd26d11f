//! A code explained for people: what it means, what causes it in each context, how each cause is
//! recognised and what can be done. One structure for CLI, REST and pages.

use std::collections::BTreeSet;

use fleetmend_core::code::{self, CodeReading, Decoded, FailureCode, Unreadable};
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{
    Catalogue, Cause, Confidence, Lang, RebootNeed, Remediation, Retry, Risk, Strength,
};
use fleetmend_core::report::{IncidentKey, Kind, Operation, Product};
use fleetmend_core::step::Undo;
use fleetmend_core::triage;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Serialize;

/// What the catalogue says of a code. Of a code that it does not know, only what its bits say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The code in its canonical form.
    pub code: FailureCode,
    /// Whether the catalogue knows it.
    pub known: bool,
    /// Its symbolic name.
    pub symbol: Option<String>,
    /// Where it comes from.
    pub area: Option<String>,
    /// What it means for the operation.
    pub kind: Kind,
    /// How sure that is.
    pub confidence: Option<Confidence>,
    /// What it asks for before a retry.
    pub retry: Option<Retry>,
    /// In words, in the asked language; `None` where the catalogue does not know the code.
    pub meaning: Option<String>,
    /// What its bits say, for 32-bit codes.
    pub decoded: Option<Decoded>,
    /// What causes it where, as asked; the contexts that bindings name, then any other.
    pub contexts: Vec<Context>,
    /// Where all this stands.
    pub sources: Vec<String>,
    /// The catalogue that said so.
    pub catalogue: String,
}

/// The causes of a code in one context.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Context {
    /// The product; `None` for contexts that no binding names.
    pub product: Option<Product>,
    /// The operation; `None` for any.
    pub operation: Option<Operation>,
    /// The class of update, where it matters.
    pub update_class: Option<UpdateClass>,
    /// Likeliest first; what their shares leave is *other*.
    pub causes: Vec<ExplainedCause>,
    /// The share of *other*.
    pub other: f64,
}

/// One cause in a context.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedCause {
    /// Its stable name.
    pub id: Slug,
    /// Its name for people.
    pub name: String,
    /// Its explanation; empty where there is none yet.
    pub explanation: String,
    /// Its share before any evidence, 0 to 1.
    pub prior: f64,
    /// How it is recognised.
    pub recognised_by: Vec<Recognition>,
    /// What can be done.
    pub remediations: Vec<ExplainedRemediation>,
}

/// What a probe's answers say of a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recognition {
    /// The probe.
    pub probe: Slug,
    /// What it asks, for people.
    pub name: String,
    /// What *yes* says.
    pub yes: Strength,
    /// What *no* says.
    pub no: Strength,
    /// Whether the probe is the cause itself.
    pub own: bool,
}

/// A remediation, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedRemediation {
    /// Its stable name.
    pub id: Slug,
    /// Its version.
    pub version: u32,
    /// The system it is for.
    pub os: OsFamily,
    /// Its name for people.
    pub name: String,
    /// What it does and what not.
    pub explanation: String,
    /// Its risk.
    pub risk: Risk,
    /// Whether it restarts the host.
    pub reboot: RebootNeed,
    /// How far it can be taken back; `None` where an agent does nothing.
    pub undo: Option<Undo>,
    /// Minutes it usually takes.
    pub minutes: u32,
    /// Whether it has not yet run on a real system of its kind.
    pub unproven: bool,
    /// Its steps in words.
    pub steps: Vec<String>,
    /// What a person does; for *refused*, why not and the better way.
    pub guide: Vec<String>,
}

/// Explains a code, in all contexts or in those of a product and operation.
pub fn explain(
    cat: &Catalogue,
    code: &FailureCode,
    product: Option<Product>,
    operation: Option<Operation>,
    lang: Lang,
) -> Explanation {
    let entry = cat.codes.get(code);
    let (contexts, mut sources) = contexts(cat, code, product, operation, lang);
    if let Some(entry) = entry {
        sources.insert(entry.source.clone());
    }
    Explanation {
        code: code.clone(),
        known: entry.is_some(),
        symbol: entry.and_then(|e| e.symbol.clone()),
        area: entry.map(|e| e.area.clone()),
        kind: cat.kind_of(Some(code)),
        confidence: entry.map(|e| e.confidence),
        retry: entry.map(|e| e.retry),
        meaning: entry.map(|e| e.meaning.get(lang).to_owned()),
        decoded: match code {
            FailureCode::Hresult(value) => Some(code::decode(*value)),
            FailureCode::Exit(_) | FailureCode::Slug(_) => None,
        },
        contexts,
        sources: sources.into_iter().collect(),
        catalogue: cat.version.clone(),
    }
}

/// Whether the catalogue knows a 32-bit code.
pub fn known(cat: &Catalogue, value: u32) -> bool {
    cat.codes.contains_key(&FailureCode::Hresult(value))
}

/// Reads a code that a person typed, or the symbol of one, with this catalogue's codes for "did you
/// mean".
pub fn read_code(cat: &Catalogue, input: &str) -> Result<CodeReading, Unreadable> {
    code::read(input, &|value| known(cat, value)).or_else(|unreadable| {
        let symbol = input.trim();
        let mut found = cat.codes.iter().filter(|(_, entry)| {
            entry.symbol.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(symbol))
        });
        match (found.next(), found.next()) {
            (Some((code, _)), None) => Ok(CodeReading {
                code: code.clone(),
                original: input.to_owned(),
                changes: vec![code::Change::Symbol],
                suggested: false,
                stage: None,
            }),
            (Some((one, _)), Some((other, _))) => {
                Err(Unreadable::Several(vec![one.to_string(), other.to_string()]))
            }
            (None, _) => Err(unreadable),
        }
    })
}

fn contexts(
    cat: &Catalogue,
    code: &FailureCode,
    product: Option<Product>,
    operation: Option<Operation>,
    lang: Lang,
) -> (Vec<Context>, BTreeSet<String>) {
    let mut sources = BTreeSet::new();
    let mut contexts = Vec::new();
    let asked = |b: &&fleetmend_core::knowledge::Binding| {
        b.code.as_ref() == Some(code)
            && product.is_none_or(|p| p == b.product)
            && operation.is_none_or(|o| b.operation.is_none_or(|own| own == o))
    };
    for binding in cat.bindings.iter().filter(asked) {
        sources.insert(binding.source.clone());
        contexts.push(Context {
            product: Some(binding.product),
            operation: binding.operation,
            update_class: binding.update_class,
            other: other(&binding.causes),
            causes: causes(cat, &binding.causes, lang),
        });
    }
    if contexts.is_empty() || product.is_none() {
        // A context that no binding names: the causes of the code itself.
        let key = IncidentKey {
            product: Product::Agent,
            operation: Operation::Other,
            code: Some(code.clone()),
            subject: None,
        };
        let shares = triage::priors(cat, &key, None);
        if !shares.is_empty() {
            let (other, causes) = (other(&shares), causes(cat, &shares, lang));
            let (product, operation, update_class) = (None, None, None);
            contexts.push(Context { product, operation, update_class, causes, other });
        }
    }
    (contexts, sources)
}

fn other(shares: &[(Slug, f64)]) -> f64 {
    let rest = 1.0 - shares.iter().map(|(_, share)| share).sum::<f64>();
    // For people: without the last digits of binary fractions.
    (rest * 1e6).round() / 1e6
}

fn causes(cat: &Catalogue, shares: &[(Slug, f64)], lang: Lang) -> Vec<ExplainedCause> {
    let known = shares.iter().filter_map(|(id, share)| cat.causes.get(id).map(|c| (c, *share)));
    known.map(|(entry, prior)| cause(cat, entry, prior, lang)).collect()
}

fn cause(cat: &Catalogue, cause: &Cause, prior: f64, lang: Lang) -> ExplainedCause {
    let recognised_by = cause.indications.iter().filter_map(|indication| {
        let probe = cat.probes.get(&indication.probe)?;
        Some(Recognition {
            probe: probe.id.clone(),
            name: probe.name.get(lang).to_owned(),
            yes: indication.yes,
            no: indication.no,
            own: cause.own_probe.as_ref() == Some(&probe.id),
        })
    });
    let remediations = cause.remediations.iter().filter_map(|id| cat.remediations.get(id));
    ExplainedCause {
        id: cause.id.clone(),
        name: cause.name.get(lang).to_owned(),
        explanation: cause.explanation.get(lang).to_owned(),
        prior,
        recognised_by: recognised_by.collect(),
        remediations: remediations.map(|r| remediation(r, lang)).collect(),
    }
}

fn remediation(r: &Remediation, lang: Lang) -> ExplainedRemediation {
    ExplainedRemediation {
        id: r.id.clone(),
        version: r.version,
        os: r.os,
        name: r.name.get(lang).to_owned(),
        explanation: r.explanation.get(lang).to_owned(),
        risk: r.risk,
        reboot: r.reboot,
        undo: r.is_automatic().then(|| r.undo()),
        minutes: r.minutes,
        unproven: r.unproven,
        steps: r.steps.iter().map(|s| s.action.title()).collect(),
        guide: r.guide.iter().map(|t| t.get(lang).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    fn of(code: &str, product: Option<Product>, operation: Option<Operation>) -> Explanation {
        explain(builtin(), &code.parse().expect("a code"), product, operation, Lang::En)
    }

    #[test]
    fn one_code_has_other_causes_in_other_contexts() {
        let first = |product, operation| {
            let told = of("0x80070003", Some(product), Some(operation));
            told.contexts[0].causes[0].id.to_string()
        };
        assert_eq!(first(Product::WindowsUpdate, Operation::Download), "wu_cache_corrupt");
        assert_eq!(first(Product::Servicing, Operation::Repair), "component_store_corrupt");
        assert_eq!(first(Product::WindowsBackup, Operation::Restore), "reparse_deleted_target");
        assert_eq!(first(Product::WindowsBackup, Operation::Backup), "library_missing");
        assert_eq!(first(Product::Other, Operation::Download), "content_source_path");
        let all = of("0x80070003", None, None);
        assert!(all.contexts.len() >= 10 && all.contexts.last().expect("some").product.is_none());
        for context in &all.contexts {
            let sum: f64 = context.causes.iter().map(|c| c.prior).sum::<f64>() + context.other;
            assert!((sum - 1.0).abs() < 1e-5 && context.other >= 0.1 - 1e-5);
        }
    }

    #[test]
    fn a_symbol_is_read_as_its_code() {
        for typed in ["ERROR_PATH_NOT_FOUND", " error_path_not_found "] {
            let reading = read_code(builtin(), typed).expect("a symbol");
            assert_eq!(reading.code.to_string(), "0x80070003");
            assert!(!reading.suggested && reading.changes == [code::Change::Symbol]);
        }
        assert!(read_code(builtin(), "ERROR_OF_NOBODY").is_err());
    }

    #[test]
    fn an_unknown_code_is_decoded_and_nothing_is_made_up() {
        let told = of("0x800706C5", None, None);
        assert!(!told.known && told.meaning.is_none() && told.contexts.is_empty());
        assert_eq!(told.decoded.expect("bits").win32, Some(0x6C5));
        let told = of("fleet.nonsense", None, None);
        assert!(!told.known && told.decoded.is_none() && told.contexts.is_empty());
    }

    #[test]
    fn both_languages_are_told() {
        let code = "apt.dpkg_interrupted".parse().expect("a code");
        for lang in [Lang::En, Lang::Ru] {
            let told = explain(builtin(), &code, Some(Product::Apt), None, lang);
            let cyrillic = |text: &str| text.chars().any(|c| ('а'..='я').contains(&c));
            assert_eq!(cyrillic(told.meaning.as_deref().expect("known")), lang == Lang::Ru);
            let fix = &told.contexts[0].causes[0].remediations[0];
            assert_eq!(fix.id.as_str(), "apt.configure_pending");
            assert_eq!((fix.risk, fix.undo), (Risk::Disruptive, Some(Undo::None)));
            assert_eq!(cyrillic(&fix.explanation), lang == Lang::Ru);
        }
    }

    #[test]
    fn people_are_asked_whether_they_meant_it() {
        let reading = read_code(builtin(), "0х8007003").expect("one zero is missing");
        assert_eq!(reading.code.to_string(), "0x80070003");
        assert!(reading.suggested);
    }
}
