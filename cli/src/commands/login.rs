//! `fleetmend login`: name and password for a token that lives some hours.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use anyhow::Result;
use fleetmend_core::limits;
use serde_json::json;

use crate::args::{Login, Output};
use crate::client::{Client, ClientError};
use crate::output::{self, Column};
use crate::saved;

const COLUMNS: &[Column] =
    &[("user", "/user"), ("role", "/role"), ("expires", "/expires_at"), ("kept in", "/kept_in")];

/// Runs the command.
pub(crate) fn run(client: &Client, login: &Login, output: Output) -> Result<()> {
    let name = match &login.name {
        Some(name) => name.clone(),
        None => ask_name()?,
    };
    let password = password(login)?;
    let mut token = json!({ "name": format!("log-in of {name} on {}", machine()) });
    if let Some(hours) = login.hours {
        token["hours"] = json!(hours);
    }
    if let Some(role) = &login.role {
        token["role"] = json!(role);
    }
    let mut body = json!({ "name": name, "password": password, "token": token });
    let mut opened = match client.send("POST", "/sessions", &body) {
        Err(ClientError::ChangePassword(why)) => {
            body["new_password"] = json!(new_password(login, &why)?);
            client.send("POST", "/sessions", &body)?
        }
        answer => answer?,
    };
    let foreign = || ClientError::Foreign(client.base().to_owned());
    let fields = opened.as_object_mut().ok_or_else(foreign)?;
    // Kept, and not printed: what is printed ends up in logs and on screens.
    let token = fields.remove("token").ok_or_else(foreign)?;
    let token = token.as_str().ok_or_else(foreign)?;
    let path = saved::keep(client.base(), token)?;
    fields.insert("kept_in".to_owned(), json!(path.display().to_string()));
    match output {
        Output::Json => output::json(&opened),
        Output::Csv => output::csv(std::slice::from_ref(&opened), COLUMNS),
        Output::Table => output::fields(&opened, COLUMNS),
    }
}

fn ask_name() -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(usage("give --name: there is nobody to ask"));
    }
    write!(std::io::stderr(), "Name: ")?;
    std::io::stderr().flush()?;
    first_line()
}

fn password(login: &Login) -> Result<String> {
    let password = if login.password_stdin {
        first_line()?
    } else if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Password: ")?
    } else {
        return Err(usage("there is nobody to ask for the password: use --password-stdin"));
    };
    if password.is_empty() {
        return Err(usage("the password is empty"));
    }
    Ok(password)
}

/// The person's own, instead of the one that was given for one log-in.
fn new_password(login: &Login, why: &str) -> Result<String> {
    if login.password_stdin {
        let new = first_line()?;
        if new.is_empty() {
            let text = format!("{why}; --password-stdin reads your own from a second line");
            return Err(ClientError::ChangePassword(text).into());
        }
        return Ok(new);
    }
    output::note("This password was given to you for one log-in: choose your own.");
    let new = rpassword::prompt_password("New password: ")?;
    if rpassword::prompt_password("Again: ")? != new {
        return Err(usage("the new password was typed in two ways: nothing was changed"));
    }
    Ok(new)
}

/// Never more of standard input than a password can be.
fn first_line() -> Result<String> {
    let mut line = String::new();
    let most = limits::PASSWORD_BYTES as u64 + 2;
    std::io::stdin().lock().take(most).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn usage(text: &str) -> anyhow::Error {
    ClientError::Usage(text.to_owned()).into()
}

/// This machine's name, for the list of tokens; as the environment or the system says.
fn machine() -> String {
    let said = std::env::var("HOSTNAME")
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let name = output::clean(said.trim());
    let name = fleetmend_core::words::cut(&name, 40);
    if name.is_empty() { "a machine without a name".to_owned() } else { name.to_owned() }
}
