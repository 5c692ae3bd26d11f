//! The words and numbers of a text, and which of them is the code.

use std::collections::BTreeSet;

use super::super::reading::{Change, Unreadable};

/// What was found in a text.
pub(super) struct Picked {
    /// The code, in lower case and Latin letters.
    pub(super) code: String,
    /// The stage that setup prints after its code.
    pub(super) stage: Option<u32>,
    /// The second code of a pair.
    pub(super) detail: Option<String>,
}

/// Picks the one token that is the code, and setup's stage or a detailed code where one follows.
/// `latin` is the text with Latin letters; `known` says whether the catalogue holds a code.
pub(super) fn pick(
    text: &str,
    latin: &str,
    known: &dyn Fn(u32) -> bool,
    changes: &mut BTreeSet<Change>,
) -> Result<Picked, Unreadable> {
    let spaced = apart(&latin.to_lowercase());
    let mut words = 0;
    let mut labelled = None;
    let mut tokens: Vec<String> = Vec::new();
    let mut after_label = false;
    for raw in spaced.split(is_mark).filter(|t| !t.is_empty() && *t != "-") {
        if let Some(last) = tokens.last_mut()
            && is_half(last, raw)
        {
            last.push_str(raw);
            changes.insert(Change::Marks);
            continue;
        }
        if is_label(raw) || is_symbol(raw) {
            words += 1;
            after_label = is_label(raw);
            continue;
        }
        let token = tidy(raw);
        if token != raw {
            changes.insert(Change::Marks);
        }
        if after_label && labelled.is_none() && (is_small(&token) || is_bare(&token, known)) {
            labelled = Some(token.clone());
        }
        after_label = false;
        tokens.push(token);
    }
    if words > 0 {
        changes.insert(Change::Words);
    }
    // Alone or with labels only: every form. In running text: what says itself that it is a code.
    let alone = tokens.len() == 1 || (tokens.len() == 2 && bare_stage(&tokens[1]).is_some());
    let mut codes: Vec<&String> = Vec::new();
    let mut stage = None;
    for token in &tokens {
        if !codes.is_empty() && stage.is_none() && (alone || token.starts_with("0x")) {
            stage = bare_stage(token);
            if stage.is_some() {
                continue;
            }
        }
        if (alone && codes.is_empty()) || says_code(token) {
            if !codes.contains(&token) {
                codes.push(token);
            }
        } else {
            changes.insert(Change::Words);
        }
    }
    // `0xC1900101 - 0x20017` may also be written with eight digits of stage.
    if stage.is_none() && codes.len() == 2 && codes[1].starts_with("0x000") {
        stage = u32::from_str_radix(&codes[1][2..], 16).ok();
        codes.truncate(1);
    }
    // "80070643 kb5034441": eight digits that the catalogue knows may be meant, where no label says so.
    if codes.is_empty() && labelled.is_none() {
        for token in tokens.iter().filter(|token| is_bare(token, known)) {
            if !codes.contains(&token) {
                codes.push(token);
            }
        }
        if codes.len() == 1 {
            changes.insert(Change::FromText);
        }
    }
    let (code, detail) = match codes.as_slice() {
        // "Error 87: …": the number that stands right behind the word.
        [] => (labelled.ok_or_else(|| Unreadable::NoCode(shown(text)))?, None),
        [one] => ((*one).clone(), None),
        [outer, detail] if has_detail(outer) => ((*outer).clone(), Some((*detail).clone())),
        several => {
            let written = |c: &&String| match c.strip_prefix("0x") {
                Some(digits) => format!("0x{}", digits.to_uppercase()),
                None => shown(c),
            };
            return Err(Unreadable::Several(several.iter().map(written).collect()));
        }
    };
    if !text.to_lowercase().contains(&code) && latin != text {
        changes.insert(Change::Letters);
    }
    Ok(Picked { code, stage, detail })
}

