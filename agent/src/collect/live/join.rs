//! One failure of an update that several logs of Windows tell is one failure: told once, by one name.
//!
//! The update client writes an event with the update's title, a row of ReportingEvents.log and lines of
//! WindowsUpdate.log with its identifier. What an identifier stands for is learned from those that tell
//! both. Two findings are of one failure where operation, code and update are the same, they are of two
//! files, and their own times are near; when they are *seen* does not matter: a row may be written, and
//! read, long after the event. Of one file each finding is a failure of its own.

use fleetmend_core::report::{FailureReport, Operation, Product, Recovery, Source};
use serde::{Deserialize, Serialize};

use super::files::words_digest;
use crate::collect::names::{Named, identifier};

/// The times of one failure in two files are at most this far apart: WindowsUpdate.log tells of the end
/// of an update's handler, the others of the client's.
const NEAR_MS: i64 = 120_000;
/// Names that are remembered, and failures told.
const NAMES: usize = 256;
const TOLD: usize = 256;
/// Failures told that one new finding is compared with.
const COMPARED: usize = 4_096;

/// What is remembered between looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Joined {
    /// The latest last.
    names: Vec<Update>,
    /// By their own times.
    told: Vec<Told>,
}

/// What an update is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    id: String,
    product: Product,
    name: String,
    /// It failed before its name was known, and was told by its identifier: it stays with that, or it
    /// would be two incidents.
    by_id: bool,
}

/// A failure that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    what: u64,
    at: i64,
    /// The files that it was found in, by their places in the list of files.
    files: u64,
}

/// A new finding.
#[derive(Debug)]
pub(super) struct New {
    /// The place of its file in the list of files.
    pub(super) file: usize,
    pub(super) report: FailureReport,
    /// The identifier of the event's update.
    pub(super) update: Option<String>,
}

impl Joined {
    /// Takes what names were told.
    pub(super) fn learn(&mut self, names: Vec<Named>) {
        for Named { id, product, name } in names {
            let known = self.names.iter().position(|known| known.id == id);
            let by_id = known.is_some_and(|at| self.names.remove(at).by_id);
            self.names.push(Update { id, product, name, by_id });
        }
    }

    /// The failures among the findings of one look, by the names they are told under; in their order.
    pub(super) fn failures(&mut self, found: Vec<New>, local_offset: i16) -> Vec<FailureReport> {
        let mut order: Vec<usize> = (0..found.len()).collect();
        // Of several findings of one failure the one that says most is told.
        order.sort_by_key(|n| match found[*n].report.source {
            Source::Evtx => 0,
            Source::ReportingEvents => 1,
            _ => 2,
        });
        let mut found: Vec<Option<New>> = found.into_iter().map(Some).collect();
        let mut failures: Vec<(usize, FailureReport)> = Vec::with_capacity(found.len());
        for n in order {
            let Some(mut new) = found[n].take() else { continue };
            if !is_of_updates(&new.report) {
                failures.push((n, new.report));
                continue;
            }
            self.call(&mut new);
            let at = new.report.time.to_timestamp(local_offset).as_millis();
            if !self.is_told(what(&new.report), at, 1 << (new.file % 64)) {
                failures.push((n, new.report));
            }
        }
        self.trim();
        failures.sort_unstable_by_key(|(n, _)| *n);
        failures.into_iter().map(|(_, report)| report).collect()
    }

    /// What a success ends, by the names that its failures were told under.
    pub(super) fn recovered(&self, mut recovery: Recovery) -> Vec<Recovery> {
        let key = &mut recovery.key;
        let Some(subject) = key.subject.clone().filter(|_| is_updates(key.product)) else {
            return vec![recovery];
        };
        if let Some(known) = identifier(&subject).and_then(|id| self.named(&id)) {
            (key.product, key.subject) = (known.product, Some(known.name.clone()));
        }
        let same = |name: &&Update| {
            name.by_id && name.product == key.product && key.subject.as_ref() == Some(&name.name)
        };
        let by_id: Vec<String> = self.names.iter().filter(same).map(|n| n.id.clone()).collect();
        let told_by_id = by_id.into_iter().map(|id| {
            let mut other = recovery.clone();
            (other.key.product, other.key.subject) = (Product::WindowsUpdate, Some(id));
            other
        });
        let others: Vec<Recovery> = told_by_id.filter(|other| other.key != recovery.key).collect();
        others.into_iter().chain([recovery]).collect()
    }

    fn named(&self, id: &str) -> Option<&Update> {
        self.names.iter().rev().find(|name| name.id == id)
    }

    /// Gives a finding the name of its update.
    fn call(&mut self, new: &mut New) {
        let own = new.report.subject.as_deref().and_then(identifier);
        let Some(id) = new.update.take().or_else(|| own.clone()) else { return };
        let report = &mut new.report;
        match self.named(&id) {
            Some(name) if name.by_id => {
                (report.product, report.subject) = (Product::WindowsUpdate, Some(id));
            }
            Some(name) => {
                (report.product, report.subject) = (name.product, Some(name.name.clone()));
            }
            None if own.is_some() => {
                let (product, name) = (Product::WindowsUpdate, id.clone());
                self.names.push(Update { id: id.clone(), product, name, by_id: true });
                report.subject = Some(id);
            }
            None => {}
        }
    }

    /// Whether this was told by another file; else it is told now.
    fn is_told(&mut self, what: u64, at: i64, file: u64) -> bool {
        let from = self.told.partition_point(|told| told.at < at.saturating_sub(NEAR_MS));
        let near = self.told[from..].iter().enumerate().take(COMPARED);
        let near = near.take_while(|(_, told)| told.at <= at.saturating_add(NEAR_MS));
        let other = near
            .filter(|(_, told)| told.what == what && told.files & file == 0)
            .min_by_key(|(_, told)| told.at.abs_diff(at))
            .map(|(n, _)| from + n);
        if let Some(n) = other {
            self.told[n].files |= file;
            return true;
        }
        if self.told.len() >= 4 * COMPARED {
            self.told.drain(..COMPARED);
        }
        let place = self.told.partition_point(|told| told.at <= at);
        self.told.insert(place, Told { what, at, files: file });
        false
    }

    fn trim(&mut self) {
        self.names.drain(..self.names.len().saturating_sub(NAMES));
        self.told.drain(..self.told.len().saturating_sub(TOLD));
    }
}

/// What tells a failed update from others, whenever it failed.
fn what(report: &FailureReport) -> u64 {
    let code = report.code.as_ref().map(ToString::to_string).unwrap_or_default();
    let subject = report.subject.as_deref().unwrap_or_default();
    words_digest(&[report.product.as_str(), report.operation.as_str(), &code, subject])
}

/// Whether a report is of the update client; what it was doing must be known to be the same.
fn is_of_updates(report: &FailureReport) -> bool {
    let told_by = [Source::Evtx, Source::ReportingEvents, Source::WindowsUpdate];
    is_updates(report.product)
        && told_by.contains(&report.source)
        && report.operation != Operation::Other
}

const fn is_updates(product: Product) -> bool {
    matches!(product, Product::WindowsUpdate | Product::StoreApps)
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
