//! One step: done, taken back, or asked after when a crash hid it. The journal has each before it
//! happens.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::job::{JobState, StepState};
use fleetmend_core::step::{Action, Step};
use fleetmend_core::words::Slug;
use fleetmend_faults::{Mistake, Point, crash_point, mistaken};

use super::{Runner, place};
use crate::execute::Shop;
use crate::execute::journal::{Entry, StepProgress};
use crate::execute::output::StepLog;
use crate::execute::steps::{self, AfterCrash, Bench, Checked, StepError, UndoRecord};
use crate::state;

/// Beyond a step's own time: for its checks.
const GRACE: Duration = Duration::from_secs(30);

/// What a step is done with, apart from the runner that writes it down.
struct Set {
    job: JobId,
    index: usize,
    boot: String,
    values: Arc<BTreeMap<Slug, String>>,
    update: Option<String>,
    earlier: Vec<UndoRecord>,
    idle: Vec<String>,
    log: StepLog,
    kept: PathBuf,
}

impl Runner<'_> {
    pub(super) async fn do_step(&mut self, index: usize) -> io::Result<()> {
        let step = self.steps[index].clone();
        let title = step.action.title();
        let set = self.set(index, 2 * self.desk.journal.progress.resumes);
        let bench = set.bench(self.desk.shop, &step);
        let log = &set.log;
        let undo = match steps::check(&step.action, &bench).await {
            Err(error) => return self.desk.outcome(index, &title, StepState::Failed, error, log),
            Ok(Checked::AlreadySo(detail)) => {
                return self.desk.went(index, &title, StepState::AlreadyDone, &detail, None, log);
            }
            Ok(Checked::Todo(undo)) => undo,
        };
        let first = !mistaken(Mistake::JournalAfterEffect);
        let runs = matches!(step.action, Action::ToolRun { .. } | Action::BackupRun { .. });
        let mut ready = if runs { set.clear() } else { Ok(()) };
        if first && ready.is_ok() {
            ready = self.intent(index, false, undo.clone());
        }
        if let Err(error) = ready {
            return self.not_begun(index, &step, error);
        }
        if first {
            crash_point(Point::JournalIntent);
        }
        if matches!(step.action, Action::Reboot {}) {
            let why = "a restart is the next step";
            self.desk.tell(JobState::RebootPending, why, None);
            self.desk.state = JobState::Rebooting;
        }
        self.desk.tell_step(index, &title, StepState::Running, "", None, log);
        let time = Duration::from_secs(step.timeout_s.into());
        let work = async {
            let applied = steps::apply(&step.action, &undo, &bench).await?;
            steps::verify(&step.action, &undo, &bench).await?;
            Ok::<_, StepError>(applied)
        };
        let done = match tokio::time::timeout(time + GRACE, work).await {
            Ok(done) => done,
            Err(_) => Err(StepError::failed(format!("it took longer than {} s", time.as_secs()))),
        };
        crash_point(Point::JournalEffect);
        if !first {
            self.intent(index, false, undo)?;
        }
        match done {
            Ok(applied) => {
                self.desk.went(index, &title, StepState::Done, &applied.detail, applied.exit, log)
            }
            Err(error) => self.desk.outcome(index, &title, StepState::Failed, error, log),
        }
    }

    pub(super) async fn undo_step(&mut self, index: usize) -> io::Result<()> {
        let step = self.steps[index].clone();
        let title = step.action.title();
        let set = self.set(index, 2 * self.desk.journal.progress.resumes + 1);
        let undo = match self.desk.journal.progress.step(index) {
            StepProgress::Done { undo, .. }
            | StepProgress::Failed { undo }
            | StepProgress::Undoing { undo } => undo.clone(),
            _ => UndoRecord::Nothing,
        };
        self.intent(index, true, undo.clone())?;
        let bench = set.bench(self.desk.shop, &step);
        let time = Duration::from_secs(step.timeout_s.into()) + GRACE;
        let undone = match tokio::time::timeout(time, steps::undo(&undo, &bench)).await {
            Ok(undone) => undone,
            Err(_) => Err(StepError::failed("taking it back took too long")),
        };
        match undone {
            Ok(detail) => self.desk.went(index, &title, StepState::Undone, &detail, None, &set.log),
            Err(error) => self.desk.outcome(index, &title, StepState::UndoFailed, error, &set.log),
        }
    }

    /// Asks the host what became of a step that a crash hid.
    pub(super) async fn clear(&mut self, index: usize) -> io::Result<()> {
        let step = self.steps[index].clone();
        let title = step.action.title();
        let StepProgress::Intent { undo, boot } = self.desk.journal.progress.step(index).clone()
        else {
            return Ok(());
        };
        let same_boot = boot == self.desk.boot;
        let set = self.set(index, 2 * self.desk.journal.progress.resumes.saturating_sub(1));
        let bench = set.bench(self.desk.shop, &step);
        let log = &set.log;
        match steps::after_crash(&step.action, &undo, same_boot, &bench).await {
            AfterCrash::Done(detail) => {
                self.desk.went(index, &title, StepState::Done, &detail, None, log)
            }
            AfterCrash::NotDone => self.desk.note(Entry::NotDone { step: place(index) }),
            AfterCrash::Unclear(why) => {
                self.desk.went(index, &title, StepState::Unknown, &why, None, log)
            }
            AfterCrash::Ended(Ok(applied)) => {
                self.desk.went(index, &title, StepState::Done, &applied.detail, applied.exit, log)
            }
            AfterCrash::Ended(Err(error)) => {
                self.desk.outcome(index, &title, StepState::Failed, error, log)
            }
        }
    }

    /// A restart that came to nothing while it was waited for.
    pub(super) fn not_restarted(&mut self, index: usize, why: &str) -> io::Result<()> {
        let (title, log) = (self.steps[index].action.title(), self.desk.log(index, 0));
        self.desk.went(index, &title, StepState::Failed, why, None, &log)
    }

    /// Somebody else was quicker: what the restart is for is done.
    pub(super) fn restarted_by_others(&mut self, index: usize) -> io::Result<()> {
        let (title, log) = (self.steps[index].action.title(), self.desk.log(index, 0));
        let why = "the host has restarted while this was waited for";
        self.desk.went(index, &title, StepState::AlreadyDone, why, None, &log)
    }

    /// A step whose intent could not be written down is not done: the job says so and ends, with the
    /// room that is kept for it. Where not even that can be written, it waits for the disk.
    fn not_begun(&mut self, index: usize, step: &Step, error: io::Error) -> io::Result<()> {
        if !state::is_full(&error) {
            return Err(error);
        }
        let (place, title) = (index + 1, step.action.title());
        let why = format!(
            "step {place} ({title}) was not begun, for it could not be written down first: {error}"
        );
        self.desk.give_up(&why, false)
    }

    fn intent(&mut self, index: usize, undoing: bool, undo: UndoRecord) -> io::Result<()> {
        let boot = self.desk.boot.clone();
        self.desk.journal.add(Entry::Intent { step: place(index), undoing, undo, boot })
    }

    fn set(&self, index: usize, telling: u32) -> Set {
        let order = self.desk.order();
        let done = |step: &StepProgress| match step {
            StepProgress::Done { undo, .. } => Some(undo.clone()),
            _ => None,
        };
        let before = || self.steps.iter().zip(&self.desk.journal.progress.steps).take(index);
        let idle = |(step, progress): (&Step, &StepProgress)| match (&step.action, progress) {
            // An intent would have left its undo: the job itself stopped it then.
            (
                Action::ServiceStop { service },
                StepProgress::Done { state: StepState::AlreadyDone, undo: UndoRecord::Nothing },
            ) => Some(service.clone()),
            _ => None,
        };
        Set {
            job: order.job,
            index,
            boot: self.desk.boot.clone(),
            values: Arc::clone(&self.desk.values),
            update: order.key.update().map(str::to_owned),
            earlier: self.desk.journal.progress.steps.iter().take(index).filter_map(done).collect(),
            idle: before().filter_map(idle).collect(),
            log: self.desk.log(index, telling),
            kept: self.desk.shop.outputs.join(format!("{}-{}-{index}", order.job, order.attempt)),
        }
    }
}

impl Set {
    fn bench<'b>(&'b self, shop: &'b Shop, step: &Step) -> Bench<'b> {
        Bench {
            platform: shop.platform.as_ref(),
            prober: shop.prober.as_ref(),
            job: self.job,
            index: place(self.index),
            boot: &self.boot,
            values: &self.values,
            update: self.update.as_deref(),
            now: shop.clock.now(),
            pauses: &shop.pauses,
            earlier: &self.earlier,
            idle: &self.idle,
            quarantine: &shop.quarantine,
            timeout: Duration::from_secs(step.timeout_s.into()),
            look_every: shop.recheck_every,
            log: &self.log,
            kept: &self.kept,
        }
    }

    /// An empty folder for what the program leaves, on disk before the intent is: one that is
    /// missing after a crash tells nothing, one that is empty tells that nothing was begun.
    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&self.kept)?;
        state::sync_dir(self.kept.parent().unwrap_or(&self.kept))
    }
}
