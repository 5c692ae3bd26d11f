//! People: log-in by name and password, what bars it, and what ends with it.

mod http_support;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use fleetmend_core::limits;
use fleetmend_core::token::{Permission, Role};
use fleetmend_store::{AuditFilter, PageRequest};
use http_support::{Answered, ORIGIN, Site};
use serde_json::json;

const WORDS: &str = "horse battery staple";

/// A call of a program that has a session's cookie.
async fn with_cookie(
    site: &Site,
    cookie: &str,
    verb: &str,
    path: &str,
    body: &serde_json::Value,
) -> Answered {
    let request = Request::builder()
        .method(verb)
        .uri(path)
        .header(header::COOKIE, cookie)
        .header(header::ORIGIN, ORIGIN)
        .header(header::CONTENT_TYPE, "application/json");
    let body = if verb == "GET" { Body::empty() } else { Body::from(body.to_string()) };
    site.send(request.body(body).expect("a request")).await
}

/// A call of a program without any credential.
async fn sign_in(site: &Site, body: &serde_json::Value) -> Answered {
    let request =
        Request::post("/api/v1/sessions").header(header::CONTENT_TYPE, "application/json");
    site.send(request.body(Body::from(body.to_string())).expect("a request")).await
}

async fn admin(site: &Site) -> String {
    site.user("anna", Role::Admin, WORDS).await;
    site.log_in_as("anna", WORDS).await.0
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}: {text}"));
    rest.split(after).next().unwrap_or_default()
}

#[tokio::test]
async fn a_user_is_made_chooses_a_password_and_is_shut_out() {
    let site = Site::new().await;
    let admin = admin(&site).await;
    let form = site.form_token(&admin).await;
    let made =
        site.form(&admin, "/people", &format!("form_token={form}&name=Boris&role=operator")).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let once = between(&made.text, "<pre class=\"copy\">", "</pre>").to_owned();
    assert_eq!(once.len(), 23, "{once}");
    let again = site.page(&admin, "/people", "en").await.text;
    assert!(again.contains("boris") && !again.contains(&once), "shown once");

    // The one log-in goes to the password, and nowhere else.
    let answer = site.try_password("", "boris", &once).await;
    assert_eq!(answer.header("location"), "/password");
    let boris = answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert_eq!(site.page(&boris, "/hosts", "en").await.header("location"), "/password");
    let hosts = with_cookie(&site, &boris, "GET", "/api/v1/hosts", &json!({})).await;
    assert_eq!(hosts.status, StatusCode::FORBIDDEN);
    assert_eq!(hosts.problem()["type"], "urn:fleetmend:problem:change_password");
    let page = site.page(&boris, "/password", "ru").await;
    assert!(page.text.contains("на один вход"), "{}", page.text);
    let form = between(&page.text, "name=\"form_token\" value=\"", "\"").to_owned();
    let change = async |old: &str, new: &str, again: &str| {
        let plus = |text: &str| text.replace(' ', "+");
        let fields =
            format!("form_token={form}&old={}&new={}&again={}", plus(old), plus(new), plus(again));
        site.form(&boris, "/password", &fields).await.status
    };
    assert_eq!(change(&once, "too short", "too short").await, StatusCode::BAD_REQUEST);
    assert_eq!(change(&once, &once, &once).await, StatusCode::BAD_REQUEST);
    assert_eq!(change(&once, WORDS, "another battery").await, StatusCode::BAD_REQUEST);
    assert_eq!(change("not the old one", WORDS, WORDS).await, StatusCode::BAD_REQUEST);
    assert_eq!(change(&once, WORDS, WORDS).await, StatusCode::SEE_OTHER);
    assert_eq!(site.page(&boris, "/hosts", "en").await.status, StatusCode::OK);
    assert_eq!(site.try_password("", "boris", &once).await.status, StatusCode::UNAUTHORIZED);

    // Shut out: at once, on every way.
    let off = with_cookie(&site, &admin, "POST", "/api/v1/users/boris/disable", &json!({})).await;
    assert_eq!(off.status, StatusCode::OK, "{}", off.text);
    assert_eq!(off.json()["user"]["state"], "disabled");
    assert_eq!(off.json()["sessions_ended"], 1);
    assert_eq!(site.page(&boris, "/hosts", "en").await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.try_password("", "boris", WORDS).await.status, StatusCode::UNAUTHORIZED);
    let page = site.shared.db.audit_log(&AuditFilter::default(), &PageRequest::first(100)).await;
    let rows = page.expect("audit").items;
    let all = format!("{rows:?}");
    assert!(!all.contains(&once) && !all.contains(WORDS) && !all.contains("argon2"), "{all}");
    let said: Vec<_> = rows.iter().map(|r| (r.actor.as_str(), r.action.as_str())).collect();
    for wanted in [
        ("user anna", "user.create"),
        ("user boris", "session.create"),
        ("user boris", "user.change_password"),
        ("user anna", "user.disable"),
    ] {
        assert!(said.contains(&wanted), "{wanted:?} in {said:?}");
    }
}

