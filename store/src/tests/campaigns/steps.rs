//! Step by step: what is decided is done whole, on hosts that are free, and counted once.

use fleetmend_core::campaign::{CampaignState, Decisions, Transition, advance, retry};
use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::order::Task;
use fleetmend_core::reason::Reason;
use serde_json::json;

use super::{
    ANNA, CODE, broken, found, jobs_for, look, new, plan, results, running, settle, works,
};
use crate::tests::{at, contract, fails, failure, job, job_says, meddle, recovers, send};
use crate::{
    CampaignMove, Db, Keep, LeftOut, NextStep, PageRequest, ResultFilter, Stands, StoreError,
    UndoStanding,
};

async fn state(db: &Db, job: JobId) -> JobState {
    db.job(job).await.expect("reads").expect("is there").job.state
}

/// Makes one step of its own decisions.
async fn decide(
    db: &Db,
    id: fleetmend_core::ids::CampaignId,
    decisions: &Decisions,
    hosts: &[HostId],
    now: fleetmend_core::time::Timestamp,
) -> Result<Option<crate::Applied>, StoreError> {
    let jobs = jobs_for(db, id, hosts, now).await;
    let revision = db.campaign(id).await.expect("reads").expect("there").revision;
    let step = NextStep { revision, decisions, jobs: &jobs, left_out: &[], selection: None };
    db.apply_campaign(id, &step, "planner", now).await
}

