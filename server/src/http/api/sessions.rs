//! `/api/v1/sessions`: log-in by name and password, for a session or for a token of the command line;
//! one's own sessions.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetmend_core::ids::{ApiTokenId, WebSessionId};
use fleetmend_core::limits;
use fleetmend_core::token::Role;
use fleetmend_store::Wish;
use serde::{Deserialize, Serialize};

use super::enrollment_tokens::bad_wish;
use super::hosts::Nothing;
use super::model::{Time, time};
use crate::enroll::token;
use crate::entropy;
use crate::http::auth;
use crate::http::call::{Call, json, ok};
use crate::http::log_in::{self, End};
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// A log-in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogInBody {
    /// The user's name.
    pub(crate) name: String,
    /// Its password.
    pub(crate) password: String,
    /// A new password, which replaces it before anything is opened: a password that was given for one
    /// log-in must be replaced before a token is given.
    #[serde(default)]
    pub(crate) new_password: Option<String>,
    /// For a token instead of a session.
    #[serde(default)]
    pub(crate) token: Option<TokenWish>,
}

impl std::fmt::Debug for LogInBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogInBody").field("token", &self.token).finish_non_exhaustive()
    }
}

/// The token that a log-in shall give.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    /// A name for people, such as the machine it is for.
    pub(crate) name: String,
    /// Hours that it lives: 1 to 720; 12 unless given.
    #[serde(default)]
    pub(crate) hours: Option<u32>,
    /// A role within the user's own; that one unless given.
    #[serde(default)]
    pub(crate) role: Option<String>,
}

/// What a log-in opened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct OpenedView {
    /// The id of the session or token.
    pub(crate) id: String,
    /// The user's name.
    pub(crate) user: String,
    /// What it may do.
    pub(crate) role: &'static str,
    /// Until when it is open.
    pub(crate) expires_at: Time,
    /// Whether the password must be changed before anything else.
    pub(crate) must_change: bool,
    /// The API token, where one was asked for. Shown now and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// A session of one's own.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SessionView {
    /// Its id.
    pub(crate) id: String,
    /// Since when.
    pub(crate) created_at: Time,
    /// Until when.
    pub(crate) expires_at: Time,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
}

/// One's own sessions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SessionsView {
    /// Newest first.
    pub(crate) items: Vec<SessionView>,
}

/// Logs in.
pub(crate) async fn create(call: Call) -> Answer {
    let body: LogInBody = call.json()?;
    match &body.token {
        Some(wish) => give_token(&call, &body, wish).await,
        None => open_session(&call, &body).await,
    }
}

/// Lists one's own sessions.
pub(crate) async fn list(call: Call) -> Answer {
    let caller = call.caller.as_ref();
    let mine = caller.and_then(|caller| caller.session);
    let items = match caller.and_then(|caller| caller.person.as_ref()) {
        Some(person) => call.db().sessions_of(person.id, call.now).await?,
        None => Vec::new(),
    };
    let view = |s: fleetmend_store::OwnSession| SessionView {
        id: s.id.to_string(),
        created_at: time(s.created),
        expires_at: time(s.expires),
        current: Some(s.id) == mine,
    };
    ok(&SessionsView { items: items.into_iter().map(view).collect() })
}

/// Ends one of one's own sessions; `current` is the one that asks.
pub(crate) async fn end(call: Call) -> Answer {
    if !call.body.is_empty() {
        let _: Nothing = call.json()?;
    }
    let none = || Problem::not_found("there is no such session of yours");
    let caller = call.caller.as_ref().ok_or_else(none)?;
    let id: WebSessionId = match call.part("id") {
        "current" => caller.session.ok_or_else(none)?,
        _ => call.id()?,
    };
    let ended = match &caller.person {
        Some(person) => call.db().end_own_session(person.id, id, &call.actor(), call.now).await?,
        None => false,
    };
    if !ended {
        return Err(none());
    }
    ok(&serde_json::json!({ "id": id, "state": "ended" }))
}

