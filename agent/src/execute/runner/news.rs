//! What a job tells the server on its way, and writes down before it tells it.

use std::io;

use fleetmend_core::evidence::Evidence;
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel, StepReport, StepState};
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::Step;
use fleetmend_core::words;
use fleetmend_faults::{Point, crash_point};

use super::{Runner, place};
use crate::execute::journal::Entry;
use crate::execute::output::StepLog;
use crate::execute::steps::StepError;

impl Runner<'_> {
    pub(super) fn outcome(
        &mut self,
        index: usize,
        step: &Step,
        state: StepState,
        error: StepError,
        log: &StepLog,
    ) -> io::Result<()> {
        self.went(index, step, state, &error.to_string(), error.exit(), log)
    }

    pub(super) fn went(
        &mut self,
        index: usize,
        step: &Step,
        state: StepState,
        detail: &str,
        exit: Option<i32>,
        log: &StepLog,
    ) -> io::Result<()> {
        let told = format!("step {} ({}): {detail}", index + 1, step.action.title());
        let detail_kept = if matches!(state, StepState::Failed | StepState::Unknown) {
            told
        } else {
            detail.to_owned()
        };
        self.note(Entry::Outcome { step: place(index), state, detail: detail_kept })?;
        crash_point(Point::JournalOutcome);
        self.tell_step(index, step, state, detail, exit, log);
        Ok(())
    }

    pub(super) fn tell_step(
        &self,
        index: usize,
        step: &Step,
        state: StepState,
        detail: &str,
        exit: Option<i32>,
        log: &StepLog,
    ) {
        let report = StepReport {
            index: place(index),
            title: words::cut(&step.action.title(), limits::FACT_BYTES).to_owned(),
            state,
            exit,
            detail: words::cut(detail, limits::DETAIL_BYTES).to_owned(),
            output_dropped: log.dropped(),
        };
        self.tell(self.state, "", Some(report), Vec::new(), None);
    }

    pub(super) fn tell(
        &self,
        state: JobState,
        detail: &str,
        step: Option<StepReport>,
        evidence: Vec<Evidence>,
        proof: Option<ProofLevel>,
    ) {
        let update = self.update(state, detail, step, evidence, proof);
        self.shop.spool.put(&[SpoolItem::Job(Box::new(update))], self.shop.clock.now());
    }

    pub(super) fn update(
        &self,
        state: JobState,
        detail: &str,
        step: Option<StepReport>,
        evidence: Vec<Evidence>,
        proof: Option<ProofLevel>,
    ) -> JobUpdate {
        let order = self.order();
        super::super::update(order, state, detail, step, evidence, proof, self.shop.clock.now())
    }
}
