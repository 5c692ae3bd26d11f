//! Two campaigns over the same hosts, and over the same clusters.

use std::collections::BTreeMap;

use fleetmend_core::campaign::{CampaignState, Decisions, advance};
use fleetmend_core::ids::{CampaignId, HostId, IncidentId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::time::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::{ANNA, CODE, broken, found, jobs_for, look, new, running, settle, works};
use crate::tests::{at, contract, fails, failure, job, job_says, meddle, send};
use crate::{CampaignMove, Db, JobFilter, NewJob, NextStep, PageRequest};

const HOSTS: u8 = 5;

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// A planner looks at a campaign, and decides.
    Look(usize),
    /// What was decided is applied, however long ago that was.
    Apply(usize),
    /// A host's agent begins its job.
    Begin(u8),
    /// And says how it stands, or ended.
    Say(u8, JobState),
    /// A person orders by hand.
    Order(u8),
    Move(usize, CampaignMove),
    /// The failure is there again.
    Fail(u8),
    Minute,
}

fn event() -> impl Strategy<Value = Event> {
    let (campaign, host) = (0..2_usize, 0..HOSTS);
    let says = prop::sample::select(vec![
        JobState::Verifying,
        JobState::Fixed,
        JobState::Fixed,
        JobState::Failed,
        JobState::RolledBack,
        JobState::Unknown,
        JobState::NotApplicable,
    ]);
    let moves = prop::sample::select(vec![
        CampaignMove::Pause,
        CampaignMove::Resume,
        CampaignMove::Resume,
        CampaignMove::Resume,
    ]);
    prop_oneof![
        8 => campaign.clone().prop_map(Event::Look),
        8 => campaign.clone().prop_map(Event::Apply),
        8 => host.clone().prop_map(Event::Begin),
        8 => (host.clone(), says).prop_map(|(host, to)| Event::Say(host, to)),
        2 => host.clone().prop_map(Event::Order),
        2 => (campaign, moves).prop_map(|(campaign, to)| Event::Move(campaign, to)),
        2 => host.prop_map(Event::Fail),
        2 => Just(Event::Minute),
    ]
}

/// A planner that has looked and not yet acted.
struct Planned {
    revision: u64,
    decisions: Decisions,
    jobs: Vec<NewJob>,
}

struct World<'a> {
    db: &'a Db,
    hosts: Vec<(HostId, IncidentId)>,
    campaigns: [CampaignId; 2],
    planned: [Option<Planned>; 2],
    minute: u64,
    made: u128,
    begun: [usize; 2],
    /// How often somebody had to wait for another's job.
    kept_apart: usize,
}

