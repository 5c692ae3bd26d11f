//! Why something stands as it does, in a form that can be told in any language: a stable code and its
//! values. Its own words are English; pages have others.

mod codes;
mod read;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::campaign::{Counters, Outcome};
use crate::time::Timestamp;

pub use codes::Code;

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Reason {
    /// What it says.
    pub code: Code,
    /// Its values, by the holes of the code's text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
}

/// One value of a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A name, a word of a closed set, or words that nobody has put into a form.
    Text(String),
    /// A moment, and what the clock shows by which it is told.
    Moment {
        /// The moment.
        at: Timestamp,
        /// The clock.
        clock: String,
    },
    /// Hosts by how they stand.
    Counts {
        /// In the order in which they are told.
        counts: Vec<(Outcome, u32)>,
    },
    /// The first few names of several.
    Names {
        /// Those that are told.
        names: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// Other reasons.
    Reasons(Vec<Reason>),
}

/// A reason as it is kept: before reasons had codes, as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Text(String),
    Coded {
        code: Code,
        #[serde(default)]
        params: BTreeMap<String, Value>,
    },
}

impl From<Kept> for Reason {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Text(text) => Self::of_text(&text),
            Kept::Coded { code, params } => Self { code, params },
        }
    }
}

/// A reason from a code and its values: `reason!(WaveFull, wave = 1, waves = 4)`.
#[macro_export]
macro_rules! reason {
    ($code:ident $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::reason::Reason::new(
            $crate::reason::Code::$code,
            [$((stringify!($name), $crate::reason::Value::from($value))),*],
        )
    };
}

impl Reason {
    /// A reason; `params` are the holes of the code's text.
    pub fn new<const N: usize>(code: Code, params: [(&str, Value); N]) -> Self {
        let params: BTreeMap<String, Value> =
            params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        debug_assert!(
            holes(code.english()).all(|(name, _)| params.contains_key(name)),
            "{code} lacks one of its values"
        );
        Self { code, params }
    }

    /// Words that nobody has put into a form, as a reason: read where they are known.
    pub fn of_text(text: &str) -> Self {
        Self::read(text).unwrap_or_else(|| reason!(Words, text = text))
    }

    /// Whether its code is none: only its words are known.
    pub fn is_bare(&self) -> bool {
        self.code == Code::Words
    }

    /// Its text by a template with the same holes; `word` tells a value of a kind.
    pub fn fill(&self, template: &str, word: &dyn Fn(&Value, &str) -> String) -> String {
        let mut text = String::new();
        for piece in pieces(template) {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Hole(name, kind) => match self.params.get(name) {
                    Some(value) => text.push_str(&word(value, kind)),
                    // Kept by another version, which had no such value.
                    None => text.push('?'),
                },
            }
        }
        text
    }
}

/// Several reasons in English words, one after the other.
pub fn joined(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fill(self.code.english(), &english))
    }
}

/// A value in English.
fn english(value: &Value, kind: &str) -> String {
    match value {
        Value::Number(1) if kind == "hosts_wait" => "1 host waits".to_owned(),
        Value::Number(n) if kind == "hosts_wait" => format!("{n} hosts wait"),
        Value::Number(1) if kind == "jobs_wait" => "1 job waits".to_owned(),
        Value::Number(n) if kind == "jobs_wait" => format!("{n} jobs wait"),
        Value::Number(n) => n.to_string(),
        Value::Text(text) if kind == "threshold" => text.replace('_', " "),
        Value::Text(text) => text.clone(),
        Value::Moment { clock, .. } => clock.clone(),
        Value::Counts { counts } if counts.is_empty() => "none".to_owned(),
        Value::Counts { counts } => {
            let words = counts
                .iter()
                .map(|(outcome, n)| format!("{n} {}", outcome.as_str().replace('_', " ")));
            words.collect::<Vec<_>>().join(", ")
        }
        Value::Names { names, more: 0 } => names.join(", "),
        Value::Names { names, more } => format!("{} and {more} more", names.join(", ")),
        Value::Reasons(reasons) => joined(reasons),
    }
}

/// A part of a template.
#[derive(Clone, Copy)]
enum Piece<'t> {
    Text(&'t str),
    /// The name of a value, and its kind.
    Hole(&'t str, &'t str),
}

fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('{') {
            let (hole, after) = inner.split_once('}')?;
            rest = after;
            let (name, kind) = hole.split_once(':').unwrap_or((hole, ""));
            return Some(Piece::Hole(name, kind));
        }
        let end = rest.find('{').unwrap_or(rest.len());
        let (plain, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(plain))
    })
}

/// The holes of a template: name and kind.
pub fn holes(template: &str) -> impl Iterator<Item = (&str, &str)> {
    pieces(template).filter_map(|piece| match piece {
        Piece::Hole(name, kind) => Some((name, kind)),
        Piece::Text(_) => None,
    })
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Number(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Number(n.into())
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Number(n as u64)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Reason> for Value {
    fn from(reason: Reason) -> Self {
        Self::Reasons(vec![reason])
    }
}

impl From<Vec<Reason>> for Value {
    fn from(reasons: Vec<Reason>) -> Self {
        Self::Reasons(reasons)
    }
}

impl Value {
    /// The hosts that stand in any of some ways, in their order.
    pub fn counts(counters: &Counters, of: &[Outcome]) -> Self {
        let some = of.iter().map(|outcome| (*outcome, counters.get(*outcome)));
        Self::Counts { counts: some.filter(|(_, n)| *n > 0).collect() }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
