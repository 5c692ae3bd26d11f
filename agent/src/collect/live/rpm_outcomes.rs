//! How past runs of dnf and zypper ended, by their logs; each once.

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Product, Recovery, Source};
use fleetmend_core::time::Timestamp;

use super::dnf_logs::{self, Ended, Why};
use super::{Live, Observed, zypper_logs};
use crate::collect::draft::{Draft, slug};

impl Live {
    /// Reads what was added to the logs.
    pub(super) fn rpm_outcomes(&mut self, now: Timestamp, observed: &mut Observed) {
        for log in ["var/log/dnf.log", "var/log/dnf5.log"] {
            if let Some((runs, _)) = self.added_to(log, dnf_logs::runs, observed) {
                for run in runs {
                    self.ended(run, Product::Dnf, now, observed);
                }
            }
        }
        let zone = self.zone.clone();
        let read = |text: &[u8]| zypper_logs::runs(text, |wall| zone.source_time(wall));
        if let Some((runs, _)) = self.added_to("var/log/zypper.log", read, observed) {
            for run in runs {
                self.ended(run, Product::Zypper, now, observed);
            }
        }
    }

    fn ended(&self, run: Ended, product: Product, now: Timestamp, observed: &mut Observed) {
        let at = run.at.to_timestamp(0);
        if at < now.before(self.first_look) {
            return;
        }
        if run.failure.is_some() {
            observed.failures.push(draft(run, product, None).finish(self.catalogue));
            return;
        }
        let key = IncidentKey { product, operation: run.operation, code: None, subject: None };
        // The latest says it all.
        observed.recoveries.retain(|r| r.key != key);
        observed.recoveries.push(Recovery { key, at, message: run.words });
    }
}

/// A run that failed, as a collector tells it.
pub(crate) fn draft(run: Ended, product: Product, subject: Option<String>) -> Draft {
    let code = match run.failure {
        Some(Why::Slug(name)) => slug(name),
        Some(Why::Exit(status)) => Some(FailureCode::Exit(status)),
        None => None,
    };
    Draft {
        product,
        operation: run.operation,
        code,
        subject,
        time: run.at,
        source: if product == Product::Zypper { Source::Zypper } else { Source::Dnf },
        event: None,
        line: None,
        count: None,
        update_class: None,
        message: run.words,
    }
}
