//! `fleetmend catalog backtest`: what another catalogue would make of the incidents that stand. The
//! server sends what is known, page by page; the judging is done here.

use anyhow::Result;
use fleetmend_core::backtest::{Backtest, Case, Judged};
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::knowledge::{Catalogue, Risk};
use fleetmend_core::plan::Tried;
use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use super::catalog::load;
use crate::args::{Backtest as Args, Output};
use crate::client::ClientError;
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("CHANGE", "/kind"),
    ("INCIDENTS", "/incidents"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("EXAMPLES", "/shown"),
];

/// An incident as the server sends it.
#[derive(Debug, Deserialize)]
struct Sent {
    incident: String,
    host: SentHost,
    os: OsFamily,
    build: String,
    #[serde(flatten)]
    key: IncidentKey,
    update_class: Option<UpdateClass>,
    evidence: Vec<SentAnswer>,
    tried: Vec<Tried>,
    judged: Judged,
    catalogue: String,
}

#[derive(Debug, Deserialize)]
struct SentHost {
    name: String,
}

#[derive(Debug, Deserialize)]
struct SentAnswer {
    id: EvidenceId,
    probe: Slug,
    subject: Option<String>,
    answer: Answer,
    value: Option<String>,
    at: Timestamp,
}

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &Args) -> Result<()> {
    let read;
    let candidate = match &args.catalog {
        Some(folder) => {
            read = load(folder)?;
            &read
        }
        None => fleetmend_catalog::builtin(),
    };
    let risk: Risk =
        args.max_risk.parse().map_err(|e| ClientError::Usage(format!("max_risk: {e}")))?;
    let path = format!("/catalog/backtest?max_risk={risk}");
    let mut test = Backtest::default();
    let mut servers = std::collections::BTreeSet::new();
    let total = ctx.client.each(&path, args.limit, |item| {
        let sent: Sent = serde_json::from_value(item)?;
        let name = format!("{} ({})", sent.incident, sent.host.name);
        servers.insert(sent.catalogue.clone());
        let before = sent.judged.clone();
        let after = Judged::new(candidate, &case(sent), risk);
        test.compare(&name, &before, &after);
        Ok(())
    })?;
    print(ctx, candidate, &servers.into_iter().collect::<Vec<_>>(), &test, total)
}

fn case(sent: Sent) -> Case {
    let evidence = sent.evidence.into_iter().map(|e| Evidence {
        id: e.id,
        probe: e.probe,
        subject: e.subject,
        answer: e.answer,
        proof: String::new(),
        value: e.value,
        at: e.at,
    });
    Case {
        key: sent.key,
        update_class: sent.update_class,
        os: sent.os,
        build: sent.build,
        evidence: evidence.collect(),
        tried: sent.tried,
    }
}

fn print(
    ctx: &Context,
    candidate: &Catalogue,
    servers: &[String],
    test: &Backtest,
    total: u64,
) -> Result<()> {
    let changes: Vec<Value> = test
        .changes()
        .into_iter()
        .map(|change| {
            let shown = change.examples.join(", ");
            let mut value = serde_json::to_value(change)?;
            value["shown"] = json!(shown);
            Ok(value)
        })
        .collect::<Result<_>>()?;
    match ctx.output {
        Output::Json => {
            let changes: Vec<Value> = changes
                .into_iter()
                .map(|mut change| {
                    change.as_object_mut().map(|fields| fields.remove("shown"));
                    change
                })
                .collect();
            return output::json(&json!({
                "candidate": candidate.version,
                "server": servers,
                "incidents": test.incidents,
                "changed": test.changed,
                "total": total,
                "changes": changes,
            }));
        }
        Output::Csv => return output::csv(&changes, COLUMNS),
        Output::Table => {}
    }
    let same = "Nothing would change.";
    output::table(&changes, COLUMNS, same)?;
    output::line(&format!(
        "\n{} of {} incidents would change with the catalogue {} (the server's: {}).",
        test.changed,
        test.incidents,
        candidate.version,
        if servers.is_empty() { "unknown".to_owned() } else { servers.join(", ") }
    ))?;
    if total > test.incidents {
        output::line(&format!(
            "({} of {total} were looked at; --limit {total} takes all)",
            test.incidents
        ))?;
    }
    Ok(())
}
