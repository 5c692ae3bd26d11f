//! Incidents: lists, details, the verdicts on them, and people's decisions to ignore them.

pub(crate) mod decide;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod overdue;
pub(crate) mod triage;

use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::report::IncidentKey;
use fleetmend_core::time::Timestamp;
use fleetmend_core::triage::{Certainty, Verdict};
use fleetmend_core::update_class::UpdateClass;

use crate::jobs::Job;
use crate::reports::StoredReport;

/// An incident.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The host.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// Whether the host is simulated.
    pub simulated: bool,
    /// What fails.
    pub key: IncidentKey,
    /// The code's symbol.
    pub symbol: Option<String>,
    /// What kind of update it is about, where a report told.
    pub update_class: Option<UpdateClass>,
    /// The last report's words.
    pub message: String,
    /// Where it stands.
    pub state: IncidentState,
    /// When the server opened it.
    pub opened: Timestamp,
    /// The earliest failure, by the host's clock.
    pub first_seen: Timestamp,
    /// The latest failure, by the host's clock.
    pub last_seen: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Reports counted.
    pub reports: u64,
    /// The earlier incident that it is a return of.
    pub previous: Option<IncidentId>,
    /// The update that replaced its own, where it is *superseded*.
    pub successor: Option<Successor>,
    /// The ranked causes; `None` before triage.
    pub verdict: Option<Verdict>,
    /// The leading cause, where a named one leads.
    pub cause: Option<String>,
    /// Its share.
    pub share: Option<f64>,
    /// Its certainty.
    pub certainty: Option<Certainty>,
    /// Whether it waits for triage.
    pub untriaged: bool,
    /// Who ignores it, and why.
    pub ignored: Option<Ignored>,
}

/// The update that replaced the one that failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Successor {
    /// Its own incident, where it fails too.
    pub incident: Option<IncidentId>,
    /// Its KB.
    pub update: String,
}

/// A decision to ignore.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ignored {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Until when.
    pub until: Timestamp,
}

/// An incident with what belongs to it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// Its jobs, newest first; at most 50.
    pub jobs: Vec<Job>,
    /// Its reports, newest first; at most 50.
    pub reports: Vec<StoredReport>,
}

/// Which incidents are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Of this host.
    pub host: Option<HostId>,
    /// In any of these states.
    pub state: Vec<IncidentState>,
    /// Of this product.
    pub product: Option<fleetmend_core::report::Product>,
    /// Of this operation.
    pub operation: Option<fleetmend_core::report::Operation>,
    /// Of this code, as it prints; `Some("")` for those without one.
    pub code: Option<String>,
    /// With this leading cause; `Some("")` for those without one.
    pub cause: Option<String>,
    /// With this in the subject (a KB, a package), without regard to ASCII case.
    pub subject: Option<String>,
    /// Last seen at or after.
    pub since: Option<Timestamp>,
    /// On hosts with all of these labels.
    pub labels: Vec<(String, String)>,
    /// On hosts with a build that begins so.
    pub build: Option<String>,
}

/// An incident that waits for a verdict.
#[derive(Debug, Clone)]
pub struct ToTriage {
    /// Its id.
    pub id: IncidentId,
    /// The host: ask [`crate::Db::evidence`] for what is known of it.
    pub host: HostId,
    /// What fails.
    pub key: IncidentKey,
    /// What kind of update it is about, where a report told.
    pub update_class: Option<UpdateClass>,
    /// What the verdict will be about: saved with it, so that news that come meanwhile are not
    /// taken as judged.
    pub revision: TriageRevision,
}

/// Which news of an incident a verdict has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriageRevision(pub(crate) i64);
