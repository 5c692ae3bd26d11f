//! An undo: what an earlier job of this host did is taken back, by its own journal, last step first.
//! Each undo stands in this job's journal before it happens; doing one twice is what doing it once is.
//! What somebody changed since is left alone.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::job::{JobState, StepState};
use fleetmend_core::knowledge::{Lang, Remediation};
use fleetmend_core::limits;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::step::Undo;
use fleetmend_core::time::Timestamp;
use fleetmend_faults::{Point, crash_point};
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::gate::{Gate, Work};
use super::{Came, place};
use crate::execute::journal::{self, Entry, Journal, Progress, StepProgress};
use crate::execute::steps::{self, Bench, StepError, UndoRecord};
use crate::execute::{AtWork, Recalls, Shop};

/// Time for taking one step back.
const STEP_TIME: Duration = Duration::from_mins(10);

/// An undo at work.
pub(in crate::execute) struct TakingBack<'a> {
    desk: Desk<'a>,
    /// The remediation as it was done, where this agent still has it.
    remediation: Option<&'a Remediation>,
    /// The try that is taken back.
    job: JobId,
    attempt: u32,
}

/// What is to be done about one step.
#[derive(Debug, PartialEq, Eq)]
enum Back {
    /// It is taken back by this.
    Undo(UndoRecord),
    /// Nothing of it is left, or nothing of it need be taken back.
    Nothing(String),
    /// It cannot be.
    Impossible(String),
}

/// Why an undo of this try can never be begun here; `None` where it can.
pub(in crate::execute) fn why_not(
    order: &Order,
    journals: &Path,
    now: Timestamp,
) -> Option<String> {
    let Task::Undo { job, attempt } = order.task else { return None };
    let of = format!("try {attempt} of job {job}");
    let days = limits::UNDO_KEPT.as_secs() / 86_400;
    let path = journals.join(journal::name(job, attempt));
    if !path.exists() {
        return Some(format!(
            "this host has no journal of {of}: it never began here, or what undoing takes, kept for {days} days, is gone"
        ));
    }
    let Ok(Some(target)) = Journal::read(&path) else {
        return Some(format!("the journal of {of} cannot be read: what it did is not known"));
    };
    if target.order.host != order.host {
        return Some(format!("{of} was another host's"));
    }
    if target.order.task != Task::Remediate {
        return Some(format!("{of} was no remediation: there is nothing to take back"));
    }
    let Some(end) = &target.finished else {
        return Some(format!("{of} is not over on this host: cancel it, and it takes itself back"));
    };
    if !target.running {
        return Some(format!("{of} never began: there is nothing to take back"));
    }
    if end.state == JobState::RolledBack {
        return Some(format!("{of} took back by itself all that it did"));
    }
    if end.at < now.before(limits::UNDO_KEPT) {
        return Some(format!("what undoing {of} takes was kept for {days} days, and is gone"));
    }
    let undone = undone_by(journals);
    undone.get(&(job, attempt)).map(|by| format!("{of} was taken back already, by job {by}"))
}

impl<'a> TakingBack<'a> {
    /// Takes an undo up where its journal stands.
    pub(in crate::execute) fn new(
        shop: &'a Shop,
        journal: Journal,
        remediation: Option<&'a Remediation>,
        recalls: &'a Recalls,
    ) -> io::Result<Self> {
        let desk = Desk::new(shop, journal, recalls)?;
        let Task::Undo { job, attempt } = desk.order().task else {
            return Err(io::Error::other("the order takes nothing back"));
        };
        Ok(Self { desk, remediation, job, attempt })
    }

