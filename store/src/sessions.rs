//! Sessions in browsers: a user's, opened by a log-in, or an API token's. Only hashes of their secrets
//! are stored. A session holds no longer than what it was opened with.

use fleetmend_core::ids::{ApiTokenId, UserId, WebSessionId};
use fleetmend_core::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::access::{self, ApiToken, columns, from_tokens, holds};
use crate::audit;
use crate::backend::{Db, on_read, on_tx, run, transaction};
use crate::error::Result;
use crate::row::time;
use crate::sql::statements;
use crate::users::{self, User, user_columns};

/// A session to be made from an API token. Users' sessions are opened by [`Db::log_in`].
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: WebSessionId,
    /// SHA-256 of the cookie's secret.
    pub secret_hash: [u8; 32],
    /// The token it is made from.
    pub token: ApiTokenId,
    /// When.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// Whom a session belongs to: name and role are theirs, as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A user who logged in by name and password.
    User(User),
    /// An API token.
    Token(ApiToken),
}

/// A session that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: WebSessionId,
    /// Whose it is.
    pub holder: Holder,
    /// Until when.
    pub expires: Timestamp,
}

/// A session as its owner sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSession {
    /// Its id.
    pub id: WebSessionId,
    /// Since when.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// Sessions of one user that are listed.
const LISTED: i64 = 1_000;

statements! {
    INSERT = "INSERT INTO web_session (id, secret_hash, api_token_id, created_ms, expires_ms) \
        VALUES ($1, $2, $3, $4, $5)";
    OF_USER = concat!("SELECT ", user_columns!(), ", s.id AS session_id, s.expires_ms AS session_expires_ms \
        FROM web_session s JOIN user_account u ON u.id = s.user_id \
        WHERE s.secret_hash = $1 AND s.expires_ms > $2 AND u.disabled_ms IS NULL");
    OF_TOKEN = concat!("SELECT ", columns!(), ", s.id AS session_id, s.expires_ms AS session_expires_ms \
        FROM ", from_tokens!(), " JOIN web_session s ON s.api_token_id = t.id \
        WHERE s.secret_hash = $1 AND s.expires_ms > $2 AND ", holds!());
    END = "DELETE FROM web_session WHERE secret_hash = $1";
    BY_HASH = "SELECT id FROM web_session WHERE secret_hash = $1";
    END_OWN = "DELETE FROM web_session WHERE id = $1 AND user_id = $2";
    LIST = "SELECT id, created_ms, expires_ms FROM web_session WHERE user_id = $1 AND expires_ms > $2 \
        ORDER BY created_ms DESC, id DESC LIMIT $3";
    DROP = "DELETE FROM web_session WHERE expires_ms <= $1";
    DROP_BROWSERS = "DELETE FROM user_browser WHERE expires_ms <= $1";
}

impl Db {
    /// Makes a session from an API token; `by` is who logs in, `peer` from where.
    pub async fn create_session(&self, session: &NewSession, by: &str, peer: &str) -> Result<()> {
        transaction!(self, |tx| {
            run!(
                tx,
                sqlx::query(INSERT)
                    .bind(session.id.0)
                    .bind(session.secret_hash.as_slice())
                    .bind(session.token.0)
                    .bind(session.created.as_millis())
                    .bind(session.expires.as_millis())
            )?;
            let (subject, detail) = (format!("session {}", session.id), json!({"peer": peer}));
            audit::note(tx, (by, session.created), "session.create", subject, detail).await
        })
    }

    /// The session with this secret, where it and its holder hold now.
    pub async fn session(&self, secret_hash: &[u8; 32], now: Timestamp) -> Result<Option<Session>> {
        let row: Option<UserRow> = on_read!(self, |c| sqlx::query_as(OF_USER)
            .bind(secret_hash.as_slice())
            .bind(now.as_millis())
            .fetch_optional(c)
            .await)?;
        if let Some(row) = row {
            return Ok(Some(Session {
                id: row.session_id.into(),
                holder: Holder::User(row.user.try_into()?),
                expires: time(row.session_expires_ms),
            }));
        }
        let row: Option<TokenRow> = on_read!(self, |c| sqlx::query_as(OF_TOKEN)
            .bind(secret_hash.as_slice())
            .bind(now.as_millis())
            .fetch_optional(c)
            .await)?;
        let Some(row) = row else { return Ok(None) };
        if row.token.outgrew_its_user()? {
            return Ok(None);
        }
        Ok(Some(Session {
            id: row.session_id.into(),
            holder: Holder::Token(row.token.try_into()?),
            expires: time(row.session_expires_ms),
        }))
    }

    /// Ends a session. False where there was none.
    pub async fn end_session(
        &self,
        secret_hash: &[u8; 32],
        by: &str,
        now: Timestamp,
    ) -> Result<bool> {
        transaction!(self, |tx| {
            let id: Option<Uuid> = on_tx!(tx, |c| sqlx::query_scalar(BY_HASH)
                .bind(secret_hash.as_slice())
                .fetch_optional(c)
                .await)?;
            let Some(id) = id else { return Ok(false) };
            run!(tx, sqlx::query(END).bind(secret_hash.as_slice()))?;
            let subject = format!("session {}", WebSessionId(id));
            audit::note(tx, (by, now), "session.end", subject, json!({})).await?;
            Ok(true)
        })
    }

    /// Ends one of a user's own sessions. False where it has no such session.
    pub async fn end_own_session(
        &self,
        user: UserId,
        id: WebSessionId,
        by: &str,
        now: Timestamp,
    ) -> Result<bool> {
        transaction!(self, |tx| {
            if run!(tx, sqlx::query(END_OWN).bind(id.0).bind(user.0))? == 0 {
                return Ok(false);
            }
            audit::note(tx, (by, now), "session.end", format!("session {id}"), json!({})).await?;
            Ok(true)
        })
    }

    /// The sessions of a user that hold, newest first; at most 1,000.
    pub async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<OwnSession>> {
        let rows: Vec<(Uuid, i64, i64)> = on_read!(self, |c| sqlx::query_as(LIST)
            .bind(user.0)
            .bind(now.as_millis())
            .bind(LISTED)
            .fetch_all(c)
            .await)?;
        let own = |(id, created, expires): (Uuid, i64, i64)| OwnSession {
            id: id.into(),
            created: time(created),
            expires: time(expires),
        };
        Ok(rows.into_iter().map(own).collect())
    }

    /// Forgets sessions that are over, and browsers that were not used for long.
    pub async fn drop_expired_sessions(&self, now: Timestamp) -> Result<u64> {
        transaction!(self, |tx| {
            let dropped = run!(tx, sqlx::query(DROP).bind(now.as_millis()))?;
            run!(tx, sqlx::query(DROP_BROWSERS).bind(now.as_millis()))?;
            Ok(dropped)
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct UserRow {
    session_id: Uuid,
    session_expires_ms: i64,
    #[sqlx(flatten)]
    user: users::Row,
}

#[derive(Debug, sqlx::FromRow)]
struct TokenRow {
    session_id: Uuid,
    session_expires_ms: i64,
    #[sqlx(flatten)]
    token: access::Row,
}
