//! One admitted request, as handlers see it. Only the dispatcher makes one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fleetmend_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use super::Site;
use super::auth::{self, Caller};
use super::params::Params;
use super::problem::Problem;
use super::route::Param;
use super::web::i18n::Words;

/// One admitted request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) site: Arc<Site>,
    pub(super) caller: Option<Caller>,
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: Params,
    pub(super) raw_path: String,
    pub(super) raw_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) peer: IpAddr,
    pub(super) words: Words,
    pub(super) now: Timestamp,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Call {
    /// What the server is made of.
    pub(crate) fn shared(&self) -> &crate::state::Shared {
        &self.site.shared
    }

    /// The database.
    pub(crate) fn db(&self) -> &fleetmend_store::Db {
        &self.site.shared.db
    }

    /// How the caller stands in the audit log.
    pub(crate) fn actor(&self) -> String {
        self.caller.as_ref().map_or_else(|| "nobody".to_owned(), Caller::actor)
    }

    /// A part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A part of the path that is an id or another exact form.
    pub(crate) fn id<T: FromStr>(&self) -> Result<T, Problem>
    where
        T::Err: std::fmt::Display,
    {
        self.part("id").parse().map_err(|e: T::Err| Problem::bad("id", e.to_string()))
    }

    /// The JSON body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let is_json = kind.is_some_and(|k| {
            k.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "JSON is wanted",
                "send the body as JSON, with \"Content-Type: application/json\"",
            )
            .field("Content-Type"));
        }
        serde_json::from_slice(&self.body).map_err(|e| {
            let text = e.to_string();
            let mut problem = Problem::bad("body", format!("the body cannot be read: {text}"));
            // serde names the field first of all that stands in backticks.
            if let Some(name) = text.split('`').nth(1).filter(|n| n.len() <= 80) {
                problem.field = Some(name.to_owned());
            }
            problem
        })
    }

    /// The form of a page; its form token has been checked.
    pub(crate) fn form(&self, known: &[Param]) -> Result<Params, Problem> {
        let text = std::str::from_utf8(&self.body)
            .map_err(|_| Problem::bad("body", "the form is not UTF-8: reload the page"))?;
        let mut all = known.to_vec();
        all.push(Param::one("form_token", ""));
        let params = Params::read(text, &all)?;
        if let Some(caller) = &self.caller
            && !auth::form_token_fits(caller, params.text("form_token").unwrap_or_default())
        {
            return Err(Problem::forbidden("the page is too old: reload it and try again")
                .field("form_token"));
        }
        Ok(params)
    }

    /// Whether the caller wants `kind` rather than JSON or a page.
    pub(crate) fn accepts(&self, kind: &str) -> bool {
        self.headers
            .get(header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.split(',').any(|part| part.trim().split(';').next() == Some(kind)))
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// A JSON answer with 200.
pub(crate) fn ok(value: &impl Serialize) -> Result<Response, Problem> {
    json(StatusCode::OK, value)
}