    /// Runs it until its end, or until the agent is stopped.
    pub(in crate::execute) async fn run(mut self, stop: &CancellationToken) -> io::Result<Came> {
        if self.desk.journal.progress.finished.is_some() {
            return self.desk.tell_end();
        }
        if self.desk.journal.damaged {
            let why = "the job's journal was damaged: what was taken back cannot be known";
            return self.desk.finish(JobState::Unknown, why, None, Vec::new());
        }
        if self.desk.journal.progress.running {
            if self.desk.journal.after_stop {
                self.desk.note(Entry::Resumed { at: self.desk.shop.clock.now() })?;
            }
        } else {
            let work = Work::new(self.desk.order().task, self.remediation);
            let end = match self.desk.gate(work, stop).await? {
                Gate::Open => None,
                Gate::Ends(state, why) => Some((state, why)),
                Gate::Stopped => return Ok(Came::Stopped),
            };
            let shop = self.desk.shop;
            let never = || {
                let why = why_not(self.desk.order(), &shop.journals, shop.clock.now());
                why.map(|why| (JobState::Skipped, why))
            };
            if let Some((state, why)) = end.or_else(never) {
                return self.desk.finish(state, &why, None, Vec::new());
            }
            if let Some(why) = self.desk.begin(true)? {
                return self.desk.finish(JobState::Skipped, &why, None, Vec::new());
            }
            let note = format!("takes back try {} of job {}", self.attempt, self.job);
            self.desk.tell(JobState::Running, &note, None);
        }
        let path = self.desk.shop.journals.join(journal::name(self.job, self.attempt));
        let target = match Journal::read(&path) {
            Ok(target) => target,
            // It would never come back, and the host's other jobs would wait for it for ever.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(target) = target else {
            let why = "the journal of the job that is taken back is gone";
            return self.desk.finish(JobState::Failed, why, None, Vec::new());
        };
        let _at_work = AtWork::begin(&self.desk.shop.turns);
        self.work(&target, stop).await
    }

    async fn work(&mut self, target: &Progress, stop: &CancellationToken) -> io::Result<Came> {
        let claims = later_claims(&self.desk.shop.journals, target);
        loop {
            if stop.is_cancelled() {
                return Ok(Came::Stopped);
            }
            if self.desk.journal.progress.failure.is_none() {
                self.desk.look_for_recall()?;
            }
            let waits = |i: &usize| {
                let own = self.desk.journal.progress.step(*i);
                matches!(own, StepProgress::Waiting | StepProgress::Undoing { .. })
            };
            let next = (0..target.steps.len()).rev().find(waits);
            let resumes = self.desk.journal.progress.resumes;
            let failure = self.desk.journal.progress.failure.clone();
            match (next, failure) {
                (None, _) => return self.end(target),
                (Some(_), Some(why)) => {
                    let own = &self.desk.journal.progress;
                    let untouched = |step: &StepProgress| {
                        matches!(step, StepProgress::Waiting | StepProgress::Done { .. })
                    };
                    let cancelled = own.cancelled && own.steps.iter().all(untouched);
                    let state = if cancelled { JobState::Cancelled } else { JobState::Failed };
                    let why = format!("{why}; {}", self.summary(target).1);
                    return self.desk.finish(state, &why, None, Vec::new());
                }
                (Some(_), None) if resumes > limits::RESUMES => {
                    let reason = format!("the agent was stopped {resumes} times under it");
                    self.desk.give_up(&reason, false)?;
                }
                (Some(index), None) => self.take_back(index, target, &claims).await?,
            }
        }
    }

