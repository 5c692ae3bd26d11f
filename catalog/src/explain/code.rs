//! A code explained: what it means, what causes it where, what its bits say.

use std::collections::BTreeSet;

use fleetmend_core::code::{self, CodeReading, Decoded, FailureCode, Stage, Unreadable};
use fleetmend_core::knowledge::{Binding, Catalogue, CodeEntry, Confidence, Lang, Retry};
use fleetmend_core::report::{IncidentKey, Kind, Operation, Product};
use fleetmend_core::triage;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Serialize;

use super::Wish;
use super::cause::{ExplainedCause, explained};
use super::search::Index;

/// The area of codes that other components own: known, and no matter of updates or backups.
const OUT_OF_SCOPE: &str = "other";

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
    /// Whether it is known to come from something else than updates and backups.
    pub out_of_scope: bool,
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
    /// Another code that it wraps or abbreviates, where the catalogue knows that one.
    pub related: Option<Related>,
    /// What causes it where, as asked; the contexts that bindings name, then any other.
    pub contexts: Vec<Context>,
    /// Where all this stands.
    pub sources: Vec<String>,
    /// The catalogue that said so.
    pub catalogue: String,
}

/// A known code that an unknown one stands for: the Win32 error in `0x00000003`, the kernel's in
/// `0xD0000034`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// The code.
    pub code: FailureCode,
    /// Its symbolic name.
    pub symbol: Option<String>,
    /// Its meaning.
    pub meaning: String,
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

/// A code as it was typed, what was changed to read it, and what is known of it. What the API, the
/// command line and the pages say alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CodeTopic {
    /// What was typed.
    pub asked: String,
    /// What was changed to read it, in words.
    pub changes: Vec<String>,
    /// Whether the code is a guess: *did you mean*.
    pub suggested: bool,
    /// The stage that setup printed after the code.
    pub stage: Option<StageTold>,
    /// What is known.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// A stage of setup, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageTold {
    /// It, such as `0x4000D`.
    pub code: Stage,
    /// The phase; `None` where none is documented.
    pub phase: Option<&'static str>,
    /// The operation; `None` where none is documented.
    pub operation: Option<&'static str>,
    /// Both in one sentence.
    pub words: String,
}

/// Explains a code that was read.
pub fn explain_reading(cat: &Catalogue, reading: CodeReading, wish: Wish) -> CodeTopic {
    let wish = Wish { product: wish.product.or(reading.product), ..wish };
    let lang = wish.lang;
    CodeTopic {
        changes: reading.changes.iter().map(|change| change.words(lang)).collect(),
        suggested: reading.suggested,
        stage: reading.stage.map(|stage| StageTold {
            code: stage,
            phase: stage.phase(lang),
            operation: stage.operation(lang),
            words: stage.words(lang),
        }),
        explanation: explain(cat, &reading.code, wish),
        asked: reading.original,
    }
}

/// Explains a code, in all contexts or in those that the wish names.
pub fn explain(cat: &Catalogue, code: &FailureCode, wish: Wish) -> Explanation {
    let entry = cat.codes.get(code);
    let (contexts, mut sources) = contexts(cat, code, wish);
    if let Some(entry) = entry {
        sources.insert(entry.source.clone());
    }
    Explanation {
        code: code.clone(),
        known: entry.is_some(),
        symbol: entry.and_then(|e| e.symbol.clone()),
        area: entry.map(|e| e.area.clone()),
        out_of_scope: entry.is_some_and(|e| e.area == OUT_OF_SCOPE),
        kind: cat.kind_of(Some(code)),
        confidence: entry.map(|e| e.confidence),
        retry: entry.map(|e| e.retry),
        meaning: entry.map(|e| e.meaning.get(wish.lang).to_owned()),
        decoded: match code {
            FailureCode::Hresult(value) => Some(code::decode(*value, wish.lang)),
            FailureCode::Exit(_) | FailureCode::Slug(_) => None,
        },
        related: if entry.is_none() { related(cat, code, wish.lang) } else { None },
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
        let index = Index::of(cat);
        match index.by_symbol(input.trim()) {
            [] => Err(unreadable),
            [code] => Ok(CodeReading {
                code: code.clone(),
                original: input.to_owned(),
                changes: vec![code::Change::Symbol],
                suggested: false,
                stage: None,
                product: None,
            }),
            [one, other, ..] => Err(Unreadable::Several(vec![one.to_string(), other.to_string()])),
        }
    })
}

/// The code that an unknown one wraps: a kernel's status in an HRESULT, or a bare Win32 error.
fn related(cat: &Catalogue, code: &FailureCode, lang: Lang) -> Option<Related> {
    let FailureCode::Hresult(value) = code else { return None };
    let inner = match *value {
        1..=0xFFFF => 0x8007_0000 | value,
        wrapped if wrapped >> 28 == 0xD => wrapped & !0x1000_0000,
        _ => return None,
    };
    let inner = FailureCode::Hresult(inner);
    let entry: &CodeEntry = cat.codes.get(&inner)?;
    let meaning = entry.meaning.get(lang).to_owned();
    Some(Related { code: inner, symbol: entry.symbol.clone(), meaning })
}

fn contexts(cat: &Catalogue, code: &FailureCode, wish: Wish) -> (Vec<Context>, BTreeSet<String>) {
    let mut sources = BTreeSet::new();
    let mut contexts = Vec::new();
    let asked = |b: &&Binding| {
        b.code.as_ref() == Some(code)
            && wish.product.is_none_or(|p| p == b.product)
            && wish.operation.is_none_or(|o| b.operation.is_none_or(|own| own == o))
            && wish.update_class.is_none_or(|asked| b.update_class.is_none_or(|own| own == asked))
    };
    for binding in cat.bindings.iter().filter(asked) {
        sources.insert(binding.source.clone());
        contexts.push(Context {
            product: Some(binding.product),
            operation: binding.operation,
            update_class: binding.update_class,
            other: other(&binding.causes),
            causes: causes(cat, &binding.causes, wish.lang),
        });
    }
    // What fits the question most closely stands first.
    contexts.sort_by_key(|c| {
        let class = wish.update_class.is_some() && c.update_class.is_none();
        (class, wish.operation.is_some() && c.operation.is_none())
    });
    if contexts.is_empty() || wish.product.is_none() {
        // A context that no binding names: the causes of the code itself.
        let key = IncidentKey {
            product: Product::Agent,
            operation: Operation::Other,
            code: Some(code.clone()),
            subject: None,
        };
        let shares = triage::priors(cat, &key, None);
        if !shares.is_empty() {
            let (other, causes) = (other(&shares), causes(cat, &shares, wish.lang));
            let (product, operation, update_class) = (None, None, None);
            contexts.push(Context { product, operation, update_class, causes, other });
        }
    }
    (contexts, sources)
}

/// For people and programs: without the last digits of binary fractions.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

fn other(shares: &[(Slug, f64)]) -> f64 {
    rounded(1.0 - shares.iter().map(|(_, share)| share).sum::<f64>())
}

fn causes(cat: &Catalogue, shares: &[(Slug, f64)], lang: Lang) -> Vec<ExplainedCause> {
    let known = shares.iter().filter_map(|(id, share)| cat.causes.get(id).map(|c| (c, *share)));
    known.map(|(entry, prior)| explained(cat, entry, Some(rounded(prior)), lang)).collect()
}
