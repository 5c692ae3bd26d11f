//! Acting on orders: believed, counted, allowed, journalled, done, proved, told.
//!
//! [`Executor::offer`] takes an envelope from the link and decides at once whether it becomes a
//! job; [`Executor::run`] works through the jobs, one at a time, those that a crash interrupted
//! first. Invariants: the highest counter is on disk before an order is acted on; a try (job,
//! attempt) is taken once; nothing is done that is not in the journal before.

mod book;
pub mod ceiling;
mod journal;
mod next;
mod output;
mod purge;
mod runner;
mod steps;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel, StepReport};
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::limits;
use fleetmend_core::order::{Envelope, Order, OrderRefused};
use fleetmend_core::report::Product;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_core::words::{self, Slug};
use fleetmend_proto::OpenJob;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::book::{Book, NAME as BOOK_FILE};
use self::ceiling::{Ceiling, Objection, halted};
use self::journal::{Journal, Progress};
use self::runner::{Came, Runner};
use crate::evidence_store::EvidenceStore;
use crate::order::{self, OrderKey};
use crate::platform::Platform;
use crate::prober::Prober;
use crate::spool::SharedSpool;
use crate::state::{StateDir, StateError};

/// Orders that wait their turn. The server sends one at a time; more is a server that misbehaves.
const WAITING: usize = 8;
/// How often undo data is looked through for what is kept no longer.
const PURGE_EVERY: Duration = Duration::from_hours(24);

/// What became of an offered envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is a job now.
    Taken,
    /// It is known already; its end, if it has one, was told again.
    Known,
    /// Rightly signed, and refused: told as *skipped*.
    Refused,
    /// Not our server's, or not for this host: counted, logged, not answered.
    Forged,
}

/// What all jobs use.
#[derive(Debug)]
pub struct Shop {
    /// This host.
    pub host: HostId,
    /// The machine.
    pub platform: Arc<dyn Platform>,
    /// Its probes.
    pub prober: Arc<dyn Prober>,
    /// What this agent trusts.
    pub catalogue: &'static Catalogue,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where news goes.
    pub spool: SharedSpool,
    /// The state directory.
    pub state: StateDir,
    /// The host's own limit.
    pub ceiling_file: PathBuf,
    /// The agent's own evidence.
    pub evidence: Arc<Mutex<EvidenceStore>>,
    /// How often what blocks a job is looked at again.
    pub recheck_every: Duration,
    /// Where quarantined things are kept.
    quarantine: PathBuf,
    journals: PathBuf,
    book: Mutex<Book>,
    /// Goes up when a job's steps begin and when they end: odd while they run.
    turns: AtomicU64,
}

/// Held while a job's steps run.
struct AtWork<'a>(&'a AtomicU64);

/// Jobs that somebody took back.
#[derive(Debug, Default)]
pub struct Recalls {
    jobs: Mutex<BTreeMap<JobId, String>>,
    bell: Notify,
}

/// Takes orders and works through them.
#[derive(Debug)]
pub struct Executor {
    shop: Shop,
    recalls: Recalls,
    queue: Mutex<VecDeque<Journal>>,
    bell: Notify,
}

/// What a [`Shop`] is made of.
#[derive(Debug)]
pub struct Fittings {
    /// This host.
    pub host: HostId,
    /// The machine.
    pub platform: Arc<dyn Platform>,
    /// Its probes.
    pub prober: Arc<dyn Prober>,
    /// What this agent trusts.
    pub catalogue: &'static Catalogue,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where news goes.
    pub spool: SharedSpool,
    /// The state directory.
    pub state: StateDir,
    /// The host's own limit.
    pub ceiling_file: PathBuf,
    /// The agent's own evidence.
    pub evidence: Arc<Mutex<EvidenceStore>>,
    /// How often what blocks a job is looked at again.
    pub recheck_every: Duration,
}