    async fn take_back(
        &mut self,
        index: usize,
        target: &Progress,
        claims: &BTreeMap<String, JobId>,
    ) -> io::Result<()> {
        let title = self.title(index, target);
        let log = self.desk.log(index, self.desk.journal.progress.resumes);
        let undo = match self.back(index, target, claims) {
            Back::Undo(undo) => undo,
            Back::Nothing(why) => {
                return self.desk.went(index, &title, StepState::AlreadyDone, &why, None, &log);
            }
            Back::Impossible(why) => {
                return self.desk.went(index, &title, StepState::UndoFailed, &why, None, &log);
            }
        };
        let shop = self.desk.shop;
        let order = self.desk.order();
        let kept = shop.outputs.join(format!("{}-{}-{index}", order.job, order.attempt));
        let bench = Bench {
            platform: shop.platform.as_ref(),
            prober: shop.prober.as_ref(),
            job: order.job,
            index: place(index),
            boot: &self.desk.boot.clone(),
            values: &std::sync::Arc::clone(&self.desk.values),
            update: None,
            now: shop.clock.now(),
            pauses: &shop.pauses,
            earlier: &[],
            idle: &[],
            quarantine: &shop.quarantine,
            timeout: STEP_TIME,
            look_every: shop.recheck_every,
            log: &log,
            kept: &kept,
        };
        // Looked at before the undo is begun; one that a crash broke off goes on.
        let begun = matches!(self.desk.journal.progress.step(index), StepProgress::Undoing { .. });
        let in_the_way = if begun { Ok(None) } else { steps::in_the_way(&undo, &bench) };
        match in_the_way {
            Ok(None) => {}
            Ok(Some(why)) => {
                return self.desk.went(index, &title, StepState::UndoFailed, &why, None, &log);
            }
            Err(error) => {
                return self.desk.outcome(index, &title, StepState::UndoFailed, error, &log);
            }
        }
        let boot = self.desk.boot.clone();
        let entry = Entry::Intent { step: place(index), undoing: true, undo: undo.clone(), boot };
        self.desk.journal.add(entry)?;
        crash_point(Point::JournalIntent);
        self.desk.tell_step(index, &title, StepState::Running, "is taken back", None, &log);
        let undone = match tokio::time::timeout(STEP_TIME, steps::undo(&undo, &bench)).await {
            Ok(undone) => undone,
            Err(_) => Err(StepError::failed("taking it back took too long")),
        };
        crash_point(Point::JournalEffect);
        match undone {
            Ok(detail) => self.desk.went(index, &title, StepState::Undone, &detail, None, &log),
            Err(error) => self.desk.outcome(index, &title, StepState::UndoFailed, error, &log),
        }
    }

    /// What is to be done about a step of the target, by its journal.
    fn back(&self, index: usize, target: &Progress, claims: &BTreeMap<String, JobId>) -> Back {
        if let StepProgress::Undoing { undo } = self.desk.journal.progress.step(index) {
            return Back::Undo(undo.clone());
        }
        let undo = match target.step(index) {
            StepProgress::Waiting => return Back::Nothing("it was not done".to_owned()),
            StepProgress::Undone => return Back::Nothing("its own job took it back".to_owned()),
            StepProgress::Done { state: StepState::AlreadyDone, .. } => {
                return Back::Nothing("it changed nothing: it was so already".to_owned());
            }
            StepProgress::Done { undo, .. }
            | StepProgress::Failed { undo }
            | StepProgress::Intent { undo, .. }
            | StepProgress::Undoing { undo }
            | StepProgress::UndoFailed { undo }
            | StepProgress::Unknown { undo } => undo,
        };
        match undo {
            UndoRecord::Nothing => return self.without_record(index, target),
            UndoRecord::Pause { .. } => {
                return Back::Nothing("the pause ended with its job".to_owned());
            }
            UndoRecord::RestorePoint { .. } if self.is_way_back(index, target) => {
                let why = "the restore point stays: it is the only way back from a step after it";
                return Back::Nothing(why.to_owned());
            }
            _ => {}
        }
        match claim_of(undo).and_then(|claim| claims.get(&claim)) {
            Some(by) => Back::Impossible(format!(
                "job {by} changed the same later: it stays until that one is taken back"
            )),
            None => Back::Undo(undo.clone()),
        }
    }

    fn without_record(&self, index: usize, target: &Progress) -> Back {
        let Some(remediation) = self.remediation else {
            return Back::Impossible(format!(
                "nothing was kept for taking it back, and this agent has \"{}\" in another version: whether it changed anything for good cannot be told",
                target.order.remediation
            ));
        };
        let why = remediation.steps.get(index).and_then(|s| s.action.why_final(Lang::En));
        match why {
            Some(why) => Back::Impossible(format!("cannot be taken back: {why}")),
            None => Back::Nothing("it changed nothing that stays".to_owned()),
        }
    }

