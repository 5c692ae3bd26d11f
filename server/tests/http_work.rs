//! Jobs that take back and that only prove, what is counted of all of them, and work for people: by
//! REST and on the pages.

mod http_support;

use std::time::Duration;

use axum::http::StatusCode;
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::ids::{HostId, IncidentId, JobId, SpoolEpoch};
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel, StepReport, StepState};
use fleetmend_core::knowledge::Remediation;
use fleetmend_core::known::Known;
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::step::Step;
use fleetmend_core::token::Role;
use fleetmend_store::{HostItems, JobTerms, NewJob};
use http_support::{Site, id, now};
use insta::assert_json_snapshot;
use serde_json::json;

/// What an agent says of a job, as the next items of its spool.
async fn says(site: &Site, host: HostId, items: Vec<JobUpdate>) {
    tells(site, host, items.into_iter().map(|u| SpoolItem::Job(Box::new(u))).collect()).await;
}

async fn tells(site: &Site, host: HostId, items: Vec<SpoolItem>) {
    let epoch: SpoolEpoch = id(3_001);
    let from = site.shared.db.spool_position(host, epoch).await.expect("reads") + 1;
    let items = (from..).zip(items).map(|(n, item)| (n, item.into())).collect();
    let batch = [HostItems { host, epoch, items }];
    let done = site.shared.db.ingest(&batch, now(), &mut || [7; 10]).await.expect("ingests");
    assert_eq!(done.outcomes[0].quarantined, 0);
}

fn update(job: JobId, attempt: u32, state: JobState) -> JobUpdate {
    JobUpdate {
        job,
        attempt,
        state,
        detail: format!("it is {state}"),
        step: None,
        evidence: Vec::new(),
        proof: (state == JobState::Fixed).then_some(ProofLevel::Repeated),
        at: now(),
    }
}

/// What an agent says of a try that did every step, and of its end.
fn worked(job: JobId, entry: &Remediation, attempt: u32, end: JobState) -> Vec<JobUpdate> {
    let step = |(index, step): (u32, &Step)| JobUpdate {
        step: Some(StepReport {
            index,
            title: step.action.title(),
            state: StepState::Done,
            exit: None,
            detail: String::new(),
            output_dropped: 0,
        }),
        ..update(job, attempt, JobState::Running)
    };
    let steps = (0..).zip(&entry.steps).map(step);
    steps.chain([update(job, attempt, end)]).collect()
}

/// A job of apt.refresh_lists that ended fixed: its first step can be taken back, the others not.
async fn fixed(site: &Site, host: HostId, incident: IncidentId) -> JobId {
    let entry = &site.shared.catalogue.remediations[&"apt.refresh_lists".parse().expect("a slug")];
    let new = NewJob {
        id: id(700),
        host,
        incident,
        cause: "apt_lists_broken".parse().expect("a slug"),
        remediation: entry.id.clone(),
        version: entry.version,
        digest: entry.digest(),
        evidence: Vec::new(),
        steps_time: Duration::from_mins(10),
        verify_within: limits::VERIFY_WITHIN,
        not_before: now(),
        expires: now().after(limits::ORDER_LIFE),
        reason: "a test".to_owned(),
        terms: JobTerms::default(),
    };
    let job = site.shared.db.create_job(&new, "test", now()).await.expect("made").id;
    site.shared.db.offer(job, now()).await.expect("offers").expect("an order");
    says(site, host, worked(job, entry, 1, JobState::Fixed)).await;
    job
}

