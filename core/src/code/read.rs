//! Reading a code as people type it: from a screenshot, a chat, a log line, with Cyrillic letters,
//! a zero too few or too many, in decimal. Says what it changed, and suggests only what the
//! catalogue knows.

use std::collections::BTreeSet;

use super::reading::{Change, CodeReading, INPUT_BYTES, Unreadable};
use super::{FailureCode, Stage, ntstatus, win32};
use crate::report::Product;

/// Reads a code from what somebody typed into a field for codes. `known` says whether the
/// catalogue holds a 32-bit code: only then is a missing or extra zero repaired.
///
/// Bare hex digits are taken only where nothing but the code (and words such as "error") stands:
/// in running text, parts of GUIDs and addresses look the same.
pub fn read(input: &str, known: &dyn Fn(u32) -> bool) -> Result<CodeReading, Unreadable> {
    if input.len() > INPUT_BYTES {
        return Err(Unreadable::TooLong);
    }
    let mut changes = BTreeSet::new();
    let text = clean(input, &mut changes);
    if text.is_empty() {
        return Err(Unreadable::Empty);
    }
    let reading = |code, changes: BTreeSet<Change>, stage, product| CodeReading {
        code,
        original: input.to_owned(),
        suggested: changes.iter().any(|c| matches!(c, Change::ZeroAdded | Change::ZeroRemoved)),
        changes: changes.into_iter().collect(),
        stage,
        product,
    };
    if let Some((code, product)) = named(&text, &mut changes)? {
        return Ok(reading(code, changes, None, product));
    }
    let latin = latin(&text);
    if latin != text {
        changes.insert(Change::Letters);
    }
    let (token, stage) = pick(&latin, &mut changes)?;
    let value = number(&token, known, &mut changes)?;
    Ok(reading(FailureCode::Hresult(value), changes, stage.map(Stage), None))
}

/// Drops what cannot belong to a code: invisible characters, and marks around it.
fn clean(input: &str, changes: &mut BTreeSet<Change>) -> String {
    let visible: String = input
        .chars()
        .filter(|c| !matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}'))
        .map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c })
        .collect();
    let text = visible.trim_matches(is_mark).to_owned();
    if text != input {
        changes.insert(Change::Marks);
    }
    text
}

