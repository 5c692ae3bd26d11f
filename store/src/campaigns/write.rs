//! Writing campaigns down, and changing what is written.

use fleetmend_core::campaign::{CampaignState, Definition};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::reason;
use fleetmend_core::reason::Reason;
use fleetmend_core::time::Timestamp;
use serde_json::json;

use super::get::load;
use super::moves::{hold, set};
use super::{Campaign, CampaignText, NewCampaign, Who, Why, texts};
use crate::audit;
use crate::backend::{Db, Tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::{big, to_json};
use crate::sql::statements;

statements! {
    INSERT = "INSERT INTO campaign (id, name, definition, digest, needs, state, state_ms, state_by, state_reason, \
        created_by, created_person, created_ms, edited_by, edited_person, edited_ms, undoes, revision) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $8, $9, $7, $8, $9, $7, $10, 1)";
    EDIT = "UPDATE campaign SET name = $3, definition = $4, digest = $5, needs = $6, state = $7, state_ms = $8, \
        state_by = $9, state_reason = 'edited', state_said = '[{\"code\":\"edited\"}]', edited_by = $9, edited_person = $10, edited_ms = $8, next_look_ms = NULL, \
        waiting_for = '', waiting_said = '', revision = revision + 1 WHERE id = $1 AND revision = $2 \
        AND state IN ('draft', 'awaiting_approval', 'scheduled')";
    TEXT = "UPDATE campaign SET definition = $2, digest = $3, needs = $4 WHERE id = $1";
    AUTHOR = "INSERT INTO campaign_author (campaign_id, author) VALUES ($1, $2) ON CONFLICT (campaign_id, author) DO NOTHING";
    VOID = "UPDATE approval SET void_ms = $2 WHERE campaign_id = $1 AND void_ms IS NULL";
}

impl Db {
    /// Keeps a campaign: a draft, or one that awaits an approval.
    pub async fn create_campaign(
        &self,
        new: &NewCampaign,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Campaign> {
        let CampaignText { definition, needs } = &new.text;
        transaction!(self, |tx| {
            let digest = definition.digest();
            run!(
                tx,
                sqlx::query(INSERT)
                    .bind(new.id.0)
                    .bind(&definition.name)
                    .bind(to_json(definition)?)
                    .bind(&digest)
                    .bind(to_json(needs)?)
                    .bind(written(needs).as_str())
                    .bind(now.as_millis())
                    .bind(who.actor)
                    .bind(who.person)
                    .bind(new.undoes.map(|id| id.0))
            )?;
            wrote(tx, new.id, who).await?;
            let detail = told(definition, &digest, needs);
            audit::note(tx, (who.actor, now), "campaign.create", subject(new.id), detail).await?;
            load(tx, new.id).await
        })
    }

    /// Changes what is written in a campaign that has not begun. `revision` is the one that the
    /// person saw. Approvals lose their force, and a campaign that was scheduled is no longer.
    pub async fn edit_campaign(
        &self,
        id: CampaignId,
        revision: u64,
        text: &CampaignText,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Campaign> {
        let CampaignText { definition, needs } = text;
        transaction!(self, |tx| {
            let digest = definition.digest();
            let done = run!(
                tx,
                sqlx::query(EDIT)
                    .bind(id.0)
                    .bind(big(revision))
                    .bind(&definition.name)
                    .bind(to_json(definition)?)
                    .bind(&digest)
                    .bind(to_json(needs)?)
                    .bind(written(needs).as_str())
                    .bind(now.as_millis())
                    .bind(who.actor)
                    .bind(who.person)
            )?;
            if done == 0 {
                let campaign = load(tx, id).await?;
                if campaign.revision == revision {
                    return Err(StoreError::Conflict(format!(
                        "the campaign is {}: only one that has not begun can be edited; make another",
                        campaign.state
                    )));
                }
                return Err(not_as_seen(&campaign, revision));
            }
            void(tx, id, now).await?;
            wrote(tx, id, who).await?;
            let detail = told(definition, &digest, needs);
            audit::note(tx, (who.actor, now), "campaign.edit", subject(id), detail).await?;
            load(tx, id).await
        })
    }

    /// Has a campaign wait for an approval of its text as it is kept today: settings or catalogue have
    /// changed since it was written. One that runs is paused; one that is paused stays so, for whatever
    /// reason it was. Its authors stay who they are; the approvals that it has lose their force.
    pub async fn ask_again(
        &self,
        id: CampaignId,
        revision: u64,
        text: &CampaignText,
        by: &str,
        now: Timestamp,
    ) -> Result<Campaign> {
        use CampaignState as S;
        let CampaignText { definition, needs } = text;
        transaction!(self, |tx| {
            let campaign = hold(tx, id).await?;
            if campaign.revision != revision + 1 {
                return Err(not_as_seen(&campaign, revision));
            }
            let (to, why) = match campaign.state {
                S::Draft | S::AwaitingApproval | S::Scheduled => {
                    (S::AwaitingApproval, needs.clone())
                }
                S::Completed | S::CompletedWithErrors => (S::AwaitingApproval, needs.clone()),
                S::Running | S::Paused => {
                    (S::Paused, vec![reason!(SettingsChanged, needs = needs.clone())])
                }
                state @ (S::Aborted | S::Cancelled) => {
                    return Err(StoreError::Conflict(format!(
                        "the campaign is {state}: nobody is asked to approve it"
                    )));
                }
            };
            let digest = definition.digest();
            run!(
                tx,
                sqlx::query(TEXT)
                    .bind(id.0)
                    .bind(to_json(definition)?)
                    .bind(&digest)
                    .bind(to_json(needs)?)
            )?;
            if campaign.state != S::Paused {
                set(tx, id, to, by, Why::Reasons(&why), now).await?;
            }
            void(tx, id, now).await?;
            let mut detail = told(definition, &digest, needs);
            detail["from"] = json!(campaign.state);
            detail["to"] = json!(to);
            audit::note(tx, (by, now), "campaign.ask", subject(id), detail).await?;
            load(tx, id).await
        })
    }
}

/// What the audit log calls a campaign.
pub(crate) fn subject(id: CampaignId) -> String {
    format!("campaign {id}")
}

/// Why a change that was meant for another revision is refused.
pub(super) fn not_as_seen(campaign: &Campaign, revision: u64) -> StoreError {
    StoreError::Conflict(format!(
        "the campaign was changed meanwhile: it is at revision {}, not {revision}; look at it again",
        campaign.revision
    ))
}

/// Where a campaign stands whose text was just written.
fn written(needs: &[Reason]) -> CampaignState {
    if needs.is_empty() { CampaignState::Draft } else { CampaignState::AwaitingApproval }
}

/// Keeps for good who had a hand in the text: none of them approves it, however small the part.
async fn wrote(tx: &mut Tx, id: CampaignId, who: Who<'_>) -> Result<()> {
    for author in [who.actor, who.person].into_iter().filter(|author| !author.is_empty()) {
        run!(&mut *tx, sqlx::query(AUTHOR).bind(id.0).bind(author.to_lowercase()))?;
    }
    Ok(())
}

async fn void(tx: &mut Tx, id: CampaignId, now: Timestamp) -> Result<()> {
    run!(tx, sqlx::query(VOID).bind(id.0).bind(now.as_millis()))?;
    Ok(())
}

fn told(definition: &Definition, digest: &str, needs: &[Reason]) -> serde_json::Value {
    json!({"definition": definition, "digest": digest, "needs": texts(needs)})
}
