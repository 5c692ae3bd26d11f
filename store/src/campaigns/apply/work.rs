//! A step that is carried out: what it does to the campaign and its waves, and what the audit log is told.

use fleetmend_core::campaign::{CampaignState, Decisions, Transition};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::reason::joined;
use fleetmend_core::time::Timestamp;
use serde_json::{Value, json};

use super::{LeftOut, NextStep};
use crate::audit;
use crate::backend::{Tx, on_tx, run};
use crate::campaigns::select::Selection;
use crate::campaigns::write::subject;
use crate::campaigns::{Campaign, Why, kept, moves, runs};
use crate::error::{Result, StoreError};
use crate::sql::statements;

statements! {
    LOOK = "UPDATE campaign SET next_look_ms = $2, waiting_for = $3, waiting_said = $4 WHERE id = $1";
    OPEN_WAVE = "INSERT INTO campaign_wave (campaign_id, run, wave, opened_ms) \
        SELECT $1, $2, COALESCE(MAX(wave) + 1, 0), $3 FROM campaign_wave WHERE campaign_id = $1 AND run = $2";
    LAST_WAVE = "SELECT MAX(wave) FROM campaign_wave WHERE campaign_id = $1 AND run = $2";
    GATE = "UPDATE campaign_wave SET gate_held_ms = $4 WHERE campaign_id = $1 AND run = $2 AND wave = $3";
}

/// Things told in one row of the audit log, at most.
pub(super) const TOLD: usize = 200;

/// A step under way.
pub(super) struct Work<'a> {
    pub(super) campaign: Campaign,
    pub(super) done: Done,
    pub(super) by: &'a str,
    pub(super) now: Timestamp,
}

#[derive(Default)]
pub(super) struct Done {
    pub(super) started: Vec<(HostId, JobId)>,
    pub(super) went_on: Vec<(HostId, JobId)>,
    pub(super) passed_over: Vec<LeftOut>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) recalled: Vec<JobId>,
    /// Rows for the audit log.
    pub(super) told: Vec<(&'static str, Value)>,
}

impl<'a> Work<'a> {
    pub(super) fn new(campaign: Campaign, by: &'a str, now: Timestamp) -> Self {
        Self { campaign, done: Done::default(), by, now }
    }

    pub(super) async fn carry_out(&mut self, tx: &mut Tx, step: &NextStep<'_>) -> Result<()> {
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
            moves::check_approval(&self.campaign)?;
        }
        let reasons = std::slice::from_ref(why);
        moves::set(tx, self.campaign.id, *to, self.by, Why::Reasons(reasons), self.now).await?;
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