#[tokio::test]
async fn a_log_in_gives_a_token_for_the_command_line() {
    let site = Site::new().await;
    site.user("vera", Role::Author, WORDS).await;
    let ask = |token: serde_json::Value| json!({"name": "vera", "password": WORDS, "token": token});
    let given = sign_in(&site, &ask(json!({"name": "laptop"}))).await;
    assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
    let given = given.json();
    assert_eq!((&given["role"], &given["user"]), (&json!("author"), &json!("vera")));
    assert_eq!(given["expires_at"], "2026-11-23T00:00:00.000Z");
    let token = given["token"].as_str().expect("a token").to_owned();
    assert_eq!(site.get(&token, "/api/v1/hosts").await.status, StatusCode::OK);
    let less = sign_in(&site, &ask(json!({"name": "x", "role": "viewer", "hours": 1}))).await;
    assert_eq!(less.json()["role"], "viewer");
    let more = sign_in(&site, &ask(json!({"name": "x", "role": "admin"}))).await;
    assert_eq!(more.status, StatusCode::CONFLICT, "{}", more.text);
    for wish in
        [json!({"name": "x", "hours": 721}), json!({"name": "x", "hours": 0}), json!({"name": ""})]
    {
        assert_eq!(sign_in(&site, &ask(wish)).await.status, StatusCode::BAD_REQUEST);
    }

    // A token of an admin's log-in manages people; a program's does not, whatever its role.
    site.user("anna", Role::Admin, WORDS).await;
    let body = json!({"name": "ANNA", "password": WORDS, "token": {"name": "laptop"}});
    let anna = sign_in(&site, &body).await.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(site.get(&anna, "/api/v1/users").await.json()["total"], 2);
    let program =
        site.post(&anna, "/api/v1/api-tokens", &json!({"name": "ci", "role": "admin"})).await;
    let program = program.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(site.get(&program, "/api/v1/users").await.status, StatusCode::FORBIDDEN);
    let tokens = site.get(&program, "/api/v1/api-tokens").await.json();
    let mut items = tokens["items"].as_array().expect("a list").iter();
    assert_eq!(items.find(|token| token["name"] == "ci").expect("listed")["user"], "anna");

    // Demotion: what can do more than its user ends, here anna's tokens; so does her log-in.
    site.user("boris", Role::Admin, WORDS).await;
    let (boris, _) = site.log_in_as("boris", WORDS).await;
    let role = json!({"role": "viewer"});
    let done = with_cookie(&site, &boris, "POST", "/api/v1/users/anna/role", &role).await;
    assert_eq!(done.json()["tokens_ended"], 2, "{}", done.text);
    for token in [&anna, &program] {
        assert_eq!(site.get(token, "/api/v1/hosts").await.status, StatusCode::UNAUTHORIZED);
    }
    // The last admin stays.
    for (path, body) in [("role", role), ("disable", json!({}))] {
        let path = format!("/api/v1/users/boris/{path}");
        let refused = with_cookie(&site, &boris, "POST", &path, &body).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    }
}

