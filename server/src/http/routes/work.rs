//! The rows of what is taken back, what is counted, and work for people.

use fleetmend_core::token::Permission as P;

use super::pages::{PAGE, form, page};
use super::{HOST, get, post};
use crate::http::api::{efficacy, guided, hosts, model, undo};
use crate::http::route::{Handler, Param, Route, shape};
use crate::http::web;

const ATTEMPT: &[Param] =
    &[Param::one("attempt", "The try; the last that left something, unless given.")];
const GUIDED: &[Param] = &[
    Param::many("state", "open, doing (these unless given), done or dropped; may repeat."),
    HOST,
    Param::one("incident", "The incident's id."),
    Param::one("remediation", "The guided remediation, by its name in the catalogue."),
    Param::one("assignee", "Who does it; nobody for what nobody took."),
];
const EFFICACY: &[Param] = &[
    Param::one("simulated", "true for what was counted over simulated hosts."),
    Param::one("weak", "true for those that are proposed for retirement."),
];
const GUIDED_PAGE: &[Param] = &[
    Param::many("state", "The state of the work."),
    HOST,
    Param::one("incident", "The incident's id."),
    Param::one("remediation", "The guided remediation."),
    Param::one("assignee", "Who does it."),
    PAGE,
];
const EFFICACY_PAGE: &[Param] = &[Param::one("simulated", "Of simulated hosts.")];

/// Their rows.
pub(super) const ROUTES: &[Route] = &[
    get(
        "/api/v1/jobs/{id}/undo",
        P::Read,
        "Show what of a job can be taken back, step by step.",
        to!(undo::preview),
    )
    .query(ATTEMPT)
    .gives(shape::<undo::UndoPreview>),
    post(
        "/api/v1/jobs/{id}/undo",
        P::Remediate,
        "job.undo",
        "Take back what a job did, by a job of its own.",
        to!(undo::undo),
    )
    .takes(shape::<undo::UndoWish>)
    .gives(shape::<model::JobView>),
    get(
        "/api/v1/efficacy",
        P::Read,
        "List how often remediations helped, counted over the fleet; most tries first.",
        to!(efficacy::list),
    )
    .query(EFFICACY)
    .list(shape::<efficacy::EfficacyView>),
    // work for people
    get(
        "/api/v1/guided",
        P::Read,
        "List work for people, newest first; what is not over, unless states are given.",
        to!(guided::list),
    )
    .query(GUIDED)
    .list(shape::<guided::GuidedView>),
    post(
        "/api/v1/guided",
        P::Remediate,
        "guided.create",
        "Ask people for work about an incident.",
        to!(guided::create),
    )
    .takes(shape::<guided::NewGuided>)
    .gives(shape::<guided::GuidedDetailView>),
    get(
        "/api/v1/guided/{id}",
        P::Read,
        "Show a piece of work with its steps and notes.",
        to!(guided::get),
    )
    .gives(shape::<guided::GuidedDetailView>),
    post(
        "/api/v1/guided/{id}/take",
        P::Remediate,
        "guided.take",
        "Give the work to somebody.",
        to!(guided::take),
    )
    .takes(shape::<guided::Take>)
    .gives(shape::<guided::GuidedDetailView>),
    post(
        "/api/v1/guided/{id}/tick",
        P::Remediate,
        "guided.tick",
        "Tick steps off, and take ticks back.",
        to!(guided::tick),
    )
    .takes(shape::<guided::Ticks>)
    .gives(shape::<guided::GuidedDetailView>),
    post(
        "/api/v1/guided/{id}/note",
        P::Remediate,
        "guided.note",
        "Write a note on the work.",
        to!(guided::note),
    )
    .takes(shape::<guided::Note>)
    .gives(shape::<guided::GuidedDetailView>),
    post(
        "/api/v1/guided/{id}/done",
        P::Remediate,
        "guided.done",
        "Say that the work is done; whether it helped is proved by the host's agent, or by the next run.",
        to!(guided::done),
    )
    .takes(shape::<hosts::Nothing>)
    .gives(shape::<guided::GuidedDetailView>),
    post(
        "/api/v1/guided/{id}/drop",
        P::Remediate,
        "guided.drop",
        "Say that the work is not to be done.",
        to!(guided::drop),
    )
    .takes(shape::<hosts::Why>)
    .gives(shape::<guided::GuidedDetailView>),
    page("/jobs/{id}/undo", P::Remediate, to!(web::undo::page)).query(ATTEMPT),
    form("/jobs/{id}/undo", P::Remediate, "job.undo", to!(web::undo::undo)),
    form("/incidents/{id}/verify", P::Remediate, "job.verify", to!(web::incidents::verify)),
    page("/guided", P::Read, to!(web::guided::list)).query(GUIDED_PAGE),
    form("/guided", P::Remediate, "guided.create", to!(web::guided::create)),
    page("/guided/{id}", P::Read, to!(web::guided::page)),
    form("/guided/{id}/take", P::Remediate, "guided.take", to!(web::guided::take)),
    form("/guided/{id}/tick", P::Remediate, "guided.tick", to!(web::guided::tick)),
    form("/guided/{id}/note", P::Remediate, "guided.note", to!(web::guided::note)),
    form("/guided/{id}/done", P::Remediate, "guided.done", to!(web::guided::done)),
    form("/guided/{id}/drop", P::Remediate, "guided.drop", to!(web::guided::drop)),
    page("/efficacy", P::Read, to!(web::efficacy::page)).query(EFFICACY_PAGE),
];
