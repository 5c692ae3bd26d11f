//! Many planners, people and agents at once, and planners that die in the middle: no host is begun
//! twice, and what is counted is what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::campaign::{CampaignState, advance};
use fleetmend_core::ids::{CampaignId, HostId, JobId};
use fleetmend_core::job::JobState;
use serde_json::json;

use super::{ANNA, broken, found, jobs_for, look, new, plan, results, running, works};
use crate::tests::{at, contract, meddle};
use crate::{AuditCheck, CampaignMove, Db, JobFilter, NextStep, PageRequest, Stands};

/// One look and step of a planner among several; what it made.
async fn try_to_plan(db: &Db, id: CampaignId, minute: u64) -> Vec<(HostId, JobId)> {
    let now = at(minute);
    let seen = look(db, id, now).await;
    let decisions = advance(&seen.snapshot, now);
    let jobs = jobs_for(db, id, &decisions.start, now).await;
    let selection = found(db, &seen.campaign, now).await;
    // What the others do meanwhile.
    tokio::task::yield_now().await;
    let step = NextStep {
        revision: seen.campaign.revision,
        decisions: &decisions,
        jobs: &jobs,
        left_out: &[],
        selection: Some(&selection),
    };
    let by = format!("campaign {id}");
    let done = db.apply_campaign(id, &step, &by, now).await.expect("applies");
    done.map(|done| done.started).unwrap_or_default()
}

/// Every host has at most one job in the campaign, those that the hosts name are all there are, the
/// counts are those of the list, and the log's chain is whole.
async fn must_be_sound(db: &Db, id: CampaignId) {
    let filter = JobFilter { campaign: Some(id), ..JobFilter::default() };
    let jobs = db.jobs(&filter, &PageRequest::first(1_000)).await.expect("lists").items;
    let mut made: BTreeMap<HostId, Vec<JobId>> = BTreeMap::new();
    for job in &jobs {
        made.entry(job.host).or_default().push(job.id);
    }
    let listed = results(db, id).await;
    for (host, jobs) in &made {
        assert_eq!(jobs.len(), 1, "host {host} was begun twice: {jobs:?}");
        let result = listed.iter().find(|r| r.host == *host).expect("a host of it");
        assert_eq!(result.job, Some(jobs[0]));
    }
    assert_eq!(listed.iter().filter(|r| r.job.is_some()).count(), made.len());
    let counts = db.campaign_counts(id, at(9)).await.expect("counts");
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    for result in listed.iter().filter(|r| r.stands != Stands::Waiting) {
        *states.entry(result.stands.as_str().to_owned()).or_default() += 1;
    }
    assert_eq!(counts.all.states, states);
    assert_eq!(counts.all.hosts, listed.len() as u64);
    assert_eq!(
        counts.all.waiting,
        listed.iter().filter(|r| r.stands == Stands::Waiting).count() as u64
    );
    let in_waves: u64 = counts.waves.iter().map(|w| w.counts.hosts).sum();
    assert_eq!(in_waves, made.len() as u64);
    assert!(matches!(db.verify_audit().await.expect("walks"), AuditCheck::Whole { .. }));
}

contract! {
    async fn planners_agents_and_people_at_once_begin_each_host_once(db) {
        broken(db, 12).await;
        let fields = json!({"waves": [{"share": "2"}, {"share": "50%"}, {"share": "all"}], "pace": {"at_once": 4}});
        let id = running(db, 1, &fields, at(2)).await.id;
        for round in 0..40_u64 {
            let minute = 2 + round / 8;
            let planners: Vec<_> = (0..4).map(|_| {
                let db = db.clone();
                tokio::spawn(async move { try_to_plan(&db, id, minute).await })
            }).collect();
            // A person pauses and resumes, and another orders by hand.
            let person = {
                let db = db.clone();
                tokio::spawn(async move {
                    if round % 7 == 3 {
                        let _ = db.move_campaign(id, CampaignMove::Pause, "", ANNA, at(minute)).await;
                        let _ = db.move_campaign(id, CampaignMove::Resume, "", ANNA, at(minute)).await;
                    }
                })
            };
            let mut started = Vec::new();
            for planner in planners {
                started.extend(planner.await.expect("runs"));
            }
            person.await.expect("runs");
            must_be_sound(db, id).await;
            for (host, job) in started {
                works(db, host, job, JobState::Fixed, at(minute)).await;
            }
            if db.campaign(id).await.expect("reads").expect("there").state == CampaignState::Completed {
                break;
            }
        }
        let ended = db.campaign(id).await.expect("reads").expect("there");
        assert_eq!(ended.state, CampaignState::Completed, "{ended:?}");
        assert_eq!(results(db, id).await.iter().filter(|r| r.state == Some(JobState::Fixed)).count(), 12);
    }

    async fn a_host_in_two_campaigns_has_one_job_at_a_time(db) {
        broken(db, 6).await;
        let fields = json!({"waves": [{"share": "all"}]});
        let first = running(db, 1, &fields, at(2)).await;
        // The second knows nothing of the first.
        let made = db.create_campaign(&new(2, &fields), ANNA, at(2)).await.expect("creates");
        let hosts = found(db, &first, at(2)).await;
        let second = db.start_campaign((made.id, &made.digest), &hosts, "", ANNA, at(2)).await.expect("starts");
        for id in [first.id, second.id] {
            plan(db, id, at(2)).await.expect("opens the wave");
        }
        let steps = [first.id, second.id, first.id, second.id].map(|id| {
            let db = db.clone();
            tokio::spawn(async move { try_to_plan(&db, id, 3).await })
        });
        let mut begun = Vec::new();
        for step in steps {
            begun.extend(step.await.expect("runs").into_iter().map(|(host, _)| host));
        }
        let all = begun.len();
        begun.sort_unstable();
        begun.dedup();
        assert_eq!((begun.len(), all), (6, 6));
        must_be_sound(db, first.id).await;
        must_be_sound(db, second.id).await;
    }

    async fn a_planner_that_dies_in_the_middle_leaves_a_whole_step_or_none(db) {
        broken(db, 8).await;
        let id = running(db, 1, &json!({"waves": [{"share": "all"}]}), at(2)).await.id;
        plan(db, id, at(2)).await.expect("opens the wave");
        let seen = look(db, id, at(3)).await;
        let decisions = advance(&seen.snapshot, at(3));
        let jobs = jobs_for(db, id, &decisions.start, at(3)).await;
        let revision = seen.campaign.revision;
        let step = NextStep { revision, decisions: &decisions, jobs: &jobs, left_out: &[], selection: None };
        // Later and later in its work, until it is through.
        let (mut life, mut deaths) = (Duration::from_micros(500), 0);
        while tokio::time::timeout(life, db.apply_campaign(id, &step, "planner", at(3))).await.is_err() {
            (life, deaths) = (life * 3 / 2, deaths + 1);
            assert!(deaths < 30, "it is never through");
            // Whatever it had sent is done, or taken back, once its row is free.
            meddle(db, "UPDATE campaign SET revision = revision").await.expect("waits");
            let after = look(db, id, at(3)).await;
            if after.campaign.revision != revision {
                // It died after its commit.
                break;
            }
            assert_eq!(after, seen, "nothing of the step");
        }
        must_be_sound(db, id).await;
        assert_eq!(results(db, id).await.iter().filter(|r| r.job.is_some()).count(), 8);
    }
}
