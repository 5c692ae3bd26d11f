//! `fleetmend guided`: work for people.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Context, query};
use crate::args::{GuidedCommand, GuidedFilter, Output};
use crate::client::{ClientError, encode};
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("HOST", "/host/name"),
    ("STATE", "/state"),
    ("PROOF", "/proof"),
    ("WORK", "/name"),
    ("TICKED", "/ticked"),
    ("OF", "/steps_total"),
    ("WHO", "/assignee"),
    ("ASKED", "/created_at"),
    ("ID", "/id"),
];
const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("host", "/host/name"),
    ("incident", "/incident"),
    ("work", "/name"),
    ("remediation", "/remediation"),
    ("cause", "/cause"),
    ("state", "/state"),
    ("proof", "/proof"),
    ("proving job", "/job"),
    ("who does it", "/assignee"),
    ("asked by", "/asked_by"),
    ("asked", "/created_at"),
    ("ended", "/ended_at"),
    ("dropped because", "/reason"),
];
const EN: &[Column] =
    &[("STEP", "/number"), ("DONE BY", "/done_by"), ("AT", "/done_at"), ("WHAT", "/en")];
const RU: &[Column] =
    &[("STEP", "/number"), ("DONE BY", "/done_by"), ("AT", "/done_at"), ("WHAT", "/ru")];
const NOTES: &[Column] = &[("NOTED BY", "/by"), ("AT", "/at"), ("NOTE", "/text")];

/// Runs the command.
pub(crate) fn run(ctx: &Context, list: GuidedFilter, command: Option<GuidedCommand>) -> Result<()> {
    match command.unwrap_or(GuidedCommand::List(list)) {
        GuidedCommand::List(filter) => lists(ctx, &filter),
        GuidedCommand::Show { task, lang } => {
            if !matches!(lang.as_str(), "en" | "ru") {
                let text = "--lang: one of: en, ru".to_owned();
                return Err(ClientError::Usage(text).into());
            }
            let item = ctx.client.get(&path(&task))?;
            show(ctx, &item, if lang == "ru" { RU } else { EN })
        }
        GuidedCommand::Ask { incident, remediation } => {
            let body = json!({ "incident": incident, "remediation": remediation });
            let item = ctx.client.send("POST", "/guided", &body)?;
            told(ctx, &item, "People are asked")
        }
        GuidedCommand::Take { task, assignee } => {
            let item = act(ctx, &task, "take", &json!({ "assignee": assignee }))?;
            let who = output::cell(&item, "/assignee");
            told(ctx, &item, &format!("Taken by {who}"))
        }
        GuidedCommand::Tick { task, steps, undo } => {
            // People count from one, as everything that is shown does.
            let places: Vec<u32> = steps.iter().map(|step| step - 1).collect();
            let field = if undo { "not_done" } else { "done" };
            let item = act(ctx, &task, "tick", &json!({ field: places }))?;
            let (ticked, all) =
                (output::cell(&item, "/ticked"), output::cell(&item, "/steps_total"));
            told(ctx, &item, &format!("{ticked} of {all} steps are done"))
        }
        GuidedCommand::Note { task, text } => {
            let item = act(ctx, &task, "note", &json!({ "text": text }))?;
            told(ctx, &item, "Noted")
        }
        GuidedCommand::Done { task } => {
            let item = act(ctx, &task, "done", &json!({}))?;
            let next = if item["job"].is_string() {
                "Done; the host's agent is asked whether it helped"
            } else {
                "Done; the next ordinary run tells whether it helped"
            };
            told(ctx, &item, next)
        }
        GuidedCommand::Drop { task, reason } => {
            let item = act(ctx, &task, "drop", &json!({ "reason": reason }))?;
            told(ctx, &item, "Dropped")
        }
    }
}

fn lists(ctx: &Context, filter: &GuidedFilter) -> Result<()> {
    let host = filter.host.as_deref().map(|h| ctx.host(h)).transpose()?;
    let mut pairs = vec![
        ("host", host.as_deref()),
        ("incident", filter.incident.as_deref()),
        ("remediation", filter.remediation.as_deref()),
        ("assignee", filter.assignee.as_deref()),
    ];
    pairs.extend(filter.state.iter().map(|s| ("state", Some(s.as_str()))));
    let empty = "Nothing waits for people.";
    ctx.list(&format!("/guided{}", query(&pairs)), filter.page.limit, COLUMNS, empty)
}

fn path(task: &str) -> String {
    format!("/guided/{}", encode(task))
}

fn act(ctx: &Context, task: &str, verb: &str, body: &Value) -> Result<Value, ClientError> {
    ctx.client.send("POST", &format!("{}/{verb}", path(task)), body)
}

fn told(ctx: &Context, item: &Value, words: &str) -> Result<()> {
    if ctx.output == Output::Table {
        return output::line(&format!("{words}: {}", output::cell(item, "/id")));
    }
    ctx.item(item, FIELDS)
}

fn show(ctx: &Context, item: &Value, columns: &[Column]) -> Result<()> {
    ctx.item(item, FIELDS)?;
    if ctx.output != Output::Table {
        return Ok(());
    }
    let mut steps = item["steps"].as_array().cloned().unwrap_or_default();
    for step in &mut steps {
        step["number"] = (step["index"].as_u64().unwrap_or(0) + 1).into();
    }
    output::line("")?;
    output::table(&steps, columns, "The catalogue knows these steps no more.")?;
    let notes = item["notes"].as_array().cloned().unwrap_or_default();
    if !notes.is_empty() {
        output::line("")?;
        output::table(&notes, NOTES, "")?;
    }
    Ok(())
}
