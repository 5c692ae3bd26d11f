//! The whole agent of one host, wired: collectors → probes → spool; host state; link; executor.
//! Everything runs in one task of the caller's runtime, so that a host needs one thread and a
//! simulation can hold thousands.

use std::sync::{Arc, Mutex, PoisonError};

use fleetmend_core::host::{AgentHealth, HostState};
use fleetmend_core::limits;
use fleetmend_core::passwords::without_passwords;
use fleetmend_core::report::{FailureReport, ReportedFailure};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_core::triage::probes_for;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::collect::live::{Live, Observed, Zone};
use crate::config::AgentConfig;
use crate::evidence_store::EvidenceStore;
use crate::execute::ceiling::Ceiling;
use crate::execute::{Executor, Fittings, NaturalRun};
use crate::identity::{Identity, IdentityError};
use crate::last_backup::LastBackup;
use crate::link::{Link, Wishes};
use crate::looks::Looks;
use crate::platform::Platform;
use crate::probe::{About, host_state};
use crate::prober::{HostProber, Prober};
use crate::random;
use crate::spool::{Bounds, SharedSpool, Spool, SpoolError};
use crate::state::{StateDir, StateError};

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The machine does not say what it is.
    #[error("this machine's facts cannot be read: {0}")]
    Facts(#[from] std::io::Error),
    /// There is no identity.
    #[error("this host is not enrolled: run `fleetmend-agent enroll --server … --token …` first")]
    NotEnrolled,
}

/// One agent.
#[derive(Debug)]
pub struct App {
    config: AgentConfig,
    platform: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
}

/// What the loops of a running agent share.
struct Running {
    config: AgentConfig,
    state: StateDir,
    platform: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
    /// Where the collectors keep their place in the logs.
    live_state: std::path::PathBuf,
    spool: SharedSpool,
    prober: Arc<dyn Prober>,
    evidence: Arc<Mutex<EvidenceStore>>,
    executor: Arc<Executor>,
    wishes: Arc<Wishes>,
    looks: Arc<Looks>,
}

impl App {
    /// An agent of this configuration, on this machine, by this clock.
    pub fn new(config: AgentConfig, platform: Arc<dyn Platform>, clock: Arc<dyn Clock>) -> Self {
        Self { config, platform, clock }
    }

    /// Runs until `stop`, then until the step that runs has ended (within the configured grace).
    pub async fn run(&self, stop: CancellationToken) -> Result<(), AppError> {
        let state = StateDir::open(&self.config.state_dir)?;
        let _lock = state.lock()?;
        let identity = Identity::load(&state)?.ok_or(AppError::NotEnrolled)?;
        let now = self.clock.now();
        let live_state = state.dir("collect")?;
        let settled = Live::settled(&live_state);
        let spool = Spool::open_with(&state.dir("spool")?, Bounds::default(), settled, now)?;
        let spool = SharedSpool::new(spool).watched_by(self.config.watch.clone());
        let prober: Arc<dyn Prober> = Arc::new(HostProber {
            platform: Arc::clone(&self.platform),
            catalogue: self.config.catalogue,
            clock: Arc::clone(&self.clock),
        });
        let evidence = Arc::new(Mutex::new(EvidenceStore::open(&state)));
        let looks = Arc::new(Looks::default());
        let executor = Arc::new(Executor::open(Fittings {
            host: identity.host,
            platform: Arc::clone(&self.platform),
            prober: Arc::clone(&prober),
            catalogue: self.config.catalogue,
            clock: Arc::clone(&self.clock),
            spool: spool.clone(),
            state: state.clone(),
            ceiling_file: self.config.ceiling_file.clone(),
            evidence: Arc::clone(&evidence),
            recheck_every: self.config.recheck_every,
            looks: Arc::clone(&looks),
        })?);
        let (told, host_state) = watch::channel(None);
        let wishes = Arc::new(Wishes::default());
        let link = Link {
            state: state.clone(),
            spool: spool.clone(),
            executor: Arc::clone(&executor),
            host_state,
            wishes: Arc::clone(&wishes),
            platform: Arc::clone(&self.platform),
            clock: Arc::clone(&self.clock),
            proxy: self.config.proxy.clone(),
            law: self.config.backoff,
            watch: self.config.watch.clone(),
        };
        let running = Running {
            config: self.config.clone(),
            state,
            platform: Arc::clone(&self.platform),
            clock: Arc::clone(&self.clock),
            live_state,
            spool,
            prober,
            evidence,
            executor: Arc::clone(&executor),
            wishes,
            looks,
        };
        tracing::info!(host.id = %identity.host, version = env!("CARGO_PKG_VERSION"), "agent runs");
        let work = async {
            tokio::join!(
                running.collect(&stop),
                running.watch_state(told, &stop),
                link.run(identity, &stop),
                executor.run(&stop),
            );
        };
        let hard = async {
            stop.cancelled().await;
            tokio::time::sleep(self.config.grace).await;
        };
        tokio::select! {
            () = work => {}
            () = hard => {
                tracing::warn!("a step still runs; its outcome is looked at when the agent starts again");
                executor.end_pauses().await;
            }
        }
        Ok(())
    }
}

