//! Jobs, their tries and steps.

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::order::Task;
use fleetmend_store as store;
use serde::Serialize;
use utoipa::ToSchema;

use super::{HostRef, Time, time, times};

/// One host's share of a remediation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobView {
    /// Its id.
    pub(crate) id: String,
    /// The host.
    pub(crate) host: HostRef,
    /// The incident it is for.
    pub(crate) incident: String,
    /// remediate, verify (only proves) or undo (takes back).
    pub(crate) task: &'static str,
    /// The job that it takes back, with undo.
    pub(crate) undoes: Option<String>,
    /// The job that took it back, or is to.
    pub(crate) undone_by: Option<String>,
    /// Whether the plan's next remediation is tried after one that did not cure.
    pub(crate) climbs: bool,
    /// The cause it acts on.
    pub(crate) cause: String,
    /// The remediation.
    pub(crate) remediation: String,
    /// The remediation's version.
    pub(crate) version: u32,
    /// The remediation's risk, where the catalogue still knows it.
    pub(crate) risk: Option<&'static str>,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// Whether it is over.
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    /// Why, in words.
    pub(crate) detail: String,
    /// The same as a reason, where the words are known.
    pub(crate) detail_reason: Option<super::ReasonView>,
    /// How the fix was proved: repeated, observed or `probe_only`.
    pub(crate) proof: Option<&'static str>,
    /// The try that runs or ran last; 0 before the first offer.
    pub(crate) attempt: u32,
    /// Whether somebody wants it stopped.
    pub(crate) cancel_requested: bool,
    /// Who ordered it.
    pub(crate) ordered_by: String,
    /// Why it was ordered.
    pub(crate) reason: String,
    /// When it was ordered.
    pub(crate) created_at: Time,
    /// Its present try is not to be begun before.
    pub(crate) not_before_at: Time,
    /// Not to be begun after.
    pub(crate) expires_at: Time,
    /// When it began.
    pub(crate) begun_at: Option<Time>,
    /// When it was last heard of.
    pub(crate) updated_at: Time,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
    /// When the failure came back after the fix.
    pub(crate) relapsed_at: Option<Time>,
}

impl JobView {
    /// From the store's.
    pub(crate) fn new(job: store::Job, catalogue: &Catalogue) -> Self {
        Self {
            id: job.id.to_string(),
            host: HostRef {
                id: job.host.to_string(),
                name: job.host_name,
                simulated: job.simulated,
            },
            incident: job.incident.to_string(),
            task: job.terms.task.as_str(),
            undoes: match job.terms.task {
                Task::Undo { job, .. } => Some(job.to_string()),
                Task::Remediate | Task::Verify => None,
            },
            undone_by: job.undone_by.map(|id| id.to_string()),
            climbs: job.terms.climbs,
            not_before_at: time(job.not_before),
            cause: job.cause.to_string(),
            risk: catalogue.remediations.get(&job.remediation).map(|r| r.risk.as_str()),
            remediation: job.remediation.to_string(),
            version: job.version,
            state: job.state.as_str(),
            is_final: job.state.is_final(),
            detail_reason: super::ReasonView::of_words(&job.detail),
            detail: job.detail,
            proof: job.proof.map(fleetmend_core::job::ProofLevel::as_str),
            attempt: job.attempt,
            cancel_requested: job.cancel_requested,
            ordered_by: job.created_by,
            reason: job.reason,
            created_at: time(job.created),
            expires_at: time(job.expires),
            begun_at: times(job.begun),
            updated_at: time(job.news),
            ended_at: times(job.ended),
            relapsed_at: times(job.relapsed),
        }
    }
}

/// A job with the steps of its last try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobDetailView {
    /// The job.
    #[serde(flatten)]
    pub(crate) job: JobView,
    /// The steps of its last try.
    pub(crate) steps: Vec<StepView>,
    /// All its tries, oldest first.
    pub(crate) attempts: Vec<AttemptView>,
    /// Pieces of output that were dropped over the bound.
    pub(crate) log_dropped: u64,
}

/// One try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// Which, from 1.
    pub(crate) attempt: u32,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// Why.
    pub(crate) detail: String,
    /// The cause that it was against.
    pub(crate) cause: String,
    /// What was tried.
    pub(crate) remediation: String,
    /// In which version.
    pub(crate) version: u32,
    /// How its fix was proved.
    pub(crate) proof: Option<&'static str>,
    /// Whether the cause's own probe says that the cause is gone; null where it was not asked.
    pub(crate) cleared: Option<bool>,
    /// When its order was last sent.
    pub(crate) offered_at: Time,
    /// When it began.
    pub(crate) begun_at: Option<Time>,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
}

/// One step of a try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// Its place, from 0.
    pub(crate) index: u32,
    /// In words.
    pub(crate) title: String,
    /// How it went.
    pub(crate) state: &'static str,
    /// The exit status, where a program ran.
    pub(crate) exit: Option<i32>,
    /// Why it failed, or what was found.
    pub(crate) detail: String,
    /// Bytes of output dropped over the bound.
    pub(crate) output_dropped: u64,
}

impl JobDetailView {
    /// From the store's.
    pub(crate) fn new(detail: store::JobDetail, catalogue: &Catalogue) -> Self {
        let steps = detail.attempts.last().map(|a| a.steps.clone()).unwrap_or_default();
        Self {
            log_dropped: detail.job.log_dropped,
            job: JobView::new(detail.job, catalogue),
            steps: steps
                .into_iter()
                .map(|s| StepView {
                    index: s.index,
                    title: s.title,
                    state: s.state.as_str(),
                    exit: s.exit,
                    detail: s.detail,
                    output_dropped: s.output_dropped,
                })
                .collect(),
            attempts: detail
                .attempts
                .into_iter()
                .map(|a| AttemptView {
                    attempt: a.attempt,
                    state: a.state.as_str(),
                    detail: a.detail,
                    cause: a.cause.to_string(),
                    remediation: a.remediation.to_string(),
                    version: a.version,
                    proof: a.proof.map(fleetmend_core::job::ProofLevel::as_str),
                    cleared: a.cleared,
                    offered_at: time(a.offered),
                    begun_at: times(a.begun),
                    ended_at: times(a.ended),
                })
                .collect(),
        }
    }
}
