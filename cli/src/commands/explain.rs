//! `fleetmend explain`: works without a server.

mod print;

use std::str::FromStr;

use anyhow::Result;
use fleetmend_catalog::{Topic, Wish, ask, builtin};
use fleetmend_core::knowledge::Lang;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::UnknownWord;
use serde_json::{Value, json};

use crate::args::{self, Output};
use crate::client::ClientError;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &args::Explain, form: Output) -> Result<()> {
    let product: Option<Product> = word(args.product.as_deref())?;
    let operation: Option<Operation> = word(args.operation.as_deref())?;
    let lang: Lang = word(Some(&args.lang))?.unwrap_or(Lang::En);
    let update_class: Option<UpdateClass> = word(args.update_class.as_deref())?;
    let wish = Wish { product, operation, update_class, lang };
    let topic = ask(builtin(), &args.code, wish).map_err(|lost| {
        let near = match (lost.near.is_empty() || !lost.why.candidates().is_empty(), lang) {
            (true, _) => String::new(),
            (false, Lang::En) => format!("\nDid you mean: {}?", lost.near.join(", ")),
            (false, Lang::Ru) => format!("\nВозможно, вы имели в виду: {}?", lost.near.join(", ")),
        };
        ClientError::Usage(format!("{}{near}", lost.why.words(lang)))
    })?;
    let form = if args.json { Output::Json } else { form };
    match form {
        Output::Json => output::json(&serde_json::to_value(&topic)?),
        Output::Csv => output::csv(&rows(&topic)?, COLUMNS),
        Output::Table => output::say(&print::text(&topic, wish, args.full)),
    }
}

const COLUMNS: &[output::Column] = &[
    ("code", "/code"),
    ("symbol", "/symbol"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("update_class", "/update_class"),
    ("cause", "/cause/id"),
    ("name", "/cause/name"),
    ("prior", "/cause/prior"),
];

fn word<T: FromStr<Err = UnknownWord>>(text: Option<&str>) -> Result<Option<T>, ClientError> {
    text.map(str::parse).transpose().map_err(|e: UnknownWord| ClientError::Usage(e.to_string()))
}

/// One row a cause and context.
fn rows(topic: &Topic) -> Result<Vec<Value>> {
    let Topic::Code(told) = topic else {
        let message = "only a code has rows: ask for -o json or -o table";
        return Err(ClientError::Usage(message.to_owned()).into());
    };
    let told = &told.explanation;
    let mut rows = Vec::new();
    for context in &told.contexts {
        for cause in &context.causes {
            rows.push(json!({
                "code": told.code,
                "symbol": told.symbol,
                "product": context.product,
                "operation": context.operation,
                "update_class": context.update_class,
                "cause": serde_json::to_value(cause)?,
            }));
        }
    }
    Ok(rows)
}
