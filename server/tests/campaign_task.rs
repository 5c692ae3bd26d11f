//! The background task that carries campaigns on, over a real database and a clock that stands still.

mod http_support;

use std::time::Duration;

use fleetmend_core::campaign::CampaignState;
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::ids::{CampaignId, HostId, JobId, ReportId, SpoolEpoch};
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel};
use fleetmend_core::knowledge::{NetworkCost, Risk};
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock as _, SourceTime};
use fleetmend_core::token::Role;
use fleetmend_core::words::Slug;
use fleetmend_server::background::tasks::{Campaigns, Climb};
use fleetmend_server::background::{BackgroundTask as _, Outcome};
use fleetmend_store::{Campaign, HostItems, JobFilter, PageRequest, Who};
use http_support::{Site, id, on_postgres};
use serde_json::{Value, json};

on_postgres!(
    waves_open_one_after_the_other_and_a_halt_holds_them,
    errors_abort_it_and_nothing_more_starts,
    two_planners_start_each_host_once,
    a_host_that_nothing_automatic_helps_is_left_out_with_the_reason,
    a_site_has_no_more_at_once_though_what_is_chosen_costs_more_than_its_cause_lets_expect,
    an_approval_ends_with_the_remediations_that_it_was_given_for,
    a_host_that_has_not_told_what_is_needed_is_looked_at_again_and_left_out_after_a_day,
    an_undo_goes_by_waves_without_the_canaries_and_the_hours_of_what_it_takes_back,
);

const ANNA: Who<'static> = Who { actor: "user anna", person: "user anna" };

/// Hosts that all fail alike.
async fn fleet(hosts: u128) -> (Site, String) {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    for n in 1..=hosts {
        let host = site.host(n, &format!("web-{n}"), false, false).await;
        site.failure(host, n, "dpkg was interrupted").await;
    }
    (site, author)
}

fn definition() -> Value {
    json!({
        "name": "interrupted dpkg", "reason": "updates stand still", "max_risk": "disruptive",
        "selector": { "cause": "dpkg_interrupted" },
        "waves": [{ "share": "1" }, { "share": "all" }], "gate": { "soak": "0s" },
    })
}

/// Writes, approves and starts a campaign.
async fn started(site: &Site, author: &str, definition: &Value) -> CampaignId {
    let made = site.post(author, "/api/v1/campaigns", definition).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let campaign: CampaignId = made["id"].as_str().expect("an id").parse().expect("an id");
    let (db, now) = (&site.shared.db, site.clock.now());
    if made["state"] == "awaiting_approval" {
        let digest = made["digest"].as_str().expect("a digest");
        db.approve_campaign(campaign, digest, "", ANNA, now).await.expect("approved");
    }
    let path = format!("/api/v1/campaigns/{campaign}/start");
    let done = site.post(author, &path, &json!({})).await;
    assert_eq!(done.status, 200, "{}", done.text);
    campaign
}

/// Looks until nothing more is decided.
async fn look(site: &Site) {
    carry_on(&mut Campaigns::new(site.shared.clone()).without_pause()).await;
}

