//! What is overdue, by the clock.

use std::time::Duration;

use proptest::prelude::*;

use super::OverdueKind as K;
use super::*;
use crate::host::{HostState, Labels, OsFamily, ServiceState};
use crate::report::Product;
use crate::span::Span;
use crate::time::Timestamp;

const DAY: Duration = Duration::from_hours(24);

fn day(n: u32) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000).after(n * DAY)
}

/// A Windows host that is well on the given day.
fn well(on: Timestamp) -> Watched {
    Watched {
        os: OsFamily::Windows,
        os_name: "Windows 10 Pro".to_owned(),
        os_build: "10.0.19045.3570".to_owned(),
        lifecycle: Lifecycle::Active,
        lifecycle_since: day(0),
        enrolled: day(0),
        last_seen: on,
        state_at: Some(on),
        upkeep: Some(Upkeep { last_scan: Some(on), last_backup: Some(on), ..Upkeep::default() }),
        reboot_since: None,
        newer_build: None,
    }
}

fn kinds(host: &Watched, now: Timestamp) -> Vec<OverdueKind> {
    judge(host, &Thresholds::default(), now).overdue.iter().map(|o| o.kind).collect()
}

#[test]
fn each_kind_is_overdue_at_its_limit_and_not_a_moment_before() {
    let ms = Duration::from_millis(1);
    let seen = |on: u32, change: &dyn Fn(&mut Watched)| {
        let mut host = well(day(on));
        change(&mut host);
        let look = |now| {
            // Heard of and told its state just now.
            let fresh = Watched { last_seen: now, state_at: Some(now), ..host.clone() };
            kinds(&fresh, now)
        };
        (look(day(40).before(ms)), look(day(40)))
    };
    let keep = |host: &mut Watched| host.upkeep.as_mut().expect("told").last_scan = Some(day(39));
    let backed = |host: &mut Watched| {
        host.upkeep.as_mut().expect("told").last_backup = Some(day(39));
    };
    let scan = seen(33, &|h| backed(h));
    assert_eq!(scan, (vec![], vec![K::ScanStale]));
    let backup = seen(32, &|h| keep(h));
    assert_eq!(backup, (vec![], vec![K::BackupStale]));
    let unknown = seen(39, &|h| {
        h.enrolled = day(32);
        h.upkeep.as_mut().expect("told").last_backup = None;
    });
    assert_eq!(unknown, (vec![], vec![K::BackupVendorUnknown]), "never \"no backup\"");
    let reboot = seen(39, &|h| {
        h.upkeep.as_mut().expect("told").reboot = Some("an update".to_owned());
        h.reboot_since = Some(day(33));
    });
    assert_eq!(reboot, (vec![], vec![K::RebootPendingAged]));
    let build = seen(39, &|h| h.newer_build = Some(("10.0.19045.4046".to_owned(), day(5))));
    assert_eq!(build, (vec![], vec![K::BuildBehind]));
    let silent = |now| kinds(&well(day(37)), now);
    assert_eq!((silent(day(40).before(ms)), silent(day(40))), (vec![], vec![K::AgentSilent]));
}

#[test]
fn a_host_that_told_nothing_is_overdue_from_its_enrolment_on() {
    let host = Watched { state_at: None, upkeep: None, last_seen: day(9), ..well(day(9)) };
    assert_eq!(kinds(&host, day(9)), [OverdueKind::ScanStale, OverdueKind::BackupVendorUnknown]);
    assert_eq!(judge(&host, &Thresholds::default(), day(9)).overdue[0].since, day(7));
}

#[test]
fn silence_holds_everything_else_and_so_does_an_hour_after_it() {
    let told = judge(&well(day(2)), &Thresholds::default(), day(30));
    assert!(told.held && told.overdue.len() == 1, "of the rest nothing new is known: {told:?}");
    let back = Watched { last_seen: day(30), lifecycle_since: day(30), ..well(day(2)) };
    let soon = judge(&back, &Thresholds::default(), day(30));
    assert!(soon.held && soon.overdue.is_empty());
    assert_eq!(soon.look_again, day(30).after(Duration::from_hours(1)));
    let later = judge(&back, &Thresholds::default(), soon.look_again);
    assert!(!later.held && later.overdue.len() == 2, "it had its hour: {later:?}");
}

#[test]
fn only_accepted_hosts_are_watched_and_off_is_off() {
    for lifecycle in
        [Lifecycle::Pending, Lifecycle::Quarantined, Lifecycle::Revoked, Lifecycle::Retired]
    {
        assert_eq!(kinds(&Watched { lifecycle, ..well(day(0)) }, day(99)), []);
    }
    let rule = LabelRule {
        label: ("role".to_owned(), "kiosk".to_owned()),
        scan: None,
        build: None,
        backup: Some(Limit::Off),
        reboot: None,
        silent: Some(Limit::After(Span::hours(4))),
        backup_every: Some(Span::days(1)),
    };
    let rules = OverdueRules { by_label: vec![rule], ..OverdueRules::default() };
    let labels = Labels::from([("role".to_owned(), "kiosk".to_owned())]);
    let limits = rules.of(&labels);
    let old = Watched { last_seen: day(20), state_at: Some(day(20)), ..well(day(1)) };
    let told = judge(&old, &limits, day(20));
    assert_eq!(told.overdue.iter().map(|o| o.kind).collect::<Vec<_>>(), [OverdueKind::ScanStale]);
    assert_eq!(told.look_again, day(20).after(Duration::from_hours(4)));
    assert_eq!(rules.of(&Labels::new()), Thresholds::default());
}

