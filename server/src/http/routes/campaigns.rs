//! The rows of campaigns, approvals, freezes and the halt.

use fleetmend_core::token::Permission as P;

use super::{get, post};
use crate::http::access::{LimitClass, Rule};
use crate::http::api::{campaigns, freezes, halt, hosts, model};
use crate::http::route::{Face, Handler, Param, Route, Verb, shape};

const CAMPAIGNS: &[Param] = &[
    Param::many("state", "A campaign state; may repeat."),
    Param::one("search", "Part of the campaign's name."),
    Param::one("host", "The id of a host that is in it."),
];
const CAMPAIGN_HOSTS: &[Param] = &[
    Param::many("outcome", "waiting, left_out, silent or a job state; may repeat."),
    Param::one("wave", "The wave, from 0."),
    Param::one("run", "The run, from 1; the last unless given."),
];
const CAMPAIGN_JOBS: &[Param] = &[Param::many("state", "A job state; may repeat.")];

/// Their rows.
pub(super) const ROUTES: &[Route] = &[
    // campaigns
    get("/api/v1/campaigns", P::Read, "List campaigns, newest first.", to!(campaigns::list))
        .query(CAMPAIGNS)
        .list(shape::<campaigns::CampaignView>),
    post(
        "/api/v1/campaigns",
        P::Author,
        "campaign.create",
        "Write a campaign; it does nothing before somebody starts it.",
        to!(campaigns::create),
    )
    .takes(shape::<campaigns::Written>)
    .gives(shape::<campaigns::CampaignDetailView>),
    Route::new(
        Verb::Post,
        "/api/v1/campaigns/preview",
        Face::Api,
        Rule {
            permission: P::Read,
            body: fleetmend_core::limits::BODY_BYTES,
            audit: None,
            limit: LimitClass::Write,
        },
        "Say what a definition would do: hosts, steps, what cannot be undone. Changes nothing.",
        to!(campaigns::preview),
    )
    .takes(shape::<campaigns::Written>)
    .gives(shape::<campaigns::PreviewView>),
    get(
        "/api/v1/campaigns/{id}",
        P::Read,
        "Show a campaign with its waves and how its hosts stand.",
        to!(campaigns::get),
    )
    .gives(shape::<campaigns::CampaignDetailView>),
    Route::new(
        Verb::Put,
        "/api/v1/campaigns/{id}",
        Face::Api,
        Rule::change(P::Author, "campaign.edit"),
        "Change a campaign that has not begun; its approvals lose their force.",
        to!(campaigns::edit),
    )
    .takes(shape::<campaigns::Edit>)
    .gives(shape::<campaigns::CampaignDetailView>),
    get(
        "/api/v1/campaigns/{id}/preview",
        P::Read,
        "Say what a campaign would do now.",
        to!(campaigns::preview_of),
    )
    .gives(shape::<campaigns::PreviewView>),
    get(
        "/api/v1/campaigns/{id}/hosts",
        P::Read,
        "List the hosts of a campaign with how each did.",
        to!(campaigns::hosts),
    )
    .query(CAMPAIGN_HOSTS)
    .list(shape::<campaigns::CampaignHostView>),
    get(
        "/api/v1/campaigns/{id}/jobs",
        P::Read,
        "List the jobs of a campaign, newest first.",
        to!(campaigns::jobs),
    )
    .query(CAMPAIGN_JOBS)
    .list(shape::<model::JobView>),
    get(
        "/api/v1/campaigns/{id}/document",
        P::Read,
        "Give a campaign as one document: definition, change number, approvals, results, audit rows.",
        to!(campaigns::document),
    )
    .gives(shape::<campaigns::DocumentView>),
    post(
        "/api/v1/campaigns/{id}/approve",
        P::Approve,
        "campaign.approve",
        "Approve a campaign that somebody else wrote. No API token can.",
        to!(campaigns::approve),
    )
    .takes(shape::<campaigns::Approve>)
    .gives(shape::<campaigns::CampaignDetailView>),
    post(
        "/api/v1/campaigns/{id}/start",
        P::Remediate,
        "campaign.start",
        "Start a campaign, or give it to its schedule.",
        to!(campaigns::start),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::CampaignDetailView>),
    post(
        "/api/v1/campaigns/{id}/pause",
        P::Remediate,
        "campaign.pause",
        "Start nothing new of a campaign; what began goes on.",
        to!(campaigns::pause),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::CampaignDetailView>),
    post(
        "/api/v1/campaigns/{id}/resume",
        P::Author,
        "campaign.resume",
        "Go on with a campaign after a pause.",
        to!(campaigns::resume),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::CampaignDetailView>),
    post(
        "/api/v1/campaigns/{id}/abort",
        P::Remediate,
        "campaign.abort",
        "Stop a campaign for good: what has not begun is taken back.",
        to!(campaigns::abort),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::CampaignDetailView>),
    post(
        "/api/v1/campaigns/{id}/cancel",
        P::Author,
        "campaign.cancel",
        "Take a campaign back that has not begun.",
        to!(campaigns::cancel),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::CampaignDetailView>),
    post(
        "/api/v1/campaigns/{id}/retry",
        P::Author,
        "campaign.retry",
        "Try the hosts that ended in error once more.",
        to!(campaigns::retry),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::RetryView>),
    get(
        "/api/v1/campaigns/{id}/undo",
        P::Read,
        "Say what of a campaign can still be taken back.",
        to!(campaigns::undo_preview),
    )
    .gives(shape::<campaigns::UndoView>),
    post(
        "/api/v1/campaigns/{id}/undo",
        P::Author,
        "campaign.create",
        "Take back what a campaign did, in waves: a campaign of its own, started at once.",
        to!(campaigns::undo),
    )
    .takes(shape::<campaigns::Because>)
    .gives(shape::<campaigns::CampaignDetailView>),
    get(
        "/api/v1/approvals",
        P::Read,
        "List campaigns that wait for the word of a second person.",
        to!(campaigns::approvals),
    )
    .list(shape::<campaigns::CampaignView>),
    get("/api/v1/freezes", P::Read, "List freezes, oldest first.", to!(freezes::list))
        .list(shape::<freezes::FreezeView>),
    post(
        "/api/v1/freezes",
        P::Author,
        "freeze.create",
        "Make a freeze: a span in which nothing begins.",
        to!(freezes::create),
    )
    .takes(shape::<freezes::FreezeBody>)
    .gives(shape::<freezes::FreezeView>),
    Route::new(
        Verb::Delete,
        "/api/v1/freezes/{id}",
        Face::Api,
        Rule::change(P::Author, "freeze.remove"),
        "Take a freeze away.",
        to!(freezes::delete),
    ),
    // halt
    get(
        "/api/v1/halt",
        P::Read,
        "Say whether the fleet is halted, and what still runs where.",
        to!(halt::get),
    )
    .gives(shape::<halt::HaltView>),
    post(
        "/api/v1/halt",
        P::Halt,
        "fleet.halt",
        "Halt the fleet: nothing new starts, what began finishes or is undone.",
        to!(halt::post),
    )
    .takes(shape::<hosts::Why>)
    .gives(shape::<halt::HaltView>),
    Route::new(
        Verb::Delete,
        "/api/v1/halt",
        Face::Api,
        Rule::change(P::Halt, "fleet.resume"),
        "Lift the halt that the database holds; one by the server's file stands.",
        to!(halt::delete),
    )
    .gives(shape::<halt::HaltView>),
];
