//! Views over the whole fleet: problems, trends, summary.

pub(crate) mod efficacy;
pub(crate) mod problem;
pub(crate) mod problems;
pub(crate) mod recount;
pub(crate) mod standing;
pub(crate) mod summary;

use std::collections::BTreeMap;

pub use recount::Recounted;

use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::IncidentId;
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::Certainty;

/// One cause, or one code without a known cause, over the fleet.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The leading cause; `None` while none is known.
    pub cause: Option<String>,
    /// The code of its latest incident; `None` for failures without one.
    pub code: Option<String>,
    /// Its symbol.
    pub symbol: Option<String>,
    /// What fails.
    pub product: Product,
    /// While doing what.
    pub operation: Operation,
    /// Hosts that have it.
    pub hosts: u64,
    /// Incidents that stand.
    pub incidents: u64,
    /// The earliest failure.
    pub first_seen: Timestamp,
    /// The latest failure.
    pub last_seen: Timestamp,
    /// The best certainty among its incidents.
    pub certainty: Option<Certainty>,
    /// One of its incidents, to look at.
    pub sample: IncidentId,
    /// Its incidents that stood at the end of each of the last 14 days, oldest first, the last is
    /// today: now. Where a cause leads they are that cause's, whatever other causes share its codes.
    pub trend: Vec<u64>,
}

impl Problem {
    /// What makes it a problem of its own.
    pub fn key(&self) -> ProblemKey {
        ProblemKey {
            cause: self.cause.clone(),
            code: self.code.clone(),
            product: self.product,
            operation: self.operation,
        }
    }
}

/// Failures of one day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DayCount {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Failures.
    pub reports: u64,
}

/// The numbers on top of the triage page.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// Hosts by their place in life; states without hosts are absent.
    pub hosts: BTreeMap<Lifecycle, u64>,
    /// Simulated hosts among them.
    pub simulated: u64,
    /// Accepted hosts on which nothing fails and something is known to have worked.
    pub healthy: u64,
    /// Hosts of which nothing is known to have worked: no data yet.
    pub no_data: u64,
    /// Hosts that stopped reporting.
    pub silent: u64,
    /// Incidents that stand.
    pub open_incidents: u64,
    /// Incidents opened in the last 24 hours.
    pub opened_since_yesterday: u64,
    /// Incidents proved fixed in the last 7 days.
    pub fixed_in_7_days: u64,
    /// Jobs that are not over.
    pub active_jobs: u64,
    /// Incidents that wait for triage.
    pub untriaged: u64,
    /// Items set aside over all hosts.
    pub quarantined: u64,
}

/// What makes a problem: the leading cause, or the code where none leads, and what fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemKey {
    /// The leading cause.
    pub cause: Option<String>,
    /// The code, where no cause leads; `None` for failures without one.
    pub code: Option<String>,
    /// What fails.
    pub product: Product,
    /// While doing what.
    pub operation: Operation,
}

/// A problem from day to day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemTrend {
    /// The problem.
    pub key: ProblemKey,
    /// Incidents that stood at the end of each day, oldest first, the last is today: now.
    pub standing: Vec<u64>,
}

/// How many hosts of a problem gave which answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ProbeCount {
    /// The probe.
    pub probe: String,
    /// Hosts that said yes.
    pub yes: u64,
    /// Hosts that said no.
    pub no: u64,
    /// Hosts that could not tell.
    pub unknown: u64,
}

/// Hosts of one build on which a problem began on one day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Outbreak {
    /// The build.
    pub build: String,
    /// Days since 1970-01-01.
    pub day: i64,
    /// Hosts.
    pub hosts: u64,
}

/// Incidents opened and proved fixed on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct StepsOfDay {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Incidents opened.
    pub opened: u64,
    /// Incidents proved fixed.
    pub fixed: u64,
}

/// What happened in the fleet since a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Changes {
    /// Incidents opened.
    pub opened: u64,
    /// Those among them that had been over before.
    pub returned: u64,
    /// Incidents proved fixed.
    pub fixed: u64,
    /// Hosts that joined.
    pub joined: u64,
    /// Hosts that fell silent and are so still.
    pub silent: u64,
    /// Jobs ordered.
    pub jobs: u64,
}
