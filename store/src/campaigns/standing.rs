//! Whether a host of a campaign may begin now, asked in the transaction that begins it.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::IncidentId;
use fleetmend_core::incident::IncidentState;
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use super::Campaign;
use crate::backend::{Tx, on_tx};
use crate::error::Result;
use crate::jobs::NewJob;
use crate::row::At;
use crate::sql::statements;

statements! {
    CHECK = "SELECT h.lifecycle, i.state, ch.job_id, ch.recalled, ch.left_out, p.state AS last_state, p.begun_ms AS last_begun_ms, \
        (SELECT a.id FROM job a WHERE a.host_id = ch.host_id AND a.ended_ms IS NULL \
            AND (a.state <> 'verifying' OR a.incident_id = $4) ORDER BY a.id LIMIT 1) AS active \
        FROM campaign_host ch JOIN host h ON h.id = ch.host_id \
        LEFT JOIN incident i ON i.id = $4 AND i.host_id = ch.host_id \
        LEFT JOIN job p ON p.id = ch.job_id \
        WHERE ch.campaign_id = $1 AND ch.run = $2 AND ch.host_id = $3";
}

/// How one host stands at the moment its job is to begin.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Standing {
    lifecycle: String,
    state: Option<String>,
    /// The job that it has of this run.
    pub(super) job_id: Option<Uuid>,
    recalled: bool,
    left_out: bool,
    last_state: Option<String>,
    last_begun_ms: Option<i64>,
    active: Option<Uuid>,
}

/// Whether a host may begin.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It begins.
    No,
    /// Not now.
    Now(String),
    /// Never in this run.
    Over(String),
}

impl Standing {
    /// How the host of a job stands; `None` where it is no host of the campaign's run.
    pub(super) async fn of(tx: &mut Tx, campaign: &Campaign, job: &NewJob) -> Result<Option<Self>> {
        let (id, run) = (campaign.id, i64::from(campaign.run));
        Ok(on_tx!(&mut *tx, |c| sqlx::query_as(CHECK)
            .bind(id.0)
            .bind(run)
            .bind(job.host.0)
            .bind(job.incident.0)
            .fetch_optional(c)
            .await)?)
    }

    /// Whether the job may begin, and if not, why.
    pub(super) fn refuses(&self, job: &NewJob, now: Timestamp) -> Result<Refusal> {
        let at = At { table: "campaign_host", id: &job.host };
        let lifecycle: Lifecycle = at.word("lifecycle", &self.lifecycle)?;
        let incident: Option<IncidentState> =
            self.state.as_deref().map(|state| at.word("state", state)).transpose()?;
        let undoes = matches!(job.terms.task, Task::Undo { .. });
        Ok(if self.left_out {
            Refusal::Now("it was left out".to_owned())
        } else if self.job_id.is_some() && !self.waits_again(&at)? {
            Refusal::Now("it was begun already".to_owned())
        } else if let Some(active) = self.active {
            Refusal::Now(format!("job {active} is at work on it"))
        } else if matches!(lifecycle, Lifecycle::Revoked | Lifecycle::Retired) {
            Refusal::Over(format!("the host is {lifecycle}"))
        } else if !lifecycle.may_get_orders() {
            Refusal::Now(format!("the host is {lifecycle}"))
        } else if let Some(why) = refuses_incident(job.incident, incident, undoes) {
            Refusal::Over(why)
        } else if job.expires <= now {
            Refusal::Now("its job would expire before it begins".to_owned())
        } else if job.terms.begin_in.len() > limits::BEGIN_SPANS {
            Refusal::Now(format!("its job may begin in over {} spans", limits::BEGIN_SPANS))
        } else {
            Refusal::No
        })
    }

    /// Whether its job of this run is over and never began: the campaign took it back, or its order
    /// expired while the host was away.
    fn waits_again(&self, at: &At<'_>) -> Result<bool> {
        let state: Option<JobState> =
            self.last_state.as_deref().map(|state| at.word("state", state)).transpose()?;
        Ok(self.last_begun_ms.is_none()
            && match state {
                Some(JobState::NotReached) => true,
                Some(JobState::Cancelled) => self.recalled,
                _ => false,
            })
    }
}

fn refuses_incident(id: IncidentId, state: Option<IncidentState>, undoes: bool) -> Option<String> {
    match state {
        None => Some(format!("its failure {id} is not known any more")),
        Some(state) if !undoes && !state.is_open() => {
            Some(format!("its failure was {state} before its turn came"))
        }
        Some(_) => None,
    }
}
