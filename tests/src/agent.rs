//! The real agent, in a root that a test broke.

use std::path::PathBuf;

use serde_json::Value;

use crate::api::Api;
use crate::programs::{Running, must, ours, run};
use crate::root::{Machine, Root};
use crate::server::Server;

const PROGRAM: &str = "/usr/local/bin/fleetmend-agent";

/// An agent that runs inside a root.
#[derive(Debug)]
pub struct Agent {
    program: Running,
}

impl Agent {
    /// Lays the agent into the root; it looks at its host, and at what it waits for, every second.
    ///
    /// # Panics
    /// Where the root cannot be written.
    pub fn lay(root: &Root) {
        // The static one where the script built it: it must run in a root that is not its own.
        let program = std::env::var_os("FLEETMEND_TEST_AGENT").map(PathBuf::from);
        let program = program.unwrap_or_else(|| ours("fleetmend-agent"));
        std::fs::copy(program, root.at(PROGRAM)).expect("the agent fits");
        std::fs::create_dir_all(root.at("/etc/fleetmend-agent")).expect("a folder");
        let settings = "collect_every_s = 1\nrecheck_every_s = 1\n";
        std::fs::write(root.at("/etc/fleetmend-agent/agent.toml"), settings).expect("written");
    }

    /// Sets the ceiling that the host's own admin allows.
    ///
    /// # Panics
    /// Where the root cannot be written.
    pub fn allow(root: &Root, risk: &str) {
        let text = format!("risk = \"{risk}\"\n");
        std::fs::write(root.at("/etc/fleetmend-agent/ceiling.toml"), text).expect("written");
    }

    /// Enrols the root's host with a token.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn enroll(root: &Root, server: &Server, token: &str) {
        enroll(root.command(PROGRAM), server, token, &[]);
    }

    /// The same under a name, which is a label too: roots of one machine have its name.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn enroll_as(root: &Root, server: &Server, name: &str) {
        let token = server.enrollment_token(&["--label", &format!("name={name}")]);
        enroll(root.command(PROGRAM), server, &token, &["--name", name]);
    }

    /// The same by way of a proxy.
    ///
    /// # Panics
    /// Where the server, or the proxy, refuses it.
    pub fn enroll_by(root: &Root, server: &Server, token: &str, proxy: &str) {
        enroll(root.command(PROGRAM), server, token, &["--proxy", proxy]);
    }

    /// The same on a booted machine.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn enroll_in(machine: &Machine, server: &Server, token: &str) {
        enroll(machine.command(PROGRAM), server, token, &[]);
    }

    /// Starts it.
    pub fn run(root: &Root) -> Self {
        let mut run = root.command(PROGRAM);
        Self { program: Running::start(run.arg("run"), &root.at("agent.log")) }
    }

    /// Starts it on a booted machine.
    pub fn run_in(machine: &Machine) -> Self {
        let mut run = machine.command(PROGRAM);
        Self { program: Running::start(run.arg("run"), &machine.root().at("agent.log")) }
    }

    /// What one of its other commands gives.
    pub fn ask(root: &Root, args: &[&str]) -> std::process::Output {
        run(root.command(PROGRAM).args(args))
    }

    /// A command beside it: it sees the same processes, and they see it.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn beside(&mut self, program: &str) -> std::process::Command {
        let children = self.program.children();
        let first = children.split_whitespace().next();
        crate::root::inside(first.expect("a running agent"), program)
    }

    /// All it printed.
    pub fn printed(&self) -> String {
        self.program.printed()
    }

    /// Ends it at once, with all that it started in its root, and waits until they are gone.
    pub fn kill(&mut self) {
        self.program.kill_with_children();
    }
}

fn enroll(mut agent: std::process::Command, server: &Server, token: &str, more: &[&str]) {
    must(agent.args(["enroll", "--server", &server.agents, "--token", token]).args(more));
}

/// Waits for the one host of a fleet, in a state.
pub fn wait_host(api: &Api, state: &str) -> Value {
    crate::wait_for(&format!("a host that is {state}"), crate::PATIENCE, || {
        let hosts = api.items("/api/v1/hosts");
        let found = hosts.iter().find(|h| h["state"] == state && h["connected"] == true);
        found.cloned().ok_or_else(|| format!("{hosts:?}"))
    })
}

/// Waits for an open incident of a code that has a verdict.
pub fn wait_incident(api: &Api, code: &str) -> Value {
    crate::wait_for(&format!("an incident {code}"), crate::PATIENCE, || {
        let path = format!("/api/v1/incidents?code={code}");
        let incidents = api.items(&path);
        let found = incidents.iter().find(|i| i["cause"]["id"].is_string());
        found.cloned().ok_or_else(|| format!("{incidents:?}"))
    })
}

/// The states in which a job is over.
pub const ENDS: [&str; 10] = [
    "fixed",
    "unverified",
    "failed",
    "rolled_back",
    "timed_out",
    "not_reached",
    "unknown",
    "not_applicable",
    "skipped",
    "cancelled",
];

/// Waits for a job's end, and gives the job.
pub fn wait_job(api: &Api, id: &str) -> Value {
    crate::wait_for("the job's end", crate::PATIENCE, || {
        let (status, job) = api.get(&format!("/api/v1/jobs/{id}"));
        let ended = status == 200 && ENDS.iter().any(|end| job["state"] == *end);
        if ended { Ok(job) } else { Err(job.to_string()) }
    })
}

/// A job's whole output.
pub fn job_log(api: &Api, id: &str) -> String {
    let (status, log) = api.get(&format!("/api/v1/jobs/{id}/log"));
    assert_eq!(status, 200, "{log}");
    log.as_str().unwrap_or_default().to_owned()
}
