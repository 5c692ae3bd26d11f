//! Reasons read back from words: an agent tells its jobs in English, and much of what it says is known.

use super::{Code, Piece, Reason, Value, pieces};
use crate::campaign::Outcome;

/// Reasons within reasons, at most: deeper ones stay words.
const DEEP: u32 = 4;
/// Longer words are left as they are.
const LONGEST: usize = 4_096;

impl Reason {
    /// Reads words that begin to end are one of the known reasons; `None` where they are not.
    pub fn read(text: &str) -> Option<Self> {
        read(text, DEEP)
    }
}

fn read(text: &str, deep: u32) -> Option<Reason> {
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    // Where several fit, the one that says most by itself.
    let known = Code::ALL.iter().filter(|code| **code != Code::Words);
    let fitting = known.filter_map(|code| Some((plain(*code), matched(*code, text, deep)?)));
    fitting.max_by_key(|(plain, _)| *plain).map(|(_, reason)| reason)
}

/// How much of a code's text is not holes.
fn plain(code: Code) -> usize {
    pieces(code.english()).map(|p| if let Piece::Text(text) = p { text.len() } else { 0 }).sum()
}

fn matched(code: Code, text: &str, deep: u32) -> Option<Reason> {
    let mut rest = text;
    let mut reason = Reason { code, params: std::collections::BTreeMap::new() };
    let pieces: Vec<Piece<'_>> = pieces(code.english()).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let (name, kind) = match *piece {
            Piece::Text(plain) => {
                rest = rest.strip_prefix(plain)?;
                continue;
            }
            Piece::Hole(name, kind) => (name, kind),
        };
        let said = match pieces.get(at + 1) {
            None => std::mem::take(&mut rest),
            // The last words of all end it; others where they come first.
            Some(Piece::Text(next)) => {
                let ends = at + 2 == pieces.len();
                let at = if ends { rest.rfind(next) } else { rest.find(next) }?;
                let (said, after) = rest.split_at(at);
                rest = after;
                said
            }
            Some(Piece::Hole(..)) => return None,
        };
        reason.params.insert(name.to_owned(), value(said, kind, deep)?);
    }
    rest.is_empty().then_some(reason)
}

/// What stands in a hole; `None` where it is not of its kind.
fn value(said: &str, kind: &str, deep: u32) -> Option<Value> {
    if said.is_empty() {
        return None;
    }
    Some(match kind {
        "why" => {
            let known = (deep > 0).then(|| read_all(said, deep - 1)).flatten();
            Value::Reasons(known.unwrap_or_else(|| vec![crate::reason!(Words, text = said)]))
        }
        "counts" => Value::Counts { counts: counts(said)? },
        "hosts_wait" | "jobs_wait" => {
            let (n, noun) = said.split_once(' ')?;
            let (one, many) = match kind {
                "hosts_wait" => ("host waits", "hosts wait"),
                _ => ("job waits", "jobs wait"),
            };
            (noun == one || noun == many).then_some(Value::Number(n.parse().ok()?))?
        }
        "threshold" => Value::Text(said.replace(' ', "_")),
        "names" => {
            let (shown, more) = match said.rsplit_once(" and ") {
                Some((shown, more)) => (shown, more.strip_suffix(" more")?.parse().ok()?),
                None => (said, 0),
            };
            Value::Names { names: shown.split(", ").map(str::to_owned).collect(), more }
        }
        "" => match said.parse::<u64>() {
            Ok(n) if n.to_string() == said => Value::Number(n),
            _ => Value::Text(said.to_owned()),
        },
        // A word of a set.
        _ => {
            let word = |c: char| c.is_ascii_lowercase() || c == '_';
            said.chars().all(word).then(|| Value::Text(said.to_owned()))?
        }
    })
}

/// One reason, or several one after the other, each of which is known.
fn read_all(text: &str, deep: u32) -> Option<Vec<Reason>> {
    if let Some(one) = read(text, deep) {
        return Some(vec![one]);
    }
    let parts: Vec<&str> = text.split("; ").collect();
    if parts.len() < 2 {
        return None;
    }
    parts.into_iter().map(|part| read(part, deep)).collect()
}

/// `3 fixed, 1 rolled back`.
fn counts(text: &str) -> Option<Vec<(Outcome, u32)>> {
    if text == "none" {
        return Some(Vec::new());
    }
    text.split(", ")
        .map(|part| {
            let (n, word) = part.split_once(' ')?;
            Some((word.replace(' ', "_").parse().ok()?, n.parse().ok()?))
        })
        .collect()
}
