//! From a wish to a job: what somebody wants done about an incident, ordered or refused. Used by REST
//! and by the pages.

use fleetmend_core::campaign::{RebootPolicy, RestartNotice};
use fleetmend_core::ids::{CampaignId, IncidentId, JobId};
use fleetmend_core::knowledge::{Catalogue, Lang, RebootNeed, Remediation, Risk};
use fleetmend_core::limits;
use fleetmend_core::plan::Plan;
use fleetmend_core::words::Slug;
use fleetmend_store::{Campaign, CampaignText, IncidentDetail, Job, JobTerms, NewCampaign, NewJob};

use super::{campaigns, hosts, incidents};
use crate::entropy;
use crate::events::Event;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::orders::{Bounds, Case, NotChosen};

/// What somebody wants done about an incident.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The remediation; the plan's best, unless given.
    pub(crate) remediation: Option<String>,
    /// The highest risk allowed.
    pub(crate) max_risk: Risk,
    /// Whether the host may be restarted; where nobody says, only for a remediation that is named
    /// and needs it.
    pub(crate) reboot: Option<RebootPolicy>,
    /// What users are told before a restart.
    pub(crate) restart: RestartNotice,
    /// Whether the plan's next remediation is tried after one that did not cure.
    pub(crate) climb: bool,
    /// Why.
    pub(crate) reason: String,
}

/// The plan of an incident, restarts allowed.
pub(crate) async fn plan(
    call: &Call,
    detail: &IncidentDetail,
    max_risk: Risk,
) -> Result<Plan, Problem> {
    Ok(case(call, detail.clone()).await?.plan(max_risk, RebootPolicy::Anytime))
}

async fn case(call: &Call, detail: IncidentDetail) -> Result<Case, Problem> {
    let host = hosts::find(call, detail.incident.host).await?;
    Ok(Case::of(call.db(), call.shared().catalogue, detail, host).await?)
}

/// What became of a wish.
#[derive(Debug)]
pub(crate) enum Ordered {
    /// A job.
    Job(Box<Job>),
    /// It is dangerous: a campaign of this one host, which awaits the word of a second person.
    Campaign(Box<Campaign>),
}

/// Orders a remediation: one job, its audit row in the same transaction, and a nudge to the host.
pub(crate) async fn order(
    call: &Call,
    incident: IncidentId,
    wish: &Wish,
) -> Result<Ordered, Problem> {
    let catalogue = call.shared().catalogue;
    let detail = incidents::find(call, incident).await?;
    if !detail.incident.state.is_open() {
        let state = detail.incident.state;
        let text = format!("the incident is {state}: only one that stands can be remediated");
        return Err(Problem::conflict("incident_state", text).with("state", state));
    }
    let case = case(call, detail).await?;
    if !case.host.lifecycle.may_get_orders() {
        let text = format!(
            "the host is {}: only accepted hosts get orders (POST /api/v1/hosts/{}/accept)",
            case.host.lifecycle, case.host.id
        );
        return Err(Problem::conflict("host_state", text).with("state", case.host.lifecycle));
    }
    let bounds = Bounds {
        named: wish.remediation.as_deref(),
        max_risk: wish.max_risk,
        reboot: wish.reboot.unwrap_or_else(|| reboot(catalogue, wish)),
        approved: false,
    };
    let chosen = match case.choose(&bounds) {
        Ok(chosen) => chosen,
        Err(NotChosen::NeedsApproval { remediation }) if wish.max_risk >= Risk::Dangerous => {
            let made = approvable(call, &case, &remediation, wish).await?;
            return Ok(Ordered::Campaign(Box::new(made)));
        }
        Err(why) => return Err(refused(catalogue, wish, &why)),
    };
    let new = NewJob {
        id: entropy::id(JobId::at, &*call.shared().clock),
        host: case.host.id,
        incident,
        cause: chosen.step.cause,
        remediation: chosen.step.remediation,
        version: chosen.step.version,
        digest: chosen.digest,
        evidence: chosen.evidence,
        steps_time: chosen.steps_time,
        verify_within: limits::VERIFY_WITHIN,
        not_before: call.now,
        expires: call.now.after(limits::ORDER_LIFE),
        reason: wish.reason.clone(),
        terms: JobTerms {
            max_risk: wish.max_risk.min(Risk::Disruptive),
            reboot: bounds.reboot,
            max_deferrals: wish.restart.deferrals,
            notice_seconds: wish.restart.seconds(),
            climbs: wish.climb,
            known: chosen.known,
            own_probe: chosen.own_probe,
            ..JobTerms::default()
        },
    };
    let job = call.db().create_job(&new, &call.actor(), call.now).await?;
    let shared = call.shared();
    shared.registry.nudge(case.host.id);
    shared.nudges.deadlines.notify_one();
    shared.events.tell(Event::Job { id: job.id });
    Ok(Ordered::Job(Box::new(job)))
}

