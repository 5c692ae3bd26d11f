//! `fleetmend users`: people who may log in.

use anyhow::Result;
use serde_json::{Value, json};

use super::Context;
use crate::args::{Output, Page, UserCommand};
use crate::client::encode;
use crate::output::{self, Column};

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("ROLE", "/role"),
    ("STATE", "/state"),
    ("LAST LOG-IN", "/last_login_at"),
    ("MADE BY", "/created_by"),
    ("ID", "/id"),
];

/// Runs the command.
pub(crate) fn run(ctx: &Context, list: Page, command: Option<UserCommand>) -> Result<()> {
    let change = |user: &str, what: &str, body: &Value| {
        ctx.client.send("POST", &format!("/users/{}/{what}", encode(user)), body)
    };
    let done = match command.unwrap_or(UserCommand::List(list)) {
        UserCommand::List(page) => {
            let empty = "No users. `fleetmend users create NAME --role ROLE` makes one.";
            return ctx.list("/users", page.limit, COLUMNS, empty);
        }
        UserCommand::Create { name, role } => {
            ctx.client.send("POST", "/users", &json!({ "name": name, "role": role }))?
        }
        UserCommand::Role { user, role } => change(&user, "role", &json!({ "role": role }))?,
        UserCommand::Disable { user } => change(&user, "disable", &json!({}))?,
        UserCommand::Enable { user } => change(&user, "enable", &json!({}))?,
        UserCommand::Reset { user } => change(&user, "reset", &json!({}))?,
    };
    tell(ctx, &done)
}

fn tell(ctx: &Context, done: &Value) -> Result<()> {
    match ctx.output {
        Output::Json => return output::json(done),
        Output::Csv => {
            const ALL: &[Column] = &[
                ("id", "/user/id"),
                ("name", "/user/name"),
                ("role", "/user/role"),
                ("state", "/user/state"),
                ("one_time_password", "/one_time_password"),
            ];
            return output::csv(std::slice::from_ref(done), ALL);
        }
        Output::Table => {}
    }
    let cell = |pointer| output::cell(done, pointer);
    let line = format!(
        "{}: {}, {}; {} sessions and {} API tokens ended.",
        cell("/user/name"),
        cell("/user/role"),
        cell("/user/state"),
        cell("/sessions_ended"),
        cell("/tokens_ended")
    );
    if done["one_time_password"].is_null() {
        return output::line(&line);
    }
    // The password alone on its line, so that a script can take it.
    output::note(&line);
    output::note(&format!("For one log-in until {}; shown once:", cell("/one_time_until")));
    output::line(&cell("/one_time_password"))
}
