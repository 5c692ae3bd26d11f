//! `fleetmend hosts`.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Context, query};
use crate::args::{HostCommand, HostFilter, Output};
use crate::client::{ClientError, encode};
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("HEALTH", "/health"),
    ("CONNECTED", "/connected"),
    ("INCIDENTS", "/open_incidents"),
    ("SYSTEM", "/os_name"),
    ("LAST SEEN", "/last_seen"),
    ("LABELS", "/labels"),
    ("SIMULATED", "/simulated"),
    ("ID", "/id"),
];
const PASSING: &[Column] = &[
    ("PRODUCT", "/product"),
    ("OPERATION", "/operation"),
    ("CODE", "/code"),
    ("SUBJECT", "/subject"),
    ("FAILURES", "/failures"),
    ("FIRST", "/first_at"),
    ("LAST", "/last_at"),
];
const FIELDS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("state", "/state"),
    ("health", "/health"),
    ("connected", "/connected"),
    ("simulated", "/simulated"),
    ("system", "/os_name"),
    ("build", "/os_build"),
    ("architecture", "/arch"),
    ("agent", "/agent_version"),
    ("last seen", "/last_seen"),
    ("enrolled", "/enrolled_at"),
    ("open incidents", "/open_incidents"),
    ("labels", "/labels"),
];

/// Runs the command.
pub(crate) fn run(ctx: &Context, list: HostFilter, command: Option<HostCommand>) -> Result<()> {
    match command.unwrap_or(HostCommand::List(list)) {
        HostCommand::List(filter) => {
            let mut pairs = vec![
                ("search", filter.search.as_deref()),
                ("code", filter.code.as_deref()),
                ("cause", filter.cause.as_deref()),
                ("kb", filter.kb.as_deref()),
                ("build", filter.build.as_deref()),
            ];
            pairs.extend(filter.state.iter().map(|s| ("state", Some(s.as_str()))));
            pairs.extend(filter.label.iter().map(|l| ("label", Some(l.as_str()))));
            ctx.list(
                &format!("/hosts{}", query(&pairs)),
                filter.page.limit,
                COLUMNS,
                "No hosts. `fleetmend tokens create --name first` makes a token to enrol one.",
            )
        }
        HostCommand::Show { host } => show(ctx, &host),
        HostCommand::Accept { host } => act(ctx, &host, "accept", &json!({}), "accepted"),
        HostCommand::Revoke { host, reason } => {
            act(ctx, &host, "revoke", &json!({ "reason": reason }), "revoked")
        }
        HostCommand::Retire { host, reason } => {
            act(ctx, &host, "retire", &json!({ "reason": reason }), "retired")
        }
        HostCommand::Label { host, labels } => {
            act(ctx, &host, "labels", &changes(&labels)?, "labelled")
        }
    }
}

fn show(ctx: &Context, host: &str) -> Result<()> {
    let id = ctx.host(host)?;
    let item = ctx.client.get(&format!("/hosts/{}", encode(&id)))?;
    ctx.item(&item, FIELDS)?;
    if ctx.output == Output::Table {
        let (incidents, _) = ctx.client.list(&format!("/incidents?host={}", encode(&id)), 100)?;
        output::line("")?;
        let nothing = match item["health"].as_str() {
            Some("healthy") => "Nothing fails on this host.",
            _ => "No incident stands on this host; nothing proves it healthy either.",
        };
        output::table(&incidents, super::incidents::SHORT, nothing)?;
        let facts = ctx.client.get(&format!("/hosts/{}/facts", encode(&id)))?;
        let passing = facts["passing"].as_array().cloned().unwrap_or_default();
        if !passing.is_empty() {
            output::line("\nCounted, and no incident yet: what usually goes by itself.")?;
            output::table(&passing, PASSING, "")?;
        }
    }
    Ok(())
}

fn act(ctx: &Context, host: &str, verb: &str, body: &Value, done: &str) -> Result<()> {
    let id = ctx.host(host)?;
    let item = ctx.client.send("POST", &format!("/hosts/{}/{verb}", encode(&id)), body)?;
    if ctx.output == Output::Table {
        return output::line(&format!("{} is {done}.", output::cell(&item, "/name")));
    }
    ctx.item(&item, FIELDS)
}

/// `KEY=VALUE` sets, `KEY-` removes.
fn changes(labels: &[String]) -> Result<Value, ClientError> {
    let mut set = Map::new();
    let mut remove = Vec::new();
    for label in labels {
        if let Some((key, value)) = label.split_once('=') {
            set.insert(key.to_owned(), json!(value));
        } else if let Some(key) = label.strip_suffix('-') {
            remove.push(key);
        } else {
            return Err(ClientError::Usage(format!(
                "label \"{}\": write KEY=VALUE to set one, KEY- to remove one",
                output::clean(label)
            )));
        }
    }
    Ok(json!({ "set": set, "remove": remove }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_removed() {
        let labels = ["site=a=b".to_owned(), "old-".to_owned()];
        let body = changes(&labels).expect("valid");
        assert_eq!(body, json!({ "set": { "site": "a=b" }, "remove": ["old"] }));
        assert!(changes(&["plain".to_owned()]).is_err());
    }
}
