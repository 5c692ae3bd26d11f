//! Log-in and log-out: name and password, or an API token, are exchanged for a session cookie.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetmend_core::ids::WebSessionId;
use fleetmend_core::limits;
use fleetmend_store::NewSession;

use super::{Frame, html, html_with, see};
use crate::entropy;
use crate::http::api::sessions;
use crate::http::auth;
use crate::http::call::Call;
use crate::http::log_in::{self, End};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

const FORM: &[Param] = &[
    Param::one("name", ""),
    Param::one("password", ""),
    Param::one("token", ""),
    Param::one("next", ""),
];

#[derive(Debug, Template)]
#[template(path = "login.html")]
struct LoginPage {
    p: Frame,
    next: String,
    problem: String,
    command: String,
}

/// The log-in page.
pub(crate) async fn page(call: Call) -> Answer {
    let next = inside(call.query.text("next").unwrap_or_default());
    html(&LoginPage { p: alone(&call), next, problem: String::new(), command: command(&call) })
}

/// Opens a session by name and password, or by an API token.
pub(crate) async fn log_in(call: Call) -> Answer {
    let text = std::str::from_utf8(&call.body)
        .map_err(|_| Problem::bad("body", "the form is not UTF-8: reload the page"))?;
    let form = Params::read(text, FORM)?;
    let next = inside(form.text("next").unwrap_or_default());
    match form.text("token") {
        Some(token) => by_token(&call, token, &next).await,
        None => by_password(&call, &form, &next).await,
    }
}

/// Ends the session.
pub(crate) async fn log_out(call: Call) -> Answer {
    call.form(&[])?;
    let secure = call.site.secure;
    if let Some(secret) = auth::cookie(&call.headers, auth::cookie_name(secure)) {
        call.db().end_session(&auth::hash(secret), &call.actor(), call.now).await?;
    }
    let mut response = see("/login");
    set_cookie(&mut response, &auth::session_cookie(None, secure));
    Ok(response)
}

async fn by_password(call: &Call, form: &Params, next: &str) -> Answer {
    let name = form.text("name").unwrap_or_default();
    // As it was typed: spaces at its ends are part of it.
    let password = form.texts("password").next().unwrap_or_default();
    if name.is_empty() || password.is_empty() {
        return again(call, next, StatusCode::UNAUTHORIZED, "login.refused");
    }
    let (session, browser, wish) = sessions::session_wish(call);
    let user = match log_in::log_in(call, name, password, None, wish).await? {
        End::Open(user) => user,
        End::TooMany => return again(call, "", StatusCode::TOO_MANY_REQUESTS, "login.too_many"),
        End::Refused | End::ChangeFirst => {
            return again(call, next, StatusCode::UNAUTHORIZED, "login.refused");
        }
    };
    let mut response = see(if user.must_change { "/password" } else { next });
    sessions::keep(&mut response, &session, &browser, call.site.secure);
    Ok(response)
}

async fn by_token(call: &Call, given: &str, next: &str) -> Answer {
    let guard = &call.site.guard;
    if !guard.may_log_in(call.peer, call.now) {
        return again(call, "", StatusCode::TOO_MANY_REQUESTS, "login.too_many");
    }
    let Some((caller, token)) = auth::by_token(call.db(), given, call.now).await? else {
        guard.log_in_refused(call.peer, call.now);
        tracing::warn!(peer = %call.peer, "log-in refused");
        return again(call, next, StatusCode::UNAUTHORIZED, "login.token_refused");
    };
    let secret = URL_SAFE_NO_PAD.encode(entropy::bytes::<32>());
    // A session never outlives its token.
    let longest = call.now.after(limits::WEB_SESSION_LIFE);
    let session = NewSession {
        id: entropy::id(WebSessionId::at, &*call.shared().clock),
        secret_hash: auth::hash(&secret),
        token: token.id,
        created: call.now,
        expires: token.expires.map_or(longest, |at| at.min(longest)),
    };
    call.db().create_session(&session, &caller.actor(), &call.peer.to_string()).await?;
    let mut response = see(next);
    set_cookie(&mut response, &auth::session_cookie(Some(&secret), call.site.secure));
    Ok(response)
}

fn again(call: &Call, next: &str, status: StatusCode, why: &str) -> Answer {
    let problem = call.words.s(why).to_owned();
    let command = command(call);
    html_with(status, &LoginPage { p: alone(call), next: next.to_owned(), problem, command })
}

/// The line that makes a first user. Where this server keeps its data is nobody's business who has
/// not logged in: the words beside it say to add the server's own settings.
fn command(call: &Call) -> String {
    format!("fleetmend-server admin create --name {}", call.words.s("login.example_name"))
}

/// The frame of somebody who is not logged in, whoever asks.
fn alone(call: &Call) -> Frame {
    let mut frame = Frame::new(call, "");
    frame.who = None;
    frame
}

/// A path of ours to go on to; never another site.
fn inside(next: &str) -> String {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.chars().any(char::is_control);
    if ours { next.to_owned() } else { "/".to_owned() }
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn log_ins_stay_on_this_site() {
        assert_eq!(inside("/hosts?state=active"), "/hosts?state=active");
        for foreign in ["https://evil.example", "//evil.example", "/\\evil.example", "", "\t/x"] {
            assert_eq!(inside(foreign), "/", "{foreign:?}");
        }
    }
}
