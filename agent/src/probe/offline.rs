//! Answers for a folder of copied logs: what the logs themselves say, and *unknown* for the rest.
//! The machine that reads the logs is never asked: it is not the one that failed.

use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::knowledge::Probe;
use fleetmend_core::probe::Question;
use fleetmend_core::report::{FailureReport, Kind, Source};
use fleetmend_core::time::Timestamp;

use super::{About, evidence, failure_event, words};

/// How far apart damage and failure may lie to be about one machine's one trouble: 30 days.
const NEAR_MS: i64 = 30 * 86_400_000;

/// How long after a failure an event may stand and still tell why: its cause may be logged last.
const AFTER_MS: i64 = 3_600_000;

/// Answers one probe from the logs alone: `reports` are all failures found beside this one.
pub fn answer(
    reports: &[FailureReport],
    probe: &Probe,
    failure: &FailureReport,
    now: Timestamp,
    random: [u8; 10],
) -> Evidence {
    let about = About::Failure(failure);
    evidence(find(reports, &probe.question, failure), probe, about, now, random)
}

fn find(reports: &[FailureReport], question: &Question, failure: &FailureReport) -> Finding {
    match question {
        Question::StoreDamaged => {
            said(reports, &["servicing.store_corrupt", "servicing.sfc_unrepairable"], failure)
        }
        Question::SfcUnrepairable => said(reports, &["servicing.sfc_unrepairable"], failure),
        Question::FailureEvent { providers, ids } => failure_event(providers, ids, Some(failure)),
        Question::EventSeen { providers, ids, days, .. } => {
            seen(reports, providers, ids, *days, failure)
        }
        // A log that does not hold the text may have been cut: only *yes* is certain here.
        Question::LogSays { contains } | Question::AptUpdateError { contains } => {
            if failure.message.to_lowercase().contains(&contains.to_lowercase()) {
                let proof = format!("the failure itself: {}", words(&failure.message));
                Finding::new(Answer::Yes, proof)
            } else {
                Finding::unknown("only the failure's own line was looked at")
            }
        }
        _ => Finding::unknown("copied logs do not tell"),
    }
}

/// Whether one of the other failures found is such an event, in the days before this one and the
/// hour after it. Most events are no failures and were not read, so nothing here is a *no*.
fn seen(
    reports: &[FailureReport],
    providers: &[String],
    ids: &[u32],
    days: u32,
    failure: &FailureReport,
) -> Finding {
    let days_ms = i64::from(days) * 86_400_000;
    let is_meant = |r: &&FailureReport| {
        let before = failure.time.wall_ms() - r.time.wall_ms();
        let provider = r.provider.as_deref().unwrap_or_default();
        *r != failure
            && r.event_id.is_some_and(|id| ids.contains(&id))
            && providers.iter().any(|p| p.eq_ignore_ascii_case(provider))
            && (-AFTER_MS..=days_ms).contains(&before)
    };
    let Some(event) = reports.iter().rev().find(is_meant) else {
        return Finding::unknown("copied logs do not tell");
    };
    let (provider, id) = (event.provider.as_deref().unwrap_or_default(), event.event_id);
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    Finding::new(
        Answer::Yes,
        format!("{provider} {id} at {}: {}", event.time, words(&event.message)),
    )
}

/// Whether CBS.log tells of damage near the failure; *no* only where the failure itself is of a
/// CBS.log, so that the log is known to reach there.
fn said(reports: &[FailureReport], slugs: &[&str], failure: &FailureReport) -> Finding {
    let tells = |r: &&FailureReport| {
        r.kind == Kind::Failure
            && matches!(&r.code, Some(FailureCode::Slug(s)) if slugs.contains(&s.as_str()))
            && (r.time.wall_ms() - failure.time.wall_ms()).abs() <= NEAR_MS
    };
    if let Some(report) = reports.iter().rev().find(tells) {
        let code = report.code.as_ref().map(FailureCode::to_string).unwrap_or_default();
        let count = report.count.map(|n| format!(" ({n})")).unwrap_or_default();
        let proof = format!("{code}{count} at {}: {}", report.time, words(&report.message));
        return Finding::new(Answer::Yes, proof);
    }
    if failure.source == Source::Cbs {
        Finding::new(Answer::No, "CBS.log tells of none in the 30 days around")
    } else {
        Finding::unknown("no CBS.log of that time tells of any, or there is none")
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_core::report::{Operation, Product};
    use fleetmend_core::time::SourceTime;

    use super::*;

    fn event(provider: &str, id: u32, hour: i64) -> FailureReport {
        FailureReport {
            product: Product::Vss,
            operation: Operation::Snapshot,
            code: None,
            symbol: None,
            kind: Kind::Failure,
            subject: None,
            time: SourceTime::utc(Timestamp::from_millis(hour * 3_600_000)),
            source: Source::Evtx,
            provider: Some(provider.to_owned()),
            event_id: Some(id),
            record_id: Some(1),
            line: None,
            count: None,
            update_class: None,
            message: "words".to_owned(),
        }
    }

    #[test]
    fn an_event_of_the_days_before_is_seen_in_copied_logs() {
        let (lost, failed) = (event("Volsnap", 36, 10), event("VSS", 8193, 30));
        let ask = |reports: &[FailureReport], failure: &FailureReport, days| {
            seen(reports, &["volsnap".to_owned()], &[25, 36], days, failure).answer
        };
        let both = [lost.clone(), failed.clone()];
        assert_eq!(ask(&both, &failed, 1), Answer::Yes);
        assert_eq!(ask(&both, &event("VSS", 8193, 40), 1), Answer::Unknown, "too long before");
        assert_eq!(ask(&both, &event("VSS", 8193, 8), 1), Answer::Unknown, "two hours after");
        assert_eq!(ask(&both, &event("VSS", 8193, 9), 1), Answer::Yes, "an hour after");
        assert_eq!(ask(&both, &lost, 1), Answer::Unknown, "itself is asked otherwise");
        let other = [event("volsnap", 33, 10), event("disk", 36, 10), failed.clone()];
        assert_eq!(ask(&other, &failed, 1), Answer::Unknown);
    }
}
