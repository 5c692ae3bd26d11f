//! Lists: pages of JSON, or all of it as CSV.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleetmend_core::limits;
use fleetmend_store::{Cursor, Page, PageRequest};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::access::LimitClass;
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

/// Answers a list: `fetch` reads one page, `with` is what it needs beside the call.
///
/// CSV holds every row from the cursor on, and is sent page by page as it is read: never more than
/// one page is in memory. It ends after [`limits::CSV_ROWS`]; that there are more is told in the
/// header `X-Fleetmend-Truncated`. What fails on the way breaks the answer off, so that nobody takes
/// a part for the whole.
pub(crate) async fn list<T, C, F, R>(
    mut call: Call,
    columns: &'static [csv::Column],
    with: C,
    fetch: F,
) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    C: Send + Sync + 'static,
    F: Fn(Arc<Call>, Arc<C>, PageRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Page<T>, Problem>> + Send + 'static,
{
    let mut wanted = request(&call)?;
    let form = csv_form(&call)?;
    let bounded = call.query.text("limit").is_some();
    // Who reads slowly holds no place of those who ask.
    let _place = call.place.take();
    let (call, with) = (Arc::new(call), Arc::new(with));
    let Some(form) = form else {
        let page = fetch(call, with, wanted).await?;
        return ok(&PageOf {
            items: page.items,
            next_cursor: page.next.map(|c| c.to_string()),
            total: page.total,
        });
    };
    if !bounded {
        wanted.limit = limits::PAGE_MAX;
    }
    let first = fetch(Arc::clone(&call), Arc::clone(&with), wanted.clone()).await?;
    let most = u64::from(limits::CSV_ROWS);
    let cut = if bounded { first.next.is_some() } else { first.total > most };
    let rows = first.items.len() as u64;
    let begin = begin(form, csv::text(columns, &first.items, true)?);
    let rest = Rest { call, with, fetch, columns, wanted, rows, most, cut };
    let next = first.next.filter(|_| !bounded);
    let pages = stream::unfold((rest, next), |(mut rest, next)| async move {
        let page = rest.page(next?).await;
        let (text, next) = match page {
            Ok((text, next)) => (Ok(text), next),
            Err(problem) => (Err(std::io::Error::other(problem.detail.clone())), None),
        };
        Some((text, (rest, next)))
    });
    let body = Body::from_stream(stream::once(std::future::ready(Ok(begin))).chain(pages));
    Ok(attachment(body, cut))
}

/// What is needed to read on.
struct Rest<C, F> {
    call: Arc<Call>,
    with: Arc<C>,
    fetch: F,
    columns: &'static [csv::Column],
    wanted: PageRequest,
    rows: u64,
    most: u64,
    cut: bool,
}

impl<C, F> Rest<C, F> {
    /// The next page as text, and where it goes on.
    async fn page<T, R>(&mut self, from: Cursor) -> Result<(Vec<u8>, Option<Cursor>), Problem>
    where
        T: Serialize,
        F: Fn(Arc<Call>, Arc<C>, PageRequest) -> R,
        R: Future<Output = Result<Page<T>, Problem>>,
    {
        if self.rows >= self.most {
            if self.cut {
                return Ok((Vec::new(), None));
            }
            // Rows came while it was read: the header said that this is all.
            return Err(Problem::busy("the list grew while it was read: ask again"));
        }
        self.wanted.cursor = Some(from);
        // While a page is made, and not while it is read.
        let _place = self.call.site.guard.wait(LimitClass::Read).await;
        let (call, with) = (Arc::clone(&self.call), Arc::clone(&self.with));
        let page = (self.fetch)(call, with, self.wanted.clone()).await?;
        self.rows += page.items.len() as u64;
        Ok((csv::text(self.columns, &page.items, false)?, page.next))
    }
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
    Ok(attachment(begin(form, csv::text(columns, rows, true)?).into(), cut))
}

fn begin(form: CsvForm, text: Vec<u8>) -> Vec<u8> {
    match form {
        CsvForm::Plain => text,
        CsvForm::Marked => ["\u{feff}".as_bytes(), &text].concat(),
    }
}

fn attachment(body: Body, cut: bool) -> Response {
    let mut response = (
        StatusCode::OK,
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"fleetmend.csv\""),
        ],
        body,
    )
        .into_response();
    if cut {
        let yes = axum::http::HeaderValue::from_static("true");
        response.headers_mut().insert("x-fleetmend-truncated", yes);
    }
    response
}

/// A page of what is held whole.
pub(crate) fn whole<T>(mut items: Vec<T>, request: &PageRequest) -> Page<T> {
    let total = items.len() as u64;
    // It has no cursor: as much as a page may hold, unless less is asked for.
    let limit = if request.limit == 0 { limits::PAGE_MAX } else { request.limit };
    items.truncate(limit as usize);
    Page { items, next: None, total }
}
