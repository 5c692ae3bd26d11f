//! What a step does to the hosts of a campaign: they begin, go on, are left out or taken back.

use fleetmend_core::campaign::{CampaignState, Decisions};
use fleetmend_core::ids::{CampaignId, HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::reason;
use serde_json::{Value, json};
use uuid::Uuid;

use super::LeftOut;
use super::work::{TOLD, Work};
use crate::backend::{Tx, on_tx, run};
use crate::campaigns::standing::{Refusal, Standing};
use crate::error::{Result, StoreError};
use crate::jobs::NewJob;
use crate::jobs::create::{REQUEST_CANCEL, insert};
use crate::jobs::moves::{self, Move};
use crate::row::At;
use crate::sql::statements;

statements! {
    LEAVE_OUT = "UPDATE campaign_host SET left_out = TRUE, left_out_reason = $4 \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND left_out = FALSE AND (job_id IS NULL OR recalled = TRUE \
            OR EXISTS (SELECT 1 FROM job j WHERE j.id = campaign_host.job_id AND j.state = 'not_reached' AND j.begun_ms IS NULL))";
    TAKE = "UPDATE campaign_host SET job_id = $4, wave = $5, incident_id = $6, recalled = FALSE, left_out_reason = '', untold_ms = NULL \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND left_out = FALSE AND (job_id IS NULL OR job_id = $7)";
    RECALL = "UPDATE campaign_host SET recalled = TRUE \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND job_id = $4";
    GO_ON = "UPDATE job SET place_wanted = FALSE WHERE id = $1 AND campaign_id = $2 AND place_wanted AND ended_ms IS NULL RETURNING host_id";
    HALTED = "SELECT COUNT(*) FROM setting WHERE name = 'halt'";
}

impl Work<'_> {
    pub(super) async fn leave_out(&mut self, tx: &mut Tx, left: LeftOut) -> Result<()> {
        let reason = fleetmend_core::words::cut(&left.reason, limits::PROOF_BYTES);
        let done = run!(
            &mut *tx,
            sqlx::query(LEAVE_OUT)
                .bind(self.campaign.id.0)
                .bind(i64::from(self.campaign.run))
                .bind(left.host.0)
                .bind(reason)
        )?;
        if done > 0 {
            self.done.left_out.push(left);
        }
        Ok(())
    }

    /// Gives a place to jobs that wait between two tries.
    pub(super) async fn go_on(&mut self, tx: &mut Tx, jobs: &[JobId]) -> Result<()> {
        if jobs.is_empty() || self.campaign.state != CampaignState::Running || is_halted(tx).await?
        {
            return Ok(());
        }
        for job in jobs {
            let host: Option<Uuid> = on_tx!(&mut *tx, |c| sqlx::query_scalar(GO_ON)
                .bind(job.0)
                .bind(self.campaign.id.0)
                .fetch_optional(c)
                .await)?;
            self.done.went_on.extend(host.map(|host| (HostId::from(host), *job)));
        }
        Ok(())
    }

    pub(super) async fn start(
        &mut self,
        tx: &mut Tx,
        jobs: &[NewJob],
        wave: Option<i64>,
    ) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let halted = is_halted(tx).await?;
        let why = match wave {
            None => Some("no wave is open".to_owned()),
            _ if halted => Some("the fleet is halted".to_owned()),
            _ if self.campaign.state != CampaignState::Running => {
                Some(format!("the campaign is {}", self.campaign.state))
            }
            Some(_) => None,
        };
        let mut told = Vec::new();
        for job in jobs {
            let refused = match (&why, wave) {
                (None, Some(wave)) => self.start_one(tx, job, wave, &mut told).await?,
                (why, _) => why.clone(),
            };
            if let Some(reason) = refused {
                self.done.passed_over.push(LeftOut { host: job.host, reason });
            }
        }
        for piece in told.chunks(TOLD) {
            let detail = json!({"run": self.campaign.run, "wave": wave, "jobs": piece});
            self.done.told.push(("campaign.start_jobs", detail));
        }
        Ok(())
    }

    /// Begins one host. `Some` is why it is passed over.
    async fn start_one(
        &mut self,
        tx: &mut Tx,
        job: &NewJob,
        wave: i64,
        told: &mut Vec<Value>,
    ) -> Result<Option<String>> {
        let (id, run) = (self.campaign.id, i64::from(self.campaign.run));
        let Some(standing) = Standing::of(tx, &self.campaign, job).await? else {
            return Ok(Some("it is no host of the campaign".to_owned()));
        };
        match standing.refuses(job, self.now)? {
            Refusal::No => {}
            Refusal::Now(why) => return Ok(Some(why)),
            Refusal::Over(reason) => {
                self.leave_out(tx, LeftOut { host: job.host, reason }).await?;
                return Ok(None);
            }
        }
        let mut mine = job.clone();
        mine.terms.campaign = Some((id, number_of(id, wave)?));
        // Another that began it at this moment has it; the others go on.
        if !insert(tx, &mine, self.by, self.now).await? {
            return Ok(Some("another job began on it".to_owned()));
        }
        let taken = run!(
            &mut *tx,
            sqlx::query(TAKE)
                .bind(id.0)
                .bind(run)
                .bind(job.host.0)
                .bind(job.id.0)
                .bind(wave)
                .bind(job.incident.0)
                .bind(standing.job_id)
        )?;
        if taken != 1 {
            return Err(StoreError::Conflict("a host was begun twice".to_owned()));
        }
        told.push(json!({
            "job": job.id, "host": job.host, "incident": job.incident, "cause": job.cause,
            "remediation": job.remediation, "version": job.version, "task": job.terms.task.as_str(),
        }));
        self.done.started.push((job.host, job.id));
        Ok(None)
    }

    pub(super) async fn recall(
        &mut self,
        tx: &mut Tx,
        id: JobId,
        decisions: &Decisions,
    ) -> Result<()> {
        let Some(job) = moves::load(tx, id).await? else { return Ok(()) };
        if job.state.is_final() || job.state.has_begun() {
            return Ok(());
        }
        let marked = run!(
            &mut *tx,
            sqlx::query(RECALL)
                .bind(self.campaign.id.0)
                .bind(i64::from(self.campaign.run))
                .bind(job.host.0)
                .bind(id.0)
        )?;
        if marked == 0 {
            return Ok(());
        }
        if job.state == JobState::Queued {
            let why = match &decisions.transition {
                Some(transition) => vec![transition.why.clone()],
                None => decisions.waiting_for.clone(),
            };
            let detail = reason!(Recalled, reason = why).to_string();
            let step = Move::by_server(JobState::Cancelled, &detail, self.now);
            moves::make(tx, &job, step, self.now).await?;
        } else {
            run!(&mut *tx, sqlx::query(REQUEST_CANCEL).bind(id.0))?;
        }
        self.done.recalled.push(id);
        Ok(())
    }
}

async fn is_halted(tx: &mut Tx) -> Result<bool> {
    let halts: i64 = on_tx!(&mut *tx, |c| sqlx::query_scalar(HALTED).fetch_one(c).await)?;
    Ok(halts > 0)
}

fn number_of(id: CampaignId, wave: i64) -> Result<u32> {
    At { table: "campaign_wave", id: &id }.number("wave", wave)
}
