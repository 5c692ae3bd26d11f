//! What people and their programs see: REST under `/api/v1`, the dashboard, health. Every way in is
//! a row of [`routes::ROUTES`]; this file builds the one router from it.

pub mod access;
mod api;
pub mod auth;
mod call;
mod csv;
mod dispatch;
mod docs;
mod guard;
mod log_in;
mod origin;
mod paging;
mod params;
pub mod problem;
mod route;
mod routes;
mod store_errors;
mod web;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::state::Shared;
pub use route::{Face, Param, Route, Verb};
pub use routes::ROUTES;

/// What the handlers share.
#[derive(Debug)]
struct Site {
    shared: Shared,
    guard: guard::Guard,
    /// Whether people reach the server by TLS: decides the cookie.
    secure: bool,
}

/// The router of REST, dashboard and health. Serve it with
/// `into_make_service_with_connect_info::<SocketAddr>()`, so that log-ins can be bounded by address.
pub fn router(shared: Shared) -> Router {
    let secure = shared.config.http_cert.is_some();
    let site = Arc::new(Site { shared, guard: guard::Guard::default(), secure });
    let mut paths: Vec<(&'static str, MethodRouter)> = Vec::new();
    for route in ROUTES {
        let served = serve(&site, route);
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, methods)) => *methods = std::mem::take(methods).merge(served),
            None => paths.push((route.path, served)),
        }
    }
    let (nowhere, otherwise) = (site.clone(), site.clone());
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    router
        .fallback(move |request: Request| {
            let site = nowhere.clone();
            async move { dispatch::no_route(&site, request.uri(), request.headers(), false).await }
        })
        .method_not_allowed_fallback(move |request: Request| {
            let site = otherwise.clone();
            async move { dispatch::no_route(&site, request.uri(), request.headers(), true).await }
        })
}

/// The health answers alone, for the port that only monitors reach: no TLS stands before it there.
pub fn health(site: &Router) -> Router {
    let answer = |site: Router| {
        axum::routing::get(move |request: Request| tower::ServiceExt::oneshot(site, request))
    };
    Router::new().route("/livez", answer(site.clone())).route("/readyz", answer(site.clone()))
}

fn serve(site: &Arc<Site>, route: &'static Route) -> MethodRouter {
    let site = site.clone();
    let filter = match route.verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Put => MethodFilter::PUT,
        Verb::Delete => MethodFilter::DELETE,
    };
    on(filter, move |request: Request| dispatch::dispatch(site.clone(), route, request))
}
