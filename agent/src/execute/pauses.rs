//! What leaves the host less protected for a while: the firewall off, places not scanned. Each pause
//! is on disk before its effect, with what is to be put back; it ends with its job's steps, at its own
//! time, and when the agent is started again. The server has no part in that.
//!
//! Invariant: what is not in the register is not paused by this agent. Ending a pause puts back what
//! was saved, looks whether it is so, and only then takes it out of the register.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::limits;
use fleetmend_core::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::{Instant, sleep, timeout};

use crate::platform::{FirewallProfile, FirewallState, Platform};
use crate::state::{StateDir, StateError};

const NAME: &str = "pauses.json";

/// What is paused, with what is to be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(crate) enum Paused {
    /// The firewall's profiles are off.
    Firewall {
        /// Those that were on.
        was: FirewallState,
    },
    /// Windows' own virus scanner leaves these places alone.
    Antivirus {
        /// Those that it did not leave alone before.
        excluded: Vec<String>,
    },
}

/// A pause of a job's step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// The job.
    pub job: JobId,
    /// The step's place.
    pub step: u32,
    /// What is paused.
    pub paused: Paused,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// The register of pauses.
#[derive(Debug)]
pub(super) struct Pauses {
    state: StateDir,
    platform: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
    open: Mutex<Register>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Register {
    pauses: Vec<Pause>,
    /// The same ends on the clock that nobody can set, for pauses of this process.
    ends: BTreeMap<(JobId, u32), Instant>,
    /// Jobs whose pauses were ended by their journals, for the file cannot be trusted.
    by_journal: BTreeSet<JobId>,
    /// Why the register's file cannot be trusted, where it cannot.
    damaged: Option<String>,
}

impl Pauses {
    /// Opens the register. What it holds is of an agent before this one, and ends at once
    /// ([`Pauses::guard`]).
    pub(super) fn open(
        state: &StateDir,
        platform: Arc<dyn Platform>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (pauses, damaged) = match state.read_json::<Vec<Pause>>(NAME) {
            Ok(pauses) => (pauses.unwrap_or_default(), None),
            Err(error) => {
                tracing::error!(%error, "register of pauses unreadable: look at the host's firewall and scanner");
                (Vec::new(), Some(error.to_string()))
            }
        };
        let open = Mutex::new(Register {
            pauses,
            ends: BTreeMap::new(),
            by_journal: BTreeSet::new(),
            damaged,
        });
        Self { state: state.clone(), platform, clock, open, bell: Notify::new() }
    }

    /// Writes a pause down, before its effect.
    pub(super) async fn begin(&self, pause: Pause, length: Duration) -> Result<(), String> {
        let mut open = self.open.lock().await;
        if let Some(why) = &open.damaged {
            return Err(format!("the register of pauses cannot be read, so none is begun: {why}"));
        }
        let at = (pause.job, pause.step);
        let mut next = open.pauses.clone();
        next.retain(|p| (p.job, p.step) != at);
        next.push(pause);
        self.save(&next).map_err(|error| format!("it could not be written down first: {error}"))?;
        open.pauses = next;
        open.ends.insert(at, Instant::now() + length);
        self.bell.notify_one();
        Ok(())
    }

    /// Whether a step's pause goes on.
    pub(super) async fn lasts(&self, job: JobId, step: u32) -> bool {
        let open = self.open.lock().await;
        open.pauses.iter().any(|p| (p.job, p.step) == (job, step))
            && !self.over(&open).any(|p| p.job == job && p.step == step)
    }

    /// Ends a job's pauses; says what was put back. `Err` says what could not be: it is tried again
    /// until it is so.
    pub(super) async fn end(&self, job: JobId) -> Result<Vec<String>, String> {
        let mut open = self.open.lock().await;
        let mine: Vec<Pause> = open.pauses.iter().filter(|p| p.job == job).cloned().collect();
        self.end_these(&mut open, mine).await
    }

    /// Ends a job's pauses, one of which its journal tells. Where the register cannot be read the
    /// journal is believed: what it says is put back.
    pub(super) async fn end_known(
        &self,
        job: JobId,
        paused: &Paused,
    ) -> Result<Vec<String>, String> {
        let damaged = self.open.lock().await.damaged.is_some();
        if !damaged {
            return self.end(job).await;
        }
        let put = put_back(self.platform.as_ref(), paused).await;
        put.map(|words| vec![words]).map_err(|error| error.to_string())
    }

    /// Ends a job's pauses, all of which its journal tells, before it goes on without them or ends. Where
    /// the register cannot be read, each is put back once in the life of this agent.
    pub(super) async fn end_all_known(
        &self,
        job: JobId,
        paused: &[Paused],
    ) -> Result<Vec<String>, String> {
        {
            let open = self.open.lock().await;
            if open.damaged.is_none() || open.by_journal.contains(&job) {
                drop(open);
                return self.end(job).await;
            }
        }
        let mut said = Vec::new();
        for paused in paused.iter().rev() {
            let put = put_back(self.platform.as_ref(), paused).await;
            said.push(put.map_err(|error| error.to_string())?);
        }
        self.open.lock().await.by_journal.insert(job);
        Ok(said)
    }

