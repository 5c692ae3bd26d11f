//! One job, from its order to its end. Every decision is made from the journal, so that a job that
//! was stopped goes on where it was; every effect stands in the journal before it happens.

mod doing;
mod news;
mod pausing;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::job::{JobState, ProofLevel, StepState};
use fleetmend_core::knowledge::{Cause, Remediation, Verification};
use fleetmend_core::limits;
use fleetmend_core::order::Order;
use fleetmend_core::report::Product;
use fleetmend_core::step::{Action, Step};
use fleetmend_core::words::Slug;
use tokio_util::sync::CancellationToken;

use super::ceiling::{Ceiling, Objection, halted};
use super::journal::{Entry, Journal, StepProgress};
use super::next::{Next, next};
use super::verify::{self, Court, Proof};
use super::{AtWork, Recalls, Shop};
use crate::probe::About;
use crate::prober;
use crate::state::{self, StateError};

/// Beyond a step's own time: for its checks.
const GRACE: Duration = Duration::from_secs(30);

/// How long the logs may take to be read before a job moves them.
const LOOK: Duration = Duration::from_mins(2);

/// A job at work.
pub(crate) struct Runner<'a> {
    shop: &'a Shop,
    journal: Journal,
    remediation: &'a Remediation,
    cause: &'a Cause,
    /// The values of the agent's own evidence that the order names.
    values: Arc<BTreeMap<Slug, String>>,
    recalls: &'a Recalls,
    /// The boot this agent runs in.
    boot: String,
    /// What the updates call the job's state now.
    state: JobState,
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
        let boot = shop.platform.facts()?.boot_id;
        let values = Arc::new(shop.values_of(&journal.progress.order));
        let verifying = journal.progress.verifying;
        let state = if verifying { JobState::Verifying } else { JobState::Running };
        Ok(Self { shop, journal, remediation, cause, values, recalls, boot, state })
    }

    /// Runs it until its end, or until the agent is stopped. An error is the journal's disk: nothing
    /// is done that cannot be written down first.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> io::Result<Came> {
        if self.journal.progress.finished.is_some() {
            return self.tell_end();
        }
        if self.journal.damaged {
            let why = "the job's journal was damaged: what was done cannot be known".to_owned();
            return self.finish(JobState::Unknown, why, None).await;
        }
        // Waiting for a natural run takes days, in which a host is restarted as often as it likes.
        let running = self.journal.progress.running;
        if running && !self.awaits_run() {
            if self.journal.after_stop {
                self.note(Entry::Resumed { at: self.shop.clock.now() })?;
            }
            if self.journal.progress.resumes > limits::RESUMES
                && let Some(came) = self.stopped_too_often().await?
            {
                return Ok(came);
            }
        } else if !running && let Some(came) = self.gate(stop).await? {
            return Ok(came);
        }
        let _at_work = AtWork::begin(&self.shop.turns);
        loop {
            if stop.is_cancelled() {
                return Ok(Came::Stopped);
            }
            if self.journal.progress.failure.is_none() {
                self.look_for_recall()?;
            }
            let next = self.next();
            if let Some(came) = self.pauses_end(next, stop).await? {
                return Ok(came);
            }
            match next {
                Next::Clear(index) => self.clear(index).await?,
                Next::Do(index) if self.lapsed(index).await => {
                    let (step, title) = (index + 1, self.remediation.steps[index].action.title());
                    let why =
                        format!("the pause that step {step} ({title}) needs is over before it");
                    self.give_up(&why, false)?;
                }
                Next::Do(index) => self.do_step(index).await?,
                Next::Undo(index) => self.undo_step(index).await?,
                Next::Verify => {
                    if let Some(came) = self.verify().await? {
                        return Ok(came);
                    }
                }
                Next::RolledBack => {
                    let why = format!("{}; all that was done was taken back", self.failure());
                    return self.finish(JobState::RolledBack, why, None).await;
                }
                Next::Failed if self.untouched_and_recalled() => {
                    let why = self.failure();
                    return self.finish(JobState::Cancelled, why, None).await;
                }
                Next::Failed => {
                    let why = self.failure();
                    return self.finish(JobState::Failed, why, None).await;
                }
                Next::Unknown => {
                    let why = self.failure();
                    return self.finish(JobState::Unknown, why, None).await;
                }
            }
        }
    }

    /// Ceiling, blockers and cause, before the first step. `Some` where the job ends here.
    async fn gate(&mut self, stop: &CancellationToken) -> io::Result<Option<Came>> {
        let mut told = String::new();
        let mut looked = false;
        loop {
            let now = self.shop.clock.now();
            if let Some(reason) = self.recalls.of(self.order().job) {
                return self.finish(JobState::Cancelled, reason, None).await.map(Some);
            }
            if let Some(file) = halted(self.shop.state.path(), &self.shop.ceiling_file) {
                let why = format!("the host's kill switch is set: {}", file.display());
                return self.finish(JobState::Skipped, why, None).await.map(Some);
            }
            let loaded = Ceiling::load(&self.shop.ceiling_file);
            if let Some(problem) = &loaded.problem {
                tracing::error!("{problem}");
            }
            let begun = self.shop.book().begun_today(now);
            let obstacle = match loaded.ceiling.objection(self.remediation, begun, now) {
                Some(Objection::Refused(why)) => {
                    return self.finish(JobState::Skipped, why, None).await.map(Some);
                }
                Some(Objection::NotNow(why)) => Some(why),
                None => self.blocker().await,
            };
            // It may have waited behind another job, or for a stopped agent, and not for an obstacle.
            let late = now > self.order().expires.after(limits::CLOCK_SKEW);
            let late = late.then(|| "the agent had other work, or did not run".to_owned());
            let Some(why) = obstacle.or(late) else {
                if looked || !self.moves_files() {
                    break;
                }
                // The look takes its time: what stands in the way is asked again after it.
                looked = true;
                tokio::select! {
                    () = self.read_before_it_is_moved() => {}
                    () = stop.cancelled() => return Ok(Some(Came::Stopped)),
                }
                continue;
            };
            if now > self.order().expires {
                let why = format!("its time was over before it could begin: {why}");
                return self.finish(JobState::Skipped, why, None).await.map(Some);
            }
            if told != why {
                self.tell(JobState::Blocked, &why, None, Vec::new(), None);
                told = why;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Some(Came::Stopped)),
                () = self.recalls.changed() => {}
                () = tokio::time::sleep(self.shop.recheck_every) => {}
            }
        }
        let mut note = String::new();
        if let Some(probe) = &self.cause.own_probe {
            let seen = self.ask(probe).await;
            match seen.answer {
                Answer::No => {
                    let why = format!("the cause is not there any more: {}", seen.proof);
                    return self.finish(JobState::NotApplicable, why, None).await.map(Some);
                }
                Answer::Unknown => {
                    note = format!("whether the cause is still there is not known: {}", seen.proof);
                }
                Answer::Yes => note = format!("the cause is there: {}", seen.proof),
            }
        }
        let now = self.shop.clock.now();
        let begun = self.shop.begin(now).map_err(StateError::into_io);
        if let Err(error) = begun.and_then(|()| self.journal.add(Entry::Running { at: now })) {
            if !state::is_full(&error) {
                return Err(error);
            }
            let why = format!("not begun, for it could not be written down first: {error}");
            return self.finish(JobState::Skipped, why, None).await.map(Some);
        }
        self.tell(JobState::Running, &note, None, Vec::new(), None);
        Ok(None)
    }

    /// Has the logs read before a step moves the folder they lie in: what they tell of is history
    /// afterwards. Where that takes too long the job goes on: what is moved is kept.
    async fn read_before_it_is_moved(&self) {
        if !self.shop.looks.look(LOOK).await {
            tracing::debug!(job.id = %self.order().job, "logs not read before the job's steps");
        }
    }

    fn moves_files(&self) -> bool {
        let moves = |step: &Step| {
            matches!(step.action, Action::FileRename { .. } | Action::FileQuarantine { .. })
        };
        self.remediation.steps.iter().any(moves)
    }

    async fn blocker(&self) -> Option<String> {
        for probe in &self.remediation.blockers {
            let seen = self.ask(probe).await;
            if prober::is_yes(&seen) {
                return Some(format!("{probe}: {}", seen.proof));
            }
        }
        None
    }

    /// The agent was stopped too often under the job: no step is begun any more. What a crash hid is
    /// asked after first, so that nothing is called unknown that the host knows; what was done is
    /// taken back, or proved where all is done. Where not even that comes to its end, it is left.
    async fn stopped_too_often(&mut self) -> io::Result<Option<Came>> {
        let resumes = self.journal.progress.resumes;
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
            Next::Do(_) if !at_last && self.journal.progress.failure.is_none() => {
                self.note(Entry::GaveUp { reason, cancelled: false, hidden: false })?;
            }
            Next::Clear(_) | Next::Do(_) | Next::Undo(_) if at_last => {
                let reason = format!("{reason}: what its steps did is to be looked at on the host");
                self.note(Entry::GaveUp { reason, cancelled: false, hidden: true })?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn next(&self) -> Next {
        next(&self.remediation.steps, &self.journal.progress)
    }

    fn look_for_recall(&mut self) -> io::Result<()> {
        let file = halted(self.shop.state.path(), &self.shop.ceiling_file);
        if let Some(file) = file {
            return self
                .give_up(&format!("the host's kill switch is set: {}", file.display()), false);
        }
        match self.recalls.of(self.order().job) {
            Some(reason) => self.give_up(&format!("taken back: {reason}"), true),
            None => Ok(()),
        }
    }

    /// Ends the job by its proof; `None` where it goes on to be taken back.
    async fn verify(&mut self) -> io::Result<Option<Came>> {
        if self.awaits_run() && !self.journal.after_stop {
            return self.by_natural_run().await;
        }
        match self.prove().await? {
            Proof::NextRun => self.by_natural_run().await,
            proof => self.proved(proof).await,
        }
    }

    async fn prove(&mut self) -> io::Result<Proof> {
        if !self.journal.progress.verifying {
            self.note(Entry::Verifying { at: self.shop.clock.now() })?;
        }
        self.state = JobState::Verifying;
        let detail = match self.remediation.verification {
            Verification::NextRun => "the next natural run of the failing operation is awaited",
            _ => "the failing operation is repeated",
        };
        self.tell(JobState::Verifying, detail, None, Vec::new(), None);
        let log = self.log(self.remediation.steps.len(), 0);
        let court = Court {
            platform: self.shop.platform.as_ref(),
            prober: self.shop.prober.as_ref(),
            values: &self.values,
            log: &log,
        };
        Ok(verify::verify(self.remediation, self.cause, &court).await)
    }

    /// Ends the job by its proof; `None` where it goes on to be taken back.
    async fn proved(&mut self, proof: Proof) -> io::Result<Option<Came>> {
        match proof {
            Proof::Fixed(level, why) => {
                let came = self.finish(JobState::Fixed, why, Some(level)).await?;
                let mut mended = self.shop.mended.lock().unwrap_or_else(PoisonError::into_inner);
                mended.push(self.order().key.clone());
                Ok(Some(came))
            }
            Proof::Unproved(why) => self.finish(JobState::Unverified, why, None).await.map(Some),
            Proof::NextRun => {
                let why = "no natural run of the failing operation was seen".to_owned();
                self.finish(JobState::Unverified, why, None).await.map(Some)
            }
            Proof::NotCured(why) => {
                self.give_up(&format!("the steps went well, and it is not cured: {why}"), false)?;
                Ok(None)
            }
        }
    }

    /// Whether the steps are done, and only a natural run is awaited.
    fn awaits_run(&self) -> bool {
        let progress = &self.journal.progress;
        let natural = self.remediation.verification == Verification::NextRun;
        natural && progress.verifying && progress.failure.is_none()
    }

    /// Ends the job by the next natural run of the failing operation; it waits as long as a proof
    /// may take.
    async fn by_natural_run(&mut self) -> io::Result<Option<Came>> {
        let since = self.journal.progress.verifying_since;
        if let Some(run) = self.shop.natural.after(&self.order().key, since) {
            let proof = if run.worked && run.by_state {
                // What was reported is gone, and yet nobody saw the operation work.
                let why = format!("the condition is gone: {}", run.words);
                Proof::Fixed(ProofLevel::ProbeOnly, why)
            } else if run.worked {
                let why = format!("the next run, at {}, worked: {}", run.at, run.words);
                Proof::Fixed(ProofLevel::Observed, why)
            } else {
                Proof::NotCured(format!("the next run, at {}, failed: {}", run.at, run.words))
            };
            return self.proved(proof).await;
        }
        self.look_for_recall()?;
        if self.journal.progress.failure.is_some() {
            return Ok(None);
        }
        if self.shop.clock.now() >= since.after(limits::VERIFY_WITHIN) {
            return self.proved(Proof::NextRun).await;
        }
        Ok(Some(Came::Waits))
    }

    async fn finish(
        &mut self,
        state: JobState,
        why: String,
        proof: Option<ProofLevel>,
    ) -> io::Result<Came> {
        let evidence = self.fresh_evidence().await;
        let update = self.update(state, &why, None, evidence, proof);
        self.note(Entry::Finished { update: Box::new(update) })?;
        self.tell_end()
    }

    fn tell_end(&mut self) -> io::Result<Came> {
        self.shop.tell_end(&mut self.journal)
    }

    /// What the cause's probes say now, of what the order is about.
    async fn fresh_evidence(&self) -> Vec<Evidence> {
        let indications = self.cause.indications.iter().map(|i| &i.probe);
        let mut probes: Vec<&Slug> = self.cause.own_probe.iter().chain(indications).collect();
        probes.dedup();
        let mut seen: Vec<Evidence> = Vec::new();
        for probe in probes.into_iter().take(8) {
            if seen.iter().all(|e| e.probe != *probe) {
                seen.push(self.ask(probe).await);
            }
        }
        self.shop.remember(&seen);
        seen
    }

    /// Asks the host; about the very thing that the order's evidence names, or about the unit that
    /// failed, where there is one.
    async fn ask(&self, probe: &Slug) -> Evidence {
        let key = &self.order().key;
        let unit = key.subject.as_ref().filter(|_| key.product == Product::Systemd);
        let about = About::again(self.values.get(probe).or(unit));
        self.shop.prober.ask(probe, about).await
    }

    fn order(&self) -> &Order {
        &self.journal.progress.order
    }

    fn failure(&self) -> String {
        self.journal.progress.failure.clone().unwrap_or_default()
    }

    fn untouched_and_recalled(&self) -> bool {
        let progress = &self.journal.progress;
        let untouched = |step: &StepProgress| match step {
            StepProgress::Waiting => true,
            StepProgress::Done { state, .. } => *state == StepState::AlreadyDone,
            _ => false,
        };
        progress.cancelled && progress.steps.iter().all(untouched)
    }

    /// Writes down what happened. On a full disk the room that is kept for it is used: what was done
    /// must not be forgotten because somebody else filled the disk.
    fn note(&mut self, entry: Entry) -> io::Result<()> {
        match self.journal.add(entry.clone()) {
            Err(error) if state::is_full(&error) && self.shop.spool.lock().spend_reserve() => {
                self.journal.add(entry)
            }
            written => written,
        }
    }

    fn give_up(&mut self, reason: &str, cancelled: bool) -> io::Result<()> {
        self.note(Entry::GaveUp { reason: reason.to_owned(), cancelled, hidden: false })
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