contract! {
    async fn from_the_first_wave_to_the_end(db) {
        let all = broken(db, 5).await;
        let campaign = running(db, 1, &json!({}), at(2)).await;
        assert_eq!((campaign.hosts, campaign.run), (5, 1));
        let first = settle(db, campaign.id, at(2)).await;
        assert_eq!(first.len(), 1, "the canary");
        let (host, job) = first[0];
        let made = db.job(job).await.expect("reads").expect("there").job;
        assert_eq!(made.terms.campaign, Some((campaign.id, 0)));
        assert_eq!(made.created_by, format!("campaign {}", campaign.id));
        let counts = db.campaign_counts(campaign.id, at(9)).await.expect("counts");
        assert_eq!((counts.all.hosts, counts.all.waiting, counts.all.states["queued"]), (5, 4, 1));
        works(db, host, job, JobState::Fixed, at(3)).await;
        let rest = settle(db, campaign.id, at(4)).await;
        assert_eq!(rest.len(), 4);
        assert!(rest.iter().all(|(other, _)| *other != host));
        for (n, (host, job)) in rest.iter().enumerate() {
            works(db, *host, *job, if n == 0 { JobState::NotApplicable } else { JobState::Fixed }, at(5)).await;
        }
        assert_eq!(settle(db, campaign.id, at(6)).await, []);
        let ended = db.campaign(campaign.id).await.expect("reads").expect("there");
        assert_eq!((ended.state, ended.run_ended), (CampaignState::Completed, Some(at(6))));
        assert_eq!(ended.next_look, None);
        let counts = db.campaign_counts(campaign.id, at(9)).await.expect("counts");
        assert_eq!((counts.all.states["fixed"], counts.all.states["not_applicable"]), (4, 1));
        assert_eq!((counts.waves.len(), counts.waves[0].counts.hosts, counts.waves[1].counts.hosts), (2, 1, 4));
        assert!(counts.waves[0].gate_held.is_some());
        let told = results(db, campaign.id).await;
        let mut hosts: Vec<_> = told.iter().map(|r| r.host).collect();
        assert_eq!(told.iter().map(|r| r.position).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        hosts.sort_unstable();
        assert_eq!(hosts, all.iter().map(|(host, _)| *host).collect::<Vec<_>>());
        let page = PageRequest::first(2);
        let wanted = ResultFilter { stands: vec![Stands::Job(JobState::Fixed)], wave: Some(1), ..ResultFilter::default() };
        let fixed = db.campaign_results(campaign.id, &wanted, &page, at(9)).await.expect("lists");
        assert_eq!((fixed.items.len(), fixed.total), (2, 3));
        let next = PageRequest { limit: 2, cursor: fixed.next };
        assert_eq!(db.campaign_results(campaign.id, &wanted, &next, at(9)).await.expect("lists").items.len(), 1);
        let document = db.campaign_document(campaign.id, at(9)).await.expect("exports");
        assert_eq!(document.waves, counts.waves, "counted twice by one rule");
        assert_eq!((document.jobs.len(), document.jobs_omitted, document.steps_omitted), (5, 0, 0));
        assert_eq!((document.jobs[0].job.id, document.jobs[0].attempts.len()), (job, 1));
        for kept in &document.jobs {
            assert_eq!(Some(kept), db.job(kept.job.id).await.expect("reads").as_ref(), "as one by one");
        }
        assert_eq!(document.found[&1]["hosts"], 5);
        assert_eq!(document.found[&1]["left_out"], json!({}));
        let actors: Vec<_> = document.audit.iter().skip(2).map(|row| row.actor.clone()).collect();
        assert!(actors.iter().all(|actor| *actor == format!("campaign {}", campaign.id)));
        assert_eq!(document.audit.last().expect("rows").detail["started_by"], "user anna");
        assert_eq!(document.audit.last().expect("rows").action, "campaign.state");
        let filter = crate::JobFilter { campaign: Some(campaign.id), ..crate::JobFilter::default() };
        assert_eq!(db.jobs(&filter, &PageRequest::default()).await.expect("lists").total, 5);
    }

    async fn of_two_planners_one_carries_it_out(db) {
        broken(db, 3).await;
        let campaign = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await;
        plan(db, campaign.id, at(2)).await.expect("opens the wave");
        let seen = look(db, campaign.id, at(2)).await;
        let decisions = advance(&seen.snapshot, at(2));
        assert_eq!(decisions.start.len(), 3);
        let jobs = jobs_for(db, campaign.id, &decisions.start, at(2)).await;
        let others = jobs_for(db, campaign.id, &decisions.start, at(2)).await;
        let step = |jobs| NextStep {
            revision: seen.campaign.revision, decisions: &decisions, jobs, left_out: &[], selection: None,
        };
        let done = db.apply_campaign(campaign.id, &step(&jobs), "one", at(2)).await.expect("applies");
        assert_eq!(done.expect("the first").started.len(), 3);
        let late = db.apply_campaign(campaign.id, &step(&others), "two", at(2)).await.expect("looks");
        assert_eq!(late, None);
        for job in &others {
            assert_eq!(db.job(job.id).await.expect("reads"), None);
        }
        // Even one that saw the present revision begins no host again.
        let again = decide(db, campaign.id, &decisions, &decisions.start, at(3)).await.expect("applies").expect("now");
        assert_eq!((again.started.len(), again.passed_over.len()), (0, 3));
        assert!(again.passed_over.iter().all(|p| p.reason == "it was begun already"));
    }

    async fn a_host_that_is_not_free_is_passed_over_and_the_others_begin(db) {
        let all = broken(db, 7).await;
        let campaign = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await;
        plan(db, campaign.id, at(2)).await.expect("opens the wave");
        // Meanwhile: a job by hand, a quarantined and a retired host, and one that mended itself.
        db.create_job(&job(900, all[0].0, all[0].1), "ops", at(2)).await.expect("makes");
        db.set_lifecycle(all[1].0, Lifecycle::Quarantined, "twins", "ops", at(2)).await.expect("moves");
        db.set_lifecycle(all[2].0, Lifecycle::Retired, "sold", "ops", at(2)).await.expect("moves");
        send(db, all[3].0, [recovers(Some(CODE), at(2))], at(2)).await;
        let snapshot = look(db, campaign.id, at(3)).await.snapshot;
        let standing = |n: usize| snapshot.hosts.iter().find(|h| h.host == all[n].0).expect("there");
        assert!(standing(0).busy && !standing(4).busy);
        assert!(!standing(1).reachable && standing(4).reachable);

        let every: Vec<HostId> = all.iter().map(|(host, _)| *host).collect();
        let decisions = Decisions { start: every.clone(), ..Decisions::default() };
        let jobs = jobs_for(db, campaign.id, &every[..6], at(3)).await;
        let left = [LeftOut { host: all[6].0, reason: "nothing automatic helps".to_owned() }];
        let revision = db.campaign(campaign.id).await.expect("reads").expect("there").revision;
        let step = NextStep { revision, decisions: &decisions, jobs: &jobs, left_out: &left, selection: None };
        let done = db.apply_campaign(campaign.id, &step, "planner", at(3)).await.expect("applies").expect("now");
        assert_eq!(done.started.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [all[4].0, all[5].0]);
        let why: Vec<_> = done.passed_over.iter().map(|p| (p.host, p.reason.contains("at work"))).collect();
        assert_eq!(why, [(all[0].0, true), (all[1].0, false)]);
        let out: Vec<_> = done.left_out.iter().map(|l| (l.host, l.reason.as_str())).collect();
        assert_eq!(out, [
            (all[6].0, "nothing automatic helps"), (all[2].0, "the host is retired"),
            (all[3].0, "its failure was resolved before its turn came"),
        ]);
        let counts = db.campaign_counts(campaign.id, at(9)).await.expect("counts").all;
        assert_eq!((counts.hosts, counts.left_out, counts.waiting, counts.states["queued"]), (7, 3, 2, 2));
        let snapshot = look(db, campaign.id, at(3)).await.snapshot;
        assert_eq!(snapshot.hosts.iter().filter(|h| h.excluded).count(), 3);
        assert_eq!(snapshot.started_last_minute, 2);
    }

    async fn nothing_begins_without_a_wave_in_a_halt_or_when_it_does_not_run(db) {
        let all = broken(db, 2).await;
        let every: Vec<HostId> = all.iter().map(|(host, _)| *host).collect();
        let campaign = running(db, 1, &json!({}), at(2)).await;
        let start = Decisions { start: every.clone(), ..Decisions::default() };
        let why = |done: Result<Option<crate::Applied>, StoreError>| {
            let done = done.expect("applies").expect("now");
            assert!(done.started.is_empty());
            done.passed_over[0].reason.clone()
        };
        assert_eq!(why(decide(db, campaign.id, &start, &every, at(2)).await), "no wave is open");
        let open = Decisions { open_wave: true, ..Decisions::default() };
        decide(db, campaign.id, &open, &[], at(2)).await.expect("applies").expect("now");
        db.halt("flood", "ops", at(2)).await.expect("halts");
        assert!(look(db, campaign.id, at(2)).await.snapshot.halted);
        assert_eq!(why(decide(db, campaign.id, &start, &every, at(2)).await), "the fleet is halted");
        db.lift_halt("ops", at(3)).await.expect("lifts");
        db.move_campaign(campaign.id, CampaignMove::Pause, "", ANNA, at(3)).await.expect("pauses");
        assert_eq!(why(decide(db, campaign.id, &start, &every, at(3)).await), "the campaign is paused");
        // The planner never resumes it, nor takes it back to where it was.
        for to in [CampaignState::Running, CampaignState::Draft, CampaignState::Paused, CampaignState::Cancelled] {
            let transition = Some(Transition { to, why: Reason::of_text("") });
            let error = decide(db, campaign.id, &Decisions { transition, ..Decisions::default() }, &[], at(3)).await;
            assert!(matches!(error, Err(StoreError::Conflict(why)) if why.contains("by itself")), "{to}");
        }
        let transition = Some(Transition { to: CampaignState::Aborted, why: Reason::of_text("too many") });
        let aborted = decide(db, campaign.id, &Decisions { transition, ..start.clone() }, &every, at(4)).await;
        let aborted = aborted.expect("applies").expect("now");
        assert_eq!((aborted.started.len(), aborted.campaign.state), (0, CampaignState::Aborted));
        assert_eq!((aborted.campaign.state_by.as_str(), aborted.campaign.next_look), ("planner", Some(at(4))));
    }

    async fn a_pause_takes_back_what_no_agent_began_and_it_goes_on_later(db) {
        broken(db, 3).await;
        let campaign = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await;
        let mut started = settle(db, campaign.id, at(2)).await;
        assert_eq!(started.len(), 3);
        started.sort_unstable();
        let [queued, offered, begun] = [started[0], started[1], started[2]];
        db.offer(offered.1, at(3)).await.expect("offers").expect("an order");
        works(db, begun.0, begun.1, JobState::Running, at(3)).await;
        db.move_campaign(campaign.id, CampaignMove::Pause, "lunch", ANNA, at(4)).await.expect("pauses");
        let applied = plan(db, campaign.id, at(4)).await.expect("now");
        let mut recalled = applied.recalled;
        recalled.sort_unstable();
        let mut expected = vec![queued.1, offered.1];
        expected.sort_unstable();
        assert_eq!(recalled, expected);
        assert_eq!(state(db, queued.1).await, JobState::Cancelled);
        assert!(db.job(offered.1).await.expect("reads").expect("there").job.cancel_requested);
        assert_eq!(state(db, begun.1).await, JobState::Running);
        send(db, offered.0, [job_says(offered.1, 1, JobState::Cancelled, at(5))], at(5)).await;
        let counts = db.campaign_counts(campaign.id, at(9)).await.expect("counts").all;
        assert_eq!((counts.waiting, counts.states["running"]), (2, 1));
        db.move_campaign(campaign.id, CampaignMove::Resume, "", ANNA, at(6)).await.expect("resumes");
        let mut again: Vec<HostId> = settle(db, campaign.id, at(6)).await.into_iter().map(|(host, _)| host).collect();
        again.sort_unstable();
        assert_eq!(again, [queued.0, offered.0]);
        assert_eq!(results(db, campaign.id).await.iter().filter(|r| r.recalled).count(), 0);
    }

    async fn a_retry_puts_back_what_ended_in_error_while_the_failure_stands(db) {
        broken(db, 3).await;
        let fields = json!({"waves": [{"share": "all"}], "thresholds": {"abort": "off"}});
        let campaign = running(db, 1, &fields, at(2)).await;
        let started = settle(db, campaign.id, at(2)).await;
        for ((host, job), to) in started.iter().zip([JobState::Failed, JobState::Failed, JobState::Fixed]) {
            works(db, *host, *job, to, at(3)).await;
        }
        settle(db, campaign.id, at(4)).await;
        let over = look(db, campaign.id, at(4)).await;
        assert_eq!(over.campaign.state, CampaignState::CompletedWithErrors);
        // One of them mends itself meanwhile.
        send(db, started[1].0, [recovers(Some(CODE), at(4))], at(4)).await;
        let named = retry(&over.snapshot, at(5));
        assert_eq!(named.len(), 2);
        let done = db.retry_campaign(campaign.id, &named, "once more", ANNA, at(5)).await.expect("retries");
        assert_eq!((done.campaign.state, done.campaign.run, done.campaign.run_ended), (CampaignState::Running, 1, None));
        assert_eq!((done.hosts, done.set_aside), (1, 0));
        let new = settle(db, campaign.id, at(6)).await;
        assert_eq!(new.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [started[0].0]);
        let result = results(db, campaign.id).await.into_iter().find(|r| r.host == started[0].0).expect("there");
        assert_eq!((result.retries, result.job), (1, Some(new[0].1)));
        let error = db.retry_campaign(campaign.id, &named, "", ANNA, at(6)).await.expect_err("at work");
        assert!(matches!(error, StoreError::Conflict(why) if why.contains("nothing is to be retried")));
    }

    async fn a_retry_after_an_abort_begins_on_no_host_anew(db) {
        let all = broken(db, 5).await;
        let fields = json!({"waves": [{"share": "3"}, {"share": "all"}], "thresholds": {"abort": "0"}});
        let campaign = running(db, 1, &fields, at(2)).await;
        let started = settle(db, campaign.id, at(2)).await;
        let [failed, goes_on, queued] = started[..] else { panic!("{started:?}") };
        works(db, goes_on.0, goes_on.1, JobState::Running, at(3)).await;
        works(db, failed.0, failed.1, JobState::Failed, at(3)).await;
        settle(db, campaign.id, at(4)).await;
        let over = look(db, campaign.id, at(4)).await;
        assert_eq!(over.campaign.state, CampaignState::Aborted);
        assert_eq!(state(db, queued.1).await, JobState::Cancelled);
        let done = db.retry_campaign(campaign.id, &retry(&over.snapshot, at(5)), "mended", ANNA, at(5)).await;
        let done = done.expect("retries");
        assert_eq!((done.campaign.state, done.hosts, done.set_aside), (CampaignState::Running, 1, 3));
        let new = settle(db, campaign.id, at(6)).await;
        assert_eq!(new.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [failed.0]);
        works(db, failed.0, new[0].1, JobState::Fixed, at(7)).await;
        send(db, goes_on.0, [job_says(goes_on.1, 1, JobState::Fixed, at(7))], at(7)).await;
        assert_eq!(settle(db, campaign.id, at(8)).await, []);
        let ended = db.campaign(campaign.id).await.expect("reads").expect("there");
        assert_eq!(ended.state, CampaignState::Completed, "{}", ended.state_reason);
        let counts = db.campaign_counts(campaign.id, at(9)).await.expect("counts").all;
        assert_eq!((counts.left_out, counts.states["fixed"], counts.states.len()), (3, 2, 1));
        let told = results(db, campaign.id).await;
        let out: Vec<_> = told.iter().filter_map(|r| r.left_out.as_deref()).collect();
        assert_eq!(out.len(), 3);
        assert!(out.iter().all(|why| why.contains("not reached before the campaign was aborted")), "{out:?}");
        // The tries that were put aside are in the document: of all 4 jobs that were made, each.
        let document = db.campaign_document(campaign.id, at(9)).await.expect("exports");
        let mut kept: Vec<_> = document.jobs.iter().map(|kept| kept.job.state).collect();
        kept.sort_unstable_by_key(|state| state.as_str());
        assert_eq!(kept, [JobState::Cancelled, JobState::Failed, JobState::Fixed, JobState::Fixed]);
        assert_eq!(all.len(), 5);
    }

    async fn a_host_whose_order_expired_is_begun_when_it_is_back(db) {
        let away = broken(db, 2).await[1].0;
        let campaign = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await;
        let first = settle(db, campaign.id, at(2)).await;
        assert_eq!(first.len(), 2);
        let later = at(2).after(std::time::Duration::from_hours(25));
        assert_eq!(db.expire_jobs(later, 10).await.expect("expires").len(), 2);
        assert_eq!(settle(db, campaign.id, later).await, [], "nobody is there");
        db.touch_hosts(&[(away, later)]).await.expect("touches");
        let again = settle(db, campaign.id, later).await;
        assert_eq!(again.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [away]);
        assert!(first.iter().all(|(_, job)| *job != again[0].1), "a fresh job");
        let result = results(db, campaign.id).await.into_iter().find(|r| r.host == away).expect("there");
        assert_eq!((result.job, result.state), (Some(again[0].1), Some(JobState::Queued)));
        assert_eq!(settle(db, campaign.id, later).await, [], "once");
    }

    async fn hosts_that_fail_later_join_up_to_the_most(db) {
        broken(db, 2).await;
        let fields = json!({
            "waves": [{"share": "all"}], "max_hosts": 3, "membership": {"joining": {"until": at(600)}},
        });
        let campaign = running(db, 1, &fields, at(2)).await;
        assert_eq!(campaign.hosts, 2);
        for n in 3..=5_u128 {
            let token = crate::tests::token(10_000 + n, fleetmend_core::token::TokenKind::OneUse, 1);
            db.create_enrollment_token(&token, "test", at(3)).await.expect("token");
            db.enrol(&crate::tests::enrolment(n, 10_000 + n), at(3)).await.expect("enrols");
            let host = HostId(crate::tests::id(n));
            send(db, host, [fails(failure(500 + n, CODE, None, at(3)))], at(3)).await;
        }
        let mut unbounded = campaign.clone();
        unbounded.definition.max_hosts = None;
        let more = found(db, &unbounded, at(3)).await;
        assert_eq!(more.members.len(), 5);
        let stale = db.join_campaign(campaign.id, 77, &more, "planner", at(3)).await;
        assert!(matches!(stale, Err(StoreError::Conflict(_))));
        let revision = db.campaign(campaign.id).await.expect("reads").expect("there").revision;
        assert_eq!(db.join_campaign(campaign.id, revision, &more, "planner", at(3)).await.expect("joins"), 1);
        let places: Vec<u64> = results(db, campaign.id).await.iter().map(|r| r.position).collect();
        assert_eq!(places, [0, 1, 2]);
    }

    async fn a_recurring_campaign_selects_anew_and_keeps_what_was(db) {
        let all = broken(db, 2).await;
        let fields = json!({"waves": [{"share": "all"}], "schedule": {"cron": {"expression": "0 * * * *"}}});
        let campaign = running(db, 1, &fields, at(2)).await;
        for (host, job) in settle(db, campaign.id, at(2)).await {
            works(db, host, job, JobState::Fixed, at(3)).await;
        }
        settle(db, campaign.id, at(4)).await;
        let between = db.campaign(campaign.id).await.expect("reads").expect("there");
        assert_eq!(between.state, CampaignState::Completed);
        let due = between.next_look.expect("its next time");
        send(db, all[1].0, [fails(failure(700, CODE, None, at(50)))], at(50)).await;
        assert_eq!(db.campaigns_due(due, 5).await.expect("reads"), [campaign.id]);
        db.touch_hosts(&[(all[1].0, due)]).await.expect("touches");
        let second = settle(db, campaign.id, due).await;
        assert_eq!(second.iter().map(|(host, _)| *host).collect::<Vec<_>>(), [all[1].0]);
        let now = db.campaign(campaign.id).await.expect("reads").expect("there");
        assert_eq!((now.run, now.hosts, now.started), (2, 1, Some(due)));
        let runs = db.campaign_runs(campaign.id).await.expect("lists");
        assert_eq!(runs.iter().map(|r| r.outcome).collect::<Vec<_>>(), [Some(CampaignState::Completed), None]);
        let first = ResultFilter { run: Some(1), ..ResultFilter::default() };
        let first = db.campaign_results(campaign.id, &first, &PageRequest::default(), at(9)).await.expect("lists");
        assert_eq!(first.total, 2);
    }

    async fn what_can_still_be_taken_back_is_known_and_taken_back_once(db) {
        broken(db, 4).await;
        let fields = json!({"waves": [{"share": "all"}], "thresholds": {"abort": "off"}});
        let campaign = running(db, 1, &fields, at(2)).await;
        let started = settle(db, campaign.id, at(2)).await;
        let ends = [JobState::Fixed, JobState::RolledBack, JobState::Running];
        for ((host, job), to) in started.iter().zip(ends) {
            works(db, *host, *job, to, at(3)).await;
        }
        let standing = |n: usize, all: &[crate::Undoable]| {
            all.iter().find(|u| u.job == started[n].1).map(|u| u.standing)
        };
        let all = db.campaign_undo_set(campaign.id, at(4)).await.expect("reads");
        assert_eq!((0..4).map(|n| standing(n, &all)).collect::<Vec<_>>(), [
            Some(UndoStanding::Possible), Some(UndoStanding::TakenBack), Some(UndoStanding::AtWork), None,
        ]);
        let old = db.campaign_undo_set(campaign.id, at(31 * 24 * 60)).await.expect("reads");
        assert_eq!(standing(0, &old), Some(UndoStanding::TooOld));

        // A campaign of its own takes it back, though the failure is gone.
        let hosts = json!({"selector": {"code": CODE}, "waves": [{"share": "all"}]});
        let mut undoing = new(2, &hosts);
        undoing.undoes = Some(campaign.id);
        let undo = db.create_campaign(&undoing, ANNA, at(5)).await.expect("creates");
        let (host, undone) = started[0];
        let incident = all.iter().find(|u| u.job == undone).expect("there").incident;
        let mut selection = found(db, &campaign, at(5)).await;
        selection.members.truncate(1);
        (selection.members[0].host, selection.members[0].incident) = (host, incident);
        let undo = db.start_campaign((undo.id, &undo.digest), &selection, "", ANNA, at(5)).await.expect("starts");
        plan(db, undo.id, at(5)).await.expect("opens the wave");
        let mut jobs = jobs_for(db, undo.id, &[host], at(5)).await;
        jobs[0].terms.task = Task::Undo { job: undone, attempt: 1 };
        let revision = db.campaign(undo.id).await.expect("reads").expect("there").revision;
        let decisions = Decisions { start: vec![host], ..Decisions::default() };
        let step = NextStep { revision, decisions: &decisions, jobs: &jobs, left_out: &[], selection: None };
        let done = db.apply_campaign(undo.id, &step, "planner", at(5)).await.expect("applies").expect("now");
        assert_eq!(done.started, [(host, jobs[0].id)]);
        let order = db.offer(jobs[0].id, at(6)).await.expect("offers").expect("an order");
        assert_eq!(order.task, Task::Undo { job: undone, attempt: 1 });
        let all = db.campaign_undo_set(campaign.id, at(6)).await.expect("reads");
        assert_eq!(standing(0, &all), Some(UndoStanding::UnderWay));
        send(db, host, [job_says(jobs[0].id, 1, JobState::Running, at(6)), job_says(jobs[0].id, 1, JobState::RolledBack, at(7))], at(7)).await;
        let all = db.campaign_undo_set(campaign.id, at(8)).await.expect("reads");
        assert_eq!(standing(0, &all), Some(UndoStanding::TakenBack));
        assert_eq!(all.iter().find(|u| u.job == undone).and_then(|u| u.undone_by), Some(jobs[0].id));
        // What a climbing job would have tried next was never begun.
        meddle(db, "UPDATE job SET remediation = 'apt.next', digest = 'next' WHERE task = 'remediate'").await.expect("chosen");
        let set = db.campaign_undo_set(campaign.id, at(8)).await.expect("reads");
        assert_eq!(set, all, "it is the try that is taken back");
    }

    async fn of_a_job_that_climbed_each_try_is_taken_back_by_itself(db) {
        broken(db, 1).await;
        let fields = json!({"waves": [{"share": "all"}], "thresholds": {"abort": "off"}});
        let campaign = running(db, 1, &fields, at(2)).await;
        plan(db, campaign.id, at(2)).await.expect("opens the wave");
        let hosts = super::look(db, campaign.id, at(2)).await.snapshot.hosts;
        let mut jobs = jobs_for(db, campaign.id, &[hosts[0].host], at(2)).await;
        jobs[0].terms.climbs = true;
        let (host, made) = (jobs[0].host, jobs[0].id);
        let revision = db.campaign(campaign.id).await.expect("reads").expect("there").revision;
        let decisions = Decisions { start: vec![host], ..Decisions::default() };
        let step = NextStep { revision, decisions: &decisions, jobs: &jobs, left_out: &[], selection: None };
        db.apply_campaign(campaign.id, &step, "planner", at(2)).await.expect("applies").expect("now");
        works(db, host, made, JobState::Failed, at(3)).await;
        let next = crate::tests::climbing::next("apt.clean", at(4));
        let known = crate::tests::climbing::known("yes");
        assert!(db.climb_to((made, 1), &next, &known, at(4)).await.expect("climbs"));
        plan(db, campaign.id, at(4)).await.expect("gives it a place");
        db.offer(made, at(4)).await.expect("offers").expect("an order");
        let seen = async |now| {
            let all = db.campaign_undo_set(campaign.id, now).await.expect("reads");
            all.into_iter().map(|u| (u.attempt, u.remediation.to_string(), u.digest, u.standing)).collect::<Vec<_>>()
        };
        let first = |standing| (1, jobs[0].remediation.to_string(), jobs[0].digest.clone(), standing);
        assert_eq!(seen(at(4)).await, [first(UndoStanding::AtWork)], "the second has not begun");
        send(db, host, [job_says(made, 2, JobState::Running, at(5)), job_says(made, 2, JobState::Fixed, at(5))], at(5)).await;
        let second = |standing| (2, "apt.clean".to_owned(), next.digest.clone(), standing);
        assert_eq!(seen(at(6)).await, [first(UndoStanding::Possible), second(UndoStanding::Possible)]);
        let mut undo = jobs[0].clone();
        undo.id = JobId(crate::tests::id(900));
        undo.terms.task = Task::Undo { job: made, attempt: 2 };
        db.create_job(&undo, "ops", at(6)).await.expect("made");
        assert_eq!(seen(at(6)).await, [first(UndoStanding::Possible), second(UndoStanding::UnderWay)]);
        let tries = db.job(made).await.expect("reads").expect("there").attempts;
        let undone: Vec<_> = tries.iter().map(|t| (t.digest.clone(), t.undone_by)).collect();
        assert_eq!(undone, [(jobs[0].digest.clone(), None), (next.digest.clone(), Some(undo.id))]);
    }

    async fn a_snapshot_tells_relapses_regressions_groups_and_sites(db) {
        let all = broken(db, 3).await;
        let label = |site: &str| [("site".to_owned(), site.to_owned()), ("cluster".to_owned(), format!("c{site}"))];
        for (n, (host, _)) in all.iter().enumerate() {
            db.set_labels(*host, &label(&n.to_string()).into(), "ops", at(1)).await.expect("labels");
        }
        let pace = json!({"group_label": "cluster"});
        let first = running(db, 1, &json!({"waves": [{"share": "all"}], "pace": pace,
            "selector": {"code": CODE, "hosts": [all[0].0, all[1].0]}}), at(2)).await;
        let second = running(db, 2, &json!({"waves": [{"share": "all"}], "pace": pace,
            "selector": {"code": CODE, "hosts": [all[2].0]}}), at(2)).await;
        let started = settle(db, first.id, at(2)).await;
        settle(db, second.id, at(2)).await;
        let job_of = |n: usize| started.iter().find(|(host, _)| *host == all[n].0).expect("started").1;
        works(db, all[0].0, job_of(0), JobState::Fixed, at(3)).await;
        works(db, all[1].0, job_of(1), JobState::Running, at(3)).await;
        // The first comes back; on the second something else breaks, and something is overdue.
        send(db, all[0].0, [fails(failure(800, CODE, None, at(5)))], at(5)).await;
        for (n, kind) in (810..).zip(fleetmend_core::overdue::OverdueKind::ALL) {
            send(db, all[1].0, [fails(failure(n, kind.as_str(), None, at(5)))], at(5)).await;
        }
        send(db, all[1].0, [fails(failure(802, "apt.hash_mismatch", None, at(6)))], at(6)).await;
        let seen = db.campaign_snapshot(first.id, &|what| what == crate::NextWork::Remediation("apt.configure"), at(7)).await.expect("looks").snapshot;
        let host = |n: usize| seen.hosts.iter().find(|h| h.host == all[n].0).expect("there");
        assert!(host(0).relapsed.is_some() && host(0).regressed.is_none(), "{:?}", host(0));
        assert_eq!((host(1).relapsed, host(1).regressed), (None, Some(at(6))));
        assert_eq!((host(1).begun, host(1).state_since, host(1).network), (Some(at(3)), Some(at(3)), true));
        assert_eq!(seen.groups_busy, ["c2".to_owned()].into());
        assert_eq!(seen.sites_busy, [("2".to_owned(), 1)].into());
        assert_eq!(look(db, first.id, at(7)).await.snapshot.sites_busy, std::collections::BTreeMap::new());
    }

    async fn an_old_campaign_goes_and_then_its_incidents(db) {
        broken(db, 2).await;
        let campaign = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await;
        for (host, job) in settle(db, campaign.id, at(2)).await {
            works(db, host, job, JobState::Fixed, at(3)).await;
        }
        // Its incidents end earlier than it does.
        settle(db, campaign.id, at(20 * 24 * 60)).await;
        let draft = db.create_campaign(&new(2, &json!({})), ANNA, at(3)).await.expect("creates");
        let keep = Keep { reports: 90, job_log: 90, incidents: 400, events: 400, quarantine: 30, roll_up: 400 };
        let drop_all = |days: u64| async move {
            while db.drop_old(&keep, at(days * 24 * 60), 100).await.expect("drops").more {}
        };
        drop_all(410).await;
        assert_eq!(db.campaign_document(campaign.id, at(9)).await.expect("exports").hosts.len(), 2);
        assert_eq!(crate::tests::incidents(db).await.len(), 2, "the campaign tells of them");
        drop_all(425).await;
        assert_eq!(db.campaign(campaign.id).await.expect("reads"), None);
        assert_eq!(crate::tests::incidents(db).await, []);
        assert!(db.campaign(draft.id).await.expect("reads").is_some(), "a person's draft stays");
    }

    async fn a_step_that_fails_in_the_middle_leaves_nothing(db) {
        broken(db, 3).await;
        let campaign = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await;
        plan(db, campaign.id, at(2)).await.expect("opens the wave");
        let before = (look(db, campaign.id, at(2)).await, db.verify_audit().await.expect("walks"));
        let decisions = advance(&before.0.snapshot, at(2));
        let jobs = jobs_for(db, campaign.id, &decisions.start, at(2)).await;
        let step = NextStep {
            revision: before.0.campaign.revision, decisions: &decisions, jobs: &jobs, left_out: &[], selection: None,
        };
        let fails: &[&'static str] = if db.kind() == "sqlite" {
            &["CREATE TRIGGER no BEFORE INSERT ON audit WHEN NEW.action = 'campaign.start_jobs' BEGIN SELECT RAISE(ABORT, 'no'); END"]
        } else {
            &["CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$",
              "CREATE TRIGGER no BEFORE INSERT ON audit FOR EACH ROW WHEN (NEW.action = 'campaign.start_jobs') EXECUTE FUNCTION no()"]
        };
        for sql in fails {
            meddle(db, sql).await.expect("meddles");
        }
        db.apply_campaign(campaign.id, &step, "planner", at(2)).await.expect_err("fails at its last row");
        let after = (look(db, campaign.id, at(2)).await, db.verify_audit().await.expect("walks"));
        assert_eq!(after, before);
        for job in &jobs {
            assert_eq!(db.job(job.id).await.expect("reads"), None);
        }
        meddle(db, if db.kind() == "sqlite" { "DROP TRIGGER no" } else { "DROP TRIGGER no ON audit" }).await.expect("meddles");
        let done = db.apply_campaign(campaign.id, &step, "planner", at(2)).await.expect("applies").expect("the same revision");
        assert_eq!(done.started.len(), 3);
    }
}
