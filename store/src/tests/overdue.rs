//! Overdue incidents: opened by the clock, ended by what a host tells, on every database.

use std::time::Duration;

use fleetmend_core::host::{HostState, Labels, Lifecycle, OsFamily};
use fleetmend_core::ids::HostId;
use fleetmend_core::incident::IncidentState;
use fleetmend_core::overdue::{Health, LabelRule, Limit, OverdueRules};
use fleetmend_core::span::Span;
use fleetmend_core::time::Timestamp;

use super::{at, contract, facts, hosts, incidents, meddle, random};
use crate::{Db, TimelineKind, WatchedHosts};

const DAY: Duration = Duration::from_hours(24);

fn day(n: u32) -> Timestamp {
    at(0).after(n * DAY)
}

/// A state in which all went well at a moment.
fn well(when: Timestamp) -> HostState {
    HostState {
        last_scan: Some(when),
        last_backup: Some(when),
        at: Some(when),
        ..HostState::default()
    }
}

async fn tells(db: &Db, host: HostId, state: &HostState, now: Timestamp) {
    db.save_state(host, state, now).await.expect("saves");
    db.touch_hosts(&[(host, now)]).await.expect("touches");
}

async fn watch(db: &Db, rules: &OverdueRules, now: Timestamp) -> WatchedHosts {
    db.watch_hosts(rules, now, 10, &mut random()).await.expect("watches")
}

/// The codes that stand.
async fn standing(db: &Db) -> Vec<String> {
    let mut codes: Vec<String> = incidents(db)
        .await
        .into_iter()
        .filter(|i| i.ended.is_none())
        .filter_map(|i| Some(i.key.code?.to_string()))
        .collect();
    codes.sort();
    codes
}

