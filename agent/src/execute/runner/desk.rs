//! What every kind of job has: its journal, the values it may use, and what it tells the server on its
//! way. It writes down before it tells.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel, StepReport, StepState};
use fleetmend_core::limits;
use fleetmend_core::order::Order;
use fleetmend_core::report::Product;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::words::{self, Slug};
use fleetmend_faults::{Point, crash_point};

use super::{Came, place};
use crate::execute::ceiling::halted;
use crate::execute::journal::{Entry, Journal};
use crate::execute::output::StepLog;
use crate::execute::shop::told;
use crate::execute::steps::StepError;
use crate::execute::{Recalls, Shop, update};
use crate::probe::About;
use crate::state;

/// Numbers that one telling of a step's output may use. Each telling has its own, so that the
/// server does not take one for another.
const TELLING: u32 = 1 << 20;

/// A job's place of work.
pub(super) struct Desk<'a> {
    pub(super) shop: &'a Shop,
    pub(super) journal: Journal,
    pub(super) recalls: &'a Recalls,
    /// The values of the agent's own evidence that the order names.
    pub(super) values: Arc<BTreeMap<Slug, String>>,
    /// The boot this agent runs in.
    pub(super) boot: String,
    /// What the updates call the job's state now.
    pub(super) state: JobState,
}

impl<'a> Desk<'a> {
    pub(super) fn new(shop: &'a Shop, journal: Journal, recalls: &'a Recalls) -> io::Result<Self> {
        let boot = shop.platform.facts()?.boot_id;
        let values = Arc::new(shop.values_of(&journal.progress.order));
        let verifying = journal.progress.verifying;
        let state = if verifying { JobState::Verifying } else { JobState::Running };
        Ok(Self { shop, journal, recalls, values, boot, state })
    }

    pub(super) fn order(&self) -> &Order {
        &self.journal.progress.order
    }

    pub(super) fn failure(&self) -> String {
        self.journal.progress.failure.clone().unwrap_or_default()
    }

    /// Asks the host; about the very thing that the order's evidence names, or about the unit that
    /// failed, where there is one.
    pub(super) async fn ask(&self, probe: &Slug) -> Evidence {
        let key = &self.order().key;
        let unit = key.subject.as_ref().filter(|_| key.product == Product::Systemd);
        let about = About::again(self.values.get(probe).or(unit));
        self.shop.prober.ask(probe, about).await
    }

    /// Gives up where the kill switch is set or somebody took the job back.
    pub(super) fn look_for_recall(&mut self) -> io::Result<()> {
        let file = halted(self.shop.state.path(), &self.shop.ceiling_file);
        if let Some(file) = file {
            return self
                .give_up(&format!("the host's kill switch is set: {}", file.display()), false);
        }
        self.look_for_wish()
    }

    /// Gives up where somebody took the job back.
    pub(super) fn look_for_wish(&mut self) -> io::Result<()> {
        match self.recalls.of(self.order().job) {
            Some(reason) => self.give_up(&format!("taken back: {reason}"), true),
            None => Ok(()),
        }
    }

    pub(super) fn give_up(&mut self, reason: &str, cancelled: bool) -> io::Result<()> {
        self.note(Entry::GaveUp { reason: reason.to_owned(), cancelled, hidden: false })
    }

    /// Writes down what happened. On a full disk the room that is kept for it is used: what was done
    /// must not be forgotten because somebody else filled the disk.
    pub(super) fn note(&mut self, entry: Entry) -> io::Result<()> {
        match self.journal.add(entry.clone()) {
            Err(error) if state::is_full(&error) && self.shop.spool.lock().spend_reserve() => {
                self.journal.add(entry)
            }
            written => written,
        }
    }

    /// Writes the end down and tells it.
    pub(super) fn finish(
        &mut self,
        state: JobState,
        why: &str,
        proof: Option<ProofLevel>,
        evidence: Vec<Evidence>,
    ) -> io::Result<Came> {
        let update = self.update(state, why, None, evidence, proof);
        self.note(Entry::Finished { update: Box::new(update) })?;
        self.tell_end()
    }

    pub(super) fn tell_end(&mut self) -> io::Result<Came> {
        self.shop.tell_end(&mut self.journal)
    }

    /// The log of a step, for its `telling`th telling.
    pub(super) fn log(&self, index: usize, telling: u32) -> StepLog {
        let order = self.order();
        let (spool, clock) = (self.shop.spool.clone(), Arc::clone(&self.shop.clock));
        let first = telling.saturating_mul(TELLING).saturating_add(1);
        StepLog::new(spool, clock, (order.job, order.attempt), (place(index), first))
    }

    /// Says a line in the job's log before its first step: the number before those of that step's
    /// output, so that it is one line however often it is said.
    pub(super) fn say_before(&self, line: &str) {
        let order = self.order();
        let (spool, clock) = (self.shop.spool.clone(), Arc::clone(&self.shop.clock));
        StepLog::new(spool, clock, (order.job, order.attempt), (0, 0)).say(line);
    }

    pub(super) fn outcome(
        &mut self,
        index: usize,
        title: &str,
        state: StepState,
        error: StepError,
        log: &StepLog,
    ) -> io::Result<()> {
        self.went(index, title, state, &error.to_string(), error.exit(), log)
    }

    pub(super) fn went(
        &mut self,
        index: usize,
        title: &str,
        state: StepState,
        detail: &str,
        exit: Option<i32>,
        log: &StepLog,
    ) -> io::Result<()> {
        let told = format!("step {} ({title}): {detail}", index + 1);
        let detail_kept = if matches!(state, StepState::Failed | StepState::Unknown) {
            told
        } else {
            detail.to_owned()
        };
        self.note(Entry::Outcome { step: place(index), state, detail: detail_kept })?;
        crash_point(Point::JournalOutcome);
        self.tell_step(index, title, state, detail, exit, log);
        Ok(())
    }

    pub(super) fn tell_step(
        &self,
        index: usize,
        title: &str,
        state: StepState,
        detail: &str,
        exit: Option<i32>,
        log: &StepLog,
    ) {
        let report = StepReport {
            index: place(index),
            title: words::cut(title, limits::FACT_BYTES).to_owned(),
            state,
            exit,
            detail: told(detail),
            output_dropped: log.dropped(),
        };
        self.tell(self.state, "", Some(report));
    }

    pub(super) fn tell(&self, state: JobState, detail: &str, step: Option<StepReport>) {
        let update = self.update(state, detail, step, Vec::new(), None);
        self.shop.spool.put(&[SpoolItem::Job(Box::new(update))], self.shop.clock.now());
    }

    fn update(
        &self,
        state: JobState,
        detail: &str,
        step: Option<StepReport>,
        evidence: Vec<Evidence>,
        proof: Option<ProofLevel>,
    ) -> JobUpdate {
        update(self.order(), state, detail, step, evidence, proof, self.shop.clock.now())
    }
}
