//! Campaigns on the wire.

use std::collections::BTreeMap;

use fleetmend_core::campaign::{Schedule, Share};
use fleetmend_store as store;
use fleetmend_store::{Campaign, CampaignCounts, CampaignRun, HostCounts, HostResult};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::api::model::{HostRef, ReasonView, Time, time, times};

/// A campaign, as lists show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CampaignView {
    /// Its id.
    pub(crate) id: String,
    /// A name for people.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
    /// The number of the change request.
    pub(crate) change: Option<String>,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// Whether it is over. One that repeats goes on at its next time.
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    /// Since when.
    pub(crate) state_since: Time,
    /// Who or what brought it there.
    pub(crate) state_by: String,
    /// Why.
    pub(crate) state_reason: String,
    /// The same as reasons; empty where the words are a person's.
    pub(crate) state_reasons: Vec<ReasonView>,
    /// Why nothing more starts now.
    pub(crate) waiting_for: Option<String>,
    /// The same as reasons.
    pub(crate) waiting_reasons: Vec<ReasonView>,
    /// Why it needs the approval of a second person; empty where it needs none.
    pub(crate) needs_approval: Vec<String>,
    /// The same as reasons.
    pub(crate) approval_reasons: Vec<ReasonView>,
    /// Whether a second person is asked to approve it: before it begins, or while it is paused.
    pub(crate) awaits_approval: bool,
    /// Who approved it as it stands.
    pub(crate) approved_by: Option<String>,
    /// Who wrote it.
    pub(crate) created_by: String,
    /// When.
    pub(crate) created_at: Time,
    /// Who changed it last.
    pub(crate) edited_by: String,
    /// When.
    pub(crate) edited_at: Time,
    /// Its present or last run; 0 before the first.
    pub(crate) run: u32,
    /// Hosts of that run.
    pub(crate) hosts: u64,
    /// Who began that run.
    pub(crate) started_by: Option<String>,
    /// When it began.
    pub(crate) started_at: Option<Time>,
    /// When it ended.
    pub(crate) run_ended_at: Option<Time>,
    /// Until when it begins on hosts that come back.
    pub(crate) expires_at: Option<Time>,
    /// When it is looked at again though nothing happens.
    pub(crate) next_look_at: Option<Time>,
    /// The campaign whose jobs it takes back.
    pub(crate) undoes: Option<String>,
    /// Whether it runs again and again.
    pub(crate) repeats: bool,
    /// The highest risk it allows.
    pub(crate) max_risk: &'static str,
    /// SHA-256 of what is written: what an approval names.
    pub(crate) digest: String,
    /// Rises with every change; an edit names the one that was seen.
    pub(crate) revision: u64,
}

/// A campaign with its definition and how its hosts stand.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CampaignDetailView {
    /// The campaign.
    #[serde(flatten)]
    pub(crate) campaign: CampaignView,
    /// What is written.
    #[schema(value_type = Object)]
    pub(crate) definition: serde_json::Value,
    /// Hosts by how they stand: `waiting`, `left_out`, `silent`, or the state of their job.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Hosts whose failure came back after the fix.
    pub(crate) relapsed: u64,
    /// Its waves, in order, those too that were not opened yet.
    pub(crate) waves: Vec<WaveView>,
    /// Its runs, oldest first.
    pub(crate) runs: Vec<RunView>,
}

/// One wave of the present or last run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WaveView {
    /// Which, from 0.
    pub(crate) wave: u32,
    /// Its cumulative share: `5`, `10%`, `all`.
    pub(crate) share: String,
    /// The label of its canary.
    pub(crate) label: Option<String>,
    /// Hosts that its share adds, of those of the run.
    pub(crate) hosts: u64,
    /// When it was opened.
    pub(crate) opened_at: Option<Time>,
    /// When its gate first held.
    pub(crate) gate_held_at: Option<Time>,
    /// The hosts started in it, by the state of their job.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// One run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RunView {
    /// Which, from 1.
    pub(crate) run: u32,
    /// Who began it.
    pub(crate) started_by: String,
    /// When.
    pub(crate) started_at: Time,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
    /// How.
    pub(crate) outcome: Option<&'static str>,
}

/// How one host stands in a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CampaignHostView {
    /// The host.
    pub(crate) host: HostRef,
    /// The run.
    pub(crate) run: u32,
    /// Its failure.
    pub(crate) incident: String,
    /// The wave it was started in, from 0.
    pub(crate) wave: Option<u32>,
    /// `waiting`, `left_out`, `silent`, or the state of its job.
    pub(crate) outcome: &'static str,
    /// Why, in words.
    pub(crate) detail: Option<String>,
    /// The same as a reason, where the words are known.
    pub(crate) detail_reason: Option<ReasonView>,
    /// Its job.
    pub(crate) job: Option<String>,
    /// `remediate`, `verify` or `undo`.
    pub(crate) task: Option<String>,
    /// The cause acted on.
    pub(crate) cause: Option<String>,
    /// The remediation, the last one that was tried.
    pub(crate) remediation: Option<String>,
    /// Its version.
    pub(crate) version: Option<u32>,
    /// How the fix was proved.
    pub(crate) proof: Option<&'static str>,
    /// Tries.
    pub(crate) attempts: u32,
    /// How often it was put back by a retry.
    pub(crate) retries: u32,
    /// When it began.
    pub(crate) begun_at: Option<Time>,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
    /// When the failure came back after the fix.
    pub(crate) relapsed_at: Option<Time>,
}