fn is_mark(c: char) -> bool {
    match c {
        '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '`' | '«' | '»' | '“'
        | '”' | '„' | '‘' | '’' | '.' | ',' | ';' | ':' | '!' | '?' | '*' | '#' | '=' | '|' => {
            true
        }
        _ => c.is_whitespace(),
    }
}

/// Exit codes, slugs and symbols.
fn named(
    text: &str,
    changes: &mut BTreeSet<Change>,
) -> Result<Option<(FailureCode, Option<Product>)>, Unreadable> {
    let lower = text.to_lowercase();
    if let Some((before, rest)) = exit(&lower) {
        let number = rest.trim_start().trim_start_matches("code").trim_start();
        let number = number.trim_start_matches("status").trim_matches([' ', ':', '=']);
        // Behind the number, other words may stand: "exit 11 (lock)".
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        let apart = after.is_empty() || after.starts_with([' ', ',', '.', ')', ';']);
        // A slug may begin with these letters too.
        let is_slug = matches!(lower.parse(), Ok(FailureCode::Slug(_)));
        let is_number = rest.starts_with([' ', ':', '=']) || number.parse::<i32>().is_ok();
        if is_number && !is_slug {
            let status = number.parse::<i32>().ok().filter(|_| apart);
            let code = FailureCode::Exit(status.ok_or_else(|| Unreadable::Exit(shown(text)))?);
            if code.to_string() != text {
                changes.insert(Change::Words);
            }
            let product = before.split(is_mark).rev().find_map(|word| word.parse().ok());
            return Ok(Some((code, product)));
        }
    }
    if lower.starts_with("0x") {
        return Ok(None);
    }
    if let Some(value) = by_symbol(text) {
        changes.insert(Change::Symbol);
        return Ok(Some((FailureCode::Hresult(value), None)));
    }
    let Ok(code @ FailureCode::Slug(_)) = lower.parse::<FailureCode>() else { return Ok(None) };
    if lower != text {
        changes.insert(Change::LowerCase);
    }
    Ok(Some((code, None)))
}

/// What stands before and behind the word *exit*, where the text has it as a word.
fn exit(lower: &str) -> Option<(&str, &str)> {
    if let Some(rest) = lower.strip_prefix("exit") {
        return Some(("", rest));
    }
    let (before, rest) = lower.split_once(" exit").or_else(|| lower.split_once("(exit"))?;
    // "exited with 1" and other running text is left to the reader of hex codes.
    (!before.contains("0x")).then_some((before, rest))
}

/// The code of a symbol of Win32 or the kernel: `ERROR_PATH_NOT_FOUND`, `STATUS_DISK_FULL`.
fn by_symbol(text: &str) -> Option<u32> {
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || !text.contains('_') {
        return None;
    }
    win32::by_symbol(text)
        .map(|code| 0x8007_0000 | u32::from(code))
        .or_else(|| ntstatus::by_symbol(text))
}

/// Letters and signs that look like those of a hex number, as the Latin ones.
fn latin(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'х' | 'Х' | '×' | 'χ' | 'Χ' => 'x',
            'а' | 'А' | 'α' => 'a',
            'в' | 'В' | 'Β' => 'b',
            'с' | 'С' => 'c',
            'е' | 'Е' | 'ё' | 'Ё' => 'e',
            'З' | 'з' => '3',
            'о' | 'О' | 'Ο' | 'ο' => '0',
            '\u{2212}' | '\u{2010}'..='\u{2015}' | '\u{FE63}' => '-',
            // Full-width forms.
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
            _ => c,
        })
        .collect()
}

/// Picks the one token that is the code, and setup's stage where one follows.
fn pick(text: &str, changes: &mut BTreeSet<Change>) -> Result<(String, Option<u32>), Unreadable> {
    let spaced = apart(&text.to_lowercase());
    let mut words = 0;
    let mut tokens = Vec::new();
    for token in spaced.split(is_mark).filter(|t| !t.is_empty()) {
        if token == "-" {
            continue;
        }
        if is_label(token) {
            words += 1;
        } else {
            tokens.push(token);
        }
    }
    if words > 0 {
        changes.insert(Change::Words);
    }
    // Alone or with labels only: every form. In running text: what says itself that it is a code.
    let alone = tokens.len() == 1 || (tokens.len() == 2 && bare_stage(tokens[1]).is_some());
    let mut codes: Vec<&str> = Vec::new();
    let mut stage = None;
    for token in &tokens {
        if !codes.is_empty() && stage.is_none() && (alone || token.starts_with("0x")) {
            stage = bare_stage(token);
            if stage.is_some() {
                continue;
            }
        }
        if (alone && codes.is_empty()) || says_code(token) {
            if !codes.contains(token) {
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
    match codes.as_slice() {
        [] => Err(Unreadable::NoCode(shown(text))),
        [one] => Ok(((*one).to_owned(), stage)),
        several => Err(Unreadable::Several(several.iter().map(|c| shown(c)).collect())),
    }
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
fn is_label(token: &str) -> bool {
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

fn is_hexish(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_hexdigit() || b == b'o')
}

/// Reads one token, lower-case and Latin.
fn number(
    token: &str,
    known: &dyn Fn(u32) -> bool,
    changes: &mut BTreeSet<Change>,
) -> Result<u32, Unreadable> {
    if let Some(digits) = token.strip_prefix("0x") {
        return hex(digits, true, known, changes);
    }
    // The zero before the x was lost.
    if let Some(digits) = token.strip_prefix('x')
        && digits.len() == 8
        && is_hexish(digits)
    {
        return hex(digits, false, known, changes);
    }
    if let Some(digits) = token.strip_prefix("%%") {
        changes.insert(Change::MessageNumber);
        let value = digits.parse().map_err(|_| Unreadable::Number(shown(digits)))?;
        return Ok(from_win32(value, changes));
    }
    if token.starts_with('-') && token[1..].bytes().all(|b| b.is_ascii_digit()) {
        let value = token.parse::<i32>().map_err(|_| Unreadable::Number(shown(token)))?;
        changes.insert(Change::Signed);
        return Ok(value.cast_unsigned());
    }
    if token.bytes().all(|b| b.is_ascii_digit()) && token.len() != 8 {
        return decimal(token, known, changes);
    }
    if !is_hexish(token) {
        return Err(Unreadable::NoCode(shown(token)));
    }
    hex(token, false, known, changes)
}

/// Message numbers below 65,536 are Win32 errors.
fn from_win32(value: u32, changes: &mut BTreeSet<Change>) -> u32 {
    match u16::try_from(value) {
        Ok(code) => {
            changes.insert(Change::Win32(code));
            0x8007_0000 | value
        }
        Err(_) => value,
    }
}

/// Digits only, and not eight of them: a decimal code, else hex with a zero too few or too many.
fn decimal(
    token: &str,
    known: &dyn Fn(u32) -> bool,
    changes: &mut BTreeSet<Change>,
) -> Result<u32, Unreadable> {
    let value = token.parse::<u32>().ok();
    if let Some(value) = value
        && (FailureCode::is_failing(value) || (value > 0xFFFF && known(value)))
    {
        changes.insert(Change::Unsigned);
        return Ok(value);
    }
    if matches!(token.len(), 7 | 9) {
        return hex(token, false, known, changes);
    }
    Err(Unreadable::Number(shown(token)))
}

fn hex(
    digits: &str,
    prefixed: bool,
    known: &dyn Fn(u32) -> bool,
    changes: &mut BTreeSet<Change>,
) -> Result<u32, Unreadable> {
    let mut digits = digits.to_owned();
    if digits.contains('o') {
        digits = digits.replace('o', "0");
        changes.insert(Change::Letters);
    }
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Unreadable::NoCode(shown(&digits)));
    }
    if !prefixed {
        changes.insert(Change::Prefix);
    }
    if digits.len() == 16 && digits.starts_with("ffffffff") {
        digits.drain(..8);
        changes.insert(Change::SignExtended);
    }
    let parse = |d: &str| u32::from_str_radix(d, 16).ok();
    match digits.len() {
        8 => parse(&digits).ok_or_else(|| Unreadable::NoCode(shown(&digits))),
        5 => Err(Unreadable::StageAlone(Stage(parse(&digits).unwrap_or(0)))),
        // Success codes of the update agent are printed without their leading zeros.
        6 if prefixed => {
            changes.insert(Change::Padded);
            parse(&digits).ok_or_else(|| Unreadable::NoCode(shown(&digits)))
        }
        7 => {
            changes.insert(Change::ZeroAdded);
            only(&digits, (0..=7).map(|at| with_zero(&digits, at)), known)
        }
        9 => {
            changes.insert(Change::ZeroRemoved);
            let zeros = digits.match_indices('0').map(|(at, _)| without(&digits, at));
            only(&digits, zeros, known)
        }
        _ => only(&digits, std::iter::empty(), known),
    }
}

fn with_zero(digits: &str, at: usize) -> String {
    format!("{}0{}", &digits[..at], &digits[at..])
}

fn without(digits: &str, at: usize) -> String {
    format!("{}{}", &digits[..at], &digits[at + 1..])
}

/// The one known code among the candidates.
fn only(
    typed: &str,
    candidates: impl Iterator<Item = String>,
    known: &dyn Fn(u32) -> bool,
) -> Result<u32, Unreadable> {
    let found: BTreeSet<u32> = candidates
        .filter_map(|c| u32::from_str_radix(&c, 16).ok())
        .filter(|value| known(*value))
        .collect();
    match found.first() {
        Some(value) if found.len() == 1 => Ok(*value),
        _ => Err(Unreadable::Length {
            text: shown(typed),
            digits: typed.len(),
            candidates: found.iter().map(|v| format!("0x{v:08X}")).collect(),
        }),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
