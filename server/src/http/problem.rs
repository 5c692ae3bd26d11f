//! Errors as a caller sees them: RFC 9457 problem details for programs, a page for people. The one
//! place that decides an HTTP status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// A refusal or failure. `detail` names the field and the remedy; `cause` is for the log only.
///
/// One word wide, so that results stay small; its parts are reached as if they were its own.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

/// The parts of a [`Problem`].
#[derive(Debug)]
pub struct Parts {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub kind: &'static str,
    /// The same in a few words for people.
    pub title: &'static str,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// The field, parameter or header concerned.
    pub field: Option<String>,
    /// The words that would have been accepted.
    pub accepted: Vec<String>,
    /// Further members of the problem document.
    pub more: Map<String, Value>,
    /// What the log gets and the caller does not.
    pub cause: Option<String>,
}

/// The problem document on the wire.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `urn:fleetmend:problem:` and a stable word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// Names this one occurrence; quote it when asking for help.
    pub instance: String,
    /// The field, parameter or header concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The words that would have been accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Further members.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            kind,
            title,
            detail: detail.into(),
            field: None,
            accepted: Vec::new(),
            more: Map::new(),
            cause: None,
        }))
    }

    /// A field or parameter that cannot be taken.
    pub fn bad(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem =
            Self::new(StatusCode::BAD_REQUEST, "invalid", "The request is not valid", detail);
        problem.field = Some(field.into());
        problem
    }

    /// Nothing is there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// No usable credential.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Log in first", detail)
    }

    /// The credential is good and does not suffice.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// The request is good and the present state forbids it.
    pub fn conflict(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, "Not possible now", detail)
    }

    /// Too much at once.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy: try again", detail)
    }

    /// The database is away. A change may have been made whose answer did not come.
    pub fn away(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_away",
            "The database is away: try again",
            detail,
        )
    }

    /// Our own failure; `cause` goes to the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            "look whether a change was made before you try again, and quote the instance to whoever runs the server",
        );
        problem.cause = Some(cause.to_string());
        problem
    }

    /// With the field concerned.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With the words that would have been accepted.
    pub fn accepting<I: IntoIterator<Item = S>, S: Into<String>>(mut self, words: I) -> Self {
        self.accepted = words.into_iter().map(Into::into).collect();
        self
    }

    /// With a further member.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.more.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
        self
    }

    /// The problem as JSON; `instance` names the occurrence.
    pub fn into_json(self, instance: &str) -> Response {
        let status = self.status;
        let parts = *self.0;
        let document = ProblemDocument {
            kind: format!("urn:fleetmend:problem:{}", parts.kind),
            title: parts.title.to_owned(),
            status: status.as_u16(),
            detail: parts.detail,
            instance: format!("urn:uuid:{instance}"),
            field: parts.field,
            accepted: parts.accepted,
            more: parts.more,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl std::ops::Deref for Problem {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::ops::DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl From<fleetmend_core::words::UnknownWord> for Problem {
    fn from(word: fleetmend_core::words::UnknownWord) -> Self {
        Self::bad(word.what, word.to_string()).accepting(word.accepted.iter().copied())
    }
}

impl From<fleetmend_core::ids::BadId> for Problem {
    fn from(id: fleetmend_core::ids::BadId) -> Self {
        Self::bad("id", id.to_string())
    }
}
