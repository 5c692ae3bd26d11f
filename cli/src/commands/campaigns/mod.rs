//! `fleetmend campaigns`.

mod approve;
mod show;
mod watch;
mod write;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Context, query};
use crate::args::{Act, CampaignCommand, CampaignFilter, FreezeCommand, Output, Page};
use crate::client::encode;
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("HOSTS", "/hosts"),
    ("CHANGE", "/change"),
    ("WRITTEN BY", "/created_by"),
    ("CREATED", "/created_at"),
    ("WAITS FOR", "/waiting_for"),
    ("ID", "/id"),
];
const HOSTS: &[Column] = &[
    ("HOST", "/host/name"),
    ("WAVE", "/wave"),
    ("OUTCOME", "/outcome"),
    ("DETAIL", "/detail"),
    ("REMEDIATION", "/remediation"),
    ("PROOF", "/proof"),
    ("ENDED", "/ended_at"),
    ("JOB", "/job"),
];
const APPROVALS: &[Column] = &[
    ("CAMPAIGN", "/name"),
    ("WRITTEN BY", "/created_by"),
    ("WHY", "/needs_approval"),
    ("SINCE", "/state_since"),
    ("ID", "/id"),
];
const FREEZES: &[Column] = &[
    ("NAME", "/name"),
    ("FROM", "/from"),
    ("UNTIL", "/until"),
    ("FIRST DAY", "/first"),
    ("LAST DAY", "/last"),
    ("LABELS", "/labels"),
    ("REASON", "/reason"),
    ("BY", "/created_by"),
    ("ID", "/id"),
];

/// Runs the command; false where a watched campaign did not complete without errors.
pub(crate) fn run(
    ctx: &Context,
    list: CampaignFilter,
    command: Option<CampaignCommand>,
) -> Result<bool> {
    match command.unwrap_or(CampaignCommand::List(list)) {
        CampaignCommand::List(filter) => all(ctx, &filter)?,
        CampaignCommand::Create(text) => {
            let definition = write::definition(ctx, &text)?;
            let made = ctx.client.send("POST", "/campaigns", &definition)?;
            show::one(ctx, &made)?;
        }
        CampaignCommand::Edit { campaign, text } => {
            let path = format!("/campaigns/{}", encode(&campaign));
            let seen = ctx.client.get(&path)?;
            let definition = write::definition(ctx, &text)?;
            let body = json!({ "definition": definition, "revision": seen["revision"] });
            show::one(ctx, &ctx.client.send("PUT", &path, &body)?)?;
        }
        CampaignCommand::Show { campaign } => {
            show::one(ctx, &ctx.client.get(&format!("/campaigns/{}", encode(&campaign)))?)?;
        }
        CampaignCommand::Preview { campaign: Some(campaign), .. } => {
            let path = format!("/campaigns/{}/preview", encode(&campaign));
            show::preview(ctx, &ctx.client.get(&path)?)?;
        }
        CampaignCommand::Preview { campaign: None, text } => {
            let definition = write::definition(ctx, &text)?;
            let found = ctx.client.send("POST", "/campaigns/preview", &definition)?;
            show::preview(ctx, &found)?;
        }
        CampaignCommand::Approve { campaign, user, note } => {
            show::one(ctx, &approve::run(ctx, &campaign, &user, &note)?)?;
        }
        CampaignCommand::Start(act) => change(ctx, "start", &act)?,
        CampaignCommand::Pause(act) => change(ctx, "pause", &act)?,
        CampaignCommand::Resume(act) => change(ctx, "resume", &act)?,
        CampaignCommand::Abort(act) => change(ctx, "abort", &act)?,
        CampaignCommand::Cancel(act) => change(ctx, "cancel", &act)?,
        // What ended in error is all that can be retried, named or not.
        CampaignCommand::Retry { act, failed: _ } => retry(ctx, &act)?,
        CampaignCommand::Undo { act, preview: true } => {
            let path = format!("/campaigns/{}/undo", encode(&act.campaign));
            show::undoable(ctx, &ctx.client.get(&path)?)?;
        }
        CampaignCommand::Undo { act, preview: false } => change(ctx, "undo", &act)?,
        CampaignCommand::Watch { campaign } => return watch::run(ctx, &campaign),
        CampaignCommand::Hosts { campaign, outcome, page } => {
            let pairs: Vec<_> = outcome.iter().map(|o| ("outcome", Some(o.as_str()))).collect();
            let path = format!("/campaigns/{}/hosts{}", encode(&campaign), query(&pairs));
            ctx.list(&path, page.limit, HOSTS, "No hosts: none was selected yet.")?;
        }
        CampaignCommand::Document { campaign } => {
            let path = format!("/campaigns/{}/document", encode(&campaign));
            output::json(&ctx.client.get(&path)?)?;
        }
    }
    Ok(true)
}

