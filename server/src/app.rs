//! The server put together: opens what it needs, wires the parts, listens. Tests and the demo start
//! the same server in their own process, on port 0.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fleetmend_core::time::Clock;
use fleetmend_store::{Db, StoreError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use crate::background::{self, Nudges};
use crate::config::Config;
use crate::database::Database;
use crate::enroll::Authority;
use crate::events::Events;
use crate::halt::Halt;
use crate::ingest::Ingest;
use crate::lifecycle::Lifecycle;
use crate::link::{self, AgentLink, Registry, Seen};
use crate::state::{Readiness, Shared};
use crate::users::passwords::Passwords;
use crate::{database, expiry, http, metrics, people, tls};

/// How often the authority looks whether its certificates grow old.
const REFRESH: Duration = Duration::from_mins(10);

/// Connections that wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4_096;

/// Starts servers.
#[derive(Debug)]
pub struct App;

/// A server that runs.
#[derive(Debug)]
pub struct RunningServer {
    /// Where agents connect.
    pub agent_addr: SocketAddr,
    /// Where people connect.
    pub http_addr: SocketAddr,
    /// Where Prometheus reads.
    pub metrics_addr: SocketAddr,
    /// What its parts share.
    pub shared: Shared,
    /// How to stop it.
    pub lifecycle: Lifecycle,
}

impl App {
    /// Starts a server; it serves when this returns.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<RunningServer> {
        config.check()?;
        let metrics_handle = metrics::install()?;
        let people_tls = match (&config.http_cert, &config.http_key) {
            (Some(cert), Some(key)) => Some(tls::people_config(cert, key)?),
            _ => None,
        };
        // Listen first: a port that is taken is the commonest mistake, and changes nothing.
        let (agents, agent_addr) = listen("agent_listen", config.agent_listen)?;
        let (people, http_addr) = listen("http_listen", config.http_listen)?;
        let (prometheus, metrics_addr) = listen("metrics_listen", config.metrics_listen)?;
        let patience = config.database.wait();
        let shared = open_within(config, clock, patience).await?;
        let lifecycle = Lifecycle::new();
        // Before anything is served: a halt survives a restart.
        shared.halt.look(&shared.db, &*shared.clock).await?;

        let ingest = Ingest::start(shared.clone(), &lifecycle);
        let seen = Seen::default();
        seen.clone().keep(shared.clone(), &lifecycle);
        shared.database.watch(shared.db.clone(), shared.events.clone(), &lifecycle);
        shared.halt.watch(&shared, &lifecycle);
        link::sweep(shared.clone(), &lifecycle);
        refresh_authority(&shared, &lifecycle);
        end_streams_at_stop(&shared, &lifecycle);
        background::start(&shared, &lifecycle);

        let agent_tls = tls::agent_config(&shared.authority, &shared.clock)?;
        let connections = tls::accept_agents(agents, agent_tls, &lifecycle);
        let service = AgentLink::new(shared.clone(), ingest, seen, lifecycle.clone());
        link::serve(service, connections, &lifecycle);
        let site = http::router(shared.clone());
        let watched = metrics::router(metrics_handle).merge(http::health(&site));
        people::serve(people, people_tls, metrics::counted(site), &lifecycle);
        people::serve(prometheus, None, watched, &lifecycle);
        shared.readiness.serving();
        tracing::info!(agents = %agent_addr, people = %http_addr, metrics = %metrics_addr,
            version = env!("CARGO_PKG_VERSION"), "serving");
        Ok(RunningServer { agent_addr, http_addr, metrics_addr, shared, lifecycle })
    }
}

impl RunningServer {
    /// Stops softly, and hard where `grace` is not enough; says whether it was. Closes the database.
    pub async fn shutdown(self, grace: Duration) -> bool {
        let soft = self.lifecycle.shutdown(grace).await;
        self.shared.db.close().await;
        soft
    }
}