contract! {
    async fn what_is_overdue_is_opened_once_and_ends_when_it_is_done(db) {
        let host = hosts(db, 1).await[0];
        let rules = OverdueRules::default();
        tells(db, host, &well(day(0)), day(0)).await;
        assert_eq!(watch(db, &rules, day(0)).await.opened, []);
        assert_eq!(watch(db, &rules, day(0)).await.looked_at, 0, "its turn is over");
        db.touch_hosts(&[(host, day(7))]).await.expect("touches");
        assert_eq!(watch(db, &rules, day(7)).await.opened.len(), 1, "by the clock alone");
        assert_eq!(standing(db).await, ["wu.scan_stale"]);
        let opened = incidents(db).await.remove(0);
        assert_eq!((opened.first_seen, opened.reports), (day(7), 0));
        assert!(opened.message.contains("the last successful search"), "{}", opened.message);
        assert!(opened.untriaged, "it gets a verdict like any other");
        assert_eq!(watch(db, &rules, day(7).after(DAY / 2)).await.opened, [], "once");

        db.touch_hosts(&[(host, day(8))]).await.expect("touches");
        assert_eq!(watch(db, &rules, day(8)).await.opened.len(), 1);
        assert_eq!(standing(db).await, ["backup.stale", "wu.scan_stale"]);

        // News give the host its turn at once.
        tells(db, host, &HostState { last_backup: Some(day(0)), ..well(day(8)) }, day(8)).await;
        assert_eq!(watch(db, &rules, day(8)).await.ended, [opened.id]);
        assert_eq!(standing(db).await, ["backup.stale"]);
        let ended = db.incident(opened.id).await.expect("reads").expect("there").incident;
        assert_eq!((ended.state, ended.ended), (IncidentState::Resolved, Some(day(8))));
        let told = db.timeline(host, None, 50).await.expect("reads");
        let of = |kind| told.iter().filter(|e| e.kind == kind).count();
        assert_eq!((of(TimelineKind::Overdue), of(TimelineKind::Recovery)), (2, 1), "{told:?}");

        // Again within the operation's own window: it came back.
        db.touch_hosts(&[(host, day(15))]).await.expect("touches");
        watch(db, &rules, day(15)).await;
        let back = incidents(db).await;
        let back = back.iter().find(|i| i.previous == Some(opened.id)).expect("it came back");
        assert_eq!(back.state, IncidentState::Recurred);
    }

    async fn a_silent_host_keeps_what_it_had_until_it_speaks(db) {
        let host = hosts(db, 1).await[0];
        let rules = OverdueRules::default();
        tells(db, host, &well(day(0)), day(0)).await;
        watch(db, &rules, day(0)).await;
        assert_eq!(watch(db, &rules, day(20)).await.opened.len(), 1);
        assert_eq!(standing(db).await, ["agent.silent"]);
        db.mark_stale(day(20), day(20), 10).await.expect("marks");
        db.touch_hosts(&[(host, day(20))]).await.expect("touches");
        watch(db, &rules, day(20)).await;
        assert_eq!(standing(db).await, [""; 0], "it speaks, and has an hour to tell the rest");
        tells(db, host, &well(day(20)), day(20)).await;
        watch(db, &rules, day(20)).await;
        assert_eq!(standing(db).await, [""; 0]);
        watch(db, &rules, day(24)).await;
        db.set_lifecycle(host, Lifecycle::Retired, "sold", "test", day(24)).await.expect("retires");
        watch(db, &rules, day(24)).await;
        assert_eq!(standing(db).await, [""; 0], "nobody waits for a retired host");
    }

    async fn thresholds_go_by_label_and_a_change_of_them_is_judged_at_once(db) {
        let all = hosts(db, 2).await;
        let mut rules = OverdueRules::default();
        assert!(db.watch_all_again(&rules).await.expect("compares"));
        for host in &all {
            tells(db, *host, &well(day(0)), day(0)).await;
        }
        watch(db, &rules, day(1)).await;
        assert_eq!(standing(db).await, [""; 0]);
        rules.by_label.push(LabelRule {
            label: ("role".to_owned(), "server".to_owned()),
            scan: Some(Limit::After(Span::hours(12))),
            build: None,
            backup: None,
            reboot: None,
            silent: None,
            backup_every: None,
        });
        assert!(db.watch_all_again(&rules).await.expect("compares"));
        assert!(!db.watch_all_again(&rules).await.expect("compares"), "once");
        let labels = Labels::from([("role".to_owned(), "server".to_owned())]);
        db.set_labels(all[1], &labels, "test", day(1)).await.expect("labels");
        assert_eq!(watch(db, &rules, day(1)).await.looked_at, 2);
        let found = incidents(db).await;
        assert_eq!((found.len(), found[0].host), (1, all[1]));
    }

    async fn an_awaited_restart_grows_old_and_a_restart_begins_anew(db) {
        let host = hosts(db, 1).await[0];
        let rules = OverdueRules::default();
        let pending = |when, booted: Timestamp| HostState {
            pending_reboot: Some("a kernel".to_owned()),
            booted_at: Some(booted),
            ..well(when)
        };
        tells(db, host, &pending(day(0), day(0)), day(0)).await;
        tells(db, host, &pending(day(5), day(0)), day(5)).await;
        tells(db, host, &pending(day(7), day(0)), day(7)).await;
        watch(db, &rules, day(7)).await;
        assert_eq!(standing(db).await, ["reboot.pending_aged"], "since the first day");
        tells(db, host, &pending(day(8), day(7).after(DAY / 2)), day(8)).await;
        watch(db, &rules, day(8)).await;
        assert_eq!(standing(db).await, [""; 0], "restarted, and it waits for another one");
    }

    async fn a_build_is_behind_once_the_fleet_has_long_run_a_newer_one(db) {
        let all = hosts(db, 3).await;
        let rules = OverdueRules::default();
        for (n, build) in ["10.0.19045.3570", "10.0.19045.4046", "10.0.22631.5000"].into_iter().enumerate() {
            let mut facts = facts("pc");
            (facts.os, facts.os_build) = (OsFamily::Windows, build.to_owned());
            db.save_facts(all[n], &facts, day(0)).await.expect("saves");
        }
        for n in [0, 34, 35] {
            for host in &all {
                tells(db, *host, &well(day(n)), day(n)).await;
            }
            watch(db, &rules, day(n)).await;
            assert_eq!(standing(db).await.len(), usize::from(n == 35), "day {n}");
        }
        let behind = incidents(db).await.remove(0);
        assert_eq!((behind.host, behind.key.code.map(|c| c.to_string())), (all[0], Some("wu.build_behind".to_owned())));
        assert!(behind.message.contains("10.0.19045.4046 by now"), "{}", behind.message);
    }

    async fn a_host_without_data_is_never_healthy(db) {
        let all = hosts(db, 3).await;
        let health = async |host| db.host(host).await.expect("reads").expect("there").health;
        tells(db, all[0], &well(day(0)), day(0)).await;
        tells(db, all[1], &HostState { at: Some(day(0)), ..HostState::default() }, day(0)).await;
        let told = [health(all[0]).await, health(all[1]).await, health(all[2]).await];
        assert_eq!(told, [Health::Healthy, Health::Unknown, Health::Unknown]);
        let summary = db.summary(day(0)).await.expect("reads");
        assert_eq!((summary.healthy, summary.no_data), (1, 2));
        tells(db, all[0], &well(day(0)), day(10)).await;
        watch(db, &OverdueRules::default(), day(10)).await;
        assert_eq!(health(all[0]).await, Health::Failing);
        assert_eq!(db.summary(day(10)).await.expect("reads").healthy, 0);
    }

    async fn a_turn_that_a_wrong_clock_set_far_ahead_comes(db) {
        let host = hosts(db, 1).await[0];
        tells(db, host, &well(day(0)), day(0)).await;
        watch(db, &OverdueRules::default(), day(0)).await;
        meddle(db, "UPDATE host SET watch_ms = 9000000000000").await.expect("changes");
        assert_eq!(watch(db, &OverdueRules::default(), day(1)).await.looked_at, 1);
    }
}
