//! What a campaign would do, said before anybody decides: which hosts, which steps, what cannot be
//! undone, whose word it needs.

use std::collections::BTreeMap;

use fleetmend_core::campaign::{Definition, Remedy};
use fleetmend_core::dry_run::dry_run;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::knowledge::{Lang, Remediation};
use fleetmend_core::reason::Reason;
use fleetmend_core::step::Undo;
use fleetmend_store::{Left, Member, NameCount, Preview};
use serde::Serialize;
use utoipa::ToSchema;

use crate::campaigns;
use crate::http::api::model::{HostRef, ReasonView, Time, time};
use crate::http::call::Call;
use crate::http::problem::Problem;

/// Hosts shown of each list.
const SHOWN: usize = 50;
/// Runs that are told ahead.
pub(crate) const RUNS_TOLD: usize = 3;

/// What a campaign would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignPreview)]
pub(crate) struct PreviewView {
    /// Hosts that would be taken in.
    pub(crate) total: u64,
    /// Those with a job at work: they wait for its end.
    pub(crate) busy: u64,
    /// Those that are silent now: they are begun when they come back.
    pub(crate) offline: u64,
    /// Those that are simulated.
    pub(crate) simulated: u64,
    /// By system.
    pub(crate) by_os: Vec<CountView>,
    /// By build; the 50 with most hosts, as all that follow.
    pub(crate) by_build: Vec<CountView>,
    /// By leading cause.
    pub(crate) by_cause: Vec<CountView>,
    /// By role.
    pub(crate) by_role: Vec<CountView>,
    /// Hosts that have the failure and are left out, by why.
    pub(crate) left_out: Vec<CountView>,
    /// The first hosts, by name.
    pub(crate) hosts: Vec<MemberView>,
    /// The first of those left out, by name.
    pub(crate) hosts_left_out: Vec<LeftView>,
    /// What it may do on them, by dry run. Each host's plan chooses of these; nothing else is done.
    pub(crate) remediations: Vec<MayDoView>,
    /// Why it needs the approval of a second person; empty where it needs none.
    pub(crate) needs_approval: Vec<String>,
    /// The same in a form that can be told in any language.
    pub(crate) approval_reasons: Vec<ReasonView>,
    /// What each wave would take, were all hosts there.
    pub(crate) waves: Vec<PlannedView>,
    /// When its next three runs would begin, by the clock of its zone or of the fallback; none where it is
    /// started by hand.
    pub(crate) next_runs: Vec<String>,
    /// What keeps it from going on as it is written: a wave for a label that no host has.
    pub(crate) warnings: Vec<String>,
}

/// What a wave would take.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedWave)]
pub(crate) struct PlannedView {
    /// Which, from 0.
    pub(crate) wave: usize,
    /// Its cumulative share: `5`, `10%`, `all`.
    pub(crate) share: String,
    /// The label of its canary.
    pub(crate) label: Option<String>,
    /// Hosts that it adds: of a wave for a label, those with that label alone.
    pub(crate) hosts: usize,
    /// Hosts of the campaign with its label.
    pub(crate) with_label: Option<usize>,
}

/// How many are of a kind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NameCount)]
pub(crate) struct CountView {
    /// The kind; `none` where there is none.
    pub(crate) name: String,
    /// Hosts.
    pub(crate) hosts: u64,
}

/// A host that would be taken in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignMember)]
pub(crate) struct MemberView {
    /// The host.
    pub(crate) host: HostRef,
    /// Its failure.
    pub(crate) incident: String,
    /// The leading cause.
    pub(crate) cause: Option<String>,
    /// Its system.
    pub(crate) os: &'static str,
    /// Its build.
    pub(crate) build: String,
    /// Its roles.
    pub(crate) roles: Vec<String>,
    /// Whether a job is at work on it now.
    pub(crate) busy: bool,
    /// Whether it is heard of.
    pub(crate) reachable: bool,
    /// When it was last heard of.
    pub(crate) last_seen_at: Time,
}

/// A host that would be left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignLeftOut)]
pub(crate) struct LeftView {
    /// The host's id.
    pub(crate) host: String,
    /// Its name.
    pub(crate) name: String,
    /// Why.
    pub(crate) why: &'static str,
    /// The role, label, state or campaign.
    pub(crate) detail: String,
}

/// A remediation that may be done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MayDo)]
pub(crate) struct MayDoView {
    /// Its name in the catalogue.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: u32,
    /// Its name for people.
    pub(crate) name: String,
    /// Its risk.
    pub(crate) risk: &'static str,
    /// never, maybe or always.
    pub(crate) reboot: &'static str,
    /// exact, compensating or none.
    pub(crate) undo: &'static str,
    /// Whether it has not yet run on a real system of its kind.
    pub(crate) unproven: bool,
    /// Hosts whose leading cause it is against; none in a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hosts: Option<u64>,
    /// What each step would do and touch.
    #[schema(value_type = Vec<Object>)]
    pub(crate) steps: Vec<serde_json::Value>,
    /// Those of its steps that cannot be taken back.
    pub(crate) cannot_be_undone: Vec<String>,
}

/// A remediation that a campaign may do, as its document tells it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignPlan)]
pub(crate) struct PlanView {
    /// What it does, by this server's catalogue.
    #[serde(flatten)]
    pub(crate) does: MayDoView,
    /// The digest of what is told here.
    pub(crate) digest: String,
    /// Whether it is what the definition binds; else only `bound`, what nothing but its tries can tell of,
    /// may run.
    pub(crate) is_bound: bool,
}