impl Executor {
    /// Opens the executor of a state directory; jobs that were interrupted wait to go on.
    pub fn open(fittings: Fittings) -> Result<Self, StateError> {
        let state = fittings.state;
        let journals = state.dir("journal")?;
        let shop = Shop {
            host: fittings.host,
            platform: fittings.platform,
            prober: fittings.prober,
            catalogue: fittings.catalogue,
            clock: fittings.clock,
            spool: fittings.spool,
            ceiling_file: fittings.ceiling_file,
            evidence: fittings.evidence,
            recheck_every: fittings.recheck_every,
            quarantine: state.dir("quarantine")?,
            turns: AtomicU64::new(0),
            book: Mutex::new(Book::open(&state)?),
            journals,
            state,
        };
        let queue = Mutex::new(shop.interrupted());
        Ok(Self { shop, recalls: Recalls::default(), queue, bell: Notify::new() })
    }

    /// Takes an envelope: verifies it, remembers its counter, looks whether this agent trusts what
    /// it asks for, and queues it. Everything that speaks against it is said here, at once.
    pub fn offer(&self, key: &OrderKey, envelope: &Envelope) -> Offered {
        let shop = &self.shop;
        let now = shop.clock.now();
        let order = match key.open(envelope, now) {
            Ok(order) => order,
            Err(forged) => {
                tracing::error!(reason = %forged, "forged order refused");
                shop.count_forged();
                return Offered::Forged;
            }
        };
        let highest = shop.book().highest;
        let checked = order.check(shop.host, highest, now);
        if checked == Err(OrderRefused::OtherHost) {
            tracing::error!(order.host = %order.host, "order for another host refused");
            shop.count_forged();
            return Offered::Forged;
        }
        if self.is_known(&order) {
            return Offered::Known;
        }
        if let Err(refused) = checked {
            return shop.refuse(&order, &refused.to_string());
        }
        if let Err(error) = shop.take_counter(order.counter) {
            return shop.refuse(&order, &format!("the agent cannot write its state: {error}"));
        }
        if let Err(why) = self.may_begin(&order, now) {
            return shop.refuse(&order, &why);
        }
        let mut queue = self.queue();
        if queue.len() >= WAITING {
            return shop.refuse(&order, "this agent has other jobs waiting");
        }
        tracing::info!(job.id = %order.job, remediation = %order.remediation, "order taken");
        match Journal::begin(&shop.journals, order.clone()) {
            Ok(journal) => queue.push_back(journal),
            Err(error) => {
                drop(queue);
                return shop
                    .refuse(&order, &format!("the agent cannot write its journal: {error}"));
            }
        }
        drop(queue);
        self.bell.notify_one();
        Offered::Taken
    }

    /// Takes a job back: it stops between two steps.
    pub fn recall(&self, job: JobId, reason: String) {
        let mut jobs = self.recalls.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // Recalls of jobs that are over already are never asked for again: the oldest make room. One
        // that is still meant comes again with the server's next heartbeat.
        while jobs.len() >= limits::OPEN_JOBS && !jobs.contains_key(&job) {
            jobs.pop_first();
        }
        jobs.insert(job, reason);
        drop(jobs);
        self.recalls.bell.notify_waiters();
        self.recalls.bell.notify_one();
    }

    /// The highest counter ever taken.
    pub fn highest_counter(&self) -> u64 {
        self.shop.book().highest
    }

    /// Whether no job's steps run. The number is another one when some ran since it was asked.
    pub fn at_rest(&self) -> Option<u64> {
        let turns = self.shop.turns.load(Ordering::Relaxed);
        turns.is_multiple_of(2).then_some(turns)
    }

    /// Jobs that stand open, by the journals on disk.
    pub fn open_jobs(&self) -> Vec<OpenJob> {
        let open = |path: &PathBuf| {
            let progress = Journal::read(path).ok()??;
            (!progress.told).then(|| OpenJob {
                job: progress.order.job,
                attempt: progress.order.attempt,
                state: state_of(&progress),
            })
        };
        let all = journal::list(&self.shop.journals).unwrap_or_default();
        all.iter().filter_map(open).take(limits::OPEN_JOBS).collect()
    }

