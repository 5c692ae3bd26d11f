//! REST: what it answers and how it refuses, reviewed by snapshot.

mod http_support;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use fleetmend_core::token::Role;
use fleetmend_server::http::access::LimitClass;
use fleetmend_server::http::{Face, ROUTES};
use http_support::{HOSTILE, Site, now};
use insta::assert_json_snapshot;
use serde_json::json;

/// The document without what changes with every run.
fn masked(mut value: serde_json::Value, pointers: &[&str]) -> serde_json::Value {
    for pointer in pointers {
        *value.pointer_mut(pointer).expect("is there") = "…".into();
    }
    value
}

#[tokio::test]
async fn the_fleet_is_shown() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    let (host, incident, ..) = site.fleet().await;
    let get = async |path: &str| {
        let answer = site.get(&token, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    };
    assert_json_snapshot!("hosts", get("/api/v1/hosts").await);
    assert_json_snapshot!("host_facts", get(&format!("/api/v1/hosts/{host}/facts")).await);
    assert_json_snapshot!("host_timeline", get(&format!("/api/v1/hosts/{host}/timeline")).await);
    let shown = get(&format!("/api/v1/incidents/{incident}")).await;
    assert_json_snapshot!("incident", masked(shown, &["/verdict/catalogue"]));
    assert_json_snapshot!("plan", get(&format!("/api/v1/incidents/{incident}/plan")).await);
    let reports = get("/api/v1/reports?limit=1").await;
    assert_json_snapshot!("reports", masked(reports, &["/next_cursor"]));
    assert_json_snapshot!("problems", get("/api/v1/problems").await);
    let summary = get("/api/v1/summary").await;
    assert_json_snapshot!("summary", masked(summary, &["/catalogue", "/version"]));
}