/// A campaign of one host that awaits the word of a second person.
async fn approvable(
    call: &Call,
    case: &Case,
    remediation: &Slug,
    wish: &Wish,
) -> Result<Campaign, Problem> {
    let shared = call.shared();
    let Some(entry) = shared.catalogue.remediations.get(remediation) else {
        return Err(Problem::internal(format!(
            "{remediation} is planned and not in the catalogue"
        )));
    };
    let incident = case.detail.incident.id;
    let state = call.db().host_state(case.host.id).await?;
    // Who names one host means it, whatever it is.
    let mut roles = state.map(|state| state.roles).unwrap_or_default();
    roles.push("server".to_owned());
    let host = &case.host.facts.name;
    let name: String =
        format!("{remediation} on {host}").chars().filter(|c| !c.is_control()).collect();
    let reboot = match entry.reboot {
        RebootNeed::Never => RebootPolicy::Never,
        RebootNeed::Maybe | RebootNeed::Always => RebootPolicy::Anytime,
    };
    let definition = serde_json::json!({
        "name": fleetmend_core::words::cut(&name, limits::CAMPAIGN_NAME_CHARS),
        "reason": wish.reason.chars().take(limits::CAMPAIGN_REASON_CHARS).collect::<String>(),
        "selector": { "incidents": [incident], "roles": roles },
        "remedy": { "remediation": { "id": remediation } },
        "max_risk": entry.risk,
        "max_hosts": 1,
        "reboot": wish.reboot.unwrap_or(reboot),
        "restart": wish.restart,
        "waves": [{ "share": "all" }],
    });
    let definition = campaigns::read(call, definition)?;
    let needs = crate::campaigns::needs(shared, &definition, 1);
    let id = entropy::id(CampaignId::at, &*shared.clock);
    let text = CampaignText { definition, needs };
    campaigns::keep(call, NewCampaign { id, text, undoes: None }).await
}

/// Who names a remediation that restarts the host wants it restarted; nobody else does.
fn reboot(catalogue: &Catalogue, wish: &Wish) -> RebootPolicy {
    let named = wish.remediation.as_deref();
    let entry =
        named.and_then(|name| catalogue.remediations.values().find(|r| r.id.as_str() == name));
    match entry.map(|r| r.reboot) {
        None | Some(RebootNeed::Never) => RebootPolicy::Never,
        Some(RebootNeed::Maybe | RebootNeed::Always) => RebootPolicy::Anytime,
    }
}

/// The refusal as a caller sees it: with the field and the remedy, and the guide where a person can
/// act.
fn refused(catalogue: &Catalogue, wish: &Wish, why: &NotChosen) -> Problem {
    let entry = |id| catalogue.remediations.get(id);
    match why {
        NotChosen::NotInPlan { names } => {
            let named = wish.remediation.as_deref().unwrap_or_default();
            let shown = fleetmend_core::words::cut(named, 80);
            let text = format!(
                "\"{shown}\" is not in this incident's plan; one of: {}",
                names.join(", ")
            );
            Problem::bad("remediation", text).accepting(names)
        }
        NotChosen::ByHand { remediation, .. } => {
            entry(remediation).map_or_else(|| Problem::internal(why), by_hand)
        }
        NotChosen::NeedsApproval { remediation } => {
            let text = format!(
                "{remediation} is dangerous and needs the approval of a second person: allow it with \"max_risk\": \"dangerous\", and a campaign of this one host awaits that"
            );
            Problem::conflict("approval", text).field("max_risk").with("remediation", remediation)
        }
        NotChosen::OverRisk { remediation, risk, allowed } => Problem::conflict(
            "risk",
            format!(
                "the risk of {remediation} is {risk}, over the allowed {allowed}: allow it with \"max_risk\": \"{risk}\""
            ),
        )
        .field("max_risk")
        .with("risk", risk),
        NotChosen::Restarts { .. } => {
            let text = format!("{why}: allow it with \"reboot\": \"anytime\"");
            Problem::conflict("reboot", text).field("reboot")
        }
        NotChosen::Nothing { reasons } => {
            Problem::conflict("risk", format!("nothing is ordered: {why}"))
                .field("max_risk")
                .with("max_risk", wish.max_risk)
                .with("plan", reasons)
        }
        NotChosen::NoRemediation => Problem::conflict(
            "no_remediation",
            "the catalogue knows no remediation for this incident: look at its evidence, and tell us",
        ),
        NotChosen::NoEvidence { probe, .. } => {
            Problem::conflict("no_evidence", format!("{why}: wait for its next report"))
                .with("probe", probe)
        }
    }
}

fn by_hand(remediation: &Remediation) -> Problem {
    let guide: Vec<&str> = remediation.guide.iter().map(|text| text.get(Lang::En)).collect();
    let name = remediation.name.get(Lang::En);
    let (kind, text) = if remediation.risk == Risk::Refused {
        (
            "refused",
            format!("{name}: never done by Fleetmend; the guide says why and what is better"),
        )
    } else {
        ("guided", format!("{name}: a person does this; the guide says how"))
    };
    Problem::conflict(kind, text).with("remediation", &remediation.id).with("guide", guide)
}
