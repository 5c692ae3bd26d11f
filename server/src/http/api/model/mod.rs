//! The shapes of REST: what programs see of the store's and the core's data. Times are RFC 3339 in
//! UTC, closed sets are their words, codes print as `0x%08X`.

mod hosts;
mod incidents;
mod jobs;
mod plans;
mod problems;
mod reasons;

use fleetmend_core::time::Timestamp;

pub(crate) use hosts::{EvidenceView, FactsView, HostRef, HostView, TimelineView};
pub(crate) use incidents::{IncidentDetailView, IncidentView, ReportView, VerdictView, cause_name};
pub(crate) use jobs::{JobDetailView, JobView};
pub(crate) use plans::{PlanView, PlannedView};
pub(crate) use problems::ProblemView;
pub(crate) use reasons::ReasonView;

/// A moment, RFC 3339 in UTC.
pub(crate) type Time = String;

/// A moment as it goes out.
pub(crate) fn time(at: Timestamp) -> Time {
    at.to_string()
}

pub(crate) fn times(at: Option<Timestamp>) -> Option<Time> {
    at.map(time)
}

/// Shares to four places: more would be false precision.
pub(crate) fn round(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}