    /// Ends what an earlier agent left, and from then on whatever is over. Never returns.
    pub(super) async fn guard(&self, every: Duration) {
        loop {
            let waits = {
                let mut open = self.open.lock().await;
                let over: Vec<Pause> = self.over(&open).cloned().collect();
                for pause in &over {
                    tracing::warn!(job.id = %pause.job, step = pause.step, "a pause is over");
                }
                match self.end_these(&mut open, over).await {
                    Ok(said) => said.iter().for_each(|said| tracing::warn!("{said}")),
                    Err(error) => {
                        tracing::error!(%error, "a pause could not be ended: tried again");
                    }
                }
                !open.pauses.is_empty()
            };
            if waits {
                sleep(every).await;
            } else {
                self.bell.notified().await;
            }
        }
    }

    /// Ends all, for the agent stops.
    pub(super) async fn end_all(&self) {
        let mut open = self.open.lock().await;
        let all = open.pauses.clone();
        match self.end_these(&mut open, all).await {
            Ok(said) => said.iter().for_each(|said| tracing::warn!("{said}")),
            Err(error) => {
                tracing::error!(%error, "a pause could not be ended: tried at the next start");
            }
        }
    }

    /// Pauses that are over: their time is up by either clock, or their process is gone.
    fn over<'r>(&self, open: &'r MutexGuard<'_, Register>) -> impl Iterator<Item = &'r Pause> {
        let (now, at) = (self.clock.now(), Instant::now());
        open.pauses.iter().filter(move |pause| {
            let end = open.ends.get(&(pause.job, pause.step));
            now >= pause.until || end.is_none_or(|end| at >= *end)
        })
    }

    async fn end_these(
        &self,
        open: &mut MutexGuard<'_, Register>,
        pauses: Vec<Pause>,
    ) -> Result<Vec<String>, String> {
        let (mut said, mut failed) = (Vec::new(), Vec::new());
        // The latest first: what it found was what an earlier one had made.
        for pause in pauses.into_iter().rev() {
            match put_back(self.platform.as_ref(), &pause.paused).await {
                Ok(words) => {
                    let at = (pause.job, pause.step);
                    let mut next = open.pauses.clone();
                    next.retain(|p| (p.job, p.step) != at);
                    if let Err(error) = self.save(&next) {
                        failed
                            .push(format!("{words}, and that could not be written down: {error}"));
                        continue;
                    }
                    open.pauses = next;
                    open.ends.remove(&at);
                    said.push(words);
                }
                Err(error) => failed.push(error.to_string()),
            }
        }
        if failed.is_empty() { Ok(said) } else { Err(failed.join("; ")) }
    }

    fn save(&self, pauses: &[Pause]) -> Result<(), StateError> {
        self.state.write_json(NAME, &pauses)
    }
}

/// Puts back what was, and looks whether it is so. What does not answer has failed, and is tried again.
async fn put_back(platform: &dyn Platform, paused: &Paused) -> io::Result<String> {
    let time = limits::PROBE_TIME;
    match timeout(time, put_back_at_last(platform, paused)).await {
        Ok(put) => put,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("putting it back took longer than {} s", time.as_secs()),
        )),
    }
}

async fn put_back_at_last(platform: &dyn Platform, paused: &Paused) -> io::Result<String> {
    match paused {
        Paused::Firewall { was } => {
            let is = platform.firewall(Some(was)).await?;
            let wrong = was.iter().find(|(profile, on)| is.get(*profile) != Some(*on));
            if let Some((profile, on)) = wrong {
                let (profile, on) = (profile.as_str(), word(*on));
                return Err(io::Error::other(format!(
                    "the firewall's profile {profile} was {on}, and is not again"
                )));
            }
            Ok(format!("the firewall is as it was: {}", profiles(was)))
        }
        Paused::Antivirus { excluded } => {
            let mut said = Vec::new();
            for path in excluded {
                // Ours is gone; one that a policy added meanwhile is not ours to end.
                let still = platform.antivirus_exclusion(path, Some(false)).await?;
                let words = if still { "not scanned, by a policy" } else { "scanned again" };
                said.push(format!("{words}: {path}"));
            }
            Ok(said.join(", "))
        }
    }
}

/// The profiles in words.
pub(super) fn profiles(state: &FirewallState) -> String {
    let told = |(profile, on): (&FirewallProfile, &bool)| format!("{profile} {}", word(*on));
    state.iter().map(told).collect::<Vec<_>>().join(", ")
}

const fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