impl World<'_> {
    fn now(&self) -> Timestamp {
        at(self.minute)
    }

    /// Every job that is not over, with its host and whether it is more than awaited proof.
    async fn open(&self) -> Vec<(HostId, JobId, JobState)> {
        let all = self.db.jobs(&JobFilter::default(), &PageRequest::first(1_000)).await;
        let all = all.expect("lists").items;
        let open = all.into_iter().filter(|job| !job.state.is_final());
        open.map(|job| (job.host, job.id, job.state)).collect()
    }

    async fn active(&self, host: HostId) -> Option<(JobId, JobState)> {
        let open = self.open().await;
        let mut of =
            open.iter().filter(|(at, _, state)| *at == host && *state != JobState::Verifying);
        of.next().map(|(_, job, state)| (*job, *state))
    }

    async fn happen(&mut self, event: &Event) {
        let (db, now) = (self.db, self.now());
        match *event {
            Event::Look(n) => {
                let seen = look(db, self.campaigns[n], now).await;
                let decisions = advance(&seen.snapshot, now);
                let busy = seen.snapshot.hosts.iter().filter(|h| h.busy && h.waits()).count();
                self.kept_apart += busy;
                let jobs = jobs_for(db, self.campaigns[n], &decisions.start, now).await;
                let revision = seen.campaign.revision;
                self.planned[n] = Some(Planned { revision, decisions, jobs });
            }
            Event::Apply(n) => {
                let Some(Planned { revision, decisions, jobs }) = self.planned[n].take() else {
                    return;
                };
                let (decisions, jobs) = (&decisions, &jobs[..]);
                let step = NextStep { revision, decisions, jobs, left_out: &[], selection: None };
                let done = db.apply_campaign(self.campaigns[n], &step, "planner", now).await;
                let Some(applied) = done.expect("a host that is busy is no error") else { return };
                self.begun[n] += applied.started.len();
                self.kept_apart += jobs.len() - applied.started.len();
            }
            Event::Begin(host) => {
                let host = self.hosts[usize::from(host)].0;
                let Some((job, JobState::Queued)) = self.active(host).await else { return };
                if db.offer(job, now).await.expect("offers").is_some() {
                    send(db, host, [job_says(job, 1, JobState::Running, now)], now).await;
                }
            }
            Event::Say(host, to) => {
                let host = self.hosts[usize::from(host)].0;
                let Some((job, from)) = self.active(host).await else { return };
                if from.can_become(to) && from.has_begun() {
                    send(db, host, [job_says(job, 1, to, now)], now).await;
                }
            }
            Event::Order(host) => {
                let (host, incident) = self.hosts[usize::from(host)];
                let is_free = self.active(host).await.is_none();
                self.made += 1;
                let order = NewJob { expires: at(10_000), ..job(self.made, host, incident) };
                match db.create_job(&order, "ops", now).await {
                    Ok(_) => assert!(is_free, "a second job on {host}"),
                    Err(refused) => {
                        assert!(!refused.is_unavailable(), "{refused}");
                        self.kept_apart += usize::from(!is_free);
                    }
                }
            }
            // Whatever does not fit is refused.
            Event::Move(n, to) => {
                let _ = db.move_campaign(self.campaigns[n], to, "", ANNA, now).await;
            }
            Event::Fail(host) => {
                self.made += 1;
                let host = self.hosts[usize::from(host)].0;
                send(db, host, [fails(failure(self.made, CODE, None, now))], now).await;
            }
            Event::Minute => {
                self.minute += 1;
                let seen: Vec<_> = self.hosts.iter().map(|(host, _)| (*host, self.now())).collect();
                db.touch_hosts(&seen).await.expect("are heard of");
            }
        }
    }

    /// On each host one job at most is at work, whoever made it.
    async fn must_hold(&self, event: &Event) {
        let mut at_work: BTreeMap<HostId, Vec<JobId>> = BTreeMap::new();
        for (host, job, state) in self.open().await {
            if state != JobState::Verifying {
                at_work.entry(host).or_default().push(job);
            }
        }
        for (host, jobs) in at_work {
            assert_eq!(jobs.len(), 1, "after {event:?} host {host} has {jobs:?}");
        }
    }
}

