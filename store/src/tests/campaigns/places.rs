//! Jobs that climb: a next try takes a place as a new job does, and never above the limits.

use fleetmend_core::campaign::{Between, Decisions, advance};
use fleetmend_core::ids::{CampaignId, HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;
use serde_json::json;

use super::{ANNA, broken, jobs_for, look, plan, running, works};
use crate::tests::climbing::{known, next};
use crate::tests::{at, contract, job_says, send};
use crate::{Applied, CampaignMove, Db, Job, NextStep, NextWork};

/// One look and step of a campaign whose jobs climb.
async fn step(db: &Db, id: CampaignId, now: Timestamp) -> Applied {
    let seen = look(db, id, now).await;
    let decisions = advance(&seen.snapshot, now);
    carry_out(db, id, seen.campaign.revision, &decisions, now)
        .await
        .expect("nobody else changes it")
}

async fn carry_out(
    db: &Db,
    id: CampaignId,
    revision: u64,
    decisions: &Decisions,
    now: Timestamp,
) -> Option<Applied> {
    let mut jobs = jobs_for(db, id, &decisions.start, now).await;
    for job in &mut jobs {
        job.terms.climbs = true;
    }
    let step = NextStep { revision, decisions, jobs: &jobs, left_out: &[], selection: None };
    db.apply_campaign(id, &step, "planner", now).await.expect("applies")
}

/// A campaign with one job at once, whose first is refuted while its proof is awaited and the second
/// has begun meanwhile.
async fn refuted(db: &Db) -> (CampaignId, [(HostId, JobId); 2]) {
    broken(db, 3).await;
    let fields = json!({
        "waves": [{"share": "all"}], "pace": {"at_once": 1}, "thresholds": {"abort": "off"},
    });
    let id = running(db, 1, &fields, at(2)).await.id;
    step(db, id, at(2)).await;
    let first = step(db, id, at(2)).await.started[0];
    assert!(step(db, id, at(2)).await.started.is_empty(), "one at once");
    works(db, first.0, first.1, JobState::Verifying, at(3)).await;
    let second = step(db, id, at(3)).await.started[0];
    works(db, second.0, second.1, JobState::Running, at(4)).await;
    send(db, first.0, [job_says(first.1, 1, JobState::Failed, at(5))], at(5)).await;
    (id, [first, second])
}

async fn get(db: &Db, job: JobId) -> Job {
    db.job(job).await.expect("reads").expect("is there").job
}

async fn between(db: &Db, id: CampaignId, host: HostId) -> Option<Between> {
    let seen = look(db, id, at(9)).await.snapshot;
    seen.hosts.iter().find(|h| h.host == host).expect("there").between
}

contract! {
    async fn a_job_out_of_its_proof_waits_for_a_place(db) {
        let (id, [first, second]) = refuted(db).await;
        assert_eq!(between(db, id, first.0).await, Some(Between::Choosing));
        assert!(db.climb_to((first.1, 1), &next("apt.clean", at(6)), &known("yes"), at(5)).await.expect("climbs"));
        assert_eq!(between(db, id, first.0).await, Some(Between::Chosen { from: at(6) }));
        assert!(get(db, first.1).await.place_wanted);
        // The other is at work: nothing is offered.
        let applied = step(db, id, at(7)).await;
        assert_eq!((applied.started, applied.went_on), (vec![], vec![]));
        let waits = applied.campaign.waiting_for.expect("says why");
        assert!(waits.contains("1 job waits for a place before the next try"), "{waits}");
        assert_eq!(db.orders_for(first.0, at(7)).await.expect("reads"), []);
        assert_eq!(db.hosts_with_orders(at(7)).await.expect("reads"), []);
        assert!(db.offer(first.1, at(7)).await.expect("asks").is_none());
        // It goes before the host that has not begun.
        send(db, second.0, [job_says(second.1, 1, JobState::Fixed, at(8))], at(8)).await;
        let applied = step(db, id, at(8)).await;
        assert_eq!((applied.started, applied.went_on), (vec![], vec![first]));
        assert_eq!(db.orders_for(first.0, at(8)).await.expect("reads"), [first.1]);
        assert_eq!(between(db, id, first.0).await, None);
        assert_eq!(db.offer(first.1, at(8)).await.expect("offers").expect("an order").attempt, 2);
        assert_eq!(step(db, id, at(8)).await.started, [], "the place is taken");
        let told = db.campaign_document(id, at(9)).await.expect("exports").audit;
        let row = told.iter().find(|row| row.action == "campaign.next_tries").expect("a row");
        assert_eq!(row.detail["jobs"], json!([first.1]));
    }

    async fn a_place_is_given_once_and_not_by_a_campaign_that_rests(db) {
        let (id, [first, second]) = refuted(db).await;
        db.climb_to((first.1, 1), &next("apt.clean", at(5)), &known("yes"), at(5)).await.expect("climbs");
        send(db, second.0, [job_says(second.1, 1, JobState::Fixed, at(6))], at(6)).await;
        let seen = look(db, id, at(7)).await;
        let decisions = advance(&seen.snapshot, at(7));
        assert_eq!(decisions.go_on, [first.1]);
        db.move_campaign(id, CampaignMove::Pause, "lunch", ANNA, at(7)).await.expect("pauses");
        assert_eq!(carry_out(db, id, seen.campaign.revision, &decisions, at(7)).await, None, "decided before");
        let revision = look(db, id, at(7)).await.campaign.revision;
        let applied = carry_out(db, id, revision, &decisions, at(7)).await.expect("now");
        assert_eq!(applied.went_on, [], "it rests");
        db.move_campaign(id, CampaignMove::Resume, "", ANNA, at(8)).await.expect("resumes");
        assert_eq!(step(db, id, at(8)).await.went_on, [first]);
        let revision = look(db, id, at(8)).await.campaign.revision;
        let again = carry_out(db, id, revision, &decisions, at(8)).await.expect("now");
        assert_eq!(again.went_on, [], "once");
        // One that is aborted ends what waits, as its last try ended.
        works_again(db, first).await;
        db.climb_to((first.1, 2), &next("apt.other", at(9)), &known("yes"), at(9)).await.expect("climbs");
        db.move_campaign(id, CampaignMove::Abort, "enough", ANNA, at(10)).await.expect("aborts");
        plan(db, id, at(10)).await.expect("now");
        let over = get(db, first.1).await;
        assert_eq!((over.state, over.place_wanted), (JobState::Failed, false));
    }

    async fn what_waits_for_a_place_takes_none_from_other_campaigns(db) {
        let (id, [first, second]) = refuted(db).await;
        let label = [("cluster".to_owned(), "db".to_owned()), ("site".to_owned(), "oslo".to_owned())];
        for host in [first.0, second.0] {
            db.set_labels(host, &label.clone().into(), "ops", at(5)).await.expect("labels");
        }
        let other = running(db, 2, &json!({"pace": {"group_label": "cluster"}}), at(5)).await.id;
        let busy = async || {
            let costs = |what: NextWork<'_>| what == NextWork::Remediation("apt.clean");
            let seen = db.campaign_snapshot(other, &costs, at(9)).await.expect("looks").snapshot;
            (seen.groups_busy.len(), seen.sites_busy.len())
        };
        assert_eq!(busy().await, (1, 0), "the second is at work");
        send(db, second.0, [job_says(second.1, 1, JobState::Fixed, at(6))], at(6)).await;
        assert_eq!(busy().await, (0, 0), "what comes next is being chosen");
        db.climb_to((first.1, 1), &next("apt.clean", at(6)), &known("yes"), at(6)).await.expect("climbs");
        assert_eq!(busy().await, (0, 0), "it waits for its place");
        assert_eq!(step(db, id, at(7)).await.went_on, [first]);
        assert_eq!(busy().await, (1, 1));
    }
}

async fn works_again(db: &Db, (host, job): (HostId, JobId)) {
    db.offer(job, at(8)).await.expect("offers").expect("an order");
    send(db, host, [job_says(job, 2, JobState::Failed, at(9))], at(9)).await;
}
