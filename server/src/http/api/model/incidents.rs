//! Incidents, their verdicts, and the reports behind them.

use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::overdue::OverdueKind;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_store as store;
use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::JobView;
use super::{EvidenceView, HostRef, Time, round, time, times};

/// The leading cause of an incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CauseRef {
    /// Its name in the catalogue.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// confirmed, likely, possible or `ruled_out`.
    pub(crate) certainty: &'static str,
    /// Its share, 0 to 1.
    pub(crate) share: f64,
}

/// A failure that stands, or stood, on one host.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct IncidentView {
    /// Its id.
    pub(crate) id: String,
    /// The host.
    pub(crate) host: HostRef,
    /// What failed.
    pub(crate) product: &'static str,
    /// What it was doing.
    pub(crate) operation: &'static str,
    /// The code; null for a failure without one.
    pub(crate) code: Option<String>,
    /// The code's symbol.
    pub(crate) symbol: Option<String>,
    /// What kind of update it is about, where it is known.
    pub(crate) update_class: Option<&'static str>,
    /// What it was about: a KB, a package, a path.
    pub(crate) subject: Option<String>,
    /// What the code means; null where the catalogue does not know it.
    pub(crate) meaning: Option<String>,
    /// Whether nobody reported it: something was left undone for too long.
    pub(crate) overdue: bool,
    /// The last report's words, or what is overdue since when.
    pub(crate) message: String,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// The leading cause, where a named one leads.
    pub(crate) cause: Option<CauseRef>,
    /// Whether it waits for triage.
    pub(crate) untriaged: bool,
    /// Reports counted in it.
    pub(crate) reports: u64,
    /// When the server opened it.
    pub(crate) opened_at: Time,
    /// The earliest failure.
    pub(crate) first_report_at: Time,
    /// The latest failure.
    pub(crate) last_report_at: Time,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
    /// The earlier incident that it is a return of.
    pub(crate) previous: Option<String>,
    /// The update that replaced its own, where it is superseded.
    pub(crate) successor: Option<SuccessorView>,
    /// Who ignores it, why and until when.
    pub(crate) ignored: Option<IgnoredView>,
}

/// The update that replaced the one that failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SuccessorView {
    /// Its KB.
    pub(crate) update: String,
    /// Its own incident; null where it went in.
    pub(crate) incident: Option<String>,
}

/// A decision to ignore.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct IgnoredView {
    /// Why.
    pub(crate) reason: String,
    /// Who answers for it.
    pub(crate) owner: String,
    /// Until when.
    pub(crate) until: Time,
}

impl IncidentView {
    /// From the store's, with names from the catalogue.
    pub(crate) fn new(incident: store::Incident, catalogue: &Catalogue) -> Self {
        let cause = incident.cause.as_ref().map(|id| CauseRef {
            id: id.clone(),
            name: cause_name(catalogue, id, Lang::En),
            certainty: incident.certainty.map_or("possible", |c| c.as_str()),
            share: round(incident.share.unwrap_or_default()),
        });
        let entry = incident.key.code.as_ref().and_then(|code| catalogue.codes.get(code));
        Self {
            meaning: entry.map(|code| code.meaning.en.clone()),
            overdue: OverdueKind::of(incident.key.code.as_ref()).is_some(),
            id: incident.id.to_string(),
            host: HostRef {
                id: incident.host.to_string(),
                name: incident.host_name,
                simulated: incident.simulated,
            },
            product: incident.key.product.as_str(),
            operation: incident.key.operation.as_str(),
            code: incident.key.code.map(|c| c.to_string()),
            symbol: incident.symbol,
            update_class: incident.update_class.map(UpdateClass::as_str),
            subject: incident.key.subject,
            message: incident.message,
            state: incident.state.as_str(),
            cause,
            untriaged: incident.untriaged,
            reports: incident.reports,
            opened_at: time(incident.opened),
            first_report_at: time(incident.first_seen),
            last_report_at: time(incident.last_seen),
            ended_at: times(incident.ended),
            previous: incident.previous.map(|id| id.to_string()),
            successor: incident.successor.map(|successor| SuccessorView {
                update: successor.update,
                incident: successor.incident.map(|id| id.to_string()),
            }),
            ignored: incident.ignored.map(|i| IgnoredView {
                reason: i.reason,
                owner: i.owner,
                until: time(i.until),
            }),
        }
    }
}

