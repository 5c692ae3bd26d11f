//! One run of wbengine, one report. Its own channel tells of a failed run by an event that says why, and
//! by one that ends every run; the Application log holds a copy. The one that says most is kept.

use fleetmend_core::report::FailureReport;

use super::rules::WBENGINE;

/// How far apart the events of one run may stand: they are written as it ends.
const ONE_RUN_MS: i64 = 120_000;

/// What an event is about; only events about the same are told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// A run of the backup.
    Run,
    /// The catalogue of the backups.
    Catalogue,
    /// The backups on the target.
    Backups,
    /// A volume that is not there.
    Volume,
}

/// What an event is about, and its place among those that are about the same: the first is kept.
fn place(report: &FailureReport) -> Option<(About, u8)> {
    if !report.provider.as_deref()?.eq_ignore_ascii_case(WBENGINE) {
        return None;
    }
    Some(match report.event_id? {
        5 | 8 | 9 | 15 | 17..=19 | 21 | 49 | 50 | 52 => (About::Run, 0),
        7 => (About::Run, 1),
        25 => (About::Run, 2),
        14 => (About::Run, 3),
        517 | 519 | 521 | 526 | 528 | 544..=546 | 561 | 564 => (About::Run, 4),
        2 => (About::Catalogue, 0),
        514 => (About::Catalogue, 4),
        10 => (About::Backups, 0),
        522 => (About::Backups, 4),
        146 => (About::Volume, 0),
        658 => (About::Volume, 4),
        _ => return None,
    })
}

/// Whether a report only repeats, of whatever was told of it before or is told beside it.
pub(crate) fn may_repeat(report: &FailureReport) -> bool {
    place(report).is_some_and(|(_, place)| place > 0)
}

/// Whether a report tells of a run's end at all, and so may be repeated.
pub(crate) fn may_be_repeated(report: &FailureReport) -> bool {
    place(report).is_some_and(|(_, place)| place < 4)
}

/// Whether so far apart (in milliseconds) two events may be of one run.
pub(crate) const fn is_one_run(apart: i64) -> bool {
    apart.unsigned_abs() <= ONE_RUN_MS.unsigned_abs()
}

/// Takes out of the reports from `from` on what another of them says better.
pub(crate) fn once(reports: &mut Vec<FailureReport>, from: usize) {
    let mut told: Vec<(About, i64, u8)> = reports[from..]
        .iter()
        .filter_map(|r| place(r).map(|(about, place)| (about, r.time.wall_ms(), place)))
        .collect();
    if told.len() < 2 {
        return;
    }
    told.sort_unstable();
    let repeats = |report: &FailureReport| {
        let Some((about, place)) = place(report) else { return false };
        let at = report.time.wall_ms();
        let first = told.partition_point(|t| (t.0, t.1) < (about, at.saturating_sub(ONE_RUN_MS)));
        let near = told[first..].iter().take_while(|t| t.0 == about && is_one_run(t.1 - at));
        near.into_iter().any(|t| t.2 < place)
    };
    let mut at = 0;
    reports.retain(|report| {
        at += 1;
        at <= from || !repeats(report)
    });
}

#[cfg(test)]
mod tests {
    use fleetmend_core::report::{Kind, Operation, Product, Source};
    use fleetmend_core::time::{SourceTime, Timestamp};

    use super::*;

    fn report(provider: &str, id: u32, at_s: i64) -> FailureReport {
        FailureReport {
            product: Product::SystemImage,
            operation: Operation::Backup,
            code: None,
            symbol: None,
            kind: Kind::Failure,
            subject: None,
            time: SourceTime::utc(Timestamp::from_millis(at_s * 1_000)),
            source: Source::Evtx,
            provider: Some(provider.to_owned()),
            event_id: Some(id),
            record_id: Some(1),
            line: None,
            count: None,
            update_class: None,
            message: String::new(),
        }
    }

    fn kept(events: &[(u32, i64)]) -> Vec<(u32, i64)> {
        let mut reports: Vec<_> =
            events.iter().map(|(id, at)| report(WBENGINE, *id, *at)).collect();
        once(&mut reports, 0);
        let left = |r: &FailureReport| (r.event_id.unwrap_or(0), r.time.wall_ms() / 1_000);
        reports.iter().map(left).collect()
    }

    #[test]
    fn the_event_that_says_most_of_a_run_is_kept() {
        assert_eq!(kept(&[(517, 0), (5, 1), (14, 1)]), [(5, 1)]);
        assert_eq!(kept(&[(561, 0), (49, 0)]), [(49, 0)]);
        assert_eq!(kept(&[(8, 0), (14, 0)]), [(8, 0)], "cancelled, and no failure besides");
        assert_eq!(kept(&[(7, 0), (25, 0), (14, 0), (519, 0)]), [(7, 0)]);
        assert_eq!(kept(&[(25, 0), (14, 0)]), [(25, 0)]);
        assert_eq!(kept(&[(658, 3), (146, 2), (514, 1), (522, 1)]), [(146, 2), (514, 1), (522, 1)]);
        // Each alone is told; so is each of two runs, and a volume is missing beside a run.
        for id in [5, 7, 14, 25, 517, 522, 658] {
            assert_eq!(kept(&[(id, 0)]).len(), 1, "{id}");
        }
        assert_eq!(kept(&[(5, 0), (14, 600), (517, 900)]).len(), 3);
        assert_eq!(kept(&[(5, 0), (5, 1), (146, 1)]).len(), 3);
    }

    #[test]
    fn others_and_those_before_are_left_alone() {
        let vss = || report("VSS", 14, 0);
        let mut reports = vec![report(WBENGINE, 14, 0), vss(), report(WBENGINE, 5, 0), vss()];
        once(&mut reports, 1);
        assert_eq!(reports.len(), 4, "the first was told before");
        once(&mut reports, 0);
        assert_eq!(reports.len(), 3);
    }
}
