//! Load for a real server: simulated agents over real mutual TLS hold their streams and report
//! failures at a rate, while an outside ledger counts. Restarts of the server meanwhile are welcome.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use fleetmend_core::time::{Clock as _, SystemClock};
use serde_json::json;

use crate::chance;
use crate::counts::{Counts, Seen};
use crate::fleet::{Fleet, Plan, Server};
use crate::host::Pace;
use crate::usage::Usage;

/// How long the rest may take when nothing new is reported.
const SETTLE: Duration = Duration::from_mins(3);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How finely failures are spread.
const TICK: Duration = Duration::from_millis(100);
/// Between two failures of one host: some logs tell time by the second, and what happens twice in one
/// is one failure to whoever reads them.
const APART: Duration = Duration::from_secs(2);
/// How often a host is drawn anew that failed just now, before the rest waits for the next tick.
const DRAWS: usize = 16;
/// How long agents get to end.
const GRACE: Duration = Duration::from_secs(30);

/// What load is made.
#[derive(Debug, Args)]
pub struct Load {
    /// Where agents connect.
    #[arg(long, value_name = "ADDR:PORT")]
    pub server: String,
    /// A deployment token that is good for all hosts.
    #[arg(long, env = "FLEETMEND_ENROLLMENT_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Simulated hosts.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub hosts: u32,
    /// Failures a second, over all hosts; 0 only holds the streams.
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,
    /// How long, from the moment when all hosts are connected.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// What all chance comes from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the hosts live; a temporary folder that is removed, unless given. A folder in memory
    /// (/dev/shm) leaves the disk to the server.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

impl Load {
    /// Makes the load; fails where something that was put is not acknowledged in the end.
    pub async fn run(self) -> anyhow::Result<()> {
        let summary = self.measure().await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?;
        let lost = summary["unacknowledged"].as_u64().unwrap_or(u64::MAX);
        ensure!(lost == 0, "{lost} items were put into spools and not acknowledged");
        ensure!(summary["in_spools"] == 0, "the spools on disk are not empty");
        Ok(())
    }

    async fn measure(&self) -> anyhow::Result<serde_json::Value> {
        ensure!(self.rate.is_finite() && self.rate >= 0.0, "--rate: write failures a second");
        let token = self.token.parse().context("--token")?;
        let folder = Home::of(self.dir.as_deref())?;
        // Agents look more seldom where there are more of them: reading is not what is measured.
        let collect_every = Duration::from_secs(u64::from((self.hosts / 200).clamp(1, 15)));
        let plan = Plan {
            hosts: self.hosts,
            seed: self.seed,
            folder: folder.path.clone(),
            pace: Pace {
                every: Duration::from_hours(24),
                step: Duration::ZERO,
                fault_every: None,
                past: Duration::ZERO,
            },
            windows: 1.0,
            healthy: 0.0,
            two: 0.0,
            repeating: true,
            collect_every,
        };
        let fleet = Fleet::create(plan, SystemClock.now())?;
        let begun = Instant::now();
        let server = Server { address: self.server.clone(), token };
        note(&format!("enrolling {} hosts at {}", self.hosts, self.server));
        fleet.enroll(&server).await?;
        let enrolled = begun.elapsed();
        note(&format!("enrolled in {:.1} s", enrolled.as_secs_f64()));
        fleet.run()?;
        self.all_connected(&fleet.counts).await?;
        let connected = begun.elapsed();

        let (before, from) = (Usage::now(), Instant::now());
        let stop = fleet.stop_token();
        let teller = tokio::spawn(tell(Arc::clone(&fleet.counts), stop.clone()));
        let made = self.report(&fleet).await?;
        let (after, took) = (Usage::now(), from.elapsed());
        let settled = settle(&fleet.counts, collect_every).await;
        let seen = fleet.counts.seen();
        let ended = fleet.stop(GRACE).await;
        let _ = teller.await;
        let in_spools = fleet.in_spools(SystemClock.now())?;
        let last = fleet.counts.seen();
        let ms = |share| seen.within(None, share).map(|d| d.as_millis());
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() / took.as_secs_f64();
        Ok(json!({
            "hosts": self.hosts,
            "rate_wished": self.rate,
            "seconds": took.as_secs_f64(),
            "enrolled_s": enrolled.as_secs_f64(),
            "connected_s": connected.as_secs_f64(),
            "connected_at_end": seen.connected,
            "reconnects": seen.sessions.saturating_sub(u64::from(self.hosts)),
            "failures_logged": made,
            "put": last.put,
            "acknowledged": last.acknowledged,
            "unacknowledged": last.put.saturating_sub(last.acknowledged),
            "in_spools": in_spools,
            "settled_s": settled.as_secs_f64(),
            "acknowledged_within_ms": { "p50": ms(0.5), "p99": ms(0.99) },
            "own": {
                "rss_mib": after.rss / (1 << 20),
                "rss_kib_per_host": after.rss / 1_024 / u64::from(self.hosts),
                "cpu_share_of_one_core": cpu,
                "agents_ended_in_time": ended,
            },
        }))
    }

