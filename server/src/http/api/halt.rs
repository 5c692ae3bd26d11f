//! `/api/v1/halt`: stops the whole fleet, and says what still runs where.

use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{HaltMark, Job, JobFilter, PageRequest, StoreError};
use serde::Serialize;

use super::hosts::Why;
use super::reason;
use crate::halt::Standing;
use crate::http::call::{Call, ok};
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// Whether the fleet is halted, and what still runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Halt)]
pub(crate) struct HaltView {
    /// Whether nothing new starts.
    pub(crate) halted: bool,
    /// What halts it: none, one, or both ways.
    pub(crate) by: Vec<HaltMarkView>,
    /// Jobs that have begun and are not over, newest first; at most 1,000.
    pub(crate) running: Vec<RunningView>,
    /// How many have begun and are not over.
    pub(crate) running_total: u64,
    /// How many were offered to an agent that has not begun them.
    pub(crate) offered_total: u64,
    /// How many wait to be offered.
    pub(crate) waiting_total: u64,
}

/// One way in which the fleet is halted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = HaltMark)]
pub(crate) struct HaltMarkView {
    /// `file` or `database`.
    pub(crate) way: &'static str,
    /// Who.
    pub(crate) by: String,
    /// Since when.
    #[schema(value_type = String)]
    pub(crate) since: Timestamp,
    /// Why; empty where nobody said.
    pub(crate) reason: String,
    /// How to lift it.
    pub(crate) lift: &'static str,
}

/// A job that runs on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RunningJob)]
pub(crate) struct RunningView {
    /// The job.
    #[schema(value_type = String)]
    pub(crate) job: JobId,
    /// The host.
    #[schema(value_type = String)]
    pub(crate) host: HostId,
    /// The host's name.
    pub(crate) host_name: String,
    /// Whether the host is simulated.
    pub(crate) simulated: bool,
    /// Where the job stands.
    pub(crate) state: &'static str,
    /// What it does.
    pub(crate) remediation: String,
    /// When it began.
    #[schema(value_type = Option<String>)]
    pub(crate) begun_at: Option<Timestamp>,
}

const BY_FILE: &str = "on the server's machine: fleetmend-server halt --off";
const BY_DATABASE: &str = "DELETE /api/v1/halt, or fleetmend halt --off";

/// Says whether the fleet is halted.
pub(crate) async fn get(call: Call) -> Answer {
    ok(&view(&call).await?)
}

/// Halts the fleet.
pub(crate) async fn post(call: Call) -> Answer {
    let body: Why = call.json()?;
    stop(&call, &body.reason).await?;
    ok(&view(&call).await?)
}

/// Lifts the halt that the database holds.
pub(crate) async fn delete(call: Call) -> Answer {
    lift(&call).await?;
    ok(&view(&call).await?)
}

/// Halts the fleet. Also used by pages.
pub(crate) async fn stop(call: &Call, why: &str) -> Result<(), Problem> {
    let why = reason(why)?;
    let done = call.db().halt(why, &call.actor(), call.now).await;
    done.map_err(|error| local_way(error, "fleetmend-server halt"))?;
    heard(call).await
}

/// Lifts the halt that the database holds. Also used by pages.
pub(crate) async fn lift(call: &Call) -> Result<(), Problem> {
    let done = call.db().lift_halt(&call.actor(), call.now).await;
    let lifted = done.map_err(|error| local_way(error, "fleetmend-server halt --off"))?;
    heard(call).await?;
    match call.shared().halt.standing().file {
        Some(_) if !lifted => Err(Problem::conflict(
            "halt_file",
            format!("the fleet is halted by a file of the server: {BY_FILE}"),
        )),
        None if !lifted => Err(Problem::not_found("the fleet is not halted: nothing is to lift")),
        _ => Ok(()),
    }
}

/// This server goes by it before it answers; others see it within a second.
async fn heard(call: &Call) -> Result<(), Problem> {
    let shared = call.shared();
    shared.halt.look(&shared.db, &*shared.clock).await?;
    shared.halt.nudge();
    Ok(())
}

/// Whether the fleet is halted, and what still runs. Also used by pages.
pub(crate) async fn view(call: &Call) -> Result<HaltView, Problem> {
    let states = |wanted: fn(JobState) -> bool| JobFilter {
        active: true,
        state: JobState::ALL.iter().copied().filter(|s| !s.is_final() && wanted(*s)).collect(),
        ..JobFilter::default()
    };
    let db = call.db();
    let begun = states(JobState::has_begun);
    let offered =
        states(|s| matches!(s, JobState::Offered | JobState::WaitingWindow | JobState::Blocked));
    let waiting = states(|s| s == JobState::Queued);
    let running = db.jobs(&begun, &PageRequest::first(limits::PAGE_MAX)).await?;
    let by = marks(call.shared().halt.standing());
    Ok(HaltView {
        halted: !by.is_empty(),
        by,
        running_total: running.total,
        running: running.items.into_iter().map(RunningView::from).collect(),
        offered_total: db.jobs(&offered, &PageRequest::first(1)).await?.total,
        waiting_total: db.jobs(&waiting, &PageRequest::first(1)).await?.total,
    })
}

fn marks(standing: Standing) -> Vec<HaltMarkView> {
    let view = |way, lift| {
        move |HaltMark { by, since, reason }: HaltMark| HaltMarkView {
            way,
            by,
            since,
            reason,
            lift,
        }
    };
    let file = standing.file.map(view("file", BY_FILE));
    file.into_iter().chain(standing.database.map(view("database", BY_DATABASE))).collect()
}

/// Without a database there is still the way that needs none.
fn local_way(error: StoreError, command: &str) -> Problem {
    let away = error.is_unavailable();
    let mut problem = Problem::from(error);
    if away {
        problem.detail =
            format!("{}; \"{command}\" on the server's machine needs no database", problem.detail);
    }
    problem
}

impl From<Job> for RunningView {
    fn from(job: Job) -> Self {
        Self {
            job: job.id,
            host: job.host,
            host_name: job.host_name,
            simulated: job.simulated,
            state: job.state.as_str(),
            remediation: job.remediation.to_string(),
            begun_at: job.begun,
        }
    }
}
