//! Campaigns over REST: written, refused, approved by a second person, started and stopped.

mod http_support;

use axum::http::StatusCode;
use fleetmend_core::campaign::StandardChange;
use fleetmend_core::time::Clock as _;
use fleetmend_core::token::Role;
use fleetmend_server::Config;
use fleetmend_store::Who;
use http_support::Site;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "name": "interrupted dpkg", "reason": "updates stand still", "change": "CHG-17",
        "selector": { "cause": "dpkg_interrupted" }, "max_risk": "disruptive", "max_hosts": 2,
        "remedy": { "remediation": { "id": "apt.configure_pending" } },
        "waves": [{ "share": "1" }, { "share": "all" }],
    })
}

/// The document without what changes with every run.
fn masked(mut value: Value, pointers: &[&str]) -> Value {
    for pointer in pointers {
        *value.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is there")) = "…".into();
    }
    value
}

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_campaign_is_previewed_written_and_shown() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    site.fleet().await;
    let look = site.post(&author, "/api/v1/campaigns/preview", &definition()).await;
    assert_eq!(look.status, StatusCode::OK, "{}", look.text);
    assert_json_snapshot!("preview", look.json());
    assert_eq!(site.get(&author, "/api/v1/campaigns").await.json()["total"], 0, "only a look");

    let made = site.post(&author, "/api/v1/campaigns", &definition()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let id = id(&made.json());
    let digests = [
        "/id",
        "/digest",
        "/definition/remedy/remediation/digest",
        "/definition/remediations/apt.configure_pending",
    ];
    assert_json_snapshot!("written", masked(made.json(), &digests));
    let listed = site.get(&author, "/api/v1/campaigns?state=awaiting_approval").await.json();
    assert_eq!(
        listed["items"][0]["id"],
        id.as_str(),
        "what cannot be undone needs a second person"
    );
    let waiting = site.get(&author, "/api/v1/approvals").await.json();
    assert_eq!(waiting["total"], 1);
    let document = site.get(&author, &format!("/api/v1/campaigns/{id}/document")).await.json();
    let plan = &document["plan"][0];
    assert_eq!((&plan["id"], &plan["is_bound"]), (&json!("apt.configure_pending"), &json!(true)));
    assert_eq!(plan["risk"], "disruptive");
    assert!(plan["cannot_be_undone"][0].is_string() && plan["steps"][0]["does"].is_string());
    assert_eq!(document["campaign"]["found"], json!({}), "nothing was started");
    let csv = site.get_as(&author, "/api/v1/campaigns", "text/csv").await.text;
    assert!(csv.lines().nth(1).is_some_and(|line| line.contains("interrupted dpkg")), "{csv}");
}

#[tokio::test]
async fn a_standard_change_that_is_withdrawn_covers_nothing_that_has_not_begun() {
    let mut site = Site::new().await;
    site.fleet().await;
    let author = site.token(Role::Author).await;
    let change: StandardChange = serde_json::from_value(json!({
        "name": "apt basics", "max_risk": "disruptive", "max_hosts": 10,
        "remediations": ["apt.configure_pending"],
    }))
    .expect("a standard change");
    site.restart(|shared| {
        let standard_change = vec![change];
        shared.config = Config { standard_change, ..Config::clone(&shared.config) }.into();
    });
    let mut covered = definition();
    covered["standard_change"] = json!("apt basics");
    let made = site.post(&author, "/api/v1/campaigns", &covered).await.json();
    assert_eq!(made["state"], "draft", "nobody must approve it: {made}");

    site.restart(|shared| {
        let standard_change = Vec::new();
        shared.config = Config { standard_change, ..Config::clone(&shared.config) }.into();
    });
    let path = format!("/api/v1/campaigns/{}", id(&made));
    let refused = site.post(&author, &format!("{path}/start"), &json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert_eq!(refused.problem()["type"], "urn:fleetmend:problem:approval");
    assert!(refused.text.contains("no standard change"), "{}", refused.text);
    let asks = site.get(&author, &path).await.json();
    assert_eq!((&asks["state"], &asks["digest"]), (&json!("awaiting_approval"), &made["digest"]));

    // Once somebody approved it as it is, it begins.
    let boris = Who { actor: "user boris", person: "user boris" };
    let (db, digest) = (&site.shared.db, asks["digest"].as_str().expect("a digest"));
    let campaign = id(&made).parse().expect("an id");
    db.approve_campaign(campaign, digest, "", boris, site.clock.now()).await.expect("approved");
    let begun = site.post(&author, &format!("{path}/start"), &json!({})).await;
    assert_eq!(begun.json()["state"], "running", "{}", begun.text);
}

#[tokio::test]
async fn a_bad_expression_is_refused_by_its_field_and_never_read_as_no_error() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    site.fleet().await;
    for (field, value, named) in [
        ("thresholds", json!({ "abort": "" }), "thresholds.abort"),
        ("thresholds", json!({ "abort": null }), "thresholds.abort"),
        ("schedule", json!({ "cron": { "expression": "* * * *" } }), "schedule.cron.expression"),
        ("waves", json!([{ "share": "200%" }]), "waves"),
        ("waves", json!([{ "share": "10%" }]), "waves[0].share"),
        ("selector", json!({ "labels": { "site": "north" } }), "selector"),
        ("zone", json!({ "named": "Mars/Olympus" }), "zone.named"),
        ("force", json!(true), "force"),
    ] {
        let mut bad = definition();
        bad[field] = value;
        for path in ["/api/v1/campaigns", "/api/v1/campaigns/preview"] {
            let refused = site.post(&author, path, &bad).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{named}: {}", refused.text);
            assert_eq!(refused.problem()["field"], named, "{}", refused.text);
        }
    }
    let mut nobody = definition();
    nobody.as_object_mut().expect("a table").remove("max_hosts");
    nobody["selector"] = json!({ "cause": "dpkg_interrupted", "labels": { "site": "south" } });
    let refused = site.post(&author, "/api/v1/campaigns", &nobody).await.problem();
    assert_eq!(refused["field"], "selector");
    let mut again = definition();
    again.as_object_mut().expect("a table").remove("max_hosts");
    again["schedule"] = json!({ "cron": { "expression": "0 3 * * 1" } });
    let refused = site.post(&author, "/api/v1/campaigns", &again).await.problem();
    assert_eq!(refused["field"], "max_hosts");
    assert_eq!(site.get(&author, "/api/v1/campaigns").await.json()["total"], 0);
}

