//! Who reaches what: every route of the table with every credential, and what is no route at all.

mod http_support;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use fleetmend_core::token::{Permission, Role};
use fleetmend_server::http::access::LimitClass;
use fleetmend_server::http::{Face, ROUTES, Route, Verb};
use http_support::{ORIGIN, Site};

const NOBODY: &str = "01990000-0000-7000-8000-0000000000ff";

fn target(route: &Route) -> String {
    route.path.replace("{id}", NOBODY).replace("{code}", "0x80070003")
}

fn method(verb: Verb) -> Method {
    Method::from_bytes(verb.as_str().as_bytes()).expect("a method")
}

/// What somebody who may gets, for ids that do not exist and bodies that are empty.
fn admitted(route: &Route) -> u16 {
    match (route.verb, route.path) {
        (Verb::Post, "/login") => 401,
        (Verb::Post, "/logout") => 303,
        (Verb::Post, path) if route.face == Face::Page => {
            let bare = [
                "/hosts/{id}/accept",
                "/incidents/{id}/reopen",
                "/enroll/{id}/revoke",
                "/guided/{id}/take",
                "/guided/{id}/tick",
                "/guided/{id}/note",
                "/guided/{id}/done",
                "/people/{id}/disable",
                "/people/{id}/enable",
                "/people/{id}/reset",
                "/freezes/{id}/end",
                "/halt/lift",
            ];
            let of_campaign = path.starts_with("/campaigns/{id}/");
            if of_campaign || bare.contains(&path) { 404 } else { 400 }
        }
        (Verb::Post | Verb::Put, _) => 415,
        (Verb::Delete, _) => 404,
        (Verb::Get, path) if path.contains("{id}") => 404,
        // Asked nothing.
        (Verb::Get, "/api/v1/explain" | "/campaigns/preview") => 400,
        (Verb::Get, _) => 200,
    }
}

fn stranger(route: &Route) -> u16 {
    match (route.is_public(), route.face) {
        (true, _) => admitted(route),
        (false, Face::Page) => 303,
        (false, Face::Api | Face::Plain) => 401,
    }
}

async fn knock(
    site: &Site,
    route: &Route,
    bearer: Option<&str>,
    cookie: Option<(&str, &str)>,
) -> u16 {
    let mut request = Request::builder().method(method(route.verb)).uri(target(route));
    if let Some(token) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut body = String::new();
    if let Some((cookie, form)) = cookie {
        request = request.header(header::COOKIE, cookie).header(header::ORIGIN, ORIGIN);
        if route.verb != Verb::Get && route.face == Face::Page && route.path != "/login" {
            body = format!("form_token={form}");
        }
    }
    site.send(request.body(Body::from(body)).expect("a request")).await.status.as_u16()
}

/// Nobody looks after the database of this site: after some seconds it is called not ready.
fn usual(route: &Route, wanted: u16, got: u16) -> u16 {
    if route.path == "/readyz" && got == 503 { got } else { wanted }
}

#[tokio::test]
async fn every_route_answers_every_credential_as_its_row_says() {
    let site = Site::new().await;
    let mut cells = 0;
    for route in ROUTES {
        let none = knock(&site, route, None, None).await;
        assert_eq!(none, stranger(route), "{route:?} without a credential");
        let bad = knock(&site, route, Some("fmt_AAAA"), None).await;
        assert_eq!(bad, stranger(route), "{route:?} with a bad token");
        let basic = knock(&site, route, None, Some(("fleetmend=AAAA", "x"))).await;
        assert_eq!(basic, stranger(route), "{route:?} with a bad cookie");
        cells += 3;
    }
    for role in Role::ALL {
        let token = site.token(*role).await;
        for route in ROUTES {
            // No token approves or manages people, and none has a password.
            let needs = route.rule.permission;
            let may = role.grants(needs) && !needs.needs_log_in() && route.path != "/password";
            let wanted = if may { admitted(route) } else { 403 };
            let got = if route.face == Face::Page && route.verb != Verb::Get && !route.is_public() {
                let cookie = site.log_in(&token).await;
                let form = site.form_token(&cookie).await;
                knock(&site, route, None, Some((&cookie, &form))).await
            } else {
                knock(&site, route, Some(&token), None).await
            };
            assert_eq!(got, usual(route, wanted, got), "{route:?} as {role}");
            cells += 1;
        }
    }
    for role in Role::ALL {
        let (name, password) = (role.as_str(), "words that only it knows");
        site.user(name, *role, password).await;
        let (mut cookie, _) = site.log_in_as(name, password).await;
        for route in ROUTES {
            let wanted = if role.grants(route.rule.permission) { admitted(route) } else { 403 };
            let form = site.form_token(&cookie).await;
            let got = knock(&site, route, None, Some((&cookie, &form))).await;
            assert_eq!(got, usual(route, wanted, got), "{route:?} as the user {role}");
            cells += 1;
            if route.path == "/logout" {
                (cookie, _) = site.log_in_as(name, password).await;
            }
        }
    }
    assert_eq!(cells, ROUTES.len() * (3 + 2 * Role::ALL.len()));
}

