//! What was decided for a campaign is done: all of it in one transaction, or nothing. It is bound to
//! the revision that was looked at, so of two planners one carries it out; a host that is no longer
//! free is passed over and the others begin.

use fleetmend_core::campaign::{CampaignState, Decisions, Transition};
use fleetmend_core::ids::{CampaignId, HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::reason;
use fleetmend_core::reason::joined;
use fleetmend_core::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::get::load;
use super::runs;
use super::select::Selection;
use super::standing::{Refusal, Standing};
use super::write::subject;
use super::{Campaign, Why, kept};
use crate::audit;
use crate::backend::locks::HOST_OF_JOB;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::jobs::NewJob;
use crate::jobs::create::{REQUEST_CANCEL, insert};
use crate::jobs::moves::{self, Move};
use crate::row::{At, big, time};
use crate::sql::statements;

statements! {
    CLAIM = "UPDATE campaign SET revision = revision + $3 WHERE id = $1 AND revision = $2";
    LOOK = "UPDATE campaign SET next_look_ms = $2, waiting_for = $3, waiting_said = $4 WHERE id = $1";
    OPEN_WAVE = "INSERT INTO campaign_wave (campaign_id, run, wave, opened_ms) \
        SELECT $1, $2, COALESCE(MAX(wave) + 1, 0), $3 FROM campaign_wave WHERE campaign_id = $1 AND run = $2";
    LAST_WAVE = "SELECT MAX(wave) FROM campaign_wave WHERE campaign_id = $1 AND run = $2";
    GATE = "UPDATE campaign_wave SET gate_held_ms = $4 WHERE campaign_id = $1 AND run = $2 AND wave = $3";
    LEAVE_OUT = "UPDATE campaign_host SET left_out = TRUE, left_out_reason = $4 \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND left_out = FALSE AND (job_id IS NULL OR recalled = TRUE \
            OR EXISTS (SELECT 1 FROM job j WHERE j.id = campaign_host.job_id AND j.state = 'not_reached' AND j.begun_ms IS NULL))";
    TAKE = "UPDATE campaign_host SET job_id = $4, wave = $5, incident_id = $6, recalled = FALSE, left_out_reason = '', untold_ms = NULL \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND left_out = FALSE AND (job_id IS NULL OR job_id = $7)";
    RECALL = "UPDATE campaign_host SET recalled = TRUE \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND job_id = $4";
    WAITS = "UPDATE campaign_host SET left_out_reason = $4, untold_ms = COALESCE(untold_ms, $5) \
        WHERE campaign_id = $1 AND run = $2 AND host_id = $3 AND left_out = FALSE";
    UNTOLD = "SELECT untold_ms FROM campaign_host WHERE campaign_id = $1 AND run = $2 AND host_id = $3";
    GO_ON = "UPDATE job SET place_wanted = FALSE WHERE id = $1 AND campaign_id = $2 AND place_wanted AND ended_ms IS NULL RETURNING host_id";
    HALTED = "SELECT COUNT(*) FROM setting WHERE name = 'halt'";
}

/// Things told in one row of the audit log, at most.
const TOLD: usize = 200;

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
            let mut work = Work { campaign: load(tx, id).await?, done: Done::default(), by, now };
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

/// A step under way.
struct Work<'a> {
    campaign: Campaign,
    done: Done,
    by: &'a str,
    now: Timestamp,
}

#[derive(Default)]
struct Done {
    started: Vec<(HostId, JobId)>,
    went_on: Vec<(HostId, JobId)>,
    passed_over: Vec<LeftOut>,
    left_out: Vec<LeftOut>,
    recalled: Vec<JobId>,
    /// Rows for the audit log.
    told: Vec<(&'static str, Value)>,
}

impl Work<'_> {
    async fn carry_out(&mut self, tx: &mut Tx, step: &NextStep<'_>) -> Result<()> {
        let decisions = step.decisions;
        if let Some(transition) = &decisions.transition {
            self.transition(tx, transition).await?;
        }
        if decisions.new_run {
            self.new_run(tx, step.selection).await?;
        }
        let key = (self.campaign.id.0, i64::from(self.campaign.run));
        if decisions.open_wave {
            run!(
                &mut *tx,
                sqlx::query(OPEN_WAVE).bind(key.0).bind(key.1).bind(self.now.as_millis())
            )?;
        }
        let wave: Option<i64> = on_tx!(&mut *tx, |c| sqlx::query_scalar(LAST_WAVE)
            .bind(key.0)
            .bind(key.1)
            .fetch_one(c)
            .await)?;
        self.waves(tx, decisions, wave).await?;
        for left in step.left_out {
            self.leave_out(tx, left.clone()).await?;
        }
        self.go_on(tx, &decisions.go_on).await?;
        self.start(tx, step.jobs, wave).await?;
        for job in &decisions.recall {
            self.recall(tx, *job, decisions).await?;
        }
        // After a change of state somebody looks at what it means.
        let look = decisions.next_look.or(decisions.transition.as_ref().map(|_| self.now));
        run!(
            &mut *tx,
            sqlx::query(LOOK)
                .bind(key.0)
                .bind(look.map(Timestamp::as_millis))
                .bind(joined(&decisions.waiting_for))
                .bind(kept(&decisions.waiting_for)?)
        )?;
        self.tell(tx).await
    }

