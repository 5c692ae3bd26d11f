//! People with names and passwords: what they write and approve goes by the command line.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::api::Api;
use crate::programs::{command, must, ours, text};
use crate::server::Server;

/// Somebody who is logged in.
#[derive(Debug)]
pub struct Person {
    name: String,
    password: String,
    address: String,
    token: String,
}

impl Person {
    /// An administrator, made on the server's own machine.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn admin(server: &Server, name: &str) -> Self {
        let password = format!("what only {name} knows");
        let mut create = server.command();
        create.args(["admin", "create", "--name", name, "--password-stdin"]);
        told(&mut create, &password);
        Self::log_in(server, name, password)
    }

    /// An author: an administrator whom another one gives that role.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn author(server: &Server, name: &str, admin: &Self) -> Self {
        let password = Self::admin(server, name).password;
        must(&mut admin.cli(&["users", "role", name, "author"]));
        Self::log_in(server, name, password)
    }

    /// Logs in for a token, as `fleetmend login` does.
    fn log_in(server: &Server, name: &str, password: String) -> Self {
        let nobody = Api::new(&server.people, "");
        let wish = json!({"name": name, "password": password, "token": {"name": "test"}});
        let (status, opened) = nobody.post("/api/v1/sessions", &wish);
        assert_eq!(status, 201, "{opened}");
        let token = opened["token"].as_str().expect("a token").to_owned();
        Self { name: name.to_owned(), password, address: server.people.clone(), token }
    }

    /// REST in this person's name.
    pub fn api(&self) -> Api {
        Api::new(&self.address, &self.token)
    }

    /// The command line in this person's name.
    pub fn cli(&self, args: &[&str]) -> Command {
        let mut fleetmend = command(ours("fleetmend"));
        fleetmend.args(args).env("FLEETMEND_URL", &self.address);
        fleetmend.env("FLEETMEND_TOKEN", &self.token);
        fleetmend
    }

    /// What a command gives as JSON.
    ///
    /// # Panics
    /// Where it fails.
    pub fn ask(&self, args: &[&str]) -> Value {
        let said = must(self.cli(args).args(["-o", "json"]));
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
    }

    /// Approves a campaign, by name and password.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn approve(&self, campaign: &str, note: &str) -> Value {
        let args = ["campaigns", "approve", campaign, "--user", &self.name, "--note", note];
        let said = told(self.cli(&args).args(["-o", "json"]), &self.password);
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
    }
}

/// Runs a program that must succeed with a line on its standard input, and gives its output.
fn told(command: &mut Command, line: &str) -> String {
    let mut file = tempfile::tempfile().expect("a temporary file");
    std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).expect("written");
    std::io::Seek::rewind(&mut file).expect("rewound");
    let output = command.stdin(Stdio::from(file)).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}
