//! What is too long: the tables `[overdue]` and `[transient]` of the settings file.

use std::time::Duration;

use fleetmend_core::limits;
use fleetmend_core::overdue::{LabelRule, Limit, OverdueRules, Thresholds};
use fleetmend_core::span::Span;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// After how long what was not done is overdue: a span such as `36h` or `7d`, or `off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverdueSettings {
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
    /// How often backups are planned: one that fails again within two such cycles came back.
    pub backup_every: Span,
    /// Others for hosts with a label; of several that fit, the later one holds.
    #[serde(rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverdueOverride>,
}

/// Other thresholds for the hosts with a label. What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverdueOverride {
    /// The label, `KEY=VALUE`.
    pub label: String,
    /// See [`OverdueSettings::scan`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<Limit>,
    /// See [`OverdueSettings::build`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Limit>,
    /// See [`OverdueSettings::backup`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Limit>,
    /// See [`OverdueSettings::reboot`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Limit>,
    /// See [`OverdueSettings::silent`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<Limit>,
    /// See [`OverdueSettings::backup_every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_every: Option<Span>,
}

/// When failures that go by themselves become an incident: after so many over so long a time,
/// without a success between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransientSettings {
    /// So many failures.
    pub failures: u32,
    /// From the first to the last of them.
    pub over: Span,
}

impl Default for TransientSettings {
    fn default() -> Self {
        Self { failures: 3, over: Span::hours(24) }
    }
}

impl Default for OverdueSettings {
    fn default() -> Self {
        let Thresholds { scan, build, backup, reboot, silent, backup_every } =
            Thresholds::default();
        Self { scan, build, backup, reboot, silent, backup_every, overrides: Vec::new() }
    }
}

const AT_LEAST: Duration = Duration::from_hours(1);
const AT_MOST: Duration = Duration::from_hours(24 * 3_650);
/// Overrides that are taken.
const OVERRIDES: usize = 1_000;

impl OverdueSettings {
    /// Checks every span and label.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { scan, build, backup, reboot, silent, backup_every, overrides } = self;
        let spans = [
            ("overdue.scan", Some(*scan)),
            ("overdue.build", Some(*build)),
            ("overdue.backup", Some(*backup)),
            ("overdue.reboot", Some(*reboot)),
            ("overdue.silent", Some(*silent)),
            ("overdue.backup_every", Some(Limit::After(*backup_every))),
        ];
        check_spans(&spans)?;
        if overrides.len() > OVERRIDES {
            let why = format!("{} of them; at most {OVERRIDES}", overrides.len());
            return Err(ConfigError::Value { setting: "overdue.override", why });
        }
        for one in overrides {
            if one.key_and_value().is_none() {
                let why = format!(
                    "\"{}\": write KEY=VALUE, such as role=server",
                    fleetmend_core::words::cut(&one.label, 80)
                );
                return Err(ConfigError::Value { setting: "overdue.override.label", why });
            }
            check_spans(&[
                ("overdue.override.scan", one.scan),
                ("overdue.override.build", one.build),
                ("overdue.override.backup", one.backup),
                ("overdue.override.reboot", one.reboot),
                ("overdue.override.silent", one.silent),
                ("overdue.override.backup_every", one.backup_every.map(Limit::After)),
            ])?;
        }
        Ok(())
    }

    /// What hosts are judged by.
    pub fn rules(&self) -> OverdueRules {
        let Self { scan, build, backup, reboot, silent, backup_every, .. } = *self;
        let usual = Thresholds { scan, build, backup, reboot, silent, backup_every };
        let by_label = self.overrides.iter().filter_map(|one| {
            let label = one.key_and_value()?;
            Some(LabelRule {
                label: (label.0.to_owned(), label.1.to_owned()),
                scan: one.scan,
                build: one.build,
                backup: one.backup,
                reboot: one.reboot,
                silent: one.silent,
                backup_every: one.backup_every,
            })
        });
        OverdueRules { usual, by_label: by_label.collect() }
    }
}

impl OverdueOverride {
    fn key_and_value(&self) -> Option<(&str, &str)> {
        self.label.split_once('=').filter(|(key, _)| !key.is_empty())
    }
}

impl TransientSettings {
    pub(super) fn check(self) -> Result<(), ConfigError> {
        if !(1..=1_000).contains(&self.failures) {
            let why = format!("{}; from 1 to 1000", self.failures);
            return Err(ConfigError::Value { setting: "transient.failures", why });
        }
        check_spans(&[("transient.over", Some(Limit::After(self.over)))])
    }
}

fn check_spans(spans: &[(&'static str, Option<Limit>)]) -> Result<(), ConfigError> {
    for (setting, limit) in spans {
        // A host is stale after a quarter of an hour: an incident comes no sooner.
        let least = if setting.ends_with("silent") { limits::SILENT_AFTER } else { AT_LEAST };
        let span = limit.and_then(Limit::duration);
        if span.is_some_and(|span| span < least || span > AT_MOST) {
            let least = least.as_secs() / 60;
            let why = format!(
                "{}; from {least}m to 3650d, or off where it may be off",
                limit.map(|l| l.to_string()).unwrap_or_default()
            );
            return Err(ConfigError::Value { setting, why });
        }
    }
    Ok(())
}
