//! Approvals: the word of a second person, bound to what the campaign says.

use fleetmend_core::campaign::CampaignState;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::reason;
use fleetmend_core::reason::Code;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::{Permission, Role};
use serde_json::json;
use uuid::Uuid;

use super::get::load;
use super::moves::{hold, set};
use super::write::subject;
use super::{Campaign, Who, Why, texts};
use crate::audit;
use crate::backend::locks::Lock;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::{At, time};
use crate::sql::statements;

statements! {
    IS_AUTHOR = "SELECT COUNT(*) FROM campaign_author WHERE campaign_id = $1 AND author IN ($2, $3)";
    USER = "SELECT role, disabled_ms FROM user_account WHERE name = $1";
    INSERT = "INSERT INTO approval (campaign_id, number, digest, approved_by, approved_person, approved_ms, note) \
        SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6 FROM approval WHERE campaign_id = $1";
    OF_CAMPAIGN = "SELECT campaign_id, digest, approved_by, approved_ms, note, void_ms FROM approval \
        WHERE campaign_id = $1 ORDER BY number LIMIT 1000";
    LATEST = "SELECT campaign_id, digest, approved_by, approved_ms, note, void_ms FROM approval \
        ORDER BY approved_ms DESC, campaign_id, number DESC LIMIT $1";
}

/// The word of a second person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Approval {
    /// The campaign.
    pub campaign: CampaignId,
    /// The digest of the definition that was approved.
    pub digest: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What the person wrote.
    pub note: String,
    /// When an edit took it its force.
    pub void: Option<Timestamp>,
}

impl Db {
    /// Approves a campaign as the person saw it: `digest` is the definition's. Nobody approves what they
    /// wrote or ever changed, by whatever means they did; who is not known by name approves nothing.
    pub async fn approve_campaign(
        &self,
        id: CampaignId,
        digest: &str,
        note: &str,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Campaign> {
        transaction!(self, |tx| {
            let campaign = hold(tx, id).await?;
            if !campaign.awaits_approval() {
                return Err(StoreError::Conflict(format!(
                    "the campaign is {} and awaits no approval",
                    campaign.state
                )));
            }
            if campaign.digest != digest {
                return Err(StoreError::Conflict(
                    "the campaign was changed since you saw it: read it again before you approve it"
                        .to_owned(),
                ));
            }
            check_second_person(tx, id, who).await?;
            check_still_may(tx, who).await?;
            run!(
                &mut *tx,
                sqlx::query(INSERT)
                    .bind(id.0)
                    .bind(digest)
                    .bind(who.actor)
                    .bind(who.person)
                    .bind(now.as_millis())
                    .bind(note)
            )?;
            if campaign.state == CampaignState::AwaitingApproval {
                let why = [reason!(ApprovedBy, by = who.actor)];
                set(tx, id, CampaignState::Draft, who.actor, Why::Reasons(&why), now).await?;
            } else if asked_by_settings(&campaign) {
                // It stays paused, and whoever may resumes it.
                let why = [reason!(ApprovedPaused, by = who.actor)];
                set(tx, id, CampaignState::Paused, who.actor, Why::Reasons(&why), now).await?;
            }
            let detail = json!({"digest": digest, "note": note, "state": campaign.state, "needs": texts(&campaign.needs)});
            audit::note(tx, (who.actor, now), "campaign.approve", subject(id), detail).await?;
            load(tx, id).await
        })
    }

    /// All approvals of a campaign, those without force too, oldest first.
    pub async fn campaign_approvals(&self, id: CampaignId) -> Result<Vec<Approval>> {
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(OF_CAMPAIGN).bind(id.0).fetch_all(c).await)?;
        Ok(rows.into_iter().map(Approval::from).collect())
    }

    /// The latest approvals of all campaigns, newest first.
    pub async fn approvals(&self, limit: u32) -> Result<Vec<Approval>> {
        let limit = i64::from(limit.clamp(1, fleetmend_core::limits::PAGE_MAX));
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(LATEST).bind(limit).fetch_all(c).await)?;
        Ok(rows.into_iter().map(Approval::from).collect())
    }
}

/// Whether it was paused for want of this approval, and for nothing else.
fn asked_by_settings(campaign: &Campaign) -> bool {
    campaign.state_reasons.iter().any(|reason| reason.code == Code::SettingsChanged)
}

async fn check_second_person(tx: &mut Tx, id: CampaignId, who: Who<'_>) -> Result<()> {
    if who.person.is_empty() {
        return Err(StoreError::Conflict(
            "an approval is a person's: log in by name and approve it there".to_owned(),
        ));
    }
    let parts: i64 = on_tx!(tx, |c| sqlx::query_scalar(IS_AUTHOR)
        .bind(id.0)
        .bind(who.actor.to_lowercase())
        .bind(who.person.to_lowercase())
        .fetch_one(c)
        .await)?;
    if parts > 0 {
        return Err(StoreError::Conflict(
            "who wrote or changed a campaign cannot approve it: ask a second person".to_owned(),
        ));
    }
    Ok(())
}

/// Refuses a user who was demoted or shut out since it was let in.
async fn check_still_may(tx: &mut Tx, who: Who<'_>) -> Result<()> {
    let Some(name) = who.person.strip_prefix("user ") else { return Ok(()) };
    tx.hold(Lock::People).await?;
    let user: Option<(String, Option<i64>)> =
        on_tx!(tx, |c| sqlx::query_as(USER).bind(name).fetch_optional(c).await)?;
    let Some((role, disabled)) = user else { return Ok(()) };
    let role: Role = At { table: "user_account", id: &name }.word("role", &role)?;
    if disabled.is_none() && role.grants(Permission::Approve) {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("\"{name}\" may not approve any more: log in again")))
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    campaign_id: Uuid,
    digest: String,
    approved_by: String,
    approved_ms: i64,
    note: String,
    void_ms: Option<i64>,
}

impl From<Row> for Approval {
    fn from(row: Row) -> Self {
        Self {
            campaign: row.campaign_id.into(),
            digest: row.digest,
            by: row.approved_by,
            at: time(row.approved_ms),
            note: row.note,
            void: row.void_ms.map(time),
        }
    }
}
