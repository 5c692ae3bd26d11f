//! People at a server in this process: they write campaigns, approve each other's and start them, by the
//! same checks as over REST.

use anyhow::Context as _;
use fleetmend_core::campaign::CampaignState;
use fleetmend_core::ids::CampaignId;
use fleetmend_server::state::Shared;
use fleetmend_server::{campaigns, entropy};
use fleetmend_store::{Campaign, CampaignText, NewCampaign, Who};
use serde_json::Value;

/// Who wrote it.
pub const AUTHOR: Who<'_> = Who { actor: "user anna", person: "anna" };
/// Who approves what was written.
pub const APPROVER: Who<'_> = Who { actor: "user jonas", person: "jonas" };

/// Writes a campaign; `None` where its selector finds fewer than `least` hosts now.
pub async fn write(
    shared: &Shared,
    written: Value,
    least: usize,
) -> anyhow::Result<Option<Campaign>> {
    let mut definition = campaigns::read(shared.catalogue, written)?;
    let now = shared.clock.now();
    let found = campaigns::select(shared, &definition, None, now).await?.members.len();
    if found < least {
        return Ok(None);
    }
    definition.max_hosts = definition.max_hosts.or(u32::try_from(found).ok());
    let needs = campaigns::needs(shared, &definition, found);
    let id = entropy::id(CampaignId::at, &*shared.clock);
    let new = NewCampaign { id, text: CampaignText { definition, needs }, undoes: None };
    let made = shared.db.create_campaign(&new, AUTHOR, now).await?;
    Ok(Some(made))
}

/// Starts a campaign, with the word of a second person where it needs that.
pub async fn start(shared: &Shared, campaign: &Campaign, note: &str) -> anyhow::Result<()> {
    let (id, now) = (campaign.id, shared.clock.now());
    if campaign.state == CampaignState::AwaitingApproval {
        shared.db.approve_campaign(id, &campaign.digest, note, APPROVER, now).await?;
    }
    let hosts = campaigns::select(shared, &campaign.definition, Some(id), now).await?;
    let started = shared.db.start_campaign((id, &campaign.digest), &hosts, note, AUTHOR, now).await;
    started.with_context(|| format!("the campaign \"{}\"", campaign.definition.name))?;
    shared.nudges.campaigns.notify_one();
    Ok(())
}
