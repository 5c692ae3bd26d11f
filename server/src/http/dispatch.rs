//! From a request to a handler: capacity, origin, credential, permission, parameters, body, time.
//! The order is the same for every route, because every route goes through here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use fleetmend_core::limits;
use tracing::Instrument as _;

use super::access::LimitClass;
use super::call::Call;
use super::params::{self, Params};
use super::problem::Problem;
use super::route::{Face, Route};
use super::web::i18n::{self, Words};
use super::{Site, auth, origin, web};

/// Pages load our own style, scripts and events, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Serves one request by one row of the table.
pub(super) async fn dispatch(site: Arc<Site>, route: &'static Route, request: Request) -> Response {
    let occurrence = uuid::Builder::from_random_bytes(crate::entropy::bytes()).into_uuid();
    let occurrence = occurrence.hyphenated().to_string();
    let span = tracing::info_span!(
        "http",
        route = route.path,
        method = route.verb.as_str(),
        request.id = %occurrence
    );
    let words = language(request.uri().query(), request.headers());
    let secure = site.secure;
    let mut visit = web::Visit {
        caller: None,
        words,
        now: site.shared.clock.now(),
        changes: route.verb.changes(),
        path: if route.verb.changes() { "/" } else { request.uri().path() }.to_owned(),
        halt: site.shared.halt.standing().first().cloned(),
    };
    let mut response = async {
        let wants_page = route.face == Face::Page;
        match serve(site, route, request, &mut visit).await {
            Ok(response) => response,
            Err(problem) => {
                if let Some(cause) = &problem.cause {
                    tracing::error!(status = problem.status.as_u16(), cause, "request failed");
                } else {
                    tracing::debug!(
                        status = problem.status.as_u16(),
                        kind = problem.kind,
                        "request refused"
                    );
                }
                if wants_page {
                    web::errors::page(problem, &visit, &occurrence)
                } else {
                    problem.into_json(&occurrence)
                }
            }
        }
    }
    .instrument(span)
    .await;
    guard_headers(&mut response, secure, route.rule.limit == LimitClass::Asset);
    if let Ok(value) = HeaderValue::from_str(&occurrence) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

/// What answers where no row fits: the same for everybody, so that it tells nothing; who is logged
/// in keeps the navigation.
pub(super) async fn no_route(
    site: &Site,
    address: &Uri,
    headers: &HeaderMap,
    wrong_method: bool,
) -> Response {
    let page = !address.path().starts_with("/api")
        && headers
            .get(header::ACCEPT)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.contains("text/html"));
    let words = language(address.query(), headers);
    let problem = if wrong_method {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "Another method is wanted",
            "the address is right and the method is not: /api/docs lists the methods",
        )
    } else {
        Problem::not_found("nothing is at this address: /api/docs lists what there is")
    };
    let id = uuid::Builder::from_random_bytes(crate::entropy::bytes()).into_uuid().to_string();
    // A place as for any page: strangers ask for what is not there, too.
    let place = if page { site.guard.enter(LimitClass::Read).ok() } else { None };
    let mut response = if place.is_some() {
        let now = site.shared.clock.now();
        let who = auth::authenticate(&site.shared.db, headers, site.secure, now).await;
        let (changes, path) = (false, "/".to_owned());
        let halt = site.shared.halt.standing().first().cloned();
        let caller = who.ok().flatten();
        let visit = web::Visit { caller, words, now, changes, path, halt };
        web::errors::page(problem, &visit, &id)
    } else {
        problem.into_json(&id)
    };
    guard_headers(&mut response, site.secure, false);
    response
}

