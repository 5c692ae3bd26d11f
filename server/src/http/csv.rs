//! CSV for spreadsheets: one column a fact, and nothing that a spreadsheet would run.

use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;

/// A column: its name, and where its value stands in an item (a JSON pointer).
pub(crate) type Column = (&'static str, &'static str);

/// Items as CSV; with `header`, the columns' names are the first line.
pub(crate) fn text(
    columns: &[Column],
    items: &[impl Serialize],
    header: bool,
) -> Result<Vec<u8>, Problem> {
    let mut writer =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    if header {
        let names = columns.iter().map(|(name, _)| *name);
        writer.write_record(names).map_err(Problem::internal)?;
    }
    for item in items {
        let value = serde_json::to_value(item).map_err(Problem::internal)?;
        let cells = columns.iter().map(|(_, pointer)| cell(value.pointer(pointer)));
        writer.write_record(cells).map_err(Problem::internal)?;
    }
    writer.into_inner().map_err(Problem::internal)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::Bool(yes)) => yes.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => inert(text),
        Some(Value::Array(list)) => {
            let parts: Vec<String> = list.iter().map(plain).collect();
            inert(&parts.join("; "))
        }
        Some(Value::Object(map)) => {
            let parts: Vec<String> = map.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect();
            inert(&parts.join("; "))
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text that no spreadsheet takes for a formula: such a text gets a leading `'`. Control
/// characters, with which a cell could be left, become spaces.
fn inert(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let first = text.trim_start().chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_in_a_spreadsheet() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r\n@x", "＝1"] {
            assert!(inert(formula).starts_with('\''), "{formula:?} became {:?}", inert(formula));
        }
        assert_eq!(inert("host-1"), "host-1");
        assert_eq!(cell(Some(&serde_json::json!(-5))), "-5");
    }

    #[test]
    fn cells_are_quoted_and_absent_is_empty() {
        let columns = [("name", "/name"), ("n", "/n"), ("labels", "/labels")];
        let item = serde_json::json!({"name": "a,\"b\"", "n": null, "labels": {"k": "v"}});
        let bytes = text(&columns, &[item], true).expect("text");
        assert_eq!(text(&columns, &[(); 0], false).expect("text"), b"");
        assert_eq!(String::from_utf8_lossy(&bytes), "name,n,labels\r\n\"a,\"\"b\"\"\",,k=v\r\n");
    }
}
