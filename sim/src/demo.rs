//! The demo: a server and agents in this process, on this machine, with nothing to set up and
//! nothing left behind.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use fleetmend_agent::platform::{Linux, Platform};
use fleetmend_agent::state::StateDir;
use fleetmend_agent::{AgentConfig, App as AgentApp, enroll};
use fleetmend_core::host::Labels;
use fleetmend_core::ids::ApiTokenId;
use fleetmend_core::limits;
use fleetmend_core::time::{Clock, SystemClock};
use fleetmend_core::token::Role;
use fleetmend_proto::trust::TokenText;
use fleetmend_server::enroll::token::{self, TokenWish};
use fleetmend_server::{App as ServerApp, Config, RunningServer, entropy, http};
use fleetmend_store::NewApiToken;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::host::{Fault, SimHost};

/// How soon the demo's agents look again, so that a person sees things move.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the parts get to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What a demo is made of.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Simulated hosts.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(0..=500))]
    hosts: u16,
    /// Where people connect.
    #[arg(long, default_value = "127.0.0.1:7080", value_name = "ADDR:PORT")]
    http_listen: SocketAddr,
    /// Where agents connect.
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDR:PORT")]
    agent_listen: SocketAddr,
    /// Where Prometheus reads.
    #[arg(long, default_value = "127.0.0.1:7090", value_name = "ADDR:PORT")]
    metrics_listen: SocketAddr,
}

impl Demo {
    /// Runs until SIGINT or SIGTERM.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let folder = Folder::create()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = Config {
            data_dir: folder.0.join("server"),
            http_listen: self.http_listen,
            agent_listen: self.agent_listen,
            metrics_listen: self.metrics_listen,
            ..Config::default()
        };
        let server = ServerApp::start(config, Arc::clone(&clock)).await?;
        let login = login(&server).await?;
        let agents = Agents { tasks: TaskTracker::new(), stop: CancellationToken::new() };
        let token = enrollment(&server, u32::from(self.hosts) + 1).await?;

        let mut names = Vec::new();
        match Linux::new().facts() {
            Ok(facts) => {
                let platform: Arc<dyn Platform> = Arc::new(Linux::new());
                let home = folder.0.join("this-machine");
                agents.start(&server, &token, &home, platform, None).await?;
                names.push(facts.name);
            }
            Err(error) => say(&format!("This machine's own agent is left out: {error}"))?,
        }
        for number in 1..=self.hosts {
            let fault = Fault::ALL[usize::from(number - 1) % Fault::ALL.len()];
            let name = format!("sim-{number:03}.example.com");
            let home = folder.0.join(&name);
            let host = SimHost::create(home.join("root"), &name, fault, clock.now())
                .with_context(|| format!("the simulated host {name}"))?;
            agents.start(&server, &token, &home, Arc::new(host), Some("disruptive")).await?;
        }
        accept_all(&server, &*clock).await?;
        say(&format!(
            "\nFleetmend's demo runs.\n\n  Dashboard   http://{}\n  Log in with {login}\n\n  Hosts       {} (this machine; it only observes) and {} simulated ones\n  CLI         FLEETMEND_URL=http://{} FLEETMEND_TOKEN={login} cargo run --release -p fleetmend -- status\n\nEverything lies in {} and is removed at the end. Ctrl-C ends it.\n",
            server.http_addr,
            names.first().map_or("no real agent", String::as_str),
            self.hosts,
            server.http_addr,
            folder.0.display(),
        ))?;

        fleetmend_server::lifecycle::signal().await?;
        agents.stop.cancel();
        agents.tasks.close();
        let _ = tokio::time::timeout(GRACE, agents.tasks.wait()).await;
        server.shutdown(GRACE).await;
        Ok(())
    }
}

/// The demo's temporary directory: private, and removed with it.
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let random = hex::encode(entropy::bytes::<8>());
        let path = std::env::temp_dir().join(format!("fleetmend-demo-{random}"));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The agents that run here.
struct Agents {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Agents {
    /// Enrols an agent and runs it. Without a ceiling it only observes.
    async fn start(
        &self,
        server: &RunningServer,
        token: &TokenText,
        home: &Path,
        platform: Arc<dyn Platform>,
        ceiling: Option<&str>,
    ) -> anyhow::Result<()> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        std::fs::create_dir_all(home)?;
        let ceiling_file = home.join("ceiling.toml");
        if let Some(risk) = ceiling {
            std::fs::write(&ceiling_file, format!("risk = \"{risk}\"\n"))?;
        }
        let state = StateDir::open(&home.join("state"))?;
        let request = enroll::Request {
            server: server.agent_addr.to_string().parse()?,
            token: token.clone(),
            proxy: Some("none".to_owned()),
            name: None,
        };
        enroll::enroll(&state, request, &*platform, Arc::clone(&clock)).await?;
        let mut config = AgentConfig::new(home.join("state"), ceiling_file);
        config.collect_every = Some(LOOK_EVERY);
        config.recheck_every = LOOK_EVERY;
        config.proxy = Some("none".to_owned());
        let app = AgentApp::new(config, platform, clock);
        let stop = self.stop.clone();
        let name = home.display().to_string();
        self.tasks.spawn(async move {
            if let Err(error) = app.run(stop).await {
                tracing::error!(agent = name, %error, "agent ended");
            }
        });
        Ok(())
    }
}

/// An administrator's token for the person who looks.
async fn login(server: &RunningServer) -> anyhow::Result<String> {
    let shared = &server.shared;
    let (text, secret_hash) = http::auth::new_token();
    let new = NewApiToken {
        id: entropy::id(ApiTokenId::at, &*shared.clock),
        name: "demo".to_owned(),
        role: Role::Admin,
        secret_hash,
        expires: None,
    };
    shared.db.create_api_token(&new, "demo", shared.clock.now()).await?;
    Ok(text)
}

async fn enrollment(server: &RunningServer, uses: u32) -> anyhow::Result<TokenText> {
    let shared = &server.shared;
    let wish = TokenWish {
        name: "demo".to_owned(),
        uses: uses.max(2),
        life: limits::CLOCK_SKEW,
        labels: Labels::from([("fleet".to_owned(), "demo".to_owned())]),
        networks: Vec::new(),
    };
    let root = shared.authority.root_sha256();
    let (token, text) = token::enrollment(wish, root, &*shared.clock)?;
    shared.db.create_enrollment_token(&token, "demo", shared.clock.now()).await?;
    Ok(text)
}

/// A demo's hosts need nobody to accept them.
async fn accept_all(server: &RunningServer, clock: &dyn Clock) -> anyhow::Result<()> {
    use fleetmend_core::host::Lifecycle;
    use fleetmend_store::{HostFilter, PageRequest};
    let db = &server.shared.db;
    let all = PageRequest { limit: limits::PAGE_MAX, ..PageRequest::default() };
    for host in db.hosts(&HostFilter::default(), &all).await?.items {
        if host.lifecycle == Lifecycle::Pending {
            let by = "demo";
            db.set_lifecycle(host.id, Lifecycle::Active, "part of the demo", by, clock.now())
                .await?;
        }
    }
    Ok(())
}

/// What a person wants to see, to standard output.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
