//! Log-in by name and password. The password is checked outside; what it opens, and what a wrong one
//! costs, is decided here in one transaction, by what is stored then.
//!
//! Refused tries in a row lock the name for a time. A browser that the user logged in with before is
//! counted by itself: whoever tries passwords from elsewhere cannot shut its owner out.

use std::time::Duration;

use fleetmend_core::ids::{ApiTokenId, UserId, WebSessionId};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;
use serde_json::json;
use uuid::Uuid;

use super::change::{set_password, stored_password, subject};
use super::{NewPassword, User, in_tx};
use crate::audit;
use crate::backend::locks::Lock;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::row::big;
use crate::sql::statements;

/// What a log-in is checked against.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: UserId,
    /// The stored hash of the password.
    pub password_hash: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a log-in asks for.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// A session or a token.
    pub wish: Wish,
    /// From where, for the audit log.
    pub peer: String,
    /// The hash of the secret by which the browser is known, where it has one.
    pub browser: Option<[u8; 32]>,
    /// A password that the user chooses instead of the one that was checked.
    pub new_password: Option<NewPassword>,
}

/// What a log-in opens.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A session in a browser.
    Session {
        /// Its id.
        id: WebSessionId,
        /// SHA-256 of the cookie's secret.
        secret_hash: [u8; 32],
        /// Until when.
        expires: Timestamp,
        /// SHA-256 of the secret by which the browser is known from now on.
        browser: [u8; 32],
    },
    /// An API token.
    Token {
        /// Its id.
        id: ApiTokenId,
        /// A name for people.
        name: String,
        /// SHA-256 of its secret.
        secret_hash: [u8; 32],
        /// Until when.
        expires: Timestamp,
        /// What it may do, within the user's role; all of that unless given.
        role: Option<Role>,
    },
}

/// How a log-in ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedIn {
    /// It is open.
    Yes(User),
    /// Refused; to whom it is told, the reason is not.
    No,
    /// The password is right, and must be changed before a token is given.
    ChangeFirst,
}

statements! {
    CREDENTIALS = "SELECT id, password_hash FROM user_account WHERE name = $1";
    TRIES = "SELECT failures, lock_outs FROM user_account WHERE id = $1";
    COUNT_FAILURE = "UPDATE user_account SET failures = $2, lock_outs = $3, locked_until_ms = $4 WHERE id = $1";
    NOTE_LOG_IN = "UPDATE user_account SET failures = 0, lock_outs = 0, locked_until_ms = 0, last_login_ms = $2 \
        WHERE id = $1";
    BROWSER = "SELECT failures FROM user_browser WHERE secret_hash = $1 AND user_id = $2 AND expires_ms > $3";
    COUNT_BROWSER = "UPDATE user_browser SET failures = failures + 1 WHERE secret_hash = $1";
    FORGET_BROWSER = "DELETE FROM user_browser WHERE secret_hash = $1 AND user_id = $2";
    INSERT_BROWSER = "INSERT INTO user_browser (secret_hash, user_id, created_ms, expires_ms) VALUES ($1, $2, $3, $4)";
    TRIM_BROWSERS = "DELETE FROM user_browser WHERE user_id = $1 AND secret_hash NOT IN \
        (SELECT secret_hash FROM user_browser WHERE user_id = $1 ORDER BY created_ms DESC, secret_hash LIMIT $2)";
    INSERT_SESSION = "INSERT INTO web_session (id, secret_hash, user_id, created_ms, expires_ms) \
        VALUES ($1, $2, $3, $4, $5)";
    INSERT_TOKEN = "INSERT INTO api_token \
        (id, name, role, secret_hash, created_by, created_ms, expires_ms, user_id, by_login) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
}

impl Db {
    /// What a log-in with this name is checked against. `None` where nobody has it: check against
    /// something all the same, so that the time does not tell.
    pub async fn credentials(&self, name: &str) -> Result<Option<Credentials>> {
        let row: Option<(Uuid, String)> =
            on_read!(self, |c| sqlx::query_as(CREDENTIALS).bind(name).fetch_optional(c).await)?;
        Ok(row.map(|(id, password_hash)| Credentials { user: id.into(), password_hash }))
    }

