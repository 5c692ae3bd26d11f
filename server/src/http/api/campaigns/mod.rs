//! `/api/v1/campaigns` and `/api/v1/approvals`.

mod act;
mod preview;
mod views;

use axum::http::StatusCode;
use fleetmend_core::campaign::{CampaignState, Definition, Membership, Schedule};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::job::JobState;
use fleetmend_store::{
    Campaign, CampaignFilter, CampaignText, JobFilter, NewCampaign, Page, ResultFilter, Stands, Who,
};
use serde::{Deserialize, Serialize};

use super::jobs;
use super::model::{JobView, Time, time};
use super::words;
use crate::campaigns::{self, BadDefinition};
use crate::entropy;
use crate::events::Event;
use crate::http::call::{Call, json, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

pub(crate) use act::{
    Approve, Because, RetryView, UndoView, abort, approve, approve_as, cancel, move_as, pause,
    resume, retry, retry_as, start, start_as, undo, undo_as, undo_preview,
};
pub(crate) use preview::{PreviewView, RUNS_TOLD};
pub(crate) use views::{CampaignDetailView, CampaignHostView, CampaignView};

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("reason", "/reason"),
    ("change", "/change"),
    ("state", "/state"),
    ("state_since", "/state_since"),
    ("state_by", "/state_by"),
    ("state_reason", "/state_reason"),
    ("waiting_for", "/waiting_for"),
    ("needs_approval", "/needs_approval"),
    ("approved_by", "/approved_by"),
    ("max_risk", "/max_risk"),
    ("hosts", "/hosts"),
    ("run", "/run"),
    ("created_by", "/created_by"),
    ("created_at", "/created_at"),
    ("started_at", "/started_at"),
    ("run_ended_at", "/run_ended_at"),
];
const HOST_COLUMNS: &[Column] = &[
    ("host", "/host/name"),
    ("host_id", "/host/id"),
    ("simulated", "/host/simulated"),
    ("run", "/run"),
    ("wave", "/wave"),
    ("outcome", "/outcome"),
    ("detail", "/detail"),
    ("incident", "/incident"),
    ("job", "/job"),
    ("task", "/task"),
    ("cause", "/cause"),
    ("remediation", "/remediation"),
    ("version", "/version"),
    ("proof", "/proof"),
    ("attempts", "/attempts"),
    ("retries", "/retries"),
    ("begun_at", "/begun_at"),
    ("ended_at", "/ended_at"),
    ("relapsed_at", "/relapsed_at"),
];
const APPROVAL_COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("reason", "/reason"),
    ("change", "/change"),
    ("created_by", "/created_by"),
    ("edited_by", "/edited_by"),
    ("needs_approval", "/needs_approval"),
    ("max_risk", "/max_risk"),
    ("state", "/state"),
    ("state_since", "/state_since"),
];

/// A definition, as a body: its fields are in `docs/campaigns.md`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(as = CampaignDefinition, value_type = Object)]
pub(crate) struct Written(serde_json::Value);

/// A changed definition.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// The whole definition.
    #[schema(value_type = Object)]
    pub(crate) definition: serde_json::Value,
    /// The revision that was seen.
    pub(crate) revision: u64,
}

/// A campaign as one document.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DocumentView {
    /// When it was made.
    pub(crate) made_at: Time,
    /// The version of the server that made it.
    pub(crate) server: &'static str,
    /// What it may do: each remediation with its risk, its steps, and which of them cannot be taken back.
    pub(crate) plan: Vec<preview::PlanView>,
    /// The campaign: definition (with the digest of each remediation that is bound), change number,
    /// approvals, runs, what each found when it began, waves, the result of every host, every job with
    /// every try and its steps, the rows of the audit log.
    #[schema(value_type = Object)]
    pub(crate) campaign: serde_json::Value,
}

/// Who calls, as campaigns keep it.
pub(crate) struct Caller {
    actor: String,
    person: String,
}

