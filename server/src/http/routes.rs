//! The one table of routes. Nothing is served that is not here: the router is built from these rows,
//! handlers take a `Call` that only the dispatcher makes, and the tests walk every row with every
//! credential.

use fleetmend_core::token::Permission as P;

use super::access::{LimitClass, Rule};
use super::api::{
    api_tokens, audit, backtest, catalog, enrollment_tokens, events, health, hosts, incidents,
    jobs, model, problems, reports, verify,
};
use super::docs;
use super::route::{Face, Handler, Param, Route, Verb, shape};

/// A handler as a row holds it.
macro_rules! to {
    ($handler:path) => {{
        const HANDLER: Handler = |call| Box::pin($handler(call));
        HANDLER
    }};
}

mod campaigns;
mod pages;
mod people;
mod work;

/// A row of REST that reads.
const fn get(path: &'static str, needs: P, summary: &'static str, to: Handler) -> Route {
    Route::new(Verb::Get, path, Face::Api, Rule::read(needs), summary, to)
}

/// A row of REST that changes something, audited as `kind`.
const fn post(
    path: &'static str,
    needs: P,
    kind: &'static str,
    summary: &'static str,
    to: Handler,
) -> Route {
    Route::new(Verb::Post, path, Face::Api, Rule::change(needs, kind), summary, to)
}

/// Health.
const fn health(path: &'static str, to: Handler) -> Route {
    let rule = Rule { permission: P::Public, body: 0, audit: None, limit: LimitClass::Health };
    Route::new(Verb::Get, path, Face::Plain, rule, "", to)
}

const LABEL: Param = Param::many("label", "KEY=VALUE that the host has; may repeat.");
const CODE: Param = Param::one("code", "A failure code in any spelling; none for those without.");
const CAUSE: Param = Param::one("cause", "The leading cause, by its name in the catalogue.");
const KB: Param = Param::one("kb", "Part of the subject: a KB, a package.");
const BUILD: Param = Param::one("build", "What the host's build begins with.");
const SINCE: Param = Param::one("since", "From this time on, RFC 3339.");
const HOST: Param = Param::one("host", "The host's id.");
const PRODUCT: Param = Param::one("product", "The product, such as windows_update.");
const OPERATION: Param = Param::one("operation", "The operation, such as install.");
const HOSTS: &[Param] = &[
    Param::many("state", "pending, active, stale, quarantined, revoked or retired; may repeat."),
    LABEL,
    Param::one("search", "Part of the host's name."),
    CODE,
    CAUSE,
    KB,
    BUILD,
];
const INCIDENTS: &[Param] = &[
    Param::many(
        "state",
        "open, remediating, verifying, recurred (these unless given), fixed, resolved, superseded, ignored.",
    ),
    HOST,
    PRODUCT,
    OPERATION,
    CODE,
    CAUSE,
    KB,
    SINCE,
    LABEL,
    BUILD,
];
const REPORTS: &[Param] = &[
    HOST,
    Param::one("incident", "The incident's id."),
    PRODUCT,
    OPERATION,
    CODE,
    Param::one("kind", "failure, pending, benign, cancelled or success."),
    KB,
    SINCE,
];
const JOBS: &[Param] = &[
    HOST,
    Param::one("incident", "The incident's id."),
    Param::many("state", "A job state; may repeat."),
    Param::one("active", "true for those that are not over."),
    Param::one("remediation", "The remediation, by its name in the catalogue."),
    Param::many("task", "remediate, verify or undo; may repeat."),
];
const AUDIT: &[Param] = &[
    Param::one("actor", "Who."),
    Param::one("kind", "What, such as job.create."),
    Param::one("object", "To what."),
    SINCE,
];
const MAX_RISK: &[Param] = &[Param::one(
    "max_risk",
    "The highest risk allowed: safe (unless given), disruptive, dangerous.",
)];
const UPDATE_CLASS: Param = Param::one(
    "update_class",
    "The class of update: cumulative, dotnet, winre, driver or definition.",
);
const CONTEXT: &[Param] =
    &[PRODUCT, OPERATION, UPDATE_CLASS, Param::one("lang", "The language of the texts: en or ru.")];
const QUESTION: &[Param] = &[
    Param::one("q", "A code in any spelling, or the name of a cause, a remediation or a probe."),
    PRODUCT,
    OPERATION,
    UPDATE_CLASS,
    Param::one("lang", "The language of the texts: en or ru."),
];

