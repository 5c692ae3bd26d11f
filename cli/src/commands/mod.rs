//! The commands, one noun a file.

pub(crate) mod audit;
pub(crate) mod backtest;
pub(crate) mod campaigns;
pub(crate) mod catalog;
pub(crate) mod explain;
pub(crate) mod guided;
pub(crate) mod halt;
pub(crate) mod hosts;
pub(crate) mod incidents;
pub(crate) mod jobs;
pub(crate) mod login;
pub(crate) mod problems;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod tokens;
pub(crate) mod users;

use anyhow::Result;
use serde_json::Value;

use crate::args::Output;
use crate::client::{Client, ClientError, encode};
use crate::output::{self, Column};

/// What a command works with.
pub(crate) struct Context {
    /// The server.
    pub(crate) client: Client,
    /// The form of the output.
    pub(crate) output: Output,
}

impl Context {
    /// Prints a list in the wanted form.
    pub(crate) fn list(
        &self,
        path: &str,
        limit: u32,
        columns: &[Column],
        empty: &str,
    ) -> Result<()> {
        if self.output == Output::Csv {
            let joint = if path.contains('?') { '&' } else { '?' };
            let text = self
                .client
                .text(&format!("{path}{joint}limit={}", limit.min(1_000)), "text/csv")?;
            return output::say(&output::clean_lines(&text));
        }
        let (items, total) = self.client.list(path, limit)?;
        if self.output == Output::Json {
            return output::json(&serde_json::json!({ "items": items, "total": total }));
        }
        output::table(&items, columns, empty)?;
        let shown = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if total > shown {
            output::line(&format!("({shown} of {total}; --limit {total} shows all)"))?;
        }
        Ok(())
    }

    /// Prints one item in the wanted form; CSV is that of its fields.
    pub(crate) fn item(&self, item: &Value, columns: &[Column]) -> Result<()> {
        match self.output {
            Output::Json => output::json(item),
            Output::Csv => output::csv(std::slice::from_ref(item), columns),
            Output::Table => output::fields(item, columns),
        }
    }

    /// The id of a host that was named by its id or its name.
    pub(crate) fn host(&self, text: &str) -> Result<String, ClientError> {
        if text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Ok(text.to_owned());
        }
        let (items, _) = self.client.list(&format!("/hosts?search={}", encode(text)), 1_000)?;
        let same: Vec<&Value> = items
            .iter()
            .filter(|h| h["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(text)))
            .collect();
        match same.as_slice() {
            [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
            [] => Err(ClientError::Refused(format!(
                "no host is named \"{}\": `fleetmend hosts` lists them",
                output::clean(text)
            ))),
            many => Err(ClientError::Refused(format!(
                "{} hosts are named \"{}\": give the id; `fleetmend hosts --search` shows it",
                many.len(),
                output::clean(text)
            ))),
        }
    }
}

/// `name=value` pairs as a query string, leading `?` included; absent values are left out.
pub(crate) fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let given: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| value.map(|v| format!("{name}={}", encode(v))))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}