#[tokio::test]
async fn a_password_for_one_log_in_is_changed_without_a_browser() {
    let site = Site::new().await;
    let admin = admin(&site).await;
    let new = json!({"name": "boris", "role": "operator"});
    let made = with_cookie(&site, &admin, "POST", "/api/v1/users", &new).await.json();
    let once = made["one_time_password"].as_str().expect("a password");
    let ask = |password: &str, new: Option<&str>| {
        let token = json!({"name": "laptop"});
        let mut body = json!({"name": "boris", "password": password, "token": token});
        if let Some(new) = new {
            body["new_password"] = json!(new);
        }
        body
    };
    let first = sign_in(&site, &ask(once, None)).await;
    assert_eq!(first.status, StatusCode::FORBIDDEN);
    assert_eq!(first.problem()["type"], "urn:fleetmend:problem:change_password");
    for bad in ["too short", once] {
        let refused = sign_in(&site, &ask(once, Some(bad))).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
        assert_eq!(refused.problem()["field"], "new_password");
        assert!(!refused.text.contains(bad), "{}", refused.text);
    }
    let wrong = sign_in(&site, &ask("not the password", Some(WORDS))).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{}", wrong.text);
    let given = sign_in(&site, &ask(once, Some(WORDS))).await;
    assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
    let token = given.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(site.get(&token, "/api/v1/hosts").await.status, StatusCode::OK);
    assert_eq!(sign_in(&site, &ask(once, None)).await.status, StatusCode::UNAUTHORIZED);
    // The same for a session; what the old password opened ends.
    let body = json!({"name": "boris", "password": WORDS, "new_password": "staple horse battery"});
    let opened = sign_in(&site, &body).await;
    assert_eq!(
        (opened.status, &opened.json()["must_change"]),
        (StatusCode::CREATED, &json!(false))
    );
    assert_eq!(site.get(&token, "/api/v1/hosts").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn log_ins_that_are_sent_slowly_bar_nobody() {
    let site = Site::new().await;
    site.user("anna", Role::Admin, WORDS).await;
    let slow = || {
        let never = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        let request = Request::post("/login").header(header::ORIGIN, ORIGIN);
        Box::pin(site.send(request.body(Body::from_stream(never)).expect("a request")))
    };
    let mut held: Vec<_> = (0..64).map(|_| slow()).collect();
    for one in &mut held {
        assert!(futures_util::poll!(one).is_pending(), "it waits for its body");
    }
    assert_eq!(slow().await.status, StatusCode::SERVICE_UNAVAILABLE, "one address, no more");
    held.truncate(63);
    let known = site.try_password("", "anna", WORDS).await;
    assert_eq!(known.status, StatusCode::SEE_OTHER, "{}", known.text);
}

#[tokio::test]
async fn a_session_by_rest_is_ones_own() {
    let site = Site::new().await;
    site.user("vera", Role::Viewer, WORDS).await;
    site.user("gleb", Role::Viewer, WORDS).await;
    let opened = sign_in(&site, &json!({"name": "vera", "password": WORDS})).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    assert!(opened.json().get("token").is_none());
    let cookie = opened.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let other = site.log_in_as("vera", WORDS).await.0;
    let gleb = site.log_in_as("gleb", WORDS).await.0;
    let list = with_cookie(&site, &cookie, "GET", "/api/v1/sessions", &json!({})).await.json();
    let items = list["items"].as_array().expect("items");
    assert_eq!(items.len(), 2, "{list}");
    let second = items.iter().find(|s| s["current"] == false).expect("the other")["id"].clone();
    let path = format!("/api/v1/sessions/{}", second.as_str().expect("an id"));
    let theirs = with_cookie(&site, &gleb, "DELETE", &path, &json!({})).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND, "another's");
    assert_eq!(
        with_cookie(&site, &cookie, "DELETE", &path, &json!({})).await.status,
        StatusCode::OK
    );
    assert_eq!(site.page(&other, "/", "en").await.status, StatusCode::SEE_OTHER);
    let own = "/api/v1/sessions/current";
    assert_eq!(with_cookie(&site, &cookie, "DELETE", own, &json!({})).await.status, StatusCode::OK);
    let after = with_cookie(&site, &cookie, "GET", "/api/v1/hosts", &json!({})).await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn refusals_say_and_cost_the_same_whoever_they_are_for() {
    let site = Site::new().await;
    site.user("anna", Role::Admin, WORDS).await;
    site.user("gone", Role::Viewer, WORDS).await;
    let gone = site.shared.db.user_by_name("gone").await.expect("reads").expect("there");
    site.shared
        .db
        .set_user_disabled(gone.id, true, "test", http_support::now())
        .await
        .expect("off");
    let mut answers = Vec::new();
    for (name, password) in [
        ("anna", "not the password"),
        ("nobody", WORDS),
        ("gone", WORDS),
        ("no name!", WORDS),
        ("anna", &"x".repeat(2_000)),
    ] {
        let started = tokio::time::Instant::now();
        let refused = sign_in(&site, &json!({"name": name, "password": password})).await;
        assert!(started.elapsed() >= Duration::from_millis(500), "{name}: it was told at once");
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.text);
        answers.push(refused.problem());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_name_that_is_tried_often_is_locked_and_its_owner_comes_in() {
    let site = Site::new().await;
    site.user("anna", Role::Admin, WORDS).await;
    let (session, browser) = site.log_in_as("anna", WORDS).await;
    let mut refused = 0;
    for _ in 0..limits::LOGIN_TRIES_OF_A_NAME + 2 {
        let answer = site.try_password("", "anna", "some other words").await;
        refused += u32::from(answer.status == StatusCode::UNAUTHORIZED);
        assert!(!answer.text.contains("some other words"), "the page repeats the password");
    }
    assert_eq!(refused, limits::LOGIN_TRIES_OF_A_NAME, "then it is not looked at");
    site.clock.advance(Duration::from_mins(1));
    for _ in limits::LOGIN_TRIES_OF_A_NAME..limits::LOCK_AFTER {
        site.try_password("", "anna", "some other words").await;
    }
    let locked = site.try_password("", "anna", WORDS).await;
    assert_eq!(locked.status, StatusCode::UNAUTHORIZED, "locked");
    assert_eq!(site.page(&session, "/", "en").await.status, StatusCode::OK, "who is in stays in");
    // Behind the same address as whoever tries: more refused tries bar that address.
    for n in 0..limits::LOGIN_TRIES_PER_MINUTE {
        site.try_password("", &format!("nobody{n}"), WORDS).await;
    }
    let barred = site.try_password("", "anna", WORDS).await;
    assert_eq!(barred.status, StatusCode::TOO_MANY_REQUESTS);
    let made_up = site.try_password("fleetmend-browser=AAAA", "anna", WORDS).await;
    assert_eq!(made_up.status, StatusCode::TOO_MANY_REQUESTS);
    let known = site.try_password(&browser, "anna", WORDS).await;
    assert_eq!(known.status, StatusCode::SEE_OTHER, "her own browser: {}", known.text);
}

#[tokio::test]
async fn the_pages_of_people_are_shown_in_both_languages() {
    let site = Site::new().await;
    let cookie = admin(&site).await;
    site.user("boris", Role::Author, WORDS).await;
    for path in ["/people", "/password", "/login"] {
        let (en, ru) = (site.page(&cookie, path, "en").await, site.page(&cookie, path, "ru").await);
        assert_eq!((en.status, ru.status), (StatusCode::OK, StatusCode::OK), "{path}");
        assert_ne!(en.text, ru.text, "{path}");
        for text in [&en.text, &ru.text] {
            for set in ["nav.", "people.", "password.", "login.", "role.", "user.", "col."] {
                assert!(!text.contains(&format!(">{set}")), "{path} shows a key of {set}");
            }
            assert!(!text.contains("argon2"), "{path}");
        }
    }
    let viewer = {
        site.user("vera", Role::Viewer, WORDS).await;
        site.log_in_as("vera", WORDS).await.0
    };
    let home = site.page(&viewer, "/", "en").await;
    assert!(!home.text.contains("href=\"/people\""), "no link to where one may not go");
    assert_eq!(site.page(&viewer, "/people", "en").await.status, StatusCode::FORBIDDEN);
    // Another site's form, and one without its token, change nothing.
    let bare = site.form(&cookie, "/people", "name=eve&role=admin").await;
    assert_eq!(bare.status, StatusCode::FORBIDDEN);
    assert!(site.shared.db.user_by_name("eve").await.expect("reads").is_none());
}

#[test]
fn the_table_of_the_roles_is_that_of_the_code() {
    let text = include_str!("../../docs/people.md");
    let heads: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert!(text.contains(&format!("| may | {} |\n", heads.join(" | "))), "the roles' columns");
    for permission in Permission::ALL.iter().filter(|p| **p != Permission::Public) {
        let start = format!("| {permission}: ");
        let row = text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{permission} is in no row"));
        let cells: Vec<bool> = row.split('|').skip(2).map(|cell| cell.trim() == "✓").collect();
        let granted: Vec<bool> = Role::ALL.iter().map(|role| role.grants(*permission)).collect();
        assert_eq!(cells[..granted.len()], granted, "{row}");
    }
}
