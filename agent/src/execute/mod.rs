//! Acting on orders: believed, counted, allowed, journalled, done, proved, told.
//!
//! [`Executor::offer`] takes an envelope from the link and decides at once whether it becomes a
//! job; [`Executor::run`] works through the jobs, one at a time, those that a crash interrupted
//! first. One that only waits for the host's next natural run lets the others go on. Invariants: the highest counter is on disk before an order is acted on; a try (job,
//! attempt) is taken once; nothing is done that is not in the journal before.

mod book;
pub mod ceiling;
pub(crate) mod holds;
pub(crate) mod journal;
mod natural;
mod next;
mod output;
mod pauses;
mod purge;
mod runner;
mod shop;
mod steps;
#[cfg(test)]
mod tests;
mod verify;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_core::hold::{Freeze, Halt};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::order::{Envelope, Order, OrderRefused, Task};
use fleetmend_core::report::IncidentKey;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;
use fleetmend_faults::{Point, crash_point};
use fleetmend_proto::{OpenJob, Whose};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::book::Book;
use self::ceiling::{Objection, halted};
use self::holds::Holds;
pub(crate) use self::holds::held;
use self::journal::{Journal, Progress};
pub use self::natural::NaturalRun;
use self::pauses::Pauses;
use self::runner::{Came, Runner, TakingBack, Work, why_not};
pub use self::shop::Fittings;
use self::shop::{Shop, update};
use self::waiting::Waiting;
use crate::order::{self, Opened, OrderKey};
use crate::state::StateError;

/// Orders that wait their turn. The server sends one at a time; more is a server that misbehaves.
const WAITING: usize = 8;
/// How often undo data is looked through for what is kept no longer.
const PURGE_EVERY: Duration = Duration::from_hours(24);

/// How often what programs left is looked through, while there is any.
const TIDY_EVERY: Duration = Duration::from_secs(30);

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
    /// Jobs whose steps are done, and that wait for a natural run: days, in which others go on.
    waiting: Mutex<Vec<Waiting>>,
    bell: Notify,
}

impl Executor {
    /// Opens the executor of a state directory; jobs that were interrupted wait to go on.
    pub fn open(fittings: Fittings) -> Result<Self, StateError> {
        let state = fittings.state;
        let journals = state.dir("journal")?;
        let now = fittings.clock.now();
        let pauses =
            Pauses::open(&state, Arc::clone(&fittings.platform), Arc::clone(&fittings.clock));
        let shop = Shop {
            pauses,
            host: fittings.host,
            platform: fittings.platform,
            prober: fittings.prober,
            catalogue: fittings.catalogue,
            clock: fittings.clock,
            spool: fittings.spool,
            ceiling_file: fittings.ceiling_file,
            evidence: fittings.evidence,
            recheck_every: fittings.recheck_every,
            looks: fittings.looks,
            quarantine: state.dir("quarantine")?,
            outputs: state.dir("steps")?,
            turns: AtomicU64::new(0),
            mended: Mutex::default(),
            natural: natural::Runs::open(&state),
            holds: Holds::open(&state),
            book: Mutex::new(Book::open(&state, &journals, now)?),
            journals,
            state,
        };
        let queue = Mutex::new(shop.interrupted());
        let (recalls, waiting) = (Recalls::default(), Mutex::default());
        Ok(Self { shop, recalls, queue, waiting, bell: Notify::new() })
    }