/// Whether a code is one of Windows' backup programs, which print the cause's code beside theirs.
fn has_detail(code: &str) -> bool {
    code.starts_with("0x8078") || code.starts_with("0x8100")
}

/// Whether a token and the next are the two halves of a code: `0x8007 0003`.
fn is_half(before: &str, next: &str) -> bool {
    let half = |digits: &str| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    before.strip_prefix("0x").is_some_and(half) && half(next)
}

/// Takes off what programming languages and Windows 7 write around eight digits: `&H80070003`,
/// `0x80070003L`, `80070003h`, `WindowsUpdate_80070643`; and a second zero before the x.
fn tidy(token: &str) -> String {
    let token = token.strip_prefix("windowsupdate_").unwrap_or(token);
    let eight = |digits: &str| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let ends = ["ul", "lu", "u", "l", "h"];
    let short = ends.iter().find_map(|end| token.strip_suffix(end)).unwrap_or(token);
    let digits = short.strip_prefix("0x").or_else(|| short.strip_prefix("00x"));
    let digits = digits.or_else(|| short.strip_prefix('h')).unwrap_or(short);
    if eight(digits) && digits.len() != token.len() {
        return format!("0x{digits}");
    }
    token.to_owned()
}

/// A symbol beside its code, such as WU_E_UH_INSTALLERFAILURE.
fn is_symbol(token: &str) -> bool {
    let symbol = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    token.contains('_') && token.bytes().all(symbol) && !token.starts_with("windowsupdate_")
}

/// Eight hex digits without `0x` that are a code of the catalogue.
fn is_bare(token: &str, known: &dyn Fn(u32) -> bool) -> bool {
    let digits = token.len() == 8 && token.bytes().all(|b| b.is_ascii_hexdigit());
    digits && u32::from_str_radix(token, 16).is_ok_and(known)
}

/// A number of one to five digits.
fn is_small(token: &str) -> bool {
    (1..=5).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_digit())
}

/// Puts a space where two numbers are joined: `0xC1900101-0x20017`, `0x80070003/0xA001B`.
fn apart(text: &str) -> String {
    let mut before = ' ';
    let join = |c: char, before: char| match c {
        '/' | '+' | '&' | '\\' => true,
        '-' => before.is_ascii_alphanumeric(),
        _ => false,
    };
    let split = text.chars().map(|c| {
        let joined = join(c, before);
        before = c;
        if joined { ' ' } else { c }
    });
    split.collect()
}

/// Words that people write before a code, with the letters that they have once look-alikes were
/// replaced; after them bare digits are taken.
pub(super) fn is_label(token: &str) -> bool {
    matches!(
        token,
        "hr" | "hresult"
            | "error"
            | "err"
            | "errorcode"
            | "code"
            | "status"
            | "result"
            | "stop"
            | "failed"
            | "with"
            | "к0д"
            | "0шибкa"
            | "0шибки"
            | "0шибк"
    )
}

/// Five hex digits (a phase digit and an operation): setup's stage.
fn bare_stage(token: &str) -> Option<u32> {
    let digits = token.strip_prefix("0x").unwrap_or(token);
    let five = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    five.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Whether a token says by its own form that it is a code.
fn says_code(token: &str) -> bool {
    let hex = token.strip_prefix("0x").is_some_and(|d| !d.is_empty() && is_hexish(d));
    let message = token.strip_prefix("%%").is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let signed = token
        .strip_prefix('-')
        .is_some_and(|d| d.len() == 10 && d.bytes().all(|b| b.is_ascii_digit()));
    hex || message || signed
}

pub(super) fn is_hexish(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_hexdigit() || b == b'o')
}

/// What may stand around a code and belongs to none.
pub(super) fn is_mark(c: char) -> bool {
    match c {
        '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '`' | '«' | '»' | '“'
        | '”' | '„' | '‘' | '’' | '.' | ',' | ';' | ':' | '!' | '?' | '*' | '#' | '=' | '|' => {
            true
        }
        _ => c.is_whitespace(),
    }
}

/// So much of a text that a message can show it.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
