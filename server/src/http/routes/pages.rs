//! The rows of the dashboard: its pages, their forms, its files.

use fleetmend_core::token::Permission as P;

use super::people::LOG_IN;
use super::{BUILD, CAUSE, CODE, HOST, KB, LABEL, MAX_RISK, OPERATION, PRODUCT, UPDATE_CLASS};
use crate::http::access::{LimitClass, Rule};
use crate::http::route::{Face, Handler, Param, Route, Verb};
use crate::http::web;

const NEXT: &[Param] = &[Param::one("next", "Where to go after the log-in.")];
const SEARCH: &[Param] =
    &[Param::one("q", "A host, or a code in any spelling."), PRODUCT, OPERATION, UPDATE_CLASS];
pub(super) const PAGE: Param = Param::one("cursor", "Where the list goes on.");
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

/// A page.
pub(super) const fn page(path: &'static str, needs: P, to: Handler) -> Route {
    Route::new(Verb::Get, path, Face::Page, Rule::read(needs), "", to)
}

/// A form of a page, audited as `kind`.
pub(super) const fn form(path: &'static str, needs: P, kind: &'static str, to: Handler) -> Route {
    Route::new(Verb::Post, path, Face::Page, Rule::change(needs, kind), "", to)
}

/// A file of the dashboard.
const fn asset(path: &'static str, to: Handler) -> Route {
    let rule = Rule { permission: P::Public, body: 0, audit: None, limit: LimitClass::Asset };
    Route::new(Verb::Get, path, Face::Plain, rule, "", to)
}

/// Its rows.
pub(super) const ROUTES: &[Route] = &[
    page("/api/docs", P::Public, to!(web::docs::page)),
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
    page("/campaigns/new", P::Author, to!(web::campaigns::new::page))
        .query(web::campaigns::form::QUERY),
    page("/campaigns/preview", P::Author, to!(web::campaigns::new::preview))
        .query(web::campaigns::form::QUERY),
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
