//! What people do with a campaign.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use fleetmend_core::campaign::{CampaignState, Definition, Membership, Schedule};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::reason::joined;
use fleetmend_core::token::Permission;
use fleetmend_store::{
    Campaign, CampaignMove, CampaignText, NewCampaign, Selection, UndoStanding, Undoable,
};
use serde::{Deserialize, Serialize};

use super::preview::for_nobody;
use super::{Caller, changed, detail, find, keep};
use crate::campaigns;
use crate::entropy;
use crate::http::api::reason;
use crate::http::call::{Call, json, ok};
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// Why; may be left out where nothing is stopped.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// Why; kept in the audit log.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// Only for start: now, though it has a schedule.
    #[serde(default)]
    pub(crate) now: bool,
}

/// An approval.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approve {
    /// The digest of the definition that was seen: one that was changed since is not approved.
    pub(crate) digest: String,
    /// A word on it; kept with the approval.
    #[serde(default)]
    pub(crate) note: String,
}

/// What became of a wish to try again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Retried)]
pub(crate) struct RetryView {
    /// Hosts that get a fresh job.
    pub(crate) retried: u64,
    /// Hosts that the abort had not reached, and that are left out from now on; 0 where it was not
    /// aborted.
    pub(crate) set_aside: u64,
    /// The campaign.
    #[serde(flatten)]
    pub(crate) campaign: super::CampaignDetailView,
}

/// What of a campaign can still be taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CampaignUndo)]
pub(crate) struct UndoView {
    /// Jobs by how far: `exact`, `compensating` and `none` can be ordered (the last says why it does
    /// nothing); `at_work`, `under_way`, `taken_back` and `too_old` cannot.
    pub(crate) jobs: BTreeMap<String, u64>,
    /// Hosts on which something would be taken back.
    pub(crate) hosts: u64,
    /// The first jobs, oldest first; at most 100.
    #[schema(value_type = Vec<Object>)]
    pub(crate) first: Vec<Undoable>,
}

/// Approves a campaign that somebody else wrote.
pub(crate) async fn approve(call: Call) -> Answer {
    let body: Approve = call.json()?;
    let done = approve_as(&call, call.id()?, &body.digest, &body.note).await?;
    ok(&detail(&call, &done).await?)
}

/// Approves a campaign as the caller saw it. Also used by pages.
pub(crate) async fn approve_as(
    call: &Call,
    id: CampaignId,
    digest: &str,
    note: &str,
) -> Result<Campaign, Problem> {
    let note = if note.trim().is_empty() { "" } else { reason(note)? };
    let caller = Caller::of(call);
    as_of_today(call, &find(call, id).await?).await?;
    let done = call.db().approve_campaign(id, digest, note, caller.who(), call.now).await?;
    changed(call, id);
    Ok(done)
}

/// Starts a campaign, or gives it to its schedule.
pub(crate) async fn start(call: Call) -> Answer {
    let body: Because = call.json()?;
    let started = start_as(&call, call.id()?, because(&body)?, body.now).await?;
    ok(&detail(&call, &started).await?)
}

/// Starts a campaign; gives it to its schedule where it has one, unless it is to begin `now`. Also used
/// by pages.
pub(crate) async fn start_as(
    call: &Call,
    id: CampaignId,
    why: &str,
    now: bool,
) -> Result<Campaign, Problem> {
    let caller = Caller::of(call);
    let campaign = find(call, id).await?;
    let definition = &campaign.definition;
    // Who may order for one host may start what was approved for that one host.
    if definition.max_hosts != Some(1)
        && let Some(asks) = &call.caller
    {
        asks.require(Permission::Author)?;
    }
    as_of_today(call, &campaign).await?;
    let started = if definition.schedule == Schedule::ByHand || now {
        let hosts = match campaign.undoes {
            Some(undone) => campaigns::undo_selection(call.shared(), undone, call.now).await?,
            None => campaigns::select(call.shared(), definition, Some(id), call.now).await?,
        };
        if hosts.members.is_empty() && definition.membership == Membership::Static {
            let text =
                "it finds no host now: nothing would be done; its preview says whom it leaves out";
            return Err(Problem::conflict("no_hosts", text).field("selector"));
        }
        has_its_canaries(definition, &hosts)?;
        call.db()
            .start_campaign((id, &campaign.digest), &hosts, why, caller.who(), call.now)
            .await?
    } else {
        let to = CampaignMove::Schedule;
        call.db().move_campaign(id, to, why, caller.who(), call.now).await?
    };
    changed(call, id);
    Ok(started)
}

/// Refuses to start what would stand still at a wave for a label that nobody has. Where hosts join later
/// one of them may have it.
fn has_its_canaries(definition: &Definition, hosts: &Selection) -> Result<(), Problem> {
    if definition.membership != Membership::Static {
        return Ok(());
    }
    let nobody = definition.waves_for_nobody(hosts.members.iter().map(|member| &member.labels));
    let Some(first) = nobody.into_iter().next() else { return Ok(()) };
    let field = format!("waves[{}].label", first.0 - 1);
    let text =
        format!("{}: label such a host, or leave the label out of the wave", for_nobody(first));
    Err(Problem::conflict("no_canary", text).field(field))
}

/// Starts nothing new.
pub(crate) async fn pause(call: Call) -> Answer {
    step(call, CampaignMove::Pause).await
}

/// Goes on after a pause.
pub(crate) async fn resume(call: Call) -> Answer {
    step(call, CampaignMove::Resume).await
}

/// Stops for good.
pub(crate) async fn abort(call: Call) -> Answer {
    step(call, CampaignMove::Abort).await
}

/// Takes a campaign back that has not begun.
pub(crate) async fn cancel(call: Call) -> Answer {
    step(call, CampaignMove::Cancel).await
}

