//! A campaign's runs, and the hosts that each takes in.

use fleetmend_core::campaign::CampaignState;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::time::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Campaign;
use super::moves::hold;
use super::select::{Member, Selection};
use super::write::{not_as_seen, subject};
use crate::audit;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::Result;
use crate::row::{At, some, time};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    BEGIN = "UPDATE campaign SET run = run + 1, expires_ms = $2 WHERE id = $1";
    INSERT = "INSERT INTO campaign_run (campaign_id, run, started_by, started_ms) VALUES ($1, $2, $3, $4)";
    END = "UPDATE campaign_run SET ended_ms = $2, outcome = $3 WHERE campaign_id = $1 AND ended_ms IS NULL";
    REOPEN = "UPDATE campaign_run SET ended_ms = NULL, outcome = '' WHERE campaign_id = $1 AND run = $2";
    PLACES = "SELECT COALESCE(MAX(position) + 1, 0) FROM campaign_host WHERE campaign_id = $1 AND run = $2";
    RUNS = "SELECT run, started_by, started_ms, ended_ms, outcome FROM campaign_run WHERE campaign_id = $1 ORDER BY run LIMIT 1000";
    TAKEN = "SELECT host_id FROM campaign_host WHERE campaign_id = $1 AND run = $2";
}

const TAKE_IN: ManyRows = ManyRows {
    head: "INSERT INTO campaign_host (campaign_id, run, host_id, position, incident_id) VALUES",
    columns: 5,
    tail: " ON CONFLICT (campaign_id, run, host_id) DO NOTHING",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[TAKE_IN];

/// One run of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CampaignRun {
    /// Which, from 1.
    pub run: u32,
    /// Who began it.
    pub started_by: String,
    /// When.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How.
    pub outcome: Option<CampaignState>,
}

/// So many hosts at once change what Postgres should know of the table: until it is counted, a host of a campaign
/// may be looked for among all of them. It would count by itself within a minute or so.
const COUNT_ANEW: u64 = 500;

