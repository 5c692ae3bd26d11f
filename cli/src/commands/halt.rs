//! `fleetmend halt`: the whole fleet, stopped and let go again.

use anyhow::Result;
use serde_json::{Value, json};

use super::Context;
use crate::args::{Halt, Output};
use crate::client::ClientError;
use crate::output::{self, Column};

const BY: &[Column] =
    &[("HALTED BY", "/by"), ("SINCE", "/since"), ("WHY", "/reason"), ("LIFTED BY", "/lift")];
const RUNNING: &[Column] = &[
    ("HOST", "/host_name"),
    ("STATE", "/state"),
    ("REMEDIATION", "/remediation"),
    ("BEGUN", "/begun_at"),
    ("JOB", "/job"),
];

/// Runs the command; `--status` is false where the fleet is halted.
pub(crate) fn run(ctx: &Context, wish: &Halt) -> Result<bool> {
    let item = match (&wish.reason, wish.off, wish.status) {
        (_, true, _) => ctx.client.send("DELETE", "/halt", &json!({}))?,
        (_, _, true) => ctx.client.get("/halt")?,
        (Some(reason), ..) => ctx.client.send("POST", "/halt", &json!({ "reason": reason }))?,
        (None, ..) => {
            let text = "say why: --reason TEXT; --status asks, --off lifts the halt";
            return Err(ClientError::Usage(text.to_owned()).into());
        }
    };
    let halted = item["halted"].as_bool() == Some(true);
    match ctx.output {
        Output::Json => output::json(&item)?,
        Output::Csv => output::csv(&list(&item, "running"), RUNNING)?,
        Output::Table => show(&item, halted)?,
    }
    Ok(!(wish.status && halted))
}

fn show(item: &Value, halted: bool) -> Result<()> {
    if halted {
        output::line("The fleet is halted: nothing new starts; what began finishes or is undone.")?;
        output::table(&list(item, "by"), BY, "")?;
    } else {
        output::line("The fleet is not halted.")?;
    }
    let count = |name: &str| item[name].as_u64().unwrap_or(0);
    let (running, offered, waiting) =
        (count("running_total"), count("offered_total"), count("waiting_total"));
    output::line("")?;
    output::line(&format!(
        "{running} running, {offered} offered and not begun, {waiting} waiting to be offered."
    ))?;
    let items = list(item, "running");
    if !items.is_empty() {
        output::table(&items, RUNNING, "")?;
    }
    Ok(())
}

fn list(item: &Value, name: &str) -> Vec<Value> {
    item[name].as_array().cloned().unwrap_or_default()
}