/// What a campaign may do on its hosts, by the catalogue of today.
pub(crate) fn plan(call: &Call, definition: &Definition) -> Vec<PlanView> {
    let catalogue = call.shared().catalogue;
    let tell = |remediation: &Remediation| {
        let digest = remediation.digest();
        PlanView {
            is_bound: definition.remediations.get(&remediation.id) == Some(&digest),
            does: MayDoView {
                hosts: None,
                ..may_do_view(call, definition, remediation, &BTreeMap::new())
            },
            digest,
        }
    };
    definition.may_do(catalogue).into_iter().map(tell).collect()
}

/// Looks what a definition would do now.
pub(crate) async fn look(
    call: &Call,
    definition: &Definition,
    campaign: Option<CampaignId>,
) -> Result<PreviewView, Problem> {
    let shared = call.shared();
    let selection = campaigns::select(shared, definition, campaign, call.now).await?;
    let found = selection.preview(SHOWN);
    let needs = campaigns::needs(shared, definition, selection.members.len());
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for member in &selection.members {
        *causes.entry(member.cause.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let may_do = definition.may_do(shared.catalogue);
    let mut remediations: Vec<MayDoView> =
        may_do.into_iter().map(|r| may_do_view(call, definition, r, &causes)).collect();
    remediations.sort_by(|a, b| b.hosts.cmp(&a.hosts).then_with(|| a.id.cmp(&b.id)));
    let labels = || selection.members.iter().map(|member| &member.labels);
    let planned = definition.waves.iter().zip(definition.planned_waves(labels())).enumerate();
    let waves = planned.map(|(at, (wave, planned))| PlannedView {
        wave: at,
        share: wave.share.to_string(),
        label: Some(wave.label_text()).filter(|text| !text.is_empty()),
        hosts: planned.hosts,
        with_label: planned.with_label,
    });
    let warnings = definition.waves_for_nobody(labels()).into_iter().map(for_nobody).collect();
    // What cannot be read was refused before.
    let next_runs = definition.next_runs(call.now, RUNS_TOLD).unwrap_or_default();
    let mut view = view(found, remediations, needs, waves.collect());
    (view.next_runs, view.warnings) = (next_runs, warnings);
    Ok(view)
}

/// What is said of a wave for a label that no host has.
pub(super) fn for_nobody((wave, label): (usize, String)) -> String {
    format!("wave {wave} is for hosts with {label}, and no host that it finds now has this label")
}

fn view(
    found: Preview,
    remediations: Vec<MayDoView>,
    needs: Vec<Reason>,
    waves: Vec<PlannedView>,
) -> PreviewView {
    PreviewView {
        total: found.hosts,
        busy: found.busy,
        offline: found.offline,
        simulated: found.simulated,
        by_os: counts(found.by_os),
        by_build: counts(found.by_build),
        by_cause: counts(found.by_cause),
        by_role: counts(found.by_role),
        left_out: counts(found.left_out),
        hosts: found.first.into_iter().map(MemberView::from).collect(),
        hosts_left_out: found.first_left_out.into_iter().map(LeftView::from).collect(),
        remediations,
        needs_approval: needs.iter().map(ToString::to_string).collect(),
        approval_reasons: ReasonView::all(&needs),
        waves,
        next_runs: Vec::new(),
        warnings: Vec::new(),
    }
}

fn may_do_view(
    call: &Call,
    definition: &Definition,
    remediation: &Remediation,
    causes: &BTreeMap<&str, u64>,
) -> MayDoView {
    let catalogue = call.shared().catalogue;
    let run = dry_run(catalogue, remediation, Lang::En);
    let all = matches!(definition.remedy, Remedy::Remediation { .. });
    let against = |cause: &str| {
        cause.parse().ok().and_then(|id| catalogue.causes.get(&id)).is_some_and(
            |cause: &fleetmend_core::knowledge::Cause| cause.remediations.contains(&remediation.id),
        )
    };
    let cannot = remediation.steps.iter().filter(|step| step.action.undo() == Undo::None);
    MayDoView {
        id: remediation.id.to_string(),
        version: remediation.version,
        name: remediation.name.get(Lang::En).to_owned(),
        risk: remediation.risk.as_str(),
        reboot: remediation.reboot.as_str(),
        undo: remediation.undo().as_str(),
        unproven: remediation.unproven,
        hosts: Some(causes.iter().filter(|(cause, _)| all || against(cause)).map(|(_, n)| n).sum()),
        steps: run.steps.iter().filter_map(|step| serde_json::to_value(step).ok()).collect(),
        cannot_be_undone: cannot.map(|step| step.action.title()).collect(),
    }
}

fn counts(list: Vec<NameCount>) -> Vec<CountView> {
    let view = |count: NameCount| CountView {
        name: if count.name.is_empty() { "none".to_owned() } else { count.name },
        hosts: count.hosts,
    };
    list.into_iter().map(view).collect()
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            host: HostRef {
                id: member.host.to_string(),
                name: member.host_name,
                simulated: member.simulated,
            },
            incident: member.incident.to_string(),
            cause: member.cause,
            os: member.os.as_str(),
            build: member.build,
            roles: member.roles,
            busy: member.busy,
            reachable: !member.offline,
            last_seen_at: time(member.last_seen),
        }
    }
}

impl From<Left> for LeftView {
    fn from(left: Left) -> Self {
        Self {
            host: left.host.to_string(),
            name: left.host_name,
            why: left.why.as_str(),
            detail: left.detail,
        }
    }
}
