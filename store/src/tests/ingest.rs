//! Ingest: order, repeats, holes, refusals, and what failures and recoveries do to incidents.

use std::time::Duration;

use fleetmend_core::evidence::Answer;
use fleetmend_core::host::Lifecycle;
use fleetmend_core::ids::{HostId, SpoolEpoch};
use fleetmend_core::incident::IncidentState;
use fleetmend_core::report::Kind;

use super::{
    EPOCH, at, contract, evidence, fails, failure, hosts, id, incidents, random, recovers, send,
};
use crate::{HostItems, Incoming, PageRequest, ReportFilter};

const CODE: &str = "apt.dpkg_interrupted";

fn items(host: HostId, from: u64, n: u64) -> HostItems {
    let one = |s: u64| {
        let failure = failure(u128::from(s), CODE, None, at(s));
        (s, Incoming::from(fails(failure)))
    };
    HostItems { host, epoch: EPOCH, items: (from..from + n).map(one).collect() }
}

contract! {
    async fn items_are_taken_in_order_and_once(db) {
        let host = hosts(db, 1).await[0];
        let mut random = random();
        let done = db.ingest(&[items(host, 1, 3)], at(50), &mut random).await.expect("ingests");
        assert_eq!((done.outcomes[0].acknowledged, done.outcomes[0].applied), (3, 3));
        assert!(done.triage && done.incidents.len() == 1);

        let again = &db.ingest(&[items(host, 2, 4)], at(50), &mut random).await.expect("ingests").outcomes[0];
        assert_eq!((again.acknowledged, again.applied, again.repeated), (5, 2, 2));
        let hole = &db.ingest(&[items(host, 7, 2)], at(50), &mut random).await.expect("ingests").outcomes[0];
        assert_eq!((hole.acknowledged, hole.applied, hole.refused), (5, 0, 2));
        let reports = db.reports(&ReportFilter::default(), &PageRequest::first(2)).await.expect("lists");
        assert_eq!((reports.total, reports.items.len()), (5, 2));
        let incident = &incidents(db).await[0];
        assert_eq!((incident.reports, incident.first_seen, incident.last_seen), (5, at(1), at(5)));
        assert_eq!(incident.message, "failed, report 5");

        // A new spool begins at 1; the old one's place is kept.
        let mut fresh = items(host, 1, 1);
        fresh.epoch = SpoolEpoch(id(2));
        let fails_anew = failure(90, CODE, None, at(9));
        fresh.items[0].1 = fails(fails_anew).into();
        let done = db.ingest(&[fresh], at(50), &mut random).await.expect("ingests");
        assert_eq!(done.outcomes[0].acknowledged, 1);
        assert_eq!(db.spool_position(host, EPOCH).await.expect("reads"), 5);
    }

    async fn the_same_host_twice_in_a_batch_goes_on_where_it_was(db) {
        let all = hosts(db, 2).await;
        let mut other = items(all[1], 1, 1);
        other.items[0].1 = fails(failure(50, CODE, None, at(1))).into();
        let batch = [items(all[0], 1, 2), other, items(all[0], 2, 3)];
        let done = db.ingest(&batch, at(9), &mut random()).await.expect("ingests");
        let told: Vec<(u64, u64, u64)> =
            done.outcomes.iter().map(|o| (o.acknowledged, o.applied, o.repeated)).collect();
        assert_eq!(told, [(2, 2, 0), (1, 1, 0), (4, 2, 1)]);
        assert_eq!(incidents(db).await.len(), 2);
    }

    async fn a_host_that_may_not_report_is_not_heard(db) {
        let all = hosts(db, 2).await;
        db.set_lifecycle(all[0], Lifecycle::Revoked, "stolen", "test", at(1)).await.expect("revokes");
        let batch = [items(all[0], 1, 2), items(HostId(id(99)), 1, 1)];
        let done = db.ingest(&batch, at(9), &mut random()).await.expect("ingests");
        assert!(done.outcomes.iter().all(|o| o.foreign && o.acknowledged == 0 && o.applied == 0));
        assert!(incidents(db).await.is_empty());
    }

    async fn an_item_that_is_refused_is_set_aside_and_its_neighbours_are_stored(db) {
        let all = hosts(db, 2).await;
        let mut first = items(all[0], 1, 40);
        let too_long = "x".repeat(600);
        first.items[13].1 = fails(failure(14, CODE, Some(&too_long), at(14))).into();
        first.items[20].1 = Incoming::Unreadable { reason: "report.code: not a code".to_owned() };
        // The same report id as host 1's: whoever copies an id loses only this item.
        let mut second = items(all[1], 1, 2);
        second.items[0].1 = fails(failure(500, CODE, None, at(1))).into();
        let done = db.ingest(&[first, second], at(90), &mut random()).await.expect("ingests");
        let told: Vec<_> = done.outcomes.iter().map(|o| (o.acknowledged, o.applied, o.quarantined)).collect();
        assert_eq!(told, [(40, 38, 2), (2, 1, 1)]);
        assert_eq!(db.reports(&ReportFilter::default(), &PageRequest::default()).await.expect("lists").total, 39);
        assert_eq!(db.quarantine_count().await.expect("counts"), 3);
        let page = db.quarantine(&PageRequest::first(2)).await.expect("lists");
        let mut aside = page.items;
        aside.extend(db.quarantine(&PageRequest { limit: 2, cursor: page.next }).await.expect("lists").items);
        aside.sort_by_key(|q| (q.host, q.sequence));
        let places: Vec<_> = aside.iter().map(|q| (q.host, q.sequence)).collect();
        assert_eq!(places, [(all[0], 14), (all[0], 21), (all[1], 2)]);
        assert!(aside[0].reason.to_lowercase().contains("check"), "{}", aside[0].reason);
        assert_eq!(aside[1].reason, "report.code: not a code");
        assert_eq!(incidents(db).await.iter().map(|i| i.reports).sum::<u64>(), 39);
    }

    async fn a_text_that_one_database_alone_refuses_is_set_aside_there(db) {
        let all = hosts(db, 2).await;
        let mut first = items(all[0], 1, 20);
        let mut nul = failure(7, CODE, None, at(7));
        nul.failure.message = "cut\0short".to_owned();
        first.items[6].1 = fails(nul).into();
        // Both refuse this one.
        first.items[11].1 = fails(failure(12, CODE, Some(&"x".repeat(600)), at(12))).into();
        first.items[12].1 = Incoming::Unreadable { reason: "report.code: \0".to_owned() };
        let mut second = items(all[1], 1, 1);
        second.items[0].1 = fails(failure(500, CODE, None, at(1))).into();
        let done = db.ingest(&[first, second], at(90), &mut random()).await.expect("ingests");
        let aside = if db.kind() == "postgres" { 3 } else { 2 };
        let told: Vec<_> = done.outcomes.iter().map(|o| (o.acknowledged, o.applied, o.quarantined)).collect();
        assert_eq!(told, [(20, 20 - aside, aside), (1, 1, 0)]);
        assert_eq!(db.quarantine_count().await.expect("counts"), aside);
        assert_eq!(incidents(db).await.iter().map(|i| i.reports).sum::<u64>(), 21 - aside);
        let sent = send(db, all[0], [fails(failure(30, CODE, None, at(30)))], at(91)).await;
        assert_eq!((sent.acknowledged, sent.applied), (21, 1), "the next is stored");
    }

    async fn only_failures_open_incidents(db) {
        let host = hosts(db, 1).await[0];
        let mut sent = Vec::new();
        for (n, kind) in [Kind::Pending, Kind::Benign, Kind::Cancelled].into_iter().enumerate() {
            let mut one = failure(n as u128, CODE, None, at(1));
            one.failure.kind = kind;
            sent.push(fails(one));
        }
        send(db, host, sent, at(2)).await;
        assert!(incidents(db).await.is_empty());
        let pending = ReportFilter { kind: Some(Kind::Pending), ..ReportFilter::default() };
        let found = db.reports(&pending, &PageRequest::default()).await.expect("lists").items;
        assert_eq!((found.len(), found[0].incident), (1, None));
    }

    async fn a_report_comes_back_as_it_was_sent(db) {
        let host = hosts(db, 1).await[0];
        let mut sent = failure(1, "0x80070003", Some("KB5030211"), at(1));
        sent.failure.symbol = Some("ERROR_PATH_NOT_FOUND".to_owned());
        sent.failure.provider = Some("Microsoft-Windows-WindowsUpdateClient".to_owned());
        sent.failure.event_id = Some(20);
        sent.failure.count = Some(12);
        sent.failure.time = "2026-09-01T10:00:00.123+03:00".parse().expect("a time");
        sent.evidence = vec![evidence(1, "disk.full", Answer::No, at(1))];
        send(db, host, [fails(sent.clone())], at(2)).await;
        let stored = db.reports(&ReportFilter::default(), &PageRequest::default()).await.expect("lists").items.remove(0);
        assert_eq!((&stored.failure, &stored.evidence), (&sent.failure, &sent.evidence));
        assert_eq!((stored.id, stored.at, stored.received), (sent.id, at(1), at(2)));
        assert_eq!(db.evidence(host).await.expect("reads"), sent.evidence);
    }

    async fn the_latest_evidence_of_a_probe_is_kept(db) {
        let host = hosts(db, 1).await[0];
        let mut one = failure(1, CODE, None, at(5));
        one.evidence = vec![
            evidence(2, "apt.lock_held", Answer::Yes, at(5)),
            evidence(3, "apt.lock_held", Answer::No, at(4)),
        ];
        send(db, host, [fails(one)], at(6)).await;
        let old = evidence(4, "apt.lock_held", Answer::Unknown, at(1));
        send(db, host, [fleetmend_core::spool_item::SpoolItem::Evidence(vec![old])], at(6)).await;
        let kept = db.evidence(host).await.expect("reads");
        assert_eq!((kept.len(), kept[0].answer), (1, Answer::Yes));
    }

    async fn a_host_whose_clock_was_ahead_is_believed_again_when_it_is_right(db) {
        let host = hosts(db, 1).await[0];
        let year = 365 * 24 * 60;
        for (when, answer, now) in [(year, Answer::Yes, 5), (6, Answer::No, 6)] {
            let found = vec![evidence(when.into(), "apt.lock_held", answer, at(when))];
            let found = fleetmend_core::spool_item::SpoolItem::Evidence(found);
            send(db, host, [found], at(now)).await;
        }
        let kept = db.evidence(host).await.expect("reads");
        assert_eq!((kept[0].answer, kept[0].at), (Answer::No, at(6)));
    }

    async fn a_recovery_ends_what_it_means_and_nothing_that_failed_since(db) {
        let host = hosts(db, 1).await[0];
        let broken = [
            fails(failure(1, CODE, None, at(1))),
            fails(failure(2, "apt.lock_held", Some("dpkg"), at(1))),
            fails(failure(3, "apt.lock_held", None, at(9))),
        ];
        send(db, host, broken, at(10)).await;
        send(db, host, [recovers(Some(CODE), at(5))], at(10)).await;
        let state = |code: &str, subject: Option<&str>, all: &[crate::Incident]| {
            let wanted = (Some(code.to_owned()), subject.map(str::to_owned));
            let same = |i: &&crate::Incident| {
                (i.key.code.as_ref().map(ToString::to_string), i.key.subject.clone()) == wanted
            };
            all.iter().find(same).expect("is there").state
        };
        let all = incidents(db).await;
        assert_eq!(state(CODE, None, &all), IncidentState::Resolved);
        assert_eq!(state("apt.lock_held", Some("dpkg"), &all), IncidentState::Open);
        send(db, host, [recovers(None, at(5))], at(10)).await;
        let all = incidents(db).await;
        assert_eq!(state("apt.lock_held", Some("dpkg"), &all), IncidentState::Resolved);
        assert_eq!(state("apt.lock_held", None, &all), IncidentState::Open, "it failed after that");
    }

    async fn what_comes_back_in_its_window_has_recurred(db) {
        let host = hosts(db, 1).await[0];
        let items = [fails(failure(1, CODE, None, at(1))), recovers(None, at(10))];
        send(db, host, items, at(11)).await;
        send(db, host, [fails(failure(2, CODE, None, at(9)))], at(12)).await;
        assert_eq!(incidents(db).await.len(), 1, "a report from before the end is old news");
        send(db, host, [fails(failure(3, CODE, None, at(20)))], at(21)).await;
        let all = incidents(db).await;
        let (new, old) = (&all[0], &all[1]);
        assert_eq!((new.state, new.previous), (IncidentState::Recurred, Some(old.id)));
        assert_eq!((old.state, old.ended, old.reports), (IncidentState::Resolved, Some(at(10)), 1));

        let much_later = at(21).after(Duration::from_hours(24 * 41));
        send(db, host, [recovers(None, at(30))], at(31)).await;
        send(db, host, [fails(failure(4, CODE, None, much_later))], much_later).await;
        let newest = &incidents(db).await[0];
        assert_eq!((newest.state, newest.previous), (IncidentState::Open, None));
    }

    async fn failure_recovery_failure_in_one_batch_keep_their_order(db) {
        let host = hosts(db, 1).await[0];
        let items = [
            fails(failure(1, CODE, None, at(1))),
            recovers(None, at(2)),
            fails(failure(2, CODE, None, at(3))),
            recovers(None, at(4)),
            fails(failure(3, CODE, None, at(5))),
        ];
        send(db, host, items, at(6)).await;
        let states: Vec<_> = incidents(db).await.into_iter().map(|i| i.state).collect();
        assert_eq!(states, [IncidentState::Recurred, IncidentState::Resolved, IncidentState::Resolved]);
    }

    async fn a_clock_that_runs_ahead_is_held_back(db) {
        let host = hosts(db, 1).await[0];
        send(db, host, [fails(failure(1, CODE, None, at(100_000)))], at(1)).await;
        assert_eq!(incidents(db).await[0].last_seen, at(6), "now and the tolerance");
    }
}
