//! Zones, windows, schedules and freezes at fixed moments, with the days on which clocks do odd
//! things.

use super::*;
use crate::campaign::{FreezeSpan, Window};
use crate::host::Labels;
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn window(days: &str, start: &str, end: &str, least_left: Option<&str>) -> Weekly {
    let least_left = least_left.map(|text| text.parse().expect("a span"));
    let window = Window { days: days.into(), start: start.into(), end: end.into(), least_left };
    window.read().expect("a window")
}

/// The openings between two moments, by the zone's own clock.
fn openings(window: &Weekly, name: &str, from: &str, until: &str) -> Vec<String> {
    let zone = zone(name).expect("a zone");
    let spans = window.openings(&zone, at(from), at(until));
    let text = |span: &crate::hold::Interval| {
        format!("{} to {}", clock_in(&zone, span.from), clock_in(&zone, span.until))
    };
    spans.iter().map(text).collect()
}

/// The next so many times after a moment, by the zone's own clock.
fn times(
    next: impl Fn(&jiff::tz::TimeZone, Timestamp) -> Option<Timestamp>,
    name: &str,
    after: &str,
    count: usize,
) -> Vec<String> {
    let zone = zone(name).expect("a zone");
    let mut last = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        let Some(time) = next(&zone, last) else { break };
        assert!(time > last, "time goes on");
        last = time;
        found.push(clock_in(&zone, time));
    }
    found
}

fn cron(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let cron: Cron = text.parse().expect("a cron expression");
    times(|zone, after| cron.next(zone, after), zone, after, count)
}

fn monthly(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let monthly: Monthly = text.parse().expect("a monthly time");
    times(|zone, after| monthly.next(zone, after), zone, after, count)
}

#[test]
fn zones_are_those_of_the_iana_database() {
    for name in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"] {
        assert!(zone(name).is_ok(), "{name}");
    }
    for name in ["", "Mars/Olympus", "+02:00", "../../etc/passwd", "CEST", &"E".repeat(500)] {
        let error = zone(name).expect_err(name).to_string();
        assert!(error.contains("is no time zone") && error.len() < 200, "{error}");
    }
    let kathmandu = zone("Asia/Kathmandu").expect("a zone");
    assert_eq!(clock_in(&kathmandu, at("2026-11-22T22:00:00Z")), "2026-11-23 03:45 +05:45");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let nights = window("mon-fri", "22:00", "04:00", None);
    let found = openings(&nights, "Europe/Berlin", "2026-11-20T12:00:00Z", "2026-11-24T12:00:00Z");
    assert_eq!(
        found,
        [
            // Friday's goes on into Saturday; Saturday and Sunday have none of their own.
            "2026-11-20 22:00 +01:00 to 2026-11-21 04:00 +01:00",
            "2026-11-23 22:00 +01:00 to 2026-11-24 04:00 +01:00",
        ]
    );
    // What opened yesterday is still open at the start of the look.
    let early = openings(&nights, "Europe/Berlin", "2026-11-21T01:00:00Z", "2026-11-21T02:00:00Z");
    assert_eq!(early, ["2026-11-20 22:00 +01:00 to 2026-11-21 04:00 +01:00"]);
    // Month and year ends.
    let daily = window("daily", "23:30", "00:30", None);
    let newyear =
        openings(&daily, "Asia/Kathmandu", "2026-12-31T18:00:00Z", "2026-12-31T20:00:00Z");
    assert_eq!(newyear, ["2026-12-31 23:30 +05:45 to 2027-01-01 00:30 +05:45"]);
    let leap = openings(&daily, "UTC", "2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z");
    assert_eq!(leap, ["2028-02-29 23:30 +00:00 to 2028-03-01 00:30 +00:00"]);
    // The same time twice is a whole day.
    let whole = window("sun", "06:00", "06:00", None);
    let sunday = openings(&whole, "UTC", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
    assert_eq!(sunday, ["2026-11-22 06:00 +00:00 to 2026-11-23 06:00 +00:00"]);
}

