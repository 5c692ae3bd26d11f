//! The one table of routes. Nothing is served that is not here: the router is built from these rows,
//! handlers take a `Call` that only the dispatcher makes, and the tests walk every row with every
//! credential.

use fleetmend_core::token::Permission as P;

use super::access::{LimitClass, Rule};
use super::api::{
    api_tokens, audit, backtest, catalog, enrollment_tokens, events, health, hosts, incidents,
    jobs, model, problems, reports, sessions, users, verify,
};
use super::docs;
use super::route::{Face, Handler, Param, Route, Verb, shape};
use super::web;

/// A handler as a row holds it.
macro_rules! to {
    ($handler:path) => {{
        const HANDLER: Handler = |call| Box::pin($handler(call));
        HANDLER
    }};
}

mod campaigns;
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

/// A page.
const fn page(path: &'static str, needs: P, to: Handler) -> Route {
    Route::new(Verb::Get, path, Face::Page, Rule::read(needs), "", to)
}

/// A form of a page, audited as `kind`.
const fn form(path: &'static str, needs: P, kind: &'static str, to: Handler) -> Route {
    Route::new(Verb::Post, path, Face::Page, Rule::change(needs, kind), "", to)
}

/// A file of the dashboard.
const fn asset(path: &'static str, to: Handler) -> Route {
    let rule = Rule { permission: P::Public, body: 0, audit: None, limit: LimitClass::Asset };
    Route::new(Verb::Get, path, Face::Plain, rule, "", to)
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
const NEXT: &[Param] = &[Param::one("next", "Where to go after the log-in.")];
const SEARCH: &[Param] =
    &[Param::one("q", "A host, or a code in any spelling."), PRODUCT, OPERATION, UPDATE_CLASS];
const PAGE: Param = Param::one("cursor", "Where the list goes on.");
const TRIAGE_PAGE: &[Param] =
    &[Param::one("since", "Since when changes are told: 1h, 24h, 7d, 30d or a time.")];
const PROBLEM_PAGE: &[Param] = &[CAUSE, CODE, PRODUCT, OPERATION];
const HOST_PAGE: &[Param] = &[
    Param::many("state", "The host's state."),
    LABEL,
    Param::one("search", "Part of the host's name."),
    CODE,
    CAUSE,
    KB,
    BUILD,
    PAGE,
];
const INCIDENT_PAGE: &[Param] = &[
    Param::many("state", "The incident's state."),
    HOST,
    PRODUCT,
    OPERATION,
    CODE,
    CAUSE,
    KB,
    PAGE,
];
const CAMPAIGN_LIST: &[Param] = &[
    Param::many("state", "The campaign's state."),
    Param::one("search", "Part of the campaign's name."),
    PAGE,
];
const CAMPAIGN_PAGE: &[Param] = &[Param::one("outcome", "How the hosts stand."), PAGE];
const JOB_PAGE: &[Param] = &[Param::many("state", "The job's state."), HOST, PAGE];

/// What is asked of who logs in.
const LOG_IN: Rule = Rule {
    permission: P::Public,
    body: 4_096,
    audit: Some("session.create"),
    limit: LimitClass::Login,
};

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

static ALL: [Route; MOST.len() + campaigns::ROUTES.len() + work::ROUTES.len()] =
    join(&[MOST, campaigns::ROUTES, work::ROUTES]);

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
    // people
    get("/api/v1/users", P::ManagePeople, "List the users.", to!(users::list))
        .list(shape::<users::UserView>),
    post(
        "/api/v1/users",
        P::ManagePeople,
        "user.create",
        "Make a user with a password for one log-in, which is shown once.",
        to!(users::create),
    )
    .takes(shape::<users::NewUserBody>)
    .gives(shape::<users::ChangedUser>),
    get("/api/v1/users/{id}", P::ManagePeople, "Show a user, by id or name.", to!(users::get))
        .gives(shape::<users::UserView>),
    post(
        "/api/v1/users/{id}/role",
        P::ManagePeople,
        "user.set_role",
        "Give a user another role; its sessions end, and tokens that may do more.",
        to!(users::set_role),
    )
    .takes(shape::<users::RoleBody>)
    .gives(shape::<users::ChangedUser>),
    post(
        "/api/v1/users/{id}/disable",
        P::ManagePeople,
        "user.disable",
        "Shut a user out; its sessions and tokens end.",
        to!(users::disable),
    )
    .takes(shape::<hosts::Nothing>)
    .gives(shape::<users::ChangedUser>),
    post(
        "/api/v1/users/{id}/enable",
        P::ManagePeople,
        "user.enable",
        "Let a user log in again.",
        to!(users::enable),
    )
    .takes(shape::<hosts::Nothing>)
    .gives(shape::<users::ChangedUser>),
    post(
        "/api/v1/users/{id}/reset",
        P::ManagePeople,
        "user.reset_password",
        "Give a user a new password for one log-in, which is shown once.",
        to!(users::reset),
    )
    .takes(shape::<hosts::Nothing>)
    .gives(shape::<users::ChangedUser>),
    Route::new(
        Verb::Post,
        "/api/v1/sessions",
        Face::Api,
        LOG_IN,
        "Log in by name and password: gives a session's cookie, or an API token where one is asked for.",
        to!(sessions::create),
    )
    .takes(shape::<sessions::LogInBody>)
    .gives(shape::<sessions::OpenedView>),
    get("/api/v1/sessions", P::Own, "List your own sessions.", to!(sessions::list))
        .gives(shape::<sessions::SessionsView>),
    Route::new(
        Verb::Delete,
        "/api/v1/sessions/{id}",
        Face::Api,
        Rule::change(P::Own, "session.end"),
        "End one of your own sessions; `current` is the one that asks.",
        to!(sessions::end),
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
    page("/api/docs", P::Public, to!(web::docs::page)),
    // the dashboard
    page("/login", P::Public, to!(web::session::page)).query(NEXT),
    Route::new(Verb::Post, "/login", Face::Page, LOG_IN, "", to!(web::session::log_in)),
    form("/logout", P::Own, "session.end", to!(web::session::log_out)),
    page("/password", P::Own, to!(web::password::page)),
    form("/password", P::Own, "user.change_password", to!(web::password::change))
        .limit(LimitClass::Login),
    page("/people", P::ManagePeople, to!(web::people::page)),
    form("/people", P::ManagePeople, "user.create", to!(web::people::create)),
    form("/people/{id}/role", P::ManagePeople, "user.set_role", to!(web::people::set_role)),
    form("/people/{id}/disable", P::ManagePeople, "user.disable", to!(web::people::disable)),
    form("/people/{id}/enable", P::ManagePeople, "user.enable", to!(web::people::enable)),
    form("/people/{id}/reset", P::ManagePeople, "user.reset_password", to!(web::people::reset)),
    page("/", P::Read, to!(web::triage::page)).query(TRIAGE_PAGE),
    page("/problems", P::Read, to!(web::problem::page)).query(PROBLEM_PAGE),
    page("/hosts", P::Read, to!(web::hosts::list)).query(HOST_PAGE),
    page("/hosts/{id}", P::Read, to!(web::hosts::page)),
    form("/hosts/{id}/accept", P::ManageHosts, "host.set_state", to!(web::hosts::accept)),
    form("/hosts/{id}/revoke", P::ManageHosts, "host.set_state", to!(web::hosts::revoke)),
    page("/incidents", P::Read, to!(web::incidents::list)).query(INCIDENT_PAGE),
    page("/incidents/{id}", P::Read, to!(web::incidents::page)).query(MAX_RISK),
    form("/incidents/{id}/remediate", P::Remediate, "job.create", to!(web::incidents::remediate)),
    form("/incidents/{id}/ignore", P::Remediate, "incident.ignore", to!(web::incidents::ignore)),
    form("/incidents/{id}/reopen", P::Remediate, "incident.reopen", to!(web::incidents::reopen)),
    page("/jobs", P::Read, to!(web::jobs::list)).query(JOB_PAGE),
    page("/jobs/{id}", P::Read, to!(web::jobs::page)),
    form("/jobs/{id}/cancel", P::Remediate, "job.cancel", to!(web::jobs::cancel)),
    page("/campaigns", P::Read, to!(web::campaigns::list::page)).query(CAMPAIGN_LIST),
    page("/campaigns/new", P::Author, to!(web::campaigns::new::page)).query(web::campaigns::form::QUERY),
    page("/campaigns/preview", P::Author, to!(web::campaigns::new::preview)).query(web::campaigns::form::QUERY),
    form("/campaigns", P::Author, "campaign.create", to!(web::campaigns::new::create)),
    page("/campaigns/{id}", P::Read, to!(web::campaigns::page::page)).query(CAMPAIGN_PAGE),
    page("/campaigns/{id}/preview", P::Read, to!(web::campaigns::new::preview_of)),
    page("/campaigns/{id}/edit", P::Author, to!(web::campaigns::new::edit)),
    form("/campaigns/{id}/edit", P::Author, "campaign.edit", to!(web::campaigns::new::change)),
    page("/campaigns/{id}/approve", P::Approve, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/approve", P::Approve, "campaign.approve", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/start", P::Remediate, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/start", P::Remediate, "campaign.start", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/pause", P::Remediate, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/pause", P::Remediate, "campaign.pause", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/resume", P::Author, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/resume", P::Author, "campaign.resume", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/abort", P::Remediate, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/abort", P::Remediate, "campaign.abort", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/cancel", P::Author, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/cancel", P::Author, "campaign.cancel", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/retry", P::Author, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/retry", P::Author, "campaign.retry", to!(web::campaigns::acts::act)),
    page("/campaigns/{id}/undo", P::Author, to!(web::campaigns::acts::ask)),
    form("/campaigns/{id}/undo", P::Author, "campaign.create", to!(web::campaigns::acts::act)),
    page("/approvals", P::Read, to!(web::approvals::page)),
    page("/freezes", P::Read, to!(web::freezes::page)),
    form("/freezes", P::Author, "freeze.create", to!(web::freezes::create)),
    form("/freezes/{id}/end", P::Author, "freeze.remove", to!(web::freezes::end)),
    page("/halt", P::Read, to!(web::halt::page)),
    form("/halt", P::Halt, "fleet.halt", to!(web::halt::stop)),
    form("/halt/lift", P::Halt, "fleet.resume", to!(web::halt::lift)),
    page("/explain", P::Read, to!(web::explain::page)).query(SEARCH),
    page("/enroll", P::Enroll, to!(web::enroll::page)),
    form("/enroll", P::Enroll, "enrollment_token.create", to!(web::enroll::create)),
    form("/enroll/{id}/revoke", P::Enroll, "enrollment_token.revoke", to!(web::enroll::revoke)),
    asset("/assets/style.css", to!(web::assets::style)),
    asset("/assets/live.js", to!(web::assets::live)),
    asset("/assets/copy.js", to!(web::assets::copy)),
    asset("/assets/icon.svg", to!(web::assets::icon)),
];
