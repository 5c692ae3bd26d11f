//! Many simulated hosts, each with a real agent, in one process: one task drives their lives, each
//! agent is one task beside it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fleetmend_agent::enroll::{self, EnrollError};
use fleetmend_agent::link::backoff::Law;
use fleetmend_agent::platform::Platform;
use fleetmend_agent::spool;
use fleetmend_agent::state::StateDir;
use fleetmend_agent::{AgentConfig, App};
use fleetmend_core::host::OsFamily;
use fleetmend_core::time::{Clock, SystemClock, Timestamp};
use fleetmend_proto::trust::TokenText;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chance;
use crate::counts::Counts;
use crate::host::{Pace, SimHost, fault};
use crate::model::{Model, models};
use crate::names::Persona;

/// Enrolments under way at once.
const ENROLLING: usize = 16;
/// How long a server that does not answer is asked again.
const PATIENCE: Duration = Duration::from_mins(2);

/// What kind of fleet it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many hosts.
    pub hosts: u32,
    /// What all chance comes from.
    pub seed: u64,
    /// Where they live; each in a folder of its own.
    pub folder: PathBuf,
    /// How fast they live.
    pub pace: Pace,
    /// Share of Windows.
    pub windows: f64,
    /// Share of hosts with nothing wrong.
    pub healthy: f64,
    /// Share of the others with two faults.
    pub two: f64,
    /// Whether only faults that can be logged as often as wanted are drawn.
    pub repeating: bool,
    /// How often agents look at their logs.
    pub collect_every: Duration,
}

/// How agents reach their server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub address: String,
    /// A token that is good for all of them.
    pub token: TokenText,
}

/// The hosts, and their agents once they run.
#[derive(Debug)]
pub struct Fleet {
    plan: Plan,
    /// The hosts, by number.
    pub hosts: Vec<Arc<SimHost>>,
    /// The outside ledger.
    pub counts: Arc<Counts>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a host is and what is wrong with it: by the seed alone.
pub fn draw(plan: &Plan, number: u32) -> (Persona, Vec<&'static Model>) {
    let mut rng = chance::of(plan.seed, &["host", &number.to_string()]);
    let os = if rng.f64() < plan.windows { OsFamily::Windows } else { OsFamily::Linux };
    let persona = Persona::draw(plan.seed, number, os);
    let count = if rng.f64() < plan.healthy { 0 } else { 1 + usize::from(rng.f64() < plan.two) };
    let mut drawn: Vec<&'static Model> = Vec::new();
    for _ in 0..count {
        let fits = |m: &Model| {
            let free = drawn.iter().all(|d| d.id != m.id && d.work != m.work);
            free && (!plan.repeating || m.repeats())
        };
        drawn.extend(fault::another(models(), &persona, &[], &mut rng, &fits));
    }
    (persona, drawn)
}

impl Fleet {
    /// Lays all hosts out, with their past.
    pub fn create(plan: Plan, now: Timestamp) -> anyhow::Result<Self> {
        let drawn = (1..=plan.hosts).map(|number| draw(&plan, number)).collect();
        Self::of(plan, drawn, now)
    }

