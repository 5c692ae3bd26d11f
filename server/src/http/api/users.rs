//! `/api/v1/users`: people who log in by name and password.

use axum::http::StatusCode;
use fleetmend_core::ids::UserId;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;
use fleetmend_store::{Ended, NewPassword, NewUser, Page, User};
use serde::{Deserialize, Serialize};

use super::enrollment_tokens::bad_wish;
use super::hosts::Nothing;
use super::model::{Time, time};
use crate::entropy;
use crate::http::call::{Call, json, ok};
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;
use crate::users;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("role", "/role"),
    ("state", "/state"),
    ("last_login_at", "/last_login_at"),
    ("created_by", "/created_by"),
    ("created_at", "/created_at"),
    ("disabled_at", "/disabled_at"),
];

/// A user.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct UserView {
    /// Its id.
    pub(crate) id: String,
    /// The name to log in with.
    pub(crate) name: String,
    /// What it may do: viewer, auditor, approver, operator, author or admin.
    pub(crate) role: &'static str,
    /// active, invited (its password is for one log-in), expired (so it was, too long ago), locked
    /// (for some minutes, after refused log-ins) or disabled.
    pub(crate) state: &'static str,
    /// When it last logged in.
    pub(crate) last_login_at: Option<Time>,
    /// Until when it is locked.
    pub(crate) locked_until: Option<Time>,
    /// Who made it.
    pub(crate) created_by: String,
    /// When.
    pub(crate) created_at: Time,
    /// Since when it cannot log in any more.
    pub(crate) disabled_at: Option<Time>,
}

/// A user to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUserBody {
    /// The name to log in with: Latin letters, digits, `.`, `_`, `-`, `@`.
    pub(crate) name: String,
    /// viewer, auditor, approver, operator, author or admin.
    pub(crate) role: String,
}

/// A role for a user.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleBody {
    /// viewer, auditor, approver, operator, author or admin.
    pub(crate) role: String,
}

/// What became of a user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChangedUser {
    /// The user.
    pub(crate) user: UserView,
    /// Sessions that ended.
    pub(crate) sessions_ended: u64,
    /// API tokens that ended.
    pub(crate) tokens_ended: u64,
    /// A password for one log-in, where one was made. Shown now and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) one_time_password: Option<String>,
    /// Until when it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) one_time_until: Option<Time>,
}

impl UserView {
    pub(crate) fn new(user: &User, now: Timestamp) -> Self {
        let locked = user.locked_until > now;
        let over = user.password_until.is_some_and(|until| until <= now);
        let state = match (user.disabled.is_some(), user.must_change, locked) {
            (true, ..) => "disabled",
            (_, true, _) if over => "expired",
            (_, true, _) => "invited",
            (_, _, true) => "locked",
            _ => "active",
        };
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            role: user.role.as_str(),
            state,
            last_login_at: user.last_login.map(time),
            locked_until: locked.then(|| time(user.locked_until)),
            created_by: user.created_by.clone(),
            created_at: time(user.created),
            disabled_at: user.disabled.map(time),
        }
    }
}

/// Lists users.
pub(crate) async fn list(call: Call) -> Answer {
    paging::list(call, COLUMNS, (), |call, _, page| async move {
        let page = call.db().users(&page).await?;
        let items = page.items.iter().map(|user| UserView::new(user, call.now)).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}

/// Shows a user.
pub(crate) async fn get(call: Call) -> Answer {
    ok(&UserView::new(&find(&call).await?, call.now))
}

/// Makes a user, with a password for one log-in.
pub(crate) async fn create(call: Call) -> Answer {
    let body: NewUserBody = call.json()?;
    json(StatusCode::CREATED, &make(&call, &body).await?)
}

/// Gives a user another role.
pub(crate) async fn set_role(call: Call) -> Answer {
    let body: RoleBody = call.json()?;
    ok(&give_role(&call, &body.role).await?)
}

/// Shuts a user out.
pub(crate) async fn disable(call: Call) -> Answer {
    let _: Nothing = call.json()?;
    ok(&set_disabled(&call, true).await?)
}

/// Lets a user log in again.
pub(crate) async fn enable(call: Call) -> Answer {
    let _: Nothing = call.json()?;
    ok(&set_disabled(&call, false).await?)
}

/// Gives a user a new password for one log-in.
pub(crate) async fn reset(call: Call) -> Answer {
    let _: Nothing = call.json()?;
    ok(&reset_password(&call).await?)
}

/// Makes a user.
pub(crate) async fn make(call: &Call, body: &NewUserBody) -> Result<ChangedUser, Problem> {
    let role: Role = body.role.parse()?;
    let name = users::check_name(&body.name).map_err(bad_wish)?;
    let (text, password) = one_time(call).await?;
    let id = entropy::id(UserId::at, &*call.shared().clock);
    let user = NewUser { id, name, role, password };
    call.db().create_user(&user, &call.actor(), call.now).await?;
    changed(call, id, Ended::default(), Some(text)).await
}

/// Gives a user a role.
pub(crate) async fn give_role(call: &Call, role: &str) -> Result<ChangedUser, Problem> {
    let role: Role = role.parse()?;
    let id = find(call).await?.id;
    let ended = call.db().set_user_role(id, role, &call.actor(), call.now).await?;
    changed(call, id, ended, None).await
}

/// Shuts a user out or lets it in.
pub(crate) async fn set_disabled(call: &Call, disabled: bool) -> Result<ChangedUser, Problem> {
    let id = find(call).await?.id;
    let ended = call.db().set_user_disabled(id, disabled, &call.actor(), call.now).await?;
    changed(call, id, ended, None).await
}

/// Gives a user a password for one log-in.
pub(crate) async fn reset_password(call: &Call) -> Result<ChangedUser, Problem> {
    let id = find(call).await?.id;
    let (text, password) = one_time(call).await?;
    let ended = call.db().reset_password(id, &password, &call.actor(), call.now).await?;
    changed(call, id, ended, Some(text)).await
}

/// The user of the path, by id or name.
async fn find(call: &Call) -> Result<User, Problem> {
    let text = call.part("id");
    let found = if let Ok(id) = text.parse::<UserId>() {
        call.db().user(id).await?
    } else {
        let name = users::check_name(text)
            .map_err(|_| Problem::bad("id", "id: a user's id or name is wanted"))?;
        call.db().user_by_name(&name).await?
    };
    found.ok_or_else(|| {
        let shown = fleetmend_core::words::cut(text, limits::USER_NAME_BYTES);
        Problem::not_found(format!("there is no user \"{shown}\": GET /api/v1/users lists them"))
    })
}

async fn one_time(call: &Call) -> Result<(String, NewPassword), Problem> {
    let text = users::one_time_password();
    let hash = call.shared().passwords.hash(&text).await.map_err(Problem::internal)?;
    let until = call.now.after(limits::ONE_TIME_PASSWORD_LIFE);
    Ok((text, NewPassword { hash, one_time_until: Some(until) }))
}

async fn changed(
    call: &Call,
    id: UserId,
    ended: Ended,
    password: Option<String>,
) -> Result<ChangedUser, Problem> {
    let user = call.db().user(id).await?;
    let user = user.ok_or_else(|| Problem::not_found(format!("there is no user {id}")))?;
    Ok(ChangedUser {
        one_time_until: password.as_ref().and(user.password_until).map(time),
        user: UserView::new(&user, call.now),
        sessions_ended: ended.sessions,
        tokens_ended: ended.tokens,
        one_time_password: password,
    })
}
