//! CSV for spreadsheets: one column a fact, and nothing that a spreadsheet would run.

use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;

/// A column: its name, and where its value stands in an item (a JSON pointer).
pub(crate) type Column = (&'static str, &'static str);

/// A CSV text being written.
pub(crate) struct Text {
    columns: &'static [Column],
    writer: ::csv::Writer<Vec<u8>>,
    begun: bool,
}

impl Text {
    /// An empty text; its first line are the columns' names.
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        let writer =
            ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
        Self { columns, writer, begun: false }
    }

    /// Writes an item.
    pub(crate) fn row(&mut self, item: &impl Serialize) -> Result<(), Problem> {
        self.header()?;
        let value = serde_json::to_value(item).map_err(Problem::internal)?;
        let cells = self.columns.iter().map(|(_, pointer)| cell(value.pointer(pointer)));
        self.writer.write_record(cells).map_err(Problem::internal)
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, Problem> {
        self.header()?;
        self.writer.into_inner().map_err(Problem::internal)
    }

    fn header(&mut self) -> Result<(), Problem> {
        if !self.begun {
            self.begun = true;
            let names = self.columns.iter().map(|(name, _)| *name);
            self.writer.write_record(names).map_err(Problem::internal)?;
        }
        Ok(())
    }
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
        let mut text = Text::new(&[("name", "/name"), ("n", "/n"), ("labels", "/labels")]);
        let item = serde_json::json!({"name": "a,\"b\"", "n": null, "labels": {"k": "v"}});
        text.row(&item).expect("row");
        let bytes = text.finish().expect("text");
        assert_eq!(String::from_utf8_lossy(&bytes), "name,n,labels\r\n\"a,\"\"b\"\"\",,k=v\r\n");
    }
}
