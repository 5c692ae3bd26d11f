//! However hosts stand, four ways tell the same: the core's counters, the counts, the list, its filters.

use std::collections::BTreeMap;

use fleetmend_core::campaign::{Counters, Outcome};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use serde_json::json;

use super::{ANNA, broken, look, plan, running};
use crate::tests::{at, contract, meddle};
use crate::{CampaignMove, Db, PageRequest, ResultFilter, Stands};

/// A job's state, whether its agent began, when it came to be so, and when its host was heard of last.
type Case = (JobState, bool, u64, u64);

const SILENT: u64 = 16;

#[rustfmt::skip]
const CASES: &[Case] = &[
    (JobState::Queued, false, 10, 10), (JobState::Queued, true, 10, 10), (JobState::Queued, true, 10, 40),
    (JobState::Offered, false, 10, 10), (JobState::Blocked, false, 10, 10), (JobState::Running, true, 10, 10),
    (JobState::Running, true, 10, 50), (JobState::Running, true, 50, 10), (JobState::RebootPending, true, 10, 12),
    (JobState::Rebooting, true, 10, 40), (JobState::Verifying, true, 10, 10), (JobState::Verifying, true, 10, 30),
    (JobState::Fixed, true, 10, 10), (JobState::Failed, true, 10, 10), (JobState::NotReached, false, 10, 10),
    (JobState::NotReached, true, 10, 10), (JobState::Cancelled, false, 10, 10), (JobState::Skipped, true, 10, 10),
];

/// Every host of the campaign's list by its word, and what the filter for that word finds.
async fn agree(db: &Db, id: CampaignId, now: Timestamp) {
    let seen = look(db, id, now).await;
    let core = Counters::of(&seen.snapshot, now);
    let counts = db.campaign_counts(id, now).await.expect("counts");
    let mut by_outcome: BTreeMap<Outcome, u64> = BTreeMap::new();
    for group in &counts.groups {
        *by_outcome.entry(group.stands.outcome()).or_default() += group.hosts;
    }
    for outcome in Outcome::ALL {
        let counted = by_outcome.get(outcome).copied().unwrap_or_default();
        assert_eq!(counted, u64::from(core.get(*outcome)), "{outcome} at {now}");
    }
    let page = PageRequest::first(1_000);
    let list = async |filter: &ResultFilter| {
        db.campaign_results(id, filter, &page, now).await.expect("lists")
    };
    let all = list(&ResultFilter::default()).await.items;
    assert_eq!(all.len() as u64, counts.all.hosts);
    for (result, host) in all.iter().zip(&seen.snapshot.hosts) {
        let over = seen.snapshot.state.is_final();
        assert_eq!(result.stands.outcome(), host.outcome(over, now), "{result:?}");
    }
    let states = JobState::ALL.iter().copied().map(Stands::Job);
    for stands in states.chain([Stands::Waiting, Stands::LeftOut, Stands::Silent]) {
        let listed = all.iter().filter(|result| result.stands == stands).count() as u64;
        let found = list(&ResultFilter { stands: vec![stands], ..ResultFilter::default() }).await;
        assert_eq!(
            (found.total, found.items.len() as u64),
            (listed, listed),
            "{stands:?} at {now}"
        );
        let counted = match stands {
            Stands::Waiting => counts.all.waiting,
            Stands::LeftOut => counts.all.left_out,
            other => counts.all.states.get(other.as_str()).copied().unwrap_or_default(),
        };
        assert_eq!(counted, listed, "{stands:?} at {now}");
    }
}

async fn set(db: &Db, sql: String) {
    meddle(db, sql.leak()).await.expect("sets");
}

contract! {
    async fn counts_and_lists_agree_with_the_core_however_hosts_stand(db) {
        let n = 2 * CASES.len() + 2;
        broken(db, n as u128).await;
        let fields = json!({"waves": [{"share": "all"}], "thresholds": {"abort": "off"}});
        let campaign = running(db, 1, &fields, at(2)).await;
        plan(db, campaign.id, at(2)).await.expect("opens the wave");
        plan(db, campaign.id, at(2)).await.expect("starts them");
        let of = |n: usize| format!("(SELECT job_id FROM campaign_host WHERE position = {n})");
        for (n, (state, begun, since, seen)) in CASES.iter().chain(CASES).enumerate() {
            let since = at(*since).as_millis();
            let begun = if *begun { since.to_string() } else { "NULL".to_owned() };
            let ended = if state.is_final() { since.to_string() } else { "NULL".to_owned() };
            set(db, format!(
                "UPDATE job SET state = '{state}', begun_ms = {begun}, ended_ms = {ended}, state_ms = {since} WHERE id = {}", of(n)
            )).await;
            set(db, format!(
                "UPDATE host SET last_seen_ms = {} WHERE id = (SELECT host_id FROM campaign_host WHERE position = {n})",
                at(*seen).as_millis()
            )).await;
        }
        // The second half was taken back, or left out, whatever became of it.
        set(db, format!("UPDATE campaign_host SET recalled = TRUE WHERE position >= {}", CASES.len())).await;
        let odd = CASES.len() + 4;
        set(db, format!("UPDATE campaign_host SET left_out = TRUE, left_out_reason = 'x' WHERE position >= {odd} AND position < {}", odd + 4)).await;
        for (last, is_out) in [(n - 1, "TRUE"), (n - 2, "FALSE")] {
            set(db, format!("UPDATE campaign_host SET job_id = NULL, left_out = {is_out} WHERE position = {last}")).await;
        }
        assert_eq!(limits::SILENT_AFTER.as_secs(), 15 * 60, "as the statements have it");
        let edge = at(10).after(limits::SILENT_AFTER).as_millis();
        let at_edge = [edge - 1, edge, edge + 1].map(Timestamp::from_millis);
        for now in [at(1), at(10), at(10 + SILENT), at(45), at(58), at(90)].into_iter().chain(at_edge) {
            agree(db, campaign.id, now).await;
        }
        db.move_campaign(campaign.id, CampaignMove::Abort, "enough", ANNA, at(60)).await.expect("aborts");
        agree(db, campaign.id, at(90)).await;
    }
}
