//! Exit codes: behind the word *exit*, or behind the name of the program.

use std::collections::BTreeSet;

use super::super::FailureCode;
use super::super::reading::{Change, Unreadable};
use super::tokens::{is_mark, shown};
use super::{LAST_WIN32, from_win32};
use crate::host::OsFamily;
use crate::report::Product;

/// Programs of Windows that end with a Win32 error or an HRESULT.
const WINDOWS: &[&str] = &[
    "wusa",
    "dism",
    "msiexec",
    "sfc",
    "setup",
    "setuphost",
    "chkdsk",
    "wbadmin",
    "vssadmin",
    "usoclient",
    "wuauclt",
];
/// Words between a program and its code.
const BETWEEN: &[&str] =
    &["exit", "exited", "code", "status", "error", "returned", "returns", "with", "result"];

/// The exit code that a text names, with the product that stands beside it. `lower` is the text in
/// lower case.
pub(super) fn read(
    text: &str,
    lower: &str,
    changes: &mut BTreeSet<Change>,
) -> Result<Option<(FailureCode, Option<Product>)>, Unreadable> {
    if let Ok(code @ FailureCode::Exit(_)) = text.parse() {
        return Ok(Some((code, None)));
    }
    if let Some((before, rest)) = behind(lower) {
        let number = rest.trim_start().trim_start_matches("code").trim_start();
        let number = number.trim_start_matches("status").trim_matches([' ', ':', '=']);
        // Behind the number, other words may stand: "exit 11 (lock)".
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        let apart = after.is_empty() || after.starts_with([' ', ',', '.', ')', ';']);
        // A slug may begin with these letters too.
        let is_slug = matches!(lower.parse(), Ok(FailureCode::Slug(_)));
        let is_number = rest.starts_with([' ', ':', '=']) || number.parse::<i64>().is_ok();
        if is_number && !is_slug {
            let status = number.parse::<i64>().ok().filter(|_| apart);
            let status = status.ok_or_else(|| Unreadable::Exit(shown(text)))?;
            let windows = words(before).any(is_windows);
            let code = code_of(status, windows, changes);
            let code = code.ok_or_else(|| Unreadable::Exit(shown(text)))?;
            if code.to_string() != text {
                changes.insert(Change::Words);
            }
            let product = before.split(is_mark).rev().find_map(|word| word.parse().ok());
            return Ok(Some((code, product)));
        }
    }
    let Some((status, windows, product)) = named(lower) else { return Ok(None) };
    let Some(code) = code_of(status, windows, changes) else { return Ok(None) };
    changes.insert(Change::Words);
    Ok(Some((code, product)))
}

/// What an exit code beyond those of Linux' programs is: the Win32 error or HRESULT with which a
/// program of Windows ended, and how it was written so.
pub fn of_windows(status: i32) -> Option<(FailureCode, Vec<Change>)> {
    let mut changes = BTreeSet::new();
    match code_of(i64::from(status), false, &mut changes)? {
        FailureCode::Exit(_) => None,
        code => Some((code, changes.into_iter().collect())),
    }
}

/// What a number is: beyond what Linux' programs can end with, Windows' codes.
fn code_of(status: i64, windows: bool, changes: &mut BTreeSet<Change>) -> Option<FailureCode> {
    let small = (-1..=255).contains(&status);
    if small && (!windows || status <= 0) {
        return i32::try_from(status).ok().map(FailureCode::Exit);
    }
    if let Ok(value) = u32::try_from(status) {
        if value > u32::from(u16::MAX) {
            changes.insert(Change::Unsigned);
            return Some(FailureCode::Hresult(value));
        }
        return (value <= LAST_WIN32).then(|| FailureCode::Hresult(from_win32(value, changes)));
    }
    changes.insert(Change::Signed);
    i32::try_from(status).ok().map(|signed| FailureCode::Hresult(signed.cast_unsigned()))
}

/// What stands before and behind the word *exit*, where the text has it as a word.
fn behind(lower: &str) -> Option<(&str, &str)> {
    if let Some(rest) = lower.strip_prefix("exit") {
        return Some(("", rest));
    }
    let (before, rest) = lower.split_once(" exit").or_else(|| lower.split_once("(exit"))?;
    // "exited with 1" and other running text is left to what follows.
    (!before.contains("0x") && !rest.starts_with("ed")).then_some((before, rest))
}

/// A program's name and its exit code: `rsync 23`, `wusa.exe returned 3010`, and rsync's own last
/// line, where the code stands in brackets far behind. With whether the program is one of Windows.
fn named(lower: &str) -> Option<(i64, bool, Option<Product>)> {
    let first = words(lower).next()?;
    let tool = |p: &Product| {
        p.system() != Some(OsFamily::Windows) && !matches!(p, Product::Agent | Product::Other)
    };
    let product = first.parse::<Product>().ok().filter(tool);
    let windows = is_windows(first);
    if product.is_none() && !windows {
        return None;
    }
    let number = |word: &str| word.parse::<i64>().ok();
    if let Some(at) = lower.find("(code ") {
        let digits = lower[at + 6..].split(')').next()?;
        return Some((number(digits.trim())?, windows, product));
    }
    let mut rest = words(lower).skip(1).skip_while(|word| BETWEEN.contains(word));
    let status = rest.next().and_then(number)?;
    // Another number or a sentence behind it is a version, a date, a message.
    rest.next().is_none().then_some((status, windows, product))
}

fn is_windows(word: &str) -> bool {
    WINDOWS.contains(&word.strip_suffix(".exe").unwrap_or(word))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| is_mark(c) && c != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
}
