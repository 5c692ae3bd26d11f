//! Campaigns, as far as both people and the planner need them: what is written is read and judged
//! here, and a host's place in a campaign becomes a job here.

mod jobs;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use fleetmend_core::campaign::{ApprovalFacts, Definition, Remedy, needs_approval};
use fleetmend_core::ids::{CampaignId, HostId};
use fleetmend_core::knowledge::{Catalogue, NetworkCost, Remediation};
use fleetmend_core::limits;
use fleetmend_core::reason::Reason;
use fleetmend_core::step::Undo;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;
use fleetmend_store::{
    Campaign, CampaignText, Member, NextWork, Selection, StoreError, UndoStanding, Undoable,
};

use crate::state::Shared;

pub use jobs::{Work, work_for};
pub use text::{BadDefinition, problem_key, read, said};

/// The hosts that a definition finds now. `campaign` is the one it is for.
///
/// # Errors
/// Where the database cannot be read.
pub async fn select(
    shared: &Shared,
    definition: &Definition,
    campaign: Option<CampaignId>,
    now: Timestamp,
) -> Result<Selection, StoreError> {
    let most = definition.max_hosts;
    shared.db.campaign_selection(&definition.selector, most, campaign, now).await
}

/// Why a definition needs the approval of a second person, for so many hosts; empty where it needs
/// none.
pub fn needs(shared: &Shared, definition: &Definition, hosts: usize) -> Vec<Reason> {
    let facts = ApprovalFacts {
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
        may_do: definition.may_do(shared.catalogue),
    };
    let policy = shared.config.approval_policy();
    needs_approval(definition, &facts, &policy).unwrap_or_default()
}

/// A campaign's text as it would be kept today, where it may not go on as it is: settings or catalogue
/// have changed so that a second person must approve it, or approve it again. An approval counts for
/// the remediations as they were then.
pub fn outdated(shared: &Shared, campaign: &Campaign) -> Option<CampaignText> {
    let definition = &campaign.definition;
    if campaign.undoes.is_some() {
        return None;
    }
    let remediations = definition.bound(shared.catalogue);
    if campaign.approved_by.is_some() && remediations == definition.remediations {
        return None;
    }
    let hosts = usize::try_from(campaign.hosts).unwrap_or(usize::MAX);
    let needs = needs(shared, definition, hosts);
    if needs.is_empty() {
        return None;
    }
    let mut definition = Definition { remediations, ..definition.clone() };
    if let Remedy::Remediation { id, version, digest } = &mut definition.remedy
        && let Some(entry) = shared.catalogue.remediations.get(id)
    {
        (*version, *digest) = (entry.version, entry.digest());
    }
    Some(CampaignText { definition, needs })
}

/// The remediations that may run for a campaign, each with its digest: those that were approved, and
/// where nobody had to approve it those that it may do today; none while it waits for an approval.
pub fn allowed(catalogue: &Catalogue, campaign: &Campaign) -> BTreeMap<Slug, String> {
    match campaign.approved_by {
        Some(_) => campaign.definition.remediations.clone(),
        None if campaign.lacks_approval() => BTreeMap::new(),
        None => campaign.definition.bound(catalogue),
    }
}

/// Whether what comes next on a host costs the network much. Against a cause it does where anything
/// against it may.
pub fn costs_network(catalogue: &Catalogue, what: NextWork<'_>) -> bool {
    let costs =
        |id: &Slug| catalogue.remediations.get(id).is_some_and(|r| r.network == NetworkCost::Large);
    let slug = |text: &str| text.parse::<Slug>().ok();
    match what {
        NextWork::Remediation(id) => slug(id).is_some_and(|id| costs(&id)),
        NextWork::Cause(id) => slug(id)
            .and_then(|id| catalogue.causes.get(&id))
            .is_some_and(|cause| cause.remediations.iter().any(costs)),
    }
}

/// How far what a try did can be taken back, by the catalogue. Of what the catalogue no longer knows in
/// that version, the agent's journal may still know it; it says so itself.
pub fn undo_of(catalogue: &Catalogue, tried: &Undoable) -> Undo {
    let entry = catalogue.remediations.get(&tried.remediation);
    let same = entry.filter(|entry| entry.version == tried.version);
    same.map_or(Undo::Compensating, Remediation::undo)
}

/// What of a campaign is taken back now, one try a host: the latest that left something that can be. A
/// host is left as it is while a job is at work on it there.
pub fn undo_next(catalogue: &Catalogue, tries: Vec<Undoable>) -> BTreeMap<HostId, Undoable> {
    let mut next = BTreeMap::new();
    let mut held = BTreeSet::new();
    // The latest first: a host is put back where the later one found it.
    for tried in tries.into_iter().rev() {
        match tried.standing {
            _ if held.contains(&tried.host) => {}
            UndoStanding::AtWork | UndoStanding::UnderWay => {
                next.remove(&tried.host);
                held.insert(tried.host);
            }
            UndoStanding::TakenBack | UndoStanding::TooOld => {}
            UndoStanding::Possible => {
                if undo_of(catalogue, &tried) != Undo::None {
                    next.entry(tried.host).or_insert(tried);
                }
            }
        }
    }
    next
}

/// The hosts on which something of a campaign can still be taken back.
///
/// # Errors
/// Where the database cannot be read.
pub async fn undo_selection(
    shared: &Shared,
    undone: CampaignId,
    now: Timestamp,
) -> Result<Selection, StoreError> {
    let db = &shared.db;
    let next = undo_next(shared.catalogue, db.campaign_undo_set(undone, now).await?);
    let mut members: Vec<Member> = Vec::new();
    for job in next.into_values() {
        let Some(host) = db.host(job.host).await? else { continue };
        members.push(Member {
            host: job.host,
            host_name: job.host_name,
            simulated: job.simulated,
            incident: job.incident,
            cause: Some(job.cause.to_string()),
            certainty: None,
            os: host.facts.os,
            build: host.facts.os_build,
            roles: Vec::new(),
            labels: host.labels,
            busy: host.active_job.is_some(),
            offline: now.since(host.last_seen) >= limits::SILENT_AFTER,
            last_seen: host.last_seen,
        });
    }
    members.sort_by(|a, b| a.host_name.cmp(&b.host_name).then_with(|| a.host.cmp(&b.host)));
    Ok(Selection { members, left_out: Vec::new() })
}
