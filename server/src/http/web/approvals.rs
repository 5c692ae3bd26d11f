//! The queue of approvals: what waits for the word of a second person, and what was approved.

use std::collections::BTreeMap;

use askama::Template;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::limits;
use fleetmend_store::{Approval, Campaign, CampaignFilter, PageRequest};

use super::campaigns::words;
use super::{Frame, html};
use crate::http::call::Call;
use crate::http::route::Answer;

/// Approvals that the page shows, newest first.
const GIVEN: u32 = 50;

#[derive(Debug, Template)]
#[template(path = "approvals.html")]
struct ApprovalsPage {
    p: Frame,
    waiting: Vec<Row>,
    given: Vec<(String, Approval)>,
}

#[derive(Debug)]
struct Row {
    c: Campaign,
    problem: String,
    /// Whether who looks wrote it.
    is_own: bool,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let p = Frame::new(&call, "campaigns");
    let filter = CampaignFilter { awaits_approval: true, ..Default::default() };
    let waiting = call.db().campaigns(&filter, &PageRequest::first(limits::PAGE_MAX)).await?;
    let caller = call.caller.as_ref();
    let rows = waiting.items.into_iter().map(|c| Row {
        problem: words::problem(&c.definition.selector, call.shared().catalogue, p.t),
        is_own: caller.is_some_and(|who| super::campaigns::acts::wrote(&c, who)),
        c,
    });
    let waiting = rows.collect();
    let given = call.db().approvals(GIVEN).await?;
    let mut names: BTreeMap<CampaignId, String> = BTreeMap::new();
    for approval in &given {
        if names.contains_key(&approval.campaign) {
            continue;
        }
        let campaign = call.db().campaign(approval.campaign).await?;
        let name = campaign.map(|c| c.definition.name).unwrap_or_default();
        names.insert(approval.campaign, name);
    }
    let given = given
        .into_iter()
        .map(|approval| (names.get(&approval.campaign).cloned().unwrap_or_default(), approval))
        .collect();
    html(&ApprovalsPage { p, waiting, given })
}
