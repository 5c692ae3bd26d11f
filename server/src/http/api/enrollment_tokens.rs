//! `/api/v1/enrollment-tokens`: who may bring hosts into the fleet.

use std::time::Duration;

use axum::http::StatusCode;
use fleetmend_core::host::Labels;
use fleetmend_core::ids::EnrollmentTokenId;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{EnrollmentToken, Page};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::hosts::Nothing;
use super::model::{Time, time};
use crate::enroll::token::{self, BadWish, TokenWish};
use crate::http::call::{Call, json, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("kind", "/kind"),
    ("state", "/state"),
    ("uses", "/uses"),
    ("max_uses", "/max_uses"),
    ("expires_at", "/expires_at"),
    ("labels", "/labels"),
    ("networks", "/networks"),
    ("created_by", "/created_by"),
    ("created_at", "/created_at"),
];
const HOUR: Duration = Duration::from_hours(1);

/// An enrolment token, without its secret.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct TokenView {
    /// Its id.
    pub(crate) id: String,
    /// A name for people.
    pub(crate) name: String,
    /// `one_use`: one host, accepted at once; deployment: many, each to be accepted.
    pub(crate) kind: &'static str,
    /// usable, used, expired or revoked.
    pub(crate) state: &'static str,
    /// Hosts that it brought in.
    pub(crate) uses: u32,
    /// Hosts that it may bring in.
    pub(crate) max_uses: u32,
    /// Until when.
    pub(crate) expires_at: Time,
    /// Labels that its hosts get.
    pub(crate) labels: Labels,
    /// The networks that it works from; empty for any.
    pub(crate) networks: Vec<String>,
    /// Who made it.
    pub(crate) created_by: String,
    /// When.
    pub(crate) created_at: Time,
}

impl TokenView {
    /// From the store's.
    pub(crate) fn new(token: EnrollmentToken, now: Timestamp) -> Self {
        let state = if token.revoked.is_some() {
            "revoked"
        } else if token.uses >= token.uses_max {
            "used"
        } else if token.expires <= now {
            "expired"
        } else {
            "usable"
        };
        Self {
            id: token.id.to_string(),
            name: token.name,
            kind: token.kind.as_str(),
            state,
            uses: token.uses,
            max_uses: token.uses_max,
            expires_at: time(token.expires),
            labels: token.labels,
            networks: token.networks,
            created_by: token.created_by,
            created_at: time(token.created),
        }
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// A name for people.
    pub(crate) name: String,
    /// Hosts that it may bring in; 1 unless given, whose host is accepted at once.
    #[serde(default)]
    pub(crate) uses: Option<u32>,
    /// Hours that it lives; 1 for one use, 72 for many, unless given; at most 720.
    #[serde(default)]
    pub(crate) hours: Option<u32>,
    /// Labels that its hosts get.
    #[serde(default)]
    pub(crate) labels: Labels,
    /// Networks that it works from, such as 10.0.0.0/8; any, unless given.
    #[serde(default)]
    pub(crate) networks: Vec<String>,
}

/// A token that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MadeToken {
    /// Its id.
    pub(crate) id: String,
    /// Its text. Shown now and never again.
    pub(crate) token: String,
    /// Until when.
    pub(crate) expires_at: Time,
}

/// Lists tokens.
pub(crate) async fn list(call: Call) -> Answer {
    paging::list(call, COLUMNS, (), |call, _, page| async move {
        let page = call.db().enrollment_tokens(&page).await?;
        let items = page.items.into_iter().map(|t| TokenView::new(t, call.now)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Makes a token.
pub(crate) async fn create(call: Call) -> Answer {
    let body: NewToken = call.json()?;
    let made = make(&call, body).await?;
    json(StatusCode::CREATED, &made)
}

/// Makes a token. Also used by pages.
pub(crate) async fn make(call: &Call, wish: NewToken) -> Result<MadeToken, Problem> {
    let uses = wish.uses.unwrap_or(1);
    let hours = wish.hours.unwrap_or(if uses == 1 { 1 } else { 72 });
    let networks: Result<Vec<IpNet>, Problem> = wish
        .networks
        .iter()
        .map(|text| {
            text.trim().parse().map_err(|_| {
                let shown = fleetmend_core::words::cut(text, 80);
                let detail = format!("networks: \"{shown}\" is no network: write 10.0.0.0/8");
                Problem::bad("networks", detail)
            })
        })
        .collect();
    let wish = TokenWish {
        name: wish.name.trim().to_owned(),
        uses,
        life: HOUR * hours,
        labels: wish.labels,
        networks: networks?,
    };
    let shared = call.shared();
    let root = shared.authority.root_sha256();
    let (token, text) = token::enrollment(wish, root, &*shared.clock).map_err(bad_wish)?;
    call.db().create_enrollment_token(&token, &call.actor(), call.now).await?;
    Ok(MadeToken {
        id: token.id.to_string(),
        token: text.to_string(),
        expires_at: time(token.expires),
    })
}

/// Voids a token.
pub(crate) async fn revoke(call: Call) -> Answer {
    if !call.body.is_empty() {
        let _: Nothing = call.json()?;
    }
    let id: EnrollmentTokenId = call.id()?;
    void(&call, id).await?;
    ok(&serde_json::json!({ "id": id, "state": "revoked" }))
}

/// Voids a token. Also used by pages.
pub(crate) async fn void(call: &Call, id: EnrollmentTokenId) -> Result<(), Problem> {
    if call.db().revoke_enrollment_token(id, &call.actor(), call.now).await? {
        return Ok(());
    }
    Err(Problem::not_found(format!("there is no enrolment token {id} that could be revoked")))
}

/// A wish that cannot be met, as a problem.
pub(crate) fn bad_wish(wish: BadWish) -> Problem {
    Problem::bad(if wish.field == "expires" { "hours" } else { wish.field }, wish.to_string())
}