    /// Works until `stop`; a step that runs is waited for.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut purge_at = Instant::now();
        while !stop.is_cancelled() {
            let Some(journal) = self.queue().pop_front() else {
                tokio::select! {
                    () = self.bell.notified() => {}
                    () = sleep_until(purge_at) => {
                        purge_at = Instant::now() + PURGE_EVERY;
                        self.purge().await;
                    }
                    () = stop.cancelled() => return,
                }
                continue;
            };
            let (job, path) = (journal.progress.order.job, journal.path().to_owned());
            match self.work(journal, stop).await {
                Ok(Came::ToItsEnd) => self.recalls.forget(job),
                Ok(Came::Stopped) => tracing::info!(job.id = %job, "job goes on at the next start"),
                Err(error) => {
                    // Nothing is done that cannot be written down: the job waits for the disk.
                    tracing::error!(job.id = %job, %error, "journal or spool refused, job waits");
                    self.take_up_again(&path, stop).await;
                }
            }
        }
    }

    /// Waits a while for the disk, then queues the job as its journal has it: what was not written
    /// down is not known any more, as after a crash.
    async fn take_up_again(&self, path: &Path, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.shop.recheck_every) => {}
                () = stop.cancelled() => return,
            }
            match Journal::reopen(path) {
                Ok(Some(journal)) => return self.queue().push_front(journal),
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!(path = %path.display(), %error, "journal unreadable");
                    return;
                }
                Err(error) => tracing::debug!(%error, "the journal still cannot be opened"),
            }
        }
    }

    /// Removes what is kept no longer. On a thread of its own: a quarantined folder may be large.
    async fn purge(&self) {
        let (journals, quarantine) = (self.shop.journals.clone(), self.shop.quarantine.clone());
        let keep_from = self.shop.clock.now().before(limits::UNDO_KEPT);
        let purging = move || purge::purge(&journals, &quarantine, keep_from);
        if let Err(error) = tokio::task::spawn_blocking(purging).await {
            tracing::error!(%error, "old undo data not looked through");
        }
    }

    async fn work(&self, journal: Journal, stop: &CancellationToken) -> io::Result<Came> {
        let order = &journal.progress.order;
        let os = self.shop.platform.facts()?.os;
        match order::trusted(order, self.shop.catalogue, os) {
            Ok((remediation, cause)) => {
                let runner = Runner::new(&self.shop, journal, remediation, cause, &self.recalls)?;
                runner.run(stop).await
            }
            // The agent was updated under an open job.
            Err(why) => self.shop.abandon(journal, &why.to_string()),
        }
    }

    fn may_begin(&self, order: &Order, now: Timestamp) -> Result<(), String> {
        let shop = &self.shop;
        let os = shop.platform.facts().map_err(|e| e.to_string())?.os;
        let (remediation, _) =
            order::trusted(order, shop.catalogue, os).map_err(|e| e.to_string())?;
        if let Some(file) = halted(shop.state.path(), &shop.ceiling_file) {
            return Err(format!("the host's kill switch is set: {}", file.display()));
        }
        let loaded = Ceiling::load(&shop.ceiling_file);
        match loaded.ceiling.objection(remediation, shop.book().begun_today(now), now) {
            Some(Objection::Refused(why)) => Err(loaded.problem.unwrap_or(why)),
            Some(Objection::NotNow(_)) | None => Ok(()),
        }
    }

    /// Whether this try was taken before. Its end, where it has one, is told again: the server would
    /// not ask if it knew.
    fn is_known(&self, order: &Order) -> bool {
        let path = self.shop.journals.join(journal::name(order.job, order.attempt));
        if !path.exists() {
            return false;
        }
        let finished = Journal::read(&path).ok().flatten().and_then(|p| p.finished);
        if let Some(update) = finished {
            let now = self.shop.clock.now();
            self.shop.spool.put(&[SpoolItem::Job(Box::new(update))], now);
        }
        true
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Journal>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recalls {
    fn of(&self, job: JobId) -> Option<String> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(&job).cloned()
    }

    fn forget(&self, job: JobId) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }

    async fn changed(&self) {
        self.bell.notified().await;
    }
}

