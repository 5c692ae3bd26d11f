//! How long is too long: for every host, and for hosts with a label.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::Labels;
use crate::span::{BadSpan, Span};

/// A threshold: a span of time, or *off*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Limit {
    /// Never overdue.
    Off,
    /// Overdue after this.
    After(Span),
}

impl Limit {
    /// The span; `None` where it is off.
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::After(span) => Some(span.duration()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::After(span) => span.fmt(f),
        }
    }
}

impl FromStr for Limit {
    type Err = BadSpan;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::After) }
    }
}

impl TryFrom<String> for Limit {
    type Error = BadSpan;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

/// How long is too long for one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Since the last successful search for updates.
    pub scan: Limit,
    /// Since a newer build of the same Windows was first seen in the fleet.
    pub build: Limit,
    /// Since the last successful backup.
    pub backup: Limit,
    /// Since a restart is awaited.
    pub reboot: Limit,
    /// Since the host was last heard of.
    pub silent: Limit,
    /// How often a backup is planned: one that fails again within two such cycles *recurred*.
    pub backup_every: Span,
}

impl Default for Thresholds {
    /// Windows searches for updates daily, its Backup runs weekly, and updates come monthly.
    fn default() -> Self {
        Self {
            scan: Limit::After(Span::days(7)),
            build: Limit::After(Span::days(35)),
            backup: Limit::After(Span::days(8)),
            reboot: Limit::After(Span::days(7)),
            silent: Limit::After(Span::days(3)),
            backup_every: Span::days(7),
        }
    }
}

/// Other thresholds for the hosts with a label; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRule {
    /// The label: key and value.
    pub label: (String, String),
    /// See [`Thresholds::scan`].
    pub scan: Option<Limit>,
    /// See [`Thresholds::build`].
    pub build: Option<Limit>,
    /// See [`Thresholds::backup`].
    pub backup: Option<Limit>,
    /// See [`Thresholds::reboot`].
    pub reboot: Option<Limit>,
    /// See [`Thresholds::silent`].
    pub silent: Option<Limit>,
    /// See [`Thresholds::backup_every`].
    pub backup_every: Option<Span>,
}

/// The thresholds of all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct OverdueRules {
    /// Where no label says otherwise.
    pub usual: Thresholds,
    /// By label; of several that fit, the later one holds.
    pub by_label: Vec<LabelRule>,
}

impl OverdueRules {
    /// The thresholds of a host with these labels.
    pub fn of(&self, labels: &Labels) -> Thresholds {
        let fits = |rule: &&LabelRule| labels.get(&rule.label.0) == Some(&rule.label.1);
        let mut limits = self.usual;
        for rule in self.by_label.iter().filter(fits) {
            limits.scan = rule.scan.unwrap_or(limits.scan);
            limits.build = rule.build.unwrap_or(limits.build);
            limits.backup = rule.backup.unwrap_or(limits.backup);
            limits.reboot = rule.reboot.unwrap_or(limits.reboot);
            limits.silent = rule.silent.unwrap_or(limits.silent);
            limits.backup_every = rule.backup_every.unwrap_or(limits.backup_every);
        }
        limits
    }
}
