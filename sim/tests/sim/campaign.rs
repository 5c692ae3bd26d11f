//! One campaign over many simulated hosts: real agents over mutual TLS, the real server with its planner,
//! waves and limits. What it does is watched as it goes; what became of the hosts is judged by the hidden
//! truth.
//!
//! `FLEETMEND_CAMPAIGN_HOSTS` says how many hosts; more than the few of CI are run by hand.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleetmend_core::campaign::{Between, HostStanding, Outcome, Snapshot};
use fleetmend_core::host::OsFamily;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::job::{JobState, ProofLevel};
use fleetmend_core::knowledge::Retry;
use fleetmend_core::report::Product;
use fleetmend_core::time::{Clock as _, SystemClock};
use fleetmend_server::state::Shared;
use fleetmend_sim::desk;
use fleetmend_sim::fleet::{Fleet, Plan, draw};
use fleetmend_sim::model::{Ailment, Model, Work, models};
use fleetmend_sim::names::Persona;
use fleetmend_sim::trial::{Member, Trial};
use fleetmend_sim::{Pace, Standing};
use serde_json::json;

use super::fleet::{local, plan};

const SEED: u64 = 41;
/// In flight at once, and in one site of what costs the network.
const AT_ONCE: usize = 12;
const PER_SITE: usize = 2;
/// Shares of the waves.
const WAVES: [&str; 4] = ["2", "10%", "40%", "all"];

/// Hosts on which Windows Update fails of something that can be cured at all, and whose code asks for
/// no wait before a second try.
fn members(count: usize) -> Vec<Member> {
    let catalogue = fleetmend_catalog::builtin();
    let soon = |m: &Model| {
        let retry = catalogue.retry_of(Some(&m.expect.code));
        matches!(retry, None | Some(Retry::Permanent | Retry::NeedsReboot))
    };
    let may = |m: &&'static Model| {
        !m.cure.is_empty()
            && m.heals_h.is_none()
            && m.expect.product == Product::WindowsUpdate
            && m.os == OsFamily::Windows
            && soon(m)
            // One work fails on each: a campaign takes one failure of a host.
            && m.with.iter().all(|id| models().get(id).is_some_and(|with| with.work == m.work))
    };
    let wide = Plan { windows: 1.0, seed: SEED, ..plan(std::path::Path::new("")) };
    let hosts = (1..).map(|number| draw(&wide, number));
    let fitting = hosts.filter(|(_, faults)| !faults.is_empty() && faults.iter().all(&may));
    let member = |(persona, faults)| Member { persona, faults, ailment: Ailment::None };
    fitting.take(count).map(member).collect()
}

/// How it stands at one moment: all hosts are read by one statement.
async fn look(shared: &Shared, id: CampaignId) -> Snapshot {
    let costs = |what: fleetmend_store::NextWork<'_>| {
        fleetmend_server::campaigns::costs_network(shared.catalogue, what)
    };
    let now = shared.clock.now();
    shared.db.campaign_snapshot(id, &costs, now).await.expect("looked at").snapshot
}

/// Whether a job takes a place: what an agent has does, whatever else is said of it.
fn flies(host: &HostStanding) -> bool {
    match host.job_state {
        Some(JobState::Queued | JobState::WaitingWindow) => host.between.is_none(),
        Some(state) => !state.is_final() && state != JobState::Verifying,
        None => false,
    }
}

/// What was seen on the way.
#[derive(Debug, Default)]
struct Seen {
    looks: usize,
    most_in_flight: usize,
    most_in_a_site: usize,
    /// Jobs that waited for a place before their next try, at one moment.
    most_waiting: usize,
}

impl Seen {
    /// No limit is passed, no wave holds more than its share, none opens before the gate before it.
    fn check(&mut self, s: &Snapshot) {
        self.looks += 1;
        let flying: Vec<&HostStanding> = s.hosts.iter().filter(|host| flies(host)).collect();
        assert!(flying.len() <= AT_ONCE, "{} in flight: {flying:#?}", flying.len());
        self.most_in_flight = self.most_in_flight.max(flying.len());
        let mut sites: BTreeMap<Option<&String>, usize> = BTreeMap::new();
        for host in flying.iter().filter(|host| host.network) {
            *sites.entry(host.labels.get("site")).or_default() += 1;
        }
        let most = sites.values().copied().max().unwrap_or(0);
        assert!(most <= PER_SITE, "{sites:?}: {flying:#?}");
        self.most_in_a_site = self.most_in_a_site.max(most);
        let waits = |host: &&HostStanding| matches!(host.between, Some(Between::Chosen { .. }));
        self.most_waiting = self.most_waiting.max(s.hosts.iter().filter(waits).count());
        let begun = s.hosts.iter().filter(|host| host.wave.is_some()).count();
        let Some(last) = s.waves.len().checked_sub(1) else {
            assert_eq!(begun, 0, "no wave is open");
            return;
        };
        let share = s.definition.waves[last].share.of(s.hosts.len());
        assert!(begun <= share, "{begun} have begun, of {share} of wave {last}");
        for (before, after) in s.waves.iter().zip(s.waves.iter().skip(1)) {
            let held = before.gate_held.expect("the gate held first");
            assert!(held <= after.opened, "{:?}", s.waves);
        }
    }
}