/// A session as a log-in wishes it: the secrets of session and browser, and the wish.
pub(crate) fn session_wish(call: &Call) -> (String, String, Wish) {
    let secret = || URL_SAFE_NO_PAD.encode(entropy::bytes::<32>());
    let (session, browser) = (secret(), secret());
    let wish = Wish::Session {
        id: entropy::id(WebSessionId::at, &*call.shared().clock),
        secret_hash: auth::hash(&session),
        expires: call.now.after(limits::WEB_SESSION_LIFE),
        browser: auth::hash(&browser),
    };
    (session, browser, wish)
}

/// Gives the cookies of a session to its browser.
pub(crate) fn keep(response: &mut Response, session: &str, browser: &str, secure: bool) {
    for cookie in
        [auth::session_cookie(Some(session), secure), auth::browser_cookie(browser, secure)]
    {
        if let Ok(value) = axum::http::HeaderValue::from_str(&cookie) {
            response.headers_mut().append(axum::http::header::SET_COOKIE, value);
        }
    }
}

async fn open_session(call: &Call, body: &LogInBody) -> Answer {
    let (session, browser, wish) = session_wish(call);
    let Wish::Session { id, expires, .. } = &wish else { return Err(refused()) };
    let (id, expires) = (id.to_string(), *expires);
    let user = opened(signed_in(call, body, wish).await?)?;
    let view = OpenedView {
        id,
        user: user.name,
        role: user.role.as_str(),
        expires_at: time(expires),
        must_change: user.must_change,
        token: None,
    };
    let mut response = json(StatusCode::CREATED, &view)?;
    keep(&mut response, &session, &browser, call.site.secure);
    Ok(response)
}

async fn give_token(call: &Call, body: &LogInBody, wish: &TokenWish) -> Answer {
    let role: Option<Role> = wish.role.as_deref().map(str::parse).transpose()?;
    let name = wish.name.trim();
    token::check_name(name).map_err(bad_wish)?;
    let most = limits::LOGIN_TOKEN_LIFE_MOST.as_secs() / 3_600;
    let life = match wish.hours {
        None => limits::LOGIN_TOKEN_LIFE,
        Some(hours) if (1..=most).contains(&u64::from(hours)) => Duration::from_hours(hours.into()),
        Some(_) => return Err(Problem::bad("hours", format!("hours: from 1 to {most}"))),
    };
    let (text, secret_hash) = auth::new_token();
    let id = entropy::id(ApiTokenId::at, &*call.shared().clock);
    let expires = call.now.after(life);
    let wish = Wish::Token { id, name: name.to_owned(), secret_hash, expires, role };
    let user = opened(signed_in(call, body, wish).await?)?;
    let view = OpenedView {
        id: id.to_string(),
        user: user.name,
        role: role.unwrap_or(user.role).as_str(),
        expires_at: time(expires),
        must_change: false,
        token: Some(text),
    };
    json(StatusCode::CREATED, &view)
}

async fn signed_in(call: &Call, body: &LogInBody, wish: Wish) -> Result<End, Problem> {
    log_in::log_in(call, &body.name, &body.password, body.new_password.as_deref(), wish).await
}

fn opened(end: End) -> Result<fleetmend_store::User, Problem> {
    match end {
        End::Open(user) => Ok(user),
        End::Refused => Err(refused()),
        End::ChangeFirst => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "change_password",
            "Change your password first",
            "the password was given to you for one log-in: choose your own with \"new_password\", or log in with it in a browser, at /login",
        )),
        End::TooMany => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "Too many tries",
            "too many refused log-ins: wait a minute",
        )),
    }
}

fn refused() -> Problem {
    Problem::unauthorized(
        "name and password do not fit together, or the name is locked for some minutes after refused log-ins: \
         try again, or ask an admin to reset the password",
    )
}