#[tokio::test]
async fn a_remediation_is_ordered_once_and_taken_back() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let auditor = site.token(Role::Auditor).await;
    let (host, incident, bad_host, bad) = site.fleet().await;
    let path = format!("/api/v1/incidents/{incident}/remediate");

    // dpkg --configure cannot be undone, so it is not *safe*: the default refuses and says so.
    let refused = site.post(&token, &path, &json!({ "reason": "test" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_json_snapshot!("remediate_over_risk", refused.problem());

    for (field, value) in
        [("notice", json!("25h")), ("notice", json!("soon")), ("deferrals", json!(21))]
    {
        let body = json!({ "reason": "test", "max_risk": "disruptive", field: value });
        let refused = site.post(&token, &path, &body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
        assert_eq!(refused.problem()["field"], field);
    }
    let body =
        json!({ "reason": "change 17", "max_risk": "disruptive", "notice": "1h", "deferrals": 1 });
    let made = site.post(&token, &path, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let kept = made.json()["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let terms = site.shared.db.job(kept).await.expect("reads").expect("there").job.terms;
    assert_eq!((terms.notice_seconds, terms.max_deferrals), (3_600, 1));
    assert_json_snapshot!("job", masked(made.json(), &["/id"]));
    let job = made.json()["id"].as_str().expect("id").to_owned();

    let again = site.post(&token, &path, &body).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.json()["detail"].as_str().is_some_and(|d| d.contains(&job)), "{}", again.text);

    let pending = format!("/api/v1/incidents/{bad}/remediate");
    let pending = site.post(&token, &pending, &body).await;
    assert_eq!(pending.status, StatusCode::CONFLICT);
    assert_eq!(pending.json()["type"], "urn:fleetmend:problem:host_state");
    assert!(pending.text.contains(&format!("/api/v1/hosts/{bad_host}/accept")));

    let cancel = format!("/api/v1/jobs/{job}/cancel");
    let cancelled = site.post(&token, &cancel, &json!({ "reason": "wrong host" })).await;
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.text);
    let over = site.post(&token, &cancel, &json!({ "reason": "again" })).await;
    assert_eq!(over.status, StatusCode::CONFLICT);
    assert_eq!(over.json()["state"], "cancelled");

    let log = site.get(&token, &format!("/api/v1/jobs/{job}/log")).await;
    assert_eq!(
        (log.status, log.header("content-type")),
        (StatusCode::OK, "text/plain; charset=utf-8")
    );
    let jobs = site.get(&token, &format!("/api/v1/hosts/{host}/jobs")).await.json();
    assert_eq!(jobs["total"], 1);

    let audit = site.get(&auditor, "/api/v1/audit").await.json();
    let kinds: Vec<_> = audit["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|row| format!("{} by {}", row["kind"], row["actor"]).replace('"', ""))
        .take(2)
        .collect();
    assert_eq!(
        kinds,
        ["job.cancel by api-token the operator", "job.create by api-token the operator"]
    );
}

#[tokio::test]
async fn the_fleet_is_halted_and_let_go_and_the_file_of_the_server_is_its_own_business() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let (_, incident, ..) = site.fleet().await;
    let ordered = json!({ "reason": "change 17", "max_risk": "disruptive" });
    let path = format!("/api/v1/incidents/{incident}/remediate");
    assert_eq!(site.post(&token, &path, &ordered).await.status, StatusCode::CREATED);

    assert_eq!(site.get(&token, "/api/v1/halt").await.json()["halted"], false);
    let nothing = site.act("DELETE", &token, "/api/v1/halt", &json!({})).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    let unsaid = site.post(&token, "/api/v1/halt", &json!({ "reason": " " })).await;
    assert_eq!(unsaid.problem()["field"], "reason");
    assert!(!site.shared.halt.is_halted());

    let halted = site.post(&token, "/api/v1/halt", &json!({ "reason": "a bad update" })).await;
    assert_eq!(halted.status, StatusCode::OK, "{}", halted.text);
    assert_json_snapshot!("halt", halted.json());
    assert!(site.shared.halt.is_halted(), "this server goes by it when it has answered");
    let cookie = site.log_in(&token).await;
    for (lang, words) in [("en", "The fleet is halted"), ("ru", "Парк остановлен")] {
        let page = site.page(&cookie, "/jobs", lang).await.text;
        assert!(page.contains(words) && page.contains("a bad update"), "{page}");
    }
    let ready = site.get(&token, "/readyz").await;
    assert_eq!(ready.status, StatusCode::OK, "a halted server serves");

    let file = site.shared.config.data_dir.join("halt");
    std::fs::write(&file, "fire").expect("written");
    let left = site.act("DELETE", &token, "/api/v1/halt", &json!({})).await.json();
    assert_eq!((&left["halted"], &left["by"][0]["way"]), (&json!(true), &json!("file")));
    let kept = site.act("DELETE", &token, "/api/v1/halt", &json!({})).await;
    assert_eq!(kept.problem()["type"], "urn:fleetmend:problem:halt_file");
    std::fs::remove_file(&file).expect("removed");
    site.shared.halt.look(&site.shared.db, &*site.shared.clock).await.expect("looks");
    assert!(!site.shared.halt.is_halted());
    let page = site.page(&cookie, "/jobs", "en").await.text;
    assert!(!page.contains("The fleet is halted"), "{page}");
}

#[tokio::test]
async fn hosts_are_accepted_labelled_and_revoked() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let (_, _, host, _) = site.fleet().await;
    let path = |verb: &str| format!("/api/v1/hosts/{host}/{verb}");
    let accepted = site.post(&token, &path("accept"), &json!({})).await;
    assert_eq!(accepted.json()["state"], "active", "{}", accepted.text);
    let again = site.post(&token, &path("accept"), &json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let body = json!({ "set": { "ring": "1" }, "remove": ["site"] });
    let labelled = site.post(&token, &path("labels"), &body).await;
    assert_eq!(labelled.json()["labels"], json!({ "ring": "1" }), "{}", labelled.text);
    let filtered = site.get(&token, "/api/v1/hosts?label=ring%3D1").await.json();
    assert_eq!(filtered["total"], 1);
    let revoked = site.post(&token, &path("revoke"), &json!({ "reason": "stolen" })).await;
    assert_eq!(revoked.json()["state"], "revoked", "{}", revoked.text);
    assert_eq!(revoked.json()["state_reason"], "stolen");
}

#[tokio::test]
async fn incidents_are_ignored_and_reopened() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let (_, incident, ..) = site.fleet().await;
    let path = |verb: &str| format!("/api/v1/incidents/{incident}/{verb}");
    let past = json!({ "reason": "known", "until": "2026-11-22T11:59:59Z" });
    assert_eq!(site.post(&token, &path("ignore"), &past).await.problem()["field"], "until");
    let body = json!({ "reason": "known", "until": "2026-12-01T00:00:00Z" });
    let ignored = site.post(&token, &path("ignore"), &body).await.json();
    assert_eq!(ignored["state"], "ignored");
    assert_eq!(ignored["ignored"]["owner"], "the operator");
    let reopened = site.post(&token, &path("reopen"), &json!({})).await.json();
    assert_eq!(reopened["state"], "open");
    assert_eq!(site.post(&token, &path("reopen"), &json!({})).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_with_its_remedy() {
    let site = Site::new().await;
    let token = site.token(Role::Admin).await;
    let (_, incident, ..) = site.fleet().await;
    let mut told = Vec::new();
    for path in [
        "/api/v1/hosts?colour=red",
        "/api/v1/hosts?state=broken",
        "/api/v1/hosts?limit=0",
        "/api/v1/hosts?limit=5000",
        "/api/v1/hosts?cursor=zzz",
        "/api/v1/hosts?state=active&search=a&search=b",
        "/api/v1/hosts/nonsense",
        "/api/v1/hosts/01990000-0000-7000-8000-0000000000ff",
        "/api/v1/incidents?code=0x8007000",
        "/api/v1/incidents?code=banana",
        "/api/v1/incidents?since=yesterday",
        "/api/v1/catalog/codes/0x1234567890",
    ] {
        let answer = site.get(&token, path).await;
        told.push(json!({ "asked": path, "told": answer.problem() }));
    }
    let path = format!("/api/v1/incidents/{incident}/remediate");
    for body in [
        json!({ "reason": "x", "force": true }),
        json!({ "max_risk": "disruptive" }),
        json!({ "reason": "x", "max_risk": "guided" }),
        json!({ "reason": "x", "remediation": "rm_rf" }),
        json!({ "reason": " " }),
    ] {
        let answer = site.post(&token, &path, &body).await;
        told.push(json!({ "asked": body, "told": answer.problem() }));
    }
    assert_json_snapshot!("problems_of_requests", told);
}

#[tokio::test]
async fn codes_are_read_in_any_spelling() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    for spelled in ["0x80070003", "80070003", "-2147024893", "2147942403", "0х80070003"] {
        let path = format!("/api/v1/catalog/codes/{}", percent(spelled));
        let told = site.get(&token, &path).await;
        assert_eq!(told.json()["code"], "0x80070003", "{spelled}: {}", told.text);
    }
    let ru = site.get(&token, "/api/v1/catalog/codes/0x80070003?lang=ru").await.json();
    assert!(ru["meaning"].as_str().is_some_and(|m| m.contains(|c: char| ('а'..='я').contains(&c))));
    for list in ["causes", "remediations"] {
        let told = site.get(&token, &format!("/api/v1/catalog/{list}?limit=1000")).await.json();
        assert!(told["total"].as_u64() > Some(10), "{list}");
    }
}

fn percent(text: &str) -> String {
    let hex: Vec<String> = text.bytes().map(|b| format!("%{b:02X}")).collect();
    hex.concat()
}

#[tokio::test]
async fn every_list_pages_and_answers_csv_that_runs_nothing() {
    let site = Site::new().await;
    let token = site.log_in_token(Role::Admin).await;
    let (host, ..) = site.fleet().await;
    let hostile = json!({
        "name": HOSTILE.replace('\u{1b}', ""), "reason": "=1+1", "remedy": "verify_only",
        "selector": { "cause": "dpkg_interrupted" },
    });
    let made = site.post(&token, "/api/v1/campaigns", &hostile).await;
    let campaign = made.json()["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned();
    for route in ROUTES.iter().filter(|r| r.list) {
        let of_campaign = route.path.starts_with("/api/v1/campaigns/");
        let id = if of_campaign { campaign.clone() } else { host.to_string() };
        let path = route.path.replace("{id}", &id);
        let page = site.get(&token, &path).await.json();
        let keys: Vec<_> = page.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys, ["items", "next_cursor", "total"], "{path}");
        let csv = site.get_as(&token, &path, "text/csv").await;
        assert!(csv.header("content-type").starts_with("text/csv"), "{path}");
        let mut rows = csv::Reader::from_reader(csv.text.as_bytes());
        let width = rows.headers().expect("a header").len();
        assert!(width > 2, "{path}");
        for row in rows.records() {
            for cell in &row.expect("a row") {
                assert!(!cell.starts_with(['=', '+', '@', '\t']), "{path}: {cell:?}");
                assert!(!cell.chars().any(char::is_control), "{path}: {cell:?}");
            }
        }
    }
    let csv = site.get_as(&token, "/api/v1/hosts", "text/csv").await;
    assert!(csv.text.contains("'=cmd|'/c calc'!A1"), "{}", csv.text);
    assert!(!csv.text.contains(HOSTILE));

    let first = site.get(&token, "/api/v1/hosts?limit=1").await.json();
    assert_eq!((first["items"].as_array().map(Vec::len), &first["total"]), (Some(1), &json!(2)));
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = site.get(&token, &format!("/api/v1/hosts?limit=1&cursor={cursor}")).await.json();
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    assert_eq!(second["next_cursor"], json!(null));
}

#[tokio::test]
async fn who_reads_a_csv_slowly_keeps_no_place_of_those_who_ask() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    let mut unread = Vec::new();
    for _ in 0..=LimitClass::Read.at_once() {
        let request = Request::get("/api/v1/catalog/causes")
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "text/csv")
            .body(Body::empty())
            .expect("a request");
        let answer = site.begin(request).await;
        assert_eq!(answer.status(), StatusCode::OK, "after {} that are not read", unread.len());
        unread.push(answer);
    }
    assert_eq!(site.get(&token, "/api/v1/catalog/causes").await.status, StatusCode::OK);
    for answer in unread.drain(..3) {
        let body = axum::body::to_bytes(answer.into_body(), 16 << 20).await.expect("all of it");
        assert!(body.starts_with(b"id,name,"), "what was begun is sent");
    }
}

#[tokio::test]
async fn tokens_are_shown_once() {
    let site = Site::new().await;
    let token = site.token(Role::Admin).await;
    let body = json!({ "name": "depot", "uses": 50, "labels": { "site": "x" }, "networks": ["10.0.0.0/8"] });
    let made = site.post(&token, "/api/v1/enrollment-tokens", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let text = made.json()["token"].as_str().expect("text").to_owned();
    assert!(text.starts_with("fme_") && text.contains('.'), "{text}");
    let list = site.get(&token, "/api/v1/enrollment-tokens").await;
    assert!(!list.text.contains(&text[4..20]));
    assert_eq!(list.json()["items"][0]["kind"], "deployment");
    let id = made.json()["id"].as_str().expect("id").to_owned();
    let path = format!("/api/v1/enrollment-tokens/{id}");
    assert_eq!(site.act("DELETE", &token, &path, &json!({})).await.status, StatusCode::OK);
    let list = site.get(&token, "/api/v1/enrollment-tokens").await.json();
    assert_eq!(list["items"][0]["state"], "revoked");

    let bad = json!({ "name": "x", "role": "root" });
    let bad = site.post(&token, "/api/v1/api-tokens", &bad).await.problem();
    assert_eq!(
        bad["accepted"],
        json!(["viewer", "auditor", "approver", "operator", "author", "admin"])
    );
    let body = json!({ "name": "ci", "role": "viewer", "days": 7 });
    let made = site.post(&token, "/api/v1/api-tokens", &body).await.json();
    let text = made["token"].as_str().expect("text");
    assert_eq!(site.get(text, "/api/v1/summary").await.status, StatusCode::OK);
    site.clock.advance(std::time::Duration::from_hours(7 * 24));
    assert_eq!(site.get(text, "/api/v1/summary").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_description_holds_every_route() {
    let site = Site::new().await;
    let told = site.get("", "/api/v1/openapi.json").await;
    assert_eq!(told.status, StatusCode::OK);
    let told = told.json();
    let mut described = 0;
    for route in ROUTES.iter().filter(|r| r.face == Face::Api) {
        let verb = route.verb.as_str().to_ascii_lowercase();
        let operation = &told["paths"][route.path][&verb];
        assert_eq!(operation["summary"], route.summary, "{route:?}");
        assert!(operation["responses"]["default"].is_object(), "{route:?}");
        for part in route.path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')) {
            let names = operation["parameters"].as_array().expect("parameters");
            assert!(names.iter().any(|p| p["name"] == part && p["in"] == "path"), "{route:?}");
        }
        described += 1;
    }
    let operations: usize = told["paths"]
        .as_object()
        .expect("paths")
        .values()
        .map(|item| item.as_object().expect("an item").len())
        .sum();
    assert_eq!(operations, described, "the description holds what the table does not");
    // Every reference leads somewhere.
    let text = told.to_string();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap_or_default();
        assert!(told["components"]["schemas"][name].is_object(), "{name} is nowhere");
    }
}

#[tokio::test]
async fn the_audit_log_is_checked_by_who_may_read_it() {
    let site = Site::new().await;
    let auditor = site.token(Role::Auditor).await;
    let viewer = site.token(Role::Viewer).await;
    let refused = site.get(&viewer, "/api/v1/audit/verify").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let rows = site.get(&auditor, "/api/v1/audit").await.json()["total"].clone();
    let checked = site.get(&auditor, "/api/v1/audit/verify").await.json();
    assert_eq!((&checked["result"], &checked["rows"]), (&json!("whole"), &rows), "{checked}");
    assert_eq!(checked["head"].as_str().map(str::len), Some(64), "{checked}");
}

#[tokio::test]
async fn a_filter_with_a_nul_is_refused_by_its_name() {
    let site = Site::new().await;
    let viewer = site.token(Role::Viewer).await;
    let refused = site.get(&viewer, "/api/v1/hosts?search=a%00b").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert!(refused.text.contains("search"), "{}", refused.text);
}

#[tokio::test]
async fn health_says_alive_and_ready() {
    let site = Site::new().await;
    assert_eq!(site.get("", "/livez").await.text, "ok\n");
    assert_eq!(site.get("", "/readyz").await.status, StatusCode::OK);
    site.shared.readiness.stopping();
    assert_eq!(site.get("", "/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(site.get("", "/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused() {
    let site = Site::new().await;
    let token = site.token(Role::Admin).await;
    let body = json!({ "name": "x".repeat(70_000) });
    let answer = site.post(&token, "/api/v1/enrollment-tokens", &body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.problem()["type"], "urn:fleetmend:problem:too_large");
}

#[tokio::test]
async fn a_body_that_does_not_come_holds_no_place_for_long() {
    let site = Site::new().await;
    let endless = axum::body::Body::from_stream(futures_util::stream::pending::<
        Result<axum::body::Bytes, std::io::Error>,
    >());
    let slow = axum::http::Request::post("/login").body(endless).expect("a request");
    let answer = site.send(slow).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(answer.text.contains("send it again"), "{}", answer.text);
}

#[tokio::test]
async fn a_backtest_has_all_that_an_incident_is_judged_by() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    let host = site.host(1, "web-1", false, false).await;
    site.failure(host, 1, "dpkg was interrupted").await;
    let answer = site.get(&token, "/api/v1/catalog/backtest").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut page = answer.json();
    page["items"][0]["catalogue"] = "…".into();
    insta::assert_json_snapshot!("backtest", page);
    let wrong = site.get(&token, "/api/v1/catalog/backtest?max_risk=guided").await;
    assert_eq!((wrong.status.as_u16(), &wrong.problem()["field"]), (400, &"max_risk".into()));
}

#[tokio::test]
async fn what_passes_by_itself_is_told_of_its_host_and_is_no_incident() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    let host = site.host(1, "web-1", false, false).await;
    site.passing(host, 1).await;
    let facts = site.get(&token, &format!("/api/v1/hosts/{host}/facts")).await.json();
    insta::assert_json_snapshot!("host_passing", facts["passing"]);
    assert_eq!(site.get(&token, "/api/v1/incidents").await.json()["total"], 0);
    let shown = site.get(&token, &format!("/api/v1/hosts/{host}")).await.json();
    assert_eq!(shown["health"], "unknown", "nothing proves it healthy");
}

#[tokio::test]
async fn what_is_overdue_says_so_and_what_to_do() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    let host = site.host(1, "web-1", false, false).await;
    let later = now().after(std::time::Duration::from_hours(24 * 30));
    let mut random = || [7; 10];
    let rules = fleetmend_core::overdue::OverdueRules::default();
    site.shared.db.watch_hosts(&rules, later, 10, &mut random).await.expect("watches");
    let listed = site.get(&token, "/api/v1/incidents?code=agent.silent").await.json();
    let incident = &listed["items"][0];
    assert_eq!((&incident["overdue"], &incident["reports"]), (&true.into(), &0.into()));
    assert!(incident["meaning"].as_str().is_some_and(|m| m.contains("Nothing was heard")));
    let id = incident["id"].as_str().expect("an id");
    let plan = site.get(&token, &format!("/api/v1/incidents/{id}/plan")).await.json();
    let first = &plan["steps"][0];
    assert_eq!(
        (&first["remediation"], &first["risk"]),
        (&"find_silent_host.linux".into(), &"guided".into())
    );
    let shown = site.get(&token, &format!("/api/v1/hosts/{host}")).await.json();
    assert_eq!(shown["health"], "failing");
    let cookie = site.log_in(&token).await;
    let page = site.page(&cookie, &format!("/incidents/{id}"), "ru").await;
    assert!(page.text.contains("Агент хоста молчит дольше допустимого"), "{}", page.text);
    assert!(page.text.contains("просрочку увидел сам сервер"));
}
