//! Printing: tables, JSON and CSV. What a server sends is hostile to a terminal until cleaned.

use std::io::Write as _;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;

/// A column of a table: its heading, and where its value stands in an item (a JSON pointer).
pub(crate) type Column = (&'static str, &'static str);

/// Whether a character could move a cursor, change colours or turn text around.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One line of text without anything that a terminal acts on.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if is_unsafe(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Several lines, cleaned; line ends and tabs stay.
pub(crate) fn clean_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\r' => '\n',
            c if is_unsafe(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Writes to standard output. A reader that has gone is no error: `fleetmend hosts | head`.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Writes one line.
pub(crate) fn line(text: &str) -> Result<()> {
    say(&format!("{text}\n"))
}

/// Says something to the person, apart from what is asked for: on standard error.
pub(crate) fn note(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints JSON; characters that a terminal acts on are escaped, which changes no value.
pub(crate) fn json(value: &Value) -> Result<()> {
    line(&escape(&serde_json::to_string_pretty(value)?))
}

fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unsafe(c) {
            // All of them lie in the basic plane. Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The value at a pointer, as one clean cell.
pub(crate) fn cell(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => clean(text),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(Value::Object(map)) => {
            let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect();
            clean(&pairs.join(", "))
        }
        Some(Value::Array(list)) => clean(&list.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Some(Value::Number(number)) => number.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Prints items as a table without lines.
pub(crate) fn table(items: &[Value], columns: &[Column], empty: &str) -> Result<()> {
    if items.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for item in items {
        table.add_row(columns.iter().map(|(_, pointer)| cell(item, pointer)));
    }
    let text = table.to_string();
    for row in text.lines() {
        line(row.trim_end())?;
    }
    Ok(())
}

/// Prints items as CSV. A cell that a spreadsheet would read as a formula gets a leading `'`.
pub(crate) fn csv(items: &[Value], columns: &[Column]) -> Result<()> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(columns.iter().map(|(name, _)| name.trim()))?;
    for item in items {
        out.write_record(columns.iter().map(|(_, pointer)| {
            let empty = item.pointer(pointer).is_none_or(Value::is_null);
            let text = if empty { String::new() } else { cell(item, pointer) };
            match item.pointer(pointer) {
                Some(Value::Number(_)) => text,
                _ if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
                _ => text,
            }
        }))?;
    }
    say(&String::from_utf8_lossy(&out.into_inner()?))
}

/// Prints one item as `name: value` lines.
pub(crate) fn fields(item: &Value, columns: &[Column]) -> Result<()> {
    let width = columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 1;
    for (name, pointer) in columns {
        line(&format!("{:<width$} {}", format!("{name}:"), cell(item, pointer)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        let hostile = "a\u{1b}[31mb\u{9b}2Jc\u{7}\u{202e}d\r\ne\u{7f}";
        assert_eq!(clean(hostile), "a\u{fffd}[31mb\u{fffd}2Jc\u{fffd}\u{fffd}d  e\u{fffd}");
        assert!(!clean_lines(hostile).chars().any(|c| c != '\n' && is_unsafe(c)));
        assert_eq!(clean_lines("a\r\nb\rc\td"), "a\nb\nc\td");
        let value = serde_json::json!({ "name": hostile });
        let printed = escape(&serde_json::to_string_pretty(&value).expect("json"));
        assert!(!printed.chars().any(|c| c != '\n' && is_unsafe(c)), "{printed:?}");
        let back: Value = serde_json::from_str(&printed).expect("still JSON");
        assert_eq!(back, value);
    }

    #[test]
    fn cells_show_what_is_there() {
        let item =
            serde_json::json!({"a": null, "b": true, "c": {"k": "v", "n": 1}, "d": ["x", 2]});
        let all: Vec<_> = ["/a", "/b", "/c", "/d", "/e"].map(|p| cell(&item, p)).to_vec();
        assert_eq!(all, ["–", "yes", "k=v, n=1", "x, 2", "–"]);
    }
}
