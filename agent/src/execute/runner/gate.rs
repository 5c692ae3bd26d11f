//! What must hold before a job begins: the host's ceiling, the halt of the fleet, freezes, the order's
//! spans, and that nothing on the host stands in the way. What passes by itself is waited for until
//! the order expires.

use std::io;
use std::time::Duration;

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::job::JobState;
use fleetmend_core::knowledge::{NetworkCost, Remediation};
use fleetmend_core::limits;
use fleetmend_core::order::{Order, Task};
use fleetmend_core::step::{Action, Step};
use fleetmend_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::patience::Patience;
use super::restart;
use crate::execute::Shop;
use crate::execute::ceiling::{Asked, Ceiling, Objection, halted};
use crate::execute::journal::Entry;
use crate::execute::steps;
use crate::prober;
use crate::state::{self, StateError};

/// How long the logs may take to be read before a job moves them.
const LOOK: Duration = Duration::from_mins(2);
/// What a job's log says where they were not.
const NOT_READ: &str = "warning: the logs were not read before this job's steps: failures that are told only in files which it moves or removes may stay unreported";
/// Minutes that taking back takes where the remediation is not known any more.
const UNDO_MINUTES: u32 = 10;
/// A battery with less than this, in percent, is low.
const LOW_BATTERY: u8 = 30;

/// What is about to begin, as far as anything may speak against it.
#[derive(Debug, Clone, Copy)]
pub(in crate::execute) struct Work<'r> {
    task: Task,
    /// The remediation, where this agent has it as the order means it.
    remediation: Option<&'r Remediation>,
}

/// How the gate was passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may begin.
    Open,
    /// It ends here.
    Ends(JobState, String),
    /// The agent stops.
    Stopped,
}

/// Why it does not begin now, and the state that it waits in.
pub(super) struct Obstacle {
    pub(super) why: String,
    state: JobState,
}

impl Obstacle {
    fn blocks(why: String) -> Self {
        Self { why, state: JobState::Blocked }
    }
}

impl<'r> Work<'r> {
    pub(in crate::execute) fn new(task: Task, remediation: Option<&'r Remediation>) -> Self {
        Self { task, remediation }
    }

    /// What the host's ceiling says to it; `None` where it says nothing against it.
    pub(in crate::execute) fn objection(self, shop: &Shop) -> (Option<Objection>, Option<String>) {
        let loaded = Ceiling::load(&shop.ceiling_file);
        if !self.changes() {
            return (None, loaded.problem);
        }
        let now = shop.clock.now();
        let asked = match (self.task, self.remediation) {
            (Task::Remediate, Some(remediation)) => Asked::remediation(remediation),
            (Task::Verify, Some(remediation)) => Asked::proof(remediation),
            (_, remediation) => Asked::undo(remediation),
        };
        (loaded.ceiling.objection(&asked, shop.book().begun_today(now), now), loaded.problem)
    }

    /// Whether it changes anything on the host. Some proofs do: they start a unit, or fetch lists.
    pub(super) fn changes(self) -> bool {
        match self.task {
            Task::Remediate | Task::Undo { .. } => true,
            Task::Verify => self.remediation.is_none_or(|r| r.verification.changes()),
        }
    }

    /// Whether the host is restarted in it.
    fn restarts(self) -> bool {
        self.task == Task::Remediate && self.remediation.is_some_and(restart::is_needed)
    }

    fn minutes(self) -> u32 {
        match self.task {
            Task::Remediate | Task::Undo { .. } => {
                self.remediation.map_or(UNDO_MINUTES, |r| r.minutes)
            }
            Task::Verify => 1,
        }
    }

    fn moves_files(self) -> bool {
        let moves = |step: &Step| {
            matches!(step.action, Action::FileRename { .. } | Action::FileQuarantine { .. })
        };
        let steps = self.remediation.map(|r| &r.steps[..]).unwrap_or_default();
        self.task != Task::Verify && steps.iter().any(moves)
    }

    /// What of the order itself can never be done on this host.
    async fn never(self, order: &Order, shop: &Shop) -> Option<String> {
        if let (Task::Remediate, Some(remediation)) = (self.task, self.remediation)
            && let Ok(facts) = shop.platform.facts()
            && let Some(why) = steps::none_is_there(&remediation.steps, &facts.os_build)
        {
            return Some(why);
        }
        if !self.restarts() {
            return None;
        }
        if order.reboot == RebootPolicy::Never {
            return Some(format!(
                "\"{}\" restarts the host, and the order allows no restart",
                order.remediation
            ));
        }
        if order.reboot == RebootPolicy::InWindow && order.begin_in.is_empty() {
            return Some(format!(
                "\"{}\" restarts the host, which the order allows in its window only, and it has none",
                order.remediation
            ));
        }
        restart::never(shop).await.map(|why| format!("it restarts the host: {why}"))
    }
}

