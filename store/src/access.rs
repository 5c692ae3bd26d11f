//! API tokens. Only hashes of their secrets are stored. One that belongs to a user ends with it, and
//! never may do more than it.

use fleetmend_core::ids::{ApiTokenId, UserId};
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;
use serde_json::json;
use uuid::Uuid;

use crate::audit;
use crate::backend::locks::Lock;
use crate::backend::{Db, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, time};
use crate::sql::statements;

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// A name for people; stands in the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// Until when; `None` for ever.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Whose it is; it ends with this user.
    pub user: Option<TokenOwner>,
    /// Whether a log-in made it: it ends with the password.
    pub by_login: bool,
}

/// The user whom a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TokenOwner {
    /// Which.
    pub id: UserId,
    /// The name.
    pub name: String,
}

/// An API token to be made.
#[derive(Debug, Clone)]
pub struct NewApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Until when.
    pub expires: Option<Timestamp>,
    /// Whose it is, where a user made it.
    pub user: Option<UserId>,
}

macro_rules! columns {
    () => {
        "t.id, t.name, t.role, t.created_by, t.created_ms, t.expires_ms, t.last_used_ms, t.revoked_ms, \
         t.by_login, u.id AS user_id, u.name AS user_name, u.role AS user_role"
    };
}
pub(crate) use columns;

macro_rules! from_tokens {
    () => {
        "api_token t LEFT JOIN user_account u ON u.id = t.user_id"
    };
}

/// What a token must be to hold at `$2`; its role is looked at beside.
macro_rules! holds {
    () => {
        "t.revoked_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > $2) AND u.disabled_ms IS NULL"
    };
}
pub(crate) use {from_tokens, holds};

statements! {
    INSERT_TOKEN = "INSERT INTO api_token \
        (id, name, role, secret_hash, created_by, created_ms, expires_ms, user_id) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    TOKEN_BY_HASH = concat!("SELECT ", columns!(), " FROM ", from_tokens!(), " WHERE t.secret_hash = $1 AND ", holds!());
    TOKEN_EXISTS = "SELECT created_ms FROM api_token WHERE id = $1";
    TOUCH_TOKEN = "UPDATE api_token SET last_used_ms = $2 WHERE id = $1";
    REVOKE_TOKEN = "UPDATE api_token SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL";
}

/// A token's last use is written at most this often: reading must not cost a write each time.
const TOUCH_EVERY_MS: i64 = 60_000;

impl Db {
    /// Makes a token. A user's may do no more than the user.
    pub async fn create_api_token(
        &self,
        token: &NewApiToken,
        by: &str,
        now: Timestamp,
    ) -> Result<()> {
        transaction!(self, |tx| {
            if let Some(user) = token.user {
                tx.hold(Lock::People).await?;
                let user = crate::users::in_tx(tx, user).await?;
                if user.disabled.is_some() || !user.role.covers(token.role) {
                    return Err(StoreError::Conflict(format!(
                        "a token of the role {} may do more than \"{}\" may, whose role is {}",
                        token.role, user.name, user.role
                    )));
                }
            }
            run!(
                tx,
                sqlx::query(INSERT_TOKEN)
                    .bind(token.id.0)
                    .bind(&token.name)
                    .bind(token.role.as_str())
                    .bind(token.secret_hash.as_slice())
                    .bind(by)
                    .bind(now.as_millis())
                    .bind(token.expires.map(Timestamp::as_millis))
                    .bind(token.user.map(|user| user.0))
            )?;
            let detail = json!({"name": token.name, "role": token.role, "expires": token.expires});
            let subject = format!("api-token {}", token.id);
            audit::note(tx, (by, now), "api_token.create", subject, detail).await?;
            Ok(())
        })
    }

    /// All tokens, newest first.
    pub async fn api_tokens(&self, page: &PageRequest) -> Result<Page<ApiToken>> {
        let mut filter = Filter::default();
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM api_token t", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            let (ms, id) = cursor.as_number()?;
            filter.and("(t.created_ms, t.id) < (?, ?)", [ms.into(), id.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(
                concat!("SELECT ", columns!(), " FROM ", from_tokens!()),
                " ORDER BY t.created_ms DESC, t.id DESC",
            );
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let tokens = rows.into_iter().map(ApiToken::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(tokens, limit, total, |t| Cursor::number(t.created.as_millis(), t.id.0)))
    }

    /// Revokes a token and every session made from it. False where it was revoked before.
    pub async fn revoke_api_token(&self, id: ApiTokenId, by: &str, now: Timestamp) -> Result<bool> {
        transaction!(self, |tx| {
            let exists: Option<i64> = on_tx!(tx, |c| sqlx::query_scalar(TOKEN_EXISTS)
                .bind(id.0)
                .fetch_optional(c)
                .await)?;
            if exists.is_none() {
                return Err(StoreError::not_found("API token", id));
            }
            let done = run!(tx, sqlx::query(REVOKE_TOKEN).bind(id.0).bind(now.as_millis()))?;
            if done == 0 {
                return Ok(false);
            }
            let subject = format!("api-token {id}");
            audit::note(tx, (by, now), "api_token.revoke", subject, json!({})).await?;
            Ok(true)
        })
    }

    /// The token with this secret, where it holds now; its last use is noted.
    pub async fn api_token(
        &self,
        secret_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<ApiToken>> {
        let row: Option<Row> = on_read!(self, |c| sqlx::query_as(TOKEN_BY_HASH)
            .bind(secret_hash.as_slice())
            .bind(now.as_millis())
            .fetch_optional(c)
            .await)?;
        let Some(row) = row else { return Ok(None) };
        if row.outgrew_its_user()? {
            return Ok(None);
        }
        let old = row.last_used_ms.is_none_or(|ms| now.as_millis() - ms >= TOUCH_EVERY_MS);
        if old {
            let touched = transaction!(self, |tx| {
                run!(tx, sqlx::query(TOUCH_TOKEN).bind(row.id).bind(now.as_millis()))?;
                Ok::<_, StoreError>(())
            });
            match touched {
                Ok(()) => {}
                // Who may read may read a database that takes no writes too.
                Err(error) if error.is_unavailable() => {
                    tracing::debug!(%error, "the use of a token could not be written down");
                }
                Err(error) => return Err(error),
            }
        }
        ApiToken::try_from(row).map(Some)
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    id: Uuid,
    name: String,
    role: String,
    created_by: String,
    created_ms: i64,
    expires_ms: Option<i64>,
    last_used_ms: Option<i64>,
    revoked_ms: Option<i64>,
    by_login: bool,
    user_id: Option<Uuid>,
    user_name: Option<String>,
    user_role: Option<String>,
}

impl Row {
    /// Whether it may do more than its user now may.
    pub(crate) fn outgrew_its_user(&self) -> Result<bool> {
        let at = At { table: "api_token", id: &self.id };
        let Some(user) = &self.user_role else { return Ok(false) };
        let (user, token): (Role, Role) = (at.word("role", user)?, at.word("role", &self.role)?);
        Ok(!user.covers(token))
    }
}

impl TryFrom<Row> for ApiToken {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "api_token", id: &row.id };
        Ok(Self {
            id: row.id.into(),
            role: at.word("role", &row.role)?,
            created: time(row.created_ms),
            expires: row.expires_ms.map(time),
            last_used: row.last_used_ms.map(time),
            revoked: row.revoked_ms.map(time),
            user: row
                .user_id
                .zip(row.user_name)
                .map(|(id, name)| TokenOwner { id: id.into(), name }),
            by_login: row.by_login,
            name: row.name,
            created_by: row.created_by,
        })
    }
}
