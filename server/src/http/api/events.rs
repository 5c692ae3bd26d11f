//! `/api/v1/events`: live hints as server-sent events. They say *look again*, and never carry data.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use fleetmend_core::token::Permission;
use futures_util::StreamExt as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::events::Event;
use crate::http::auth;
use crate::http::call::Call;
use crate::http::route::Answer;

/// A stream's life: browsers connect again by themselves, and their credential is looked at anew.
const LIFE: Duration = Duration::from_mins(15);
/// How long a stream goes on after its credential has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Streams hints. Each has an id; a listener that comes back with `Last-Event-ID` is told to look
/// at everything again, since hints are not kept.
pub(crate) async fn stream(mut call: Call) -> Answer {
    let place = call.place.take();
    let heard = call.shared().events.listen();
    let back = call.headers.contains_key("last-event-id");
    let start = call.now.as_millis();
    let first = back.then(|| line(start, 0, "missed", "{}"));
    let state = (heard, place, call, Instant::now(), 1_u64);
    let hints = futures_util::stream::unfold(state, move |state| async move {
        let (mut heard, place, call, mut looked, count) = state;
        let heard_now = heard.recv().await;
        if looked.elapsed() >= LOOK_AGAIN {
            if !may_hear(&call).await {
                return None;
            }
            looked = Instant::now();
        }
        let event = match heard_now {
            Ok(event) => {
                let name = match &event {
                    Event::Host { .. } => "host",
                    Event::Incident { .. } => "incident",
                    Event::Job { .. } => "job",
                    Event::Database => "database",
                    Event::Campaign { .. } => "campaign",
                    Event::Freezes => "freezes",
                    Event::Halt => "halt",
                    Event::JobLog { .. } => "job_log",
                };
                line(start, count, name, &serde_json::to_string(&event).unwrap_or_default())
            }
            Err(RecvError::Lagged(missed)) => {
                line(start, count, "missed", &format!("{{\"missed\":{missed}}}"))
            }
            Err(RecvError::Closed) => return None,
        };
        Some((event, (heard, place, call, looked, count + 1)))
    });
    let hello = futures_util::stream::iter(
        [Line::default().comment("hints only: look again").retry(Duration::from_secs(3))]
            .into_iter()
            .chain(first),
    );
    let all = hello.chain(hints).take_until(tokio::time::sleep(LIFE)).map(Ok::<_, Infallible>);
    Ok(Sse::new(all).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Whether the credential still holds. A database that is away says nothing of it.
async fn may_hear(call: &Call) -> bool {
    let shared = call.shared();
    let now = shared.clock.now();
    match auth::authenticate(&shared.db, &call.headers, call.site.secure, now).await {
        Ok(caller) => caller.is_some_and(|caller| caller.require(Permission::Read).is_ok()),
        Err(problem) => problem.status != StatusCode::UNAUTHORIZED,
    }
}

fn line(start: i64, count: u64, name: &str, data: &str) -> Line {
    Line::default().id(format!("{start}-{count}")).event(name).data(data)
}