    /// Takes an envelope: verifies it, remembers its counter, looks whether this agent trusts what
    /// it asks for, and queues it. Everything that speaks against it is said here, at once.
    pub fn offer(&self, key: &OrderKey, envelope: &Envelope) -> Offered {
        let shop = &self.shop;
        let now = shop.clock.now();
        let order = match key.open(envelope, now) {
            Ok(Opened::Order(order)) => *order,
            Ok(Opened::NotUnderstood { whose, why }) => return self.not_understood(&whose, &why),
            Err(forged) => {
                tracing::error!(reason = %forged, "forged order refused");
                shop.count_forged();
                return Offered::Forged;
            }
        };
        let highest = shop.book().highest;
        let checked = order.check(shop.host, highest, now);
        if checked == Err(OrderRefused::OtherHost) {
            return self.for_another(order.host);
        }
        if self.is_known(order.job, order.attempt) {
            return Offered::Known;
        }
        if let Err(refused) = checked {
            return shop.refuse(&order, &refused.to_string());
        }
        let doubts = shop.book().doubts(order.not_before);
        if let Some(why) = doubts {
            return shop.refuse(&order, &why);
        }
        if let Err(error) = shop.take_counter(order.counter) {
            return shop.refuse(&order, &format!("the agent cannot write its state: {error}"));
        }
        if let Err(why) = self.may_begin(&order, now) {
            return shop.refuse(&order, &why);
        }
        if self.waiting().len() >= limits::OPEN_JOBS - WAITING {
            return shop.refuse(&order, "too many jobs of this agent wait for their proof");
        }
        let mut queue = self.queue();
        if queue.len() >= WAITING {
            return shop.refuse(&order, "this agent has other jobs waiting");
        }
        tracing::info!(job.id = %order.job, remediation = %order.remediation, "order taken");
        crash_point(Point::JournalBeforePlan);
        match Journal::begin(&shop.journals, order.clone()) {
            Ok(journal) => {
                crash_point(Point::JournalPlanned);
                queue.push_back(journal);
            }
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

    /// The server's word on the halt of the fleet: while it is on, no job begins. What began goes on.
    pub fn halt(&self, halt: Halt) {
        self.shop.holds.halt(halt);
    }

    /// The freezes that concern this host, by the server's word: nothing that changes it begins in one.
    pub fn freeze(&self, freezes: Vec<Freeze>) {
        self.shop.holds.freeze(freezes);
    }

    /// What time it is at the server: windows and freezes are kept to by its clock, too, where this host's
    /// is wrong.
    pub fn server_clock(&self, there: Timestamp) {
        self.shop.holds.server_clock(there, self.shop.clock.now());
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

    /// The incidents that jobs mended since this was asked last: what is seen of them from now on has
    /// come back.
    pub fn mended(&self) -> Vec<IncidentKey> {
        std::mem::take(&mut *self.shop.mended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of runs of updates and backups that the collectors saw end, so that a job that waits
    /// for the next natural run of its operation can come to its end.
    pub fn saw(&self, runs: impl IntoIterator<Item = NaturalRun>) {
        self.shop.natural.add(runs);
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

    /// Works until `stop`; a step that runs is waited for. What an earlier agent left paused ends
    /// first of all, and what this one pauses ends with it.
    pub async fn run(&self, stop: &CancellationToken) {
        self.shop.pauses.end_all().await;
        tokio::select! {
            () = self.shop.pauses.guard(self.shop.recheck_every) => {}
            () = self.work_through(stop) => {}
        }
        self.shop.pauses.end_all().await;
    }

    /// Ends what is paused: for an agent that stops in the midst of a step, after [`Self::run`] was
    /// dropped.
    pub async fn end_pauses(&self) {
        self.shop.pauses.end_all().await;
    }

    async fn work_through(&self, stop: &CancellationToken) {
        let mut purge_at = Instant::now();
        while !stop.is_cancelled() {
            self.wake();
            let journal = self.queue().pop_front();
            let Some(journal) = journal else {
                let waits = !self.waiting().is_empty();
                tokio::select! {
                    () = self.bell.notified() => {}
                    () = self.shop.natural.news(), if waits => {}
                    () = self.recalls.changed(), if waits => {}
                    () = sleep(self.shop.recheck_every), if waits => {}
                    () = sleep_until(purge_at) => {
                        purge_at = Instant::now() + PURGE_EVERY;
                        self.purge().await;
                    }
                    () = sleep(TIDY_EVERY), if self.shop.has_outputs() => self.shop.tidy_outputs(),
                    () = stop.cancelled() => return,
                }
                continue;
            };
            let (job, path) = (journal.progress.order.job, journal.path().to_owned());
            match self.work(journal, stop).await {
                Ok(Came::ToItsEnd) => self.recalls.forget(job),
                Ok(Came::Waits) => self.await_run(path),
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
        let root = self.shop.platform.root().to_owned();
        let purging = move || purge::purge(&root, &journals, &quarantine, keep_from);
        if let Err(error) = tokio::task::spawn_blocking(purging).await {
            tracing::error!(%error, "old undo data not looked through");
        }
    }

    async fn work(&self, journal: Journal, stop: &CancellationToken) -> io::Result<Came> {
        let order = &journal.progress.order;
        let os = self.shop.platform.facts()?.os;
        if matches!(order.task, Task::Undo { .. }) {
            let remediation = self.shop.meant(order);
            let undo = TakingBack::new(&self.shop, journal, remediation, &self.recalls)?;
            return Box::pin(undo.run(stop)).await;
        }
        match order::trusted(order, self.shop.catalogue, os) {
            Ok((remediation, cause)) => {
                let runner = Runner::new(&self.shop, journal, remediation, cause, &self.recalls)?;
                Box::pin(runner.run(stop)).await
            }
            // The agent was updated under an open job.
            Err(why) => self.shop.abandon(journal, &why.to_string()),
        }
    }

    fn may_begin(&self, order: &Order, now: Timestamp) -> Result<(), String> {
        let shop = &self.shop;
        let os = shop.platform.facts().map_err(|e| e.to_string())?.os;
        let remediation = match order.task {
            Task::Undo { .. } => shop.meant(order),
            Task::Remediate | Task::Verify => {
                let trusted = order::trusted(order, shop.catalogue, os);
                Some(trusted.map_err(|e| e.to_string())?.0)
            }
        };
        if let Some(file) = halted(shop.state.path(), &shop.ceiling_file) {
            return Err(format!("the host's kill switch is set: {}", file.display()));
        }
        if let (Some(Objection::Refused(why)), problem) =
            Work::new(order.task, remediation).objection(shop)
        {
            return Err(problem.unwrap_or(why));
        }
        why_not(order, &shop.journals, now).map_or(Ok(()), Err)
    }

    fn for_another(&self, host: HostId) -> Offered {
        tracing::error!(order.host = %host, "order for another host refused");
        self.shop.count_forged();
        Offered::Forged
    }

    /// An order of our server's that asks for something this agent does not know: it does nothing of it,
    /// and says so, or the job would be offered again and again until it expired.
    fn not_understood(&self, whose: &Whose, why: &str) -> Offered {
        if whose.host != self.shop.host {
            self.for_another(whose.host)
        } else if self.is_known(whose.job, whose.attempt) {
            Offered::Known
        } else {
            self.shop.refuse_unread(whose, why)
        }
    }

    /// Whether this try was taken before. Its end, where it has one, is told again: the server would
    /// not ask if it knew.
    fn is_known(&self, job: JobId, attempt: u32) -> bool {
        let path = self.shop.journals.join(journal::name(job, attempt));
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

fn state_of(progress: &Progress) -> JobState {
    match &progress.finished {
        Some(update) => update.state,
        None if progress.verifying => JobState::Verifying,
        None if progress.running => JobState::Running,
        None => JobState::Blocked,
    }
}
