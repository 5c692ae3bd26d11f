//! `fleetmend explain`: works without a server.

use std::str::FromStr;

use anyhow::Result;
use fleetmend_catalog::{Explanation, builtin, read_code};
use fleetmend_core::code::CodeReading;
use fleetmend_core::knowledge::Lang;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::words::UnknownWord;
use serde_json::{Value, json};

use crate::args::{self, Output};
use crate::client::ClientError;
use crate::output::{self, line};

/// Runs the command.
pub(crate) fn run(args: &args::Explain, form: Output) -> Result<()> {
    let product: Option<Product> = word(args.product.as_deref())?;
    let operation: Option<Operation> = word(args.operation.as_deref())?;
    let lang: Lang = word(Some(&args.lang))?.unwrap_or(Lang::En);
    let reading = read_code(builtin(), &args.code)
        .map_err(|unreadable| ClientError::Usage(unreadable.to_string()))?;
    let told = fleetmend_catalog::explain(builtin(), &reading.code, product, operation, lang);
    match form {
        Output::Json => output::json(&whole(&reading, &told)?),
        Output::Csv => output::csv(&rows(&told)?, COLUMNS),
        Output::Table => print(&reading, &told, lang),
    }
}

const COLUMNS: &[output::Column] = &[
    ("code", "/code"),
    ("symbol", "/symbol"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("cause", "/cause/id"),
    ("name", "/cause/name"),
    ("prior", "/cause/prior"),
];

fn word<T: FromStr<Err = UnknownWord>>(text: Option<&str>) -> Result<Option<T>, ClientError> {
    text.map(str::parse).transpose().map_err(|e: UnknownWord| ClientError::Usage(e.to_string()))
}

/// The explanation as REST gives it.
fn whole(reading: &CodeReading, told: &Explanation) -> Result<Value> {
    let mut value = serde_json::to_value(told)?;
    value["asked"] = json!(reading.original);
    value["changes"] = json!(reading.changes);
    value["suggested"] = json!(reading.suggested);
    Ok(value)
}

fn rows(told: &Explanation) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for context in &told.contexts {
        for cause in &context.causes {
            rows.push(json!({
                "code": told.code,
                "symbol": told.symbol,
                "product": context.product,
                "operation": context.operation,
                "cause": serde_json::to_value(cause)?,
            }));
        }
    }
    Ok(rows)
}

/// The few words that this command says of its own.
struct Said {
    did_you_mean: &'static str,
    unknown: &'static str,
    elsewhere: &'static str,
    recognised: &'static str,
    helps: &'static str,
    other: &'static str,
}

const fn said(lang: Lang) -> Said {
    match lang {
        Lang::En => Said {
            did_you_mean: "Did you mean",
            unknown: "The catalogue does not know this code.",
            elsewhere: "in other contexts",
            recognised: "recognised by",
            helps: "helps",
            other: "another cause",
        },
        Lang::Ru => Said {
            did_you_mean: "Возможно, вы имели в виду",
            unknown: "Каталог не знает этого кода.",
            elsewhere: "в остальных случаях",
            recognised: "признак",
            helps: "помогает",
            other: "другая причина",
        },
    }
}

fn print(reading: &CodeReading, told: &Explanation, lang: Lang) -> Result<()> {
    let said = said(lang);
    if reading.suggested {
        line(&format!("{} {}?", said.did_you_mean, told.code))?;
    }
    let symbol = told.symbol.as_deref().map(|s| format!("  {s}")).unwrap_or_default();
    line(&format!("{}{symbol}  ({})", told.code, told.kind))?;
    for change in &reading.changes {
        line(&format!("  {change}"))?;
    }
    match (&told.meaning, &told.decoded) {
        (Some(meaning), _) => line(meaning)?,
        (None, Some(decoded)) => line(&format!("{}\n{}", said.unknown, decoded.words))?,
        (None, None) => line(said.unknown)?,
    }
    for context in &told.contexts {
        let place = match (context.product, context.operation) {
            (Some(product), Some(operation)) => format!("{product} {operation}"),
            (Some(product), None) => product.to_string(),
            (None, _) => said.elsewhere.to_owned(),
        };
        let class = context.update_class.map(|c| format!(" ({c})")).unwrap_or_default();
        line(&format!("\n{place}{class}"))?;
        for cause in &context.causes {
            line(&format!("  {:>3.0} %  {}  [{}]", cause.prior * 100.0, cause.name, cause.id))?;
            if !cause.explanation.is_empty() {
                line(&format!("         {}", cause.explanation))?;
            }
            for probe in &cause.recognised_by {
                line(&format!("         {}: {}", said.recognised, probe.name))?;
            }
            for remedy in &cause.remediations {
                line(&format!("         {}: {} ({})", said.helps, remedy.name, remedy.risk))?;
            }
        }
        line(&format!("  {:>3.0} %  {}", context.other * 100.0, said.other))?;
    }
    for source in &told.sources {
        line(&format!("\n{source}"))?;
    }
    Ok(())
}