#[test]
fn a_foreign_backup_product_is_named_and_not_taken_for_a_backup() {
    let service = ServiceState {
        name: "AcronisAgent".to_owned(),
        state: "running".to_owned(),
        start: "auto".to_owned(),
    };
    let state = HostState { services: vec![service], ..HostState::default() };
    let upkeep = Upkeep { last_scan: Some(day(20)), ..Upkeep::of(&state) };
    let told = |upkeep: Upkeep| {
        let host = Watched { upkeep: Some(upkeep), ..well(day(20)) };
        judge(&host, &Thresholds::default(), day(20)).overdue
    };
    let never = told(upkeep.clone());
    assert_eq!(never[0].kind, OverdueKind::BackupVendorUnknown);
    assert!(never[0].message.starts_with("Acronis is there"), "{}", never[0].message);
    // An old backup by another product says nothing of those that Acronis makes since.
    let old = told(Upkeep { last_backup: Some(day(2)), ..upkeep.clone() });
    assert_eq!(old[0].kind, OverdueKind::BackupVendorUnknown);
    let both = format!("that can be read was {}; 8d is allowed; Acronis is there", day(2));
    assert!(old[0].message.contains(&both), "{}", old[0].message);
    assert_eq!(told(Upkeep { last_backup: Some(day(19)), ..upkeep }), [], "it works");
}

#[test]
fn a_product_whose_events_are_read_is_not_foreign() {
    assert_eq!(foreign_backup("VeeamEndpointBackupSvc"), None);
    assert_eq!(foreign_backup("bareos-fd.service"), Some("Bareos"));
}

#[test]
fn what_updates_a_host_is_named() {
    for (name, product) in [
        ("Debian GNU/Linux 12 (bookworm)", Product::Apt),
        ("openSUSE Leap 15.6", Product::Zypper),
        ("Rocky Linux 9.3", Product::Dnf),
        ("Alpine Linux", Product::Other),
    ] {
        let host = Watched {
            os: OsFamily::Linux,
            os_name: name.to_owned(),
            last_seen: day(20),
            state_at: Some(day(20)),
            ..well(day(1))
        };
        let told = judge(&host, &Thresholds::default(), day(20)).overdue;
        assert_eq!(told[0].product, product, "{name}");
    }
}

#[test]
fn builds_are_read_by_their_line() {
    assert_eq!(build_of("10.0.19045.3570"), Some(("10.0.19045", 3570)));
    for none in ["6.1.0-28-amd64", "10.0.19045", "10.0.x.1", "", "...", "1.2.3.4.5"] {
        assert_eq!(build_of(none), None, "{none}");
    }
}

#[test]
fn only_what_is_proved_is_healthy() {
    assert_eq!(health(Lifecycle::Active, 0, false), Health::Unknown, "no data yet");
    assert_eq!(health(Lifecycle::Active, 0, true), Health::Healthy);
    assert_eq!(health(Lifecycle::Stale, 0, true), Health::Unknown, "it is silent");
    assert_eq!(health(Lifecycle::Pending, 0, true), Health::Unknown);
    assert_eq!(health(Lifecycle::Active, 1, true), Health::Failing);
    for kind in OverdueKind::ALL {
        assert_eq!(OverdueKind::of(kind.code().as_ref()), Some(*kind));
    }
}

proptest! {
    /// Whatever is known: it is looked at again in time, what is overdue stays so while nothing new is
    /// told, and a later look never finds less.
    #[test]
    fn time_alone_mends_nothing(seen in 0..60_u32, scan in 0..60_u32, backup in 0..60_u32, now in 0..60_u32, later in 0..60_u32) {
        let now = now.max(seen);
        let mut host = well(day(seen));
        let upkeep = Upkeep { last_scan: Some(day(scan.min(seen))), last_backup: Some(day(backup.min(seen))), ..Upkeep::default() };
        host.upkeep = Some(upkeep);
        let limits = Thresholds { silent: Limit::Off, ..Thresholds::default() };
        let first = judge(&host, &limits, day(now));
        prop_assert!(first.look_again > day(now) && first.look_again <= day(now).after(DAY));
        prop_assert!(first.overdue.iter().all(|o| o.since <= day(now)));
        let second = judge(&host, &limits, day(now + later));
        for overdue in &first.overdue {
            prop_assert!(second.overdue.contains(overdue));
        }
    }
}