#[tokio::test]
async fn no_token_approves_and_nothing_starts_without_the_approval_that_it_needs() {
    let site = Site::new().await;
    let (author, admin) = (site.token(Role::Author).await, site.token(Role::Admin).await);
    site.fleet().await;
    let made = site.post(&author, "/api/v1/campaigns", &definition()).await.json();
    let path = |verb: &str| format!("/api/v1/campaigns/{}/{verb}", id(&made));
    let approval = json!({ "digest": made["digest"] });
    let refused = site.post(&admin, &path("approve"), &approval).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let early = site.post(&author, &path("start"), &json!({})).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert!(early.text.contains("second person"), "{}", early.text);
    let operator = site.token(Role::Operator).await;
    let start = site.post(&operator, &path("start"), &json!({})).await;
    assert_eq!(start.status, StatusCode::FORBIDDEN, "an operator starts no campaign");
    let gone = site.post(&author, &path("cancel"), &json!({ "reason": "not now" })).await;
    assert_eq!(gone.json()["state"], "cancelled", "{}", gone.text);
}

#[tokio::test]
async fn a_verify_only_campaign_starts_pauses_and_is_told_as_one_document() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    let operator = site.token(Role::Operator).await;
    site.fleet().await;
    let mut verify = definition();
    verify["remedy"] = json!("verify_only");
    let made = site.post(&author, "/api/v1/campaigns", &verify).await.json();
    assert_eq!(made["needs_approval"], json!([]), "what only looks needs nobody's word");
    let path = |verb: &str| format!("/api/v1/campaigns/{}/{verb}", id(&made));
    let started = site.post(&author, &path("start"), &json!({ "reason": "now" })).await.json();
    assert_eq!((&started["state"], &started["hosts"]), (&json!("running"), &json!(1)));
    let paused = site.post(&operator, &path("pause"), &json!({ "reason": "lunch" })).await.json();
    assert_eq!(paused["state_reason"], "lunch");
    let again = site.post(&author, &path("resume"), &json!({})).await.json();
    assert_eq!(again["state"], "running");
    let hosts = site.get(&author, &path("hosts?outcome=waiting")).await.json();
    assert_eq!(hosts["items"][0]["host"]["name"], "web-1", "{hosts}");
    let document = site.get(&author, &path("document")).await.json();
    let text = document.to_string();
    for part in ["CHG-17", "campaign.create", "campaign.start", "campaign.pause", "web-1"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert_eq!(document["plan"], json!([]), "it only looks");
    let found = &document["campaign"]["found"]["1"];
    assert_eq!((&found["hosts"], &found["left_out"]), (&json!(1), &json!({ "lifecycle": 1 })));
    let nothing = site.get(&author, &path("undo")).await.json();
    assert_eq!(nothing["hosts"], 0);
    let undo = site.post(&author, &path("undo"), &json!({ "reason": "x" })).await;
    assert_eq!(undo.status, StatusCode::CONFLICT);
    let aborted = site.post(&operator, &path("abort"), &json!({ "reason": "wrong" })).await.json();
    assert_eq!(aborted["state"], "aborted");
    let retried = site.post(&author, &path("retry"), &json!({})).await;
    assert_eq!(retried.status, StatusCode::CONFLICT, "no host ended in error: {}", retried.text);
}

