//! What campaigns do, minute by minute, as text that people review.

use fleetmend_core::campaign::{Aim, CampaignState, FreezeSpan};
use fleetmend_core::job::JobState;
use serde_json::{Value, json};

use crate::world::{Deed, Fate, Host, World, at};

/// A Monday evening.
const EVENING: &str = "2026-11-23T20:00:00Z";

fn hosts(count: usize, make: impl Fn(usize) -> Host) -> Vec<Host> {
    (0..count).map(make).collect()
}

fn campaign(changes: &Value, hosts: Vec<Host>) -> World {
    World::new(EVENING, changes, hosts)
}

/// The same draw every time: whether a host is among `percent` of a hundred.
fn drawn(host: usize, percent: u64) -> bool {
    let mut x = (host as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % 100 < percent
}

macro_rules! golden {
    ($($name:ident => $world:expr;)+) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!($world.run());
        }
    )+};
}

golden! {
    all_goes_well => campaign(&json!({}), hosts(100, |_| Host::good()));

    thirty_percent_are_off_for_days => campaign(
        &json!({}),
        hosts(100, |n| if drawn(n, 30) { Host::good().off(0..3 * 24 * 60) } else { Host::good() }),
    );

    six_percent_go_silent_after_the_start => campaign(
        &json!({ "waves": [{ "share": "10%" }, { "share": "all" }], "gate": { "soak": "5m", "success_percent": 80 } }),
        hosts(200, |n| if n % 16 == 15 { Host::new(Fate::Silent) } else { Host::good() }),
    );

    a_remediation_breaks_thirty_percent => campaign(
        &json!({}),
        hosts(200, |n| if n > 0 && drawn(n, 30) { Host::bad() } else { Host::good() }),
    );

    a_canary_label_goes_first_and_alone => campaign(
        &json!({ "waves": [{ "share": "3", "label": ["ring", "canary"] }, { "share": "all" }], "gate": { "soak": "10m", "least_sample": 3 } }),
        hosts(20, |n| if n % 6 == 5 { Host::good().with("ring", "canary") } else { Host::good() }),
    );

    a_canary_label_that_nobody_has => campaign(
        &json!({ "waves": [{ "share": "1", "label": ["ring", "canary"] }, { "share": "all" }], "expires": "2h" }),
        hosts(3, |_| Host::good()),
    );

    an_undo_goes_by_waves_whoever_was_the_canary => {
        let mut world = campaign(
            &json!({
                "waves": [{ "share": "2", "label": ["ring", "canary"] }, { "share": "30%" }, { "share": "all" }],
                "windows": [{ "days": "daily", "start": "02:00", "end": "04:00" }],
                "gate": { "soak": "10m" },
            }),
            hosts(20, |_| Host::new(Fate::Ends(JobState::RolledBack))),
        );
        world.s.definition = world.s.definition.to_undo("it did harm", 20);
        world.s.aim = Aim::Undo;
        world
    };

    one_of_a_cluster_at_a_time => campaign(
        &json!({ "waves": [{ "share": "all" }], "pace": { "group_label": "cluster" } }),
        hosts(9, |n| Host::good().with("cluster", n % 3)),
    );

    a_node_that_may_be_down_holds_its_cluster => campaign(
        &json!({
            "waves": [{ "share": "all" }], "thresholds": { "abort": "off" }, "expires": "3d",
            "pace": { "group_label": "cluster" },
        }),
        hosts(10, |n| {
            let host = match n {
                0 => Host::new(Fate::Silent),
                1 => Host::bad(),
                // Away right after its steps; its neighbour comes on while it is.
                2 => Host::good().off(12..133),
                7 => Host::good().off(0..60),
                3 => Host::new(Fate::Ends(JobState::RolledBack)),
                _ => Host::good(),
            };
            host.with("cluster", n % 5)
        }),
    ).deed(600, Deed::Pause).deed(601, Deed::Resume);

    a_site_has_so_many_jobs_at_once => campaign(
        &json!({ "waves": [{ "share": "all" }], "pace": { "per_site": 2 } }),
        hosts(9, |n| {
            if n == 8 { Host::good() } else { Host::good().with("site", if n < 6 { "oslo" } else { "bern" }) }
        }),
    );

    a_site_has_so_many_downloads_at_once => campaign(
        &json!({ "waves": [{ "share": "all" }], "pace": { "network_per_site": 2 } }),
        hosts(9, |n| {
            let host = Host { network: true, ..Host::good() };
            if n == 8 { host } else { host.with("site", if n < 6 { "oslo" } else { "bern" }) }
        }),
    );

    a_second_try_waits_for_its_place => campaign(
        &json!({ "waves": [{ "share": "all" }], "pace": { "at_once": 2, "network_per_site": 1, "group_label": "cluster" } }),
        hosts(6, |n| Host::new(if n == 5 { Fate::Ends(JobState::Fixed) } else { Fate::Second }).with("cluster", n % 3)),
    );

    a_ramp_of_ten_a_minute => campaign(
        &json!({ "waves": [{ "share": "all" }], "pace": { "at_once": 25, "per_minute": 10 } }),
        hosts(60, |_| Host::good()),
    );

    windows_over_the_end_of_summer_time => World::new(
        "2026-10-24T18:00:00Z",
        &json!({
            "waves": [{ "share": "all" }],
            "zone": { "host": { "fallback": "Europe/Berlin" } },
            "windows": [{ "days": "sat,sun", "start": "23:00", "end": "03:30", "least_left": "30m" }],
            "pace": { "at_once": 1 },
        }),
        hosts(8, |n| {
            let host = Host { work: 95, ..Host::good() };
            match n {
                6 => host.with("timezone", "America/New_York"),
                7 => host.with("timezone", "Mars/Olympus"),
                _ => host,
            }
        }),
    ).deed(5 * 24 * 60, Deed::Mends(Fate::Ends(JobState::Fixed)));

    a_freeze_in_the_middle => {
        let mut world = campaign(
            &json!({ "waves": [{ "share": "all" }], "pace": { "at_once": 5 } }),
            hosts(20, |n| Host::good().with("role", if n < 15 { "shop" } else { "office" })),
        );
        world.s.freezes = vec![FreezeSpan {
            from: at("2026-11-23T20:10:00Z"),
            until: at("2026-11-24T06:00:00Z"),
            name: "night of sales".to_owned(),
            labels: [("role".to_owned(), "shop".to_owned())].into(),
        }];
        world
    };

    a_halt_in_the_middle => campaign(
        &json!({ "waves": [{ "share": "all" }], "pace": { "at_once": 5 } }),
        hosts(20, |_| Host::good()),
    ).deed(5, Deed::Halt(true)).deed(90, Deed::Halt(false));

    paused_by_hand_and_resumed => campaign(
        &json!({ "waves": [{ "share": "5" }, { "share": "all" }], "gate": { "soak": "0s" } }),
        hosts(20, |n| if n == 3 { Host::good().off(31..32) } else { Host::good() }),
    ).deed(0, Deed::Pause).deed(30, Deed::Resume).deed(31, Deed::Pause).deed(60, Deed::Resume);

    paused_by_a_threshold_and_resumed => campaign(
        &json!({
            "waves": [{ "share": "10%" }, { "share": "all" }],
            "gate": { "soak": "10m" },
            "thresholds": { "pause": "2", "abort": "20%" },
            "pace": { "at_once": 20 },
        }),
        hosts(100, |n| if n % 11 == 10 { Host::bad() } else { Host::good() }),
    ).deed(600, Deed::Resume).deed(1_200, Deed::Resume);

    paused_in_a_wave_alone => campaign(
        &json!({
            "waves": [{ "share": "50%" }, { "share": "all" }],
            "gate": { "soak": "10m" },
            "thresholds": { "pause_in_wave": "10%", "abort": "20%" },
        }),
        hosts(40, |n| if n >= 35 { Host::new(Fate::Ends(JobState::RolledBack)) } else { Host::good() }),
    );

    hosts_join_until_a_day => campaign(
        &json!({
            "waves": [{ "share": "2" }, { "share": "all" }],
            "gate": { "soak": "10m" },
            "membership": { "joining": { "until": "2026-11-24T08:00:00Z" } },
            "max_hosts": 9,
        }),
        hosts(4, |_| Host::good()),
    ).deed(15, Deed::Joins(hosts(3, |_| Host::good())))
     .deed(300, Deed::Joins(hosts(4, |_| Host::good())));

    joining_ends_without_anybody => campaign(
        &json!({ "membership": { "joining": { "until": "2026-11-24T08:00:00Z" } }, "max_hosts": 9 }),
        hosts(0, |_| Host::good()),
    );

    what_failed_is_retried => campaign(
        &json!({ "waves": [{ "share": "all" }], "thresholds": { "abort": "30%" } }),
        hosts(20, |n| if n % 5 == 4 { Host::bad() } else { Host::good() }),
    ).deed(60, Deed::Mends(Fate::Ends(JobState::Fixed))).deed(61, Deed::Retry);

    an_abort_is_retried => campaign(
        &json!({}),
        hosts(4, |n| if n == 0 { Host::bad() } else { Host::good() }),
    ).deed(60, Deed::Mends(Fate::Ends(JobState::Fixed))).deed(61, Deed::Retry);

    verify_only_refutes => campaign(
        &json!({ "remedy": "verify_only", "waves": [{ "share": "10%" }, { "share": "all" }], "gate": { "soak": "0s" } }),
        hosts(30, |n| if n % 3 == 0 { Host::bad() } else { Host::good() }),
    );

    those_that_never_come_back_are_not_reached => campaign(
        &json!({ "expires": "2d", "waves": [{ "share": "all" }], "gate": { "soak": "0s" } }),
        hosts(10, |n| match n {
            8 => Host::good().off(0..1_000_000),
            9 => Host::good().off(1..1_000_000),
            _ => Host::good(),
        }),
    );

    a_host_that_went_off_before_it_began_comes_back => campaign(
        &json!({ "waves": [{ "share": "all" }] }),
        hosts(3, |n| if n == 1 { Host::good().off(1..3_000) } else { Host::good() }),
    );

    a_relapse_in_the_soak => campaign(
        &json!({ "waves": [{ "share": "2" }, { "share": "all" }], "gate": { "soak": "1d" } }),
        hosts(10, |n| if n == 1 { Host { relapse: Some(600), ..Host::good() } } else { Host::good() }),
    ).deed(20 * 60, Deed::Resume);

    a_relapse_in_an_earlier_wave => campaign(
        &json!({ "waves": [{ "share": "2" }, { "share": "30" }, { "share": "all" }], "gate": { "soak": "10m" } }),
        hosts(50, |n| if n == 1 { Host { relapse: Some(25), ..Host::good() } } else { Host::good() }),
    ).deed(300, Deed::Resume);

    a_regression_in_the_last_wave => campaign(
        &json!({ "waves": [{ "share": "10%" }, { "share": "all" }], "gate": { "soak": "0s" }, "pace": { "at_once": 10 } }),
        hosts(60, |n| if n == 20 { Host { regress: Some(5), ..Host::good() } } else { Host::good() }),
    ).deed(300, Deed::Resume);

    regressions_below_their_limit_stop_nothing => campaign(
        &json!({
            "waves": [{ "share": "50%" }, { "share": "all" }], "gate": { "soak": "30m" },
            "pace": { "at_once": 100 },
        }),
        hosts(300, |n| if n == 7 { Host { regress: Some(20), ..Host::good() } } else { Host::good() }),
    );

    a_gate_waits_for_its_sample => campaign(
        &json!({
            "waves": [{ "share": "10" }, { "share": "all" }],
            "gate": { "soak": "10m", "least_sample": 8 },
        }),
        hosts(30, |n| if n < 6 { Host::good().off(1..600) } else { Host::good() }),
    );

    canaries_that_are_off_hold_the_rest => campaign(
        &json!({ "waves": [{ "share": "3", "label": ["ring", "canary"] }, { "share": "all" }], "gate": { "soak": "10m" } }),
        hosts(12, |n| match n {
            0 => Host::good().with("ring", "canary").off(0..120),
            1 | 2 => Host::good().with("ring", "canary").off(0..5_000),
            _ => Host::good(),
        }),
    );

    a_canary_without_proof => campaign(
        &json!({}),
        hosts(10, |n| if n == 0 { Host::new(Fate::Ends(JobState::Unverified)) } else { Host::good() }),
    ).deed(60, Deed::Resume);

    hosts_that_refuse_give_their_place_to_others => campaign(
        &json!({}),
        hosts(12, |n| match n {
            0..=3 => Host::new(Fate::Ends(JobState::Skipped)),
            4 => Host::new(Fate::Ends(JobState::NotApplicable)),
            _ => Host::good(),
        }),
    );

    all_refuse => campaign(&json!({}), hosts(3, |_| Host::new(Fate::Ends(JobState::Skipped))));

    one_host => campaign(&json!({}), hosts(1, |_| Host::good()));

    two_hosts => campaign(&json!({}), hosts(2, |_| Host::good()));

    three_hosts_and_the_first_fails => campaign(
        &json!({}),
        hosts(3, |n| if n == 0 { Host::bad() } else { Host::good() }),
    );

    no_host => campaign(&json!({}), hosts(0, |_| Host::good()));

    five_thousand_hosts => campaign(
        &json!({ "pace": { "at_once": 1_000 }, "thresholds": { "abort": "5%" } }),
        hosts(5_000, |n| match n {
            n if n > 60 && drawn(n, 2) => Host::bad(),
            n if drawn(n + 7_000, 3) => Host::good().off(0..600),
            n if drawn(n + 9_000, 1) => Host::new(Fate::Ends(JobState::NotApplicable)),
            _ => Host::good(),
        }),
    );

    started_by_hand_while_the_fleet_is_halted => {
        let mut world = campaign(&json!({ "waves": [{ "share": "all" }] }), hosts(2, |_| Host::good()));
        (world.s.started, world.s.halted) = (None, true);
        world.deed(30, Deed::Halt(false))
    };

    scheduled_by_update_day => {
        let mut world = campaign(
            &json!({
                "schedule": { "monthly": { "expression": "second tuesday + 3 days 22:00" } },
                "zone": { "named": "Europe/Berlin" },
                "waves": [{ "share": "all" }],
                "windows": [{ "days": "daily", "start": "22:00", "end": "02:00" }],
            }),
            hosts(4, |_| Host::good()),
        );
        (world.s.state, world.s.started) = (CampaignState::Scheduled, None);
        // The third run would be in February: the world ends before.
        world.deed(80 * 24 * 60, Deed::Pause)
    };

    // Berlin puts its clock back in that night, New York a week later.
    nightly_by_each_hosts_own_clock => {
        let mut world = World::new(
            "2026-10-24T20:00:00Z",
            &json!({
                "schedule": { "cron": { "expression": "30 2 * * sun" } },
                "zone": { "host": { "fallback": "Europe/Berlin" } },
                "waves": [{ "share": "all" }],
            }),
            hosts(6, |n| match n {
                0 | 3 => Host::good().with("timezone", "America/New_York"),
                1 => Host::good().with("timezone", "Asia/Kathmandu"),
                _ => Host::good(),
            }),
        );
        (world.s.state, world.s.started) = (CampaignState::Scheduled, None);
        // The second run would be a week later: the world ends before.
        world.deed(3 * 24 * 60, Deed::Pause)
    };
}
