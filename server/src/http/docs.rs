//! The API's description, made from the table of routes: what is not in the table is not described,
//! and what is in it cannot be forgotten.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, RefOr, Required, ResponseBuilder, Schema,
};

use super::call::{Call, ok};
use super::problem::ProblemDocument;
use super::route::{Answer, Face, Route, Verb, shape};
use super::routes::ROUTES;

/// The rows that the description covers.
pub(crate) fn described() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|r| r.face == Face::Api)
}

/// Serves the description.
pub(crate) async fn openapi(_call: Call) -> Answer {
    ok(&description())
}

/// Builds the description.
pub(crate) fn description() -> OpenApi {
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    let problem = shape::<ProblemDocument>(&mut schemas);
    let mut paths = PathsBuilder::new();
    for route in described() {
        let operation = operation(route, &mut schemas, &problem);
        let method = match route.verb {
            Verb::Get => HttpMethod::Get,
            Verb::Post => HttpMethod::Post,
            Verb::Put => HttpMethod::Put,
            Verb::Delete => HttpMethod::Delete,
        };
        paths = paths.path(route.path, PathItem::new(method, operation));
    }
    let mut components = ComponentsBuilder::new();
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    components = components
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Fleetmend")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Why updates and backups fail on many machines, their repair and its proof. \
                     Lists take `limit` and `cursor` and answer CSV to `Accept: text/csv`; errors \
                     are RFC 9457 problem details; times are RFC 3339 in UTC.",
                ))
                .build(),
        )
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn operation(
    route: &Route,
    schemas: &mut Vec<(String, RefOr<Schema>)>,
    problem: &RefOr<Schema>,
) -> utoipa::openapi::path::Operation {
    let mut text = format!("Permission: {}.", route.rule.permission);
    if let Some(kind) = route.rule.audit {
        text = format!("{text} Audited as `{kind}`.");
    }
    let mut operation = OperationBuilder::new()
        .summary(Some(route.summary))
        .description(Some(text))
        .operation_id(Some(operation_id(route)))
        .tag(route.path.split('/').nth(3).unwrap_or("api"));
    if !route.is_public() {
        operation =
            operation.security(SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []));
    }
    for name in path_parts(route.path) {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text_schema())),
        );
    }
    for param in route.params() {
        let schema: RefOr<Schema> = if param.many {
            ArrayBuilder::new().items(text_schema()).into()
        } else {
            text_schema()
        };
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(param.name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(param.what))
                .schema(Some(schema)),
        );
    }
    if let Some(body) = route.body {
        let content = ContentBuilder::new().schema(Some(body(schemas))).build();
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .content("application/json", content)
                .required(Some(Required::True))
                .build(),
        ));
    }
    let mut response = ResponseBuilder::new().description("Done.");
    if let Some(answer) = route.answer {
        let item = answer(schemas);
        let schema = if route.list { page_of(item) } else { item };
        let content = ContentBuilder::new().schema(Some(schema)).build();
        response = response.content("application/json", content);
        if route.list {
            let csv = ContentBuilder::new().schema(Some(text_schema())).build();
            response = response.content("text/csv", csv);
        }
    }
    let refused = ResponseBuilder::new()
        .description("Refused, or failed: the detail names the field and the remedy.")
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(problem.clone())).build(),
        );
    operation.response("2XX", response.build()).response("default", refused.build()).build()
}

/// `GET /api/v1/hosts/{id}/jobs` is `get_hosts_id_jobs`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/").trim_start_matches("v1/");
    let words: String =
        path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let words: Vec<&str> = words.split('_').filter(|w| !w.is_empty()).collect();
    format!("{}_{}", route.verb.as_str().to_ascii_lowercase(), words.join("_"))
}

/// The names in braces of a path.
pub(crate) fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'))
}

fn text_schema() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).into()
}

fn page_of(item: RefOr<Schema>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(item))
        .property(
            "next_cursor",
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])),
        )
        .property("total", ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)))
        .required("items")
        .required("next_cursor")
        .required("total")
        .into()
}

/// Serves a file that is compiled in.
pub(crate) fn file(kind: &'static str, bytes: &'static [u8]) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], bytes).into_response()
}