impl CampaignView {
    /// From the store's.
    pub(crate) fn new(campaign: &Campaign) -> Self {
        let definition = &campaign.definition;
        let repeats =
            matches!(definition.schedule, Schedule::Cron { .. } | Schedule::Monthly { .. });
        Self {
            id: campaign.id.to_string(),
            name: definition.name.clone(),
            reason: definition.reason.clone(),
            change: definition.change.clone(),
            state: campaign.state.as_str(),
            is_final: campaign.state.is_final(),
            state_since: time(campaign.state_since),
            state_by: campaign.state_by.clone(),
            state_reason: campaign.state_reason.clone(),
            state_reasons: ReasonView::all(&campaign.state_reasons),
            waiting_for: campaign.waiting_for.clone(),
            waiting_reasons: ReasonView::all(&campaign.waiting_reasons),
            needs_approval: campaign.needs.iter().map(ToString::to_string).collect(),
            approval_reasons: ReasonView::all(&campaign.needs),
            awaits_approval: campaign.awaits_approval(),
            approved_by: campaign.approved_by.clone(),
            created_by: campaign.created_by.clone(),
            created_at: time(campaign.created),
            edited_by: campaign.edited_by.clone(),
            edited_at: time(campaign.edited),
            run: campaign.run,
            hosts: campaign.hosts,
            started_by: campaign.started_by.clone(),
            started_at: times(campaign.started),
            run_ended_at: times(campaign.run_ended),
            expires_at: times(campaign.expires),
            next_look_at: times(campaign.next_look),
            undoes: campaign.undoes.map(|id| id.to_string()),
            repeats,
            max_risk: definition.max_risk.as_str(),
            digest: campaign.digest.clone(),
            revision: campaign.revision,
        }
    }
}

impl CampaignDetailView {
    /// From the store's.
    pub(crate) fn new(
        campaign: &Campaign,
        counts: &CampaignCounts,
        runs: Vec<CampaignRun>,
    ) -> Self {
        let definition = serde_json::to_value(&campaign.definition).unwrap_or_default();
        Self {
            definition,
            counts: by_standing(&counts.all),
            relapsed: counts.all.relapsed,
            waves: waves(campaign, counts),
            runs: runs.into_iter().map(RunView::from).collect(),
            campaign: CampaignView::new(campaign),
        }
    }
}

fn waves(campaign: &Campaign, counts: &CampaignCounts) -> Vec<WaveView> {
    let total = usize::try_from(campaign.hosts).unwrap_or(usize::MAX);
    let mut before = 0;
    let mut views = Vec::new();
    for (at, wave) in campaign.definition.waves.iter().enumerate() {
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let share: Share = wave.share;
        let up_to = if total == 0 { 0 } else { share.of(total).max(before) };
        let opened = counts.waves.iter().find(|opened| opened.wave == number);
        views.push(WaveView {
            wave: number,
            share: share.to_string(),
            label: wave.label.as_ref().map(|(key, value)| format!("{key}={value}")),
            hosts: (up_to - before) as u64,
            opened_at: opened.map(|wave| time(wave.opened)),
            gate_held_at: opened.and_then(|wave| times(wave.gate_held)),
            counts: opened.map(|wave| by_standing(&wave.counts)).unwrap_or_default(),
        });
        before = up_to;
    }
    views
}

fn by_standing(counts: &HostCounts) -> BTreeMap<String, u64> {
    let mut map = counts.states.clone();
    for (name, n) in [("waiting", counts.waiting), ("left_out", counts.left_out)] {
        if n > 0 {
            map.insert(name.to_owned(), n);
        }
    }
    map
}

impl From<CampaignRun> for RunView {
    fn from(run: CampaignRun) -> Self {
        Self {
            run: run.run,
            started_by: run.started_by,
            started_at: time(run.started),
            ended_at: times(run.ended),
            outcome: run.outcome.map(fleetmend_core::campaign::CampaignState::as_str),
        }
    }
}

impl From<HostResult> for CampaignHostView {
    fn from(result: HostResult) -> Self {
        let store::HostResult { left_out, detail, .. } = result;
        let outcome = result.stands.as_str();
        let detail = left_out.or(result.waits_for).or(detail);
        Self {
            host: HostRef {
                id: result.host.to_string(),
                name: result.host_name,
                simulated: result.simulated,
            },
            run: result.run,
            incident: result.incident.to_string(),
            wave: result.wave,
            outcome,
            detail_reason: detail.as_deref().and_then(ReasonView::of_words),
            detail,
            job: result.job.map(|id| id.to_string()),
            task: result.task,
            cause: result.cause,
            remediation: result.remediation,
            version: result.version,
            proof: result.proof.map(fleetmend_core::job::ProofLevel::as_str),
            attempts: result.attempts,
            retries: result.retries,
            begun_at: times(result.begun),
            ended_at: times(result.ended),
            relapsed_at: times(result.relapsed),
        }
    }
}