#[tokio::test]
async fn a_wave_for_a_label_that_no_host_has_is_told_and_not_started() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    site.fleet().await;
    let mut canary = definition();
    canary["waves"] = json!([{ "share": "1", "label": ["ring", "canary"] }, { "share": "all" }]);
    let look = site.post(&author, "/api/v1/campaigns/preview", &canary).await.json();
    let first =
        json!({ "wave": 0, "share": "1", "label": "ring=canary", "hosts": 0, "with_label": 0 });
    assert_eq!((&look["waves"][0], &look["waves"][1]["hosts"]), (&first, &json!(1)));
    let warned = look["warnings"][0].as_str().unwrap_or_default();
    assert!(warned.starts_with("wave 1 is for hosts with ring=canary, and no host"), "{look}");

    let made = site.post(&author, "/api/v1/campaigns", &canary).await.json();
    let start = format!("/api/v1/campaigns/{}/start", id(&made));
    let refused = site.post(&author, &start, &json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    let problem = refused.problem();
    assert_eq!(problem["type"], "urn:fleetmend:problem:no_canary");
    assert_eq!(problem["field"], "waves[0].label");

    // Recurring ones are not looked at before their time; the preview tells when that is.
    canary["schedule"] = json!({ "monthly": { "expression": "second Tuesday + 3 days" } });
    let look = site.post(&author, "/api/v1/campaigns/preview", &canary).await.json();
    assert_eq!(look["next_runs"][0], "2026-12-11 00:00 +00:00", "midnight is said: {look}");
    assert_eq!(look["next_runs"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_problems_key_is_a_selector() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    site.fleet().await;
    let problems = site.get(&author, "/api/v1/problems").await.json();
    let problems = problems["items"].as_array().expect("a list");
    let one = problems.iter().find(|p| p["cause"] == "dpkg_interrupted").expect("a problem");
    let mut by_key = definition();
    by_key["selector"] = json!({ "problem": one["key"] });
    let look = site.post(&author, "/api/v1/campaigns/preview", &by_key).await.json();
    let mut by_fields = definition();
    by_fields["selector"] = json!({
        "cause": one["cause"], "product": one["product"], "operation": one["operation"],
    });
    let same = site.post(&author, "/api/v1/campaigns/preview", &by_fields).await.json();
    assert_eq!((&look, &look["total"]), (&same, &json!(1)));
    let made = site.post(&author, "/api/v1/campaigns", &by_key).await.json();
    let kept = &made["definition"]["selector"];
    for field in ["cause", "product", "operation"] {
        assert_eq!(kept[field], one[field], "{kept}");
    }
    assert!(kept.get("problem").is_none(), "{kept}");
}

#[tokio::test]
async fn an_edit_names_what_was_seen() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    site.fleet().await;
    let made = site.post(&author, "/api/v1/campaigns", &definition()).await.json();
    let path = format!("/api/v1/campaigns/{}", id(&made));
    let mut changed = made["definition"].clone();
    changed["max_hosts"] = json!(7);
    let body = json!({ "definition": changed, "revision": made["revision"] });
    let edited = site.act("PUT", &author, &path, &body).await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.text);
    assert_ne!(edited.json()["digest"], made["digest"]);
    let late = site.act("PUT", &author, &path, &body).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
}

#[tokio::test]
async fn freezes_are_made_listed_and_taken_away() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    let once = json!({
        "name": "quarter's end", "reason": "books", "labels": { "site": "north" },
        "from": "2026-11-22T00:00:00Z", "until": "2026-11-24T00:00:00Z",
    });
    let made = site.post(&author, "/api/v1/freezes", &once).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_json_snapshot!("freeze", masked(made.json(), &["/id"]));
    let yearly = json!({
        "name": "holidays", "reason": "nobody is here", "first": "12-20", "last": "01-06",
        "zone": "Europe/Berlin",
    });
    let second = site.post(&author, "/api/v1/freezes", &yearly).await;
    assert_eq!(second.json()["holds"], false, "{}", second.text);
    for (field, value) in [("first", "13-01"), ("last", "nonsense"), ("zone", "Mars/Olympus")] {
        let mut bad = yearly.clone();
        bad[field] = json!(value);
        let refused = site.post(&author, "/api/v1/freezes", &bad).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{field}: {}", refused.text);
    }
    assert_eq!(site.get(&author, "/api/v1/freezes").await.json()["total"], 2);
    let path = format!("/api/v1/freezes/{}", id(&made.json()));
    assert_eq!(site.act("DELETE", &author, &path, &json!({})).await.status, StatusCode::OK);
    assert_eq!(site.act("DELETE", &author, &path, &json!({})).await.status, StatusCode::NOT_FOUND);
}
