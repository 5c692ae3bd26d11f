//! `/api/docs`: the API for people, from the same table that serves it.

use askama::Template;

use super::{Frame, html};
use crate::http::call::Call;
use crate::http::docs::described;
use crate::http::route::{Answer, Param, Route};

#[derive(Debug, Template)]
#[template(path = "docs.html")]
struct DocsPage {
    p: Frame,
    routes: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    id: String,
    verb: &'static str,
    path: &'static str,
    summary: &'static str,
    permission: &'static str,
    audit: &'static str,
    list: bool,
    params: Vec<Param>,
    body: String,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let routes = described().map(section).collect();
    html(&DocsPage { p: Frame::new(&call, "docs"), routes })
}

fn section(route: &'static Route) -> Section {
    Section {
        id: format!("{}{}", route.verb.as_str().to_ascii_lowercase(), route.path.replace('/', "-")),
        verb: route.verb.as_str(),
        path: route.path,
        summary: route.summary,
        permission: route.rule.permission.as_str(),
        audit: route.rule.audit.unwrap_or_default(),
        list: route.list,
        params: route.params(),
        body: route.body.map(fields).unwrap_or_default(),
    }
}

/// The schema of a body as JSON.
fn fields(body: crate::http::route::Shape) -> String {
    let mut schemas = Vec::new();
    body(&mut schemas);
    schemas
        .first()
        .and_then(|(_, schema)| serde_json::to_string_pretty(schema).ok())
        .unwrap_or_default()
}
