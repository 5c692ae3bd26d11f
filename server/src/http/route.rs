//! What a route is: the type of the rows in [`super::routes`]. A handler takes a [`Call`], and only
//! the dispatcher makes one, after it has held the request against the row's [`Rule`].

use std::pin::Pin;

use axum::response::Response;
use utoipa::openapi::{RefOr, Schema};

use super::access::{LimitClass, Rule};
use super::call::Call;
use super::problem::Problem;
use fleetmend_core::token::Permission;

/// What a handler gives.
pub(crate) type Answer = Result<Response, Problem>;
/// A handler, as the table holds it.
pub(crate) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
/// A schema and the schemas that it names.
pub(crate) type Shape = fn(&mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;

/// The HTTP method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Replaces.
    Put,
    /// Takes away.
    Delete,
}

impl Verb {
    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request with it changes something.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Get)
    }
}

/// To whom a route speaks: decides the form of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Programs: JSON and problem details.
    Api,
    /// People: HTML; without a session they are sent to the log-in page.
    Page,
    /// Files and health.
    Plain,
}

/// A query parameter or form field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the API's documentation.
    pub what: &'static str,
    /// Whether it may repeat.
    pub many: bool,
}

impl Param {
    /// A parameter that stands once.
    pub(crate) const fn one(name: &'static str, what: &'static str) -> Self {
        Self { name, what, many: false }
    }

    /// A parameter that may repeat.
    pub(crate) const fn many(name: &'static str, what: &'static str) -> Self {
        Self { name, what, many: true }
    }
}

/// The parameters of every list.
pub(crate) const PAGING: &[Param] = &[
    Param::one("limit", "Items in the page, 1 to 1000; 50 unless asked."),
    Param::one("cursor", "Where to go on: `next_cursor` of the page before."),
    Param::one(
        "format",
        "csv for CSV as with Accept: text/csv; csv-bom for CSV that spreadsheets read as UTF-8.",
    ),
];
const PAGE_PARAMS: &[Param] = &[Param::one("lang", "The page's language: en or ru.")];

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// The path, in axum's notation.
    pub path: &'static str,
    /// To whom it speaks.
    pub face: Face,
    /// What it asks of its caller.
    pub rule: Rule,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its query parameters, besides those of lists and pages.
    pub query: &'static [Param],
    /// Whether it is a list: takes `limit` and `cursor`, answers CSV too.
    pub list: bool,
    /// The shape of its JSON body.
    pub(crate) body: Option<Shape>,
    /// The shape of its JSON answer.
    pub(crate) answer: Option<Shape>,
    /// What serves it.
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.path)
    }
}

impl Route {
    /// A row; the rest is added by the methods below.
    pub(crate) const fn new(
        verb: Verb,
        path: &'static str,
        face: Face,
        rule: Rule,
        summary: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            verb,
            path,
            face,
            rule,
            summary,
            query: &[],
            list: false,
            body: None,
            answer: None,
            handler,
        }
    }

    /// With query parameters.
    pub(crate) const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    /// As a list of `items`.
    pub(crate) const fn list(mut self, items: Shape) -> Self {
        self.list = true;
        self.answer = Some(items);
        self
    }

    /// With a JSON body.
    pub(crate) const fn takes(mut self, body: Shape) -> Self {
        self.body = Some(body);
        self
    }

    /// With a JSON answer.
    pub(crate) const fn gives(mut self, answer: Shape) -> Self {
        self.answer = Some(answer);
        self
    }

    /// With another share of capacity.
    pub(crate) const fn limit(mut self, limit: LimitClass) -> Self {
        self.rule.limit = limit;
        self
    }

    /// Whether anybody may call it.
    pub const fn is_public(&self) -> bool {
        matches!(self.rule.permission, Permission::Public)
    }

    /// Every query parameter that it takes.
    pub fn params(&self) -> Vec<Param> {
        let mut all = self.query.to_vec();
        if self.list {
            all.extend_from_slice(PAGING);
        }
        if self.face == Face::Page {
            all.extend_from_slice(PAGE_PARAMS);
        }
        all
    }
}

/// The schema of `T` and of all it names.
pub(crate) fn shape<T: utoipa::ToSchema>(
    schemas: &mut Vec<(String, RefOr<Schema>)>,
) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
    utoipa::openapi::Ref::from_schema_name(T::name()).into()
}