/// Rows of several tables as one.
const fn join<const N: usize>(tables: &[&[Route]]) -> [Route; N] {
    let mut all = [tables[0][0]; N];
    let (mut table, mut at) = (0, 0);
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            all[at] = tables[table][row];
            row += 1;
            at += 1;
        }
        table += 1;
    }
    all
}

static ALL: [Route;
    MOST.len()
        + people::ROUTES.len()
        + campaigns::ROUTES.len()
        + work::ROUTES.len()
        + pages::ROUTES.len()] =
    join(&[MOST, people::ROUTES, campaigns::ROUTES, work::ROUTES, pages::ROUTES]);

/// Every way in.
pub static ROUTES: &[Route] = &ALL;

const MOST: &[Route] = &[
    health("/livez", to!(health::live)),
    health("/readyz", to!(health::ready)),
    // hosts
    get("/api/v1/hosts", P::Read, "List hosts.", to!(hosts::list))
        .query(HOSTS)
        .list(shape::<model::HostView>),
    get("/api/v1/hosts/{id}", P::Read, "Show a host.", to!(hosts::get))
        .gives(shape::<model::HostView>),
    get("/api/v1/hosts/{id}/facts", P::Read, "Show what is known of a host.", to!(hosts::facts))
        .gives(shape::<model::FactsView>),
    get(
        "/api/v1/hosts/{id}/timeline",
        P::Read,
        "Show a host's history, newest first.",
        to!(hosts::timeline),
    )
    .list(shape::<model::TimelineView>),
    get("/api/v1/hosts/{id}/jobs", P::Read, "List the jobs of a host.", to!(hosts::jobs))
        .list(shape::<model::JobView>),
    post(
        "/api/v1/hosts/{id}/accept",
        P::ManageHosts,
        "host.set_state",
        "Accept a pending host.",
        to!(hosts::accept),
    )
    .takes(shape::<hosts::Nothing>)
    .gives(shape::<model::HostView>),
    post(
        "/api/v1/hosts/{id}/revoke",
        P::ManageHosts,
        "host.set_state",
        "Void a host's certificates and end its stream.",
        to!(hosts::revoke),
    )
    .takes(shape::<hosts::Why>)
    .gives(shape::<model::HostView>),
    post(
        "/api/v1/hosts/{id}/retire",
        P::ManageHosts,
        "host.set_state",
        "Take a host out of the fleet; its history is kept.",
        to!(hosts::retire),
    )
    .takes(shape::<hosts::Why>)
    .gives(shape::<model::HostView>),
    post(
        "/api/v1/hosts/{id}/labels",
        P::ManageHosts,
        "host.set_labels",
        "Set and remove labels of a host.",
        to!(hosts::set_labels),
    )
    .takes(shape::<hosts::LabelChange>)
    .gives(shape::<model::HostView>),
    // reports, incidents, problems
    get("/api/v1/reports", P::Read, "List failure reports, newest first.", to!(reports::list))
        .query(REPORTS)
        .list(shape::<model::ReportView>),
    get(
        "/api/v1/incidents",
        P::Read,
        "List incidents; those that stand, unless states are given.",
        to!(incidents::list),
    )
    .query(INCIDENTS)
    .list(shape::<model::IncidentView>),
    get(
        "/api/v1/incidents/{id}",
        P::Read,
        "Show an incident with its verdict and evidence.",
        to!(incidents::get),
    )
    .gives(shape::<model::IncidentDetailView>),
    get(
        "/api/v1/incidents/{id}/plan",
        P::Read,
        "Show the remediations that fit an incident, best first.",
        to!(incidents::plan),
    )
    .query(MAX_RISK)
    .gives(shape::<model::PlanView>),
    post(
        "/api/v1/incidents/{id}/remediate",
        P::Remediate,
        "job.create",
        "Order a remediation.",
        to!(incidents::remediate),
    )
    .takes(shape::<incidents::Remediate>)
    .gives(shape::<model::JobView>),
    post(
        "/api/v1/incidents/{id}/verify",
        P::Remediate,
        "job.verify",
        "Order a proof: nothing is changed, and whether the failure is gone is found out.",
        to!(verify::verify),
    )
    .takes(shape::<verify::Verify>)
    .gives(shape::<model::JobView>),
    post(
        "/api/v1/incidents/{id}/ignore",
        P::Remediate,
        "incident.ignore",
        "Hide an incident until a day.",
        to!(incidents::ignore),
    )
    .takes(shape::<incidents::Ignore>)
    .gives(shape::<model::IncidentDetailView>),
    post(
        "/api/v1/incidents/{id}/reopen",
        P::Remediate,
        "incident.reopen",
        "Take an ignored incident back.",
        to!(incidents::reopen),
    )
    .takes(shape::<hosts::Nothing>)
    .gives(shape::<model::IncidentDetailView>),
    get(
        "/api/v1/problems",
        P::Read,
        "List causes over the fleet, most hosts first.",
        to!(problems::list),
    )
    .list(shape::<model::ProblemView>),
    get("/api/v1/summary", P::Read, "Show the fleet in a few numbers.", to!(problems::summary))
        .gives(shape::<problems::SummaryView>),
    // jobs
    get("/api/v1/jobs", P::Read, "List jobs, newest first.", to!(jobs::list))
        .query(JOBS)
        .list(shape::<model::JobView>),
    get("/api/v1/jobs/{id}", P::Read, "Show a job with its steps.", to!(jobs::get))
        .gives(shape::<model::JobDetailView>),
    get(
        "/api/v1/jobs/{id}/log",
        P::Read,
        "Show the output of a job's steps, as text.",
        to!(jobs::log),
    ),
    post(
        "/api/v1/jobs/{id}/cancel",
        P::Remediate,
        "job.cancel",
        "Take a job back, or ask its host to stop.",
        to!(jobs::cancel),
    )
    .takes(shape::<hosts::Why>)
    .gives(shape::<model::JobDetailView>),
    // catalogue
    get(
        "/api/v1/explain",
        P::Read,
        "Explain a code in any spelling, or a cause, a remediation or a probe by its name.",
        to!(catalog::explain),
    )
    .query(QUESTION),
    get(
        "/api/v1/catalog/codes/{code}",
        P::Read,
        "Explain a code in any spelling.",
        to!(catalog::code),
    )
    .query(CONTEXT),
    get(
        "/api/v1/catalog/causes",
        P::Read,
        "List the causes that the catalogue knows.",
        to!(catalog::causes),
    )
    .list(shape::<catalog::CauseView>),
    get(
        "/api/v1/catalog/remediations",
        P::Read,
        "List the remediations that the catalogue knows.",
        to!(catalog::remediations),
    )
    .list(shape::<catalog::RemediationView>),
    // tokens, audit
    get(
        "/api/v1/enrollment-tokens",
        P::Enroll,
        "List enrolment tokens.",
        to!(enrollment_tokens::list),
    )
    .list(shape::<enrollment_tokens::TokenView>),
    post(
        "/api/v1/enrollment-tokens",
        P::Enroll,
        "enrollment_token.create",
        "Make an enrolment token; its text is shown once.",
        to!(enrollment_tokens::create),
    )
    .takes(shape::<enrollment_tokens::NewToken>)
    .gives(shape::<enrollment_tokens::MadeToken>),
    Route::new(
        Verb::Delete,
        "/api/v1/enrollment-tokens/{id}",
        Face::Api,
        Rule::change(P::Enroll, "enrollment_token.revoke"),
        "Void an enrolment token; hosts that came by it stay.",
        to!(enrollment_tokens::revoke),
    ),
    get("/api/v1/api-tokens", P::ManageTokens, "List API tokens.", to!(api_tokens::list))
        .list(shape::<api_tokens::ApiTokenView>),
    post(
        "/api/v1/api-tokens",
        P::ManageTokens,
        "api_token.create",
        "Make an API token; its text is shown once.",
        to!(api_tokens::create),
    )
    .takes(shape::<api_tokens::NewApiTokenBody>)
    .gives(shape::<api_tokens::MadeApiToken>),
    Route::new(
        Verb::Delete,
        "/api/v1/api-tokens/{id}",
        Face::Api,
        Rule::change(P::ManageTokens, "api_token.revoke"),
        "Void an API token and the sessions made from it.",
        to!(api_tokens::revoke),
    ),
    get("/api/v1/audit", P::Audit, "List the audit log, newest first.", to!(audit::list))
        .query(AUDIT)
        .list(shape::<audit::AuditView>),
    get(
        "/api/v1/audit/verify",
        P::Audit,
        "Check the audit log: whether its chain of hashes is whole.",
        to!(audit::verify),
    )
    .gives(shape::<audit::AuditCheckView>),
    get(
        "/api/v1/catalog/backtest",
        P::Read,
        "List the incidents that stand with all that they are judged by, for judging them by another catalogue; at most 200 a page.",
        to!(backtest::list),
    )
    .query(MAX_RISK)
    .list(shape::<backtest::BacktestView>),
    // live, description
    get("/api/v1/events", P::Read, "Live hints as server-sent events.", to!(events::stream))
        .limit(LimitClass::Stream),
    get("/api/v1/openapi.json", P::Public, "This description.", to!(docs::openapi)),
];
