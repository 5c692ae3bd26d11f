//! `fleetmend problems`, `plan` and `remediate`.

use anyhow::Result;
use serde_json::{Value, json};

use super::Context;
use crate::args::{Output, Page, Remediate};
use crate::client::encode;
use crate::output::{self, Column};

/// The columns of a problem.
pub(crate) const COLUMNS: &[Column] = &[
    ("HOSTS", "/hosts"),
    ("INCIDENTS", "/incidents"),
    ("CAUSE", "/name"),
    ("VERDICT", "/certainty"),
    ("CODE", "/code"),
    ("SYMBOL", "/symbol"),
    ("PRODUCT", "/product"),
    ("OPERATION", "/operation"),
    ("BEST REMEDIATION", "/remediation/name"),
    ("RISK", "/remediation/risk"),
    ("KEY", "/key"),
];
const PLAN: &[Column] = &[
    ("REMEDIATION", "/remediation"),
    ("AGAINST", "/cause"),
    ("RISK", "/risk"),
    ("RESTART", "/reboot"),
    ("UNDO", "/undo"),
    ("ALLOWED", "/allowed"),
    ("WHY", "/reason"),
];
const JOB: &[Column] =
    &[("job", "/id"), ("host", "/host/name"), ("remediation", "/remediation"), ("state", "/state")];

/// Lists problems.
pub(crate) fn list(ctx: &Context, page: &Page) -> Result<()> {
    ctx.list("/problems", page.limit, COLUMNS, "No problems: nothing fails in the fleet.")
}

/// Shows the plan of an incident.
pub(crate) fn plan(ctx: &Context, incident: &str) -> Result<()> {
    let plan = ctx.client.get(&format!("/incidents/{}/plan", encode(incident)))?;
    let steps = plan["steps"].as_array().cloned().unwrap_or_default();
    match ctx.output {
        Output::Json => return output::json(&plan),
        Output::Csv => return output::csv(&steps, PLAN),
        Output::Table => {}
    }
    output::table(&steps, PLAN, "The catalogue knows no remediation for this incident.")?;
    for step in &steps {
        let titles = |key: &str| -> Vec<String> {
            let list = step[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(output::clean).collect()
        };
        let (does, never, guide) = (titles("does"), titles("cannot_be_undone"), titles("guide"));
        output::line(&format!("\n{}", output::cell(step, "/remediation")))?;
        for title in does {
            output::line(&format!("  does: {title}"))?;
        }
        for title in never {
            output::line(&format!("  cannot be undone: {title}"))?;
        }
        for title in guide {
            output::line(&format!("  by hand: {title}"))?;
        }
    }
    Ok(())
}

/// Orders a remediation.
pub(crate) fn remediate(ctx: &Context, args: &Remediate) -> Result<()> {
    let mut body = json!({ "reason": args.reason });
    if let Some(remediation) = &args.remediation {
        body["remediation"] = json!(remediation);
    }
    if let Some(risk) = &args.max_risk {
        body["max_risk"] = json!(risk);
    }
    if let Some(reboot) = &args.reboot {
        body["reboot"] = json!(reboot);
    }
    if let Some(notice) = &args.restart.notice {
        body["notice"] = json!(notice);
    }
    if let Some(deferrals) = args.restart.deferrals {
        body["deferrals"] = json!(deferrals);
    }
    if args.climb {
        body["climb"] = json!(true);
    }
    let path = format!("/incidents/{}/remediate", encode(&args.incident));
    let job = ctx.client.send("POST", &path, &body)?;
    if let Some(awaits) = job["awaits"].as_str() {
        return match ctx.output {
            Output::Table => output::line(&output::clean(awaits)),
            Output::Json | Output::Csv => output::json(&job),
        };
    }
    ctx.item(&job, JOB)?;
    if ctx.output == Output::Table {
        let id = output::cell(&job, "/id");
        output::line(&format!("\nfleetmend jobs show {id} --log --follow"))?;
    }
    Ok(())
}
