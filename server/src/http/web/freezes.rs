//! Freezes: when nothing begins, and on which hosts.

use askama::Template;
use axum::http::StatusCode;
use fleetmend_core::campaign::calendar::FreezeWhen;
use fleetmend_core::host::Labels;
use fleetmend_core::ids::FreezeId;
use fleetmend_core::time::Timestamp;
use fleetmend_store::Freeze;

use super::{Frame, html, html_with, see};
use crate::http::api::freezes::{self, FreezeBody};
use crate::http::call::Call;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};

const FORM: &[Param] = &[
    Param::one("name", ""),
    Param::one("reason", ""),
    Param::one("when", ""),
    Param::one("from", ""),
    Param::one("until", ""),
    Param::one("zone", ""),
    Param::one("labels", ""),
];

#[derive(Debug, Template)]
#[template(path = "freezes.html")]
struct FreezesPage {
    p: Frame,
    freezes: Vec<Row>,
    refused: String,
    typed: Typed,
}

#[derive(Debug)]
struct Row {
    f: Freeze,
    state: &'static str,
    span: String,
}

/// What stands in the form: all of it again where something is wrong.
#[derive(Debug, Default)]
struct Typed {
    name: String,
    reason: String,
    when: String,
    from: String,
    until: String,
    zone: String,
    labels: String,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    html(&shown(&call, Typed::default(), String::new()).await?)
}

/// Adds a freeze.
pub(crate) async fn create(call: Call) -> Answer {
    let form = call.form(FORM)?;
    let made = match body(&form) {
        Ok(body) => freezes::create_as(&call, body).await.map(|_| ()),
        Err(problem) => Err(problem),
    };
    match made {
        Ok(()) => Ok(see("/freezes")),
        Err(problem) if problem.status.is_client_error() => {
            let page = shown(&call, typed(&form), problem.detail.clone()).await?;
            html_with(StatusCode::BAD_REQUEST, &page)
        }
        Err(problem) => Err(problem),
    }
}

/// Takes a freeze away.
pub(crate) async fn end(call: Call) -> Answer {
    call.form(&[])?;
    let id: FreezeId = call.id()?;
    freezes::end_as(&call, id).await?;
    Ok(see("/freezes"))
}

async fn shown(call: &Call, typed: Typed, refused: String) -> Result<FreezesPage, Problem> {
    let p = Frame::new(call, "campaigns");
    let soon = Timestamp::from_millis(call.now.as_millis().saturating_add(1));
    let rows = call.db().freezes().await?.into_iter().map(|f| {
        let holds = f.rule.spans(call.now, soon).is_ok_and(|spans| !spans.is_empty());
        let (state, span) = match &f.rule.when {
            FreezeWhen::Once { from, until } => {
                let state = if holds {
                    "holds"
                } else if *until <= call.now {
                    "over"
                } else {
                    "ahead"
                };
                (state, format!("{} – {}", p.t.exact(*from), p.t.exact(*until)))
            }
            FreezeWhen::Yearly { first, last } => (
                if holds { "holds" } else { "ahead" },
                p.t.f3("freeze.every_year", first, last, &f.rule.zone),
            ),
        };
        Row { f, state, span }
    });
    let freezes = rows.collect();
    Ok(FreezesPage { p, freezes, refused, typed })
}

fn typed(form: &Params) -> Typed {
    let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
    Typed {
        name: text("name"),
        reason: text("reason"),
        when: text("when"),
        from: text("from"),
        until: text("until"),
        zone: text("zone"),
        labels: text("labels"),
    }
}

fn body(form: &Params) -> Result<FreezeBody, Problem> {
    let text = |name: &str| form.text(name).map(str::to_owned);
    let mut labels = Labels::new();
    for pair in form.text("labels").unwrap_or_default().split_whitespace() {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Problem::bad("labels", "labels: write key=value, with spaces between")
        })?;
        labels.insert(key.to_owned(), value.to_owned());
    }
    let yearly = form.text("when") == Some("yearly");
    let moment = |name: &'static str| -> Result<Option<Timestamp>, Problem> {
        if yearly { Ok(None) } else { form.parse(name) }
    };
    Ok(FreezeBody {
        name: text("name").unwrap_or_default(),
        reason: text("reason").unwrap_or_default(),
        from: moment("from")?,
        until: moment("until")?,
        first: text("from").filter(|_| yearly),
        last: text("until").filter(|_| yearly),
        zone: text("zone").filter(|_| yearly),
        labels,
    })
}
