//! `/api/v1/problems` and `/api/v1/summary`: the fleet at a glance.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::knowledge::Lang;
use fleetmend_store::Summary;
use serde::Serialize;

use super::model::ProblemView;
use crate::http::call::{Call, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;
use fleetmend_core::limits;

const COLUMNS: &[Column] = &[
    ("hosts", "/hosts"),
    ("incidents", "/incidents"),
    ("cause", "/cause"),
    ("name", "/name"),
    ("certainty", "/certainty"),
    ("code", "/code"),
    ("symbol", "/symbol"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("first_seen", "/first_seen"),
    ("last_seen", "/last_seen"),
    ("remediation", "/remediation/id"),
    ("risk", "/remediation/risk"),
    ("key", "/key"),
];

/// The fleet in a few numbers.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct SummaryView {
    /// Hosts.
    pub(crate) hosts: HostCounts,
    /// Incidents.
    pub(crate) incidents: IncidentCounts,
    /// Jobs.
    pub(crate) jobs: JobCounts,
    /// Items from agents that could not be read and were set aside.
    pub(crate) quarantined: u64,
    /// The catalogue's version.
    pub(crate) catalogue: String,
    /// The server's version.
    pub(crate) version: &'static str,
}

/// How many hosts.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct HostCounts {
    /// All that are not retired or revoked.
    pub(crate) total: u64,
    /// Accepted and heard of.
    pub(crate) active: u64,
    /// Accepted and silent.
    pub(crate) stale: u64,
    /// Waiting to be accepted.
    pub(crate) pending: u64,
    /// Held back until a person decides.
    pub(crate) quarantined: u64,
    /// Accepted, nothing fails on them, and something is known to have worked.
    pub(crate) healthy: u64,
    /// Nothing is known to have worked on them: no data yet.
    pub(crate) no_data: u64,
    /// Connected to this server now.
    pub(crate) connected: u64,
    /// Simulated, among all.
    pub(crate) simulated: u64,
}

/// How many incidents.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct IncidentCounts {
    /// That stand.
    pub(crate) open: u64,
    /// Opened in the last 24 hours.
    pub(crate) opened_24h: u64,
    /// Proved fixed in the last 7 days.
    pub(crate) fixed_7d: u64,
    /// Waiting for triage.
    pub(crate) untriaged: u64,
}

/// How many jobs.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct JobCounts {
    /// That are not over.
    pub(crate) active: u64,
}

/// How many hosts are in a state.
pub(crate) fn hosts_in(summary: &Summary, state: Lifecycle) -> u64 {
    summary.hosts.get(&state).copied().unwrap_or(0)
}

/// Shows the fleet in a few numbers.
pub(crate) async fn summary(call: Call) -> Answer {
    let summary = call.db().summary(call.now).await?;
    let shared = call.shared();
    let state = |s| hosts_in(&summary, s);
    ok(&SummaryView {
        hosts: HostCounts {
            total: state(Lifecycle::Active)
                + state(Lifecycle::Stale)
                + state(Lifecycle::Pending)
                + state(Lifecycle::Quarantined),
            active: state(Lifecycle::Active),
            stale: state(Lifecycle::Stale),
            pending: state(Lifecycle::Pending),
            quarantined: state(Lifecycle::Quarantined),
            healthy: summary.healthy,
            no_data: summary.no_data,
            connected: shared.registry.connected() as u64,
            simulated: summary.simulated,
        },
        incidents: IncidentCounts {
            open: summary.open_incidents,
            opened_24h: summary.opened_since_yesterday,
            fixed_7d: summary.fixed_in_7_days,
            untriaged: summary.untriaged,
        },
        jobs: JobCounts { active: summary.active_jobs },
        quarantined: summary.quarantined,
        catalogue: shared.catalogue.version.clone(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Lists problems, most hosts first.
pub(crate) async fn list(call: Call) -> Answer {
    paging::list(call, COLUMNS, (), |call, _, page| async move {
        let page = paging::whole(views(&call, Lang::En).await?, &page);
        Ok(page)
    })
    .await
}

/// The problems of the fleet in a language. Also used by pages.
pub(crate) async fn views(call: &Call, lang: Lang) -> Result<Vec<ProblemView>, Problem> {
    let catalogue = call.shared().catalogue;
    let problems = call.db().problems(call.now, limits::PAGE_MAX).await?;
    Ok(problems.into_iter().map(|p| ProblemView::new(p, catalogue, lang)).collect())
}
