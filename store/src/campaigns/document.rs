//! A campaign as one document: what was written, who approved it, what was done, how it ended.

use fleetmend_core::ids::CampaignId;
use fleetmend_core::time::Timestamp;

use super::get::missing;
use super::results::HostCounts;
use super::write::subject;
use super::{Approval, Campaign, CampaignRun, HostResult, WaveCounts};
use crate::audit::{AuditFilter, AuditRow};
use crate::backend::Db;
use crate::error::Result;
use crate::page::PageRequest;

/// Rows of the audit log that a document holds at most, the newest.
const AUDIT_ROWS: usize = 10_000;

/// All that there is of a campaign.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CampaignDocument {
    /// The campaign, with its definition, the change's number and the digest.
    pub campaign: Campaign,
    /// Who approved it, those without force too.
    pub approvals: Vec<Approval>,
    /// Its runs.
    pub runs: Vec<CampaignRun>,
    /// The waves of all runs, with what became of their hosts.
    pub waves: Vec<WaveCounts>,
    /// The hosts of all runs, with what became of each.
    pub hosts: Vec<HostResult>,
    /// What was done to it and by whom, oldest first, with each row's hash.
    pub audit: Vec<AuditRow>,
    /// Rows of the audit log that are older than those: look for them there.
    pub audit_omitted: u64,
}

impl Db {
    /// A campaign as one document.
    pub async fn campaign_document(
        &self,
        id: CampaignId,
        now: Timestamp,
    ) -> Result<CampaignDocument> {
        let campaign = self.campaign(id).await?.ok_or_else(|| missing(id))?;
        let hosts = self.all_results(&campaign, now).await?;
        let waves = self.all_waves(id).await?;
        let waves = waves.into_iter().map(|wave| counted(wave, &hosts)).collect();
        let (mut audit, mut cursor, mut total) = (Vec::new(), None, 0);
        while audit.len() < AUDIT_ROWS {
            let filter = AuditFilter { subject: Some(subject(id)), ..AuditFilter::default() };
            let page = self.audit_log(&filter, &PageRequest { limit: 1_000, cursor }).await?;
            total = page.total;
            audit.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        audit.reverse();
        Ok(CampaignDocument {
            approvals: self.campaign_approvals(id).await?,
            runs: self.campaign_runs(id).await?,
            audit_omitted: total.saturating_sub(audit.len() as u64),
            campaign,
            waves,
            hosts,
            audit,
        })
    }
}

fn counted(
    (run, wave, opened, gate_held): (u32, u32, Timestamp, Option<Timestamp>),
    hosts: &[HostResult],
) -> WaveCounts {
    let mut counts = HostCounts::default();
    for host in hosts.iter().filter(|host| host.run == run && host.wave == Some(wave)) {
        counts.add(host.stands, 1, u64::from(host.relapsed.is_some()));
    }
    WaveCounts { run, wave, opened, gate_held, counts }
}
