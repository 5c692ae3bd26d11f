//! What people do with a campaign: start it, pause it, resume it, abort it, cancel it.

use fleetmend_core::campaign::{CampaignState, Schedule};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::reason::joined;
use fleetmend_core::time::Timestamp;
use serde_json::json;

use super::get::{load, missing};
use super::runs;
use super::select::Selection;
use super::write::subject;
use super::{Campaign, Who, Why};
use crate::audit;
use crate::backend::{Db, Tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::sql::statements;

statements! {
    /// Who changes a campaign holds its row: whoever else means to waits, and then sees another revision.
    HOLD = "UPDATE campaign SET revision = revision + 1 WHERE id = $1";
    SET = "UPDATE campaign SET state = $2, state_ms = $3, state_by = $4, state_reason = $5, state_said = $7, \
        next_look_ms = $6, waiting_for = '', waiting_said = '' WHERE id = $1";
}

fleetmend_core::words! {
    /// What a person does with a campaign, besides writing and approving it.
    pub enum CampaignMove ("campaign move") {
        /// Lets it begin when its time comes.
        Schedule = "schedule",
        /// Nothing new starts.
        Pause = "pause",
        /// Goes on after a pause.
        Resume = "resume",
        /// Stops for good.
        Abort = "abort",
        /// Takes it back before it begins.
        Cancel = "cancel",
    }
}

impl Db {
    /// Moves a campaign by a person's decision.
    pub async fn move_campaign(
        &self,
        id: CampaignId,
        what: CampaignMove,
        reason: &str,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Campaign> {
        transaction!(self, |tx| {
            let campaign = hold(tx, id).await?;
            let to = target(&campaign, what)?;
            if matches!(what, CampaignMove::Schedule | CampaignMove::Resume) {
                check_approval(&campaign)?;
            }
            set(tx, id, to, who.actor, Why::Words(reason), now).await?;
            if to.is_final() {
                runs::end(tx, id, to, now).await?;
            }
            let action = format!("campaign.{what}");
            let detail =
                json!({"from": campaign.state, "to": to, "reason": reason, "run": campaign.run});
            audit::note(tx, (who.actor, now), &action, subject(id), detail).await?;
            load(tx, id).await
        })
    }

    /// Begins a campaign now, by a person's decision, on the hosts that were found for it; `digest` is that
    /// of the definition that they were found by.
    pub async fn start_campaign(
        &self,
        (id, digest): (CampaignId, &str),
        hosts: &Selection,
        reason: &str,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Campaign> {
        transaction!(self, |tx| {
            let campaign = hold(tx, id).await?;
            let can = matches!(
                campaign.state,
                CampaignState::Draft | CampaignState::AwaitingApproval | CampaignState::Scheduled
            );
            if !can {
                return Err(refused(campaign.state, "started"));
            }
            if campaign.digest != digest {
                return Err(StoreError::Conflict(
                    "the campaign was changed meanwhile: look at it again before you start it"
                        .to_owned(),
                ));
            }
            check_approval(&campaign)?;
            set(tx, id, CampaignState::Running, who.actor, Why::Words(reason), now).await?;
            let taken = runs::begin(tx, &campaign, hosts, who.actor, now).await?;
            let detail = json!({
                "from": campaign.state, "to": CampaignState::Running, "reason": reason,
                "run": campaign.run + 1, "hosts": taken, "digest": campaign.digest,
                "found": hosts.in_numbers(),
            });
            audit::note(tx, (who.actor, now), "campaign.start", subject(id), detail).await?;
            load(tx, id).await
        })
    }
}

/// Holds a campaign until the transaction ends, and reads it.
pub(super) async fn hold(tx: &mut Tx, id: CampaignId) -> Result<Campaign> {
    if run!(&mut *tx, sqlx::query(HOLD).bind(id.0))? == 0 {
        return Err(missing(id));
    }
    load(tx, id).await
}

/// Brings a campaign that is held into a state, and has the planner look at it at once.
pub(super) async fn set(
    tx: &mut Tx,
    id: CampaignId,
    to: CampaignState,
    by: &str,
    why: Why<'_>,
    now: Timestamp,
) -> Result<()> {
    let look = (to != CampaignState::Cancelled).then_some(now.as_millis());
    run!(
        tx,
        sqlx::query(SET)
            .bind(id.0)
            .bind(to.as_str())
            .bind(now.as_millis())
            .bind(by)
            .bind(why.text())
            .bind(look)
            .bind(why.kept()?)
    )?;
    Ok(())
}

/// Refuses what begins without the approval that it needs.
pub(super) fn check_approval(campaign: &Campaign) -> Result<()> {
    if !campaign.lacks_approval() {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "a second person must approve it first, as it is now: {}",
        joined(&campaign.needs)
    )))
}

fn target(campaign: &Campaign, what: CampaignMove) -> Result<CampaignState> {
    use CampaignState as S;
    let by_hand = campaign.definition.schedule == Schedule::ByHand;
    let has_run = campaign.started.is_some() && campaign.run_ended.is_none();
    let (to, done) = match (what, campaign.state) {
        (CampaignMove::Schedule, S::Draft | S::AwaitingApproval) if by_hand => {
            return Err(StoreError::Conflict(
                "it has no schedule: start it when it shall begin".to_owned(),
            ));
        }
        (CampaignMove::Pause, S::Running | S::Scheduled) => (Some(S::Paused), ""),
        (CampaignMove::Resume, S::Paused) if has_run => (Some(S::Running), ""),
        (CampaignMove::Schedule, S::Draft | S::AwaitingApproval)
        | (CampaignMove::Resume, S::Paused) => (Some(S::Scheduled), ""),
        (CampaignMove::Abort, S::Running | S::Paused) => (Some(S::Aborted), ""),
        // One that runs again and again is ended so, too.
        (CampaignMove::Cancel, S::Draft | S::AwaitingApproval | S::Scheduled) => {
            (Some(S::Cancelled), "")
        }
        (CampaignMove::Cancel, S::Completed | S::CompletedWithErrors | S::Aborted)
            if repeats(campaign) =>
        {
            (Some(S::Cancelled), "")
        }
        (CampaignMove::Schedule, _) => (None, "scheduled"),
        (CampaignMove::Pause, _) => (None, "paused"),
        (CampaignMove::Resume, _) => (None, "resumed"),
        (CampaignMove::Abort, _) => (None, "aborted"),
        (CampaignMove::Cancel, _) => (None, "cancelled; abort it"),
    };
    to.ok_or_else(|| refused(campaign.state, done))
}

fn repeats(campaign: &Campaign) -> bool {
    matches!(campaign.definition.schedule, Schedule::Cron { .. } | Schedule::Monthly { .. })
}

fn refused(state: CampaignState, done: &str) -> StoreError {
    StoreError::Conflict(format!("the campaign is {state} and cannot be {done}"))
}
