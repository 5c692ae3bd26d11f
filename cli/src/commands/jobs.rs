//! `fleetmend jobs`.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Context, query};
use crate::args::{JobCommand, JobFilter, Output};
use crate::client::{ClientError, encode};
use crate::output::{self, Column};

/// How often a followed job is looked at.
const LOOK: Duration = Duration::from_secs(1);
const COLUMNS: &[Column] = &[
    ("HOST", "/host/name"),
    ("STATE", "/state"),
    ("REMEDIATION", "/remediation"),
    ("RISK", "/risk"),
    ("ORDERED BY", "/ordered_by"),
    ("CREATED", "/created_at"),
    ("DETAIL", "/detail"),
    ("ID", "/id"),
];
/// A job's fields.
pub(crate) const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("host", "/host/name"),
    ("incident", "/incident"),
    ("task", "/task"),
    ("takes back", "/undoes"),
    ("taken back by", "/undone_by"),
    ("remediation", "/remediation"),
    ("cause", "/cause"),
    ("risk", "/risk"),
    ("state", "/state"),
    ("cancel asked", "/cancel_requested"),
    ("detail", "/detail"),
    ("proof", "/proof"),
    ("attempt", "/attempt"),
    ("ordered by", "/ordered_by"),
    ("reason", "/reason"),
    ("created", "/created_at"),
    ("updated", "/updated_at"),
    ("ended", "/ended_at"),
];
const UNDO: &[Column] = &[
    ("job", "/job"),
    ("attempt", "/attempt"),
    ("can be taken back", "/possible"),
    ("why", "/why"),
    ("until", "/kept_until"),
];
const UNDO_STEPS: &[Column] = &[
    ("STEP", "/number"),
    ("TITLE", "/title"),
    ("STATE", "/state"),
    ("UNDO", "/undo"),
    ("WHY", "/why"),
];
const STEPS: &[Column] = &[
    ("STEP", "/index"),
    ("STATE", "/state"),
    ("TITLE", "/title"),
    ("EXIT", "/exit"),
    ("DETAIL", "/detail"),
];

/// Runs the command; false where a followed job did not end *fixed*.
pub(crate) fn run(ctx: &Context, list: JobFilter, command: Option<JobCommand>) -> Result<bool> {
    match command.unwrap_or(JobCommand::List(list)) {
        JobCommand::List(filter) => {
            let host = filter.host.as_deref().map(|h| ctx.host(h)).transpose()?;
            let mut pairs = vec![("host", host.as_deref())];
            pairs.extend(filter.state.iter().map(|s| ("state", Some(s.as_str()))));
            let path = format!("/jobs{}", query(&pairs));
            ctx.list(
                &path,
                filter.page.limit,
                COLUMNS,
                "No jobs. `fleetmend incidents` shows what can be remediated.",
            )?;
            Ok(true)
        }
        JobCommand::Show { job, log, follow } => show(ctx, &job, log, follow),
        JobCommand::Undo { job, reason, attempt, preview } => {
            undo(ctx, &job, reason.as_deref().filter(|_| !preview), attempt)
        }
        JobCommand::Cancel { job, reason } => {
            let path = format!("/jobs/{}/cancel", encode(&job));
            let item = ctx.client.send("POST", &path, &json!({ "reason": reason }))?;
            if ctx.output == Output::Table {
                let state = output::cell(&item, "/state");
                output::line(&format!("The job is asked to stop; it is {state} now."))?;
            } else {
                ctx.item(&item, FIELDS)?;
            }
            Ok(true)
        }
    }
}

/// Takes a job back where there is a reason, else shows what can be taken back; false where nothing
/// can.
fn undo(ctx: &Context, id: &str, reason: Option<&str>, attempt: Option<u32>) -> Result<bool> {
    let path = format!("/jobs/{}/undo", encode(id));
    if let Some(reason) = reason {
        let body = json!({ "reason": reason, "attempt": attempt });
        let item = ctx.client.send("POST", &path, &body)?;
        if ctx.output == Output::Table {
            let made = output::cell(&item, "/id");
            output::line(&format!(
                "Job {made} takes it back: fleetmend jobs show {made} --follow"
            ))?;
        } else {
            ctx.item(&item, FIELDS)?;
        }
        return Ok(true);
    }
    let attempt = attempt.map(|n| n.to_string());
    let item = ctx.client.get(&format!("{path}{}", query(&[("attempt", attempt.as_deref())])))?;
    let mut steps = item["steps"].as_array().cloned().unwrap_or_default();
    for step in &mut steps {
        step["number"] = (step["index"].as_u64().unwrap_or(0) + 1).into();
    }
    match ctx.output {
        Output::Json => output::json(&item)?,
        Output::Csv => output::csv(&steps, UNDO_STEPS)?,
        Output::Table => {
            ctx.item(&item, UNDO)?;
            output::line("")?;
            output::table(&steps, UNDO_STEPS, "No step has begun.")?;
        }
    }
    Ok(item["possible"].as_bool() == Some(true))
}

fn show(ctx: &Context, id: &str, log: bool, follow: bool) -> Result<bool> {
    let path = format!("/jobs/{}", encode(id));
    let mut printed = String::new();
    let mut state = String::new();
    let live = follow && ctx.output == Output::Table;
    let item = loop {
        let item = ctx.client.get(&path)?;
        if live {
            let now = output::cell(&item, "/state");
            if now != state {
                output::line(&format!("{}  {now}", output::cell(&item, "/updated_at")))?;
                state = now;
            }
            if log {
                print_new(&mut printed, &log_text(ctx, &path)?)?;
            }
        }
        if !follow || item["final"].as_bool() != Some(false) {
            break item;
        }
        std::thread::sleep(LOOK);
    };
    if live {
        output::line("")?;
    }
    ctx.item(&item, FIELDS)?;
    if ctx.output == Output::Table {
        let mut steps = item["steps"].as_array().cloned().unwrap_or_default();
        // People count from one, as the job's own texts do.
        for step in &mut steps {
            if let Some(index) = step["index"].as_u64() {
                step["index"] = (index + 1).into();
            }
        }
        if !steps.is_empty() {
            output::line("")?;
            output::table(&steps, STEPS, "")?;
        }
        if log && !live {
            output::line("")?;
            output::say(&output::clean_lines(&log_text(ctx, &path)?))?;
        }
    }
    Ok(!follow || item["state"].as_str() == Some("fixed"))
}

fn log_text(ctx: &Context, path: &str) -> Result<String, ClientError> {
    ctx.client.text(&format!("{path}/log"), "text/plain")
}

/// Prints what came since the last look. A log that no longer begins as it did is printed whole.
fn print_new(printed: &mut String, text: &str) -> Result<()> {
    let new = text.strip_prefix(printed.as_str()).unwrap_or(text);
    output::say(&output::clean_lines(new))?;
    text.clone_into(printed);
    Ok(())
}
