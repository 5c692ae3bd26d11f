//! Answers for a folder of copied logs: what the logs themselves say, and *unknown* for the rest.
//! The machine that reads the logs is never asked: it is not the one that failed.

use fleetmend_core::code::FailureCode;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::knowledge::Probe;
use fleetmend_core::probe::Question;
use fleetmend_core::report::{FailureReport, Kind, Source};
use fleetmend_core::time::Timestamp;

use super::{evidence, words};

/// What a folder of logs holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Folder<'a> {
    /// All failures found in it.
    pub reports: &'a [FailureReport],
    /// The kinds of source found in it.
    pub sources: &'a [Source],
}

/// Answers one probe from the logs alone.
pub fn answer(
    folder: Folder<'_>,
    probe: &Probe,
    failure: &FailureReport,
    now: Timestamp,
    random: [u8; 10],
) -> Evidence {
    evidence(find(folder, &probe.question, failure), probe, now, random)
}

fn find(folder: Folder<'_>, question: &Question, failure: &FailureReport) -> Finding {
    match question {
        Question::StoreDamaged => {
            said(folder, &["servicing.store_corrupt", "servicing.sfc_unrepairable"])
        }
        Question::SfcUnrepairable => said(folder, &["servicing.sfc_unrepairable"]),
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

/// Whether CBS.log tells of damage; *no* only where a CBS.log was read.
fn said(folder: Folder<'_>, slugs: &[&str]) -> Finding {
    let tells = |r: &&FailureReport| {
        r.kind == Kind::Failure
            && matches!(&r.code, Some(FailureCode::Slug(s)) if slugs.contains(&s.as_str()))
    };
    if let Some(report) = folder.reports.iter().rev().find(tells) {
        let code = report.code.as_ref().map(FailureCode::to_string).unwrap_or_default();
        let count = report.count.map(|n| format!(" ({n})")).unwrap_or_default();
        let proof = format!("{code}{count} at {}: {}", report.time, words(&report.message));
        return Finding::new(Answer::Yes, proof);
    }
    if folder.sources.contains(&Source::Cbs) {
        Finding::new(Answer::No, "CBS.log tells of none")
    } else {
        Finding::unknown("there is no CBS.log among the logs")
    }
}
