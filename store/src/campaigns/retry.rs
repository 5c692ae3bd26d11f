//! Hosts that ended in error are put back, by a person's decision: each gets a fresh job in the same
//! campaign.

use fleetmend_core::campaign::CampaignState;
use fleetmend_core::ids::{CampaignId, HostId};
use fleetmend_core::time::Timestamp;
use serde_json::json;

use super::get::load;
use super::moves::{hold, set};
use super::runs;
use super::write::subject;
use super::{Campaign, Who, Why};
use crate::audit;
use crate::backend::{Db, run, transaction};
use crate::error::{Result, StoreError};
use crate::sql::{ManyRows, chunks, statements};

statements! {
    EXPIRES = "UPDATE campaign SET expires_ms = $2 WHERE id = $1";
    /// Hosts that wait: without a job, or with one that never began and that they might have again.
    SET_ASIDE = "UPDATE campaign_host SET left_out = TRUE, left_out_reason = $3, job_id = NULL, wave = NULL, recalled = FALSE \
        WHERE campaign_id = $1 AND run = $2 AND left_out = FALSE AND (job_id IS NULL OR EXISTS (SELECT 1 FROM job j \
            WHERE j.id = campaign_host.job_id AND j.ended_ms IS NOT NULL AND j.begun_ms IS NULL \
            AND (j.state = 'not_reached' OR (j.state = 'cancelled' AND campaign_host.recalled = TRUE))))";
}

/// Why hosts are left out that an abort did not reach.
const ASIDE: &str = "not reached before the campaign was aborted: a retry begins on no host anew";

/// What became of a wish to try again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retried {
    /// The campaign.
    pub campaign: Campaign,
    /// Hosts that get a fresh job.
    pub hosts: u64,
    /// Hosts that its abort had not reached: they are left out for good.
    pub set_aside: u64,
}

/// Only what is over is put back, and only while the failure stands.
const PUT_BACK: ManyRows = ManyRows {
    head: "WITH k (campaign_id, run, host_id) AS (VALUES",
    columns: 3,
    tail: ") UPDATE campaign_host SET job_id = NULL, wave = NULL, recalled = FALSE, retries = campaign_host.retries + 1 \
        FROM k WHERE campaign_host.campaign_id = k.campaign_id AND campaign_host.run = k.run \
        AND campaign_host.host_id = k.host_id AND campaign_host.left_out = FALSE \
        AND EXISTS (SELECT 1 FROM job j WHERE j.id = campaign_host.job_id AND j.ended_ms IS NOT NULL AND j.state <> 'fixed') \
        AND EXISTS (SELECT 1 FROM incident i WHERE i.id = campaign_host.incident_id AND i.ended_ms IS NULL AND i.state <> 'ignored')",
};

/// The many-rows statements of this file.
#[cfg(test)]
pub(crate) const MANY: &[ManyRows] = &[PUT_BACK];

impl Db {
    /// Puts hosts back whose jobs ended without a fix and whose failure stands; says how many. A campaign
    /// that was over goes on in the same run; one that is paused stays so. One that was aborted goes on
    /// with these hosts alone: who stopped it meant the others to be left as they are. The core's `retry`
    /// names the hosts.
    pub async fn retry_campaign(
        &self,
        id: CampaignId,
        hosts: &[HostId],
        reason: &str,
        who: Who<'_>,
        now: Timestamp,
    ) -> Result<Retried> {
        use CampaignState as S;
        let mut wanted: Vec<HostId> = hosts.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        transaction!(self, |tx| {
            let campaign = hold(tx, id).await?;
            match campaign.state {
                S::Running | S::Paused | S::Aborted | S::Completed | S::CompletedWithErrors => {}
                state => {
                    return Err(StoreError::Conflict(format!(
                        "the campaign is {state}: only one that has begun can be retried"
                    )));
                }
            }
            // Before anybody is put back: those wait too, from then on.
            let mut aside = 0;
            if campaign.state == S::Aborted {
                let run = i64::from(campaign.run);
                aside = run!(&mut *tx, sqlx::query(SET_ASIDE).bind(id.0).bind(run).bind(ASIDE))?;
            }
            let mut back = 0;
            for piece in chunks(&wanted) {
                let sql = PUT_BACK.sql(tx, piece.len());
                back += run!(&mut *tx, {
                    let mut query = sqlx::query(sql);
                    for host in piece {
                        query = query.bind(id.0).bind(i64::from(campaign.run)).bind(host.0);
                    }
                    query
                })?;
            }
            if back == 0 {
                return Err(StoreError::Conflict(
                    "nothing is to be retried: no host ended in error while its failure stands"
                        .to_owned(),
                ));
            }
            if campaign.state.is_final() {
                super::moves::check_approval(&campaign)?;
                set(tx, id, S::Running, who.actor, Why::Words(reason), now).await?;
                runs::reopen(tx, &campaign).await?;
                let expires = now.after(campaign.definition.expires.duration());
                run!(&mut *tx, sqlx::query(EXPIRES).bind(id.0).bind(expires.as_millis()))?;
            }
            let detail = json!({
                "from": campaign.state, "hosts": back, "set_aside": aside, "reason": reason,
                "run": campaign.run,
            });
            audit::note(tx, (who.actor, now), "campaign.retry", subject(id), detail).await?;
            Ok(Retried { campaign: load(tx, id).await?, hosts: back, set_aside: aside })
        })
    }
}