impl Db {
    /// A campaign's runs, oldest first.
    pub async fn campaign_runs(&self, id: CampaignId) -> Result<Vec<CampaignRun>> {
        type Row = (i64, String, i64, Option<i64>, String);
        let rows: Vec<Row> =
            on_read!(self, |c| sqlx::query_as(RUNS).bind(id.0).fetch_all(c).await)?;
        let at = At { table: "campaign_run", id: &id };
        let read = |(run, started_by, started, ended, outcome): Row| {
            Ok(CampaignRun {
                run: at.number("run", run)?,
                started_by,
                started: time(started),
                ended: ended.map(time),
                outcome: some(outcome).map(|word| at.word("outcome", &word)).transpose()?,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Takes hosts that were found later into the present run of a campaign, up to the most that it
    /// may have. Says how many. Nothing happens where the campaign is at another revision by now.
    pub async fn join_campaign(
        &self,
        id: CampaignId,
        revision: u64,
        hosts: &Selection,
        by: &str,
        now: Timestamp,
    ) -> Result<u64> {
        let (run, known) = self.campaign_taken(id).await?;
        let new: Vec<&Member> =
            hosts.members.iter().filter(|m| !known.contains(&m.host.0)).collect();
        if new.is_empty() || run == 0 {
            return Ok(0);
        }
        transaction!(self, |tx| {
            let campaign = hold(tx, id).await?;
            // Holding it is a revision of its own.
            if campaign.revision != revision + 1 || campaign.state != CampaignState::Running {
                return Err(not_as_seen(&campaign, revision));
            }
            let taken = take_in(tx, &campaign, campaign.run, &new).await?;
            let detail = json!({"run": campaign.run, "hosts": taken});
            audit::note(tx, (by, now), "campaign.join", subject(id), detail).await?;
            Ok(taken)
        })
    }

    /// The present run, and the hosts that it has.
    async fn campaign_taken(
        &self,
        id: CampaignId,
    ) -> Result<(u32, std::collections::HashSet<uuid::Uuid>)> {
        let campaign = self.campaign(id).await?.ok_or_else(|| super::get::missing(id))?;
        let hosts: Vec<uuid::Uuid> = on_read!(self, |c| sqlx::query_scalar(TAKEN)
            .bind(id.0)
            .bind(i64::from(campaign.run))
            .fetch_all(c)
            .await)?;
        Ok((campaign.run, hosts.into_iter().collect()))
    }
}

/// Begins the next run of a campaign that is held, with these hosts. Says how many were taken in.
pub(super) async fn begin(
    tx: &mut Tx,
    campaign: &Campaign,
    hosts: &Selection,
    by: &str,
    now: Timestamp,
) -> Result<u64> {
    let expires = now.after(campaign.definition.expires.duration());
    let number = campaign.run + 1;
    run!(&mut *tx, sqlx::query(BEGIN).bind(campaign.id.0).bind(expires.as_millis()))?;
    run!(
        &mut *tx,
        sqlx::query(INSERT)
            .bind(campaign.id.0)
            .bind(i64::from(number))
            .bind(by)
            .bind(now.as_millis())
    )?;
    let members: Vec<&Member> = hosts.members.iter().collect();
    take_in(tx, campaign, number, &members).await
}

/// Ends the run that a campaign is in, if it is in one.
pub(super) async fn end(
    tx: &mut Tx,
    id: CampaignId,
    how: CampaignState,
    now: Timestamp,
) -> Result<()> {
    run!(tx, sqlx::query(END).bind(id.0).bind(now.as_millis()).bind(how.as_str()))?;
    Ok(())
}

/// Goes on with the last run of a campaign that is held.
pub(super) async fn reopen(tx: &mut Tx, campaign: &Campaign) -> Result<()> {
    run!(tx, sqlx::query(REOPEN).bind(campaign.id.0).bind(i64::from(campaign.run)))?;
    Ok(())
}

/// Takes hosts in, up to the most that the campaign may have. Those that a wave's label sends first
/// are taken first; the others in an order that has nothing to do with their names, so that a wave
/// is no site and no rack.
async fn take_in(tx: &mut Tx, campaign: &Campaign, run: u32, members: &[&Member]) -> Result<u64> {
    let first: i64 = on_tx!(&mut *tx, |c| sqlx::query_scalar(PLACES)
        .bind(campaign.id.0)
        .bind(i64::from(run))
        .fetch_one(c)
        .await)?;
    let most = campaign.definition.max_hosts.map_or(usize::MAX, |most| most as usize);
    let room = most.saturating_sub(usize::try_from(first).unwrap_or(usize::MAX));
    let labels: Vec<&(String, String)> =
        campaign.definition.waves.iter().filter_map(|wave| wave.label.as_ref()).collect();
    let mut order: Vec<([u8; 32], bool, &Member)> = members
        .iter()
        .map(|member| {
            let sum = Sha256::new().chain_update(campaign.id.0).chain_update(member.host.0);
            let is_canary = labels.iter().any(|(k, v)| member.labels.get(k) == Some(v));
            (sum.finalize().into(), is_canary, *member)
        })
        .collect();
    order.sort_unstable_by_key(|(sum, is_canary, _)| (!*is_canary, *sum));
    order.truncate(room);
    let mut taken = 0;
    let places: Vec<(i64, &Member)> =
        (first..).zip(order.into_iter().map(|(_, _, member)| member)).collect();
    for piece in chunks(&places) {
        let sql = TAKE_IN.sql(tx, piece.len());
        taken += run!(&mut *tx, {
            let mut query = sqlx::query(sql);
            for (place, member) in piece {
                query = query
                    .bind(campaign.id.0)
                    .bind(i64::from(run))
                    .bind(member.host.0)
                    .bind(*place)
                    .bind(member.incident.0);
            }
            query
        })?;
    }
    if taken >= COUNT_ANEW
        && let Tx::Postgres(lease) = tx
    {
        sqlx::query("ANALYZE campaign_host").execute(lease.connection()).await?;
    }
    Ok(taken)
}
