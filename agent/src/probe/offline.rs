//! Answers for a folder of copied logs: what the logs themselves say, and *unknown* for the rest.
//! The machine that reads the logs is never asked: it is not the one that failed.

use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::knowledge::Probe;
use fleetmend_core::probe::Question;
use fleetmend_core::report::FailureReport;
use fleetmend_core::time::Timestamp;

use super::{About, evidence, failure_event, words, yes_if};
use crate::collect::StoreLook;
use crate::collect::store::Last;

/// How long before a failure a look may lie to say something of it: 30 days.
const NEAR_MS: i64 = 30 * 86_400_000;
/// How far the clocks of two logs may be apart where one is local and one is not: 14 hours.
const ZONES_MS: i64 = 14 * 3_600_000;

/// How long after a failure an event may stand and still tell why: its cause may be logged last.
const AFTER_MS: i64 = 3_600_000;

/// What the logs of one machine tell.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a> {
    /// All failures.
    pub reports: &'a [FailureReport],
    /// All looks at the component store, the earliest first.
    pub looks: &'a [StoreLook],
}

/// Answers one probe from the logs alone.
pub fn answer(
    logs: Logs<'_>,
    probe: &Probe,
    failure: &FailureReport,
    now: Timestamp,
    random: [u8; 10],
) -> Evidence {
    let about = About::Failure(failure);
    evidence(find(logs, &probe.question, failure), probe, about, now, random)
}

fn find(logs: Logs<'_>, question: &Question, failure: &FailureReport) -> Finding {
    match question {
        Question::StoreDamaged => before(logs.looks, failure, Last::damaged),
        Question::SfcUnrepairable => before(logs.looks, failure, Last::unrepairable),
        Question::FailureEvent { providers, ids } => failure_event(providers, ids, Some(failure)),
        Question::EventSeen { providers, ids, days, says, .. } => {
            let says = says.as_deref().unwrap_or_default();
            seen(logs.reports, (providers, ids, says), *days, failure)
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
    (providers, ids, says): (&[String], &[u32], &str),
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
            && r.message.to_lowercase().contains(&says.to_lowercase())
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

/// What CBS.log told last, when the failure came. A look after it says nothing of it: what was found
/// then may have come with it, and what was repaired then was not before.
fn before<'a>(
    looks: &'a [StoreLook],
    failure: &FailureReport,
    judge: fn(Last<'a>) -> Option<(bool, &'a StoreLook)>,
) -> Finding {
    let at = failure.time.wall_ms();
    // CBS.log has local times; those of event logs are in UTC.
    let apart = if failure.time.is_utc() { ZONES_MS } else { 0 };
    let until = |end: i64| {
        let near = |look: &&StoreLook| look.wall_ms.is_some_and(|w| w <= end && at - w <= NEAR_MS);
        judge(Last::of(looks.iter().filter(near)))
    };
    match (until(at - apart), until(at + apart)) {
        (Some((so, look)), Some((other, _))) if so == other => {
            Finding::new(yes_if(so), look.told())
        }
        (None, None) => Finding::unknown("no CBS.log tells of a look at it in the 30 days before"),
        (_, Some((_, look))) | (Some((_, look)), None) => {
            Finding::unknown(format!("before the failure, or after it: {}", look.told()))
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_core::report::{Kind, Operation, Product, Source};
    use fleetmend_core::time::SourceTime;

    use super::*;
    use crate::collect::Looked;
    use crate::collect::draft::Draft;

    const HOUR: i64 = 3_600_000;

    fn failure(time: SourceTime) -> FailureReport {
        let draft = Draft {
            product: Product::WindowsUpdate,
            operation: Operation::Install,
            code: None,
            subject: None,
            time,
            source: Source::WindowsUpdate,
            event: None,
            line: None,
            count: None,
            update_class: None,
            message: String::new(),
        };
        draft.finish(fleetmend_catalog::builtin())
    }

    fn look(at: i64, found: Looked) -> StoreLook {
        StoreLook { found, wall_ms: Some(at), words: "seen".to_owned() }
    }

    #[test]
    fn only_what_was_seen_before_the_failure_counts_and_of_that_the_last() {
        let base = 1_000 * 24 * HOUR;
        let at = |hour: i64| base + hour * HOUR;
        let unrepairable = |hour| look(at(hour), Looked::Files { unrepairable: true });
        let store = |hour, damaged| look(at(hour), Looked::Store { damaged });
        let ask = |looks: &[StoreLook], time| {
            let logs = Logs { reports: &[], looks };
            find(logs, &Question::StoreDamaged, &failure(time)).answer
        };
        let local = |hour| SourceTime::local(at(hour));
        assert_eq!(ask(&[], local(0)), Answer::Unknown);
        assert_eq!(ask(&[unrepairable(-1)], local(0)), Answer::Yes);
        assert_eq!(ask(&[unrepairable(0)], local(0)), Answer::Yes, "the failure itself");
        assert_eq!(ask(&[unrepairable(-2), store(-1, false)], local(0)), Answer::No, "repaired");
        assert_eq!(ask(&[unrepairable(24)], local(0)), Answer::Unknown, "the day after");
        assert_eq!(ask(&[store(-1, true), store(24, false)], local(0)), Answer::Yes);
        assert_eq!(ask(&[store(-31 * 24, true)], local(0)), Answer::Unknown, "long before");
        // The clock of an event log may be hours apart.
        let utc = SourceTime::utc(Timestamp::from_millis(at(0)));
        assert_eq!(ask(&[store(-24, true)], utc), Answer::Yes);
        assert_eq!(ask(&[store(-3, true)], utc), Answer::Unknown);
        assert_eq!(ask(&[store(-24, true), store(-3, true)], utc), Answer::Yes);
        let with_offset = SourceTime::with_offset(at(0), 180);
        assert_eq!(ask(&[store(-3, true)], with_offset), Answer::Yes);
    }

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
            seen(reports, (&["volsnap".to_owned()], &[25, 36], ""), days, failure).answer
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