    async fn all_connected(&self, counts: &Counts) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let connected = counts.seen().connected;
            if connected >= i64::from(self.hosts) {
                return Ok(());
            }
            let hosts = self.hosts;
            ensure!(begun.elapsed() < SETTLE, "only {connected} of {hosts} hosts could connect");
            tokio::time::sleep(TICK).await;
        }
    }

    /// Lets hosts fail at the wished rate; how many failures were logged.
    async fn report(&self, fleet: &Fleet) -> anyhow::Result<u64> {
        let mut rng = chance::of(self.seed, &["load"]);
        let begun = Instant::now();
        let mut made = 0u64;
        let mut failed: Vec<Option<Instant>> = vec![None; fleet.hosts.len()];
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while begun.elapsed() < Duration::from_secs(self.seconds) {
            ticks.tick().await;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate that was checked, over a day at most"
            )]
            let due = (begun.elapsed().as_secs_f64() * self.rate) as u64;
            while made < due {
                let free = |at: &usize| failed[*at].is_none_or(|last| last.elapsed() > APART);
                let drawn = (0..DRAWS).map(|_| rng.usize(0..failed.len())).find(free);
                let Some(at) = drawn else { break };
                failed[at] = Some(Instant::now());
                made += fleet.hosts[at].fail_now(SystemClock.now())? as u64;
            }
        }
        Ok(made)
    }
}

/// Waits until all is acknowledged, and nothing more comes out of the logs; how long that took.
async fn settle(counts: &Counts, collect_every: Duration) -> Duration {
    let begun = Instant::now();
    let mut quiet_since = Instant::now();
    let mut last = counts.seen().put;
    while begun.elapsed() < SETTLE {
        let seen = counts.seen();
        if seen.put != last || seen.acknowledged < seen.put {
            (last, quiet_since) = (seen.put, Instant::now());
        }
        if quiet_since.elapsed() > collect_every * 2 + Duration::from_secs(1) {
            break;
        }
        tokio::time::sleep(TICK).await;
    }
    begun.elapsed()
}

/// Tells the progress until the end.
async fn tell(counts: Arc<Counts>, stop: tokio_util::sync::CancellationToken) {
    let mut before = counts.seen();
    loop {
        tokio::select! {
            () = tokio::time::sleep(TELL_EVERY) => {}
            () = stop.cancelled() => return,
        }
        let seen = counts.seen();
        note(&line(&seen, &before));
        before = seen;
    }
}

fn line(seen: &Seen, before: &Seen) -> String {
    let ms = |share| match seen.within(Some(before), share) {
        Some(took) => format!("{} ms", took.as_millis()),
        None => "-".to_owned(),
    };
    format!(
        "connected {}  put {} (+{})  acknowledged {} (+{})  p50 {}  p99 {}  sessions {}",
        seen.connected,
        seen.put,
        seen.put - before.put,
        seen.acknowledged,
        seen.acknowledged - before.acknowledged,
        ms(0.5),
        ms(0.99),
        seen.sessions,
    )
}

fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where the hosts live: removed at the end, unless somebody chose the place.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    keep: bool,
}

impl Home {
    pub(crate) fn of(chosen: Option<&std::path::Path>) -> anyhow::Result<Self> {
        if let Some(path) = chosen {
            std::fs::create_dir_all(path)
                .with_context(|| format!("--dir: cannot make {}", path.display()))?;
            return Ok(Self { path: path.canonicalize()?, keep: true });
        }
        let random = hex::encode(fleetmend_server::entropy::bytes::<8>());
        let path = std::env::temp_dir().join(format!("fleetmend-sim-{random}"));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, keep: false })
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.keep
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
