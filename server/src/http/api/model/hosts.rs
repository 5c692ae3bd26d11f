//! Hosts, their history and their facts.

use std::collections::BTreeMap;

use fleetmend_store as store;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Time, time};

/// A host, where another thing names it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HostRef {
    /// Its id.
    pub(crate) id: String,
    /// Its name, as its agent says.
    pub(crate) name: String,
    /// Whether it is simulated.
    pub(crate) simulated: bool,
}

/// A managed machine.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HostView {
    /// Its id.
    pub(crate) id: String,
    /// Its name, as its agent says.
    pub(crate) name: String,
    /// Its place in its life: pending, active, stale, quarantined, revoked, retired.
    pub(crate) state: &'static str,
    /// How it does: healthy only where something is known to have worked and no incident stands;
    /// failing where one stands; unknown where there is no data yet, or it is silent.
    pub(crate) health: &'static str,
    /// Why it is there.
    pub(crate) state_reason: String,
    /// Whether its agent is connected to this server now.
    pub(crate) connected: bool,
    /// Whether it is simulated.
    pub(crate) simulated: bool,
    /// windows or linux.
    pub(crate) os: &'static str,
    /// The system's name and version.
    pub(crate) os_name: String,
    /// The system's build.
    pub(crate) os_build: String,
    /// The processor architecture.
    pub(crate) arch: String,
    /// The agent's version.
    pub(crate) agent_version: String,
    /// The highest risk that the host's own ceiling allows; empty while unknown.
    pub(crate) ceiling: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Incidents that stand.
    pub(crate) open_incidents: u64,
    /// The job at work on it.
    pub(crate) active_job: Option<String>,
    /// When it joined.
    pub(crate) enrolled_at: Time,
    /// When it was last heard of.
    pub(crate) last_seen: Time,
    /// Items that its agent lost before they could be sent.
    pub(crate) lost_items: u64,
    /// Items that the server could not read and set aside.
    pub(crate) quarantined_items: u64,
}

impl HostView {
    /// From the store's.
    pub(crate) fn new(host: store::Host, connected: bool) -> Self {
        Self {
            id: host.id.to_string(),
            name: host.facts.name,
            state: host.lifecycle.as_str(),
            health: host.health.as_str(),
            state_reason: host.lifecycle_reason,
            connected,
            simulated: host.facts.simulated,
            os: host.facts.os.as_str(),
            os_name: host.facts.os_name,
            os_build: host.facts.os_build,
            arch: host.facts.arch,
            agent_version: host.facts.agent_version,
            ceiling: host.ceiling,
            labels: host.labels,
            open_incidents: host.open_incidents,
            active_job: host.active_job.map(|id| id.to_string()),
            enrolled_at: time(host.enrolled),
            last_seen: time(host.last_seen),
            lost_items: host.lost_items,
            quarantined_items: host.quarantined_items,
        }
    }
}

/// One entry of a host's history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TimelineView {
    /// When.
    pub(crate) at: Time,
    /// What it is.
    pub(crate) kind: &'static str,
    /// In words.
    pub(crate) text: String,
    /// The incident concerned.
    pub(crate) incident: Option<String>,
    /// The job concerned.
    pub(crate) job: Option<String>,
}

impl From<store::TimelineEntry> for TimelineView {
    fn from(entry: store::TimelineEntry) -> Self {
        Self {
            at: time(entry.at),
            kind: entry.kind.as_str(),
            text: entry.text,
            incident: entry.incident.map(|id| id.to_string()),
            job: entry.job.map(|id| id.to_string()),
        }
    }
}

/// What is known of a host's state, and every newest answer of its probes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FactsView {
    /// The state as the agent last sent it; null while none came.
    #[schema(value_type = Option<Object>)]
    pub(crate) state: Option<Value>,
    /// The newest answer of each probe.
    pub(crate) evidence: Vec<EvidenceView>,
    /// What failed and usually goes by itself: counted, and no incident yet.
    pub(crate) passing: Vec<PassingView>,
}

/// Failures that usually go by themselves, without a success between them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PassingView {
    /// What failed.
    pub(crate) product: &'static str,
    /// What it was doing.
    pub(crate) operation: &'static str,
    /// The code.
    pub(crate) code: Option<String>,
    /// The code's symbol.
    pub(crate) symbol: Option<String>,
    /// What it was about.
    pub(crate) subject: Option<String>,
    /// The last one's words.
    pub(crate) message: String,
    /// How many.
    pub(crate) failures: u64,
    /// The first of them.
    pub(crate) first_at: Time,
    /// The last of them.
    pub(crate) last_at: Time,
}

impl From<store::PassingFailure> for PassingView {
    fn from(passing: store::PassingFailure) -> Self {
        Self {
            product: passing.key.product.as_str(),
            operation: passing.key.operation.as_str(),
            code: passing.key.code.map(|code| code.to_string()),
            symbol: passing.symbol,
            subject: passing.key.subject,
            message: passing.message,
            failures: passing.failures,
            first_at: time(passing.first),
            last_at: time(passing.last),
        }
    }
}

/// One fact about a host.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    /// Its id.
    pub(crate) id: String,
    /// The probe.
    pub(crate) probe: String,
    /// What the answer is about (a unit, a package, a path); null where it is about the host.
    pub(crate) subject: Option<String>,
    /// yes, no or unknown. Yes means: the fault that the probe asks for is there.
    pub(crate) answer: &'static str,
    /// What was seen.
    pub(crate) proof: String,
    /// The value that a remediation may use.
    pub(crate) value: Option<String>,
    /// When it was seen.
    pub(crate) at: Time,
}

impl From<fleetmend_core::evidence::Evidence> for EvidenceView {
    fn from(e: fleetmend_core::evidence::Evidence) -> Self {
        Self {
            id: e.id.to_string(),
            probe: e.probe.to_string(),
            subject: e.subject,
            answer: e.answer.as_str(),
            proof: e.proof,
            value: e.value,
            at: time(e.at),
        }
    }
}