async fn carry_on(task: &mut Campaigns) {
    loop {
        let status = task.activate().await;
        match status.outcome {
            Outcome::Done => return,
            Outcome::More => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn campaign(site: &Site, id: CampaignId) -> Campaign {
    site.shared.db.campaign(id).await.expect("reads").expect("is there")
}

/// The campaign's jobs that are in a state, oldest first.
async fn jobs(site: &Site, campaign: CampaignId, state: JobState) -> Vec<(JobId, HostId)> {
    let filter = JobFilter { campaign: Some(campaign), state: vec![state], ..JobFilter::default() };
    let page = site.shared.db.jobs(&filter, &PageRequest::first(100)).await.expect("reads");
    page.items.iter().rev().map(|job| (job.id, job.host)).collect()
}

/// What the agent of a job says of it.
async fn agent_says(site: &Site, (job, host): (JobId, HostId), sequence: u64, state: JobState) {
    let now = site.clock.now();
    let stands = site.shared.db.job(job).await.expect("reads").expect("is there").job;
    let update = JobUpdate {
        job,
        attempt: stands.attempt,
        state,
        detail: "told by a test".to_owned(),
        step: None,
        evidence: Vec::new(),
        proof: (state == JobState::Fixed).then_some(ProofLevel::Repeated),
        at: now,
    };
    let item = SpoolItem::Job(Box::new(update));
    let items = vec![(sequence, item.into())];
    let batch = [HostItems { host, epoch: SpoolEpoch(id(7_000)), items }];
    let done = site.shared.db.ingest(&batch, now, &mut || [5; 10]).await.expect("ingests");
    assert_eq!(done.outcomes[0].applied, 1, "{done:?}");
}

/// The job is offered, runs and ends so: where its first try does not cure, all that it tries next
/// do not either.
async fn ends(site: &Site, job: (JobId, HostId), state: JobState) {
    let shared = &site.shared;
    let mut climb = Climb::new(
        shared.db.clone(),
        shared.catalogue,
        shared.clock.clone(),
        shared.events.clone(),
        shared.registry.clone(),
        shared.nudges.clone(),
    );
    for sequence in (1..20).step_by(2) {
        shared.db.offer(job.0, site.clock.now()).await.expect("offered").expect("an order");
        agent_says(site, job, sequence, JobState::Running).await;
        agent_says(site, job, sequence + 1, state).await;
        climb.activate().await;
        let stands = shared.db.job(job.0).await.expect("reads").expect("is there").job;
        if stands.state.is_final() {
            assert_eq!(stands.state, state, "{}", stands.detail);
            return;
        }
        // A try that waits for its turn goes on when that has come and the campaign has a place for it.
        site.clock.advance(Duration::from_hours(1));
        shared.db.touch_hosts(&[(job.1, site.clock.now())]).await.expect("is heard of");
        look(site).await;
    }
    panic!("it has no end");
}

#[tokio::test]
async fn waves_open_one_after_the_other_and_a_halt_holds_them() {
    let (site, author) = fleet(3).await;
    let campaign_id = started(&site, &author, &definition()).await;
    look(&site).await;
    let first = jobs(&site, campaign_id, JobState::Queued).await;
    assert_eq!(first.len(), 1, "the first wave is one host");
    look(&site).await;
    assert_eq!(
        jobs(&site, campaign_id, JobState::Queued).await,
        first,
        "doing it twice changes nothing"
    );
    let waits = campaign(&site, campaign_id).await.waiting_for.expect("says why nothing moves");
    assert!(!waits.is_empty());

    ends(&site, first[0], JobState::Fixed).await;
    std::fs::write(site.shared.config.data_dir.join("halt"), "fire").expect("written");
    site.shared.halt.look(&site.shared.db, &*site.shared.clock).await.expect("looks");
    site.clock.advance(Duration::from_mins(1));
    look(&site).await;
    assert_eq!(
        jobs(&site, campaign_id, JobState::Queued).await,
        [],
        "a halted fleet starts nothing"
    );
    std::fs::remove_file(site.shared.config.data_dir.join("halt")).expect("removed");
    site.shared.halt.look(&site.shared.db, &*site.shared.clock).await.expect("looks");
    look(&site).await;
    let rest = jobs(&site, campaign_id, JobState::Queued).await;
    assert_eq!(rest.len(), 2, "the last wave is all");
    for job in rest {
        ends(&site, job, JobState::Fixed).await;
    }
    site.clock.advance(Duration::from_mins(1));
    look(&site).await;
    assert_eq!(campaign(&site, campaign_id).await.state, CampaignState::Completed);
}

#[tokio::test]
async fn errors_abort_it_and_nothing_more_starts() {
    let (site, author) = fleet(3).await;
    let campaign_id = started(&site, &author, &definition()).await;
    look(&site).await;
    let first = jobs(&site, campaign_id, JobState::Queued).await;
    ends(&site, first[0], JobState::Failed).await;
    look(&site).await;
    let stands = campaign(&site, campaign_id).await;
    assert_eq!(stands.state, CampaignState::Aborted, "{}", stands.state_reason);
    assert_eq!(stands.state_by, format!("campaign {campaign_id}"));
    site.clock.advance(Duration::from_hours(2));
    look(&site).await;
    let all = JobFilter { campaign: Some(campaign_id), ..JobFilter::default() };
    let total = site.shared.db.jobs(&all, &PageRequest::first(1)).await.expect("reads").total;
    assert_eq!(total, 1, "an aborted campaign starts nothing");

    let path = format!("/api/v1/campaigns/{campaign_id}/retry");
    let retried = site.post(&author, &path, &json!({ "reason": "the mirror was down" })).await;
    let retried = retried.json();
    let left = stands.hosts - 1;
    assert_eq!((&retried["retried"], &retried["set_aside"]), (&json!(1), &json!(left)));
    assert_eq!(retried["counts"], json!({ "waiting": 1, "left_out": left }));
}

#[tokio::test]
async fn two_planners_start_each_host_once() {
    let (site, author) = fleet(6).await;
    let mut all = definition();
    all["waves"] = json!([{ "share": "all" }]);
    let campaign_id = started(&site, &author, &all).await;
    let mut one = Campaigns::new(site.shared.clone()).without_pause();
    let mut two = Campaigns::new(site.shared.clone()).without_pause();
    let (a, b) = tokio::join!(one.activate(), two.activate());
    assert!(!a.outcome.is_failure() && !b.outcome.is_failure(), "{a:?} {b:?}");
    look(&site).await;
    let mut hosts: Vec<HostId> = jobs(&site, campaign_id, JobState::Queued)
        .await
        .into_iter()
        .map(|(_, host)| host)
        .collect();
    assert_eq!(hosts.len(), 6);
    hosts.sort_unstable();
    hosts.dedup();
    assert_eq!(hosts.len(), 6, "a host was started twice");
}

#[tokio::test]
async fn a_host_that_nothing_automatic_helps_is_left_out_with_the_reason() {
    let (site, author) = fleet(2).await;
    let mut safe = definition();
    safe["max_risk"] = json!("safe");
    let campaign_id = started(&site, &author, &safe).await;
    look(&site).await;
    assert_eq!(jobs(&site, campaign_id, JobState::Queued).await, []);
    let path = format!("/api/v1/campaigns/{campaign_id}/hosts?outcome=left_out");
    let hosts = site.get(&author, &path).await.json();
    assert_eq!(hosts["total"], 2, "{hosts}");
    let why = hosts["items"][0]["detail"].as_str().expect("a reason");
    assert!(why.contains("only up to safe is allowed"), "{why}");
    assert!(campaign(&site, campaign_id).await.state.is_final(), "nothing is left to do");
}

#[tokio::test]
async fn a_site_has_no_more_at_once_though_what_is_chosen_costs_more_than_its_cause_lets_expect() {
    let mut site = Site::new().await;
    // What leads may not be done, and is cheap; what is done instead is not.
    site.restart(|shared| {
        let mut catalogue = shared.catalogue.clone();
        for (id, cause) in &mut catalogue.causes {
            if id.as_str() != "dpkg_interrupted" {
                cause.remediations = vec![slug("apt.fix_broken")];
            }
        }
        let remediations = &mut catalogue.remediations;
        remediations.get_mut(&slug("apt.configure_pending")).expect("there").risk = Risk::Dangerous;
        assert_eq!(remediations[&slug("apt.fix_broken")].network, NetworkCost::Large);
        shared.catalogue = Box::leak(Box::new(catalogue));
    });
    let author = site.token(Role::Author).await;
    for n in 1..=3 {
        let host = site.host(n, &format!("web-{n}"), false, false).await;
        fails(&site, host, n, "apt.dpkg_interrupted").await;
    }
    site.triage().await;
    let mut all = definition();
    all["selector"] = json!({ "code": "apt.dpkg_interrupted" });
    all["waves"] = json!([{ "share": "all" }]);
    all["pace"] = json!({ "network_per_site": 1 });
    let campaign_id = started(&site, &author, &all).await;
    let mut task = Campaigns::new(site.shared.clone()).without_pause();
    carry_on(&mut task).await;
    let first = jobs(&site, campaign_id, JobState::Queued).await;
    assert_eq!(
        first.len(),
        1,
        "one of the site: {}",
        site.get(&author, &format!("/api/v1/campaigns/{campaign_id}/hosts")).await.text
    );
    let waits = campaign(&site, campaign_id).await.waiting_for.expect("says why");
    assert!(waits.starts_with("2 hosts wait: site north has its 1 jobs"), "{waits}");
    // Another that knows nothing of it yet finds the same.
    look(&site).await;
    assert_eq!(jobs(&site, campaign_id, JobState::Queued).await, first);
    ends(&site, first[0], JobState::Fixed).await;
    carry_on(&mut task).await;
    assert_eq!(jobs(&site, campaign_id, JobState::Queued).await.len(), 1, "the next one");
}

fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

#[tokio::test]
async fn an_approval_ends_with_the_remediations_that_it_was_given_for() {
    let (mut site, author) = fleet(2).await;
    let campaign = started(&site, &author, &definition()).await;
    look(&site).await;
    let mut scheduled = definition();
    scheduled["schedule"] = json!({ "once": { "at": "2030-01-01T22:00" } });
    scheduled["max_hosts"] = json!(2);
    let waiting = started(&site, &author, &scheduled).await;
    let state = async |site: &Site, id: CampaignId| {
        site.shared.db.campaign(id).await.expect("reads").expect("there")
    };
    assert_eq!(state(&site, campaign).await.state, CampaignState::Running);
    let before = state(&site, campaign).await;
    assert!(before.approved_by.is_some());
    assert_eq!(state(&site, waiting).await.state, CampaignState::Scheduled);

    // The server comes back with a catalogue in which the same name means something else.
    site.restart(|shared| {
        let mut catalogue = shared.catalogue.clone();
        for remediation in catalogue.remediations.values_mut() {
            remediation.version += 1;
        }
        shared.catalogue = Box::leak(Box::new(catalogue));
    });
    look(&site).await;
    let paused = state(&site, campaign).await;
    assert_eq!(paused.state, CampaignState::Paused, "{}", paused.state_reason);
    assert!(paused.state_reason.contains("catalogue"), "{}", paused.state_reason);
    let resumed =
        site.post(&author, &format!("/api/v1/campaigns/{campaign}/resume"), &json!({})).await;
    assert_eq!(resumed.status, 409, "{}", resumed.text);
    let queue = site.get(&author, "/api/v1/approvals").await.json();
    assert_eq!(queue["total"], 2, "the one that is paused waits for a second person too: {queue}");
    // Approved as it is now, it may go on; what was approved before counts for nothing.
    let (db, now) = (&site.shared.db, site.clock.now());
    assert_ne!(before.digest, paused.digest);
    db.approve_campaign(campaign, &paused.digest, "", ANNA, now).await.expect("approved");
    let resumed =
        site.post(&author, &format!("/api/v1/campaigns/{campaign}/resume"), &json!({})).await;
    assert_eq!(resumed.status, 200, "{}", resumed.text);
    look(&site).await;
    let goes_on = state(&site, campaign).await;
    assert_eq!(goes_on.state, CampaignState::Running, "{}", goes_on.state_reason);
    let asks = state(&site, waiting).await;
    assert_eq!((asks.state, asks.approved_by), (CampaignState::AwaitingApproval, None));

    // Approved as it is now, it waits for its time again.
    let (db, now) = (&site.shared.db, site.clock.now());
    db.approve_campaign(waiting, &asks.digest, "", ANNA, now).await.expect("approved");
    let path = format!("/api/v1/campaigns/{waiting}/start");
    assert_eq!(site.post(&author, &path, &json!({})).await.status, 200);
    look(&site).await;
    assert_eq!(state(&site, waiting).await.state, CampaignState::Scheduled);
}

#[tokio::test]
async fn a_host_that_has_not_told_what_is_needed_is_looked_at_again_and_left_out_after_a_day() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    let mut hosts = Vec::new();
    for n in 1..=2 {
        let host = site.host(n, &format!("web-{n}"), false, false).await;
        fails(&site, host, n, "apt.half_installed").await;
        hosts.push(host);
    }
    site.triage().await;
    let mut named = definition();
    named["selector"] = json!({ "code": "apt.half_installed" });
    named["remedy"] = json!({ "remediation": { "id": "apt.reinstall_package" } });
    named["waves"] = json!([{ "share": "all" }]);
    let campaign_id = started(&site, &author, &named).await;
    let mut task = Campaigns::new(site.shared.clone()).without_pause();
    carry_on(&mut task).await;
    assert_eq!(jobs(&site, campaign_id, JobState::Queued).await, []);
    let waits = campaign(&site, campaign_id).await.waiting_for.expect("says why");
    assert!(waits.contains("2 hosts wait: what the remediation needs to know"), "{waits}");
    let path = format!("/api/v1/campaigns/{campaign_id}/hosts?outcome=");
    let waiting = site.get(&author, &format!("{path}waiting")).await.json();
    assert_eq!(waiting["total"], 2, "{waiting}");
    let why = waiting["items"][0]["detail"].as_str().expect("a reason");
    assert!(why.contains("dpkg_reinst_required"), "{why}");

    // One tells it; it is begun at the next look.
    site.clock.advance(limits::EVIDENCE_LOOK);
    let told = Evidence {
        id: id(2_000),
        probe: "dpkg_reinst_required".parse().expect("a slug"),
        subject: None,
        answer: Answer::Yes,
        proof: "nginx must be installed again".to_owned(),
        value: Some("nginx".to_owned()),
        at: site.clock.now(),
    };
    tells(&site, hosts[0], 2, SpoolItem::Evidence(vec![told])).await;
    carry_on(&mut task).await;
    let begun = jobs(&site, campaign_id, JobState::Queued).await;
    assert_eq!(begun.iter().map(|(_, host)| *host).collect::<Vec<_>>(), [hosts[0]]);
    ends(&site, begun[0], JobState::Fixed).await;

    // The other is left out in the end.
    site.clock.advance(limits::EVIDENCE_WAIT);
    site.shared.db.touch_hosts(&[(hosts[1], site.clock.now())]).await.expect("is heard of");
    // Since when it waits is known after a restart too.
    look(&site).await;
    let left = site.get(&author, &format!("{path}left_out")).await.json();
    assert_eq!(left["total"], 1, "{left}");
    assert!(campaign(&site, campaign_id).await.state.is_final());
}

/// Reports a failure of which nothing more is known.
async fn fails(site: &Site, host: HostId, n: u128, code: &str) {
    let at = site.clock.now().before(Duration::from_mins(90));
    let failure = json!({
        "id": id::<ReportId>(1_000 + n), "at": at, "evidence": [],
        "failure": {
            "product": "apt", "operation": "install", "code": code, "kind": "failure",
            "time": SourceTime::utc(at), "source": "apt", "message": "nginx must be installed again",
        },
    });
    let failure = serde_json::from_value(failure).expect("a failure");
    tells(site, host, 1, SpoolItem::Failure(Box::new(failure))).await;
}

async fn tells(site: &Site, host: HostId, sequence: u64, item: SpoolItem) {
    let batch =
        [HostItems { host, epoch: SpoolEpoch(id(8_000)), items: vec![(sequence, item.into())] }];
    let mut drawn = 0;
    let mut random = || {
        drawn += 1;
        host.0.as_bytes()[6..]
            .iter()
            .map(|b| b ^ drawn)
            .collect::<Vec<_>>()
            .try_into()
            .expect("ten")
    };
    let done = site.shared.db.ingest(&batch, site.clock.now(), &mut random).await.expect("ingests");
    assert_eq!(done.outcomes[0].quarantined, 0, "{done:?}");
    site.shared.db.touch_hosts(&[(host, site.clock.now())]).await.expect("is heard of");
}

/// One job is offered, runs and ends so; the sequence is the first that its agent has not used.
async fn runs(site: &Site, job: (JobId, HostId), sequence: u64, state: JobState) {
    site.shared.db.offer(job.0, site.clock.now()).await.expect("offered").expect("an order");
    agent_says(site, job, sequence, JobState::Running).await;
    agent_says(site, job, sequence + 1, state).await;
}

#[tokio::test]
async fn an_undo_goes_by_waves_without_the_canaries_and_the_hours_of_what_it_takes_back() {
    let site = Site::new().await;
    let author = site.token(Role::Author).await;
    let mut hosts = Vec::new();
    for n in 1..=4 {
        let host = site.host(n, &format!("web-{n}"), false, false).await;
        let at = site.clock.now().before(Duration::from_mins(90));
        let failure = json!({
            "id": id::<ReportId>(1_000 + n), "at": at,
            "evidence": [{
                "id": id::<uuid::Uuid>(2_000 + n), "probe": "apt_upgrade_timer_disabled", "answer": "yes",
                "proof": "disabled", "at": at,
            }],
            "failure": {
                "product": "apt", "operation": "scan", "code": "apt.periodic_stale", "kind": "failure",
                "time": SourceTime::utc(at), "source": "apt", "message": "nothing was looked for",
            },
        });
        let failure = serde_json::from_value(failure).expect("a failure");
        tells(&site, host, 1, SpoolItem::Failure(Box::new(failure))).await;
        hosts.push(host);
    }
    site.triage().await;
    let (db, clock) = (&site.shared.db, &site.clock);
    let labels = |ring: &str| [("ring".to_owned(), ring.to_owned())].into();
    db.set_labels(hosts[0], &labels("canary"), "test", clock.now()).await.expect("labelled");
    let mut done = definition();
    done["selector"] = json!({ "cause": "apt_timer_disabled" });
    done["waves"] = json!([{ "share": "1", "label": ["ring", "canary"] }, { "share": "all" }]);
    done["windows"] = json!([{ "days": "daily", "start": "11:00", "end": "15:00" }]);
    let campaign_id = started(&site, &author, &done).await;
    look(&site).await;
    let canary = jobs(&site, campaign_id, JobState::Queued).await;
    assert_eq!(canary.iter().map(|(_, host)| *host).collect::<Vec<_>>(), [hosts[0]]);
    runs(&site, canary[0], 1, JobState::Fixed).await;
    look(&site).await;
    let rest = jobs(&site, campaign_id, JobState::Queued).await;
    assert_eq!(rest.len(), 3);
    for job in rest {
        runs(&site, job, 1, JobState::Fixed).await;
    }
    look(&site).await;
    assert_eq!(campaign(&site, campaign_id).await.state, CampaignState::Completed);

    // In the evening, and nobody is a canary any more.
    clock.advance(Duration::from_hours(8));
    for host in &hosts {
        db.set_labels(*host, &labels("all"), "test", clock.now()).await.expect("labelled");
        db.touch_hosts(&[(*host, clock.now())]).await.expect("is heard of");
    }
    let path = format!("/api/v1/campaigns/{campaign_id}/undo");
    let made = site.post(&author, &path, &json!({ "reason": "they were off on purpose" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let undo = made.json()["id"].as_str().expect("an id").parse().expect("an id");
    let mut waves = Vec::new();
    loop {
        look(&site).await;
        let begun = jobs(&site, undo, JobState::Queued).await;
        let stands = campaign(&site, undo).await;
        if begun.is_empty() {
            assert_eq!(stands.state, CampaignState::Completed, "{:?}", stands.waiting_for);
            break;
        }
        waves.push(begun.len());
        for job in begun {
            runs(&site, job, 3, JobState::RolledBack).await;
        }
    }
    assert_eq!(waves, [1, 3], "it is carried on by waves to its end");
}
