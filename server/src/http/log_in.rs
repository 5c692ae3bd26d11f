//! Log-in by name and password: the one way for pages, programs and the command line. A refused try
//! says the same and takes as long whoever it was for, so that nobody learns which names there are.

use std::time::Duration;

use fleetmend_core::limits;
use fleetmend_store::{Credentials, LogIn, LoggedIn, NewPassword, User, Wish};

use super::auth;
use super::call::Call;
use super::problem::Problem;
use crate::users;

/// How long a refused log-in takes at least: longer than checking a password and writing it down. One
/// that takes longer, under load, takes twice or three times as long.
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

/// Checks a name and a password, and opens what is wished for; `new` replaces the password first.
pub(crate) async fn log_in(
    call: &Call,
    name: &str,
    password: &str,
    new: Option<&str>,
    wish: Wish,
) -> Result<End, Problem> {
    if let Some(new) = new {
        check_new(name, password, new)?;
    }
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
    let log_in = LogIn { wish, peer: call.peer.to_string(), browser, new_password: None };
    let end = check(call, held, (password, new), log_in).await?;
    if matches!(end, End::Refused) {
        if !known {
            guard.log_in_refused_as(name, call.peer, call.now);
        }
        tracing::warn!(peer = %call.peer, "log-in refused");
        tokio::time::sleep_until(started + refused_after(started.elapsed())).await;
    }
    Ok(end)
}

/// How long a refusal takes that was ready after `worked`.
fn refused_after(worked: Duration) -> Duration {
    let steps = worked.as_millis() / REFUSED_AFTER.as_millis();
    REFUSED_AFTER * u32::try_from(steps).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether a new password may be taken; says nothing of the old one.
fn check_new(name: &str, old: &str, new: &str) -> Result<(), Problem> {
    users::check_password(name.trim(), new)
        .map_err(|e| Problem::bad("new_password", format!("new_password: {}", e.problem)))?;
    if new == old {
        let text = "new_password: it is the old one: choose another";
        return Err(Problem::bad("new_password", text));
    }
    Ok(())
}

async fn check(
    call: &Call,
    held: Option<Credentials>,
    (password, new): (&str, Option<&str>),
    mut log_in: LogIn,
) -> Result<End, Problem> {
    if password.len() > limits::PASSWORD_BYTES {
        return Ok(End::Refused);
    }
    let hash = held.as_ref().map(|held| held.password_hash.as_str());
    let verified = call.shared().passwords.verify(hash, password).await;
    let right = verified.map_err(Problem::internal)?;
    let Some(held) = held else { return Ok(End::Refused) };
    // Only then: who does not know the old one has no work done for a new one.
    if let Some(new) = new.filter(|_| right) {
        let hash = call.shared().passwords.hash(new).await.map_err(Problem::internal)?;
        log_in.new_password = Some(NewPassword { hash, one_time_until: None });
    }
    Ok(match call.db().log_in(&held, right, &log_in, call.now).await? {
        LoggedIn::Yes(user) => End::Open(user),
        LoggedIn::No => End::Refused,
        LoggedIn::ChangeFirst => End::ChangeFirst,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_refusal_tells_nothing_of_the_work() {
        let after = |ms| refused_after(Duration::from_millis(ms)).as_millis();
        assert_eq!([0, 80, 499, 500, 620, 1_400].map(after), [500, 500, 500, 1_000, 1_000, 1_500]);
    }
}
