//! What is wrong with a definition, by field: said at creation, never found out while it runs.

mod remedy;
mod selector;
mod waves;
mod when;

#[cfg(test)]
mod tests;

pub(super) use self::waves::UNPROVEN_CANARY;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::definition::{Definition, Pace};
use crate::knowledge::Catalogue;
use crate::limits;
use crate::span::Span;

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The field, as it is written: `waves[1].share`.
    pub field: String,
    /// What is wrong with it.
    pub text: String,
    /// What puts it right.
    pub remedy: String,
}

impl Definition {
    /// All that is wrong with it; nothing where it may be kept and run.
    pub fn validate(&self, catalogue: &Catalogue) -> Vec<Problem> {
        let mut found = Found::default();
        self.check_words(&mut found);
        self.check_selector(catalogue, &mut found);
        self.check_remedy(catalogue, &mut found);
        self.check_when(&mut found);
        self.check_waves(catalogue, &mut found);
        self.check_thresholds(&mut found);
        self.check_gate(&mut found);
        self.check_pace(&mut found);
        found.0
    }

    /// SHA-256 over its canonical JSON, in lower-case hex: what an approval binds.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(Sha256::digest(json))
    }

    fn check_words(&self, found: &mut Found) {
        found.words("name", &self.name, limits::CAMPAIGN_NAME_CHARS);
        found.words("reason", &self.reason, limits::CAMPAIGN_REASON_CHARS);
        if let Some(change) = &self.change {
            found.words("change", change, limits::CHANGE_CHARS);
        }
        if let Some(name) = &self.standard_change {
            found.words("standard_change", name, limits::CHANGE_CHARS);
        }
        if let Some(hosts) = self.max_hosts {
            found.within("max_hosts", hosts, 1, limits::CAMPAIGN_HOSTS);
        }
    }

    fn check_gate(&self, found: &mut Found) {
        let gate = &self.gate;
        found.within("gate.success_percent", u32::from(gate.success_percent), 1, 100);
        found.within("gate.least_sample", gate.least_sample, 1, limits::CAMPAIGN_HOSTS);
        found.span("gate.soak", gate.soak, Span::hours(0), limits::SOAK);
    }

    fn check_pace(&self, found: &mut Found) {
        let Pace { at_once, per_minute, site_label, per_site, network_per_site, group_label } =
            &self.pace;
        found.within("pace.at_once", *at_once, 1, limits::CAMPAIGN_AT_ONCE);
        if let Some(jobs) = per_minute {
            found.within("pace.per_minute", *jobs, 1, limits::CAMPAIGN_AT_ONCE);
        }
        if let Some(jobs) = per_site {
            found.within("pace.per_site", *jobs, 1, limits::CAMPAIGN_AT_ONCE);
        }
        found.within("pace.network_per_site", *network_per_site, 1, limits::CAMPAIGN_AT_ONCE);
        found.label("pace.site_label", site_label);
        if let Some(label) = group_label {
            found.label("pace.group_label", label);
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(
        &mut self,
        field: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.0.push(Problem { field: field.into(), text: text.into(), remedy: remedy.into() });
    }

    fn within(&mut self, field: &str, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            let remedy = format!("write a number from {least} to {most}");
            self.add(field, format!("{value} is out of bounds"), remedy);
        }
    }

    fn span(&mut self, field: &str, value: Span, least: Span, most: Span) {
        if !(least..=most).contains(&value) {
            let remedy = format!("write a span from {least} to {most}");
            self.add(field, format!("{value} is out of bounds"), remedy);
        }
    }

    fn at_most(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.add(field, format!("{count} entries are too many"), format!("at most {most}"));
        }
    }

    /// A text for people: there, not too long, on one line.
    fn words(&mut self, field: &str, text: &str, most: usize) {
        let remedy = || format!("write 1 to {most} characters on one line");
        let length = text.chars().count();
        if text.trim().is_empty() {
            self.add(field, "it is empty", remedy());
        } else if length > most {
            self.add(field, format!("it has {length} characters"), remedy());
        } else if text.chars().any(char::is_control) {
            self.add(field, "it has control characters", remedy());
        }
    }

    /// A label's key or value.
    fn label(&mut self, field: impl Into<String>, text: &str) {
        let fits = !text.trim().is_empty()
            && text.len() <= limits::LABEL_BYTES
            && !text.chars().any(char::is_control);
        if !fits {
            let shown: String = text.chars().take(80).collect();
            let remedy = format!("write 1 to {} bytes", limits::LABEL_BYTES);
            self.add(field, format!("\"{shown}\" is no label's key or value"), remedy);
        }
    }

    fn labels(&mut self, field: &str, labels: &crate::host::Labels) {
        self.at_most(field, labels.len(), limits::LABELS_PER_HOST);
        for (key, value) in labels.iter().take(limits::LABELS_PER_HOST) {
            self.label(format!("{field}.{key:.80}"), key);
            self.label(format!("{field}.{key:.80}"), value);
        }
    }

    /// A text that is read as something: takes over what its reader says.
    fn read<T>(
        &mut self,
        field: impl Into<String>,
        read: Result<T, super::calendar::BadExpression>,
    ) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(bad) => {
                let text = format!("\"{}\" is no {}", bad.text, bad.what);
                self.add(field, text, format!("write {}", bad.accepted));
                None
            }
        }
    }
}
