//! A real server, its own process, on free ports, with a data directory of its own.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::Api;
use crate::programs::{Running, command, must, ours};

/// Which database a server keeps its truth in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Database {
    /// A file in its data directory.
    #[default]
    Sqlite,
    /// This Postgres (`postgres://…`).
    Postgres(String),
}

/// The settings that tests need.
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/server.toml");

/// A server that runs for one test.
#[derive(Debug)]
pub struct Server {
    program: Running,
    folder: tempfile::TempDir,
    data: PathBuf,
    database: Database,
    /// Where agents connect, `127.0.0.1:PORT`.
    pub agents: String,
    /// Where people connect, `http://127.0.0.1:PORT`.
    pub people: String,
    /// Where Prometheus reads, `http://127.0.0.1:PORT`.
    pub metrics: String,
    /// The first administrator's token.
    pub token: String,
}

impl Server {
    /// Starts one on SQLite.
    ///
    /// # Panics
    /// Where it does not serve within 30 s.
    pub fn start() -> Self {
        Self::start_on(Database::Sqlite)
    }

    /// Starts one on a database, which must be empty.
    ///
    /// # Panics
    /// Where it does not serve within 30 s.
    pub fn start_on(database: Database) -> Self {
        Self::start_in(None, database)
    }

    /// Starts one whose data directory is `data`, or one of its own.
    ///
    /// # Panics
    /// Where it does not serve within 30 s.
    pub fn start_in(data: Option<PathBuf>, database: Database) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = data.unwrap_or_else(|| folder.path().join("data"));
        let token = must(admin(&data, &database).args([
            "admin",
            "create",
            "--name",
            "test",
            "--api-token",
        ]));
        let token = last_line(&token);
        let log = folder.path().join("server.log");
        let (program, [agents, people, metrics]) = (0..5)
            .find_map(|_| {
                let ports = std::array::from_fn(|_| format!("127.0.0.1:{}", crate::free_port()));
                let ports = ports.each_ref().map(String::as_str);
                let mut program = Running::start(&mut serve(&data, &database, ports), &log);
                match addresses(&mut program) {
                    Ok(addresses) => Some((program, addresses)),
                    // Somebody was quicker.
                    Err(said) if said.contains("in use") => None,
                    Err(said) => panic!("{said}"),
                }
            })
            .expect("free ports");
        Self {
            program,
            agents,
            people: format!("http://{people}"),
            metrics: format!("http://{metrics}"),
            token,
            data,
            database,
            folder,
        }
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// REST as its administrator.
    pub fn api(&self) -> Api {
        Api::new(&self.people, &self.token)
    }

    /// An enrolment token, made by the server's own command line.
    pub fn enrollment_token(&self, args: &[&str]) -> String {
        last_line(&must(self.command().args(["enrollment-token", "create"]).args(args)))
    }

    /// One of its other commands, on the same data.
    pub fn command(&self) -> std::process::Command {
        admin(&self.data, &self.database)
    }

    /// Ends it at once and starts it again on the same ports and data.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart(&[]);
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again on the same ports and data, with further variables.
    ///
    /// # Panics
    /// Where it does not serve within 30 s.
    pub fn restart(&mut self, variables: &[(&str, &str)]) {
        self.try_restart(variables).unwrap_or_else(|e| panic!("the server does not serve: {e}"));
    }

    /// Starts it again on the same ports and data directory, with its truth in another database.
    ///
    /// # Panics
    /// Where it does not serve within 30 s.
    pub fn restart_on(&mut self, database: Database) {
        self.database = database;
        self.restart(&[]);
    }

    /// Starts it again where it may end before it serves: with what it said then.
    pub fn try_restart(&mut self, variables: &[(&str, &str)]) -> Result<(), String> {
        self.program.kill();
        let people = self.people.trim_start_matches("http://").to_owned();
        let metrics = self.metrics.trim_start_matches("http://").to_owned();
        let mut serve = serve(&self.data, &self.database, [&self.agents, &people, &metrics]);
        serve.envs(variables.iter().copied());
        self.program = Running::start(&mut serve, &self.folder.path().join("server.log"));
        addresses(&mut self.program).map(|_| ())
    }

    /// All that its present process printed.
    pub fn printed(&self) -> String {
        self.program.printed()
    }

    /// Whether its process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.program.ended().is_some()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Asks it to stop, and waits; whether it ended well.
    pub fn stop(&mut self) -> bool {
        self.program.stop().success()
    }
}

fn admin(data: &Path, database: &Database) -> std::process::Command {
    let mut admin = on(data, database);
    admin.args(["--log", "warn"]);
    admin
}

fn on(data: &Path, database: &Database) -> std::process::Command {
    let mut server = command(ours("fleetmend-server"));
    server.args(["--config", SETTINGS]).arg("--data-dir").arg(data);
    if let Database::Postgres(url) = database {
        server.arg("--database-url").arg(url);
    }
    server
}

fn serve(
    data: &Path,
    database: &Database,
    [agents, people, metrics]: [&str; 3],
) -> std::process::Command {
    let mut serve = on(data, database);
    serve.args(["--agent-listen", agents, "--http-listen", people, "--metrics-listen", metrics]);
    serve.args(["--log-format", "json", "serve"]);
    serve
}

/// Waits until it serves, and gives its addresses; or says why it does not.
fn addresses(program: &mut Running) -> Result<[String; 3], String> {
    crate::wait_for("the server to serve", crate::PATIENCE, || {
        let said = program.printed();
        if let Some(addresses) = said.lines().find_map(read_addresses) {
            return Ok(Ok(addresses));
        }
        if program.ended().is_some() { Ok(Err(program.printed())) } else { Err(said) }
    })
}

/// The addresses in the log line that says that the server serves.
fn read_addresses(line: &str) -> Option<[String; 3]> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    (fields["message"] == "serving").then_some(())?;
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    Some([text("agents")?, text("people")?, text("metrics")?])
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