/// The name of a cause for people; its id where the catalogue does not know it any more.
pub(crate) fn cause_name(catalogue: &Catalogue, id: &str, lang: Lang) -> String {
    fleetmend_core::words::Slug::new(id)
        .ok()
        .and_then(|slug| catalogue.causes.get(&slug))
        .map_or_else(|| id.to_owned(), |cause| cause.name.get(lang).to_owned())
}

/// An incident with its verdict.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct IncidentDetailView {
    /// The incident.
    #[serde(flatten)]
    pub(crate) incident: IncidentView,
    /// The ranked causes; null before triage.
    pub(crate) verdict: Option<VerdictView>,
    /// Its jobs, newest first.
    pub(crate) jobs: Vec<JobView>,
}

/// Ranked causes, likeliest first, always with *other*.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct VerdictView {
    /// The causes.
    pub(crate) causes: Vec<RankedView>,
    /// The catalogue that said so.
    pub(crate) catalogue: String,
}

/// One cause of a verdict.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RankedView {
    /// Its name in the catalogue; null for *other*.
    pub(crate) id: Option<String>,
    /// Its name for people.
    pub(crate) name: String,
    /// confirmed, likely, possible or `ruled_out`.
    pub(crate) certainty: &'static str,
    /// Its share, 0 to 1.
    pub(crate) share: f64,
    /// What speaks for or against it.
    pub(crate) evidence: Vec<WeighedView>,
}

/// A piece of evidence with its weight.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WeighedView {
    /// The evidence.
    pub(crate) id: String,
    /// Its probe.
    pub(crate) probe: String,
    /// What the answer is about (a unit, a package, a path); null where it is about the host.
    pub(crate) subject: Option<String>,
    /// Its answer.
    pub(crate) answer: &'static str,
    /// What it says of the cause: decisive, strong, weak, nothing, `weak_against`…
    pub(crate) strength: &'static str,
    /// What was seen.
    pub(crate) proof: String,
    /// When; null where newer evidence took its place.
    pub(crate) at: Option<Time>,
}

impl VerdictView {
    /// From a verdict and the host's evidence, which tells the times.
    pub(crate) fn new(
        verdict: &fleetmend_core::triage::Verdict,
        evidence: &[fleetmend_core::evidence::Evidence],
        catalogue: &Catalogue,
    ) -> Self {
        let causes = verdict.causes.iter().map(|ranked| {
            let id = ranked.cause.as_ref().map(ToString::to_string);
            RankedView {
                name: id
                    .as_ref()
                    .map_or_else(|| "other".to_owned(), |id| cause_name(catalogue, id, Lang::En)),
                id,
                certainty: ranked.certainty.as_str(),
                share: round(ranked.share),
                evidence: ranked
                    .evidence
                    .iter()
                    .map(|w| WeighedView {
                        id: w.evidence.to_string(),
                        probe: w.probe.to_string(),
                        subject: w.subject.clone(),
                        answer: w.answer.as_str(),
                        strength: w.strength.as_str(),
                        proof: w.proof.clone(),
                        at: evidence.iter().find(|e| e.id == w.evidence).map(|e| time(e.at)),
                    })
                    .collect(),
            }
        });
        Self { causes: causes.collect(), catalogue: verdict.catalogue.clone() }
    }
}

/// A failure report.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// Its id.
    pub(crate) id: String,
    /// The host.
    pub(crate) host: HostRef,
    /// The incident it was counted in.
    pub(crate) incident: Option<String>,
    /// When the server took it.
    pub(crate) received_at: Time,
    /// When it happened, in UTC.
    pub(crate) at: Time,
    /// What the agent read.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub(crate) failure: fleetmend_core::report::FailureReport,
    /// What the agent found with it.
    pub(crate) evidence: Vec<EvidenceView>,
}

impl From<store::StoredReport> for ReportView {
    fn from(report: store::StoredReport) -> Self {
        Self {
            id: report.id.to_string(),
            host: HostRef {
                id: report.host.to_string(),
                name: report.host_name,
                simulated: report.simulated,
            },
            incident: report.incident.map(|id| id.to_string()),
            received_at: time(report.received),
            at: time(report.at),
            failure: report.failure,
            evidence: report.evidence.into_iter().map(Into::into).collect(),
        }
    }
}