impl Running {
    /// Looks for failures again and again.
    async fn collect(&self, stop: &CancellationToken) {
        let root = self.platform.root().to_owned();
        let zone = Zone::of(&root);
        let in_spool = |mark| self.spool.lock().has_mark(mark);
        let mut live = Live::open_after(&root, &self.live_state, self.config.catalogue, in_spool)
            .looking_back(self.config.first_look);
        let mut said: Vec<String> = Vec::new();
        let _looking = self.looks.run();
        while !stop.is_cancelled() {
            let look = self.looks.begin();
            let rest = self.executor.at_rest();
            live.mended(&self.executor.mended());
            let observed = tokio::select! {
                observed = live.poll(self.platform.as_ref(), self.clock.now()) => observed,
                () = stop.cancelled() => return,
            };
            // What a job of our own has half done is neither broken nor mended: the look after it
            // finds all of it again.
            let during_job = rest.is_none() || rest != self.executor.at_rest();
            let observed = if during_job {
                Observed { notes: observed.notes, ..Observed::default() }
            } else {
                observed
            };
            for note in observed.notes.iter().filter(|note| !said.contains(note)) {
                tracing::warn!("{note}");
            }
            said.clone_from(&observed.notes);
            let items = tokio::select! {
                items = self.items(observed, &zone) => items,
                () = stop.cancelled() => return,
            };
            // What the spool did not take is found again.
            if !during_job {
                match tell(&items, &mut live, &self.spool, self.clock.now()) {
                    Ok(()) => self.looks.end(look),
                    Err(error) => {
                        tracing::warn!(%error, "what was found is not kept, and is looked for again");
                    }
                }
            }
            let every = self.config.collect_every.unwrap_or_else(|| self.wishes.collect_every());
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.looks.wanted() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// What was observed, for the spool; failures with the answers of the probes that the catalogue
    /// asks for.
    async fn items(&self, observed: Observed, zone: &Zone) -> Vec<SpoolItem> {
        let now = self.clock.now();
        let failed = observed.failures.iter().map(|failure| NaturalRun {
            key: failure.incident_key(),
            at: failure.time.to_timestamp(zone.offset_at(now)),
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
        let runs: Vec<_> = failed.chain(worked).collect();
        // In the order in which it came to pass: a success between two failures is one between them.
        let mut items: Vec<(Timestamp, SpoolItem)> =
            observed.recoveries.into_iter().map(|r| (r.at, SpoolItem::Recovery(r))).collect();
        for failure in observed.failures {
            let at = failure.time.to_timestamp(zone.offset_at(now));
            items.push((at, self.reported(failure, zone).await));
        }
        items.sort_by_key(|(at, _)| *at);
        self.executor.saw(runs);
        items.into_iter().map(|(_, item)| item).collect()
    }

    async fn reported(&self, mut failure: FailureReport, zone: &Zone) -> SpoolItem {
        failure.message = without_passwords(&failure.message).into_owned();
        let mut evidence = Vec::new();
        if let Ok(facts) = self.platform.facts() {
            let key = failure.incident_key();
            let probes = probes_for(self.config.catalogue, &key, facts.os);
            for probe in probes.into_iter().take(limits::EVIDENCE_PER_REPORT) {
                evidence.push(self.prober.ask(&probe.id, About::Failure(&failure)).await);
            }
        }
        let mut store = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = store.remember(&evidence) {
            tracing::warn!(%error, "evidence not kept");
        }
        drop(store);
        let now = self.clock.now();
        let at = failure.time.to_timestamp(zone.offset_at(now));
        fitted(ReportedFailure { id: random::report_id(now), at, failure, evidence })
    }

    /// Gathers the host's state again and again; the link sends what changed.
    async fn watch_state(&self, told: watch::Sender<Option<HostState>>, stop: &CancellationToken) {
        let mut last_backup = LastBackup::open(&self.state);
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let mut state = tokio::select! {
                state = host_state::host_state(self.platform.as_ref(), now) => state,
                () = stop.cancelled() => return,
            };
            state.last_backup = last_backup.known(state.last_backup, now);
            state.agent = self.health();
            state.at = Some(now);
            told.send_if_modified(|last| {
                let news = last.as_ref().is_none_or(|last| is_news(last, &state, now));
                if news {
                    *last = Some(state);
                }
                news
            });
            let every = self.config.state_every.unwrap_or_else(|| self.wishes.state_every());
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn health(&self) -> AgentHealth {
        let stats = self.spool.lock().stats();
        let ceiling = Ceiling::load(&self.config.ceiling_file);
        AgentHealth {
            spool_items: stats.items,
            spool_bytes: stats.bytes,
            spool_dropped: stats.dropped,
            spool_corrupt: stats.corrupt,
            files_damaged: self.state.files_set_aside(),
            rss_bytes: resident_bytes(),
            ceiling: ceiling.ceiling.risk.to_string(),
        }
    }
}

/// Puts what one look found into the spool, and the place after it on disk: both or neither, whatever
/// happens between. Nothing is waited for here, so that nothing comes between.
pub(crate) fn tell(
    items: &[SpoolItem],
    live: &mut Live,
    spool: &SharedSpool,
    now: Timestamp,
) -> std::io::Result<()> {
    if !items.is_empty() {
        let mark = live.prepare()?;
        // A first look at a host that failed for a week may find very much. Only the last piece
        // carries the place: after a crash between two pieces the first is repeated.
        let mut pieces = items.chunks(limits::LOOK_ITEMS).peekable();
        while let Some(piece) = pieces.next() {
            let mark = pieces.peek().is_none().then_some(mark);
            if !spool.put_group(piece, mark, now) {
                return Err(std::io::Error::other("the spool does not take it"));
            }
        }
    }
    live.commit()
}

/// Whether a state is worth telling: something other than its time and the agent's own sizes
/// changed, or an hour went by.
fn is_news(last: &HostState, state: &HostState, now: Timestamp) -> bool {
    let quiet = |s: &HostState| {
        let mut s = s.clone();
        s.at = None;
        s.agent.rss_bytes = 0;
        s.agent.spool_items = 0;
        s.agent.spool_bytes = 0;
        s
    };
    let old = last.at.is_none_or(|at| now.since(at) >= std::time::Duration::from_hours(1));
    old || quiet(last) != quiet(state)
}

/// A failure that fits a spool record: evidence over the bound is left out, last first.
fn fitted(mut reported: ReportedFailure) -> SpoolItem {
    loop {
        let item = SpoolItem::Failure(Box::new(reported.clone()));
        let size = serde_json::to_vec(&item).map_or(0, |bytes| bytes.len());
        if size <= limits::SPOOL_RECORD_BYTES || reported.evidence.pop().is_none() {
            return item;
        }
    }
}

/// Resident memory of this process; 0 where the system does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    kib * 1_024
}
