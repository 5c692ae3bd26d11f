//! `/livez` and `/readyz`: for balancers and service managers.

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

/// The server has started, does not stop, and its database answers.
pub(crate) async fn ready(call: Call) -> Answer {
    if !call.shared().readiness.is_ready() {
        return Err(Problem::busy("the server starts or stops: send requests elsewhere"));
    }
    let ping = tokio::time::timeout(std::time::Duration::from_secs(2), call.db().ping()).await;
    match ping {
        Ok(Ok(())) => live(call).await,
        Ok(Err(error)) => {
            let mut problem = Problem::busy("the database does not answer");
            problem.cause = Some(error.to_string());
            Err(problem)
        }
        Err(_) => Err(Problem::busy("the database does not answer in time")),
    }
}