impl Caller {
    /// Of a call.
    pub(crate) fn of(call: &Call) -> Self {
        let person = call.caller.as_ref().map(crate::http::auth::Caller::answerable);
        Self { actor: call.actor(), person: person.unwrap_or_default() }
    }

    /// As the store takes it.
    pub(crate) fn who(&self) -> Who<'_> {
        Who { actor: &self.actor, person: &self.person }
    }
}

/// A campaign, or 404.
pub(crate) async fn find(call: &Call, id: CampaignId) -> Result<Campaign, Problem> {
    call.db().campaign(id).await?.ok_or_else(|| {
        Problem::not_found(format!("there is no campaign {id}: GET /api/v1/campaigns lists them"))
    })
}

/// Tells whoever looks at it, and the planner.
pub(crate) fn changed(call: &Call, id: CampaignId) {
    let shared = call.shared();
    shared.nudges.campaigns.notify_one();
    shared.events.tell(Event::Campaign { id });
}

/// A campaign with how its hosts stand.
pub(crate) async fn detail(
    call: &Call,
    campaign: &Campaign,
) -> Result<CampaignDetailView, Problem> {
    let counts = call.db().campaign_counts(campaign.id, call.now).await?;
    let runs = call.db().campaign_runs(campaign.id).await?;
    Ok(CampaignDetailView::new(campaign, &counts, runs))
}

/// Lists campaigns.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = CampaignFilter {
        state: words::<CampaignState>(&call, "state")?,
        awaits_approval: false,
        search: call.query.text("search").map(str::to_owned),
        host: call.query.parse("host")?,
    };
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().campaigns(&filter, &page).await?;
        let items = page.items.iter().map(CampaignView::new).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Lists campaigns that wait for the word of a second person.
