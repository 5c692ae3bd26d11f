//! The shapes of REST: what programs see of the store's and the core's data. Times are RFC 3339 in
//! UTC, closed sets are their words, codes print as `0x%08X`.

use std::collections::BTreeMap;

use fleetmend_core::knowledge::{Catalogue, Lang};
use fleetmend_core::time::Timestamp;
use fleetmend_store as store;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A moment, RFC 3339 in UTC.
pub(crate) type Time = String;

/// A moment as it goes out.
pub(crate) fn time(at: Timestamp) -> Time {
    at.to_string()
}

fn times(at: Option<Timestamp>) -> Option<Time> {
    at.map(time)
}

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
}

/// One fact about a host.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    /// Its id.
    pub(crate) id: String,
    /// The probe.
    pub(crate) probe: String,
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
            answer: e.answer.as_str(),
            proof: e.proof,
            value: e.value,
            at: time(e.at),
        }
    }
}

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
    /// What it was about: a KB, a package, a path.
    pub(crate) subject: Option<String>,
    /// The last report's words.
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
    /// Who ignores it, why and until when.
    pub(crate) ignored: Option<IgnoredView>,
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
        Self {
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

/// Shares to four places: more would be false precision.
pub(crate) fn round(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
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

/// The remediations that fit an incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlanView {
    /// The highest risk that was allowed.
    pub(crate) max_risk: &'static str,
    /// Best first; those not allowed after those that are.
    pub(crate) steps: Vec<PlannedView>,
}

/// One remediation of a plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlannedView {
    /// Its name in the catalogue.
    pub(crate) remediation: String,
    /// Its name for people.
    pub(crate) name: String,
    /// What it does and what it does not.
    pub(crate) explanation: String,
    /// Its version.
    pub(crate) version: u32,
    /// The cause it is against.
    pub(crate) cause: String,
    /// The chance that it cures, 0 to 1.
    pub(crate) chance: f64,
    /// What it costs, in minutes' worth.
    pub(crate) cost: f64,
    /// safe, disruptive, dangerous, guided or refused.
    pub(crate) risk: &'static str,
    /// never, maybe or always.
    pub(crate) reboot: &'static str,
    /// exact, compensating or none.
    pub(crate) undo: &'static str,
    /// Whether it would be done under the allowed risk.
    pub(crate) allowed: bool,
    /// Why it stands where it stands.
    pub(crate) reason: String,
    /// Its steps, in order and in words.
    pub(crate) does: Vec<String>,
    /// Those of its steps that cannot be taken back.
    pub(crate) cannot_be_undone: Vec<String>,
    /// What a person does, or why it is never done and what is better.
    pub(crate) guide: Vec<String>,
    /// How the fix is proved.
    pub(crate) verification: &'static str,
    /// Whether it has not yet run on a real system of its kind.
    pub(crate) unproven: bool,
}

impl PlannedView {
    /// From a planned step, with what the catalogue says of it in a language.
    pub(crate) fn new(
        step: &fleetmend_core::plan::PlannedStep,
        catalogue: &Catalogue,
        lang: Lang,
    ) -> Self {
        let entry = catalogue.remediations.get(&step.remediation);
        let titles = |only_final: bool| -> Vec<String> {
            let steps = entry.map_or(&[][..], |r| &r.steps[..]);
            steps
                .iter()
                .filter(|s| !only_final || s.action.undo() == fleetmend_core::step::Undo::None)
                .map(|s| s.action.title())
                .collect()
        };
        Self {
            remediation: step.remediation.to_string(),
            name: entry
                .map_or_else(|| step.remediation.to_string(), |r| r.name.get(lang).to_owned()),
            explanation: entry.map(|r| r.explanation.get(lang).to_owned()).unwrap_or_default(),
            version: step.version,
            cause: step.cause.to_string(),
            chance: round(step.chance),
            cost: round(step.cost),
            risk: step.risk.as_str(),
            reboot: step.reboot.as_str(),
            undo: step.undo.as_str(),
            allowed: step.allowed,
            reason: step.reason.clone(),
            does: titles(false),
            cannot_be_undone: titles(true),
            guide: entry
                .map(|r| r.guide.iter().map(|text| text.get(lang).to_owned()).collect())
                .unwrap_or_default(),
            verification: entry.map_or("", |r| r.verification.as_str()),
            unproven: entry.is_some_and(|r| r.unproven),
        }
    }
}