impl Desk<'_> {
    /// Waits until nothing stands in the way any more.
    pub(super) async fn gate(&self, work: Work<'_>, stop: &CancellationToken) -> io::Result<Gate> {
        let mut told = String::new();
        let mut looked = false;
        if let Some(why) = work.never(self.order(), self.shop).await {
            return Ok(Gate::Ends(JobState::Skipped, why));
        }
        let patience = Patience::until(self.order().expires, self.shop.clock.now());
        loop {
            let now = self.shop.clock.now();
            if let Some(end) = self.recalled() {
                return Ok(end);
            }
            let (objection, problem) = work.objection(self.shop);
            if let Some(problem) = &problem {
                tracing::error!("{problem}");
            }
            let obstacle = match objection {
                Some(Objection::Refused(why)) => {
                    return Ok(Gate::Ends(JobState::Skipped, why));
                }
                Some(Objection::NotNow(why)) => Some(Obstacle::blocks(why)),
                None => match self.not_now(work) {
                    Some(obstacle) => Some(obstacle),
                    None => self.blocker(work).await.map(Obstacle::blocks),
                },
            };
            // It may have waited behind another job, or for a stopped agent, and not for an obstacle.
            let late = patience.is_over_by(limits::CLOCK_SKEW, now);
            let late = late.then(|| "the agent had other work, or did not run".to_owned());
            let Some(Obstacle { why, state }) = obstacle.or(late.map(Obstacle::blocks)) else {
                if looked || !work.moves_files() {
                    return Ok(Gate::Open);
                }
                // The look takes its time: what stands in the way is asked again after it.
                looked = true;
                tokio::select! {
                    () = self.read_before_it_is_moved() => {}
                    () = stop.cancelled() => return Ok(Gate::Stopped),
                }
                continue;
            };
            if patience.is_over(now) {
                let why = format!("its time was over before it could begin: {why}");
                return Ok(Gate::Ends(JobState::Skipped, why));
            }
            if told != why {
                self.tell(state, &why, None);
                told = why;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Gate::Stopped),
                () = self.recalls.changed() => {}
                () = self.shop.holds.changed() => {}
                () = tokio::time::sleep(self.shop.recheck_every) => {}
            }
        }
    }

    /// Whether what takes no time to ask speaks against it now: while a probe was asked somebody may
    /// have taken the job back, or halted the fleet or this host.
    pub(super) fn is_held(&self, work: Work<'_>) -> bool {
        self.recalled().is_some() || self.not_now(work).is_some()
    }

    /// The end of a job that somebody took back, or that the host's kill switch keeps from beginning.
    fn recalled(&self) -> Option<Gate> {
        if let Some(reason) = self.recalls.of(self.order().job) {
            return Some(Gate::Ends(JobState::Cancelled, reason));
        }
        let file = halted(self.shop.state.path(), &self.shop.ceiling_file)?;
        let why = format!("the host's kill switch is set: {}", file.display());
        Some(Gate::Ends(JobState::Skipped, why))
    }

    /// Writes down that it begins. `Some` where that cannot be written: the words of its end.
    pub(super) fn begin(&mut self, counted: bool) -> io::Result<Option<String>> {
        let now = self.shop.clock.now();
        let begun = if counted { self.shop.begin(now) } else { Ok(()) };
        let begun = begun.map_err(StateError::into_io);
        match begun.and_then(|()| self.journal.add(Entry::Running { at: now })) {
            Ok(()) => Ok(None),
            Err(error) if state::is_full(&error) => {
                Ok(Some(format!("not begun, for it could not be written down first: {error}")))
            }
            Err(error) => Err(error),
        }
    }

    /// The halt, freezes, the order's own spans, and a clock by which none of these can be told.
    fn not_now(&self, work: Work<'_>) -> Option<Obstacle> {
        let now = self.shop.clock.now();
        let since = self.order().not_before;
        // When the order was taken its time had come: since then the clock was set back, as by a start
        // without a battery of its own.
        let clock = (now.after(limits::CLOCK_SKEW) < since).then(|| {
            format!("clock_wrong: by this host's clock it is {now}, and the order is of {since}")
        });
        clock.map(Obstacle::blocks).or_else(|| self.held(now, work.changes(), Some(work.minutes())))
    }

    /// The halt, freezes and the order's own spans, with `minutes` of work ahead; by the server's clock
    /// too, where this host's is another.
    pub(super) fn held(
        &self,
        now: Timestamp,
        changes: bool,
        minutes: Option<u32>,
    ) -> Option<Obstacle> {
        let holds = &self.shop.holds;
        let at = |now| {
            let waits = |why| Obstacle { why, state: JobState::WaitingWindow };
            let window = || self.order().waits_for_window(now, minutes?).map(waits);
            holds.obstacle(now, changes).map(Obstacle::blocks).or_else(window)
        };
        let by_server = || {
            let there = holds.server_time(now)?;
            let Obstacle { why, state } = at(there)?;
            let why = format!("{why} (by its server's clock it is {there}, by its own {now})");
            Some(Obstacle { why, state })
        };
        at(now).or_else(by_server)
    }

    /// What on the host stands in the way, by name.
    async fn blocker(&self, work: Work<'_>) -> Option<String> {
        if !work.changes() {
            return None;
        }
        let platform = self.shop.platform.as_ref();
        if let Ok(power) = platform.power().await
            && power.on_battery
            && power.percent.is_some_and(|left| left < LOW_BATTERY)
        {
            let left = power.percent.unwrap_or_default();
            return Some(format!("low_battery: the host runs on battery, {left} % left"));
        }
        let remediation = work.remediation.filter(|_| work.task != Task::Verify)?;
        let fetches = remediation.network == NetworkCost::Large && work.task == Task::Remediate;
        if fetches && platform.metered().await.is_ok_and(|metered| metered) {
            return Some("metered_network: the network in use is marked as metered".to_owned());
        }
        for probe in &remediation.blockers {
            let seen = self.ask(probe).await;
            if prober::is_yes(&seen) {
                return Some(format!("{probe}: {}", seen.proof));
            }
        }
        None
    }

    /// Has the logs read before a step moves the folder they lie in: what they tell of is history
    /// afterwards. Where that takes too long, or nobody looks, the job goes on and says so: what is
    /// moved is kept.
    async fn read_before_it_is_moved(&self) {
        if !self.shop.looks.look(LOOK).await {
            tracing::warn!(job.id = %self.order().job, "logs not read before the job's steps");
            self.say_before(NOT_READ);
        }
    }
}
