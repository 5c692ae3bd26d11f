//! One job, from its order to its end. Every decision is made from the journal, so that a job that
//! was stopped goes on where it was; every effect stands in the journal before it happens.

mod desk;
mod doing;
mod gate;
mod patience;
mod pausing;
mod proving;
mod restart;
mod taking_back;

use std::io;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::job::{JobState, ProofLevel, StepState};
use fleetmend_core::knowledge::{Cause, Remediation, Verification};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::step::{Action, Step};
use fleetmend_core::words::Slug;
use tokio_util::sync::CancellationToken;

use self::desk::Desk;
use self::gate::Gate;
pub(super) use self::gate::Work;
use self::restart::Restart;
pub(super) use self::taking_back::{TakingBack, why_not};
use super::journal::{Entry, Journal, StepProgress};
use super::next::{Next, next, to_undo};
use super::{AtWork, Recalls, Shop};

/// A job at work.
pub(crate) struct Runner<'a> {
    desk: Desk<'a>,
    remediation: &'a Remediation,
    cause: &'a Cause,
    /// What is done: nothing, where only the proof is wanted.
    steps: &'a [Step],
}

/// How a run came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// The job is over, and its end is told.
    ToItsEnd,
    /// The agent stops; the job goes on when it is started again.
    Stopped,
    /// Its steps are done; it waits for a natural run, and other jobs may go on meanwhile.
    Waits,
}

impl<'a> Runner<'a> {
    /// Takes up a job where its journal stands.
    pub(crate) fn new(
        shop: &'a Shop,
        journal: Journal,
        remediation: &'a Remediation,
        cause: &'a Cause,
        recalls: &'a Recalls,
    ) -> io::Result<Self> {
        let desk = Desk::new(shop, journal, recalls)?;
        let steps = match desk.order().task {
            Task::Verify => &[][..],
            Task::Remediate | Task::Undo { .. } => &remediation.steps,
        };
        Ok(Self { desk, remediation, cause, steps })
    }

