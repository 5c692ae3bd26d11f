//! `fleetmend tokens`: enrolment tokens.

use anyhow::Result;
use serde_json::{Map, json};

use super::Context;
use crate::args::{Output, Page, TokenCommand};
use crate::client::{ClientError, encode};
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("USED", "/uses"),
    ("OF", "/max_uses"),
    ("EXPIRES", "/expires_at"),
    ("LABELS", "/labels"),
    ("NETWORKS", "/networks"),
    ("ID", "/id"),
];

/// Runs the command.
pub(crate) fn run(ctx: &Context, list: Page, command: Option<TokenCommand>) -> Result<()> {
    match command.unwrap_or(TokenCommand::List(list)) {
        TokenCommand::List(page) => ctx.list(
            "/enrollment-tokens",
            page.limit,
            COLUMNS,
            "No enrolment tokens. `fleetmend tokens create --name first` makes one.",
        ),
        TokenCommand::Create { name, uses, hours, label, network } => {
            let mut labels = Map::new();
            for text in &label {
                let (key, value) = text.split_once('=').ok_or_else(|| {
                    let shown = output::clean(text);
                    ClientError::Usage(format!("label \"{shown}\": write KEY=VALUE"))
                })?;
                labels.insert(key.to_owned(), json!(value));
            }
            let mut body = json!({ "name": name, "labels": labels, "networks": network });
            if let Some(uses) = uses {
                body["uses"] = json!(uses);
            }
            if let Some(hours) = hours {
                body["hours"] = json!(hours);
            }
            let made = ctx.client.send("POST", "/enrollment-tokens", &body)?;
            match ctx.output {
                Output::Json => output::json(&made),
                Output::Csv => output::csv(&[made], &[("id", "/id"), ("token", "/token")]),
                // The token alone on its line, so that a script can take it.
                Output::Table => {
                    output::note(
                        "Shown once. On the host, as root: fleetmend-agent enroll --server SERVER:7443 --token …",
                    );
                    output::line(&output::cell(&made, "/token"))
                }
            }
        }
        TokenCommand::Revoke { token } => {
            let path = format!("/enrollment-tokens/{}", encode(&token));
            ctx.client.send("DELETE", &path, &json!({}))?;
            if ctx.output == Output::Table {
                output::line("The token is void; hosts that came by it stay.")?;
            }
            Ok(())
        }
    }
}
