//! The first page: what is broken, on how many machines, since when, and what to press.

use std::time::Duration;

use askama::Template;
use axum::http::{HeaderValue, header};
use fleetmend_core::host::Lifecycle;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Changes, StepsOfDay};

use super::since::{self, Since};
use super::{Frame, html, paint, plot, problem};
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
    fixed_today: u64,
    untriaged: u64,
    fixed: u64,
    jobs: u64,
    hosts_total: u64,
    healthy: u64,
    no_data: u64,
    problems: Vec<Row>,
    plot: String,
    days: Vec<StepsOfDay>,
    since: Since,
    changes: Changes,
    new_problems: u64,
}

/// Days of the fleet's plot.
const DAYS: u32 = 30;

#[derive(Debug)]
struct Row {
    view: ProblemView,
    bar: String,
    spark: String,
    hosts_link: String,
    /// The problem's own page.
    link: String,
    fix_link: String,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let p = Frame::new(&call, "triage");
    let summary = call.db().summary(call.now).await?;
    let views = problems::views(&call, p.t.0).await?;
    let since = since::since(&call)?;
    let changes = call.db().changes(since.from).await?;
    let days = call.db().fleet_days(DAYS, call.now).await?;
    let new_problems = views
        .iter()
        .filter(|v| v.first_seen.parse::<Timestamp>().is_ok_and(|at| at >= since.from))
        .count() as u64;
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
                problem::link(&view)
            },
            link: problem::link(&view),
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
        healthy: summary.healthy,
        no_data: summary.no_data,
        problems,
        plot: plot::fleet(&days, p.t),
        fixed_today: call.db().changes(call.now.before(Duration::from_hours(24))).await?.fixed,
        days,
        changes,
        new_problems,
        since,
        p,
    };
    let mut response = html(&page)?;
    if let Ok(cookie) = HeaderValue::from_str(&page.since.cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The filter that finds a problem's incidents and hosts.
fn key(view: &ProblemView) -> String {
    match (&view.cause, &view.code) {
        (Some(cause), _) => format!("cause={}", encode(cause)),
        (None, Some(code)) => format!("code={}", encode(code)),
        (None, None) => "code=none".to_owned(),
    }
}