    /// What the planner may decide. It never resumes what was paused, and ends nothing that has not begun.
    async fn transition(&mut self, tx: &mut Tx, transition: &Transition) -> Result<()> {
        use CampaignState as S;
        let Transition { to, why } = transition;
        let from = self.campaign.state;
        let can = match from {
            S::Scheduled => matches!(to, S::Running),
            // A run of one that repeats.
            S::Completed | S::CompletedWithErrors => matches!(to, S::Running | S::Scheduled),
            S::Running | S::Paused => {
                matches!(to, S::Paused | S::Aborted)
                    || matches!(to, S::Completed | S::CompletedWithErrors)
            }
            S::Draft | S::AwaitingApproval | S::Aborted | S::Cancelled => false,
        };
        if !can || *to == from {
            return Err(StoreError::Conflict(format!(
                "the campaign is {from} and does not become {to} by itself"
            )));
        }
        if *to == S::Running {
            super::moves::check_approval(&self.campaign)?;
        }
        let reasons = std::slice::from_ref(why);
        super::moves::set(tx, self.campaign.id, *to, self.by, Why::Reasons(reasons), self.now)
            .await?;
        if to.is_final() {
            runs::end(tx, self.campaign.id, *to, self.now).await?;
        }
        self.campaign.state = *to;
        let detail =
            json!({"from": from, "to": to, "reason": why.to_string(), "run": self.campaign.run});
        self.done.told.push(("campaign.state", detail));
        Ok(())
    }

    async fn new_run(&mut self, tx: &mut Tx, selection: Option<&Selection>) -> Result<()> {
        let selection = selection.ok_or_else(|| {
            StoreError::Conflict("a new run needs the hosts that were found for it".to_owned())
        })?;
        let hosts = runs::begin(tx, &self.campaign, selection, self.by, self.now).await?;
        self.campaign.run += 1;
        let detail = json!({
            "run": self.campaign.run, "hosts": hosts, "digest": self.campaign.digest,
            "found": selection.in_numbers(),
        });
        self.done.told.push(("campaign.run", detail));
        Ok(())
    }

    async fn waves(&mut self, tx: &mut Tx, decisions: &Decisions, wave: Option<i64>) -> Result<()> {
        let Some(wave) = wave else { return Ok(()) };
        if decisions.gate_held || decisions.gate_lost {
            let held = decisions.gate_held.then(|| self.now.as_millis());
            run!(
                &mut *tx,
                sqlx::query(GATE)
                    .bind(self.campaign.id.0)
                    .bind(i64::from(self.campaign.run))
                    .bind(wave)
                    .bind(held)
            )?;
        }
        if decisions.open_wave || decisions.gate_held || decisions.gate_lost {
            let what = match (decisions.open_wave, decisions.gate_held) {
                (true, _) => "opened",
                (false, true) => "gate holds",
                (false, false) => "gate no longer holds",
            };
            let detail = json!({"run": self.campaign.run, "wave": wave, "what": what});
            self.done.told.push(("campaign.wave", detail));
        }
        Ok(())
    }

    async fn leave_out(&mut self, tx: &mut Tx, left: LeftOut) -> Result<()> {
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
    async fn go_on(&mut self, tx: &mut Tx, jobs: &[JobId]) -> Result<()> {
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

    async fn start(&mut self, tx: &mut Tx, jobs: &[NewJob], wave: Option<i64>) -> Result<()> {
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

    async fn recall(&mut self, tx: &mut Tx, id: JobId, decisions: &Decisions) -> Result<()> {
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

    async fn tell(&mut self, tx: &mut Tx) -> Result<()> {
        let run = self.campaign.run;
        for piece in self.done.went_on.chunks(TOLD) {
            let jobs: Vec<JobId> = piece.iter().map(|(_, job)| *job).collect();
            self.done.told.push(("campaign.next_tries", json!({"run": run, "jobs": jobs})));
        }
        for piece in self.done.recalled.chunks(TOLD) {
            self.done.told.push(("campaign.recall", json!({"run": run, "jobs": piece})));
        }
        for piece in self.done.left_out.chunks(TOLD) {
            let hosts: Vec<Value> =
                piece.iter().map(|l| json!({"host": l.host, "reason": l.reason})).collect();
            self.done.told.push(("campaign.leave_out", json!({"run": run, "hosts": hosts})));
        }
        let started_by = self.campaign.started_by.clone();
        for (action, mut detail) in std::mem::take(&mut self.done.told) {
            if let (Some(fields), Some(person)) = (detail.as_object_mut(), &started_by) {
                fields.insert("started_by".to_owned(), json!(person));
            }
            let about = subject(self.campaign.id);
            audit::note(tx, (self.by, self.now), action, about, detail).await?;
        }
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
