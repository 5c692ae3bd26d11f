//! One simulated host with the parts of a real agent on it: collectors, prober, evidence, spool,
//! journal and executor, by the host's own clock. What a server would do for it is done by the trial.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use fleetmend_agent::collect::live::Live;
use fleetmend_agent::evidence_store::EvidenceStore;
use fleetmend_agent::execute::{Executor, Fittings, NaturalRun, Offered};
use fleetmend_agent::looks::Looks;
use fleetmend_agent::order::OrderKey;
use fleetmend_agent::platform::Platform as _;
use fleetmend_agent::probe::About;
use fleetmend_agent::prober::{HostProber, Prober};
use fleetmend_agent::spool::{Bounds, SharedSpool, Spool};
use fleetmend_agent::state::StateDir;
use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::HostId;
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::order::Envelope;
use fleetmend_core::report::FailureReport;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock, ManualClock, Timestamp};
use fleetmend_core::triage::probes_for;
use tokio_util::sync::CancellationToken;

use crate::host::SimHost;
use crate::model::Ailment;

/// Real time between two looks at what the agent has told.
const GLANCE: Duration = Duration::from_millis(1);
/// Looks after which a step has taken too long: its own time is real, and too long for a trial.
const GLANCES: u32 = 1_000;
/// What the host's clock goes on while a job waits for a run of the host's own.
const WAIT: Duration = Duration::from_mins(50);
/// Waits after which no proof comes any more.
const WAITS: u32 = 60;
/// A restart, where the host has no trouble with it.
const RESTART: Duration = Duration::from_mins(4);
/// Items of one look into the spool.
const ITEMS: usize = 64;

/// A host, its clock and its place on disk.
#[derive(Debug)]
pub struct Machine {
    /// The host.
    pub host: Arc<SimHost>,
    /// Its clock, which runs ahead while it works.
    pub clock: Arc<ManualClock>,
    /// Its id.
    pub id: HostId,
    pub(super) home: PathBuf,
    pub(super) counter: u64,
    /// When it restarted, and until when nothing was heard of it.
    pub(super) away: Vec<(Timestamp, Timestamp)>,
}

/// The agent's parts, from one start of the host to the next.
struct Parts {
    executor: Arc<Executor>,
    prober: Arc<dyn Prober>,
    evidence: Arc<Mutex<EvidenceStore>>,
    spool: SharedSpool,
    live: Live,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) state: JobState,
    pub(super) detail: String,
    /// When its steps were begun, if they were.
    pub(super) begun: Option<Timestamp>,
    /// How the fix was proved.
    pub(super) proof: Option<ProofLevel>,
}

impl Machine {
    fn parts(&self, catalogue: &'static Catalogue) -> anyhow::Result<Parts> {
        let state = StateDir::open(&self.home.join("state"))?;
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let collect = state.dir("collect")?;
        let settled = Live::settled(&collect);
        let spool =
            Spool::open_with(&state.dir("spool")?, Bounds::default(), settled, clock.now())?;
        let spool = SharedSpool::new(spool);
        let prober: Arc<dyn Prober> = Arc::new(HostProber {
            platform: Arc::clone(&self.host) as _,
            catalogue,
            clock: Arc::clone(&clock),
        });
        let evidence = Arc::new(Mutex::new(EvidenceStore::open(&state)));
        let executor = Arc::new(Executor::open(Fittings {
            host: self.id,
            platform: Arc::clone(&self.host) as _,
            prober: Arc::clone(&prober),
            catalogue,
            clock,
            spool: spool.clone(),
            state,
            ceiling_file: self.home.join("ceiling.toml"),
            evidence: Arc::clone(&evidence),
            recheck_every: GLANCE,
            looks: Arc::<Looks>::default(),
        })?);
        let span = Duration::from_hours(24 * 60);
        let live = Live::open(self.host.root(), &collect, catalogue).looking_back(span);
        Ok(Parts { executor, prober, evidence, spool, live })
    }

    /// What the collectors find new, and the spool with it.
    pub(super) async fn look(
        &mut self,
        catalogue: &'static Catalogue,
    ) -> anyhow::Result<Vec<FailureReport>> {
        self.parts(catalogue)?.look(self).await
    }

    /// The answers of the probes that a failure is asked about, as the agent keeps them.
    pub(super) async fn ask(
        &self,
        catalogue: &'static Catalogue,
        failure: &FailureReport,
    ) -> anyhow::Result<Vec<Evidence>> {
        let parts = self.parts(catalogue)?;
        let mut evidence = Vec::new();
        for probe in probes_for(catalogue, &failure.incident_key(), self.host.persona().os) {
            evidence.push(parts.prober.ask(&probe.id, About::Failure(failure)).await);
        }
        let mut store = parts.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        store.remember(&evidence)?;
        drop(store);
        Ok(evidence)
    }

