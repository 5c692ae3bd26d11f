//! How long things are kept: the table `[retention]` of the settings file, in days.

use std::ops::RangeInclusive;

use fleetmend_core::limits;
use fleetmend_store::Keep;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How long things are kept, in days. The audit log is kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Reports, by the day received, and answers of probes about single things that are mended.
    pub reports_days: u32,
    /// Output of jobs that are over.
    pub job_log_days: u32,
    /// Incidents that are over, with their jobs; at least as long as reports.
    pub incidents_days: u32,
    /// Events of hosts: changes of their life, recoveries, gaps.
    pub events_days: u32,
    /// Items that were set aside.
    pub quarantine_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            reports_days: 90,
            job_log_days: 90,
            incidents_days: 400,
            events_days: 400,
            quarantine_days: 30,
        }
    }
}

/// An incident that comes back within its operation's window is linked to the one before it.
const INCIDENTS_AT_LEAST: u32 = 60;
const AT_LEAST: u32 = 7;
const AT_MOST: u32 = 3_650;

impl Retention {
    /// Checks every number.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let all = |least| least..=AT_MOST;
        let settings: [(&'static str, u32, RangeInclusive<u32>); 5] = [
            ("retention.reports_days", self.reports_days, all(AT_LEAST)),
            ("retention.job_log_days", self.job_log_days, all(AT_LEAST)),
            ("retention.incidents_days", self.incidents_days, all(INCIDENTS_AT_LEAST)),
            ("retention.events_days", self.events_days, all(AT_LEAST)),
            ("retention.quarantine_days", self.quarantine_days, all(AT_LEAST)),
        ];
        for (setting, days, allowed) in settings {
            if !allowed.contains(&days) {
                let why = format!("{days} days; from {} to {}", allowed.start(), allowed.end());
                return Err(ConfigError::Value { setting, why });
            }
        }
        if self.incidents_days < self.reports_days {
            let why = format!(
                "{} days, and reports_days is {}: an incident is kept at least as long as its reports",
                self.incidents_days, self.reports_days
            );
            return Err(ConfigError::Value { setting: "retention.incidents_days", why });
        }
        Ok(())
    }

    /// What the store is told.
    pub fn keep(&self) -> Keep {
        Keep {
            reports: self.reports_days,
            job_log: self.job_log_days,
            incidents: self.incidents_days,
            events: self.events_days,
            quarantine: self.quarantine_days,
            roll_up: limits::ROLL_UP_DAYS,
        }
    }
}