impl<'a> AtWork<'a> {
    fn begin(turns: &'a AtomicU64) -> Self {
        turns.fetch_add(1, Ordering::Relaxed);
        Self(turns)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shop {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_counter(&self, counter: u64) -> Result<(), StateError> {
        let mut book = self.book();
        let mut next = book.clone();
        next.highest = counter;
        next.save(&self.state)?;
        *book = next;
        Ok(())
    }

    fn begin(&self, now: Timestamp) -> Result<(), StateError> {
        let mut book = self.book();
        book.begin(now);
        book.save(&self.state)
    }

    fn count_forged(&self) {
        let mut book = self.book();
        book.forged += 1;
        if let Err(error) = book.save(&self.state) {
            tracing::warn!(%error, "count of forged orders not saved");
        }
    }

    fn refuse(&self, order: &Order, why: &str) -> Offered {
        tracing::warn!(job.id = %order.job, reason = why, "order refused");
        let now = self.clock.now();
        let update = update(order, JobState::Skipped, why, None, Vec::new(), None, now);
        self.spool.put(&[SpoolItem::Job(Box::new(update))], now);
        let mut book = self.book();
        book.refused += 1;
        if let Err(error) = book.save(&self.state) {
            tracing::warn!(%error, "count of refused orders not saved");
        }
        Offered::Refused
    }

    fn abandon(&self, mut journal: Journal, why: &str) -> io::Result<Came> {
        let now = self.clock.now();
        let state = if journal.progress.running { JobState::Unknown } else { JobState::Skipped };
        if journal.progress.finished.is_none() {
            let order = &journal.progress.order;
            let update = Box::new(update(order, state, why, None, Vec::new(), None, now));
            journal.add(journal::Entry::Finished { update })?;
        }
        self.tell_end(&mut journal)
    }

    /// Puts a job's end into the spool, and notes that it is there. Where the disk does not take
    /// it now, it is tried again: the journal has it.
    fn tell_end(&self, journal: &mut Journal) -> io::Result<Came> {
        if !journal.progress.told
            && let Some(update) = journal.progress.finished.clone()
        {
            tracing::info!(job.id = %update.job, state = %update.state, detail = %update.detail, "job ended");
            if !self.spool.put(&[SpoolItem::Job(Box::new(update))], self.clock.now()) {
                return Err(io::Error::other("the spool does not take the job's end"));
            }
            journal.add(journal::Entry::Told)?;
        }
        Ok(Came::ToItsEnd)
    }

    fn remember(&self, evidence: &[Evidence]) {
        let mut store = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = store.remember(evidence) {
            tracing::warn!(%error, "evidence not kept");
        }
    }

    /// The values that the order may use: of evidence that this agent collected, by probe. Where the
    /// incident is about one systemd unit, of evidence about that unit only: several may have
    /// failed, and the server keeps one answer of each probe.
    fn values_of(&self, order: &Order) -> BTreeMap<Slug, String> {
        let store = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = order.key.subject.as_deref().filter(|_| order.key.product == Product::Systemd);
        let known = order.evidence.iter().filter_map(|id| store.get(*id));
        let meant = known.filter_map(|e| match unit {
            Some(unit) => store.about(&e.probe, unit),
            None => Some(e),
        });
        meant.filter_map(|e| Some((e.probe.clone(), e.value.clone()?))).collect()
    }

    /// Journals that are not told to their end.
    fn interrupted(&self) -> VecDeque<Journal> {
        let mut waiting = VecDeque::new();
        for path in journal::list(&self.journals).unwrap_or_default() {
            match Journal::reopen(&path) {
                Ok(None) => {}
                Ok(Some(journal)) if journal.progress.told => {}
                Ok(Some(journal)) => waiting.push_back(journal),
                Err(error) => tracing::error!(path = %path.display(), %error, "journal unreadable"),
            }
        }
        waiting
    }
}

fn state_of(progress: &Progress) -> JobState {
    match &progress.finished {
        Some(update) => update.state,
        None if progress.verifying => JobState::Verifying,
        None if progress.running => JobState::Running,
        None => JobState::Blocked,
    }
}

fn update(
    order: &Order,
    state: JobState,
    detail: &str,
    step: Option<StepReport>,
    evidence: Vec<Evidence>,
    proof: Option<ProofLevel>,
    at: Timestamp,
) -> JobUpdate {
    JobUpdate {
        job: order.job,
        attempt: order.attempt,
        state,
        detail: words::cut(detail, limits::DETAIL_BYTES).to_owned(),
        step,
        evidence,
        proof,
        at,
    }
}