    /// Runs it until its end, or until the agent is stopped. An error is the journal's disk: nothing
    /// is done that cannot be written down first.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> io::Result<Came> {
        if self.desk.journal.progress.finished.is_some() {
            return self.desk.tell_end();
        }
        if self.desk.journal.damaged {
            let why = "the job's journal was damaged: what was done cannot be known".to_owned();
            return self.finish(JobState::Unknown, why, None).await;
        }
        // Waiting for a natural run takes days, in which a host is restarted as often as it likes.
        let running = self.desk.journal.progress.running;
        if running && !self.awaits_run() {
            if self.desk.journal.after_stop {
                self.desk.note(Entry::Resumed { at: self.desk.shop.clock.now() })?;
            }
            if self.desk.journal.progress.resumes > limits::RESUMES
                && let Some(came) = self.stopped_too_often().await?
            {
                return Ok(came);
            }
        } else if !running && let Some(came) = self.gate(stop).await? {
            return Ok(came);
        }
        let _at_work = AtWork::begin(&self.desk.shop.turns);
        loop {
            if stop.is_cancelled() {
                return Ok(Came::Stopped);
            }
            if self.desk.journal.progress.failure.is_none() {
                if self.next() != Next::Verify {
                    self.desk.look_for_recall()?;
                } else if let Some(came) = self.recalled_after_its_steps().await? {
                    return Ok(came);
                }
            }
            let next = self.next();
            if let Some(came) = self.pauses_end(next, stop).await? {
                return Ok(came);
            }
            match next {
                Next::Clear(index) => self.clear(index).await?,
                Next::Do(index) if self.lapsed(index).await => {
                    let (step, title) = (index + 1, self.steps[index].action.title());
                    let why =
                        format!("the pause that step {step} ({title}) needs is over before it");
                    self.desk.give_up(&why, false)?;
                }
                Next::Do(index) if matches!(self.steps[index].action, Action::Reboot {}) => {
                    match self.desk.before_restart(self.remediation, stop).await? {
                        Restart::Now => tokio::select! {
                            done = self.do_step(index) => done?,
                            // It stops the agent, too: one that waited for its own step to end would
                            // hold the restart up. Whether it came is seen by the next boot's id.
                            () = stop.cancelled() => return Ok(Came::Stopped),
                        },
                        Restart::Happened => self.restarted_by_others(index)?,
                        Restart::Never(why) => self.not_restarted(index, &why)?,
                        Restart::GivenUp => {}
                        Restart::Stopped => return Ok(Came::Stopped),
                    }
                }
                Next::Do(_) if self.is_of_old() => {
                    let days = limits::GOES_ON_WITHIN.as_secs() / 86_400;
                    let why = format!(
                        "it was broken off, and its order expired {days} days ago or more: no further step of it is begun"
                    );
                    self.desk.give_up(&why, false)?;
                }
                Next::Do(index) => self.do_step(index).await?,
                Next::Undo(index) => self.undo_step(index).await?,
                Next::Verify => {
                    if let Some(came) = self.verify().await? {
                        return Ok(came);
                    }
                }
                Next::RolledBack => {
                    let why = format!("{}; all that was done was taken back", self.desk.failure());
                    return self.finish(JobState::RolledBack, why, None).await;
                }
                Next::Failed if self.untouched_and_recalled() => {
                    let why = self.desk.failure();
                    return self.finish(JobState::Cancelled, why, None).await;
                }
                Next::Failed => {
                    let why = self.desk.failure();
                    return self.finish(JobState::Failed, why, None).await;
                }
                Next::Unknown => {
                    let why = self.desk.failure();
                    return self.finish(JobState::Unknown, why, None).await;
                }
            }
        }
    }

    /// What must hold before the first step, and whether the cause is still there. `Some` where the
    /// job ends here.
    async fn gate(&mut self, stop: &CancellationToken) -> io::Result<Option<Came>> {
        let task = self.desk.order().task;
        let work = Work::new(task, Some(self.remediation));
        let note = loop {
            match self.desk.gate(work, stop).await? {
                Gate::Open => {}
                Gate::Stopped => return Ok(Some(Came::Stopped)),
                Gate::Ends(state, why) => return self.finish(state, why, None).await.map(Some),
            }
            let own = self.cause.own_probe.as_ref().filter(|_| task == Task::Remediate);
            let Some(probe) = own else { break String::new() };
            let seen = self.desk.ask(probe).await;
            let note = match seen.answer {
                Answer::No if self.cause.gone_by().is_some() => {
                    let why = format!("the cause is not there any more: {}", seen.proof);
                    return self.finish(JobState::NotApplicable, why, None).await.map(Some);
                }
                // The plan knew as much, and weighed it.
                Answer::No => format!(
                    "its own probe does not see the cause, which settles nothing: {}",
                    seen.proof
                ),
                Answer::Unknown => {
                    format!("whether the cause is still there is not known: {}", seen.proof)
                }
                Answer::Yes => format!("the cause is there: {}", seen.proof),
            };
            if !self.desk.is_held(work) {
                break note;
            }
        };
        if let Some(why) = self.desk.begin(work.changes())? {
            return self.finish(JobState::Skipped, why, None).await.map(Some);
        }
        self.desk.tell(JobState::Running, &note, None);
        Ok(None)
    }

    /// The agent was stopped too often under the job: no step is begun any more. What a crash hid is
    /// asked after first, so that nothing is called unknown that the host knows; what was done is
    /// taken back, or proved where all is done. Where not even that comes to its end, it is left.
    async fn stopped_too_often(&mut self) -> io::Result<Option<Came>> {
        let resumes = self.desk.journal.progress.resumes;
        let at_last = resumes > 2 * limits::RESUMES;
        let reason = format!(
            "the agent was stopped {resumes} times under it, and goes on {} times at most",
            limits::RESUMES
        );
        if !at_last && let Next::Clear(index) = self.next() {
            self.clear(index).await?;
        }
        match self.next() {
            Next::Verify if at_last => {
                return self.finish(JobState::Unverified, reason, None).await.map(Some);
            }
            Next::Do(_) if !at_last && self.desk.journal.progress.failure.is_none() => {
                self.desk.note(Entry::GaveUp { reason, cancelled: false, hidden: false })?;
            }
            Next::Clear(_) | Next::Do(_) | Next::Undo(_) if at_last => {
                let reason = format!("{reason}: what its steps did is to be looked at on the host");
                self.desk.note(Entry::GaveUp { reason, cancelled: false, hidden: true })?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// All steps are done, and only the proof is left: the kill switch takes nothing back any more. Where
    /// somebody takes the job back, what can be taken back is; where nothing of it can be, its proof
    /// tells more than its end would, and is not awaited for days.
    async fn recalled_after_its_steps(&mut self) -> io::Result<Option<Came>> {
        let Some(reason) = self.desk.recalls.of(self.desk.order().job) else { return Ok(None) };
        let steps = &self.desk.journal.progress.steps;
        let done =
            |step: &StepProgress| matches!(step, StepProgress::Done { state: StepState::Done, .. });
        if !steps.iter().any(done) || steps.iter().any(to_undo) {
            self.desk.look_for_wish()?;
            return Ok(None);
        }
        if self.method() != Verification::NextRun {
            return Ok(None);
        }
        let why = format!(
            "taken back: {reason}; its steps are done and cannot be taken back, and no run has proved them"
        );
        self.finish(JobState::Unverified, why, None).await.map(Some)
    }

    /// Whether the host was off for so long that nobody expects the job's next step any more. What was
    /// done is taken back, and steps that are always done are done all the same.
    fn is_of_old(&self) -> bool {
        let progress = &self.desk.journal.progress;
        let last = progress.order.expires.after(limits::GOES_ON_WITHIN);
        progress.failure.is_none() && self.desk.shop.clock.now() > last
    }

    fn next(&self) -> Next {
        next(self.steps, &self.desk.journal.progress)
    }

    async fn finish(
        &mut self,
        state: JobState,
        why: String,
        proof: Option<ProofLevel>,
    ) -> io::Result<Came> {
        let evidence = self.fresh_evidence().await;
        self.desk.finish(state, &why, proof, evidence)
    }

    /// What the cause's probes say now, of what the order is about.
    async fn fresh_evidence(&self) -> Vec<Evidence> {
        let indications = self.cause.indications.iter().map(|i| &i.probe);
        let mut probes: Vec<&Slug> = self.cause.own_probe.iter().chain(indications).collect();
        probes.dedup();
        let mut seen: Vec<Evidence> = Vec::new();
        for probe in probes.into_iter().take(8) {
            if seen.iter().all(|e| e.probe != *probe) {
                seen.push(self.desk.ask(probe).await);
            }
        }
        self.desk.shop.remember(&seen);
        seen
    }

    fn untouched_and_recalled(&self) -> bool {
        let progress = &self.desk.journal.progress;
        let untouched = |step: &StepProgress| match step {
            StepProgress::Waiting => true,
            StepProgress::Done { state, .. } => *state == StepState::AlreadyDone,
            _ => false,
        };
        progress.cancelled && progress.steps.iter().all(untouched)
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
