//! Enrolment: make a token, copy the line, see who may come.

use askama::Template;
use fleetmend_core::host::Labels;
use fleetmend_store::{EnrollmentToken, PageRequest};

use super::{Frame, html, see};
use crate::http::api::enrollment_tokens::{self as tokens, NewToken, TokenView};
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

const ROWS: u32 = 200;

#[derive(Debug, Template)]
#[template(path = "enroll.html")]
struct EnrollPage {
    p: Frame,
    made: String,
    server: String,
    tokens: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    token: EnrollmentToken,
    state: &'static str,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    show(&call, String::new()).await
}

/// Makes a token; the answer is the only page that ever shows its text.
pub(crate) async fn create(call: Call) -> Answer {
    const FORM: &[Param] = &[
        Param::one("name", ""),
        Param::one("uses", ""),
        Param::one("hours", ""),
        Param::one("labels", ""),
        Param::one("networks", ""),
    ];
    let form = call.form(FORM)?;
    let labels: Result<Labels, Problem> = form
        .text("labels")
        .unwrap_or_default()
        .split_whitespace()
        .map(|pair| {
            pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).ok_or_else(|| {
                Problem::bad("labels", "labels: write key=value, with spaces between")
            })
        })
        .collect();
    let networks = form.text("networks").unwrap_or_default();
    let wish = NewToken {
        name: form.text("name").unwrap_or_default().to_owned(),
        uses: form.parse("uses")?,
        hours: form.parse("hours")?,
        labels: labels?,
        networks: networks.split([' ', ',']).filter(|n| !n.is_empty()).map(str::to_owned).collect(),
    };
    let made = tokens::make(&call, wish).await?;
    show(&call, made.token).await
}

/// Voids a token.
pub(crate) async fn revoke(call: Call) -> Answer {
    call.form(&[])?;
    tokens::void(&call, call.id()?).await?;
    Ok(see("/enroll"))
}

async fn show(call: &Call, made: String) -> Answer {
    let page = call.db().enrollment_tokens(&PageRequest::first(ROWS)).await?;
    let tokens = page
        .items
        .into_iter()
        .map(|token| Row { state: TokenView::new(token.clone(), call.now).state, token })
        .collect();
    html(&EnrollPage { p: Frame::new(call, "enroll"), made, server: server(call), tokens })
}

/// Where agents connect: the name by which the reader reaches this server, and the agents' port.
fn server(call: &Call) -> String {
    let host = call
        .headers
        .get(axum::http::header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("localhost");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    format!("{name}:{}", call.shared().config.agent_listen.port())
}
