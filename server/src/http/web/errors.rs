//! Error pages: what failed, what was kept, what to try, and an id to quote.

use askama::Template;
use axum::response::Response;
use serde_json::Value;

use super::{Frame, Visit};
use crate::http::problem::Problem;

#[derive(Debug, Template)]
#[template(path = "error.html")]
struct ErrorPage {
    p: Frame,
    title: String,
    detail: String,
    guide: Vec<String>,
    /// Whether a change may have been made all the same.
    unsure: bool,
    id: String,
}

/// A problem as a page.
pub(crate) fn page(problem: Problem, visit: &Visit, id: &str) -> Response {
    let words = visit.words;
    let key = format!("error.kind.{}", problem.kind);
    let said = words.s(&key);
    let title = if said == key { problem.title.to_owned() } else { said.to_owned() };
    let guide = problem.more.get("guide").and_then(Value::as_array);
    let page = ErrorPage {
        p: Frame::of_error(visit),
        title,
        // How programs go on is of no use to who looks at a page.
        detail: problem.detail.split(": GET /api/").next().unwrap_or_default().to_owned(),
        guide: guide
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect(),
        unsure: visit.changes && problem.status.is_server_error(),
        id: id.to_owned(),
    };
    let status = problem.status;
    super::html_with(status, &page).unwrap_or_else(|_| problem.into_json(id))
}