#[tokio::test]
async fn what_a_job_did_is_shown_and_taken_back_once() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let cookie = site.log_in(&token).await;
    let (host, incident, ..) = site.fleet().await;
    let job = fixed(&site, host, incident).await;
    let path = format!("/api/v1/jobs/{job}/undo");
    let preview = site.get(&token, &path).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.text);
    assert_json_snapshot!("undo_preview", preview.json());
    let beyond = site.get(&token, &format!("{path}?attempt=4")).await;
    assert_eq!(beyond.problem()["field"], "attempt");
    let page = site.page(&cookie, &format!("/jobs/{job}"), "en").await.text;
    assert!(page.contains(&format!("href=\"/jobs/{job}/undo\"")), "{page}");
    for lang in ["en", "ru"] {
        let page = site.page(&cookie, &format!("/jobs/{job}/undo"), lang).await;
        assert_eq!(page.status, StatusCode::OK);
        insta::assert_snapshot!(format!("undo_{lang}"), main_of(&page.text));
    }

    let unsaid = site.post(&token, &path, &json!({ "reason": "" })).await;
    assert_eq!(unsaid.problem()["field"], "reason");
    let made = site.post(&token, &path, &json!({ "reason": "it was the wrong one" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let undo = made.json();
    assert_eq!((&undo["task"], &undo["undoes"]), (&json!("undo"), &json!(job.to_string())));
    let shown = site.get(&token, &format!("/api/v1/jobs/{job}")).await.json();
    assert_eq!((&shown["state"], &shown["undone_by"]), (&json!("fixed"), &undo["id"]));
    let again = site.post(&token, &path, &json!({ "reason": "again" })).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text);

    let undo: JobId = undo["id"].as_str().expect("an id").parse().expect("an id");
    site.shared.db.offer(undo, now()).await.expect("offers").expect("an order");
    says(&site, host, vec![update(undo, 1, JobState::RolledBack)]).await;
    let over = site.get(&token, &format!("/api/v1/jobs/{undo}")).await.json();
    assert_eq!(over["state"], "rolled_back");
    let page = site.page(&cookie, &format!("/jobs/{undo}"), "en").await.text;
    assert!(page.contains("taking back") && page.contains(&job.to_string()), "{page}");
    site.clock.advance(limits::UNDO_KEPT);
    let late = site.get(&site.token(Role::Viewer).await, &path).await.json();
    assert_eq!(late["possible"], false, "{late}");
}

#[tokio::test]
async fn each_try_of_a_job_that_climbed_is_shown_and_taken_back_by_itself() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let cookie = site.log_in(&token).await;
    let (host, incident, ..) = site.fleet().await;
    let entry = |id: &str| &site.shared.catalogue.remediations[&id.parse().expect("a slug")];
    let (first, second) =
        (entry("restore_service_start_types.apt_timers"), entry("apt.refresh_lists"));
    let new = NewJob {
        id: id(700),
        host,
        incident,
        cause: "apt_timer_disabled".parse().expect("a slug"),
        remediation: first.id.clone(),
        version: first.version,
        digest: first.digest(),
        evidence: Vec::new(),
        steps_time: Duration::from_mins(10),
        verify_within: limits::VERIFY_WITHIN,
        not_before: now(),
        expires: now().after(limits::ORDER_LIFE),
        reason: "a test".to_owned(),
        terms: JobTerms { climbs: true, ..JobTerms::default() },
    };
    let job = site.shared.db.create_job(&new, "test", now()).await.expect("made").id;
    site.shared.db.offer(job, now()).await.expect("offers").expect("an order");
    says(&site, host, worked(job, first, 1, JobState::Failed)).await;
    let next = fleetmend_store::NextTry {
        cause: "apt_lists_broken".parse().expect("a slug"),
        remediation: second.id.clone(),
        version: second.version,
        digest: second.digest(),
        evidence: Vec::new(),
        known: Known::default(),
        own_probe: None,
        steps_time: Duration::from_mins(1),
        not_before: now(),
        why: "a test".to_owned(),
    };
    assert!(site.shared.db.climb_to((job, 1), &next, &next.known, now()).await.expect("climbs"));
    site.shared.db.offer(job, now()).await.expect("offers").expect("an order");
    says(&site, host, worked(job, second, 2, JobState::Fixed)).await;

    let path = format!("/api/v1/jobs/{job}/undo");
    let of = async |query: &str| site.get(&token, &format!("{path}{query}")).await.json();
    let last = of("").await;
    assert_eq!((&last["attempt"], &last["remediation"]), (&json!(2), &json!("apt.refresh_lists")));
    let earlier = of("?attempt=1").await;
    assert_eq!(earlier["remediation"], first.id.as_str());
    assert_eq!(earlier["steps"].as_array().map(Vec::len), Some(first.steps.len()));
    let page = site.page(&cookie, &format!("/jobs/{job}/undo?attempt=1"), "en").await;
    assert!(page.text.contains(&first.steps[0].action.title()), "{}", page.text);

    let seen = site.get(&token, &path).await.json();
    let wish = json!({ "reason": "it was the wrong one" });
    let made = site.post(&token, &path, &wish).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let undo: JobId = made.json()["id"].as_str().expect("an id").parse().expect("an id");
    let order = site.shared.db.offer(undo, now()).await.expect("offers").expect("an order");
    assert_eq!(seen["digest"], order.digest, "what was shown is what is taken back");
    assert_eq!((order.remediation, order.digest), (second.id.clone(), second.digest()));
    let again = of("?attempt=2").await;
    assert_eq!(again["possible"], false, "{again}");
    says(&site, host, vec![update(undo, 1, JobState::RolledBack)]).await;

    // What the job did first is the job's too, with the text that its agent was sent then.
    let page = site.page(&cookie, &format!("/jobs/{job}"), "en").await.text;
    assert!(page.contains(&format!("href=\"/jobs/{job}/undo\"")), "{page}");
    let seen = of("?attempt=1").await;
    assert_eq!(seen["digest"], first.digest());
    let wish = json!({ "reason": "this too", "attempt": 1 });
    let made = site.post(&token, &path, &wish).await;
    let undo: JobId = made.json()["id"].as_str().expect("an id").parse().expect("an id");
    let order = site.shared.db.offer(undo, now()).await.expect("offers").expect("an order");
    assert_eq!((order.remediation, order.digest), (first.id.clone(), first.digest()));
}

