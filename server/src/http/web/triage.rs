//! The first page: what is broken, on how many machines, since when, and what to press.

use askama::Template;
use fleetmend_core::host::Lifecycle;

use super::{Frame, html, paint};
use crate::http::api::model::ProblemView;
use crate::http::api::problems;
use crate::http::call::Call;
use crate::http::params::encode;
use crate::http::route::Answer;

#[derive(Debug, Template)]
#[template(path = "triage.html")]
struct TriagePage {
    p: Frame,
    active: u64,
    silent: u64,
    pending: u64,
    simulated: u64,
    open: u64,
    opened: u64,
    untriaged: u64,
    fixed: u64,
    jobs: u64,
    hosts_total: u64,
    problems: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    view: ProblemView,
    bar: String,
    spark: String,
    hosts_link: String,
    fix_link: String,
    /// Where the possible causes are explained, where there are some and none leads.
    causes_link: String,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let p = Frame::new(&call, "triage");
    let summary = call.db().summary(call.now).await?;
    let views = problems::views(&call, p.t.0).await?;
    let most = views.iter().map(|v| v.hosts).max().unwrap_or(1);
    let problems = views
        .into_iter()
        .map(|view| Row {
            bar: paint::bar(view.hosts, most),
            spark: paint::spark(&view.trend, p.t),
            hosts_link: format!("/hosts?{}", key(&view)),
            // One incident: straight to its plan. Several: choose the host first.
            fix_link: if view.incidents == 1 {
                format!("/incidents/{}", view.sample)
            } else {
                format!("/incidents?{}", key(&view))
            },
            causes_link: causes_link(&view),
            view,
        })
        .collect();
    let state = |s| problems::hosts_in(&summary, s);
    let page = TriagePage {
        active: state(Lifecycle::Active),
        silent: summary.silent,
        pending: state(Lifecycle::Pending),
        simulated: summary.simulated,
        open: summary.open_incidents,
        opened: summary.opened_since_yesterday,
        untriaged: summary.untriaged,
        fixed: summary.fixed_in_7_days,
        jobs: summary.active_jobs,
        hosts_total: summary.hosts.values().sum(),
        problems,
        p,
    };
    html(&page)
}

fn causes_link(view: &ProblemView) -> String {
    match (&view.cause, &view.code) {
        (None, Some(code)) if view.possible_causes > 0 => {
            let (product, operation) = (view.product, view.operation);
            format!("/explain?q={}&product={product}&operation={operation}", encode(code))
        }
        _ => String::new(),
    }
}

/// The filter that finds a problem's incidents and hosts.
fn key(view: &ProblemView) -> String {
    match (&view.cause, &view.code) {
        (Some(cause), _) => format!("cause={}", encode(cause)),
        (None, Some(code)) => format!("code={}", encode(code)),
        (None, None) => "code=none".to_owned(),
    }
}
