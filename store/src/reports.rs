//! Failure reports, as they were stored.

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::{HostId, IncidentId, ReportId};
use fleetmend_core::report::{FailureReport, Kind, Operation, Product};
use fleetmend_core::time::Timestamp;

/// A failure report, as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StoredReport {
    /// Its id.
    pub id: ReportId,
    /// The host.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// Whether the host is simulated.
    pub simulated: bool,
    /// The incident it was counted in.
    pub incident: Option<IncidentId>,
    /// When the server took it.
    pub received: Timestamp,
    /// When it happened, in UTC.
    pub at: Timestamp,
    /// What was read.
    pub failure: FailureReport,
    /// What the agent found with it.
    pub evidence: Vec<Evidence>,
}

/// Which reports are wanted. What is `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct ReportFilter {
    /// Of this host.
    pub host: Option<HostId>,
    /// Counted in this incident.
    pub incident: Option<IncidentId>,
    /// Of this product.
    pub product: Option<Product>,
    /// Of this operation.
    pub operation: Option<Operation>,
    /// Of this code, as it prints; `Some("")` for those without one.
    pub code: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this in the subject, without regard to ASCII case.
    pub subject: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
}