/// `fleetmend approvals`: what waits for the word of a second person.
pub(crate) fn approvals(ctx: &Context, page: &Page) -> Result<()> {
    ctx.list("/approvals", page.limit, APPROVALS, "Nothing waits for an approval.")
}

/// `fleetmend freezes`.
pub(crate) fn freezes(ctx: &Context, list: Page, command: Option<FreezeCommand>) -> Result<()> {
    match command.unwrap_or(FreezeCommand::List(list)) {
        FreezeCommand::List(page) => ctx.list("/freezes", page.limit, FREEZES, "No freezes."),
        FreezeCommand::Create { name, reason, from, until, first, last, zone, label } => {
            let labels: Result<serde_json::Map<String, Value>> = label
                .iter()
                .map(|pair| write::label(pair).map(|(key, value)| (key, json!(value))))
                .collect();
            let mut body = json!({ "name": name, "reason": reason, "labels": labels? });
            let given = [
                ("from", from),
                ("until", until),
                ("first", first),
                ("last", last),
                ("zone", zone),
            ];
            for (field, value) in given {
                if let Some(value) = value {
                    body[field] = json!(value);
                }
            }
            ctx.item(&ctx.client.send("POST", "/freezes", &body)?, FREEZES)
        }
        FreezeCommand::Delete { freeze } => {
            let path = format!("/freezes/{}", encode(&freeze));
            ctx.client.send("DELETE", &path, &json!({}))?;
            if ctx.output == Output::Table {
                output::line("The freeze is gone; what it held back may begin.")?;
            }
            Ok(())
        }
    }
}

fn all(ctx: &Context, filter: &CampaignFilter) -> Result<()> {
    let mut pairs = vec![("search", filter.search.as_deref())];
    pairs.extend(filter.state.iter().map(|state| ("state", Some(state.as_str()))));
    let path = format!("/campaigns{}", query(&pairs));
    let empty = "No campaigns. `fleetmend problems` shows what one could be against.";
    ctx.list(&path, filter.page.limit, COLUMNS, empty)
}

fn change(ctx: &Context, verb: &str, act: &Act) -> Result<()> {
    show::one(ctx, &act_on(ctx, verb, act)?)
}

fn retry(ctx: &Context, act: &Act) -> Result<()> {
    let done = act_on(ctx, "retry", act)?;
    if ctx.output == Output::Table {
        let hosts = done["retried"].as_u64().unwrap_or_default();
        output::line(&format!("Hosts that ended in error and get a fresh job: {hosts}"))?;
        if let Some(left) = done["set_aside"].as_u64().filter(|left| *left > 0) {
            output::line(&format!(
                "Hosts that the abort had not reached and that stay so: {left}"
            ))?;
        }
    }
    show::one(ctx, &done)
}

fn act_on(ctx: &Context, verb: &str, act: &Act) -> Result<Value> {
    let path = format!("/campaigns/{}/{verb}", encode(&act.campaign));
    let body = act.reason.as_ref().map_or_else(|| json!({}), |why| json!({ "reason": why }));
    Ok(ctx.client.send("POST", &path, &body)?)
}
