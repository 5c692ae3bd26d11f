//! `admin create` and `admin reset`: the first person, and the way back in. They work on the database
//! itself, beside a server that runs, and are audited as everything else. A password is never an
//! argument: other users of the machine see those.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use anyhow::Context as _;
use fleetmend_core::ids::{ApiTokenId, UserId};
use fleetmend_core::limits;
use fleetmend_core::token::Role;
use fleetmend_store::{NewApiToken, NewPassword, NewUser};

use super::AdminCommand;
use super::commands::{ACTOR, note, print};
use crate::enroll::token;
use crate::state::Shared;
use crate::{entropy, http, users};

/// What is wished for, checked.
#[derive(Debug)]
pub(super) enum Wish {
    Token { name: String },
    Create { name: String, password: Option<Typed> },
    Reset { name: String, password: Option<Typed> },
}

/// A password that a person chose; not to be printed.
pub(super) struct Typed(String);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed")
    }
}

/// Checks the command and asks for the password where there is somebody to ask.
pub(super) fn ask(command: AdminCommand) -> anyhow::Result<Wish> {
    Ok(match command {
        AdminCommand::Create { name, api_token: true, .. } => {
            token::check_name(&name)?;
            Wish::Token { name }
        }
        AdminCommand::Create { name, password_stdin, .. } => {
            let name = users::check_name(&name)?;
            Wish::Create { password: password(&name, password_stdin)?, name }
        }
        AdminCommand::Reset { name, password_stdin } => {
            let name = users::check_name(&name)?;
            Wish::Reset { password: password(&name, password_stdin)?, name }
        }
    })
}

/// Does it.
pub(super) async fn run(shared: &Shared, wish: Wish) -> anyhow::Result<()> {
    let now = shared.clock.now();
    match wish {
        Wish::Token { name } => {
            let (text, secret_hash) = http::auth::new_token();
            let id = entropy::id(ApiTokenId::at, &*shared.clock);
            let new =
                NewApiToken { id, name, role: Role::Admin, secret_hash, expires: None, user: None };
            shared.db.create_api_token(&new, ACTOR, now).await?;
            note("This API token is shown once; keep it safe (FLEETMEND_TOKEN):");
            print(&format!("{text}\n"))
        }
        Wish::Create { name, password } => {
            let (stored, once) = stored(shared, password).await?;
            let id = entropy::id(UserId::at, &*shared.clock);
            let user = NewUser { id, name: name.clone(), role: Role::Admin, password: stored };
            shared.db.create_user(&user, ACTOR, now).await.with_context(|| {
                format!("\"{name}\" was not made; `admin reset --name {name}` gives a user a new password")
            })?;
            say(&name, once)
        }
        Wish::Reset { name, password } => {
            let user = shared.db.user_by_name(&name).await?;
            let user = user.with_context(|| {
                format!(
                    "name: there is no user \"{name}\"; `admin create --name {name}` makes an admin"
                )
            })?;
            let (stored, once) = stored(shared, password).await?;
            shared.db.reset_password(user.id, &stored, ACTOR, now).await?;
            if user.disabled.is_some() {
                note(&format!(
                    "\"{name}\" is disabled and stays so: an admin enables it, on the page People"
                ));
            }
            say(&name, once)
        }
    }
}

/// The password typed by a person; `None` where one is to be made.
fn password(name: &str, stdin: bool) -> anyhow::Result<Option<Typed>> {
    let typed = if stdin {
        first_line()?
    } else if std::io::stdin().is_terminal() {
        let ask = |text: &str| {
            rpassword::prompt_password(text).context("the password cannot be asked for here")
        };
        let typed = ask("Password (nothing: one for the first log-in is made): ")?;
        if typed.is_empty() {
            return Ok(None);
        }
        if ask("Again: ")? != typed {
            return Err(token::BadWish {
                field: "password",
                problem: "it was typed in two ways".to_owned(),
            }
            .into());
        }
        typed
    } else {
        return Ok(None);
    };
    users::check_password(name, &typed)?;
    Ok(Some(Typed(typed)))
}

fn first_line() -> anyhow::Result<String> {
    let most = limits::PASSWORD_BYTES as u64 + 2;
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(most)
        .read_line(&mut line)
        .context("the password cannot be read from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// What is stored, and the password that is to be shown.
async fn stored(
    shared: &Shared,
    typed: Option<Typed>,
) -> anyhow::Result<(NewPassword, Option<String>)> {
    let once = typed.is_none().then(users::one_time_password);
    let text = typed.map(|typed| typed.0).or_else(|| once.clone()).unwrap_or_default();
    let hash = shared.passwords.hash(&text).await?;
    let until = shared.clock.now().after(limits::ONE_TIME_PASSWORD_LIFE);
    Ok((NewPassword { hash, one_time_until: once.as_ref().map(|_| until) }, once))
}

fn say(name: &str, once: Option<String>) -> anyhow::Result<()> {
    let Some(text) = once else {
        note(&format!("\"{name}\" may log in."));
        return Ok(());
    };
    note(&format!(
        "\"{name}\" may log in. This password is shown once, is good for 7 days, and is changed at the first log-in:"
    ));
    print(&format!("{text}\n"))
}