/// The table as people review it: a new route, or another permission, is a changed line of that file.
#[test]
fn the_table_of_routes_is_the_one_that_was_reviewed() {
    let mut lines: Vec<String> = ROUTES
        .iter()
        .map(|route| {
            let rule = route.rule;
            let (verb, needs) = (route.verb.as_str(), rule.permission);
            let (audit, limit) = (rule.audit.unwrap_or("-"), rule.limit);
            format!("{} {verb} {needs} {audit} {limit}\n", route.path)
        })
        .collect();
    lines.sort_unstable();
    let now = lines.concat();
    let reviewed = include_str!("routes.txt");
    let new: Vec<_> = now.lines().filter(|line| !reviewed.lines().any(|r| r == *line)).collect();
    let gone: Vec<_> = reviewed.lines().filter(|line| !now.lines().any(|r| r == *line)).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "server/tests/routes.txt lacks these lines: {new:#?}\nand has these, which are not so: {gone:#?}"
    );
}

#[test]
fn every_change_is_bounded_audited_and_not_public() {
    for route in ROUTES {
        let rule = route.rule;
        if route.path == "/api/v1/campaigns/preview" {
            // A question too long for an address.
            assert_eq!((rule.audit, rule.permission), (None, Permission::Read));
            continue;
        }
        if route.verb == Verb::Get {
            assert_eq!(rule.audit, None, "{route:?}");
            assert_eq!(rule.body, 0, "{route:?}");
        } else {
            assert!(rule.audit.is_some(), "{route:?} changes something and is not audited");
            assert!((1..=64 * 1024).contains(&rule.body), "{route:?}");
            assert!(matches!(rule.limit, LimitClass::Write | LimitClass::Login), "{route:?}");
            let log_in = route.path == "/login" || route.path == "/api/v1/sessions";
            assert_eq!(rule.permission == Permission::Public, log_in, "{route:?}");
        }
    }
    let mut rows: Vec<_> = ROUTES.iter().map(|r| (r.path, r.verb.as_str())).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), ROUTES.len(), "two rows for one method and path");
}

