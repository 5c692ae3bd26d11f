//! What all jobs of an agent use: the machine, the spool, the books and journals; and what is told of
//! an order that is refused, given up or at its end.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::HostId;
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel, StepReport};
use fleetmend_core::knowledge::{Catalogue, Remediation};
use fleetmend_core::limits;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::passwords::without_passwords;
use fleetmend_core::report::{IncidentKey, Product};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_core::words::{self, Slug};
use fleetmend_faults::{Point, crash_point};
use fleetmend_proto::Whose;

use super::Offered;
use super::book::Book;
use super::journal::{self, Journal};
use super::pauses::Pauses;
use super::runner::Came;
use crate::evidence_store::EvidenceStore;
use crate::looks::Looks;
use crate::platform::Platform;
use crate::prober::Prober;
use crate::spool::SharedSpool;
use crate::state::{self, StateDir, StateError};

/// The mark beside a journal that cannot be read and was told of.
pub(super) const UNREADABLE: &str = "unreadable";

/// What all jobs use.
#[derive(Debug)]
pub(super) struct Shop {
    /// This host.
    pub(super) host: HostId,
    /// The machine.
    pub(super) platform: Arc<dyn Platform>,
    /// Its probes.
    pub(super) prober: Arc<dyn Prober>,
    /// What this agent trusts.
    pub(super) catalogue: &'static Catalogue,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// Where news goes.
    pub(super) spool: SharedSpool,
    /// The state directory.
    pub(super) state: StateDir,
    /// The host's own limit.
    pub(super) ceiling_file: PathBuf,
    /// The agent's own evidence.
    pub(super) evidence: Arc<Mutex<EvidenceStore>>,
    /// How often what blocks a job is looked at again.
    pub(super) recheck_every: Duration,
    /// A look of the collectors before a step moves what they read.
    pub(super) looks: Arc<Looks>,
    /// Where quarantined things are kept.
    pub(super) quarantine: PathBuf,
    /// Where the programs of steps leave their output and outcome.
    pub(super) outputs: PathBuf,
    pub(super) journals: PathBuf,
    pub(super) book: Mutex<Book>,
    /// Goes up when a job's steps begin and when they end: odd while they run.
    pub(super) turns: AtomicU64,
    /// What jobs mended and the collectors have not heard of.
    pub(super) mended: Mutex<Vec<IncidentKey>>,
    /// What leaves the host less protected for a while.
    pub(super) pauses: Pauses,
    /// How the host's own runs ended.
    pub(super) natural: super::natural::Runs,
    /// What the server holds back.
    pub(super) holds: super::holds::Holds,
}

/// What an executor is made of.
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
    /// Looks of the collectors on demand.
    pub looks: Arc<Looks>,
}

