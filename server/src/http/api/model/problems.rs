//! Causes over the fleet.

use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::report::IncidentKey;
use fleetmend_store as store;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Time, time};

/// One cause, or one unexplained code, over the fleet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProblemView {
    /// What names it as `problem` of a campaign's selector.
    pub(crate) key: String,
    /// The cause's name in the catalogue; null where none is known.
    pub(crate) cause: Option<String>,
    /// Its name for people.
    pub(crate) name: Option<String>,
    /// How many causes the catalogue names for such a failure.
    pub(crate) possible_causes: usize,
    /// The best certainty among its incidents.
    pub(crate) certainty: Option<&'static str>,
    /// The commonest code.
    pub(crate) code: Option<String>,
    /// Its symbol.
    pub(crate) symbol: Option<String>,
    /// What fails.
    pub(crate) product: &'static str,
    /// While doing what.
    pub(crate) operation: &'static str,
    /// Hosts that have it.
    pub(crate) hosts: u64,
    /// Incidents that stand.
    pub(crate) incidents: u64,
    /// The earliest failure.
    pub(crate) first_seen: Time,
    /// The latest failure.
    pub(crate) last_seen: Time,
    /// One of its incidents.
    pub(crate) sample: String,
    /// Its incidents that stood at the end of each of the last 14 days, oldest first; the last is today.
    pub(crate) trend: Vec<u64>,
    /// The remediation that comes first against its cause.
    pub(crate) remediation: Option<RemediationRef>,
}

/// A remediation, where another thing names it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RemediationRef {
    /// Its name in the catalogue.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// Its risk.
    pub(crate) risk: &'static str,
}

impl ProblemView {
    /// From the store's, with names from the catalogue in a language.
    pub(crate) fn new(problem: store::Problem, catalogue: &Catalogue, lang: Lang) -> Self {
        let entry = problem
            .cause
            .as_deref()
            .and_then(|id| fleetmend_core::words::Slug::new(id).ok())
            .and_then(|id| catalogue.causes.get(&id));
        let best = entry
            .into_iter()
            .flat_map(|cause| &cause.remediations)
            .filter_map(|id| catalogue.remediations.get(id))
            .min_by_key(|r| (!r.is_automatic(), r.risk));
        let key = IncidentKey {
            product: problem.product,
            operation: problem.operation,
            code: problem.code.as_deref().and_then(|code| code.parse().ok()),
            subject: None,
        };
        Self {
            key: crate::campaigns::problem_key(
                problem.cause.as_deref(),
                problem.code.as_deref(),
                problem.product.as_str(),
                problem.operation.as_str(),
            ),
            possible_causes: fleetmend_core::triage::priors(catalogue, &key, None).len(),
            name: entry.map(|cause| cause.name.get(lang).to_owned()),
            remediation: best.map(|r| RemediationRef {
                id: r.id.to_string(),
                name: r.name.get(lang).to_owned(),
                risk: r.risk.as_str(),
            }),
            cause: problem.cause,
            certainty: problem.certainty.map(fleetmend_core::triage::Certainty::as_str),
            code: problem.code,
            symbol: problem.symbol,
            product: problem.product.as_str(),
            operation: problem.operation.as_str(),
            hosts: problem.hosts,
            incidents: problem.incidents,
            first_seen: time(problem.first_seen),
            last_seen: time(problem.last_seen),
            sample: problem.sample.to_string(),
            trend: problem.trend,
        }
    }
}
