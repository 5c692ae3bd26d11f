//! A campaign as one document: what was written, who approved it, what was done, how it ended.

use std::collections::BTreeMap;

use fleetmend_core::ids::{CampaignId, JobId};
use fleetmend_core::time::Timestamp;

use super::get::missing;
use super::results::HostCounts;
use super::write::subject;
use super::{Approval, Campaign, CampaignRun, HostResult, WaveCounts};
use crate::audit::{AuditFilter, AuditRow};
use crate::backend::Db;
use crate::error::Result;
use crate::jobs::{JobDetail, JobFilter};
use crate::page::PageRequest;

/// Rows of the audit log that a document holds at most, the newest.
const AUDIT_ROWS: usize = 10_000;
/// Jobs that it holds at most, the newest.
const JOBS: usize = 20_000;
/// Steps of tries that it holds at most.
const STEPS: usize = 200_000;
/// Runs whose beginning it tells, the newest.
const BEGINNINGS: u32 = 1_000;

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
    /// What each run found when it began, by its number: how many hosts, of which kinds, and why others
    /// were left out. None of runs that began before this was kept.
    pub found: BTreeMap<u32, serde_json::Value>,
    /// Every job of it with every try and its steps, oldest first: those too that a retry put aside, and
    /// those that were taken back before they began.
    pub jobs: Vec<JobDetail>,
    /// Jobs that are older than those: look for them in the list of jobs.
    pub jobs_omitted: u64,
    /// Steps that are left out of their tries: look for them in their jobs.
    pub steps_omitted: u64,
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
        let (jobs, jobs_omitted, steps_omitted) = self.all_jobs(id).await?;
        Ok(CampaignDocument {
            approvals: self.campaign_approvals(id).await?,
            runs: self.campaign_runs(id).await?,
            audit_omitted: total.saturating_sub(audit.len() as u64),
            found: self.beginnings(id).await?,
            campaign,
            waves,
            hosts,
            jobs,
            jobs_omitted,
            steps_omitted,
            audit,
        })
    }

    /// The newest jobs with their tries, oldest first; how many jobs there are beside them, and how many
    /// steps were left out.
    async fn all_jobs(&self, id: CampaignId) -> Result<(Vec<JobDetail>, u64, u64)> {
        let filter = JobFilter { campaign: Some(id), ..JobFilter::default() };
        let (mut jobs, mut cursor, mut total, mut steps, mut omitted) = (vec![], None, 0, 0, 0);
        while jobs.len() < JOBS {
            let page = self.jobs(&filter, &PageRequest { limit: 1_000, cursor }).await?;
            total = page.total;
            let ids: Vec<JobId> = page.items.iter().map(|job| job.id).collect();
            let mut tries = self.attempts_of(&ids).await?;
            for job in page.items {
                let mut attempts = tries.remove(&job.id).unwrap_or_default();
                for attempt in &mut attempts {
                    let room = STEPS.saturating_sub(steps);
                    omitted += attempt.steps.len().saturating_sub(room) as u64;
                    attempt.steps.truncate(room);
                    steps += attempt.steps.len();
                }
                jobs.push(JobDetail { job, attempts });
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        jobs.reverse();
        let older = total.saturating_sub(jobs.len() as u64);
        Ok((jobs, older, omitted))
    }

    /// What the audit log says of the beginning of each run.
    async fn beginnings(&self, id: CampaignId) -> Result<BTreeMap<u32, serde_json::Value>> {
        let mut found = BTreeMap::new();
        for action in ["campaign.start", "campaign.run"] {
            let filter = AuditFilter {
                subject: Some(subject(id)),
                action: Some(action.to_owned()),
                ..AuditFilter::default()
            };
            let page = self.audit_log(&filter, &PageRequest::first(BEGINNINGS)).await?;
            for row in page.items {
                let run = row.detail["run"].as_u64().and_then(|run| u32::try_from(run).ok());
                if let (Some(run), preview @ serde_json::Value::Object(_)) =
                    (run, &row.detail["found"])
                {
                    found.insert(run, preview.clone());
                }
            }
        }
        Ok(found)
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
