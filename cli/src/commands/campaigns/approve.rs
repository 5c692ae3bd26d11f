//! Approving: a person with a password, since no API token can.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use anyhow::Result;
use serde_json::{Value, json};

use crate::client::{ClientError, encode};
use crate::commands::Context;

/// Logs in, approves, and ends the session again.
pub(super) fn run(ctx: &Context, campaign: &str, user: &str, note: &str) -> Result<Value> {
    let password = password(user)?;
    let session = ctx.client.log_in(user, &password)?;
    let path = format!("/campaigns/{}/approve", encode(campaign));
    let seen = ctx.client.get(&format!("/campaigns/{}", encode(campaign)))?;
    // What was seen is what is approved: an edit in between is refused.
    let body = json!({ "digest": seen["digest"], "note": note });
    let approved = session.send("POST", &path, &body);
    session.end();
    Ok(approved?)
}

/// The password, from the terminal without an echo, or the first line of standard input. Never an
/// argument: command lines can be seen by others.
fn password(user: &str) -> Result<String, ClientError> {
    let failed = |e: std::io::Error| ClientError::Usage(format!("no password could be read: {e}"));
    if std::io::stdin().is_terminal() {
        let prompt = format!("Password of {}: ", crate::output::clean(user));
        return rpassword::prompt_password(prompt).map_err(failed);
    }
    let mut line = String::new();
    std::io::stdin().lock().take(4_096).read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