#[test]
fn windows_keep_to_the_clock_when_it_is_put_forward_and_back() {
    // Berlin skips 02:00 to 03:00 on 29 March 2026, and has it twice on 25 October 2026.
    let night = window("daily", "02:30", "04:00", None);
    let spring = openings(&night, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(spring, ["2026-03-29 03:00 +02:00 to 2026-03-29 04:00 +02:00"]);
    let autumn = openings(&night, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn, ["2026-10-25 02:30 +02:00 to 2026-10-25 04:00 +01:00"], "2.5 hours");
    // It closes at the first pass of its end.
    let short = window("daily", "01:00", "02:30", None);
    let autumn = openings(&short, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn, ["2026-10-25 01:00 +02:00 to 2026-10-25 02:30 +02:00"]);
    // All of it in the hour that is skipped: no window that night.
    let lost = window("daily", "02:10", "02:50", None);
    assert!(
        openings(&lost, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z").is_empty()
    );
    // New York on 8 March and 1 November 2026.
    let spring =
        openings(&night, "America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T12:00:00Z");
    assert_eq!(spring, ["2026-03-08 03:00 -04:00 to 2026-03-08 04:00 -04:00"]);
    let hour = window("daily", "01:30", "03:00", None);
    let autumn =
        openings(&hour, "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T12:00:00Z");
    assert_eq!(autumn, ["2026-11-01 01:30 -04:00 to 2026-11-01 03:00 -05:00"]);
    // Lord Howe moves by half an hour: 02:00 to 02:30 is skipped on 4 October 2026.
    let quarter = window("daily", "02:15", "02:45", None);
    let spring =
        openings(&quarter, "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T18:00:00Z");
    assert_eq!(spring, ["2026-10-04 02:30 +11:00 to 2026-10-04 02:45 +11:00"]);
    // Apia had no 30 December 2011.
    let daily = window("daily", "22:00", "23:00", None);
    let apia = openings(&daily, "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T00:00:00Z");
    assert_eq!(
        apia,
        [
            "2011-12-29 22:00 -10:00 to 2011-12-29 23:00 -10:00",
            "2011-12-31 22:00 +14:00 to 2011-12-31 23:00 +14:00",
        ]
    );
}

#[test]
fn nothing_begins_with_less_time_left_than_wanted() {
    let zone = zone("Europe/Berlin").expect("a zone");
    let night = window("daily", "22:00", "02:00", Some("90m"));
    let opening = |text: &str| night.at(&zone, at(text));
    assert_eq!(opening("2026-11-22T20:59:59Z"), Opening::Opens(at("2026-11-22T21:00:00Z")));
    assert_eq!(opening("2026-11-22T21:00:00Z"), Opening::Open(at("2026-11-22T23:30:00Z")));
    assert_eq!(opening("2026-11-22T23:30:00Z"), Opening::Open(at("2026-11-22T23:30:00Z")));
    assert_eq!(opening("2026-11-22T23:30:01Z"), Opening::Opens(at("2026-11-23T21:00:00Z")));
    // Half an hour of it is left in spring: too little, the next night's is looked for.
    let spring = window("daily", "02:15", "03:30", Some("45m"));
    assert_eq!(
        spring.at(&zone, at("2026-03-29T00:30:00Z")),
        Opening::Opens(at("2026-03-30T00:15:00Z"))
    );
    let end = window("daily", "22:00", "02:00", None);
    assert_eq!(
        end.at(&zone, at("2026-11-23T01:00:00Z")),
        Opening::Opens(at("2026-11-23T21:00:00Z"))
    );
}

#[test]
fn days_and_times_of_windows_are_read_strictly() {
    let read = |days: &str, start: &str, end: &str, left: Option<&str>| {
        let least_left = left.map(|text| text.parse().expect("a span"));
        let window = Window { days: days.into(), start: start.into(), end: end.into(), least_left };
        window.read().map(|_| ()).map_err(|bad| bad.what)
    };
    for days in
        ["daily", "mon", "Monday", "mon-fri", "sat,sun", "fri-mon", "mon-wed,sat", "sat, sun"]
    {
        assert_eq!(read(days, "22:00", "04:00", None), Ok(()), "{days}");
    }
    for days in ["", "weekdays", "mon-", "-fri", "mon..fri", "mo", "mondays", "mon;tue", "день"]
    {
        assert_eq!(read(days, "22:00", "04:00", None), Err("set of days"), "{days}");
    }
    for time in ["", "24:00", "7:00", "22", "22:60", "22:00:00", "+2:00", "10pm"] {
        assert_eq!(read("daily", time, "04:00", None), Err("time of day"), "{time}");
    }
    let too_long = "time that can be left in this window";
    assert_eq!(read("daily", "22:00", "02:00", Some("4h")), Ok(()));
    assert_eq!(read("daily", "22:00", "02:00", Some("5h")), Err(too_long));
    let fri = window("fri-mon", "10:00", "11:00", None);
    assert_eq!(openings(&fri, "UTC", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z").len(), 4);
}

#[test]
fn cron_counts_by_the_zone() {
    let tuesdays = cron("0 22 * * 2", "Europe/Berlin", "2026-10-19T00:00:00Z", 3);
    assert_eq!(
        tuesdays,
        ["2026-10-20 22:00 +02:00", "2026-10-27 22:00 +01:00", "2026-11-03 22:00 +01:00"]
    );
    // The 31st comes in seven months of the year, 29 February in leap years.
    let ends = cron("0 6 31 * *", "UTC", "2026-01-31T06:00:00Z", 3);
    assert_eq!(
        ends,
        ["2026-03-31 06:00 +00:00", "2026-05-31 06:00 +00:00", "2026-07-31 06:00 +00:00"]
    );
    let leap = cron("30 1 29 feb *", "UTC", "2026-01-01T00:00:00Z", 2);
    assert_eq!(leap, ["2028-02-29 01:30 +00:00", "2032-02-29 01:30 +00:00"]);
    let century = cron("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1);
    assert_eq!(century, ["2104-02-29 00:00 +00:00"], "2100 is no leap year");
    // A day of the month or of the week, where both are set.
    let either = cron("0 12 13 * fri", "UTC", "2026-11-01T00:00:00Z", 3);
    assert_eq!(
        either,
        ["2026-11-06 12:00 +00:00", "2026-11-13 12:00 +00:00", "2026-11-20 12:00 +00:00"]
    );
    let both = cron("0 12 */2 * sun", "UTC", "2026-11-01T12:00:00Z", 1);
    assert_eq!(both, ["2026-11-15 12:00 +00:00"], "a star counts as any, with a step too");
    let quarters = cron("*/20 8-9 * jan-mar 1,3-5", "Asia/Kathmandu", "2026-12-31T00:00:00Z", 2);
    assert_eq!(quarters, ["2027-01-01 08:00 +05:45", "2027-01-01 08:20 +05:45"]);
    assert_eq!(cron("0 0 * * 7", "UTC", "2026-11-22T00:00:00Z", 1), ["2026-11-29 00:00 +00:00"]);
}

#[test]
fn cron_runs_once_where_the_clock_is_put_back_and_at_the_skip_where_it_is_put_forward() {
    let spring = cron("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
    assert_eq!(spring, ["2026-03-29 03:00 +02:00", "2026-03-30 02:30 +02:00"]);
    let many = cron("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
    assert_eq!(
        many,
        ["2026-03-29 03:00 +02:00", "2026-03-30 02:00 +02:00"],
        "not twice at the skip"
    );
    let autumn = cron("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(autumn, ["2026-10-25 02:30 +02:00", "2026-10-26 02:30 +01:00"]);
    // Between the two passes: the first is over, the second is none of its times.
    let between = cron("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1);
    assert_eq!(between, ["2026-10-26 02:30 +01:00"]);
    let howe = cron("0 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2);
    assert_eq!(howe, ["2026-10-04 02:30 +11:00", "2026-10-05 02:00 +11:00"]);
    let apia = cron("0 22 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", 3);
    assert_eq!(
        apia,
        ["2011-12-29 22:00 -10:00", "2011-12-31 00:00 +14:00", "2011-12-31 22:00 +14:00"],
        "the time on the day that was skipped is the moment of the skip"
    );
}

#[test]
fn bad_cron_expressions_are_refused() {
    for text in [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "5/10 * * * *",
        "a * * * *",
        "1,,2 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "-1 * * * *",
        "0 0 L * *",
        "0 0 * * mon#2",
        "1-2-3 * * * *",
        "+1 * * * *",
        "0 0 1 1 *\u{0}x",
    ] {
        let error = text.parse::<Cron>().expect_err(text).to_string();
        assert!(error.contains("is no cron expression: write "), "{error}");
    }
    assert!("0 ".repeat(200).parse::<Cron>().is_err());
    assert!("0 0 31 4 fri".parse::<Cron>().is_ok(), "Fridays there are");
}

#[test]
fn monthly_times_go_as_update_days_go() {
    let patch =
        monthly("second tuesday + 3 days 22:00", "Europe/Berlin", "2026-11-01T00:00:00Z", 3);
    assert_eq!(
        patch,
        ["2026-11-13 22:00 +01:00", "2026-12-11 22:00 +01:00", "2027-01-15 22:00 +01:00"]
    );
    // Into the next month, and out of the one before.
    let late = monthly("last friday +9 days 06:00", "UTC", "2026-11-29T00:00:00Z", 2);
    assert_eq!(late, ["2026-12-06 06:00 +00:00", "2027-01-03 06:00 +00:00"]);
    let early = monthly("first day - 1 day 23:00", "UTC", "2028-02-01T00:00:00Z", 2);
    assert_eq!(early, ["2028-02-29 23:00 +00:00", "2028-03-31 23:00 +00:00"]);
    let ends = monthly("last day 06:30", "America/New_York", "2027-01-31T12:00:00Z", 3);
    assert_eq!(
        ends,
        ["2027-02-28 06:30 -05:00", "2027-03-31 06:30 -04:00", "2027-04-30 06:30 -04:00"]
    );
    let skipped = monthly("last sunday 02:30", "Europe/Berlin", "2026-03-01T00:00:00Z", 1);
    assert_eq!(skipped, ["2026-03-29 03:00 +02:00"]);
    let exact = monthly("second tuesday 22:00", "UTC", "2026-11-10T22:00:00Z", 1);
    assert_eq!(exact, ["2026-12-08 22:00 +00:00"], "after the moment, never at it");
}

#[test]
fn bad_monthly_times_are_refused() {
    for text in [
        "",
        "second",
        "second tuesday +",
        "second tuesday + 3",
        "tuesday 22:00",
        "fifth tuesday 22:00",
        "2nd tuesday 22:00",
        "second tuesday + days 22:00",
        "second tuesday + 28 days 22:00",
        "second tuesday + 0 days 22:00",
        "second tuesday + 3 weeks 22:00",
        "second tuesday + 3 days 24:00",
        "second tuesday * 3 days 22:00",
        "second tuesday + 3 days 22:00 UTC",
        "second tues 22:00",
        "вторая среда 22:00",
        &"x".repeat(500),
    ] {
        let error = text.parse::<Monthly>().expect_err(text).to_string();
        assert!(error.contains("is no monthly time: write "), "{error}");
    }
    assert!("Second Tuesday+3 days 22:00".parse::<Monthly>().is_ok());
}

fn spans(rule: &FreezeRule, from: &str, until: &str) -> Vec<String> {
    let found = rule.spans(at(from), at(until)).expect("a freeze");
    found.iter().map(|FreezeSpan { from, until, .. }| format!("{from:.16} {until:.16}")).collect()
}

#[test]
fn freezes_hold_once_or_every_year() {
    let yearly = |first: &str, last: &str, zone: &str| FreezeRule {
        name: "year's end".to_owned(),
        when: FreezeWhen::Yearly { first: first.to_owned(), last: last.to_owned() },
        zone: zone.to_owned(),
        labels: Labels::new(),
    };
    let holidays = yearly("12-20", "01-06", "Europe/Berlin");
    let over = spans(&holidays, "2026-12-31T00:00:00Z", "2027-12-31T00:00:00Z");
    assert_eq!(
        over,
        ["2026-12-19T23:00 2027-01-06T23:00", "2027-12-19T23:00 2028-01-06T23:00"]
            .map(ToOwned::to_owned)
    );
    let early = spans(&holidays, "2027-01-03T00:00:00Z", "2027-01-04T00:00:00Z");
    assert_eq!(early, ["2026-12-19T23:00 2027-01-06T23:00"], "it began last year");
    let leap = yearly("02-29", "02-29", "UTC");
    assert_eq!(
        spans(&leap, "2027-01-01T00:00:00Z", "2028-12-31T00:00:00Z"),
        ["2028-02-29T00:00 2028-03-01T00:00"],
        "no day, no freeze"
    );
    let to_leap = yearly("02-20", "02-29", "UTC");
    assert_eq!(
        spans(&to_leap, "2027-01-01T00:00:00Z", "2027-12-31T00:00:00Z"),
        ["2027-02-20T00:00 2027-03-01T00:00"]
    );
    for bad in ["12-32", "13-01", "1-1", "02-30", "", "12/20", "2026-12-20"] {
        let error = yearly(bad, "01-06", "UTC")
            .spans(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        assert!(error.is_err(), "{bad}");
    }
    assert!(
        yearly("12-20", "01-06", "Mars/Olympus")
            .spans(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
            .is_err()
    );
    let once = FreezeRule {
        when: FreezeWhen::Once {
            from: at("2026-11-22T00:00:00Z"),
            until: at("2026-11-23T00:00:00Z"),
        },
        ..yearly("", "", "UTC")
    };
    assert_eq!(spans(&once, "2026-11-22T12:00:00Z", "2026-11-25T00:00:00Z").len(), 1);
    assert!(spans(&once, "2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z").is_empty());
    let backwards = FreezeRule {
        when: FreezeWhen::Once {
            from: at("2026-11-23T00:00:00Z"),
            until: at("2026-11-23T00:00:00Z"),
        },
        ..once
    };
    assert!(backwards.spans(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).is_err());
}

mod of_a_definition {
    use super::*;
    use crate::campaign::{Definition, Schedule, Zone};

    fn definition(fields: &str) -> Definition {
        let text = format!(r#"{{ "name": "n", "reason": "r", "selector": {{}}, {fields} }}"#);
        serde_json::from_str(&text).expect("a definition")
    }

    fn zoned(zone: &str) -> Labels {
        [("timezone".to_owned(), zone.to_owned())].into()
    }

    #[test]
    fn a_single_time_by_each_hosts_clock_comes_first_where_the_day_begins_first() {
        let mut it = definition(
            r#""schedule": { "once": { "at": "2026-12-01T22:00" } },
               "zone": { "host": { "fallback": "Europe/Berlin" } }"#,
        );
        let hosts = [zoned("Asia/Kathmandu"), zoned("America/New_York"), zoned("Mars/Olympus")];
        let start = it.next_start(at("2026-11-22T00:00:00Z"), &hosts);
        assert_eq!(start, Ok(Some(at("2026-12-01T16:15:00Z"))), "Kathmandu");
        let after = it.next_start(at("2026-12-02T00:00:00Z"), &[]);
        assert_eq!(after, Ok(Some(at("2026-12-01T21:00:00Z"))), "late is not never");
        it.schedule = Schedule::Cron { expression: "0 22 * * *".to_owned() };
        let start = it.next_start(at("2026-11-22T00:00:00Z"), &hosts);
        assert_eq!(start, Ok(Some(at("2026-11-22T16:15:00Z"))), "recurring ones too");
        let start = it.next_start(at("2026-11-22T00:00:00Z"), &[]);
        assert_eq!(start, Ok(Some(at("2026-11-22T21:00:00Z"))), "by the fallback for nobody");
        it.zone = Zone::Named("Mars/Olympus".to_owned());
        assert!(it.next_start(at("2026-11-22T00:00:00Z"), &hosts).is_err());
        it.schedule = Schedule::ByHand;
        it.zone = Zone::default();
        assert_eq!(it.next_start(at("2026-11-22T00:00:00Z"), &hosts), Ok(None));
    }

    #[test]
    fn a_recurring_time_comes_to_each_host_by_its_own_clock() {
        let own = |schedule: &str| {
            definition(&format!(
                r#""schedule": {{ {schedule} }}, "zone": {{ "host": {{ "fallback": "Europe/Berlin" }} }}"#
            ))
        };
        let hosts = [zoned("America/New_York"), Labels::new(), zoned("Mars/Olympus")];
        let turns = |it: &Definition, started: &str| {
            let turn = it.turn(at(started), &hosts);
            ["Europe/Berlin", "America/New_York"].map(|name| {
                let found = it.not_before(&zone(name).expect("a zone"), turn);
                found.map_or_else(String::new, |at| format!("{at:.16}"))
            })
        };
        // Berlin has 02:30 twice on 25 October 2026 and skips it on 29 March; New York does neither.
        let nightly = own(r#""cron": { "expression": "30 2 * * *" }"#);
        let start = nightly.next_start(at("2026-10-24T12:00:00Z"), &hosts).expect("readable");
        assert_eq!(start, Some(at("2026-10-25T00:30:00Z")), "the first pass");
        let twice = ["2026-10-25T00:30", "2026-10-25T06:30"];
        assert_eq!(turns(&nightly, "2026-10-25T00:30:00Z"), twice);
        assert_eq!(turns(&nightly, "2026-10-25T00:30:59Z"), twice, "a little late");
        assert_eq!(turns(&nightly, "2026-10-25T11:00:00Z"), twice, "the server was off");
        let start = nightly.next_start(at("2026-03-28T12:00:00Z"), &hosts).expect("readable");
        assert_eq!(start, Some(at("2026-03-29T01:00:00Z")), "the moment of the skip");
        let skipped = ["2026-03-29T01:00", "2026-03-29T06:30"];
        assert_eq!(turns(&nightly, "2026-03-29T01:00:00Z"), skipped);
        // Between the days on which the two put their clocks back they are five hours apart.
        let monthly = own(r#""monthly": { "expression": "last wednesday" }"#);
        assert_eq!(
            turns(&monthly, "2026-10-27T23:00:10Z"),
            ["2026-10-27T23:00", "2026-10-28T04:00"],
            "midnight where no time is named"
        );
        let hourly = own(r#""cron": { "expression": "0 * * * *" }"#);
        let both = ["2026-11-22T21:00", "2026-11-22T21:00"];
        assert_eq!(
            turns(&hourly, "2026-11-22T21:00:05Z"),
            both,
            "no host waits for the hour by name"
        );
        let mut named = nightly.clone();
        named.zone = Zone::Named("Europe/Berlin".to_owned());
        assert_eq!(turns(&named, "2026-10-25T00:30:00Z"), ["", ""], "one clock for all");
    }

    #[test]
    fn the_next_runs_are_told_by_the_campaigns_clock() {
        let it = definition(
            r#""schedule": { "monthly": { "expression": "second Tuesday + 3 days" } },
               "zone": { "named": "Europe/Berlin" }"#,
        );
        assert_eq!(
            it.next_runs(at("2026-11-22T00:00:00Z"), 2).expect("readable"),
            ["2026-12-11 00:00 +01:00", "2027-01-15 00:00 +01:00"]
        );
        let by_hand = definition(r#""schedule": "by_hand""#);
        assert_eq!(by_hand.next_runs(at("2026-11-22T00:00:00Z"), 2), Ok(Vec::new()));
    }

    #[test]
    fn an_agent_gets_spans_in_which_the_work_and_the_least_time_both_fit() {
        let it = definition(
            r#""windows": [
                 { "days": "daily", "start": "22:00", "end": "02:00", "least_left": "60m" },
                 { "days": "sun", "start": "10:00", "end": "11:00" }
               ],
               "zone": { "host": { "fallback": "UTC" } }"#,
        );
        let spans = |minutes| {
            let (now, until) = (at("2026-11-22T00:30:00Z"), at("2026-11-23T00:00:00Z"));
            let spans = it.begin_in(&Labels::new(), minutes, now, until).expect("readable");
            let text = |s: crate::hold::Interval| format!("{:.16} {:.16}", s.from, s.until);
            spans.expect("it has windows").into_iter().map(text).collect::<Vec<_>>()
        };
        // The agent itself keeps the minutes of the work free at the end of a span.
        assert_eq!(
            spans(20),
            [
                "2026-11-21T22:00 2026-11-22T01:20",
                "2026-11-22T10:00 2026-11-22T11:00",
                "2026-11-22T22:00 2026-11-23T01:20"
            ]
        );
        assert_eq!(spans(90)[0], "2026-11-21T22:00 2026-11-22T02:00");
        let long =
            it.begin_in(&Labels::new(), 5, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        assert_eq!(long.expect("readable").expect("windows").len(), crate::limits::BEGIN_SPANS);
        let now = at("2026-11-22T00:30:00Z");
        assert!(
            it.begin_in(&zoned("Mars/Olympus"), 5, now, now).is_err(),
            "never at a guessed time"
        );
        assert_eq!(definition(r#""max_hosts": 3"#).begin_in(&Labels::new(), 5, now, now), Ok(None));
    }
}