#[tokio::test]
async fn whether_it_still_fails_is_found_out_without_a_change() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let (host, incident, bad_host, bad) = site.fleet().await;
    let path = format!("/api/v1/incidents/{incident}/verify");
    let wrong = json!({ "reason": "x", "remediation": "rm_rf" });
    assert_eq!(site.post(&token, &path, &wrong).await.problem()["field"], "remediation");
    let made = site.post(&token, &path, &json!({ "reason": "another tool was at it" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["task"], "verify");
    let job: JobId = made.json()["id"].as_str().expect("an id").parse().expect("an id");
    let order = site.shared.db.offer(job, now()).await.expect("offers").expect("an order");
    assert_eq!(order.task, fleetmend_core::order::Task::Verify);
    says(&site, host, vec![update(job, 1, JobState::Fixed)]).await;
    let incident = site.get(&token, &format!("/api/v1/incidents/{incident}")).await.json();
    assert_eq!(incident["state"], "fixed");
    let list = site.get(&token, "/api/v1/jobs?task=verify").await.json();
    assert_eq!(list["total"], 1);
    let pending = format!("/api/v1/incidents/{bad}/verify");
    let pending = site.post(&token, &pending, &json!({ "reason": "x" })).await;
    assert_eq!(pending.problem()["type"], "urn:fleetmend:problem:host_state", "{bad_host}");
}

#[tokio::test]
async fn what_helped_is_counted_and_stands_in_the_plan() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let cookie = site.log_in(&token).await;
    let (host, incident, ..) = site.fleet().await;
    let body = json!({ "reason": "test", "max_risk": "disruptive" });
    for state in [JobState::Failed, JobState::Fixed] {
        let named = json!({ "reason": "test", "max_risk": "disruptive", "remediation": "apt.configure_pending" });
        let body = if state == JobState::Fixed { &named } else { &body };
        let path = format!("/api/v1/incidents/{incident}/remediate");
        let made = site.post(&token, &path, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let job: JobId = made.json()["id"].as_str().expect("an id").parse().expect("an id");
        site.shared.db.offer(job, now()).await.expect("offers").expect("an order");
        says(&site, host, vec![update(job, 1, state)]).await;
    }
    let counted = site.get(&token, "/api/v1/efficacy").await.json();
    assert_json_snapshot!("efficacy", counted);
    assert_eq!(site.get(&token, "/api/v1/efficacy?simulated=true").await.json()["total"], 0);
    assert_eq!(site.get(&token, "/api/v1/efficacy?weak=true").await.json()["total"], 0);
    let path = format!("/api/v1/incidents/{incident}/plan?max_risk=disruptive");
    let plan = site.get(&token, &path).await.json();
    let first = plan["steps"].as_array().expect("steps").iter();
    let mut first = first.filter(|s| s["remediation"] == "apt.configure_pending");
    assert_eq!(first.next().expect("planned")["counted"], "cured 1 of 2 here", "{plan}");
    for lang in ["en", "ru"] {
        let page = site.page(&cookie, "/efficacy", lang).await;
        insta::assert_snapshot!(format!("efficacy_{lang}"), main_of(&page.text));
    }
}

#[tokio::test]
async fn people_are_asked_and_tick_off_and_the_agent_tells_whether_it_helped() {
    let site = Site::new().await;
    let token = site.token(Role::Operator).await;
    let cookie = site.log_in(&token).await;
    let (host, incident, ..) = site.fleet().await;
    // What an agent could put right is not there any more; what is left only a person can.
    let gone = Evidence {
        id: id(2_500),
        probe: "dpkg_interrupted".parse().expect("a slug"),
        subject: None,
        answer: Answer::No,
        proof: "no package is half done".to_owned(),
        value: None,
        at: now(),
    };
    tells(&site, host, vec![SpoolItem::Evidence(vec![gone])]).await;
    site.triage().await;
    let ask = json!({ "incident": incident });
    let made = site.post(&token, "/api/v1/guided", &ask).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let task = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(site.post(&token, "/api/v1/guided", &ask).await.status, StatusCode::CONFLICT);
    let path = |verb: &str| format!("/api/v1/guided/{task}/{verb}");
    let ticked = site.post(&token, &path("tick"), &json!({ "done": [0] })).await.json();
    assert_eq!((&ticked["state"], &ticked["assignee"]), (&json!("doing"), &json!("the operator")));
    let beyond = site.post(&token, &path("tick"), &json!({ "done": [63] })).await;
    assert_eq!(beyond.problem()["field"], "done");
    let taken = site.post(&token, &path("take"), &json!({ "assignee": "bob" })).await.json();
    assert_eq!(taken["assignee"], "bob");
    site.post(&token, &path("note"), &json!({ "text": "<script>alert(1)</script>" })).await;

    let form = site.form_token(&cookie).await;
    let ticks = async |fields: &str| -> Vec<bool> {
        let fields = format!("form_token={form}{fields}");
        let sent = site.form(&cookie, &format!("/guided/{task}/tick"), &fields).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        let shown = site.get(&token, &format!("/api/v1/guided/{task}")).await.json();
        let steps = shown["steps"].as_array().expect("steps").clone();
        steps.iter().map(|step| !step["done_by"].is_null()).collect()
    };
    // A page that was read before the first step was ticked off does not take that back.
    assert_eq!(ticks("&done=1").await[..2], [true, true]);
    assert_eq!(ticks("&ticked=0&ticked=1&done=1").await[..2], [false, true]);
    for lang in ["en", "ru"] {
        let page = site.page(&cookie, &format!("/guided/{task}"), lang).await.text;
        assert!(!page.contains("<script>alert"), "inert");
        insta::assert_snapshot!(format!("guided_{lang}"), masked(&main_of(&page), &task));
        let page = site.page(&cookie, "/guided", lang).await.text;
        insta::assert_snapshot!(format!("guided_list_{lang}"), masked(&main_of(&page), &task));
    }
    let done = site.post(&token, &path("done"), &json!({})).await.json();
    assert_eq!((&done["state"], &done["proof"]), (&json!("done"), &json!("awaited")), "{done}");
    let job = done["job"].as_str().expect("an agent is asked");
    let job = site.get(&token, &format!("/api/v1/jobs/{job}")).await.json();
    assert_eq!(job["task"], "verify");
    assert_eq!(site.post(&token, &path("done"), &json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(site.get(&token, "/api/v1/guided").await.json()["total"], 0, "none is open");
    assert_eq!(site.get(&token, "/api/v1/guided?state=done").await.json()["total"], 1);
}

/// The part of a page that is its own, without what changes with every run.
fn main_of(text: &str) -> String {
    let (_, rest) = text.split_once("<main ").expect("a main part");
    let (main, _) = rest.split_once("</main>").expect("its end");
    let lines: Vec<&str> = main.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let text = format!("<main {}", lines.join("\n"));
    let mut parts = text.split("name=\"form_token\" value=\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("the end of a value");
        out.push_str("name=\"form_token\" value=\"…\"");
        out.push_str(rest);
    }
    out
}

fn masked(text: &str, id: &str) -> String {
    text.replace(id, "TASK")
}
