//! Campaigns: what is written and approved, which hosts are found, and that each step happens whole,
//! once, and on hosts that are free.

mod across;
mod counts;
mod places;
mod races;
mod steps;
mod written;

use fleetmend_core::campaign::{Definition, advance};
use fleetmend_core::ids::{CampaignId, HostId, IncidentId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;
use serde_json::{Value, json};

use super::{at, fails, failure, hosts, id, incidents, job, job_says, send};
use crate::{
    Applied, Campaign, CampaignLook, CampaignText, Db, NewCampaign, NewJob, NextStep, PageRequest,
    ResultFilter, Selection, Who,
};

pub(in crate::tests) const ANNA: Who<'_> = Who { actor: "user anna", person: "anna" };
pub(in crate::tests) const BORIS: Who<'_> = Who { actor: "user boris", person: "boris" };
const CODE: &str = "apt.dpkg_interrupted";

/// A definition, with some of its fields set.
pub(super) fn definition(fields: &Value) -> Definition {
    let mut all = json!({
        "name": "mend dpkg", "reason": "a test", "selector": {"code": CODE},
        "waves": [{"share": "1"}, {"share": "all"}], "gate": {"soak": "0s"},
    });
    for (key, value) in fields.as_object().expect("fields") {
        all[key] = value.clone();
    }
    serde_json::from_value(all).expect("a definition")
}

pub(super) fn text(fields: &Value) -> CampaignText {
    CampaignText { definition: definition(fields), needs: Vec::new() }
}

pub(in crate::tests) fn new(n: u128, fields: &Value) -> NewCampaign {
    NewCampaign { id: CampaignId(id(n)), text: text(fields), undoes: None }
}

/// Hosts 1 to `n` with one open incident each.
pub(in crate::tests) async fn broken(db: &Db, n: u128) -> Vec<(HostId, IncidentId)> {
    for (i, host) in hosts(db, n).await.into_iter().enumerate() {
        send(db, host, [fails(failure(100 + i as u128, CODE, None, at(1)))], at(1)).await;
    }
    let mut all: Vec<_> = incidents(db).await.iter().map(|i| (i.host, i.id)).collect();
    all.sort_unstable();
    all
}

/// What the campaign's own selector finds.
pub(in crate::tests) async fn found(db: &Db, campaign: &Campaign, now: Timestamp) -> Selection {
    let Definition { selector, max_hosts, .. } = &campaign.definition;
    db.campaign_selection(selector, *max_hosts, Some(campaign.id), now).await.expect("selects")
}

/// A campaign that runs on all hosts that it finds.
pub(in crate::tests) async fn running(
    db: &Db,
    n: u128,
    fields: &Value,
    now: Timestamp,
) -> Campaign {
    let made = db.create_campaign(&new(n, fields), ANNA, now).await.expect("creates");
    let hosts = found(db, &made, now).await;
    db.start_campaign((made.id, &made.digest), &hosts, "tonight", ANNA, now).await.expect("starts")
}

pub(in crate::tests) async fn look(db: &Db, id: CampaignId, now: Timestamp) -> CampaignLook {
    db.campaign_snapshot(id, &|_| false, now).await.expect("looks")
}

/// Jobs for hosts of a campaign, with ids that nobody has.
pub(in crate::tests) async fn jobs_for(
    db: &Db,
    id: CampaignId,
    hosts: &[HostId],
    now: Timestamp,
) -> Vec<NewJob> {
    let results = results(db, id).await;
    let one = |host: &HostId| {
        let of = results.iter().find(|r| r.host == *host).expect("a host of it");
        let random = super::random()();
        let expires = now.after(std::time::Duration::from_hours(24));
        NewJob {
            id: JobId::at(now, random),
            not_before: now,
            expires,
            ..job(0, *host, of.incident)
        }
    };
    hosts.iter().map(one).collect()
}

pub(super) async fn results(db: &Db, id: CampaignId) -> Vec<crate::HostResult> {
    let page = PageRequest::first(1_000);
    db.campaign_results(id, &ResultFilter::default(), &page, at(9)).await.expect("lists").items
}

/// One look and what follows from it, as the planner does it.
pub(in crate::tests) async fn plan(db: &Db, id: CampaignId, now: Timestamp) -> Option<Applied> {
    let CampaignLook { campaign, snapshot } = look(db, id, now).await;
    let decisions = advance(&snapshot, now);
    let jobs = jobs_for(db, id, &decisions.start, now).await;
    let selection = found(db, &campaign, now).await;
    let step = NextStep {
        revision: campaign.revision,
        decisions: &decisions,
        jobs: &jobs,
        left_out: &[],
        selection: Some(&selection),
    };
    let by = format!("campaign {id}");
    db.apply_campaign(id, &step, &by, now).await.expect("applies")
}

/// Looks until nothing more follows; the jobs that were made.
pub(super) async fn settle(db: &Db, id: CampaignId, now: Timestamp) -> Vec<(HostId, JobId)> {
    let mut started = Vec::new();
    for _ in 0..30 {
        let applied = plan(db, id, now).await.expect("nobody else changes it");
        started.extend(applied.started);
        if applied.campaign.next_look.is_none_or(|at| at > now) {
            return started;
        }
    }
    panic!("it never settles");
}

/// The agent's whole work on a job.
pub(in crate::tests) async fn works(
    db: &Db,
    host: HostId,
    job: JobId,
    to: JobState,
    now: Timestamp,
) {
    db.offer(job, now).await.expect("offers").expect("an order");
    let mut news = vec![job_says(job, 1, JobState::Running, now)];
    if to != JobState::Running {
        news.push(job_says(job, 1, to, now));
    }
    send(db, host, news, now).await;
}
