//! The rows of people: users and their sessions.

use fleetmend_core::token::Permission as P;

use super::{get, post};
use crate::http::access::{LimitClass, Rule};
use crate::http::api::{hosts, sessions, users};
use crate::http::route::{Face, Handler, Route, Verb, shape};

/// What is asked of who logs in.
pub(super) const LOG_IN: Rule = Rule {
    permission: P::Public,
    body: 4_096,
    audit: Some("session.create"),
    limit: LimitClass::Login,
};

/// Their rows.
pub(super) const ROUTES: &[Route] = &[
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
];
