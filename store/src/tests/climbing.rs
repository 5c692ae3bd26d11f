//! Jobs of several tries, jobs that take back or only prove, and what is counted of all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::efficacy::{Against, Count};
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::{HostId, IncidentId, JobId};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel};
use fleetmend_core::knowledge::Risk;
use fleetmend_core::known::Known;
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;

use super::{
    at, broken_host, contract, evidence, fails, failure, hosts, id, incidents, job, job_says,
    recovers, send,
};
use crate::{Cancelled, Db, Job, JobTerms, NewJob, NextTry, StoreError};

pub(super) fn known(answer: &str) -> Known {
    let text = BTreeMap::from([("apt.dpkg_interrupted", answer)]);
    serde_json::from_value(serde_json::json!(text)).expect("known")
}

fn climbs(n: u128, host: HostId, incident: IncidentId) -> NewJob {
    let terms = JobTerms {
        climbs: true,
        max_risk: Risk::Disruptive,
        known: Some(known("yes")),
        own_probe: "apt.dpkg_interrupted".parse().ok(),
        ..JobTerms::default()
    };
    NewJob { terms, ..job(n, host, incident) }
}

pub(super) fn next(remediation: &str, not_before: Timestamp) -> NextTry {
    NextTry {
        cause: "apt.disk_full".parse().expect("a slug"),
        remediation: remediation.parse().expect("a slug"),
        version: 3,
        digest: "11".repeat(32),
        evidence: vec![],
        known: known("no"),
        own_probe: None,
        steps_time: Duration::from_mins(2),
        not_before,
        why: "another fault".to_owned(),
    }
}

async fn get(db: &Db, job: JobId) -> Job {
    db.job(job).await.expect("reads").expect("is there").job
}

async fn offered(db: &Db, new: &NewJob) -> JobId {
    let made = db.create_job(new, "ops", at(2)).await.expect("made").id;
    db.offer(made, at(2)).await.expect("offers").expect("an order");
    made
}

/// What the agent says at the end of a try: with the answer of the cause's own probe.
fn ends(job: JobId, attempt: u32, state: JobState, answer: Answer, when: Timestamp) -> SpoolItem {
    SpoolItem::Job(Box::new(JobUpdate {
        job,
        attempt,
        state,
        detail: format!("it {state}"),
        step: None,
        evidence: vec![evidence(900, "apt.dpkg_interrupted", answer, when)],
        proof: (state == JobState::Fixed).then_some(ProofLevel::Repeated),
        at: when,
    }))
}

