//! A code explained: what it means, what causes it where, what its bits say.

use fleetmend_core::code::{self, Change, CodeReading, Decoded, FailureCode, Stage, Unreadable};
use fleetmend_core::knowledge::{Binding, Catalogue, CodeEntry, Confidence, Lang, Retry};
use fleetmend_core::report::{Kind, Product};
use fleetmend_core::update_class::UpdateClass;
use serde::Serialize;

use super::Wish;
use super::contexts::{Context, contexts};
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
    /// What it asks for before a retry; `None` too where it is no failure, or none of ours.
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
    /// The second code of a pair, which tells why.
    pub detail: Option<Related>,
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
pub fn explain_reading(cat: &Catalogue, mut reading: CodeReading, wish: Wish) -> CodeTopic {
    // Setup alone prints a stage behind its code.
    let setup = reading.stage.map(|_| Product::Upgrade);
    let product = wish.product.or(reading.product).or(setup);
    resolve_exit(cat, product, &mut reading);
    let wish = Wish {
        product,
        update_class: wish.update_class.or_else(|| class_told(cat, &reading, product)),
        ..wish
    };
    let lang = wish.lang;
    CodeTopic {
        changes: reading.changes.iter().map(|change| change.words(lang)).collect(),
        suggested: reading.suggested,
        detail: reading.detail.as_ref().map(|code| detail(cat, code, lang)),
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

/// An exit code as what it means to the program that was named; where it can be none of Linux, as
/// the code of Windows that it is.
fn resolve_exit(cat: &Catalogue, product: Option<Product>, reading: &mut CodeReading) {
    let FailureCode::Exit(status) = reading.code else { return };
    let own = product.and_then(|of| cat.exits.get(&(of, status)).map(|code| (of, code)));
    if let Some((product, code)) = own {
        reading.code = code.clone();
        reading.changes.push(Change::ExitOf(product, status));
    } else if let Some((code, changes)) = code::of_windows(status) {
        reading.code = code;
        reading.changes.extend(changes);
    }
}

/// The class of update that stands beside the code, where it matters to this code.
fn class_told(
    cat: &Catalogue,
    reading: &CodeReading,
    product: Option<Product>,
) -> Option<UpdateClass> {
    let lower = reading.original.to_lowercase();
    let mut words = lower.split_whitespace();
    let short = words.find_map(|word| match word.trim_matches(['(', ')', ',', ':']) {
        ".net" | "net" => Some(UpdateClass::Dotnet),
        "defender" => Some(UpdateClass::Definition),
        "cumulative" | "накопительное" => Some(UpdateClass::Cumulative),
        word => word.parse().ok(),
    });
    let class = UpdateClass::of_title(&reading.original).or(short)?;
    let matters = |b: &Binding| {
        b.code.as_ref() == Some(&reading.code)
            && b.update_class == Some(class)
            && product.is_none_or(|product| product == b.product)
    };
    cat.bindings.iter().any(matters).then_some(class)
}

/// The second code of a pair, in words.
fn detail(cat: &Catalogue, code: &FailureCode, lang: Lang) -> Related {
    let entry = cat.codes.get(code);
    let bits = || match code {
        FailureCode::Hresult(value) => code::decode(*value, lang).words,
        FailureCode::Exit(_) | FailureCode::Slug(_) => String::new(),
    };
    Related {
        code: code.clone(),
        symbol: entry.and_then(|e| e.symbol.clone()),
        meaning: entry.map_or_else(bits, |e| e.meaning.get(lang).to_owned()),
    }
}

/// Explains a code, in all contexts or in those that the wish names.
pub fn explain(cat: &Catalogue, code: &FailureCode, wish: Wish) -> Explanation {
    let entry = cat.codes.get(code);
    let out_of_scope = entry.is_some_and(|e| e.area == OUT_OF_SCOPE);
    // What comes from elsewhere is its owner's: no cause of ours, no help of ours.
    let (contexts, mut sources) =
        if out_of_scope { Default::default() } else { contexts(cat, code, wish) };
    if let Some(entry) = entry {
        sources.insert(entry.source.clone());
    }
    let fails = |e: &&CodeEntry| matches!(e.kind, Kind::Failure | Kind::Pending) && !out_of_scope;
    Explanation {
        code: code.clone(),
        known: entry.is_some(),
        symbol: entry.and_then(|e| e.symbol.clone()),
        area: entry.map(|e| e.area.clone()),
        out_of_scope,
        kind: cat.kind_of(Some(code)),
        confidence: entry.map(|e| e.confidence),
        retry: entry.filter(fails).map(|e| e.retry),
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
                detail: None,
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