    /// Lays out hosts that somebody chose.
    pub fn of(
        plan: Plan,
        chosen: Vec<(Persona, Vec<&'static Model>)>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        crate::usage::many_files();
        let mut hosts = Vec::new();
        for (persona, faults) in chosen {
            let root = plan.folder.join(&persona.name).join("root");
            let name = persona.name.clone();
            let host = SimHost::create(root, persona, &faults, plan.seed, plan.pace, now);
            hosts.push(Arc::new(host.with_context(|| format!("the simulated host {name}"))?));
        }
        Ok(Self {
            plan,
            hosts,
            counts: Arc::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Enrols every host that is not yet, a few at once.
    pub async fn enroll(&self, server: &Server) -> anyhow::Result<()> {
        let each = stream::iter(&self.hosts).map(|host| async move {
            let home = self.home(host);
            let platform: Arc<dyn Platform> = Arc::clone(host) as _;
            enroll_at(&home, server, &platform)
                .await
                .with_context(|| format!("{} cannot be enrolled", host.persona().name))
        });
        each.buffer_unordered(ENROLLING).try_collect::<()>().await
    }

    /// Runs an agent for every host, allowed to do all that is not refused, and lets their lives go
    /// on.
    pub fn run(&self) -> anyhow::Result<()> {
        for host in &self.hosts {
            let home = self.home(host);
            let ceiling = home.join("ceiling.toml");
            std::fs::write(&ceiling, "risk = \"disruptive\"\nreboot = true\n")?;
            let mut config = AgentConfig::new(home.join("state"), ceiling);
            config.collect_every = Some(self.plan.collect_every);
            config.recheck_every = self.plan.collect_every.min(Duration::from_secs(5));
            config.first_look = self.plan.pace.past + Duration::from_hours(24);
            config.proxy = Some("none".to_owned());
            config.grace = Duration::from_secs(2);
            config.backoff = Law { base: Duration::from_secs(1), cap: Duration::from_secs(15) };
            config.watch = Some(self.counts.host());
            let (host, stop) = (Arc::clone(host), self.stop.clone());
            self.tasks.spawn(agent(host, config, stop));
        }
        self.tasks.spawn(drive(self.hosts.clone(), self.stop.clone()));
        Ok(())
    }

    /// A task of the fleet's own, which ends with it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Cancelled when the fleet stops.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops all agents, and waits; whether all ended in time.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(grace, self.tasks.wait()).await.is_ok()
    }

    /// Items that lie in the spools on disk, over all hosts: what nobody has acknowledged.
    pub fn in_spools(&self, now: Timestamp) -> io::Result<u64> {
        let spools = self.hosts.iter().map(|host| self.home(host).join("state/spool"));
        spools.map(|folder| Ok(spool::peek(&folder, now)?.items)).sum()
    }

    fn home(&self, host: &SimHost) -> PathBuf {
        self.plan.folder.join(&host.persona().name)
    }
}

/// Enrols one agent; one that is enrolled already stays so. A server that is away is waited for.
pub async fn enroll_at(
    home: &Path,
    server: &Server,
    platform: &Arc<dyn Platform>,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(home)?;
    let state = StateDir::open(&home.join("state"))?;
    let begun = tokio::time::Instant::now();
    loop {
        let request = enroll::Request {
            server: server.address.parse()?,
            token: server.token.clone(),
            proxy: Some("none".to_owned()),
            name: None,
        };
        match enroll::enroll(&state, request, &**platform, Arc::new(SystemClock)).await {
            Ok(_) | Err(EnrollError::Enrolled { .. }) => return Ok(()),
            Err(EnrollError::Link(trouble)) if begun.elapsed() < PATIENCE => {
                tracing::info!(%trouble, "the server is asked again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// One agent, over its host's restarts.
async fn agent(host: Arc<SimHost>, config: AgentConfig, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let platform: Arc<dyn Platform> = Arc::clone(&host) as _;
        let app = App::new(config.clone(), platform, Arc::new(SystemClock));
        tokio::select! {
            ended = app.run(stop.clone()) => {
                if let Err(error) = ended {
                    tracing::error!(host = host.persona().name, %error, "agent ended");
                }
                return;
            }
            // The agent goes down with its host, whatever it does just then.
            () = host.restarted() => tracing::info!(host = host.persona().name, "host restarts"),
        }
    }
}

/// Lets all hosts live, each when something of its own is due.
async fn drive(hosts: Vec<Arc<SimHost>>, stop: CancellationToken) {
    let clock = SystemClock;
    let now = clock.now();
    let mut due: BinaryHeap<_> = (0..hosts.len()).map(|at| Reverse((now, at))).collect();
    while let Some(Reverse((at, number))) = due.pop() {
        let wait = at.since(clock.now());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
        let now = clock.now();
        let next = hosts[number].live(now).unwrap_or_else(|error| {
            tracing::warn!(host = hosts[number].persona().name, %error, "its logs cannot be written");
            now.after(Duration::from_mins(1))
        });
        due.push(Reverse((next.max(now.after(Duration::from_millis(50))), number)));
    }
}