    /// Gives the agent an order and lets the host live until it has told its end; over restarts.
    pub(super) async fn work(
        &mut self,
        catalogue: &'static Catalogue,
        key: &OrderKey,
        envelope: &Envelope,
    ) -> anyhow::Result<Ended> {
        let mut ended =
            Ended { state: JobState::Queued, detail: String::new(), begun: None, proof: None };
        let mut offered = false;
        loop {
            let mut parts = self.parts(catalogue)?;
            if !offered {
                let said = parts.executor.offer(key, envelope);
                anyhow::ensure!(said != Offered::Forged, "the order was not believed");
                offered = true;
            }
            let (executor, stop) = (Arc::clone(&parts.executor), CancellationToken::new());
            let host = Arc::clone(&self.host);
            let over = tokio::select! {
                () = executor.run(&stop) => false,
                done = parts.until_told(self, &mut ended) => { done?; true }
                () = host.restarted() => false,
            };
            // What was told just before a restart stands in the spool.
            parts.told(self.clock.now(), &mut ended)?;
            if over || ended.state.is_final() {
                return Ok(ended);
            }
            let from = self.clock.now();
            self.clock.advance(match host.ailment() {
                (Ailment::SlowReboot, lasts) => RESTART + lasts,
                _ => RESTART,
            });
            self.away.push((from, self.clock.now()));
        }
    }
}

impl Parts {
    /// One look of the collectors, as an agent makes it.
    async fn look(&mut self, machine: &Machine) -> anyhow::Result<Vec<FailureReport>> {
        self.live.mended(&self.executor.mended());
        let now = machine.clock.now();
        let observed = self.live.poll(machine.host.as_ref(), now).await;
        // Simulated hosts live in UTC.
        let failed = observed.failures.iter().map(|failure| NaturalRun {
            key: failure.incident_key(),
            at: failure.time.to_timestamp(0),
            worked: false,
            by_state: false,
            words: failure.message.clone(),
        });
        let worked = observed.recoveries.iter().map(|recovery| NaturalRun {
            key: recovery.key.clone(),
            at: recovery.at,
            worked: true,
            by_state: observed.cleared.contains(&recovery.key),
            words: recovery.message.clone(),
        });
        self.executor.saw(failed.chain(worked).collect::<Vec<_>>());
        let items: Vec<_> = observed.recoveries.iter().cloned().map(SpoolItem::Recovery).collect();
        let mark = self.live.prepare()?;
        anyhow::ensure!(
            self.spool.put_group(&items, Some(mark), now),
            "the spool does not take what was found"
        );
        self.live.commit()?;
        Ok(observed.failures)
    }

    /// Takes over what the agent has told.
    fn told(&self, now: Timestamp, ended: &mut Ended) -> anyhow::Result<()> {
        loop {
            let lease = self.spool.lock().lease(ITEMS, now);
            let Some(lease) = lease else { return Ok(()) };
            for item in &lease.items {
                let SpoolItem::Job(update) = item else { continue };
                (ended.state, ended.proof) = (update.state, update.proof);
                if update.state == JobState::Running && ended.begun.is_none() {
                    ended.begun = Some(update.at);
                }
                if !update.detail.is_empty() {
                    ended.detail.clone_from(&update.detail);
                }
            }
            self.spool.commit(lease.last());
        }
    }

    /// Lets the host live while the agent works, until the job is over.
    async fn until_told(&mut self, machine: &Machine, ended: &mut Ended) -> anyhow::Result<()> {
        let mut waits = 0;
        for _ in 0..GLANCES {
            self.told(machine.clock.now(), ended)?;
            match ended.state {
                state if state.is_final() => return Ok(()),
                // The host's own runs come while the agent waits for them.
                JobState::Verifying | JobState::WaitingWindow | JobState::Blocked => {
                    waits += 1;
                    if waits > WAITS {
                        // The server does not wait longer either.
                        ended.state = JobState::Unverified;
                        return Ok(());
                    }
                    machine.clock.advance(WAIT);
                    machine.host.live(machine.clock.now()).context("the host's life")?;
                    self.look(machine).await?;
                }
                _ => {}
            }
            tokio::time::sleep(GLANCE).await;
        }
        // A server's deadline ends what began and gives no result.
        let detail = std::mem::take(&mut ended.detail);
        ended.detail = format!("no result by its deadline: {} {detail}", ended.state);
        ended.state = JobState::TimedOut;
        Ok(())
    }
}
