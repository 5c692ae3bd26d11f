//! Where collectors put what they find: kind and symbol come from the catalogue, everything is
//! bounded, and what goes over a bound is counted.

use std::collections::BTreeMap;

use fleetmend_core::code::FailureCode;
use fleetmend_core::knowledge::{Binding, Catalogue};
use fleetmend_core::limits;
use fleetmend_core::report::{
    FailureReport, IncidentKey, Kind, Operation, Product, Recovery, Source,
};
use fleetmend_core::time::SourceTime;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::{Slug, cut};

use super::names::Names;
use super::{Collected, StoreLook};

/// Failures kept of one file.
pub const REPORTS_PER_FILE: usize = 100_000;
/// Kinds of recovery kept of one file.
const RECOVERIES_PER_FILE: usize = 4_096;
/// Looks at the component store kept of one file.
const LOOKS_PER_FILE: usize = 4_096;

/// A failure as a collector saw it, before the catalogue is asked.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What failed.
    pub product: Product,
    /// What it was doing.
    pub operation: Operation,
    /// Its code.
    pub code: Option<FailureCode>,
    /// What it was about.
    pub subject: Option<String>,
    /// When.
    pub time: SourceTime,
    /// The kind of source.
    pub source: Source,
    /// Provider, event id and record id, for event files.
    pub event: Option<(String, u32, u64)>,
    /// The physical line, for text logs.
    pub line: Option<u64>,
    /// How many things are concerned.
    pub count: Option<u64>,
    /// What kind of update it is about.
    pub update_class: Option<UpdateClass>,
    /// The source's own words.
    pub message: String,
}

impl Draft {
    /// The report it makes.
    pub fn finish(self, catalogue: &Catalogue) -> FailureReport {
        let (provider, event_id, record_id) =
            self.event.map_or((None, None, None), |(p, e, r)| (Some(p), Some(e), Some(r)));
        FailureReport {
            symbol: catalogue.symbol_of(self.code.as_ref()),
            kind: catalogue.kind_of(self.code.as_ref()),
            product: self.product,
            operation: self.operation,
            code: self.code,
            subject: self.subject.map(|s| cut(&s, limits::SUBJECT_BYTES).to_owned()),
            time: self.time,
            source: self.source,
            provider,
            event_id,
            record_id,
            line: self.line,
            count: self.count,
            update_class: self.update_class,
            message: cut(&self.message, limits::REPORT_MESSAGE_BYTES).to_owned(),
        }
    }
}

/// A success that ends failures before it, as its source wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What it ends; a `None` code or subject means any.
    pub key: IncidentKey,
    /// When.
    pub time: SourceTime,
    /// What was seen.
    pub message: String,
}

impl Recovered {
    /// With its moment in UTC, by the host's own offset (minutes east).
    pub fn into_recovery(self, local_offset: i16) -> Recovery {
        let message = cut(&self.message, limits::REPORT_MESSAGE_BYTES).to_owned();
        Recovery { key: self.key, at: self.time.to_timestamp(local_offset), message }
    }
}

/// Takes what a collector finds in one file.
#[derive(Debug)]
pub struct Sink<'c> {
    catalogue: &'c Catalogue,
    reports: Vec<FailureReport>,
    /// The latest success of each key: an earlier one says nothing more.
    recovered: BTreeMap<IncidentKey, Recovered>,
    /// What updates are called.
    pub(super) names: Names,
    looks: Vec<StoreLook>,
    dropped: u64,
}

impl<'c> Sink<'c> {
    /// An empty one.
    pub fn new(catalogue: &'c Catalogue) -> Self {
        Self {
            catalogue,
            reports: Vec::new(),
            recovered: BTreeMap::new(),
            names: Names::default(),
            looks: Vec::new(),
            dropped: 0,
        }
    }

    /// Whether the catalogue says what is behind this code in this context.
    pub fn binds(&self, product: Product, operation: Operation, code: &FailureCode) -> bool {
        let fits = |b: &Binding| {
            b.product == product
                && b.code.as_ref() == Some(code)
                && b.operation.is_none_or(|own| own == operation)
        };
        self.catalogue.bindings.iter().any(fits)
    }

    /// Takes a failure; gives the kind the catalogue calls it.
    pub fn failure(&mut self, draft: Draft) -> Kind {
        self.keep(draft.finish(self.catalogue))
    }

    /// Takes a failure that is one whatever the catalogue calls its code when it says *benign*.
    pub fn failure_even_if_benign(&mut self, draft: Draft) -> Kind {
        let mut report = draft.finish(self.catalogue);
        if report.kind == Kind::Benign {
            report.kind = Kind::Failure;
        }
        self.keep(report)
    }

    /// Takes an operation that somebody stopped, whatever the catalogue calls its code.
    pub fn cancelled(&mut self, draft: Draft) {
        let mut report = draft.finish(self.catalogue);
        report.kind = Kind::Cancelled;
        self.keep(report);
    }

    /// Takes a success.
    pub fn success(&mut self, recovered: Recovered) {
        if self.recovered.len() < RECOVERIES_PER_FILE || self.recovered.contains_key(&recovered.key)
        {
            self.recovered.insert(recovered.key.clone(), recovered);
        }
    }

    /// Takes a look at the component store.
    pub fn look(&mut self, look: StoreLook) {
        if self.looks.len() < LOOKS_PER_FILE {
            self.looks.push(look);
        } else {
            self.dropped += 1;
        }
    }

    /// Counts something passed over because a bound was reached.
    pub fn dropped(&mut self) {
        self.dropped += 1;
    }

    /// What was found in a file of this kind.
    pub(super) fn collected(mut self, source: Source, bytes: u64, damaged: u64) -> Collected {
        let (names, updates) = std::mem::take(&mut self.names).finish();
        let looks = std::mem::take(&mut self.looks);
        let (reports, recovered, dropped) = self.finish();
        Collected {
            source: Some(source),
            reports,
            recovered,
            looks,
            names,
            updates,
            bytes,
            damaged,
            dropped,
        }
    }

    /// What was found: failures by their place in the file, latest successes, things dropped.
    pub fn finish(mut self) -> (Vec<FailureReport>, Vec<Recovered>, u64) {
        // Stable: event files have no lines and keep their order.
        self.reports.sort_by_key(|r| r.line);
        (self.reports, self.recovered.into_values().collect(), self.dropped)
    }

    fn keep(&mut self, report: FailureReport) -> Kind {
        let kind = report.kind;
        if self.reports.len() < REPORTS_PER_FILE {
            self.reports.push(report);
        } else {
            self.dropped += 1;
        }
        kind
    }
}

/// A slug of ours as a code. The names given here are constants that are checked by a test.
pub fn slug(name: &'static str) -> Option<FailureCode> {
    Slug::new(name).ok().map(FailureCode::Slug)
}
