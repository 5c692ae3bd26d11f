//! The list of campaigns: where each stands, how far it is, who, since when, and why it waits.

use askama::Template;
use fleetmend_core::campaign::CampaignState;
use fleetmend_store::{Campaign, CampaignFilter, PageRequest};

use super::{standing, words};
use crate::http::api;
use crate::http::call::Call;
use crate::http::route::Answer;
use crate::http::web::list::Foot;
use crate::http::web::{Choice, Frame, choices, filtered, html, kept};

/// Each row counts its hosts anew.
const ROWS: u32 = 50;

#[derive(Debug, Template)]
#[template(path = "campaigns.html")]
struct CampaignsPage {
    p: Frame,
    rows: Vec<Row>,
    total: u64,
    foot: Foot,
    search: String,
    states: Vec<Choice>,
    kept: Vec<(String, String)>,
    filtered: bool,
}

#[derive(Debug)]
struct Row {
    c: Campaign,
    problem: String,
    /// Why it is paused or waits; empty where it does neither.
    why: String,
    who: String,
    hosts: u64,
    bar: String,
    badges: String,
}

/// The list.
pub(crate) async fn page(call: Call) -> Answer {
    let filter = CampaignFilter {
        state: api::words::<CampaignState>(&call, "state")?,
        search: call.query.text("search").map(str::to_owned),
        ..Default::default()
    };
    let cursor = call.query.parse("cursor")?;
    let page = call.db().campaigns(&filter, &PageRequest { limit: ROWS, cursor }).await?;
    let p = Frame::new(&call, "campaigns");
    let next = page.next.map(|c| c.to_string());
    let foot = Foot::new(&call, &p, "campaigns", (page.items.len(), page.total), next);
    let catalogue = call.shared().catalogue;
    let mut rows = Vec::new();
    for c in page.items {
        let counts = call.db().campaign_counts(c.id, call.now).await?;
        let groups = standing::groups(&c, &counts);
        rows.push(Row {
            problem: words::problem(&c.definition.selector, catalogue, p.t),
            why: why(&c, &p),
            who: c.started_by.clone().unwrap_or_else(|| c.created_by.clone()),
            hosts: groups.sum(),
            bar: groups.bar(p.t),
            badges: groups.badges(p.t),
            c,
        });
    }
    html(&CampaignsPage {
        rows,
        total: page.total,
        foot,
        search: filter.search.unwrap_or_default(),
        states: choices(CampaignState::ALL, CampaignState::as_str, filter.state.first().copied()),
        kept: kept(&call, &["state", "search"]),
        filtered: filtered(&call),
        p,
    })
}

/// Why it stands where it stands, as far as a reader of the list wants to know. Safe as HTML.
fn why(c: &Campaign, p: &Frame) -> String {
    match c.state {
        CampaignState::AwaitingApproval => p.t.reasons(&c.needs),
        CampaignState::Running | CampaignState::Scheduled => {
            p.why(&c.waiting_reasons, c.waiting_for.as_deref().unwrap_or_default())
        }
        CampaignState::Paused
        | CampaignState::Aborted
        | CampaignState::Completed
        | CampaignState::CompletedWithErrors
        | CampaignState::Cancelled => p.why(&c.state_reasons, &c.state_reason),
        CampaignState::Draft => String::new(),
    }
}
