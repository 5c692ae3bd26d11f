//! Jobs: one a host, orders with rising counters, news that never go backwards, deadlines.

use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::JobId;
use fleetmend_core::incident::IncidentState;
use fleetmend_core::job::{JobLog, JobState, JobUpdate, ProofLevel, StepReport, StepState};
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;

use super::{
    at, broken_host, contract, fails, failure, hosts, id, incidents, job, job_says, meddle,
    recovers, send,
};
use crate::{Cancelled, Db, JobFilter, NewJob, PageRequest, StoreError};

async fn state(db: &Db, job: JobId) -> JobState {
    db.job(job).await.expect("reads").expect("is there").job.state
}

fn piece(job: JobId, step: u32, sequence: u32, text: &str) -> SpoolItem {
    SpoolItem::Log(JobLog { job, attempt: 1, step, sequence, text: text.to_owned(), at: at(5) })
}

contract! {
    async fn from_order_to_fixed(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        assert_eq!((made.state, made.attempt), (JobState::Queued, 0));
        assert_eq!(db.orders_for(host, at(2)).await.expect("reads"), [made.id]);
        let order = db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        assert_eq!((order.attempt, order.counter, order.host), (1, 1, host));
        assert_eq!(order.evidence, made.evidence);
        assert!(db.orders_for(host, at(3)).await.expect("reads").is_empty());
        assert!(db.offer(made.id, at(3)).await.expect("offers").is_none(), "once");

        let step = StepReport {
            index: 0, title: "tool.run dpkg".to_owned(), state: StepState::Done, exit: Some(0),
            detail: String::new(), output_dropped: 0,
        };
        let stepped = SpoolItem::Job(Box::new(JobUpdate {
            job: made.id, attempt: 1, state: JobState::Running, detail: "step 1".to_owned(),
            step: Some(step), evidence: vec![], proof: None, at: at(5),
        }));
        send(db, host, [job_says(made.id, 1, JobState::Running, at(4)), stepped], at(5)).await;
        assert_eq!(incidents(db).await[0].state, IncidentState::Remediating);
        send(db, host, [job_says(made.id, 1, JobState::Verifying, at(6))], at(6)).await;
        assert_eq!(incidents(db).await[0].state, IncidentState::Verifying);
        let proved = SpoolItem::Job(Box::new(JobUpdate {
            job: made.id, attempt: 1, state: JobState::Fixed, detail: "apt works".to_owned(),
            step: None, evidence: vec![], proof: Some(ProofLevel::Repeated), at: at(7),
        }));
        send(db, host, [proved], at(8)).await;
        let ended = &incidents(db).await[0];
        assert_eq!((ended.state, ended.ended), (IncidentState::Fixed, Some(at(7))));
        let detail = db.job(made.id).await.expect("reads").expect("is there");
        assert_eq!((detail.job.state, detail.job.proof), (JobState::Fixed, Some(ProofLevel::Repeated)));
        assert_eq!((detail.job.begun, detail.job.ended), (Some(at(4)), Some(at(7))));
        assert_eq!((detail.attempts.len(), detail.attempts[0].steps.len()), (1, 1));
        assert_eq!(detail.attempts[0].steps[0].exit, Some(0));
        assert_eq!(db.incident(incident).await.expect("reads").expect("there").jobs.len(), 1);

        // The failure comes back: the job stays fixed, and is marked.
        send(db, host, [fails(failure(101, "apt.dpkg_interrupted", None, at(20)))], at(21)).await;
        let relapsed = db.job(made.id).await.expect("reads").expect("is there").job;
        assert_eq!((relapsed.state, relapsed.relapsed), (JobState::Fixed, Some(at(21))));
        assert_eq!(incidents(db).await[0].state, IncidentState::Recurred);
    }

    async fn one_active_job_a_host(db) {
        let (host, incident) = broken_host(db).await;
        let (one, two) = (job(500, host, incident), job(501, host, incident));
        let (a, b) = tokio::join!(db.create_job(&one, "a", at(2)), db.create_job(&two, "b", at(2)));
        let (made, refused) = if a.is_ok() { (a, b) } else { (b, a) };
        let active = made.expect("one is made").id;
        match refused.expect_err("the other is refused") {
            StoreError::JobActive { job } => assert_eq!(job, active),
            e => panic!("{e}"),
        }
        assert_eq!(db.host(host).await.expect("reads").expect("there").active_job, Some(active));
        db.cancel_job(active, "wrong one", "a", at(3)).await.expect("cancels");
        db.create_job(&job(502, host, incident), "a", at(3)).await.expect("the way is free");
    }

    async fn a_job_that_awaits_its_proof_is_in_no_other_incidents_way(db) {
        let (host, first) = broken_host(db).await;
        send(db, host, [fails(failure(101, "apt.lock_held", None, at(1)))], at(1)).await;
        let second = incidents(db).await.iter().find(|i| i.id != first).expect("two").id;
        let waits = db.create_job(&job(500, host, first), "a", at(2)).await.expect("made").id;
        db.offer(waits, at(2)).await.expect("offers").expect("an order");
        let held = db.create_job(&job(501, host, second), "a", at(3)).await;
        assert!(matches!(held, Err(StoreError::JobActive { job }) if job == waits), "it works: {held:?}");
        send(db, host, [job_says(waits, 1, JobState::Verifying, at(4))], at(4)).await;
        let same = db.create_job(&job(502, host, first), "a", at(5)).await;
        assert!(matches!(same, Err(StoreError::JobActive { job }) if job == waits), "{same:?}");
        let other = db.create_job(&job(503, host, second), "a", at(5)).await.expect("the way is free").id;
        let seen = db.host(host).await.expect("reads").expect("there");
        assert_eq!(seen.active_job, Some(other));
        // What is taken back after a failed proof is news of a job that stays verifying.
        send(db, host, [job_says(waits, 1, JobState::Running, at(6))], at(6)).await;
        send(db, host, [job_says(waits, 1, JobState::RolledBack, at(7))], at(7)).await;
        let ended = db.job(waits).await.expect("reads").expect("there").job;
        assert_eq!(ended.state, JobState::RolledBack);
    }

    async fn the_index_itself_allows_one_active_job_only(db) {
        let (host, incident) = broken_host(db).await;
        db.create_job(&job(500, host, incident), "a", at(2)).await.expect("made");
        let copied = meddle(db,
            "INSERT INTO job (id, host_id, incident_id, cause, remediation, version, digest, evidence_ids, state, detail, \
             attempt, created_by, reason, created_ms, steps_ms, verify_ms, not_before_ms, expires_ms, news_ms) \
             SELECT incident_id, host_id, incident_id, cause, remediation, version, digest, evidence_ids, state, detail, \
             attempt, created_by, reason, created_ms, steps_ms, verify_ms, not_before_ms, expires_ms, news_ms FROM job",
        ).await;
        let said = crate::error::said(&copied.expect_err("must be refused"));
        let known = ["job.host_id", "job_active", "job.incident_id", "job_of_incident"];
        assert!(known.iter().any(|index| said.contains(index)), "{said}");
    }

    async fn a_job_needs_an_accepted_host_and_its_own_open_incident(db) {
        let all = hosts(db, 2).await;
        send(db, all[0], [fails(failure(1, "apt.lock_held", None, at(1)))], at(1)).await;
        let incident = incidents(db).await[0].id;
        let conflict = async |job| {
            let error = db.create_job(&job, "ops", at(2)).await.expect_err("must be refused");
            assert!(matches!(error, StoreError::Conflict(_)), "{error}");
        };
        conflict(job(1, all[1], incident)).await;
        let mut late = job(2, all[0], incident);
        late.expires = at(1);
        conflict(late).await;
        db.set_lifecycle(all[0], Lifecycle::Quarantined, "two of it", "test", at(1)).await.expect("set");
        conflict(job(3, all[0], incident)).await;
        db.set_lifecycle(all[0], Lifecycle::Active, "clear", "test", at(1)).await.expect("set");
        send(db, all[0], [recovers(None, at(2))], at(2)).await;
        conflict(job(4, all[0], incident)).await;
    }

    async fn news_never_take_a_job_backwards_nor_count_for_others(db) {
        let all = hosts(db, 2).await;
        send(db, all[0], [fails(failure(1, "apt.lock_held", None, at(1)))], at(1)).await;
        let made = db.create_job(&job(500, all[0], incidents(db).await[0].id), "ops", at(2)).await.expect("made");
        let foreign = send(db, all[1], [job_says(made.id, 1, JobState::Fixed, at(3))], at(3)).await;
        assert_eq!((foreign.quarantined, foreign.acknowledged), (1, 1));
        let early = send(db, all[0], [job_says(made.id, 1, JobState::Running, at(3))], at(3)).await;
        assert_eq!(early.quarantined, 1, "no try was offered");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        let items = [
            job_says(made.id, 1, JobState::Running, at(4)),
            job_says(made.id, 1, JobState::Blocked, at(5)),
            job_says(made.id, 1, JobState::WaitingWindow, at(5)),
            job_says(made.id, 1, JobState::Queued, at(5)),
            job_says(made.id, 1, JobState::NotReached, at(5)),
            job_says(made.id, 2, JobState::Fixed, at(5)),
            job_says(JobId(id(77)), 1, JobState::Fixed, at(5)),
        ];
        let outcome = send(db, all[0], items, at(6)).await;
        assert_eq!((outcome.applied, outcome.quarantined), (5, 2));
        assert_eq!(state(db, made.id).await, JobState::Running);
        send(db, all[0], [job_says(made.id, 1, JobState::Failed, at(7)), job_says(made.id, 1, JobState::Fixed, at(8))], at(8)).await;
        assert_eq!(state(db, made.id).await, JobState::Failed);
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
    }

    async fn one_that_waits_for_its_window_is_the_agents_until_it_tells_more(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        let waits = send(db, host, [job_says(made.id, 1, JobState::WaitingWindow, at(4))], at(4)).await;
        assert_eq!((waits.applied, waits.quarantined), (1, 0));
        assert_eq!(state(db, made.id).await, JobState::WaitingWindow);
        // The agent has it: it is asked, and its word is awaited for a while after the expiry.
        let asked = db.cancel_job(made.id, "no", "user anna", at(5)).await.expect("asks");
        assert_eq!(asked, crate::Cancelled::Requested);
        assert_eq!(db.expire_jobs(made.expires, 10).await.expect("looks"), []);
        let late = made.expires.after(fleetmend_core::limits::JOB_GRACE);
        assert_eq!(db.expire_jobs(late, 10).await.expect("looks"), [made.id]);
        assert_eq!(state(db, made.id).await, JobState::Cancelled);
    }

    async fn output_is_kept_once_in_order_and_within_its_bound(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers");
        send(db, host, [piece(made.id, 0, 0, "one "), piece(made.id, 1, 0, "two "), piece(made.id, 0, 0, "one ")], at(4)).await;
        send(db, host, [piece(made.id, 0, 1, "three")], at(5)).await;
        let log = db.job_log(made.id, 0, 2).await.expect("reads");
        assert_eq!((log.pieces.len(), log.after, log.complete), (2, 2, false));
        let rest = db.job_log(made.id, log.after, 10).await.expect("reads");
        let text: String = log.pieces.iter().chain(&rest.pieces).map(|p| p.text.as_str()).collect();
        assert_eq!(text, "one two three");
        let big = "x".repeat(limits::LOG_CHUNK_BYTES);
        let pieces = limits::STEP_LOG_BYTES / limits::LOG_CHUNK_BYTES + 3;
        let flood: Vec<_> = (0..pieces).map(|n| piece(made.id, 2, u32::try_from(n).expect("small"), &big)).collect();
        send(db, host, flood, at(6)).await;
        assert_eq!(db.job(made.id).await.expect("reads").expect("there").job.log_dropped, 3);
        send(db, host, [job_says(made.id, 1, JobState::Failed, at(7))], at(7)).await;
        assert!(db.job_log(made.id, 0, 1_000).await.expect("reads").complete);
    }

    async fn counters_only_rise_and_a_lost_order_is_sent_again(db) {
        let (host, incident) = broken_host(db).await;
        db.raise_counter(host, 41).await.expect("raises");
        db.raise_counter(host, 7).await.expect("stays");
        assert!(db.raise_counter(host, u64::MAX).await.is_err());
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        assert_eq!(db.offer(made.id, at(3)).await.expect("offers").expect("an order").counter, 42);
        assert!(db.requeue_offered(host, &[made.id], at(4)).await.expect("requeues").is_empty(), "the agent has it");
        assert_eq!(db.requeue_offered(host, &[], at(4)).await.expect("requeues"), [made.id]);
        let again = db.offer(made.id, at(5)).await.expect("offers").expect("an order");
        assert_eq!((again.attempt, again.counter), (1, 43));
    }

    async fn cancelling_before_and_after_the_agent_has_it(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers");
        assert_eq!(db.cancel_job(made.id, "stop", "ops", at(4)).await.expect("cancels"), Cancelled::Requested);
        assert_eq!(db.cancels_for(host).await.expect("reads"), [made.id]);
        db.requeue_offered(host, &[], at(5)).await.expect("requeues");
        assert_eq!(state(db, made.id).await, JobState::Cancelled);
        let over = db.cancel_job(made.id, "stop", "ops", at(6)).await.expect("told");
        assert_eq!(over, Cancelled::AlreadyOver(JobState::Cancelled));
        // The agent had done it after all, and its news were on their way: that is not denied.
        let late = [JobState::Running, JobState::Failed].map(|s| job_says(made.id, 1, s, at(5)));
        send(db, host, late, at(6)).await;
        assert_eq!(state(db, made.id).await, JobState::Failed);
        let next = db.create_job(&job(501, host, incident), "ops", at(6)).await.expect("made");
        assert_eq!(db.cancel_job(next.id, "no", "ops", at(7)).await.expect("cancels"), Cancelled::AtOnce);
        assert_eq!(db.cancel_job(JobId(id(9)), "", "", at(7)).await.expect_err("none").to_string(),
            format!("there is no job {}", id(9)));
    }

    async fn a_stored_job_that_makes_no_sense_holds_up_no_other_host(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        meddle(db, "UPDATE job SET attempt = -1").await.expect("damaged");
        let news = [job_says(made.id, 1, JobState::Running, at(3)), fails(failure(9, "apt.other", None, at(3)))];
        send(db, host, news, at(4)).await;
        assert_eq!(db.quarantine_count().await.expect("counts"), 1);
        assert_eq!(incidents(db).await.len(), 2, "what came with it is stored");
    }

    async fn the_clock_ends_what_never_began_and_what_fell_silent(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        assert!(db.expire_jobs(at(59), 10).await.expect("looks").is_empty());
        assert_eq!(db.expire_jobs(at(60), 10).await.expect("looks"), [made.id]);
        assert_eq!(state(db, made.id).await, JobState::NotReached);
        assert!(db.expire_jobs(at(60), 10).await.expect("looks").is_empty(), "once");

        let mut longer = job(501, host, incident);
        longer.expires = at(100);
        let made = db.create_job(&longer, "ops", at(61)).await.expect("made");
        db.offer(made.id, at(61)).await.expect("offers").expect("an order");
        send(db, host, [job_says(made.id, 1, JobState::Running, at(62))], at(62)).await;
        assert!(db.expire_jobs(at(86), 10).await.expect("looks").is_empty(), "steps 10, grace 15");
        assert_eq!(db.expire_jobs(at(87), 10).await.expect("looks"), [made.id]);
        assert_eq!(state(db, made.id).await, JobState::TimedOut);
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
        // What the agent proves later holds.
        send(db, host, [job_says(made.id, 1, JobState::Fixed, at(88))], at(90)).await;
        assert_eq!(state(db, made.id).await, JobState::Fixed);
        assert_eq!(incidents(db).await[0].state, IncidentState::Fixed);
    }

    async fn steps_after_a_restart_are_news_of_the_job(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        send(db, host, [job_says(made.id, 1, JobState::Rebooting, at(4))], at(4)).await;
        send(db, host, [job_says(made.id, 1, JobState::Running, at(20))], at(20)).await;
        assert_eq!(state(db, made.id).await, JobState::Rebooting, "it is not taken backwards");
        assert!(db.expire_jobs(at(44), 10).await.expect("looks").is_empty(), "heard of 24 min ago");
        assert_eq!(db.expire_jobs(at(45), 10).await.expect("looks"), [made.id]);
    }

    async fn no_job_lasts_for_ever_whatever_its_host_says(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        let day = 24 * 60;
        // An agent that begins its proof anew at each of its starts.
        for minute in [4, day / 2, day] {
            send(db, host, [job_says(made.id, 1, JobState::Verifying, at(minute))], at(minute)).await;
        }
        assert!(db.expire_jobs(at(day + 3), 10).await.expect("looks").is_empty());
        assert_eq!(db.expire_jobs(at(day + 4), 10).await.expect("looks"), [made.id]);
        assert_eq!(state(db, made.id).await, JobState::Unverified);

        let next = NewJob { expires: at(3 * day), ..job(501, host, incident) };
        let made = db.create_job(&next, "ops", at(2 * day)).await.expect("made");
        db.offer(made.id, at(2 * day)).await.expect("offers").expect("an order");
        let last = 33 * day;
        for minute in [2 * day, last - 1] {
            let says = job_says(made.id, 1, JobState::Running, at(minute));
            send(db, host, [says], at(minute)).await;
        }
        assert!(db.expire_jobs(at(last - 1), 10).await.expect("looks").is_empty());
        assert_eq!(db.expire_jobs(at(last), 10).await.expect("looks"), [made.id]);
        assert_eq!(state(db, made.id).await, JobState::TimedOut);
    }

    async fn a_job_ends_after_its_order_whatever_the_hosts_clock_says(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        let long_ago = Timestamp::from_millis(0);
        let says = [JobState::Running, JobState::Failed].map(|s| job_says(made.id, 1, s, long_ago));
        send(db, host, says, at(5)).await;
        let job = db.job(made.id).await.expect("reads").expect("there").job;
        assert_eq!((job.begun, job.ended), (Some(at(3)), Some(at(3))));
    }

    async fn a_recovery_under_a_job_waits_for_the_jobs_own_word(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers");
        send(db, host, [recovers(None, at(4))], at(4)).await;
        assert_eq!(incidents(db).await[0].state, IncidentState::Open);
        send(db, host, [job_says(made.id, 1, JobState::NotApplicable, at(5))], at(5)).await;
        let ended = &incidents(db).await[0];
        assert_eq!((ended.state, ended.ended), (IncidentState::Resolved, Some(at(4))));
    }

    async fn lists_of_jobs_are_filtered_and_paged(db) {
        let all = hosts(db, 3).await;
        for (n, host) in all.iter().enumerate() {
            send(db, *host, [fails(failure(n as u128, "apt.lock_held", None, at(1)))], at(1)).await;
        }
        for incident in incidents(db).await {
            let n = 500 + incident.host.0.as_u128() % 100;
            db.create_job(&job(n, incident.host, incident.id), "ops", at(2)).await.expect("made");
        }
        let first = db.jobs(&JobFilter::default(), &PageRequest::first(2)).await.expect("lists");
        assert_eq!((first.total, first.items.len()), (3, 2));
        let rest = db.jobs(&JobFilter::default(), &PageRequest { limit: 2, cursor: first.next }).await.expect("lists");
        assert_eq!((rest.items.len(), rest.next), (1, None));
        let everything = JobFilter {
            host: Some(all[1]), incident: None, state: vec![JobState::Queued, JobState::Offered],
            active: true, remediation: Some("apt.configure".to_owned()), task: vec![fleetmend_core::job::TaskKind::Remediate],
            campaign: None,
        };
        assert_eq!(db.jobs(&everything, &PageRequest::default()).await.expect("lists").total, 1);
    }
}