impl Shop {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The remediation of an order, where this agent has it as the order means it.
    pub(super) fn known(&self, order: &Order) -> Option<&'static Remediation> {
        let known = self.catalogue.remediations.get(&order.remediation);
        known.filter(|r| r.version == order.version && r.digest() == order.digest)
    }

    /// The remediation that an order is about. What is taken back is what this agent did, by its own
    /// journal, whatever the order calls it.
    pub(super) fn meant(&self, order: &Order) -> Option<&'static Remediation> {
        let Task::Undo { job, attempt } = order.task else { return self.known(order) };
        let target = Journal::read(&self.journals.join(journal::name(job, attempt)));
        target.ok().flatten().and_then(|target| self.known(&target.order))
    }

    pub(super) fn take_counter(&self, counter: u64) -> Result<(), StateError> {
        let mut book = self.book();
        let mut next = book.clone();
        next.take(counter);
        next.save(&self.state)?;
        *book = next;
        Ok(())
    }

    pub(super) fn begin(&self, now: Timestamp) -> Result<(), StateError> {
        let mut book = self.book();
        let mut next = book.clone();
        next.begin(now);
        next.save(&self.state)?;
        *book = next;
        Ok(())
    }

    pub(super) fn count_forged(&self) {
        let mut book = self.book();
        book.forged += 1;
        if let Err(error) = book.save(&self.state) {
            tracing::warn!(%error, "count of forged orders not saved");
        }
    }

    pub(super) fn refuse(&self, order: &Order, why: &str) -> Offered {
        tracing::warn!(job.id = %order.job, reason = why, "order refused");
        let now = self.clock.now();
        let update = update(order, JobState::Skipped, why, None, Vec::new(), None, now);
        self.spool.put(&[SpoolItem::Job(Box::new(update))], now);
        self.count_refused();
        Offered::Refused
    }

    /// Refuses an order that is our server's, and that this agent is too old to read.
    pub(super) fn refuse_unread(&self, whose: &Whose, why: &str) -> Offered {
        tracing::warn!(job.id = %whose.job, reason = why, "order not understood, and refused");
        let now = self.clock.now();
        let version = env!("CARGO_PKG_VERSION");
        let detail = format!(
            "this agent ({version}) does not understand the order, and did nothing of it: {why}; update the agent"
        );
        let update = JobUpdate {
            job: whose.job,
            attempt: whose.attempt,
            state: JobState::Skipped,
            detail: told(&detail),
            step: None,
            evidence: Vec::new(),
            proof: None,
            at: now,
        };
        self.spool.put(&[SpoolItem::Job(Box::new(update))], now);
        self.count_refused();
        Offered::Refused
    }

    fn count_refused(&self) {
        let mut book = self.book();
        book.refused += 1;
        if let Err(error) = book.save(&self.state) {
            tracing::warn!(%error, "count of refused orders not saved");
        }
    }

    pub(super) fn abandon(&self, mut journal: Journal, why: &str) -> io::Result<Came> {
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
    pub(super) fn tell_end(&self, journal: &mut Journal) -> io::Result<Came> {
        if !journal.progress.told
            && let Some(update) = journal.progress.finished.clone()
        {
            tracing::info!(job.id = %update.job, state = %update.state, detail = %update.detail, "job ended");
            if !self.spool.put(&[SpoolItem::Job(Box::new(update))], self.clock.now()) {
                return Err(io::Error::other("the spool does not take the job's end"));
            }
            crash_point(Point::JournalReported);
            journal.add(journal::Entry::Told)?;
            crash_point(Point::JournalClosed);
        }
        Ok(Came::ToItsEnd)
    }

    pub(super) fn remember(&self, evidence: &[Evidence]) {
        let mut store = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = store.remember(evidence) {
            tracing::warn!(%error, "evidence not kept");
        }
    }

    /// The values that the order may use: of evidence that this agent collected, by probe. Where the
    /// incident is about one systemd unit, of the latest evidence about that unit only: several may
    /// have failed.
    pub(super) fn values_of(&self, order: &Order) -> BTreeMap<Slug, String> {
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
    pub(super) fn interrupted(&self) -> VecDeque<Journal> {
        let mut waiting = VecDeque::new();
        for path in journal::list(&self.journals).unwrap_or_default() {
            match Journal::reopen(&path) {
                Ok(None) => {}
                Ok(Some(journal)) if journal.progress.told => {}
                Ok(Some(mut journal)) => {
                    journal.after_stop = true;
                    waiting.push_back(journal);
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "journal unreadable");
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.tell_unreadable(&path, &error);
                    }
                }
            }
        }
        waiting
    }

    /// The end of a job whose journal does not even say what was ordered: told once, with what the
    /// file's name says. Where the server knows a better end, that one stays.
    fn tell_unreadable(&self, path: &Path, error: &io::Error) {
        let marker = path.with_extension(UNREADABLE);
        let Some((job, attempt)) = journal::named(path).filter(|_| !marker.exists()) else {
            return;
        };
        let now = self.clock.now();
        let detail = format!("the job's journal was damaged: {error}");
        let update = JobUpdate {
            job,
            attempt,
            state: JobState::Unknown,
            detail: words::cut(&detail, limits::DETAIL_BYTES).to_owned(),
            step: None,
            evidence: Vec::new(),
            proof: None,
            at: now,
        };
        if self.spool.put(&[SpoolItem::Job(Box::new(update))], now)
            && let Err(error) = state::replace(&marker, b"")
        {
            tracing::warn!(%error, "the end of a damaged job is told again at the next start");
        }
    }

    /// Whether programs of steps left anything.
    pub(super) fn has_outputs(&self) -> bool {
        std::fs::read_dir(&self.outputs).is_ok_and(|mut folder| folder.next().is_some())
    }

    /// Removes what programs of steps left, once the server has all that is to be told of the job.
    pub(super) fn tidy_outputs(&self) {
        if self.spool.lock().stats().items > 0 {
            return;
        }
        let Ok(folder) = std::fs::read_dir(&self.outputs) else { return };
        for path in folder.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let try_of = name.rsplit_once('-').map_or(name, |(try_of, _)| try_of);
            let journal = self.journals.join(format!("{try_of}.journal"));
            let open = match Journal::read(&journal) {
                Ok(progress) => progress.is_none_or(|progress| !progress.told),
                Err(error) => error.kind() != io::ErrorKind::NotFound,
            };
            if !open && let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "a step's output is not removed");
            }
        }
    }
}

/// Words of a host's own for the server: bounded, and without the passwords of addresses.
pub(super) fn told(words: &str) -> String {
    words::cut(&without_passwords(words), limits::DETAIL_BYTES).to_owned()
}

pub(super) fn update(
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
        detail: told(detail),
        step,
        evidence,
        proof,
        at,
    }
}
