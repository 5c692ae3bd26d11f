//! The dashboard: pages made on the server, that work as links and forms alone. A page's struct is
//! its template's context; the HTML stands in `server/templates`.

pub(crate) mod approvals;
pub(crate) mod assets;
pub(crate) mod campaigns;
pub(crate) mod docs;
pub(crate) mod efficacy;
pub(crate) mod enroll;
pub(crate) mod errors;
pub(crate) mod explain;
mod frame;
pub(crate) mod freezes;
pub(crate) mod guided;
pub(crate) mod halt;
mod history;
pub(crate) mod hosts;
pub(crate) mod i18n;
pub(crate) mod incidents;
pub(crate) mod jobs;
mod list;
mod outbreak;
mod paint;
pub(crate) mod password;
pub(crate) mod people;
mod plot;
pub(crate) mod problem;
mod said;
pub(crate) mod session;
mod since;
pub(crate) mod triage;
pub(crate) mod undo;
mod verdict;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::call::Call;
use super::problem::Problem;
use super::route::Answer;
pub(crate) use frame::{Frame, Visit};

/// A page as an answer.
pub(crate) fn html(page: &impl askama::Template) -> Answer {
    html_with(StatusCode::OK, page)
}

/// A page as an answer with a status.
pub(crate) fn html_with(
    status: StatusCode,
    page: &impl askama::Template,
) -> Result<Response, Problem> {
    let text = page.render().map_err(Problem::internal)?;
    Ok((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response())
}

/// After a form: to the page that shows what became of it.
pub(crate) fn see(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// A choice of a filter.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The word, as the interface has it.
    pub(crate) word: &'static str,
    /// Whether it is chosen.
    pub(crate) chosen: bool,
}

/// Every word of a set, with the chosen one marked.
pub(crate) fn choices<T: Copy + PartialEq>(
    all: &[T],
    word: impl Fn(T) -> &'static str,
    chosen: Option<T>,
) -> Vec<Choice> {
    all.iter().map(|w| Choice { word: word(*w), chosen: chosen == Some(*w) }).collect()
}

/// What a list is filtered by besides the fields of its form, to be kept when the form is sent.
pub(crate) fn kept(call: &Call, fields: &[&str]) -> Vec<(String, String)> {
    call.query
        .pairs()
        .filter(|(name, value)| {
            !value.is_empty() && !fields.contains(name) && !matches!(*name, "cursor" | "lang")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a list is filtered at all.
pub(crate) fn filtered(call: &Call) -> bool {
    !kept(call, &[]).is_empty()
}
