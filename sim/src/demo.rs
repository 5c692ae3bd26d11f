//! The demo: a server and agents in this process, on this machine, with nothing to set up and
//! nothing left behind.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
#[cfg(target_os = "linux")]
use fleetmend_agent::platform::Linux;
use fleetmend_agent::platform::Platform;
use fleetmend_agent::{AgentConfig, App as AgentApp};
use fleetmend_core::time::{Clock, SystemClock};
use fleetmend_server::Config;

use crate::fleet::{self, Fleet, Plan, Server};
use crate::host::Pace;
use crate::load::Home;
use crate::local::Local;
use crate::showcase;

/// A fleet in whose first dozen of hosts several systems fail in several ways.
const SEED: u64 = 3_393;
/// How soon the demo's agents look again, so that a person sees things move.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the parts get to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How much of a past the simulated hosts' logs hold.
const PAST: Duration = Duration::from_hours(14 * 24);

/// What a demo is made of.
#[derive(Debug, Args)]
pub struct Demo {
    /// Simulated hosts.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub hosts: u32,
    /// What all chance comes from: the same seed makes the same fleet.
    #[arg(long, default_value_t = SEED)]
    pub seed: u64,
    /// A folder for everything, which is kept; a temporary one that is removed, unless given.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Leave out the demo's campaigns: nothing is mended before somebody says so.
    #[arg(long)]
    pub no_campaigns: bool,
    /// Where people connect.
    #[arg(long, default_value = "127.0.0.1:7080", value_name = "ADDR:PORT")]
    pub http_listen: SocketAddr,
    /// Where agents connect.
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDR:PORT")]
    pub agent_listen: SocketAddr,
    /// Where Prometheus reads.
    #[arg(long, default_value = "127.0.0.1:7090", value_name = "ADDR:PORT")]
    pub metrics_listen: SocketAddr,
}

/// A demo that runs.
#[derive(Debug)]
pub struct Running {
    /// The server.
    pub local: Local,
    /// The simulated hosts.
    pub fleet: Fleet,
    real: Option<String>,
    folder: Home,
}

impl Demo {
    /// Runs until SIGINT or SIGTERM.
    pub async fn run(self) -> anyhow::Result<()> {
        let running = self.start().await?;
        running.introduce()?;
        fleetmend_server::lifecycle::signal().await?;
        running.stop().await;
        Ok(())
    }

    /// Starts all of it.
    pub async fn start(&self) -> anyhow::Result<Running> {
        let folder = Home::of(self.dir.as_deref())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = Config {
            data_dir: folder.path.join("server"),
            http_listen: self.http_listen,
            agent_listen: self.agent_listen,
            metrics_listen: self.metrics_listen,
            ..Config::default()
        };
        let local = Local::start(config, self.hosts + 1, Arc::clone(&clock)).await?;
        let plan = Plan {
            hosts: self.hosts,
            seed: self.seed,
            folder: folder.path.join("hosts"),
            pace: Pace {
                every: Duration::from_secs(90),
                step: Duration::from_secs(3),
                fault_every: Some(Duration::from_hours(2)),
                past: PAST,
            },
            windows: 0.65,
            healthy: 0.3,
            two: 0.15,
            repeating: false,
            collect_every: LOOK_EVERY,
        };
        let fleet = Fleet::create(plan, clock.now())?;
        fleet.enroll(&local.reach).await?;
        let home = folder.path.join("this-machine");
        let real = match this_machine(&fleet, &home, &local.reach).await {
            Ok(name) => Some(name),
            Err(error) => {
                say(&format!("This machine's own agent is left out: {error:#}"))?;
                None
            }
        };
        local.welcome(&fleet).await?;
        fleet.run()?;
        if !self.no_campaigns {
            let shared = local.server.shared.clone();
            fleet.spawn(showcase::run(shared, fleet.stop_token()));
        }
        Ok(Running { local, fleet, real, folder })
    }
}

impl Running {
    fn introduce(&self) -> std::io::Result<()> {
        let real = self.real.as_deref().unwrap_or("no real agent");
        let after = if self.folder.is_kept() { "kept" } else { "removed at the end" };
        say(&format!(
            "\nFleetmend's demo runs.\n\n  Dashboard   http://{people}\n  Log in as   {name}, password {password}\n\n  Hosts       {real} (this machine; it only observes) and {count} simulated ones\n  CLI         FLEETMEND_URL=http://{people} FLEETMEND_TOKEN={login} cargo run --release -p fleetmend -- status\n\nEverything lies in {folder} and is {after}. Ctrl-C ends it.\n",
            people = self.local.server.http_addr,
            name = self.local.person.0,
            password = self.local.person.1,
            login = self.local.login,
            count = self.fleet.hosts.len(),
            folder = self.folder.path.display(),
        ))
    }

    /// Stops agents and server.
    pub async fn stop(self) {
        self.fleet.stop(GRACE).await;
        self.local.server.shutdown(GRACE).await;
    }
}

/// This machine's real agent. It has no ceiling of its own making, so it only observes.
#[cfg(target_os = "linux")]
async fn this_machine(fleet: &Fleet, home: &Path, server: &Server) -> anyhow::Result<String> {
    let platform: Arc<dyn Platform> = Arc::new(Linux::new());
    let name = platform.facts()?.name;
    fleet::enroll_at(home, server, &platform).await?;
    let mut config = AgentConfig::new(home.join("state"), home.join("ceiling.toml"));
    config.collect_every = Some(LOOK_EVERY);
    config.proxy = Some("none".to_owned());
    config.grace = Duration::from_secs(5);
    let app = AgentApp::new(config, platform, Arc::new(SystemClock));
    let stop = fleet.stop_token();
    fleet.spawn(async move {
        if let Err(error) = app.run(stop).await {
            tracing::error!(%error, "this machine's agent ended");
        }
    });
    Ok(name)
}

/// No agent runs on this system yet.
#[cfg(not(target_os = "linux"))]
async fn this_machine(_: &Fleet, _: &Path, _: &Server) -> anyhow::Result<String> {
    anyhow::bail!("an agent cannot run on this system yet")
}

/// What a person wants to see, to standard output.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
