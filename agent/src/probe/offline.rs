//! Answers for a folder of copied logs: what the logs themselves say, and *unknown* for the rest.
//! The machine that reads the logs is never asked: it is not the one that failed.

use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::knowledge::Probe;
use fleetmend_core::probe::Question;
use fleetmend_core::report::{FailureReport, Kind, Source};
use fleetmend_core::time::Timestamp;

use super::{About, evidence, words};

/// How far apart damage and failure may lie to be about one machine's one trouble: 30 days.
const NEAR_MS: i64 = 30 * 86_400_000;

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