#[tokio::test]
async fn odd_paths_reach_nothing() {
    let site = Site::new().await;
    let token = site.log_in_token(Role::Admin).await;
    for route in ROUTES.iter().filter(|r| r.path != "/") {
        let path = target(route);
        let upper = route.path.to_ascii_uppercase().replace("{ID}", NOBODY).replace("{CODE}", "x");
        let odd = [
            format!("/{path}"),
            format!("{path}/"),
            format!("/x/..{path}"),
            format!("/.{path}"),
            format!("/%2e{path}"),
            format!("{path}%00"),
            format!("{path}%2f"),
            path.replacen('/', "//", 2),
            upper,
        ];
        for odd in odd {
            let request = Request::builder()
                .method(method(route.verb))
                .uri(&odd)
                .header(header::AUTHORIZATION, format!("Bearer {token}"));
            let answer = site.send(request.body(Body::empty()).expect("a request")).await;
            // A part that is an id or a code takes odd text, and says what is wrong with it.
            let part = route.path.ends_with('}') && (odd.ends_with("%00") || odd.ends_with("%2f"));
            let code = part && route.path.ends_with("{code}");
            let wanted: &[u16] = match (part, code) {
                (true, true) => &[200, 400],
                (true, false) => &[400],
                // Its neighbour is a campaign, which is read and not asked.
                (false, _) if route.path == "/api/v1/campaigns/preview" => &[404, 405],
                (false, _) if ["/campaigns/new", "/campaigns/preview"].contains(&route.path) => {
                    &[400, 404]
                }
                (false, _) => &[404],
            };
            assert!(wanted.contains(&answer.status.as_u16()), "{odd}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let site = Site::new().await;
    let token = site.token(Role::Admin).await;
    let cookie = site.log_in(&token).await;
    let form = site.form_token(&cookie).await;
    for route in ROUTES.iter().filter(|r| r.verb != Verb::Get) {
        for (name, value) in [
            ("origin", "http://evil.test"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let request = Request::builder()
                .method(method(route.verb))
                .uri(target(route))
                .header(header::COOKIE, &cookie)
                .header(name, value);
            let body = Body::from(format!("form_token={form}"));
            let answer = site.send(request.body(body).expect("a request")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route:?} from {name}: {value}");
        }
        // A cookie alone, without a word of where it comes from.
        if route.path != "/login" {
            let request = Request::builder()
                .method(method(route.verb))
                .uri(target(route))
                .header(header::COOKIE, &cookie);
            let answer = site.send(request.body(Body::empty()).expect("a request")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{route:?} by a bare cookie");
        }
    }
    // Our own page, and a form token of another session.
    let other = site.log_in(&token).await;
    let foreign = site.form_token(&other).await;
    assert_ne!(foreign, form);
    let answer = site.form(&cookie, "/logout", &format!("form_token={foreign}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = site.form(&cookie, "/logout", &format!("form_token={form}")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(site.page(&cookie, "/", "en").await.status, StatusCode::SEE_OTHER, "logged out");
    assert_eq!(site.page(&other, "/", "en").await.status, StatusCode::OK, "the other is not");
}

#[tokio::test]
async fn revoked_tokens_and_their_sessions_end() {
    let site = Site::new().await;
    let admin = site.token(Role::Admin).await;
    let viewer = site.token(Role::Viewer).await;
    let cookie = site.log_in(&viewer).await;
    let list = site.get(&admin, "/api/v1/api-tokens").await.json();
    let items = list["items"].as_array().expect("items");
    let id = items.iter().find(|t| t["name"] == "the viewer").expect("listed")["id"].clone();
    let path = format!("/api/v1/api-tokens/{}", id.as_str().expect("id"));
    let gone = site.act("DELETE", &admin, &path, &serde_json::json!({})).await;
    assert_eq!(gone.status, StatusCode::OK, "{}", gone.text);
    assert_eq!(site.get(&viewer, "/api/v1/hosts").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.page(&cookie, "/", "en").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn refused_log_ins_are_bounded_by_the_socket_and_no_header() {
    let site = Site::new().await;
    let mut refused = 0;
    for n in 0..25 {
        let request = Request::post("/login")
            .header(header::ORIGIN, ORIGIN)
            .header("x-forwarded-for", format!("198.51.100.{n}"));
        let body = Body::from("token=fmt_wrong");
        let answer = site.send(request.body(body).expect("a request")).await;
        match answer.status {
            StatusCode::UNAUTHORIZED => refused += 1,
            StatusCode::TOO_MANY_REQUESTS => {}
            other => panic!("{other}"),
        }
        assert!(!answer.text.contains("fmt_wrong"), "the page repeats the credential");
    }
    assert_eq!(refused, 20);
}

#[tokio::test]
async fn every_answer_carries_its_guards() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    for path in ["/login", "/livez", "/api/v1/hosts", "/assets/style.css", "/nowhere", "/"] {
        let answer = site.get(&token, path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    }
}