pub(crate) async fn approvals(call: Call) -> Answer {
    let filter = CampaignFilter { awaits_approval: true, ..CampaignFilter::default() };
    paging::list(call, APPROVAL_COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().campaigns(&filter, &page).await?;
        let items = page.items.iter().map(CampaignView::new).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Writes a campaign.
pub(crate) async fn create(call: Call) -> Answer {
    let written: Written = call.json()?;
    let made = create_as(&call, written.0).await?;
    json(StatusCode::CREATED, &detail(&call, &made).await?)
}

/// Keeps what is written as a new campaign. Also used by pages.
pub(crate) async fn create_as(
    call: &Call,
    written: serde_json::Value,
) -> Result<Campaign, Problem> {
    let text = text(call, written).await?;
    let id = entropy::id(CampaignId::at, &*call.shared().clock);
    keep(call, NewCampaign { id, text, undoes: None }).await
}

/// Keeps a new campaign. Also used where an order becomes one.
pub(crate) async fn keep(call: &Call, new: NewCampaign) -> Result<Campaign, Problem> {
    let caller = Caller::of(call);
    let made = call.db().create_campaign(&new, caller.who(), call.now).await?;
    changed(call, made.id);
    Ok(made)
}

/// Changes what is written in a campaign that has not begun.
pub(crate) async fn edit(call: Call) -> Answer {
    let id = call.id()?;
    let body: Edit = call.json()?;
    let edited = edit_as(&call, id, body.revision, body.definition).await?;
    ok(&detail(&call, &edited).await?)
}

/// Changes what is written, where it is still what its author saw. Also used by pages.
pub(crate) async fn edit_as(
    call: &Call,
    id: CampaignId,
    revision: u64,
    written: serde_json::Value,
) -> Result<Campaign, Problem> {
    let text = text(call, written).await?;
    let caller = Caller::of(call);
    let edited = call.db().edit_campaign(id, revision, &text, caller.who(), call.now).await?;
    changed(call, id);
    Ok(edited)
}

/// Shows a campaign.
pub(crate) async fn get(call: Call) -> Answer {
    let campaign = find(&call, call.id()?).await?;
    ok(&detail(&call, &campaign).await?)
}

/// Says what a definition would do.
pub(crate) async fn preview(call: Call) -> Answer {
    let written: Written = call.json()?;
    let definition = read(&call, written.0)?;
    ok(&preview::look(&call, &definition, None).await?)
}

/// Says what a campaign would do now.
pub(crate) async fn preview_of(call: Call) -> Answer {
    let campaign = find(&call, call.id()?).await?;
    ok(&preview::look(&call, &campaign.definition, Some(campaign.id)).await?)
}

/// Lists a campaign's hosts with how each did.
pub(crate) async fn hosts(call: Call) -> Answer {
    let id = find(&call, call.id()?).await?.id;
    let mut filter = ResultFilter {
        run: call.query.parse("run")?,
        wave: call.query.parse("wave")?,
        ..ResultFilter::default()
    };
    for word in call.query.texts("outcome") {
        let stands = word.parse::<Stands>().map_err(|e| Problem::from(e).field("outcome"))?;
        filter.stands.push(stands);
    }
    paging::list(call, HOST_COLUMNS, (id, filter), |call, with, page| async move {
        let page = call.db().campaign_results(with.0, &with.1, &page, call.now).await?;
        let items = page.items.into_iter().map(CampaignHostView::from).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Lists a campaign's jobs, newest first.
pub(crate) async fn jobs(call: Call) -> Answer {
    let campaign = find(&call, call.id()?).await?.id;
    let state = words::<JobState>(&call, "state")?;
    let filter = JobFilter { campaign: Some(campaign), state, ..JobFilter::default() };
    paging::list(call, jobs::COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().jobs(&filter, &page).await?;
        let catalogue = call.shared().catalogue;
        let items = page.items.into_iter().map(|j| JobView::new(j, catalogue)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// The whole campaign as one document.
pub(crate) async fn document(call: Call) -> Answer {
    let id = find(&call, call.id()?).await?.id;
    let document = call.db().campaign_document(id, call.now).await?;
    let plan = preview::plan(&call, &document.campaign.definition);
    let campaign = serde_json::to_value(&document).map_err(Problem::internal)?;
    ok(&DocumentView { made_at: time(call.now), server: env!("CARGO_PKG_VERSION"), plan, campaign })
}

/// Reads and checks a definition.
pub(crate) fn read(call: &Call, value: serde_json::Value) -> Result<Definition, Problem> {
    campaigns::read(call.shared().catalogue, value).map_err(bad)
}

/// What is kept of a definition: complete, checked, and judged by what it finds now.
async fn text(call: &Call, value: serde_json::Value) -> Result<CampaignText, Problem> {
    let mut definition = read(call, value)?;
    let shared = call.shared();
    let found = campaigns::select(shared, &definition, None, call.now).await?.members.len();
    if definition.max_hosts.is_none() {
        definition.max_hosts = Some(most_hosts(&definition, found)?);
    }
    let needs = campaigns::needs(shared, &definition, found);
    Ok(CampaignText { definition, needs })
}

/// The preview's number, where one look tells how many there will be.
fn most_hosts(definition: &Definition, found: usize) -> Result<u32, Problem> {
    let grows = definition.membership != Membership::Static
        || matches!(definition.schedule, Schedule::Cron { .. } | Schedule::Monthly { .. });
    if grows {
        let text = "max_hosts: it selects again later: say how many hosts it may have at most";
        return Err(Problem::bad("max_hosts", text));
    }
    if found == 0 {
        let text =
            "selector: it finds no host now; give max_hosts to write the campaign all the same";
        return Err(Problem::bad("selector", text));
    }
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}

fn bad(why: BadDefinition) -> Problem {
    match why {
        BadDefinition::Unreadable { field, why } => {
            let field = field.unwrap_or_else(|| "body".to_owned());
            let text = format!("{field}: the definition cannot be read: {why}");
            Problem::bad(field, text)
        }
        BadDefinition::Wrong { problems } => {
            let first = problems.first();
            let field = first.map_or_else(|| "body".to_owned(), |problem| problem.field.clone());
            let said: Vec<String> = problems.iter().map(campaigns::said).collect();
            Problem::bad(field, said.join("; ")).with("problems", &problems)
        }
    }
}
