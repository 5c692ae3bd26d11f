//! Lists: pages of JSON, or all of it as CSV.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleetmend_core::limits;
use fleetmend_store::{Cursor, Page, PageRequest};
use serde::Serialize;

use super::call::{Call, ok};
use super::csv;
use super::problem::Problem;

/// A page on the wire.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PageOf<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Pass it as `cursor` for the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
    /// How many items the whole list has.
    pub(crate) total: u64,
}

/// Which page the caller wants.
pub(crate) fn request(call: &Call) -> Result<PageRequest, Problem> {
    let bad = || {
        let detail = format!("limit: a number from 1 to {}", limits::PAGE_MAX);
        Problem::bad("limit", detail)
    };
    let limit: Option<u32> = call.query.parse("limit").map_err(|_| bad())?;
    if limit.is_some_and(|n| n == 0 || n > limits::PAGE_MAX) {
        return Err(bad());
    }
    let cursor: Option<Cursor> = call.query.parse("cursor")?;
    Ok(PageRequest { limit: limit.unwrap_or(0), cursor })
}

/// Answers a list: `fetch` reads one page.
///
/// CSV holds every row from the cursor on, page by page, and never more than
/// [`limits::CSV_ROWS`]: a cut is told in the header `X-Fleetmend-Truncated`.
pub(crate) async fn list<T, F, R>(
    call: &Call,
    columns: &'static [csv::Column],
    fetch: F,
) -> Result<Response, Problem>
where
    T: Serialize,
    F: Fn(PageRequest) -> R,
    R: Future<Output = Result<Page<T>, Problem>>,
{
    let mut wanted = request(call)?;
    let Some(form) = csv_form(call)? else {
        let page = fetch(wanted).await?;
        return ok(&PageOf {
            items: page.items,
            next_cursor: page.next.map(|c| c.to_string()),
            total: page.total,
        });
    };
    let bounded = call.query.text("limit").is_some();
    if !bounded {
        wanted.limit = limits::PAGE_MAX;
    }
    let mut rows: Vec<T> = Vec::new();
    let cut = loop {
        let page = fetch(wanted.clone()).await?;
        rows.extend(page.items);
        wanted.cursor = page.next;
        let full = rows.len() >= limits::CSV_ROWS as usize;
        if wanted.cursor.is_none() || bounded || full {
            break wanted.cursor.is_some();
        }
    };
    csv(columns, &rows, cut, form)
}

/// How a CSV text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CsvForm {
    /// With its first letter: for programs.
    Plain,
    /// With a byte order mark, by which spreadsheets know UTF-8.
    Marked,
}

/// Whether the caller wants CSV: by `Accept`, or by `format` where a link cannot send it.
pub(crate) fn csv_form(call: &Call) -> Result<Option<CsvForm>, Problem> {
    match call.query.text("format") {
        Some("csv") => Ok(Some(CsvForm::Plain)),
        Some("csv-bom") => Ok(Some(CsvForm::Marked)),
        Some("json") => Ok(None),
        None => Ok(call.accepts("text/csv").then_some(CsvForm::Plain)),
        Some(_) => Err(Problem::bad("format", "format: json, csv or csv-bom")
            .accepting(["json", "csv", "csv-bom"])),
    }
}

/// Answers rows as CSV; `cut` tells that there are more.
pub(crate) fn csv<T: Serialize>(
    columns: &'static [csv::Column],
    rows: &[T],
    cut: bool,
    form: CsvForm,
) -> Result<Response, Problem> {
    let mut text = csv::Text::new(columns);
    for row in rows {
        text.row(row)?;
    }
    let mut response = (
        StatusCode::OK,
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"fleetmend.csv\""),
        ],
        match form {
            CsvForm::Plain => text.finish()?,
            CsvForm::Marked => ["\u{feff}".as_bytes(), &text.finish()?].concat(),
        },
    )
        .into_response();
    if cut {
        let yes = axum::http::HeaderValue::from_static("true");
        response.headers_mut().insert("x-fleetmend-truncated", yes);
    }
    Ok(response)
}

/// A page of what is held whole.
pub(crate) fn whole<T>(mut items: Vec<T>, request: &PageRequest) -> Page<T> {
    let total = items.len() as u64;
    let limit = if request.limit == 0 { limits::PAGE } else { request.limit };
    items.truncate(limit as usize);
    Page { items, next: None, total }
}