async fn serve(
    site: Arc<Site>,
    route: &'static Route,
    request: Request,
    visit: &mut web::Visit,
) -> Result<Response, Problem> {
    let (words, now) = (visit.words, visit.now);
    let (mut parts, body) = request.into_parts();
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    let (arriving, place) = match route.rule.limit {
        LimitClass::Login => (Some(site.guard.arrive(peer)?), None),
        class => (None, Some(site.guard.enter(class)?)),
    };
    let path = match RawPathParams::from_request_parts(&mut parts, &()).await {
        Ok(params) => params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        Err(_) => BTreeMap::new(),
    };
    let headers = parts.headers;
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let caller = if route.rule.limit == LimitClass::Health || route.rule.limit == LimitClass::Asset
    {
        None
    } else {
        match auth::authenticate(&site.shared.db, &headers, site.secure, now).await {
            Ok(caller) => caller,
            // A stale cookie must not bar the way to the log-in page.
            Err(_) if route.is_public() => None,
            Err(problem) => return refuse_stranger(route, problem, &target),
        }
    };
    visit.caller.clone_from(&caller);
    if !route.is_public() {
        let Some(caller) = &caller else {
            let problem = Problem::unauthorized(
                "send \"Authorization: Bearer fmt_…\" with an API token, or log in at /login",
            );
            return refuse_stranger(route, problem, &target);
        };
        if let Err(problem) = caller.require(route.rule.permission) {
            if route.face == Face::Page && problem.kind == "change_password" {
                return Ok(Redirect::to("/password").into_response());
            }
            return Err(problem);
        }
    }
    if route.verb.changes() {
        origin::check(&headers, caller.as_ref().is_some_and(auth::Caller::by_cookie))?;
    }

    let query = Params::read(parts.uri.query().unwrap_or_default(), &route.params())?;
    let body = read_body(route, body).await?;
    let place = match place {
        Some(place) => place,
        None => site.guard.enter(route.rule.limit)?,
    };
    drop(arriving);
    let call = Call {
        site,
        caller,
        path,
        query,
        raw_path: parts.uri.path().to_owned(),
        raw_query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
        peer,
        words,
        now,
        place: Some(place),
    };
    let asked = call.query.text("lang").is_some();
    let secure = call.site.secure;
    let mut response = tokio::time::timeout(limits::REQUEST_TIME, (route.handler)(call))
        .await
        .map_err(|_| {
        Problem::busy(if route.verb.changes() {
            "the answer took too long: look first whether the change was made, then try again"
        } else {
            "the answer took too long: ask for less, or try again"
        })
    })??;
    if asked && route.face == Face::Page {
        let tls = if secure { "; Secure" } else { "" };
        let cookie = format!("lang={}; Path=/; SameSite=Lax; Max-Age=31536000{tls}", words.code());
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    Ok(response)
}

/// Without a credential, people are shown the log-in page and programs the reason.
fn refuse_stranger(route: &Route, problem: Problem, target: &str) -> Result<Response, Problem> {
    if route.face == Face::Page && problem.status == StatusCode::UNAUTHORIZED {
        let next = if route.verb.changes() { "/" } else { target };
        let to = format!("/login?next={}", params::encode(next));
        return Ok(Redirect::to(&to).into_response());
    }
    Err(problem)
}

async fn read_body(route: &Route, body: axum::body::Body) -> Result<Bytes, Problem> {
    if route.rule.body == 0 {
        return Ok(Bytes::new());
    }
    // Who sends slowly holds a place of its kind meanwhile, or one of those that log-ins arrive by.
    let whole =
        tokio::time::timeout(limits::BODY_TIME, axum::body::to_bytes(body, route.rule.body));
    let too_slow = |_| {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "The request took too long",
            format!(
                "the body did not arrive in {} seconds: send it again",
                limits::BODY_TIME.as_secs()
            ),
        )
    };
    whole.await.map_err(too_slow)?.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The request is too large",
            format!("the body goes over {} bytes, or broke off: send less", route.rule.body),
        )
    })
}

fn language(query: Option<&str>, headers: &HeaderMap) -> Words {
    let asked = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("lang="));
    let accept = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
    Words(i18n::choose(asked, auth::cookie(headers, "lang"), accept))
}

fn guard_headers(response: &mut Response, secure: bool, keep: bool) {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    );
    set(header::CACHE_CONTROL, if keep { "public, max-age=3600" } else { "no-store" });
    if secure {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}
