//! Changing users. What a user may not do any more ends in the same transaction.

use fleetmend_core::ids::{UserId, WebSessionId};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;
use serde_json::json;
use uuid::Uuid;

use super::{Ended, NewPassword, NewUser, User, in_tx};
use crate::audit;
use crate::backend::locks::Lock;
use crate::backend::{Db, Tx, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::sql::statements;

statements! {
    COUNT = "SELECT COUNT(*) FROM user_account";
    TAKEN = "SELECT COUNT(*) FROM user_account WHERE name = $1";
    INSERT = "INSERT INTO user_account \
        (id, name, role, password_hash, password_ms, must_change, password_until_ms, created_by, created_ms) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    SET_ROLE = "UPDATE user_account SET role = $2 WHERE id = $1";
    SET_DISABLED = "UPDATE user_account SET disabled_ms = $2 WHERE id = $1";
    SET_PASSWORD = "UPDATE user_account SET password_hash = $2, password_ms = $3, must_change = $4, \
        password_until_ms = $5, failures = 0, lock_outs = 0, locked_until_ms = 0 WHERE id = $1";
    PASSWORD = "SELECT password_hash FROM user_account WHERE id = $1";
    /// One whose password for one log-in has run out can do nothing until somebody gives it another.
    OTHER_ADMINS = "SELECT COUNT(*) FROM user_account WHERE role = 'admin' AND disabled_ms IS NULL AND id <> $1 \
        AND (must_change = FALSE OR password_until_ms IS NULL OR password_until_ms > $2)";
    END_SESSIONS = "DELETE FROM web_session WHERE user_id = $1 AND id <> $2";
    FORGET_BROWSERS = "DELETE FROM user_browser WHERE user_id = $1";
    VOID_TOKENS = "UPDATE api_token SET revoked_ms = $2 WHERE user_id = $1 AND revoked_ms IS NULL AND role = $3";
    VOID_LOGIN_TOKENS = "UPDATE api_token SET revoked_ms = $2 WHERE user_id = $1 AND revoked_ms IS NULL AND by_login";
}

impl Db {
    /// Makes a user.
    pub async fn create_user(&self, user: &NewUser, by: &str, now: Timestamp) -> Result<()> {
        transaction!(self, |tx| {
            tx.hold(Lock::People).await?;
            let taken: i64 =
                on_tx!(tx, |c| sqlx::query_scalar(TAKEN).bind(&user.name).fetch_one(c).await)?;
            if taken > 0 {
                let name = &user.name;
                return Err(StoreError::Conflict(format!(
                    "there is a user \"{name}\" already: take another name; a name is never given twice"
                )));
            }
            let count: i64 = on_tx!(tx, |c| sqlx::query_scalar(COUNT).fetch_one(c).await)?;
            if count >= i64::from(limits::USERS) {
                return Err(StoreError::Conflict(format!(
                    "there are {count} users, which is the most"
                )));
            }
            run!(
                tx,
                sqlx::query(INSERT)
                    .bind(user.id.0)
                    .bind(&user.name)
                    .bind(user.role.as_str())
                    .bind(&user.password.hash)
                    .bind(now.as_millis())
                    .bind(user.password.one_time_until.is_some())
                    .bind(user.password.one_time_until.map(Timestamp::as_millis))
                    .bind(by)
                    .bind(now.as_millis())
            )?;
            let detail = json!({
                "name": user.name,
                "role": user.role,
                "one_time_until": user.password.one_time_until,
            });
            audit::note(tx, (by, now), "user.create", subject(user.id), detail).await
        })
    }

    /// Gives a user another role. Its sessions end; so do its API tokens that may now do more than
    /// it may.
    pub async fn set_user_role(
        &self,
        id: UserId,
        role: Role,
        by: &str,
        now: Timestamp,
    ) -> Result<Ended> {
        transaction!(self, |tx| {
            tx.hold(Lock::People).await?;
            let user = in_tx(tx, id).await?;
            if user.role == role {
                return Ok(Ended::default());
            }
            if role != Role::Admin {
                keep_an_admin(tx, &user, now).await?;
            }
            run!(tx, sqlx::query(SET_ROLE).bind(id.0).bind(role.as_str()))?;
            let ended = Ended {
                sessions: end_sessions(tx, id, None).await?,
                tokens: void_tokens(tx, id, |held| !role.covers(held), now).await?,
            };
            let detail = json!({"name": user.name, "from": user.role, "to": role, "ended": ended});
            audit::note(tx, (by, now), "user.set_role", subject(id), detail).await?;
            Ok(ended)
        })
    }

    /// Shuts a user out, or lets it log in again. Sessions and API tokens end and do not come back.
    pub async fn set_user_disabled(
        &self,
        id: UserId,
        disabled: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Ended> {
        transaction!(self, |tx| {
            tx.hold(Lock::People).await?;
            let user = in_tx(tx, id).await?;
            if user.disabled.is_some() == disabled {
                return Ok(Ended::default());
            }
            let since = disabled.then_some(now.as_millis());
            let mut ended = Ended::default();
            if disabled {
                keep_an_admin(tx, &user, now).await?;
                ended.sessions = end_sessions(tx, id, None).await?;
                ended.tokens = void_tokens(tx, id, |_| true, now).await?;
                run!(tx, sqlx::query(FORGET_BROWSERS).bind(id.0))?;
            }
            run!(tx, sqlx::query(SET_DISABLED).bind(id.0).bind(since))?;
            let action = if disabled { "user.disable" } else { "user.enable" };
            let detail = json!({"name": user.name, "ended": ended});
            audit::note(tx, (by, now), action, subject(id), detail).await?;
            Ok(ended)
        })
    }

    /// Gives a user a password that somebody else chose. What was opened with the old one ends.
    pub async fn reset_password(
        &self,
        id: UserId,
        password: &NewPassword,
        by: &str,
        now: Timestamp,
    ) -> Result<Ended> {
        transaction!(self, |tx| {
            tx.hold(Lock::People).await?;
            let user = in_tx(tx, id).await?;
            let ended = set_password(tx, id, password, None, now).await?;
            run!(tx, sqlx::query(FORGET_BROWSERS).bind(id.0))?;
            let detail = json!({
                "name": user.name,
                "one_time_until": password.one_time_until,
                "ended": ended,
            });
            audit::note(tx, (by, now), "user.reset_password", subject(id), detail).await?;
            Ok(ended)
        })
    }

    /// Sets the password that a user chose for itself, where `was` is still the old one. What was
    /// opened with the old one ends, but for the session that asks.
    pub async fn change_password(
        &self,
        id: UserId,
        was: &str,
        password: &NewPassword,
        session: WebSessionId,
        by: &str,
        now: Timestamp,
    ) -> Result<Ended> {
        transaction!(self, |tx| {
            tx.hold(Lock::People).await?;
            let user = in_tx(tx, id).await?;
            if stored_password(tx, id).await? != was || user.disabled.is_some() {
                return Err(StoreError::Conflict(
                    "the password was changed meanwhile: log in again".to_owned(),
                ));
            }
            let ended = set_password(tx, id, password, Some(session), now).await?;
            let detail = json!({"name": user.name, "ended": ended});
            audit::note(tx, (by, now), "user.change_password", subject(id), detail).await?;
            Ok(ended)
        })
    }
}

/// How a user stands in the audit log as what was changed.
pub(crate) fn subject(id: UserId) -> String {
    format!("user {id}")
}

/// The stored hash of a user's password.
pub(crate) async fn stored_password(tx: &mut Tx, id: UserId) -> Result<String> {
    Ok(on_tx!(tx, |c| sqlx::query_scalar(PASSWORD).bind(id.0).fetch_one(c).await)?)
}

/// Sets a password; what was opened with the old one ends, but for a session that is kept.
pub(crate) async fn set_password(
    tx: &mut Tx,
    id: UserId,
    password: &NewPassword,
    keep: Option<WebSessionId>,
    now: Timestamp,
) -> Result<Ended> {
    run!(
        tx,
        sqlx::query(SET_PASSWORD)
            .bind(id.0)
            .bind(&password.hash)
            .bind(now.as_millis())
            .bind(password.one_time_until.is_some())
            .bind(password.one_time_until.map(Timestamp::as_millis))
    )?;
    Ok(Ended {
        sessions: end_sessions(tx, id, keep).await?,
        tokens: run!(tx, sqlx::query(VOID_LOGIN_TOKENS).bind(id.0).bind(now.as_millis()))?,
    })
}

async fn end_sessions(tx: &mut Tx, id: UserId, keep: Option<WebSessionId>) -> Result<u64> {
    let keep = keep.map_or(Uuid::nil(), |session| session.0);
    Ok(run!(tx, sqlx::query(END_SESSIONS).bind(id.0).bind(keep))?)
}

async fn void_tokens(
    tx: &mut Tx,
    id: UserId,
    which: impl Fn(Role) -> bool,
    now: Timestamp,
) -> Result<u64> {
    let mut voided = 0;
    for role in Role::ALL.iter().filter(|role| which(**role)) {
        voided += run!(
            tx,
            sqlx::query(VOID_TOKENS).bind(id.0).bind(now.as_millis()).bind(role.as_str())
        )?;
    }
    Ok(voided)
}

/// Refuses to take the last admin away.
async fn keep_an_admin(tx: &mut Tx, user: &User, now: Timestamp) -> Result<()> {
    if user.role != Role::Admin || user.disabled.is_some() {
        return Ok(());
    }
    let others: i64 = on_tx!(tx, |c| sqlx::query_scalar(OTHER_ADMINS)
        .bind(user.id.0)
        .bind(now.as_millis())
        .fetch_one(c)
        .await)?;
    if others > 0 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "\"{}\" is the last admin: make another one first",
        user.name
    )))
}