/// One host's share of a remediation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobView {
    /// Its id.
    pub(crate) id: String,
    /// The host.
    pub(crate) host: HostRef,
    /// The incident it is for.
    pub(crate) incident: String,
    /// The cause it acts on.
    pub(crate) cause: String,
    /// The remediation.
    pub(crate) remediation: String,
    /// The remediation's version.
    pub(crate) version: u32,
    /// The remediation's risk, where the catalogue still knows it.
    pub(crate) risk: Option<&'static str>,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// Whether it is over.
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    /// Why, in words.
    pub(crate) detail: String,
    /// How the fix was proved: repeated, observed or `probe_only`.
    pub(crate) proof: Option<&'static str>,
    /// The try that runs or ran last; 0 before the first offer.
    pub(crate) attempt: u32,
    /// Whether somebody wants it stopped.
    pub(crate) cancel_requested: bool,
    /// Who ordered it.
    pub(crate) ordered_by: String,
    /// Why it was ordered.
    pub(crate) reason: String,
    /// When it was ordered.
    pub(crate) created_at: Time,
    /// Not to be begun after.
    pub(crate) expires_at: Time,
    /// When it began.
    pub(crate) begun_at: Option<Time>,
    /// When it was last heard of.
    pub(crate) updated_at: Time,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
    /// When the failure came back after the fix.
    pub(crate) relapsed_at: Option<Time>,
}

impl JobView {
    /// From the store's.
    pub(crate) fn new(job: store::Job, catalogue: &Catalogue) -> Self {
        Self {
            id: job.id.to_string(),
            host: HostRef {
                id: job.host.to_string(),
                name: job.host_name,
                simulated: job.simulated,
            },
            incident: job.incident.to_string(),
            cause: job.cause.to_string(),
            risk: catalogue.remediations.get(&job.remediation).map(|r| r.risk.as_str()),
            remediation: job.remediation.to_string(),
            version: job.version,
            state: job.state.as_str(),
            is_final: job.state.is_final(),
            detail: job.detail,
            proof: job.proof.map(fleetmend_core::job::ProofLevel::as_str),
            attempt: job.attempt,
            cancel_requested: job.cancel_requested,
            ordered_by: job.created_by,
            reason: job.reason,
            created_at: time(job.created),
            expires_at: time(job.expires),
            begun_at: times(job.begun),
            updated_at: time(job.news),
            ended_at: times(job.ended),
            relapsed_at: times(job.relapsed),
        }
    }
}

/// A job with the steps of its last try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobDetailView {
    /// The job.
    #[serde(flatten)]
    pub(crate) job: JobView,
    /// The steps of its last try.
    pub(crate) steps: Vec<StepView>,
    /// All its tries, oldest first.
    pub(crate) attempts: Vec<AttemptView>,
    /// Pieces of output that were dropped over the bound.
    pub(crate) log_dropped: u64,
}

/// One try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// Which, from 1.
    pub(crate) attempt: u32,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// Why.
    pub(crate) detail: String,
    /// When its order was last sent.
    pub(crate) offered_at: Time,
    /// When it began.
    pub(crate) begun_at: Option<Time>,
    /// When it ended.
    pub(crate) ended_at: Option<Time>,
}

/// One step of a try.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// Its place, from 0.
    pub(crate) index: u32,
    /// In words.
    pub(crate) title: String,
    /// How it went.
    pub(crate) state: &'static str,
    /// The exit status, where a program ran.
    pub(crate) exit: Option<i32>,
    /// Why it failed, or what was found.
    pub(crate) detail: String,
    /// Bytes of output dropped over the bound.
    pub(crate) output_dropped: u64,
}

impl JobDetailView {
    /// From the store's.
    pub(crate) fn new(detail: store::JobDetail, catalogue: &Catalogue) -> Self {
        let steps = detail.attempts.last().map(|a| a.steps.clone()).unwrap_or_default();
        Self {
            log_dropped: detail.job.log_dropped,
            job: JobView::new(detail.job, catalogue),
            steps: steps
                .into_iter()
                .map(|s| StepView {
                    index: s.index,
                    title: s.title,
                    state: s.state.as_str(),
                    exit: s.exit,
                    detail: s.detail,
                    output_dropped: s.output_dropped,
                })
                .collect(),
            attempts: detail
                .attempts
                .into_iter()
                .map(|a| AttemptView {
                    attempt: a.attempt,
                    state: a.state.as_str(),
                    detail: a.detail,
                    offered_at: time(a.offered),
                    begun_at: times(a.begun),
                    ended_at: times(a.ended),
                })
                .collect(),
        }
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

/// One cause, or one unexplained code, over the fleet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProblemView {
    /// The cause's name in the catalogue; null where none is known.
    pub(crate) cause: Option<String>,
    /// Its name for people.
    pub(crate) name: Option<String>,
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
    /// Failures a day of the last 14 days, oldest first; the last is today.
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
        Self {
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
