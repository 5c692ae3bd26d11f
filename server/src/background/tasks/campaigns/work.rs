//! The jobs for the hosts that a campaign is to start, or why one has none.

use std::collections::{BTreeMap, HashSet};

use fleetmend_core::campaign::{Decisions, Snapshot, advance};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Campaign, JobTerms, LeftOut, NewJob, NextWork, StoreError, Undoable};

use super::Campaigns;
use crate::campaigns::{self, Work};
use crate::entropy;
use crate::orders::{Case, steps_time};

/// What becomes of the hosts that are to be started.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) jobs: Vec<NewJob>,
    pub(super) left_out: Vec<LeftOut>,
    /// Not now: looked at again later.
    pub(super) later: Vec<LeftOut>,
}

/// Since when a host has not told what is needed, and when it is looked at again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Untold {
    since: Timestamp,
    pub(super) again: Timestamp,
}

impl Campaigns {
    /// What happens next, with the jobs that are made for it. Where what was chosen for a host costs the
    /// network otherwise than its cause lets expect, it is decided again with what is known now.
    pub(super) async fn decide(
        &mut self,
        campaign: &Campaign,
        snapshot: &mut Snapshot,
        now: Timestamp,
    ) -> Result<(Decisions, Tasks), StoreError> {
        let (mut tasks, mut asked) = (Tasks::default(), HashSet::new());
        loop {
            let decisions = advance(snapshot, now);
            let left = limits::CAMPAIGN_STEP_JOBS - asked.len();
            let hosts = decisions.start.iter().copied().filter(|host| !asked.contains(host));
            let hosts: Vec<HostId> = hosts.take(left).collect();
            asked.extend(hosts.iter().copied());
            let first = tasks.jobs.len();
            self.work(campaign, hosts, &mut tasks, now).await?;
            let mut differs = false;
            for job in &tasks.jobs[first..] {
                let what = NextWork::Remediation(job.remediation.as_str());
                let costs = campaigns::costs_network(self.shared.catalogue, what);
                self.costs.insert((campaign.id, job.host), costs);
                for host in snapshot.hosts.iter_mut().filter(|host| host.host == job.host) {
                    differs |= host.network != costs;
                    host.network = costs;
                }
            }
            if !differs {
                let begin: HashSet<HostId> = decisions.start.iter().copied().collect();
                tasks.jobs.retain(|job| begin.contains(&job.host));
                return Ok((decisions, tasks));
            }
        }
    }

    /// A job for each host that is to be started, or why it has none, now or ever.
    async fn work(
        &mut self,
        campaign: &Campaign,
        hosts: Vec<HostId>,
        tasks: &mut Tasks,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if hosts.is_empty() {
            return Ok(());
        }
        let expires = campaign.expires.unwrap_or_else(|| now.after(limits::ORDER_LIFE));
        let undo: BTreeMap<HostId, Undoable> = match campaign.undoes {
            Some(undone) => {
                let tries = self.shared.db.campaign_undo_set(undone, now).await?;
                campaigns::undo_next(self.shared.catalogue, tries)
            }
            None => BTreeMap::new(),
        };
        let incidents = self.shared.db.campaign_incidents(campaign, &hosts).await?;
        let allowed = campaigns::allowed(self.shared.catalogue, campaign);
        for host in hosts {
            let id = entropy::id(JobId::at, &*self.shared.clock);
            let work = match (campaign.undoes, incidents.get(&host)) {
                (Some(_), _) => self.undo(undo.get(&host), campaign, (id, expires, now)),
                (None, Some(incident)) => {
                    match Case::read(&self.shared.db, self.shared.catalogue, *incident).await? {
                        Some(case) => campaigns::work_for(
                            &case,
                            &campaign.definition,
                            &allowed,
                            (id, expires, now),
                        ),
                        None => passed("its failure is not known any more"),
                    }
                }
                // Taken out, or started by another planner, since it was looked at.
                (None, None) => continue,
            };
            match work {
                Work::Job(job) => tasks.jobs.push(*job),
                Work::PassedOver { why } => tasks.left_out.push(LeftOut { host, reason: why }),
                Work::Later { why } => {
                    let waits = LeftOut { host, reason: why };
                    self.untold(campaign, waits, tasks, now).await?;
                }
            }
        }
        Ok(())
    }

    /// A host that has not told what its remediation needs: it is asked again, for a while.
    async fn untold(
        &mut self,
        campaign: &Campaign,
        waits: LeftOut,
        tasks: &mut Tasks,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let again = now.after(limits::EVIDENCE_LOOK);
        let key = (campaign.id, waits.host);
        let since = match self.untold.get(&key) {
            Some(untold) => untold.since,
            // From before a restart, or now.
            None => self.shared.db.untold_since(campaign, waits.host).await?.unwrap_or(now),
        };
        let untold = self.untold.entry(key).or_insert(Untold { since, again });
        untold.again = again;
        if now.since(untold.since) < limits::EVIDENCE_WAIT {
            tasks.later.push(waits);
        } else {
            self.untold.remove(&key);
            tasks.left_out.push(waits);
        }
        Ok(())
    }

    /// The job that takes back what another did.
    fn undo(
        &self,
        undoable: Option<&Undoable>,
        campaign: &Campaign,
        (id, expires, now): (JobId, Timestamp, Timestamp),
    ) -> Work {
        let Some(undone) = undoable else {
            return passed("nothing can be taken back on it any more");
        };
        let entry = self.shared.catalogue.remediations.get(&undone.remediation);
        let entry = entry.filter(|entry| entry.version == undone.version);
        Work::Job(Box::new(NewJob {
            id,
            host: undone.host,
            incident: undone.incident,
            cause: undone.cause.clone(),
            remediation: undone.remediation.clone(),
            version: undone.version,
            digest: undone.digest.clone(),
            evidence: Vec::new(),
            steps_time: entry.map_or(limits::ORDER_LIFE, steps_time),
            verify_within: limits::VERIFY_WITHIN,
            not_before: now,
            expires: now.after(limits::ORDER_LIFE).min(expires),
            reason: campaign.definition.reason.clone(),
            terms: JobTerms {
                task: Task::Undo { job: undone.job, attempt: undone.attempt },
                max_risk: campaign.definition.max_risk,
                reboot: campaign.definition.reboot,
                max_deferrals: campaign.definition.restart.deferrals,
                notice_seconds: campaign.definition.restart.seconds(),
                ..JobTerms::default()
            },
        }))
    }
}

fn passed(why: &str) -> Work {
    Work::PassedOver { why: why.to_owned() }
}
