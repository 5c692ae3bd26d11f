//! Jobs: made, offered, cancelled, expired, and shown with their steps and output.

pub(crate) mod climb;
pub(crate) mod create;
pub(crate) mod deadlines;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod moves;
pub(crate) mod orders;
pub(crate) mod terms;

use std::time::Duration;

use fleetmend_core::ids::{CampaignId, EvidenceId, HostId, IncidentId, JobId};
use fleetmend_core::job::{JobState, ProofLevel, StepState, TaskKind};
use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;

pub use climb::{Climbing, NextTry};
pub use terms::JobTerms;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The host.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// Whether the host is simulated.
    pub simulated: bool,
    /// The incident it is for.
    pub incident: IncidentId,
    /// What fails.
    pub key: IncidentKey,
    /// The cause it acts on.
    pub cause: Slug,
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// Evidence whose values the steps use.
    pub evidence: Vec<EvidenceId>,
    /// Where it stands.
    pub state: JobState,
    /// Why, in words.
    pub detail: String,
    /// How the fix was proved.
    pub proof: Option<ProofLevel>,
    /// The try that runs or ran last; 0 before the first offer.
    pub attempt: u32,
    /// Who ordered it.
    pub created_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created: Timestamp,
    /// Not to be begun after.
    pub expires: Timestamp,
    /// When its order was last sent.
    pub offered: Option<Timestamp>,
    /// When it began.
    pub begun: Option<Timestamp>,
    /// When it was last heard of.
    pub news: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Whether somebody wants it stopped.
    pub cancel_requested: bool,
    /// When the failure came back after the fix.
    pub relapsed: Option<Timestamp>,
    /// Pieces of output that were dropped over the bound.
    pub log_dropped: u64,
    /// What it is for, whose it is, and how far it may go.
    pub terms: JobTerms,
    /// Whether its next remediation is being chosen.
    pub plan_wanted: bool,
    /// Whether that is chosen, and waits for a place in its campaign.
    pub place_wanted: bool,
    /// Not to be begun before.
    pub not_before: Timestamp,
    /// The last job that took it back, or is to.
    pub undone_by: Option<JobId>,
}

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The host; must be the incident's.
    pub host: HostId,
    /// The incident; must be open.
    pub incident: IncidentId,
    /// The cause it acts on.
    pub cause: Slug,
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// Evidence whose values the steps use.
    pub evidence: Vec<EvidenceId>,
    /// The time that all its steps may take.
    pub steps_time: Duration,
    /// How long a proof, or a restart, may be awaited.
    pub verify_within: Duration,
    /// Not to be begun before.
    pub not_before: Timestamp,
    /// Not to be begun after.
    pub expires: Timestamp,
    /// Why.
    pub reason: String,
    /// What it is for, whose it is, and how far it may go.
    pub terms: JobTerms,
}

/// A job with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JobDetail {
    /// The job.
    pub job: Job,
    /// Its tries, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One try at a job.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Attempt {
    /// Which, from 1.
    pub attempt: u32,
    /// When its order was last sent.
    pub offered: Timestamp,
    /// When it began.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Where it stands.
    pub state: JobState,
    /// Why.
    pub detail: String,
    /// The cause that it was against.
    pub cause: Slug,
    /// What was tried.
    pub remediation: Slug,
    /// In which version.
    pub version: u32,
    /// The digest of that version.
    pub digest: String,
    /// The job that took it back, or is about to.
    pub undone_by: Option<JobId>,
    /// How its fix was proved.
    pub proof: Option<ProofLevel>,
    /// Whether the cause's own probe says that the cause is gone; `None` where it was not asked.
    pub cleared: Option<bool>,
    /// Its steps, in order.
    pub steps: Vec<JobStep>,
}

/// One step of a try.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JobStep {
    /// Its place, from 0.
    pub index: u32,
    /// In words.
    pub title: String,
    /// How it went.
    pub state: StepState,
    /// The exit status, where a program ran.
    pub exit: Option<i32>,
    /// Why it failed, or what was found.
    pub detail: String,
    /// Bytes of output dropped over the bound.
    pub output_dropped: u64,
    /// When it began.
    pub started: Timestamp,
    /// When it was last heard of.
    pub updated: Timestamp,
}

/// Which jobs are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this host.
    pub host: Option<HostId>,
    /// Of this incident.
    pub incident: Option<IncidentId>,
    /// In any of these states.
    pub state: Vec<JobState>,
    /// Only those not over.
    pub active: bool,
    /// Of this remediation.
    pub remediation: Option<String>,
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
    /// For any of these.
    pub task: Vec<TaskKind>,
}

/// A piece of a job's output.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LogPiece {
    /// Its place in the job's output, from 1.
    pub arrival: u64,
    /// Which try.
    pub attempt: u32,
    /// Which step, from 0.
    pub step: u32,
    /// When.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

/// A part of a job's output.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LogPage {
    /// The pieces, in order of arrival.
    pub pieces: Vec<LogPiece>,
    /// Ask again after this one.
    pub after: u64,
    /// Whether the job is over and this is all of it.
    pub complete: bool,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not been offered: it is cancelled.
    AtOnce,
    /// The agent has it: it was asked to stop, and will say.
    Requested,
    /// It was over already.
    AlreadyOver(JobState),
}
