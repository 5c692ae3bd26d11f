//! The page of efficacy: how often remediations helped here.

use askama::Template;
use fleetmend_core::efficacy::WEAK_BELOW;

use super::{Frame, html};
use crate::http::api::efficacy::{self, EfficacyView};
use crate::http::call::Call;
use crate::http::route::Answer;

#[derive(Debug, Template)]
#[template(path = "efficacy.html")]
struct EfficacyPage {
    p: Frame,
    items: Vec<EfficacyView>,
    simulated: bool,
    /// So many tries are needed before anything is called weak.
    enough: u64,
    /// Below this lower bound it is.
    below: f64,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let simulated = call.query.parse::<bool>("simulated")?.unwrap_or(false);
    let p = Frame::new(&call, "efficacy");
    let items = efficacy::all(&call, simulated, p.t.0).await?;
    html(&EfficacyPage { p, items, simulated, enough: efficacy::ENOUGH, below: WEAK_BELOW })
}