contract! {
    async fn two_campaigns_and_people_at_once_have_one_job_at_work_on_a_host(db) {
        let hosts = broken(db, HOSTS.into()).await;
        let mut runner = TestRunner::deterministic();
        let events = prop::collection::vec(event(), 60);
        let (mut begun, mut kept_apart) = ([0, 0], 0);
        for round in 0..2_u64 {
            let now = at(2 + round * 200);
            for (n, (host, _)) in hosts.iter().enumerate() {
                let again = failure(5_000 + u128::from(round) * 10 + n as u128, CODE, None, now);
                send(db, *host, [fails(again)], now).await;
            }
            let fields = json!({"waves": [{"share": "2"}, {"share": "all"}], "gate": {"success_percent": 1, "soak": "0s"},
                "thresholds": {"abort": "off", "regressions": "off"}, "pace": {"at_once": 3}});
            let both = [1, 2].map(|n| new(u128::from(round) * 2 + n, &fields));
            let mut campaigns = Vec::new();
            let mut of = None;
            for one in both {
                let made = db.create_campaign(&one, ANNA, now).await.expect("creates");
                let found = match &of {
                    Some(found) => found,
                    None => &*of.insert(found(db, &made, now).await),
                };
                db.start_campaign((made.id, &made.digest), found, "", ANNA, now).await.expect("starts");
                campaigns.push(made.id);
            }
            let members = of.expect("found").members;
            assert_eq!(members.len(), usize::from(HOSTS));
            let mut world = World {
                db,
                hosts: members.iter().map(|m| (m.host, m.incident)).collect(),
                campaigns: campaigns.try_into().expect("two"),
                planned: [None, None],
                minute: 2 + round * 200,
                made: 10_000 * (1 + u128::from(round)),
                begun: [0, 0],
                kept_apart: 0,
            };
            let drawn = events.new_tree(&mut runner).expect("draws").current();
            for event in &drawn {
                world.happen(event).await;
                world.must_hold(event).await;
            }
            for (n, begun) in begun.iter_mut().enumerate() {
                *begun += world.begun[n];
                let _ = db.move_campaign(world.campaigns[n], CampaignMove::Abort, "", ANNA, world.now()).await;
            }
            kept_apart += world.kept_apart;
            meddle(db, "UPDATE job SET state = 'cancelled', ended_ms = 0 WHERE ended_ms IS NULL").await.expect("over");
        }
        // They did come into each other's way.
        assert!(begun.iter().all(|jobs| *jobs > 0) && kept_apart > 10, "{begun:?} {kept_apart}");
    }

    async fn a_node_that_may_be_down_is_told_to_other_campaigns(db) {
        let all = broken(db, 3).await;
        for (host, _) in &all {
            db.set_labels(*host, &[("cluster".to_owned(), "a".to_owned())].into(), "ops", at(1)).await.expect("labels");
        }
        let pace = json!({"group_label": "cluster"});
        let of = |n: usize| json!({"waves": [{"share": "all"}], "pace": pace, "thresholds": {"abort": "off"},
            "selector": {"code": CODE, "hosts": [all[n].0]}});
        let first = running(db, 1, &of(0), at(2)).await;
        let (host, made) = settle(db, first.id, at(2)).await[0];
        works(db, host, made, JobState::Unknown, at(3)).await;
        let second = running(db, 2, &of(1), at(4)).await;
        let down = async |id: CampaignId, now: Timestamp| {
            let groups = look(db, id, now).await.snapshot.groups_down;
            let hosts = groups.get("a").cloned().unwrap_or_default();
            hosts.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(down(second.id, at(5)).await, [(host, at(3))]);
        assert_eq!(down(first.id, at(5)).await, [], "its own hosts are in its list");
        assert_eq!(settle(db, second.id, at(5)).await, []);
        let waits = db.campaign(second.id).await.expect("reads").expect("there").waiting_for.expect("says why");
        assert!(waits.contains(&host.to_string()), "{waits}");

        // Its failure goes: it is well, as long as it is heard of.
        db.touch_hosts(&[(host, at(6)), (all[1].0, at(25))]).await.expect("are heard of");
        meddle(db, "UPDATE incident SET ended_ms = 1 WHERE id IN (SELECT incident_id FROM job)").await.expect("ends");
        assert_eq!(down(second.id, at(6)).await, []);
        assert_eq!(down(second.id, at(25)).await, [(host, at(21))], "it is away since");
        db.touch_hosts(&[(host, at(26)), (all[1].0, at(26))]).await.expect("are heard of");
        assert_eq!(settle(db, second.id, at(26)).await.len(), 1, "and goes on when it is back");
        assert_eq!(db.campaign(second.id).await.expect("reads").expect("there").state, CampaignState::Running);

        // A week later nobody waits for it any more, though it never came back.
        let week = fleetmend_core::limits::GROUP_HELD;
        let third = running(db, 3, &of(2), at(27)).await;
        assert_eq!(down(third.id, at(60)).await.len(), 1);
        assert_eq!(down(third.id, at(60).after(week)).await, []);
    }
}
