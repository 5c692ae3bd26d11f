//! `fleetmend incidents`.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Context, query};
use crate::args::{IncidentCommand, IncidentFilter, Output};
use crate::client::encode;
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("HOST", "/host/name"),
    ("STATE", "/state"),
    ("PRODUCT", "/product"),
    ("OPERATION", "/operation"),
    ("CODE", "/code"),
    ("SUBJECT", "/subject"),
    ("CAUSE", "/cause/name"),
    ("VERDICT", "/cause/certainty"),
    ("LAST REPORT", "/last_report_at"),
    ("ID", "/id"),
];
/// The columns where the host is clear already.
pub(crate) const SHORT: &[Column] = &[
    ("STATE", "/state"),
    ("PRODUCT", "/product"),
    ("OPERATION", "/operation"),
    ("CODE", "/code"),
    ("SUBJECT", "/subject"),
    ("CAUSE", "/cause/name"),
    ("VERDICT", "/cause/certainty"),
    ("ID", "/id"),
];
const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("host", "/host/name"),
    ("state", "/state"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("code", "/code"),
    ("symbol", "/symbol"),
    ("subject", "/subject"),
    ("meaning", "/meaning"),
    ("seen", "/message"),
    ("reports", "/reports"),
    ("first report", "/opened_at"),
    ("last report", "/last_report_at"),
    ("earlier incident", "/previous"),
    ("replaced by", "/successor/update"),
];
const CAUSES: &[Column] = &[("CAUSE", "/name"), ("VERDICT", "/certainty"), ("SHARE", "/share")];
const EVIDENCE: &[Column] = &[
    ("PROBE", "/probe"),
    ("ABOUT", "/subject"),
    ("ANSWER", "/answer"),
    ("WEIGHT", "/strength"),
    ("SEEN", "/at"),
    ("PROOF", "/proof"),
];

/// Runs the command.
pub(crate) fn run(
    ctx: &Context,
    list: IncidentFilter,
    command: Option<IncidentCommand>,
) -> Result<()> {
    match command.unwrap_or(IncidentCommand::List(list)) {
        IncidentCommand::List(filter) => {
            let host = filter.host.as_deref().map(|h| ctx.host(h)).transpose()?;
            let mut pairs = vec![
                ("code", filter.code.as_deref()),
                ("cause", filter.cause.as_deref()),
                ("host", host.as_deref()),
                ("product", filter.product.as_deref()),
                ("operation", filter.operation.as_deref()),
                ("kb", filter.kb.as_deref()),
                ("build", filter.build.as_deref()),
            ];
            pairs.extend(filter.label.iter().map(|l| ("label", Some(l.as_str()))));
            pairs.extend(filter.state.iter().map(|s| ("state", Some(s.as_str()))));
            let path = format!("/incidents{}", query(&pairs));
            ctx.list(&path, filter.page.limit, COLUMNS, "No incidents: nothing fails here.")
        }
        IncidentCommand::Show { incident } => {
            let item = ctx.client.get(&format!("/incidents/{}", encode(&incident)))?;
            ctx.item(&item, FIELDS)?;
            if ctx.output == Output::Table { verdict(&item) } else { Ok(()) }
        }
        IncidentCommand::Ignore { incident, reason, until } => {
            let body = json!({ "reason": reason, "until": until });
            act(ctx, &incident, "ignore", &body, "ignored")
        }
        IncidentCommand::Verify { incident, remediation, reason } => {
            let body = json!({ "remediation": remediation, "reason": reason });
            let path = format!("/incidents/{}/verify", encode(&incident));
            let job = ctx.client.send("POST", &path, &body)?;
            if ctx.output == Output::Table {
                let id = output::cell(&job, "/id");
                let text = format!("Job {id} finds out: fleetmend jobs show {id} --follow");
                return output::line(&text);
            }
            ctx.item(&job, super::jobs::FIELDS)
        }
        IncidentCommand::Reopen { incident } => {
            act(ctx, &incident, "reopen", &json!({}), "open again")
        }
    }
}

fn verdict(item: &Value) -> Result<()> {
    let causes = item.pointer("/verdict/causes").and_then(Value::as_array);
    for cause in causes.into_iter().flatten() {
        output::line("")?;
        output::table(std::slice::from_ref(cause), CAUSES, "")?;
        let evidence = cause["evidence"].as_array().cloned().unwrap_or_default();
        if !evidence.is_empty() {
            output::table(&evidence, EVIDENCE, "")?;
        }
    }
    Ok(())
}

fn act(ctx: &Context, id: &str, verb: &str, body: &Value, done: &str) -> Result<()> {
    let item = ctx.client.send("POST", &format!("/incidents/{}/{verb}", encode(id)), body)?;
    if ctx.output == Output::Table {
        return output::line(&format!("The incident is {done}."));
    }
    ctx.item(&item, FIELDS)
}
