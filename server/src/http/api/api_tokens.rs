//! `/api/v1/api-tokens`: what programs and people call with.

use std::time::Duration;

use axum::http::StatusCode;
use fleetmend_core::ids::ApiTokenId;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;
use fleetmend_store::{ApiToken, NewApiToken, Page};
use serde::{Deserialize, Serialize};

use super::enrollment_tokens::bad_wish;
use super::hosts::Nothing;
use super::model::{Time, time};
use crate::enroll::token;
use crate::entropy;
use crate::http::auth;
use crate::http::call::{Call, json, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("role", "/role"),
    ("state", "/state"),
    ("expires_at", "/expires_at"),
    ("last_used_at", "/last_used_at"),
    ("user", "/user"),
    ("created_by", "/created_by"),
    ("created_at", "/created_at"),
];
const DAYS: u32 = 365;

/// An API token, without its secret.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct ApiTokenView {
    /// Its id.
    pub(crate) id: String,
    /// A name for people; stands in the audit log.
    pub(crate) name: String,
    /// What it may do: viewer, auditor, approver, operator, author or admin.
    pub(crate) role: &'static str,
    /// usable, expired or revoked.
    pub(crate) state: &'static str,
    /// Until when; null for ever.
    pub(crate) expires_at: Option<Time>,
    /// When it was last used, to the minute.
    pub(crate) last_used_at: Option<Time>,
    /// The user whom it belongs to, and with whom it ends; null where none.
    pub(crate) user: Option<String>,
    /// Who made it.
    pub(crate) created_by: String,
    /// When.
    pub(crate) created_at: Time,
}

impl ApiTokenView {
    fn new(token: ApiToken, now: Timestamp) -> Self {
        let state = if token.revoked.is_some() {
            "revoked"
        } else if token.expires.is_some_and(|at| at <= now) {
            "expired"
        } else {
            "usable"
        };
        Self {
            id: token.id.to_string(),
            name: token.name,
            role: token.role.as_str(),
            state,
            expires_at: token.expires.map(time),
            last_used_at: token.last_used.map(time),
            user: token.user.map(|user| user.name),
            created_by: token.created_by,
            created_at: time(token.created),
        }
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiTokenBody {
    /// A name for people.
    pub(crate) name: String,
    /// viewer, auditor, approver, operator, author or admin.
    pub(crate) role: String,
    /// Days that it lives: 1 to 365; 90 unless given.
    #[serde(default)]
    pub(crate) days: Option<u32>,
}

/// A token that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MadeApiToken {
    /// Its id.
    pub(crate) id: String,
    /// Its text. Shown now and never again.
    pub(crate) token: String,
    /// Until when.
    pub(crate) expires_at: Option<Time>,
}

/// Lists tokens.
pub(crate) async fn list(call: Call) -> Answer {
    paging::list(call, COLUMNS, (), |call, _, page| async move {
        let page = call.db().api_tokens(&page).await?;
        let items = page.items.into_iter().map(|t| ApiTokenView::new(t, call.now)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Makes a token.
pub(crate) async fn create(call: Call) -> Answer {
    let body: NewApiTokenBody = call.json()?;
    let role: Role = body.role.parse()?;
    let name = body.name.trim();
    token::check_name(name).map_err(bad_wish)?;
    let days = body.days.unwrap_or(90);
    if !(1..=DAYS).contains(&days) {
        return Err(Problem::bad("days", format!("days: from 1 to {DAYS}")));
    }
    let life = Duration::from_hours(24) * days;
    let (text, secret_hash) = auth::new_token();
    let new = NewApiToken {
        id: entropy::id(ApiTokenId::at, &*call.shared().clock),
        name: name.to_owned(),
        role,
        secret_hash,
        expires: Some(call.now.after(life)),
        user: call.caller.as_ref().and_then(|caller| Some(caller.person.as_ref()?.id)),
    };
    call.db().create_api_token(&new, &call.actor(), call.now).await?;
    json(
        StatusCode::CREATED,
        &MadeApiToken { id: new.id.to_string(), token: text, expires_at: new.expires.map(time) },
    )
}

/// Voids a token, and every session made from it.
pub(crate) async fn revoke(call: Call) -> Answer {
    if !call.body.is_empty() {
        let _: Nothing = call.json()?;
    }
    let id: ApiTokenId = call.id()?;
    if !call.db().revoke_api_token(id, &call.actor(), call.now).await? {
        let text = format!("there is no API token {id} that could be revoked");
        return Err(Problem::not_found(text));
    }
    ok(&serde_json::json!({ "id": id, "state": "revoked" }))
}