/// Opens the database, brings it to this version, and opens the authority: what the command line's
/// other commands need too.
pub async fn open(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Shared> {
    open_within(config, clock, Duration::ZERO).await
}

/// The same; a database that is away is waited for no longer than `patience`.
async fn open_within(
    config: Config,
    clock: Arc<dyn Clock>,
    patience: Duration,
) -> anyhow::Result<Shared> {
    create_private_dir(&config.data_dir)
        .with_context(|| format!("data_dir: cannot make {}", config.data_dir.display()))?;
    let db = connect(&config, patience).await?;
    let authority = Authority::open(&config.ca_dir(), clock.clone())?;
    let halt = Halt::new(config.data_dir.clone());
    Ok(Shared {
        db,
        database: Database::default(),
        catalogue: fleetmend_catalog::builtin(),
        clock,
        nudges: Arc::new(Nudges::default()),
        events: Events::default(),
        registry: Arc::new(Registry::default()),
        authority: Arc::new(authority),
        config: Arc::new(config),
        halt,
        readiness: Readiness::default(),
        passwords: Passwords::default(),
    })
}

/// The database, at this version. Two servers that start at once do not hinder each other: the store
/// lets one migrate at a time.
async fn connect(config: &Config, patience: Duration) -> anyhow::Result<Db> {
    let url = config.database_url();
    let until = Instant::now() + patience;
    let mut told = false;
    loop {
        let error = match open_database(&url, config).await {
            Ok(db) => {
                if told {
                    tracing::info!("the database is there");
                }
                return Ok(db);
            }
            Err(error) => error,
        };
        if !error.is_unavailable() || Instant::now() >= until {
            let hint = database::remedy(&error);
            return Err(anyhow::Error::new(error).context(hint));
        }
        if !told {
            told = true;
            tracing::warn!(
                error = database::chain(&error),
                seconds = patience.as_secs(),
                "the database is away: waiting for it before serving"
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Connects to the database and asks whether it takes writes, without bringing it to this version.
pub async fn try_database(config: &Config) -> anyhow::Result<()> {
    let remedy = |error: StoreError| {
        let hint = database::remedy(&error);
        anyhow::Error::new(error).context(hint)
    };
    let url = config.database_url();
    if let Some(path) = url.strip_prefix("sqlite://")
        && !Path::new(path).exists()
    {
        anyhow::bail!("database_url: {path} is not there yet: serve and migrate make it");
    }
    let db = Db::connect_with(&url, &config.database.pool()).await.map_err(remedy)?;
    let answer = db.ping().await.map_err(remedy);
    db.close().await;
    answer
}

async fn open_database(url: &str, config: &Config) -> Result<Db, StoreError> {
    let db = Db::connect_with(url, &config.database.pool()).await?;
    match db.migrate().await {
        Ok(()) => Ok(db.with_rules(config.incident_rules(fleetmend_catalog::builtin()))),
        Err(error) => {
            db.close().await;
            Err(error)
        }
    }
}

fn listen(setting: &'static str, addr: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = bind(addr).with_context(|| format!("{setting}: cannot listen on {addr}"))?;
    let bound = listener.local_addr().with_context(|| format!("{setting}: {addr}"))?;
    Ok((listener, bound))
}

/// Listens with a queue that holds a fleet: after a restart thousands connect in the same second, and
/// what the queue drops comes again only after seconds.
fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn create_private_dir(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn refresh_authority(shared: &Shared, life: &Lifecycle) {
    let (shared, soft) = (shared.clone(), life.soft());
    let people = expiry::of_people(shared.config.http_cert.as_deref());
    life.spawn_part("renewal of the server's own certificates", async move {
        loop {
            expiry::publish(&shared, people.as_ref());
            tokio::select! {
                () = tokio::time::sleep(REFRESH) => {}
                () = soft.cancelled() => return,
            }
            if let Err(error) = shared.authority.refresh() {
                tracing::error!(%error, "the server's own certificates could not be renewed");
            }
        }
    });
}

fn end_streams_at_stop(shared: &Shared, life: &Lifecycle) {
    let (shared, soft) = (shared.clone(), life.soft());
    life.spawn_part("end of the streams", async move {
        soft.cancelled().await;
        shared.readiness.stopping();
        shared.registry.end_all();
    });
}