    /// Whether a step after this restore point was done that has no undo of its own. Where that is
    /// not known the restore point stays.
    fn is_way_back(&self, index: usize, target: &Progress) -> bool {
        let Some(remediation) = self.remediation else { return true };
        (index + 1..remediation.steps.len()).any(|i| {
            let done = !matches!(target.step(i), StepProgress::Waiting);
            done && remediation.steps[i].action.undo() == Undo::None
        })
    }

    fn title(&self, index: usize, target: &Progress) -> String {
        let action = self.remediation.and_then(|r| r.steps.get(index)).map(|s| s.action.title());
        action.unwrap_or_else(|| format!("step {} of \"{}\"", index + 1, target.order.remediation))
    }

    fn end(&mut self, target: &Progress) -> io::Result<Came> {
        let (whole, words) = self.summary(target);
        let state = if whole { JobState::RolledBack } else { JobState::Failed };
        self.desk.finish(state, &words, None, Vec::new())
    }

    /// Whether all is taken back, and in words what is.
    fn summary(&self, target: &Progress) -> (bool, String) {
        let own = &self.desk.journal.progress;
        let all = 0..target.steps.len();
        let undone = all.clone().filter(|i| *own.step(*i) == StepProgress::Undone).count();
        let stays: Vec<String> = all
            .filter(|i| {
                let nothing = matches!(own.step(*i), StepProgress::Done { .. });
                !nothing && *own.step(*i) != StepProgress::Undone
            })
            .map(|i| format!("step {} ({})", i + 1, self.title(i, target)))
            .collect();
        let steps = if undone == 1 { "step" } else { "steps" };
        if stays.is_empty() {
            return (true, format!("{undone} {steps} taken back, and nothing else was left"));
        }
        (false, format!("{undone} {steps} taken back; not taken back: {}", stays.join(", ")))
    }
}

/// The thing that an undo puts back, by a name; `None` where several jobs may have to do with it.
fn claim_of(undo: &UndoRecord) -> Option<String> {
    match undo {
        UndoRecord::Moved { from, .. } => Some(format!("path {from}")),
        UndoRecord::RegistryWas { hive, key, name, .. } => {
            Some(format!("value {hive}\\{key}\\{name}").to_lowercase())
        }
        UndoRecord::ServiceStart { service, .. } => {
            Some(format!("start type of {service}").to_lowercase())
        }
        UndoRecord::Detached { path, .. } => Some(format!("link {path}").to_lowercase()),
        UndoRecord::Nothing
        | UndoRecord::Made { .. }
        | UndoRecord::ServiceRan { .. }
        | UndoRecord::Pause { .. }
        | UndoRecord::RestorePoint { .. } => None,
    }
}

/// What jobs of this host changed after the target, and nobody took back.
fn later_claims(journals: &Path, target: &Progress) -> BTreeMap<String, JobId> {
    let undone = undone_by(journals);
    let mut claims = BTreeMap::new();
    for path in journal::list(journals).unwrap_or_default() {
        let Ok(Some(later)) = Journal::read(&path) else { continue };
        let (job, attempt) = (later.order.job, later.order.attempt);
        let this = (target.order.job, target.order.attempt);
        if (job, attempt) <= this
            || later.order.task != Task::Remediate
            || undone.contains_key(&(job, attempt))
        {
            continue;
        }
        for step in &later.steps {
            if let StepProgress::Done { undo, state: StepState::Done }
            | StepProgress::Intent { undo, .. }
            | StepProgress::Failed { undo }
            | StepProgress::UndoFailed { undo }
            | StepProgress::Unknown { undo } = step
                && let Some(claim) = claim_of(undo)
            {
                claims.insert(claim, job);
            }
        }
    }
    claims
}

/// Tries that were taken back whole, by the job that did.
fn undone_by(journals: &Path) -> BTreeMap<(JobId, u32), JobId> {
    let mut undone = BTreeMap::new();
    for path in journal::list(journals).unwrap_or_default() {
        let Ok(Some(progress)) = Journal::read(&path) else { continue };
        if let Task::Undo { job, attempt } = progress.order.task
            && progress.finished.is_some_and(|end| end.state == JobState::RolledBack)
        {
            undone.insert((job, attempt), progress.order.job);
        }
    }
    undone
}
