//! `/livez` and `/readyz`: for balancers and service managers. Neither asks the database: one task
//! looks at it, and both answer at once whatever it does.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;

use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// The process answers: nothing else is asked.
pub(crate) async fn live(_call: Call) -> Answer {
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n")
        .into_response())
}

/// The server has started, does not stop, and its database answers and takes writes.
pub(crate) async fn ready(call: Call) -> Answer {
    if !call.shared().readiness.is_ready() {
        return Err(Problem::busy("the server starts or stops: send requests elsewhere"));
    }
    match call.shared().database.away() {
        None => live(call).await,
        Some(reason) => Err(Problem::away(reason)),
    }
}
