//! People: who may log in as what.

use askama::Template;
use fleetmend_core::token::Role;
use fleetmend_store::{PageRequest, User};

use super::{Choice, Frame, choices, html};
use crate::http::api::users::{self as api, ChangedUser, NewUserBody, UserView};
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

const ROWS: u32 = 1_000;

#[derive(Debug, Template)]
#[template(path = "people.html")]
struct PeoplePage {
    p: Frame,
    done: Option<Done>,
    roles: Vec<Choice>,
    users: Vec<Row>,
    /// What to do for those that are not shown.
    more: String,
}

/// What a form has done.
#[derive(Debug)]
struct Done {
    name: String,
    password: String,
    ended: String,
}

#[derive(Debug)]
struct Row {
    user: User,
    state: &'static str,
    roles: Vec<Choice>,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    show(&call, None).await
}

/// Makes a user; the answer is the only page that ever shows its first password.
pub(crate) async fn create(call: Call) -> Answer {
    let form = call.form(&[Param::one("name", ""), Param::one("role", "")])?;
    let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
    let done = api::make(&call, &NewUserBody { name: text("name"), role: text("role") }).await?;
    show(&call, Some(done)).await
}

/// Gives a user another role.
pub(crate) async fn set_role(call: Call) -> Answer {
    let form = call.form(&[Param::one("role", "")])?;
    let role = form.text("role").ok_or_else(|| Problem::bad("role", "role: choose one"))?;
    let done = api::give_role(&call, role).await?;
    show(&call, Some(done)).await
}

/// Shuts a user out.
pub(crate) async fn disable(call: Call) -> Answer {
    call.form(&[])?;
    let done = api::set_disabled(&call, true).await?;
    show(&call, Some(done)).await
}

/// Lets a user log in again.
pub(crate) async fn enable(call: Call) -> Answer {
    call.form(&[])?;
    let done = api::set_disabled(&call, false).await?;
    show(&call, Some(done)).await
}

/// Gives a user a new password for one log-in; the answer is the only page that shows it.
pub(crate) async fn reset(call: Call) -> Answer {
    call.form(&[])?;
    let done = api::reset_password(&call).await?;
    show(&call, Some(done)).await
}

async fn show(call: &Call, done: Option<ChangedUser>) -> Answer {
    let page = call.db().users(&PageRequest::first(ROWS)).await?;
    let row = |user: User| Row {
        state: UserView::new(&user, call.now).state,
        roles: choices(Role::ALL, Role::as_str, Some(user.role)),
        user,
    };
    let done = done.map(|done| Done {
        ended: call.words.f2("people.ended", done.sessions_ended, done.tokens_ended),
        name: done.user.name,
        password: done.one_time_password.unwrap_or_default(),
    });
    let more = if page.total > u64::from(ROWS) {
        call.words.f2("people.more", call.words.num(ROWS), call.words.num(page.total))
    } else {
        String::new()
    };
    html(&PeoplePage {
        p: Frame::new(call, "people"),
        done,
        roles: choices(Role::ALL, Role::as_str, Some(Role::Viewer)),
        more,
        users: page.items.into_iter().map(row).collect(),
    })
}