/// Puts the hosts back that ended in error.
pub(crate) async fn retry(call: Call) -> Answer {
    let body: Because = call.json()?;
    let done = retry_as(&call, call.id()?, because(&body)?).await?;
    let campaign = detail(&call, &done.campaign).await?;
    ok(&RetryView { retried: done.hosts, set_aside: done.set_aside, campaign })
}

/// Puts the hosts back that ended in error. Also used by pages.
pub(crate) async fn retry_as(
    call: &Call,
    id: CampaignId,
    why: &str,
) -> Result<fleetmend_store::Retried, Problem> {
    let caller = Caller::of(call);
    as_of_today(call, &find(call, id).await?).await?;
    let catalogue = call.shared().catalogue;
    let costs = |what: fleetmend_store::NextWork<'_>| campaigns::costs_network(catalogue, what);
    let look = call.db().campaign_snapshot(id, &costs, call.now).await?;
    let hosts = fleetmend_core::campaign::retry(&look.snapshot, call.now);
    let done = call.db().retry_campaign(id, &hosts, why, caller.who(), call.now).await?;
    changed(call, id);
    Ok(done)
}

/// Says what of a campaign can still be taken back.
pub(crate) async fn undo_preview(call: Call) -> Answer {
    let id = find(&call, call.id()?).await?.id;
    let set = call.db().campaign_undo_set(id, call.now).await?;
    let mut jobs: BTreeMap<String, u64> = BTreeMap::new();
    for job in &set {
        let word = match job.standing {
            UndoStanding::Possible => campaigns::undo_of(call.shared().catalogue, job).as_str(),
            other => other.as_str(),
        };
        *jobs.entry(word.to_owned()).or_default() += 1;
    }
    let hosts = campaigns::undo_selection(call.shared(), id, call.now).await?.members.len() as u64;
    ok(&UndoView { jobs, hosts, first: set.into_iter().take(100).collect() })
}

/// Takes back what a campaign did: a campaign of its own, in the same waves, that is started at once.
pub(crate) async fn undo(call: Call) -> Answer {
    let body: Because = call.json()?;
    let why = body.reason.as_deref().unwrap_or_default();
    let started = undo_as(&call, call.id()?, why).await?;
    json(StatusCode::CREATED, &detail(&call, &started).await?)
}

/// Makes and starts the campaign that takes another back. Also used by pages.
pub(crate) async fn undo_as(call: &Call, id: CampaignId, why: &str) -> Result<Campaign, Problem> {
    let why = reason(why)?.to_owned();
    let undone = find(call, id).await?;
    let hosts = campaigns::undo_selection(call.shared(), id, call.now).await?;
    if hosts.members.is_empty() {
        let text = "nothing of it can be taken back now: GET its undo says why";
        return Err(Problem::conflict("nothing_to_undo", text));
    }
    let made = keep(call, undoing(call, &undone, &why, hosts.members.len())).await?;
    let caller = Caller::of(call);
    let started = call
        .db()
        .start_campaign((made.id, &made.digest), &hosts, &why, caller.who(), call.now)
        .await?;
    changed(call, made.id);
    Ok(started)
}

/// The campaign that takes another back. It does nothing that was not approved: it needs no approval.
fn undoing(call: &Call, undone: &Campaign, why: &str, hosts: usize) -> NewCampaign {
    let definition = undone.definition.to_undo(why, hosts);
    let id = entropy::id(CampaignId::at, &*call.shared().clock);
    let text = CampaignText { definition, needs: Vec::new() };
    NewCampaign { id, text, undoes: Some(undone.id) }
}

async fn step(call: Call, to: CampaignMove) -> Answer {
    let body: Because = call.json()?;
    let moved = move_as(&call, call.id()?, to, because(&body)?).await?;
    ok(&detail(&call, &moved).await?)
}

/// Moves a campaign by a person's decision. Also used by pages.
pub(crate) async fn move_as(
    call: &Call,
    id: CampaignId,
    to: CampaignMove,
    why: &str,
) -> Result<Campaign, Problem> {
    let caller = Caller::of(call);
    if matches!(to, CampaignMove::Schedule | CampaignMove::Resume) {
        as_of_today(call, &find(call, id).await?).await?;
    }
    let moved = call.db().move_campaign(id, to, why, caller.who(), call.now).await?;
    changed(call, id);
    Ok(moved)
}

/// Refuses to go on with what nobody approved as it is today, though it was approved, or needed no
/// approval, when it was written. One that has not begun, or is in the midst of its work, awaits that
/// from now on.
async fn as_of_today(call: &Call, campaign: &Campaign) -> Result<(), Problem> {
    use CampaignState as S;
    let Some(text) = campaigns::outdated(call.shared(), campaign) else { return Ok(()) };
    let needs = joined(&text.needs);
    match campaign.state {
        // It asks for that already.
        _ if campaign.awaits_approval() && text.definition.digest() == campaign.digest => Ok(()),
        S::Draft | S::AwaitingApproval | S::Scheduled | S::Paused | S::Running => {
            let (id, by) = (campaign.id, call.actor());
            call.db().ask_again(id, campaign.revision, &text, &by, call.now).await?;
            changed(call, id);
            Err(Problem::conflict(
                "approval",
                format!("a second person must approve it first, as it is now: {needs}"),
            ))
        }
        S::Aborted | S::Completed | S::CompletedWithErrors => Err(Problem::conflict(
            "approval",
            format!(
                "settings or catalogue have changed, and a second person would have to approve it: write another; {needs}"
            ),
        )),
        S::Cancelled => Ok(()),
    }
}

fn because(body: &Because) -> Result<&str, Problem> {
    match body.reason.as_deref().map(str::trim) {
        None | Some("") => Ok(""),
        Some(text) => reason(text),
    }
}
