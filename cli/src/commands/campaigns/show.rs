//! A campaign, its preview and what of it can be undone, for people.

use anyhow::Result;
use serde_json::{Value, json};

use crate::args::Output;
use crate::commands::Context;
use crate::output::{self, Column};

const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("reason", "/reason"),
    ("change", "/change"),
    ("state", "/state"),
    ("since", "/state_since"),
    ("by", "/state_by"),
    ("because", "/state_reason"),
    ("waits for", "/waiting_for"),
    ("needs approval", "/needs_approval"),
    ("approved by", "/approved_by"),
    ("written by", "/created_by"),
    ("last edited by", "/edited_by"),
    ("run", "/run"),
    ("started", "/started_at"),
    ("expires", "/expires_at"),
    ("hosts", "/hosts"),
];
const WAVES: &[Column] = &[
    ("WAVE", "/wave"),
    ("SHARE", "/share"),
    ("LABEL", "/label"),
    ("OPENED", "/opened_at"),
    ("GATE HELD", "/gate_held_at"),
    ("HOSTS", "/hosts"),
    ("HOW THEY STAND", "/counts"),
];
const PLANNED: &[Column] = &[
    ("WAVE", "/wave"),
    ("SHARE", "/share"),
    ("LABEL", "/label"),
    ("HOSTS", "/hosts"),
    ("WITH ITS LABEL", "/with_label"),
];
const COUNTS: &[Column] = &[("HOW", "/name"), ("HOSTS", "/hosts")];
const LEFT_OUT: &[Column] = &[("LEFT OUT", "/name"), ("HOSTS", "/hosts")];
const MEMBERS: &[Column] = &[
    ("HOST", "/host/name"),
    ("SYSTEM", "/os"),
    ("BUILD", "/build"),
    ("CAUSE", "/cause"),
    ("REACHABLE", "/reachable"),
];
const UNDOABLE: &[Column] = &[("WHAT CAN BE TAKEN BACK", "/name"), ("JOBS", "/jobs")];

/// One campaign.
pub(super) fn one(ctx: &Context, item: &Value) -> Result<()> {
    ctx.item(item, FIELDS)?;
    if ctx.output != Output::Table {
        return Ok(());
    }
    let counts = counts(&item["counts"]);
    if !counts.is_empty() {
        output::line("")?;
        output::table(&counts, COUNTS, "")?;
    }
    let waves: Vec<Value> = list(item, "waves").iter().map(people_count).collect();
    if !waves.is_empty() {
        output::line("")?;
        output::table(&waves, WAVES, "")?;
    }
    Ok(())
}

/// What a campaign would do.
pub(super) fn preview(ctx: &Context, item: &Value) -> Result<()> {
    if ctx.output == Output::Json {
        return output::json(item);
    }
    let members = list(item, "hosts");
    if ctx.output == Output::Csv {
        return output::csv(&members, MEMBERS);
    }
    let (hosts, busy) = (output::cell(item, "/total"), output::cell(item, "/busy"));
    let offline = output::cell(item, "/offline");
    output::line(&format!(
        "{hosts} hosts would be taken in; {busy} have a job at work, {offline} are silent now."
    ))?;
    for (title, name) in [
        ("by cause", "by_cause"),
        ("by build", "by_build"),
        ("by system", "by_os"),
        ("by role", "by_role"),
    ] {
        let counts = list(item, name);
        if !counts.is_empty() {
            output::line(&format!("\n{title}"))?;
            output::table(&counts, COUNTS, "")?;
        }
    }
    let left: Vec<Value> = list(item, "left_out");
    if !left.is_empty() {
        output::line("")?;
        output::table(&left, LEFT_OUT, "")?;
    }
    let waves: Vec<Value> = list(item, "waves").iter().map(people_count).collect();
    if !waves.is_empty() {
        output::line("")?;
        output::table(&waves, PLANNED, "")?;
    }
    for at in texts(item, "next_runs") {
        output::line(&format!("next run: {at}"))?;
    }
    for why in texts(item, "warnings") {
        output::line(&format!("\nWarning: {why}"))?;
    }
    for remediation in list(item, "remediations") {
        let id = output::cell(&remediation, "/id");
        let risk = output::cell(&remediation, "/risk");
        output::line(&format!(
            "\n{id} ({risk}) on {} hosts",
            output::cell(&remediation, "/hosts")
        ))?;
        for step in remediation["steps"].as_array().into_iter().flatten() {
            output::line(&format!("  does: {}", output::cell(step, "/does")))?;
        }
        for title in texts(&remediation, "cannot_be_undone") {
            output::line(&format!("  cannot be undone: {title}"))?;
        }
    }
    let needs = texts(item, "needs_approval");
    output::line("")?;
    if needs.is_empty() {
        output::line("It needs no approval.")?;
    }
    for why in needs {
        output::line(&format!("It needs the approval of a second person: {why}"))?;
    }
    if !members.is_empty() {
        output::line("")?;
        output::table(&members, MEMBERS, "")?;
    }
    Ok(())
}

/// What of a campaign can still be undone.
pub(super) fn undoable(ctx: &Context, item: &Value) -> Result<()> {
    match ctx.output {
        Output::Json => output::json(item),
        Output::Csv => output::csv(&counts_as(&item["jobs"], "jobs"), UNDOABLE),
        Output::Table => output::table(&counts_as(&item["jobs"], "jobs"), UNDOABLE, "Nothing."),
    }
}

/// A map of counts as rows, the empty ones left out.
fn counts(map: &Value) -> Vec<Value> {
    counts_as(map, "hosts")
}

fn counts_as(map: &Value, what: &str) -> Vec<Value> {
    let pairs = map.as_object().into_iter().flatten();
    pairs
        .filter(|(_, n)| n.as_u64() != Some(0))
        .map(|(name, n)| json!({ "name": name.replace('_', " "), what: n }))
        .collect()
}

/// People count waves from one, and read counts as words.
fn people_count(wave: &Value) -> Value {
    let mut wave = wave.clone();
    if let Some(n) = wave["wave"].as_u64() {
        wave["wave"] = (n + 1).into();
    }
    wave["counts"] = json!(words(&wave["counts"]));
    wave
}

/// `3 fixed, 1 failed`.
pub(super) fn words(map: &Value) -> String {
    // By name, so that a line changes only where a number does.
    let pairs: std::collections::BTreeMap<&String, &Value> =
        map.as_object().into_iter().flatten().collect();
    let words: Vec<String> = pairs
        .into_iter()
        .filter(|(_, n)| n.as_u64().is_some_and(|n| n > 0))
        .map(|(name, n)| format!("{n} {}", output::clean(name).replace('_', " ")))
        .collect();
    words.join(", ")
}

/// A list inside an item.
pub(super) fn list(item: &Value, name: &str) -> Vec<Value> {
    item[name].as_array().cloned().unwrap_or_default()
}

fn texts(item: &Value, name: &str) -> Vec<String> {
    let list = item[name].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(output::clean).collect()
}