contract! {
    async fn a_try_that_does_not_cure_is_followed_by_another(db) {
        let (host, incident) = broken_host(db).await;
        let made = offered(db, &climbs(500, host, incident)).await;
        send(db, host, [job_says(made, 1, JobState::Running, at(3)), ends(made, 1, JobState::RolledBack, Answer::Yes, at(4))], at(4)).await;
        let waits = get(db, made).await;
        assert_eq!((waits.state, waits.plan_wanted, waits.ended), (JobState::Queued, true, None));
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
        assert!(db.orders_for(host, at(5)).await.expect("reads").is_empty(), "it has no remediation yet");
        assert!(db.hosts_with_orders(at(5)).await.expect("reads").is_empty());
        assert!(db.offer(made, at(5)).await.expect("offers").is_none());
        // The end of the try comes again, and late news of it: they say nothing of the job.
        send(db, host, [ends(made, 1, JobState::RolledBack, Answer::Yes, at(4)), job_says(made, 1, JobState::Failed, at(5))], at(5)).await;
        assert_eq!(get(db, made).await.state, JobState::Queued);

        let climbing = db.jobs_to_climb(10).await.expect("reads").remove(0);
        assert_eq!((climbing.job, climbing.attempt, climbing.max_risk), (made, 1, Risk::Disruptive));
        let tried = db.tried_in(incident).await.expect("reads");
        assert_eq!((tried.len(), tried[0].remediation.as_str(), &tried[0].known), (1, "apt.configure", &vec![known("yes")]));
        assert!(!db.climb_to((made, 2), &next("apt.clean", at(7)), &known("yes"), at(5)).await.expect("asks"), "not that try");
        assert!(db.climb_to((made, 1), &next("apt.clean", at(7)), &known("yes"), at(5)).await.expect("climbs"));
        assert!(!db.climb_to((made, 1), &next("apt.other", at(7)), &known("yes"), at(5)).await.expect("asks"), "once");
        assert!(db.jobs_to_climb(10).await.expect("reads").is_empty());
        assert_eq!(db.tried_in(incident).await.expect("reads")[0].known.len(), 2, "before and after");
        assert!(db.orders_for(host, at(6)).await.expect("reads").is_empty(), "not before its time");
        let order = db.offer(made, at(7)).await.expect("offers").expect("an order");
        assert_eq!((order.attempt, order.remediation.as_str(), order.version, order.cause.as_str()), (2, "apt.clean", 3, "apt.disk_full"));
        db.requeue_offered(host, &[], at(8)).await.expect("requeues");
        assert_eq!(db.offer(made, at(8)).await.expect("offers").expect("again").attempt, 2, "the agent never had it");
        send(db, host, [job_says(made, 2, JobState::Running, at(9)), ends(made, 2, JobState::Fixed, Answer::No, at(9))], at(9)).await;
        let detail = db.job(made).await.expect("reads").expect("there");
        assert_eq!((detail.job.state, detail.job.attempt), (JobState::Fixed, 2));
        let tries: Vec<_> = detail.attempts.iter().map(|a| (a.remediation.as_str(), a.state, a.cleared)).collect();
        assert_eq!(tries, [("apt.configure", JobState::RolledBack, Some(false)), ("apt.clean", JobState::Fixed, None)]);
        // To take a try back is to take back what was tried then.
        let digests: Vec<&str> = detail.attempts.iter().map(|a| a.digest.as_str()).collect();
        assert_eq!(digests, ["00".repeat(32), next("apt.clean", at(7)).digest]);
    }

    async fn a_job_with_nothing_left_ends_as_its_last_try_did(db) {
        let (host, incident) = broken_host(db).await;
        let made = offered(db, &climbs(500, host, incident)).await;
        send(db, host, [ends(made, 1, JobState::Failed, Answer::Yes, at(4))], at(4)).await;
        assert!(db.climb_ends((made, 1), "nothing more is tried", &known("yes"), at(5)).await.expect("ends"));
        let over = get(db, made).await;
        assert_eq!((over.state, over.plan_wanted), (JobState::Failed, false));
        assert!(over.detail.contains("it failed") && over.detail.ends_with("nothing more is tried"), "{}", over.detail);
        assert!(!db.climb_ends((made, 1), "again", &known("yes"), at(5)).await.expect("asks"));
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
        // A cause that was gone at the door ends it so, where no try began.
        let gone = offered(db, &climbs(501, host, incident)).await;
        send(db, host, [ends(gone, 1, JobState::NotApplicable, Answer::No, at(6))], at(6)).await;
        assert_eq!(get(db, gone).await.state, JobState::Queued, "the failure stands: another cause");
        db.climb_ends((gone, 1), "nothing more is tried", &known("no"), at(7)).await.expect("ends");
        assert_eq!(get(db, gone).await.state, JobState::NotApplicable);
    }

    async fn what_is_hidden_unwanted_healed_or_not_to_climb_ends_at_once(db) {
        let (host, incident) = broken_host(db).await;
        for (n, state) in [(500, JobState::Unknown), (501, JobState::Unverified), (502, JobState::Skipped)] {
            let made = offered(db, &climbs(n, host, incident)).await;
            send(db, host, [ends(made, 1, state, Answer::Yes, at(4))], at(4)).await;
            assert_eq!(get(db, made).await.state, state);
        }
        let single = offered(db, &job(503, host, incident)).await;
        send(db, host, [ends(single, 1, JobState::Failed, Answer::Yes, at(4))], at(4)).await;
        assert_eq!(get(db, single).await.state, JobState::Failed);
        let unwanted = offered(db, &climbs(504, host, incident)).await;
        db.cancel_job(unwanted, "stop", "ops", at(4)).await.expect("cancels");
        send(db, host, [ends(unwanted, 1, JobState::RolledBack, Answer::Yes, at(5))], at(5)).await;
        assert_eq!(get(db, unwanted).await.state, JobState::RolledBack);
        let healed = offered(db, &climbs(505, host, incident)).await;
        send(db, host, [recovers(None, at(6)), ends(healed, 1, JobState::NotApplicable, Answer::No, at(7))], at(7)).await;
        assert_eq!(get(db, healed).await.state, JobState::NotApplicable);
        assert_eq!(incidents(db).await[0].state, IncidentState::Resolved);
    }

    async fn between_two_tries_it_can_be_cancelled_and_expires_and_denies_nothing(db) {
        let (host, incident) = broken_host(db).await;
        let one = offered(db, &climbs(500, host, incident)).await;
        send(db, host, [ends(one, 1, JobState::Failed, Answer::Yes, at(4))], at(4)).await;
        assert_eq!(db.cancel_job(one, "enough", "ops", at(5)).await.expect("cancels"), Cancelled::AtOnce);
        let over = db.job(one).await.expect("reads").expect("there");
        assert_eq!((over.job.state, over.attempts[0].state), (JobState::Failed, JobState::Failed));
        assert!(over.job.detail.starts_with("cancelled by ops: enough; try 1 ended failed"), "{}", over.job.detail);

        let two = offered(db, &climbs(501, host, incident)).await;
        send(db, host, [ends(two, 1, JobState::RolledBack, Answer::Yes, at(6))], at(6)).await;
        db.climb_to((two, 1), &next("apt.clean", at(50)), &known("yes"), at(6)).await.expect("climbs");
        assert_eq!(db.expire_jobs(at(60), 10).await.expect("looks"), [two]);
        assert_eq!(get(db, two).await.state, JobState::RolledBack, "it did begin");
        // The second try was sent, and never begun.
        let mut longer = climbs(502, host, incident);
        longer.expires = at(200);
        let three = db.create_job(&longer, "ops", at(61)).await.expect("made").id;
        db.offer(three, at(61)).await.expect("offers").expect("an order");
        send(db, host, [ends(three, 1, JobState::Failed, Answer::Yes, at(62))], at(62)).await;
        db.climb_to((three, 1), &next("apt.clean", at(63)), &known("yes"), at(63)).await.expect("climbs");
        db.offer(three, at(63)).await.expect("offers").expect("an order");
        send(db, host, [job_says(three, 2, JobState::Skipped, at(64))], at(64)).await;
        let ended = db.job(three).await.expect("reads").expect("there");
        assert_eq!((ended.job.state, ended.attempts[1].state), (JobState::Failed, JobState::Skipped));
    }

    async fn a_refuted_proof_climbs_only_where_no_other_job_is_at_work(db) {
        let (host, first) = broken_host(db).await;
        send(db, host, [fails(failure(101, "apt.lock_held", None, at(1)))], at(1)).await;
        let second = incidents(db).await.iter().find(|i| i.id != first).expect("two").id;
        let proving = offered(db, &climbs(500, host, first)).await;
        send(db, host, [job_says(proving, 1, JobState::Verifying, at(4))], at(4)).await;
        db.create_job(&job(501, host, second), "ops", at(5)).await.expect("made");
        let outcome = send(db, host, [ends(proving, 1, JobState::RolledBack, Answer::Yes, at(6))], at(6)).await;
        assert_eq!(outcome.quarantined, 0);
        assert_eq!(get(db, proving).await.state, JobState::RolledBack);
    }

    async fn a_job_tries_so_often_and_no_more(db) {
        let (host, incident) = broken_host(db).await;
        let made = offered(db, &climbs(500, host, incident)).await;
        for attempt in 1..limits::TRIES {
            send(db, host, [ends(made, attempt, JobState::Failed, Answer::Yes, at(4))], at(4)).await;
            db.climb_to((made, attempt), &next("apt.clean", at(4)), &known("yes"), at(4)).await.expect("climbs");
            db.offer(made, at(4)).await.expect("offers").expect("an order");
        }
        send(db, host, [ends(made, limits::TRIES, JobState::Failed, Answer::Yes, at(5))], at(5)).await;
        assert_eq!(get(db, made).await.state, JobState::Failed);
    }

    async fn a_paused_campaign_holds_further_tries_and_an_aborted_one_ends_them(db) {
        use crate::tests::campaigns::{ANNA, look, plan, running};
        crate::tests::campaigns::broken(db, 2).await;
        let fields = serde_json::json!({"waves": [{"share": "all"}], "thresholds": {"abort": "off"}});
        let campaign = running(db, 1, &fields, at(2)).await;
        plan(db, campaign.id, at(2)).await.expect("opens the wave");
        let mut jobs = crate::tests::campaigns::jobs_for(db, campaign.id, &look(db, campaign.id, at(2)).await.snapshot.hosts.iter().map(|h| h.host).collect::<Vec<_>>(), at(2)).await;
        for job in &mut jobs {
            job.terms.climbs = true;
        }
        let decisions = fleetmend_core::campaign::Decisions { start: jobs.iter().map(|j| j.host).collect(), ..Default::default() };
        let revision = db.campaign(campaign.id).await.expect("reads").expect("there").revision;
        let step = crate::NextStep { revision, decisions: &decisions, jobs: &jobs, left_out: &[], selection: None };
        db.apply_campaign(campaign.id, &step, "planner", at(2)).await.expect("applies").expect("now");
        let [waits, chosen] = [jobs[0].clone(), jobs[1].clone()];
        for job in [&waits, &chosen] {
            crate::tests::campaigns::works(db, job.host, job.id, JobState::Failed, at(3)).await;
        }
        assert!(db.climb_to((chosen.id, 1), &next("apt.clean", at(4)), &known("yes"), at(4)).await.expect("climbs"));
        db.move_campaign(campaign.id, crate::CampaignMove::Pause, "lunch", ANNA, at(5)).await.expect("pauses");
        plan(db, campaign.id, at(5)).await.expect("now");
        assert!(db.jobs_to_climb(10).await.expect("reads").is_empty(), "nothing is chosen");
        assert_eq!(db.orders_for(chosen.host, at(6)).await.expect("reads"), [], "nothing begins");
        assert!(db.hosts_with_orders(at(6)).await.expect("reads").is_empty());
        assert!(db.offer(chosen.id, at(6)).await.expect("asks").is_none());
        db.move_campaign(campaign.id, crate::CampaignMove::Resume, "", ANNA, at(7)).await.expect("resumes");
        assert_eq!(db.orders_for(chosen.host, at(8)).await.expect("reads"), [], "it has no place yet");
        assert_eq!(plan(db, campaign.id, at(8)).await.expect("now").went_on, [(chosen.host, chosen.id)]);
        assert_eq!(db.jobs_to_climb(10).await.expect("reads").iter().map(|c| (c.job, c.aborted)).collect::<Vec<_>>(), [(waits.id, false)]);
        assert_eq!(db.orders_for(chosen.host, at(8)).await.expect("reads"), [chosen.id]);

        db.move_campaign(campaign.id, crate::CampaignMove::Abort, "enough", ANNA, at(9)).await.expect("aborts");
        assert!(db.jobs_to_climb(10).await.expect("reads")[0].aborted);
        let applied = plan(db, campaign.id, at(9)).await.expect("now");
        assert_eq!(applied.recalled.len(), 2);
        for job in [waits.id, chosen.id] {
            assert_eq!(get(db, job).await.state, JobState::Failed, "as its last try ended");
        }
    }

    async fn what_was_done_is_taken_back_by_a_job_of_its_own(db) {
        let (host, incident) = broken_host(db).await;
        let done = offered(db, &climbs(500, host, incident)).await;
        let undo = |n, attempt| NewJob {
            terms: JobTerms { task: Task::Undo { job: done, attempt }, ..JobTerms::default() },
            expires: at(60 * 24 * 60),
            ..job(n, host, incident)
        };
        let refused = async |new: NewJob, now| match db.create_job(&new, "ops", now).await {
            Err(StoreError::Conflict(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(undo(600, 1), at(3)).await.contains("is not over"));
        send(db, host, [job_says(done, 1, JobState::Running, at(3)), ends(done, 1, JobState::Fixed, Answer::No, at(4))], at(4)).await;
        assert!(refused(undo(600, 2), at(5)).await.contains("is not over"), "no such try");
        let late = at(4).after(limits::UNDO_KEPT);
        assert!(refused(undo(600, 1), late).await.contains("kept for 30 days"));
        let made = db.create_job(&undo(600, 1), "ops", at(5)).await.expect("made, and the incident is over");
        assert_eq!(get(db, done).await.undone_by, Some(made.id));
        let order = db.offer(made.id, at(5)).await.expect("offers").expect("an order");
        assert_eq!(order.task, Task::Undo { job: done, attempt: 1 });
        assert!(refused(undo(601, 1), at(6)).await.contains("being taken back"));
        send(db, host, [job_says(made.id, 1, JobState::Running, at(6)), job_says(made.id, 1, JobState::RolledBack, at(7))], at(7)).await;
        assert_eq!((get(db, made.id).await.state, get(db, done).await.state), (JobState::RolledBack, JobState::Fixed));
        assert_eq!(incidents(db).await[0].state, IncidentState::Fixed, "whether it fails again is reported");
        assert!(refused(undo(602, 1), at(8)).await.contains("taken back already"));
        let of_undo = NewJob {
            terms: JobTerms { task: Task::Undo { job: made.id, attempt: 1 }, ..JobTerms::default() },
            ..job(603, host, incident)
        };
        assert!(refused(of_undo, at(8)).await.contains("leaves nothing to take back"));
    }

    async fn a_job_that_only_proves_ends_the_incident_and_is_no_efficacy(db) {
        let (host, incident) = broken_host(db).await;
        let verify = |n| NewJob {
            terms: JobTerms { task: Task::Verify, own_probe: "apt.dpkg_interrupted".parse().ok(), ..JobTerms::default() },
            ..job(n, host, incident)
        };
        let refuted = offered(db, &verify(500)).await;
        send(db, host, [job_says(refuted, 1, JobState::Verifying, at(3)), ends(refuted, 1, JobState::Failed, Answer::Yes, at(4))], at(4)).await;
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
        let proved = offered(db, &verify(501)).await;
        send(db, host, [ends(proved, 1, JobState::Fixed, Answer::No, at(5))], at(5)).await;
        assert_eq!(incidents(db).await[0].state, IncidentState::Fixed);
        assert_eq!(db.efficacy(false).await.expect("counts").totals().count(), 0);
        assert!(db.tried_in(incident).await.expect("reads").is_empty());
    }

    async fn efficacy_counts_tries_by_build_and_never_what_ended_by_itself(db) {
        let all = hosts(db, 6).await;
        for (n, host) in all.iter().enumerate() {
            send(db, *host, [fails(failure(n as u128 + 1, "apt.dpkg_interrupted", None, at(1)))], at(1)).await;
        }
        let ended = [
            (JobState::Fixed, Answer::No), (JobState::Failed, Answer::No), (JobState::RolledBack, Answer::Yes),
            (JobState::Unknown, Answer::Unknown), (JobState::NotApplicable, Answer::No), (JobState::Skipped, Answer::Yes),
        ];
        for (incident, (n, (state, answer))) in incidents(db).await.iter().zip((600..).zip(ended)) {
            let mut new = climbs(n, incident.host, incident.id);
            new.terms.climbs = false;
            let made = offered(db, &new).await;
            send(db, incident.host, [ends(made, 1, state, answer, at(4))], at(4)).await;
        }
        let against = Against {
            cause: "apt.dpkg_interrupted".parse().expect("a slug"),
            remediation: "apt.configure".parse().expect("a slug"),
            version: 1,
        };
        let counted = db.efficacy_of(std::slice::from_ref(&against.cause), false).await.expect("counts");
        let (total, build) = counted.of(&against, "6.1.0-28-amd64");
        assert_eq!(total, Count { tries: 4, cured: 1, not_cured: 2, cleared: 2, not_cleared: 1, relapsed: 0 });
        assert_eq!(build, total);
        assert_eq!(db.efficacy(false).await.expect("counts"), counted);
        assert_eq!(db.efficacy(true).await.expect("counts").totals().count(), 0, "of simulated hosts");
        // The failure comes back on the host that was fixed.
        let fixed = incidents(db).await.into_iter().find(|i| i.state == IncidentState::Fixed).expect("one").host;
        send(db, fixed, [fails(failure(50, "apt.dpkg_interrupted", None, at(20)))], at(21)).await;
        assert_eq!(db.efficacy(false).await.expect("counts").of(&against, "").0.relapsed, 1);
        db.set_lifecycle(fixed, Lifecycle::Quarantined, "done", "test", at(22)).await.expect("set");
        assert_eq!(id(1), all[0].0);
    }
}
