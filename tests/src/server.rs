//! A real server, its own process, on free ports, with a data directory of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::api::Api;
use crate::programs::{Running, command, must, ours};

/// A server that runs for one test.
#[derive(Debug)]
pub struct Server {
    program: Running,
    folder: tempfile::TempDir,
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
    /// Starts one.
    ///
    /// # Panics
    /// Where it does not serve within 30 s.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let token = must(admin(&data).args(["admin", "create", "--name", "test"]));
        let token = last_line(&token);
        let (program, [agents, people, metrics]) = serve(&data, "127.0.0.1:0", "127.0.0.1:0");
        Self {
            program,
            agents,
            people: format!("http://{people}"),
            metrics: format!("http://{metrics}"),
            token,
            folder,
        }
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
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
        last_line(&must(admin(&self.data()).args(["enrollment-token", "create"]).args(args)))
    }

    /// Ends it at once and starts it again on the same ports and data.
    pub fn kill_and_restart(&mut self) {
        self.program.kill();
        let people = self.people.trim_start_matches("http://").to_owned();
        let (program, _) = serve(&self.data(), &self.agents, &people);
        self.program = program;
    }

    /// All it printed.
    pub fn printed(&self) -> String {
        self.program.printed()
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

fn admin(data: &Path) -> std::process::Command {
    let mut admin = command(ours("fleetmend-server"));
    admin.arg("--data-dir").arg(data).arg("--log").arg("warn");
    admin
}

fn serve(data: &Path, agents: &str, people: &str) -> (Running, [String; 3]) {
    let log = data.with_extension("log");
    let program = Running::start(
        command(ours("fleetmend-server"))
            .arg("--data-dir")
            .arg(data)
            .args(["--agent-listen", agents, "--http-listen", people])
            .args(["--metrics-listen", "127.0.0.1:0", "--log-format", "json", "serve"]),
        &log,
    );
    let addresses = crate::wait_for("the server to serve", Duration::from_secs(30), || {
        let said = program.printed();
        said.lines().find_map(addresses).ok_or(said)
    });
    (program, addresses)
}

/// The addresses in the log line that says that the server serves.
fn addresses(line: &str) -> Option<[String; 3]> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    (fields["message"] == "serving").then_some(())?;
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    Some([text("agents")?, text("people")?, text("metrics")?])
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