async fn over_a_fleet(count: usize, patience: Duration) {
    let begun = Instant::now();
    let folder = super::trial::folder();
    let members = members(count);
    let drawn: Vec<(Persona, Vec<&'static Model>)> =
        members.iter().map(|m| (m.persona.clone(), m.faults.clone())).collect();
    // The same hosts once more, only to ask the truth whether they can be cured: one seed draws the same.
    let twins = folder.path().join("twins");
    let twins = Trial::begin(&twins, SEED, members, super::trial::definition("")).await;
    let twins = twins.expect("laid out");
    let truths: Vec<(bool, Work)> = twins.patients.iter().map(|p| (p.curable, p.work)).collect();
    let hosts = u32::try_from(count).expect("a count");
    let local = local(folder.path(), hosts).await;
    let shared = &local.server.shared;
    let pace = Pace { every: Duration::from_secs(4), ..super::QUICK };
    let plan = Plan { seed: SEED, pace, ..plan(&folder.path().join("hosts")) };
    let fleet = Fleet::of(plan, drawn, SystemClock.now()).expect("laid out");
    fleet.enroll(&local.reach).await.expect("enrolled");
    local.welcome(&fleet).await.expect("accepted");
    fleet.run().expect("runs");
    let written = json!({
        "name": "Windows Update, by plan", "reason": "test",
        "selector": {"product": "windows_update"},
        "max_risk": "disruptive", "reboot": "anytime",
        "waves": WAVES.map(|share| json!({"share": share})),
        "gate": {"success_percent": 1, "soak": "0m"},
        "thresholds": {"abort": (count / 2).to_string()},
        "max_hosts": count,
        "pace": {"at_once": AT_ONCE, "network_per_site": PER_SITE},
    });
    let campaign = loop {
        if let Some(campaign) = desk::write(shared, written.clone(), count).await.expect("kept") {
            break campaign;
        }
        assert!(begun.elapsed() < patience, "not all hosts have told of their failure");
        // Hosts tell when they like; nobody says when the last one has.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    eprintln!("all {count} hosts have told of their failure after {:.1?}", begun.elapsed());
    desk::start(shared, &campaign, "test").await.expect("started");
    let mut seen = Seen::default();
    let ended = loop {
        let snapshot = look(shared, campaign.id).await;
        seen.check(&snapshot);
        if snapshot.state.is_final() {
            break snapshot;
        }
        let stands = shared.db.campaign(campaign.id).await.expect("read").expect("there");
        assert!(begun.elapsed() < patience, "{seen:?} {:?}", stands.waiting_for);
        assert_eq!(snapshot.state.as_str(), "running", "{}", stands.state_reason);
        // Between two looks: the limits are checked as often as the database can be asked.
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut by_name = BTreeMap::new();
    for stands in &ended.hosts {
        let host = shared.db.host(stands.host).await.expect("read").expect("a host");
        by_name.insert(host.facts.name, stands);
    }
    let (mut wrong, mut fixed, mut tries) = (Vec::new(), 0, BTreeMap::<u32, usize>::new());
    for (host, (curable, work)) in fleet.hosts.iter().zip(&truths) {
        let name = host.persona().name.as_str();
        let stands = by_name[name];
        let job = match stands.job {
            Some(job) => Some(shared.db.job(job).await.expect("read").expect("there").job),
            None => None,
        };
        *tries.entry(job.as_ref().map_or(0, |job| job.attempt)).or_default() += 1;
        let said = stands.outcome(true, SystemClock.now()) == Outcome::Fixed;
        let well = host.showing(*work).is_none();
        let harmed = host.truth().iter().any(|t| t.brought && t.standing != Standing::Gone);
        fixed += usize::from(said);
        // By a probe alone no more is said than that the cause is gone.
        let by_probe = job.as_ref().and_then(|job| job.proof) == Some(ProofLevel::ProbeOnly);
        let lies = said && !well && !by_probe;
        if lies || (*curable && (harmed || !(said && well))) {
            wrong.push(format!("{name} {:?}\n{job:#?}\n{:?}", stands.job_state, host.truth()));
        }
    }
    let could = truths.iter().filter(|(curable, _)| *curable).count();
    eprintln!(
        "{count} hosts, {could} curable, {fixed} fixed; by tries: {tries:?}; {seen:?}; {:.1?}",
        begun.elapsed()
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(could * 10 >= count * 7, "{could} of {count} can be cured");
    assert!(fleet.stop(Duration::from_mins(1)).await);
    assert!(local.server.shutdown(Duration::from_mins(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_cures_a_fleet_in_waves_and_within_its_limits() {
    let wanted = std::env::var("FLEETMEND_CAMPAIGN_HOSTS").ok();
    let count: usize = wanted.map_or(30, |text| text.parse().expect("a number of hosts"));
    let more = Duration::from_secs(3) * u32::try_from(count).expect("few");
    over_a_fleet(count, Duration::from_mins(4) + more).await;
}
