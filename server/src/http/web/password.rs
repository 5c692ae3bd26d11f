//! One's own password.

use askama::Template;
use axum::http::StatusCode;
use fleetmend_store::NewPassword;

use super::{Frame, html, html_with, see};
use crate::http::auth::How;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};
use crate::users;

const FORM: &[Param] = &[Param::one("old", ""), Param::one("new", ""), Param::one("again", "")];

#[derive(Debug, Template)]
#[template(path = "password.html")]
struct PasswordPage {
    p: Frame,
    problem: String,
    must: bool,
    name: String,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    show(&call, StatusCode::OK, "")
}

/// Sets the password; every other session of the user ends.
pub(crate) async fn change(call: Call) -> Answer {
    let form = call.form(FORM)?;
    // As they were typed: spaces at their ends are part of them.
    let typed = |name: &'static str| form.texts(name).next().unwrap_or_default().to_owned();
    let (old, new, again) = (typed("old"), typed("new"), typed("again"));
    let caller = call.caller.as_ref().filter(|caller| caller.how == How::Session);
    let mine = caller.and_then(|caller| Some((caller.person.as_ref()?, caller.session?)));
    let Some((person, session)) = mine else { return Err(no_password()) };
    if old.is_empty() || new.is_empty() {
        return Err(Problem::bad("new", "new: type the old password and the new one, twice"));
    }
    let bad = |why| show(&call, StatusCode::BAD_REQUEST, why);
    if new != again {
        return bad("password.differ");
    }
    if new == old {
        return bad("password.same");
    }
    if users::check_password(&person.name, &new).is_err() {
        return bad("password.rules");
    }
    let guard = &call.site.guard;
    if !guard.may_log_in_as(&person.name, call.peer, call.now) {
        return show(&call, StatusCode::TOO_MANY_REQUESTS, "login.too_many");
    }
    let (db, passwords) = (call.db(), &call.shared().passwords);
    let held = db.credentials_of(person.id).await?.ok_or_else(no_password)?;
    let right =
        passwords.verify(Some(&held.password_hash), &old).await.map_err(Problem::internal)?;
    if !right {
        guard.log_in_refused_as(&person.name, call.peer, call.now);
        return bad("password.wrong");
    }
    let hash = passwords.hash(&new).await.map_err(Problem::internal)?;
    let password = NewPassword { hash, one_time_until: None };
    let by = call.actor();
    db.change_password(person.id, &held.password_hash, &password, session, &by, call.now).await?;
    Ok(see("/"))
}

fn show(call: &Call, status: StatusCode, problem: &str) -> Answer {
    let Some(caller) = call.caller.as_ref().filter(|caller| caller.how == How::Session) else {
        return Err(no_password());
    };
    let problem = if problem.is_empty() { String::new() } else { call.words.s(problem).to_owned() };
    let page = PasswordPage {
        p: Frame::new(call, "password"),
        problem,
        must: caller.must_change,
        name: caller.name.clone(),
    };
    if status == StatusCode::OK { html(&page) } else { html_with(status, &page) }
}

fn no_password() -> Problem {
    Problem::forbidden("an API token has no password: log in by name and password to change yours")
}