    /// The password of a user, to be checked before it is changed.
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<Credentials>> {
        let row: Option<String> = on_read!(self, |c| sqlx::query_scalar(super::change::PASSWORD)
            .bind(user.0)
            .fetch_optional(c)
            .await)?;
        Ok(row.map(|password_hash| Credentials { user, password_hash }))
    }

    /// Whether a browser is one that the user logged in with, and has not failed too often itself.
    pub async fn knows_browser(
        &self,
        user: UserId,
        browser: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool> {
        let failures: Option<i64> = on_read!(self, |c| sqlx::query_scalar(BROWSER)
            .bind(browser.as_slice())
            .bind(user.0)
            .bind(now.as_millis())
            .fetch_optional(c)
            .await)?;
        Ok(failures.is_some_and(few))
    }

    /// Opens what a log-in asks for, where the password that was checked against `held` is `right`
    /// and nothing bars the user.
    pub async fn log_in(
        &self,
        held: &Credentials,
        right: bool,
        log_in: &LogIn,
        now: Timestamp,
    ) -> Result<LoggedIn> {
        transaction!(self, |tx| {
            tx.hold(Lock::People).await?;
            let user = in_tx(tx, held.user).await?;
            let known = known(tx, &user, log_in.browser, now).await?;
            let locked = user.locked_until > now && !known;
            let over = user.must_change && user.password_until.is_some_and(|until| until <= now);
            // Not counted: tries at what is shut anyway must not keep it shut.
            if user.disabled.is_some() || locked || over {
                return Ok(LoggedIn::No);
            }
            if !right || stored_password(tx, user.id).await? != held.password_hash {
                count_failure(tx, &user, log_in, known, now).await?;
                return Ok(LoggedIn::No);
            }
            let user = match &log_in.new_password {
                Some(new) => {
                    choose_password(tx, &user, new, now).await?;
                    in_tx(tx, user.id).await?
                }
                None => user,
            };
            if user.must_change && matches!(log_in.wish, Wish::Token { .. }) {
                return Ok(LoggedIn::ChangeFirst);
            }
            run!(tx, sqlx::query(NOTE_LOG_IN).bind(user.id.0).bind(now.as_millis()))?;
            open(tx, &user, log_in, now).await?;
            Ok(LoggedIn::Yes(user))
        })
    }
}

/// Sets the password that a user chose; what was opened with the old one ends.
async fn choose_password(
    tx: &mut Tx,
    user: &User,
    password: &NewPassword,
    now: Timestamp,
) -> Result<()> {
    let ended = set_password(tx, user.id, password, None, now).await?;
    let detail = json!({"name": user.name, "ended": ended});
    let actor = format!("user {}", user.name);
    audit::note(tx, (&actor, now), "user.change_password", subject(user.id), detail).await
}

/// Whether the browser is one that the user logged in with, and has not failed too often itself.
async fn known(
    tx: &mut Tx,
    user: &User,
    browser: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<bool> {
    let Some(browser) = browser else { return Ok(false) };
    let failures: Option<i64> = on_tx!(tx, |c| sqlx::query_scalar(BROWSER)
        .bind(browser.as_slice())
        .bind(user.id.0)
        .bind(now.as_millis())
        .fetch_optional(c)
        .await)?;
    Ok(failures.is_some_and(few))
}

/// Whether a browser failed so seldom that it is still known.
fn few(failures: i64) -> bool {
    failures < i64::from(limits::LOCK_AFTER)
}

async fn count_failure(
    tx: &mut Tx,
    user: &User,
    log_in: &LogIn,
    known: bool,
    now: Timestamp,
) -> Result<()> {
    let actor = format!("user {}", user.name);
    let detail = json!({"peer": log_in.peer, "known_browser": known});
    audit::note(tx, (&actor, now), "session.refuse", subject(user.id), detail).await?;
    if let (true, Some(browser)) = (known, log_in.browser) {
        run!(tx, sqlx::query(COUNT_BROWSER).bind(browser.as_slice()))?;
        return Ok(());
    }
    let (failures, lock_outs): (i64, i64) =
        on_tx!(tx, |c| sqlx::query_as(TRIES).bind(user.id.0).fetch_one(c).await)?;
    let lock = failures + 1 >= i64::from(limits::LOCK_AFTER);
    let until = if lock { now.after(locked_for(lock_outs)) } else { user.locked_until };
    let (failures, lock_outs) = if lock { (0, lock_outs + 1) } else { (failures + 1, lock_outs) };
    run!(
        tx,
        sqlx::query(COUNT_FAILURE)
            .bind(user.id.0)
            .bind(failures)
            .bind(lock_outs)
            .bind(until.as_millis())
    )?;
    if lock {
        let detail = json!({"until": until, "peer": log_in.peer});
        audit::note(tx, ("server", now), "user.lock", subject(user.id), detail).await?;
    }
    Ok(())
}

/// How long the next lock-out takes, after so many in a row.
fn locked_for(lock_outs: i64) -> Duration {
    let doubled = u32::try_from(lock_outs).unwrap_or(u32::MAX).min(16);
    (limits::LOCKED_FOR * 2_u32.pow(doubled)).min(limits::LOCKED_FOR_MOST)
}

async fn open(tx: &mut Tx, user: &User, log_in: &LogIn, now: Timestamp) -> Result<()> {
    let actor = format!("user {}", user.name);
    match &log_in.wish {
        Wish::Session { id, secret_hash, expires, browser } => {
            run!(
                tx,
                sqlx::query(INSERT_SESSION)
                    .bind(id.0)
                    .bind(secret_hash.as_slice())
                    .bind(user.id.0)
                    .bind(now.as_millis())
                    .bind(expires.as_millis())
            )?;
            know(tx, user, log_in.browser, *browser, now).await?;
            let detail = json!({"peer": log_in.peer});
            audit::note(tx, (&actor, now), "session.create", format!("session {id}"), detail).await
        }
        Wish::Token { id, name, secret_hash, expires, role } => {
            let role = role.unwrap_or(user.role);
            if !user.role.covers(role) {
                return Err(StoreError::Conflict(format!(
                    "a token of the role {role} may do more than {}, the role of \"{}\"",
                    user.role, user.name
                )));
            }
            run!(
                tx,
                sqlx::query(INSERT_TOKEN)
                    .bind(id.0)
                    .bind(name)
                    .bind(role.as_str())
                    .bind(secret_hash.as_slice())
                    .bind(&actor)
                    .bind(now.as_millis())
                    .bind(expires.as_millis())
                    .bind(user.id.0)
                    .bind(true)
            )?;
            let detail = json!({
                "name": name, "role": role, "expires": expires, "by": "log-in", "peer": log_in.peer,
            });
            audit::note(tx, (&actor, now), "api_token.create", format!("api-token {id}"), detail)
                .await
        }
    }
}

/// Knows a browser from now on, by a new secret; the oldest of too many is forgotten.
async fn know(
    tx: &mut Tx,
    user: &User,
    old: Option<[u8; 32]>,
    new: [u8; 32],
    now: Timestamp,
) -> Result<()> {
    if let Some(old) = old {
        run!(tx, sqlx::query(FORGET_BROWSER).bind(old.as_slice()).bind(user.id.0))?;
    }
    run!(
        tx,
        sqlx::query(INSERT_BROWSER)
            .bind(new.as_slice())
            .bind(user.id.0)
            .bind(now.as_millis())
            .bind(now.after(limits::BROWSER_KNOWN).as_millis())
    )?;
    let most = big(limits::BROWSERS as u64);
    run!(tx, sqlx::query(TRIM_BROWSERS).bind(user.id.0).bind(most))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_outs_grow_and_stop_growing() {
        let minutes: Vec<u64> =
            [0, 1, 2, 3, 4, 5, 60, i64::MAX].map(|n| locked_for(n).as_secs() / 60).to_vec();
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15, 15, 15]);
    }
}
