//! Hosts: life, labels, certificates, lists, history.

use fleetmend_core::evidence::Answer;
use fleetmend_core::host::{HostState, Labels, Lifecycle};
use fleetmend_core::ids::{HostId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::spool_item::{Gap, SpoolItem};

use super::{
    at, broken_host, certificate, contract, evidence, facts, fails, failure, hosts, id, job,
    job_says, recovers, send,
};
use crate::TimelineKind as K;
use crate::{HostFilter, PageRequest, StoreError};

contract! {
    async fn lists_page_through_every_host_once(db) {
        hosts(db, 7).await;
        let mut page = PageRequest::first(3);
        let mut names = Vec::new();
        loop {
            let found = db.hosts(&HostFilter::default(), &page).await.expect("lists");
            assert_eq!(found.total, 7);
            names.extend(found.items.into_iter().map(|h| h.facts.name));
            // As it travels: through text.
            page.cursor = found.next.map(|c| c.to_string().parse().expect("a cursor"));
            if page.cursor.is_none() { break }
        }
        let wanted: Vec<String> = (1..=7).map(|n| format!("host-{n:03}")).collect();
        assert_eq!(names, wanted);
    }

    async fn every_filter_narrows(db) {
        let all = hosts(db, 3).await;
        let labels = Labels::from([("ring".to_owned(), "canary".to_owned())]);
        db.set_labels(all[1], &labels, "test", at(1)).await.expect("labels");
        send(db, all[2], [fails(failure(1, "0x80070003", Some("KB5030211"), at(1)))], at(1)).await;
        let mut other = facts("web_1%");
        other.os_build = "10.0.19045.3570".to_owned();
        db.save_facts(all[0], &other, at(2)).await.expect("facts");
        let found = async |filter: HostFilter| {
            let page = db.hosts(&filter, &PageRequest::default()).await.expect("lists");
            assert_eq!(page.total, page.items.len() as u64);
            page.items.into_iter().map(|h| h.id).collect::<Vec<HostId>>()
        };
        let none = HostFilter::default;
        assert_eq!(found(HostFilter { search: Some("B_1%".into()), ..none() }).await, [all[0]]);
        assert!(found(HostFilter { search: Some("_ost".into()), ..none() }).await.is_empty(), "no wildcard");
        assert_eq!(found(HostFilter { build: Some("10.0.19045".into()), ..none() }).await, [all[0]]);
        assert_eq!(found(HostFilter { labels: vec![("ring".into(), "canary".into())], ..none() }).await, [all[1]]);
        assert_eq!(found(HostFilter { code: Some("0x80070003".into()), ..none() }).await, [all[2]]);
        assert_eq!(found(HostFilter { subject: Some("kb5030211".into()), ..none() }).await, [all[2]]);
        assert!(found(HostFilter { cause: Some("x".into()), ..none() }).await.is_empty());
        let active = vec![Lifecycle::Active, Lifecycle::Pending];
        assert_eq!(found(HostFilter { lifecycle: active, ..none() }).await.len(), 3);
        assert!(found(HostFilter { lifecycle: vec![Lifecycle::Stale], ..none() }).await.is_empty());
        assert_eq!(db.host(all[2]).await.expect("reads").expect("there").open_incidents, 1);
    }

    async fn revoking_a_host_voids_its_certificates_and_it_does_not_come_back(db) {
        let host = hosts(db, 1).await[0];
        let before = db.certificate_standing("1").await.expect("reads").expect("known");
        assert!(!before.revoked && before.host == host && before.lifecycle == Lifecycle::Active);
        db.add_certificate(host, &certificate(77), "test", at(1)).await.expect("renews");
        db.set_lifecycle(host, Lifecycle::Revoked, "stolen", "test", at(2)).await.expect("revokes");
        for serial in ["1", "4d"] {
            let standing = db.certificate_standing(serial).await.expect("reads").expect("known");
            assert!(standing.revoked && standing.lifecycle == Lifecycle::Revoked);
        }
        assert!(db.certificate_standing("beef").await.expect("reads").is_none());
        assert!(db.host_keys(host).await.expect("reads").iter().all(|key| key.revoked));
        let back = db.set_lifecycle(host, Lifecycle::Active, "", "test", at(3)).await;
        assert!(matches!(back, Err(StoreError::Conflict(_))));
        let renewed = db.add_certificate(host, &certificate(78), "test", at(3)).await;
        assert!(matches!(renewed, Err(StoreError::Conflict(_))));
    }

    async fn silent_hosts_grow_stale_and_come_back(db) {
        let all = hosts(db, 3).await;
        db.touch_hosts(&[(all[0], at(30)), (all[1], at(5))]).await.expect("touches");
        db.touch_hosts(&[(all[0], at(20))]).await.expect("an old touch");
        assert_eq!(db.host(all[0]).await.expect("reads").expect("there").last_seen, at(30));
        let mut stale = db.mark_stale(at(10), at(31), 10).await.expect("marks");
        stale.sort();
        assert_eq!(stale, [all[1], all[2]]);
        assert!(db.mark_stale(at(10), at(31), 10).await.expect("marks").is_empty(), "once");
        let back = db.touch_hosts(&[(all[0], at(32)), (all[2], at(32))]).await.expect("touches");
        assert_eq!(back, [all[2]]);
        assert_eq!(db.host(all[2]).await.expect("reads").expect("there").lifecycle, Lifecycle::Active);
        assert!(db.touch_hosts(&[]).await.expect("nothing").is_empty());
    }

    async fn state_and_labels_are_kept_within_their_bounds(db) {
        let host = hosts(db, 1).await[0];
        assert_eq!(db.host_state(host).await.expect("reads"), None);
        let mut state = HostState { pending_reboot: Some("kernel".into()), at: Some(at(3)), ..HostState::default() };
        state.agent.ceiling = "observe".to_owned();
        db.save_state(host, &state, at(4)).await.expect("saves");
        assert_eq!(db.host_state(host).await.expect("reads"), Some(state));
        let shown = db.host(host).await.expect("reads").expect("there");
        assert_eq!((shown.ceiling.as_str(), shown.state_at), ("observe", Some(at(3))));
        let long = Labels::from([("k".repeat(200), "v".to_owned())]);
        assert!(matches!(db.set_labels(host, &long, "test", at(1)).await, Err(StoreError::Conflict(_))));
        let nobody = HostId(id(999));
        assert!(matches!(db.set_labels(nobody, &Labels::new(), "t", at(1)).await, Err(StoreError::NotFound { .. })));
        assert!(matches!(db.save_facts(nobody, &facts("x"), at(1)).await, Err(StoreError::NotFound { .. })));
    }

    async fn the_history_tells_failures_recoveries_jobs_and_changes(db) {
        let (host, incident) = broken_host(db).await;
        let made = db.create_job(&job(500, host, incident), "ops", at(2)).await.expect("made");
        db.offer(made.id, at(3)).await.expect("offers").expect("an order");
        let lost = SpoolItem::Gap(Gap { items: 4, reason: "spool_full".to_owned(), at: at(5) });
        let found = SpoolItem::Evidence(vec![evidence(9, "apt.dpkg_interrupted", Answer::No, at(5))]);
        let items = [
            job_says(made.id, 1, JobState::Running, at(4)),
            job_says(made.id, 1, JobState::Failed, at(5)),
            found, lost, recovers(None, at(6)),
        ];
        send(db, host, items, at(7)).await;
        let history = db.timeline(host, None, 50).await.expect("reads");
        let kinds: Vec<K> = history.iter().map(|e| e.kind).collect();
        assert_eq!(kinds, [K::Recovery, K::Gap, K::JobEnded, K::JobCreated, K::Failure, K::Enrolled]);
        assert_eq!(history[2].job, Some(JobId(id(500))));
        assert_eq!(db.timeline(host, Some(at(5)), 1).await.expect("reads")[0].kind, K::JobCreated);
        assert_eq!(db.host(host).await.expect("reads").expect("there").lost_items, 4);
    }
}
