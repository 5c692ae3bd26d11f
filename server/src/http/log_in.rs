//! Log-in by name and password: the one way for pages, programs and the command line. A refused try
//! says the same and takes as long whoever it was for, so that nobody learns which names there are.

use std::time::Duration;

use fleetmend_core::limits;
use fleetmend_store::{Credentials, LogIn, LoggedIn, User, Wish};

use super::auth;
use super::call::Call;
use super::problem::Problem;
use crate::users;

/// How long a refused log-in takes at least: longer than checking a password and writing it down.
const REFUSED_AFTER: Duration = Duration::from_millis(500);

/// How a log-in ended.
#[derive(Debug)]
pub(crate) enum End {
    /// What was wished for is open.
    Open(User),
    /// Refused: no such name, another password, disabled, locked. Which of them is not told.
    Refused,
    /// The password is right, and must be changed before a token is given.
    ChangeFirst,
    /// Too many tries: not looked at.
    TooMany,
}

/// Checks a name and a password, and opens what is wished for.
pub(crate) async fn log_in(
    call: &Call,
    name: &str,
    password: &str,
    wish: Wish,
) -> Result<End, Problem> {
    let guard = &call.site.guard;
    let held = match users::check_name(name) {
        Ok(name) => call.db().credentials(&name).await?,
        Err(_) => None,
    };
    let browser = auth::known_browser(&call.headers, call.site.secure);
    // The tries of a browser that is known are counted by themselves, in the store: others behind the
    // same address do not bar it.
    let known = match (&held, &browser) {
        (Some(held), Some(browser)) => {
            call.db().knows_browser(held.user, browser, call.now).await?
        }
        _ => false,
    };
    if !known && !guard.may_log_in_as(name, call.peer, call.now) {
        return Ok(End::TooMany);
    }
    let started = tokio::time::Instant::now();
    let end =
        check(call, held, password, LogIn { wish, peer: call.peer.to_string(), browser }).await?;
    if matches!(end, End::Refused) {
        if !known {
            guard.log_in_refused_as(name, call.peer, call.now);
        }
        tracing::warn!(peer = %call.peer, "log-in refused");
        tokio::time::sleep_until(started + REFUSED_AFTER).await;
    }
    Ok(end)
}

async fn check(
    call: &Call,
    held: Option<Credentials>,
    password: &str,
    log_in: LogIn,
) -> Result<End, Problem> {
    if password.len() > limits::PASSWORD_BYTES {
        return Ok(End::Refused);
    }
    let hash = held.as_ref().map(|held| held.password_hash.as_str());
    let verified = call.shared().passwords.verify(hash, password).await;
    let right = verified.map_err(Problem::internal)?;
    let Some(held) = held else { return Ok(End::Refused) };
    Ok(match call.db().log_in(&held, right, &log_in, call.now).await? {
        LoggedIn::Yes(user) => End::Open(user),
        LoggedIn::No => End::Refused,
        LoggedIn::ChangeFirst => End::ChangeFirst,
    })
}
