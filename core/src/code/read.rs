//! Reading a code as people type it: from a screenshot, a chat, a log line, with Cyrillic letters,
//! a zero too few or too many, in decimal. Says what it changed, and suggests only what the
//! catalogue knows.

mod exit;
mod tokens;

pub use exit::of_windows;

use std::collections::BTreeSet;

use self::tokens::{is_hexish, is_mark, shown};
use super::reading::{Change, CodeReading, INPUT_BYTES, Unreadable};
use super::{FailureCode, Stage, ntstatus, win32};
use crate::report::Product;

/// The last number that is taken for a Win32 error where a person gives no more than a number.
const LAST_WIN32: u32 = 0x3FFF;

/// Reads a code from what somebody typed into a field for codes. `known` says whether the
/// catalogue holds a 32-bit code: only then is a missing or extra zero repaired.
///
/// Bare hex digits are taken where nothing but the code (and words such as "error") stands. In running
/// text, where parts of GUIDs and addresses look the same, only those of a known code are: behind such a
/// word they are it, elsewhere they are suggested.
pub fn read(input: &str, known: &dyn Fn(u32) -> bool) -> Result<CodeReading, Unreadable> {
    if input.len() > INPUT_BYTES {
        return Err(Unreadable::TooLong);
    }
    let mut changes = BTreeSet::new();
    let text = clean(input, &mut changes);
    if text.is_empty() {
        return Err(Unreadable::Empty);
    }
    if let Some(kb) = update_number(&text) {
        return Err(Unreadable::Update(kb));
    }
    let reading = |code, changes: BTreeSet<Change>, suggested, product| CodeReading {
        code,
        original: input.to_owned(),
        suggested,
        changes: changes.into_iter().collect(),
        stage: None,
        product,
        detail: None,
    };
    if let Some((code, product)) = named(&text, &mut changes)? {
        return Ok(reading(code, changes, false, product));
    }
    let picked = tokens::pick(&text, &latin(&text), known, &mut changes)?;
    let guess = |token: &str, changes: &mut BTreeSet<Change>| {
        number(token, known, changes).map(FailureCode::Hresult)
    };
    let code = guess(&picked.code, &mut changes)?;
    // A pair's second code is told as it is read, whatever had to be changed in it.
    let detail = picked.detail.and_then(|detail| guess(&detail, &mut BTreeSet::new()).ok());
    let small =
        |c: &Change| matches!(c, Change::Win32(_)) && !changes.contains(&Change::MessageNumber);
    let asked = |c: &Change| {
        matches!(c, Change::ZeroAdded | Change::ZeroRemoved | Change::FromText) || small(c)
    };
    let suggested = changes.iter().any(asked);
    let stage = picked.stage.map(Stage);
    Ok(CodeReading { stage, detail, ..reading(code, changes, suggested, None) })
}

/// The number of an update, where nothing else stands there: KB5034441. Look-alike Cyrillic letters
/// are taken for the Latin ones.
pub fn update_number(text: &str) -> Option<String> {
    let mut letters = text.trim().chars();
    let k = letters.next().is_some_and(|c| matches!(c, 'K' | 'k' | 'К' | 'к'));
    let b = letters.next().is_some_and(|c| matches!(c, 'B' | 'b' | 'В' | 'в'));
    let digits = letters.as_str().trim();
    let number = (4..=9).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    (k && b && number).then(|| format!("KB{digits}"))
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

/// Exit codes, slugs and symbols.
fn named(
    text: &str,
    changes: &mut BTreeSet<Change>,
) -> Result<Option<(FailureCode, Option<Product>)>, Unreadable> {
    let lower = text.to_lowercase();
    if let Some((code, product)) = exit::read(text, &lower, changes)? {
        return Ok(Some((code, product)));
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

/// Digits only, and not eight of them: a decimal code, a Win32 error, else hex with a zero too few
/// or too many.
fn decimal(
    token: &str,
    known: &dyn Fn(u32) -> bool,
    changes: &mut BTreeSet<Change>,
) -> Result<u32, Unreadable> {
    let value = token.parse::<u32>().ok();
    if let Some(value) = value.filter(|value| (1..=LAST_WIN32).contains(value)) {
        return Ok(from_win32(value, changes));
    }
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
        // A Win32 error as programs print it: 0x57.
        1..=4 if prefixed && parse(&digits).is_some_and(|v| (1..=LAST_WIN32).contains(&v)) => {
            Ok(from_win32(parse(&digits).unwrap_or_default(), changes))
        }
        1 if prefixed && digits == "0" => {
            changes.insert(Change::Padded);
            Ok(0)
        }
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

#[cfg(test)]
mod tests;
