//! What another catalogue would make of incidents whose evidence is known. Pure: the same evidence is
//! judged twice, and what differs is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::efficacy::Efficacy;
use crate::evidence::Evidence;
use crate::host::OsFamily;
use crate::knowledge::{Catalogue, Risk};
use crate::plan::{Ask, Tried, plan_for};
use crate::report::IncidentKey;
use crate::triage::{Certainty, triage};
use crate::update_class::UpdateClass;
use crate::words;
use crate::words::Slug;

/// Incidents named as examples of one change.
const EXAMPLES: usize = 3;

/// An incident as it is judged: all that triage and plan look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What fails.
    pub key: IncidentKey,
    /// The kind of update.
    pub update_class: Option<UpdateClass>,
    /// The host's system.
    pub os: OsFamily,
    /// Its build.
    pub build: String,
    /// What is known of the host.
    pub evidence: Vec<Evidence>,
    /// Remediations that were tried in it, with what was known then.
    pub tried: Vec<Tried>,
}

/// What a catalogue makes of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The leading cause; `None` for *other*.
    pub cause: Option<Slug>,
    /// How sure it is.
    pub certainty: Certainty,
    /// What an agent would do next within the risk; `None` for nothing.
    pub next: Option<Slug>,
}

impl Judged {
    /// Judges a case by a catalogue, and plans within a risk as the product does: on the evidence and
    /// after what was tried. What the fleet has counted of remediations is left out, so that only the
    /// catalogues differ; restarts are allowed.
    pub fn new(catalogue: &Catalogue, case: &Case, allowed: Risk) -> Self {
        let verdict = triage(catalogue, &case.key, case.update_class, &case.evidence);
        let ask = Ask {
            os: case.os,
            build: &case.build,
            allowed,
            restarts: true,
            subject: case.key.subject.as_deref(),
            evidence: &case.evidence,
            tried: &case.tried,
            efficacy: &Efficacy::default(),
        };
        let plan = plan_for(catalogue, &verdict, &ask);
        let first = verdict.causes.first();
        Self {
            cause: first.and_then(|cause| cause.cause.clone()),
            certainty: first.map_or(Certainty::Possible, |cause| cause.certainty),
            next: plan.next().map(|step| step.remediation.clone()),
        }
    }
}

words! {
    /// What a catalogue changes about incidents.
    pub enum ChangeKind ("change") {
        /// Another cause leads.
        FirstCause = "first_cause",
        /// The leading cause is confirmed now, or is not any more.
        Confirmed = "confirmed",
        /// Another remediation comes next.
        Plan = "plan",
    }
}

/// One change, and how many incidents it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What changes.
    pub kind: ChangeKind,
    /// What it is now, in a word; *other* and *nothing* for none.
    pub from: String,
    /// What it would be.
    pub to: String,
    /// How many incidents.
    pub incidents: u64,
    /// Some of them.
    pub examples: Vec<String>,
}

/// Counts what differs between two catalogues, incident by incident.
#[derive(Debug, Clone, Default)]
pub struct Backtest {
    /// Incidents compared.
    pub incidents: u64,
    /// Those of which anything changes.
    pub changed: u64,
    changes: BTreeMap<(ChangeKind, String, String), (u64, Vec<String>)>,
}

impl Backtest {
    /// Compares what is made of one incident, which is shown as `name`.
    pub fn compare(&mut self, name: &str, before: &Judged, after: &Judged) {
        let other = |cause: &Option<Slug>| cause.as_ref().map_or("other", Slug::as_str).to_owned();
        let nothing =
            |next: &Option<Slug>| next.as_ref().map_or("nothing", Slug::as_str).to_owned();
        let confirmed = |judged: &Judged| judged.certainty == Certainty::Confirmed;
        let said = |judged: &Judged| {
            let word = if confirmed(judged) { "confirmed" } else { "not confirmed" };
            format!("{} {word}", other(&judged.cause))
        };
        self.incidents += 1;
        let mut any = false;
        let mut note = |differs: bool, kind, from: String, to: String| {
            if !differs {
                return;
            }
            any = true;
            let (count, examples) = self.changes.entry((kind, from, to)).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push(name.to_owned());
            }
        };
        note(
            before.cause != after.cause,
            ChangeKind::FirstCause,
            other(&before.cause),
            other(&after.cause),
        );
        note(
            confirmed(before) != confirmed(after),
            ChangeKind::Confirmed,
            said(before),
            said(after),
        );
        note(
            before.next != after.next,
            ChangeKind::Plan,
            nothing(&before.next),
            nothing(&after.next),
        );
        self.changed += u64::from(any);
    }

    /// The changes: by kind, those of most incidents first.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = self
            .changes
            .iter()
            .map(|((kind, from, to), (incidents, examples))| Change {
                kind: *kind,
                from: from.clone(),
                to: to.clone(),
                incidents: *incidents,
                examples: examples.clone(),
            })
            .collect();
        changes.sort_by_key(|change| (change.kind, std::cmp::Reverse(change.incidents)));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(cause: &str, certainty: Certainty, next: Option<&str>) -> Judged {
        let slug = |text: &str| text.parse().expect("a slug");
        Judged { cause: Some(slug(cause)), certainty, next: next.map(slug) }
    }

    #[test]
    fn what_differs_is_counted_with_examples_and_nothing_else() {
        let before = judged("a", Certainty::Confirmed, Some("x"));
        let mut test = Backtest::default();
        test.compare("same", &before, &before);
        assert!(test.changes().is_empty());
        for n in 0..5 {
            let after = judged("b", Certainty::Confirmed, Some("x"));
            test.compare(&format!("i{n}"), &before, &after);
        }
        let after = Judged { cause: None, certainty: Certainty::Likely, next: None };
        test.compare("last", &before, &after);
        let told: Vec<_> = test
            .changes()
            .into_iter()
            .map(|c| (c.kind, c.from, c.to, c.incidents, c.examples.len()))
            .collect();
        let line = |kind, from: &str, to: &str, n, examples| {
            (kind, from.to_owned(), to.to_owned(), n, examples)
        };
        assert_eq!(
            told,
            [
                line(ChangeKind::FirstCause, "a", "b", 5, 3),
                line(ChangeKind::FirstCause, "a", "other", 1, 1),
                line(ChangeKind::Confirmed, "a confirmed", "other not confirmed", 1, 1),
                line(ChangeKind::Plan, "x", "nothing", 1, 1),
            ]
        );
        assert_eq!((test.incidents, test.changed), (7, 6));
    }
}
