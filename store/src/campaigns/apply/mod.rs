//! What was decided for a campaign is done: all of it in one transaction, or nothing. It is bound to
//! the revision that was looked at, so of two planners one carries it out; a host that is no longer
//! free is passed over and the others begin.

pub(crate) mod hosts;
pub(crate) mod work;

use fleetmend_core::campaign::Decisions;
use fleetmend_core::ids::{CampaignId, HostId, JobId};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use uuid::Uuid;

use self::work::{Done, Work};
use super::Campaign;
use super::get::load;
use super::select::Selection;
use crate::backend::locks::HOST_OF_JOB;
use crate::backend::{Db, on_read, run, transaction};
use crate::error::{Result, StoreError};
use crate::jobs::NewJob;
use crate::row::{big, time};
use crate::sql::statements;

statements! {
    CLAIM = "UPDATE campaign SET revision = revision + $3 WHERE id = $1 AND revision = $2";
    WAITS = "UPDATE campaign_host SET left_out_reason = $4, untold_ms = COALESCE(untold_ms, $5) \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND left_out = FALSE";
    UNTOLD = "SELECT untold_ms FROM campaign_host WHERE campaign_id = $1 AND run = $2 AND host_id = $3";
}

/// The next step of a campaign: what was decided, and what is needed to do it.
#[derive(Debug, Clone, Copy)]
pub struct NextStep<'a> {
    /// The revision that was looked at.
    pub revision: u64,
    /// What was decided from it.
    pub decisions: &'a Decisions,
    /// A job for each host of `decisions.start` that is begun now; for at most
    /// [`limits::CAMPAIGN_STEP_JOBS`] of them, the others come with the next step. The store sets whose
    /// they are.
    pub jobs: &'a [NewJob],
    /// Hosts that are not begun at all: nothing automatic helps them, or they are healthy.
    pub left_out: &'a [LeftOut],
    /// The hosts of a new run, where one was decided.
    pub selection: Option<&'a Selection>,
}

/// A host that is not begun, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The host.
    pub host: HostId,
    /// Why, in words.
    pub reason: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The campaign after it.
    pub campaign: Campaign,
    /// Jobs that were made.
    pub started: Vec<(HostId, JobId)>,
    /// Jobs that go on with their next try.
    pub went_on: Vec<(HostId, JobId)>,
    /// Hosts that were not begun now, and why; they stay where they were.
    pub passed_over: Vec<LeftOut>,
    /// Hosts that were left out for good.
    pub left_out: Vec<LeftOut>,
    /// Jobs that were taken back, or are to be.
    pub recalled: Vec<JobId>,
}

impl Db {
    /// Since when a host of a campaign's run waits for what its remediation needs to know.
    pub async fn untold_since(
        &self,
        campaign: &Campaign,
        host: HostId,
    ) -> Result<Option<Timestamp>> {
        let since: Option<Option<i64>> = on_read!(self, |c| sqlx::query_scalar(UNTOLD)
            .bind(campaign.id.0)
            .bind(i64::from(campaign.run))
            .bind(host.0)
            .fetch_optional(c)
            .await)?;
        Ok(since.flatten().map(time))
    }

    /// Notes why hosts that wait are not begun yet, and since when: shown with them, and gone with their
    /// job.
    pub async fn note_waiting(
        &self,
        campaign: &Campaign,
        waiting: &[LeftOut],
        now: Timestamp,
    ) -> Result<()> {
        if waiting.is_empty() {
            return Ok(());
        }
        transaction!(self, |tx| {
            for LeftOut { host, reason } in waiting {
                let reason = fleetmend_core::words::cut(reason, limits::PROOF_BYTES);
                run!(
                    &mut *tx,
                    sqlx::query(WAITS)
                        .bind(campaign.id.0)
                        .bind(i64::from(campaign.run))
                        .bind(host.0)
                        .bind(reason)
                        .bind(now.as_millis())
                )?;
            }
            Ok::<_, StoreError>(())
        })
    }

    /// Does what was decided for a campaign. `None` where it is at another revision by now: then nothing
    /// was done, and it is to be looked at again.
    pub async fn apply_campaign(
        &self,
        id: CampaignId,
        step: &NextStep<'_>,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<Applied>> {
        if step.jobs.len() > limits::CAMPAIGN_STEP_JOBS {
            return Err(StoreError::Conflict(format!(
                "one step of a campaign makes at most {} jobs",
                limits::CAMPAIGN_STEP_JOBS
            )));
        }
        let mut hosts: Vec<HostId> = step.jobs.iter().map(|job| job.host).collect();
        hosts.extend(step.left_out.iter().map(|left| left.host));
        for job in step.decisions.recall.iter().chain(&step.decisions.go_on) {
            let host: Option<Uuid> = on_read!(self, |c| sqlx::query_scalar(HOST_OF_JOB)
                .bind(job.0)
                .fetch_optional(c)
                .await)?;
            hosts.extend(host.map(HostId::from));
        }
        transaction!(self, |tx| {
            // Hosts first, as everywhere.
            tx.hold_hosts(hosts.iter().copied()).await?;
            let changes = i64::from(step.changes());
            let claimed = run!(
                &mut *tx,
                sqlx::query(CLAIM).bind(id.0).bind(big(step.revision)).bind(changes)
            )?;
            if claimed == 0 {
                return Ok(None);
            }
            let mut work = Work::new(load(tx, id).await?, by, now);
            work.carry_out(tx, step).await?;
            let campaign = load(tx, id).await?;
            let Done { started, went_on, passed_over, left_out, recalled, .. } = work.done;
            Ok::<_, StoreError>(Some(Applied {
                campaign,
                started,
                went_on,
                passed_over,
                left_out,
                recalled,
            }))
        })
    }
}

impl NextStep<'_> {
    /// Whether anything changes besides when to look again and why nothing moves.
    fn changes(&self) -> bool {
        let Decisions {
            transition,
            open_wave,
            gate_held,
            gate_lost,
            new_run,
            start: _,
            go_on,
            recall,
            ..
        } = self.decisions;
        transition.is_some()
            || *open_wave
            || *gate_held
            || *gate_lost
            || *new_run
            || !go_on.is_empty()
            || !recall.is_empty()
            || !self.jobs.is_empty()
            || !self.left_out.is_empty()
    }
}
