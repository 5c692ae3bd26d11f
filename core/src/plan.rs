//! Planning: which remediations to try for a verdict, in which order, and why.

use serde::{Deserialize, Serialize};

use crate::knowledge::{RebootNeed, Risk};
use crate::step::Undo;
use crate::words::Slug;

/// One remediation of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
    /// The cause it is against.
    pub cause: Slug,
    /// The chance that it cures, 0 to 1.
    pub chance: f64,
    /// What it costs, in minutes' worth.
    pub cost: f64,
    /// Its risk.
    pub risk: Risk,
    /// Whether it restarts the host.
    pub reboot: RebootNeed,
    /// How far it can be taken back.
    pub undo: Undo,
    /// Whether it would be done under the allowed risk; else it is listed and why not is told.
    pub allowed: bool,
    /// Why it stands where it stands, in English words.
    pub reason: String,
}

/// The ordered remediations for one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Plan {
    /// Best first; those not allowed after those that are.
    pub steps: Vec<PlannedStep>,
}

impl Plan {
    /// The first remediation that an agent can run within the allowed risk.
    pub fn next(&self) -> Option<&PlannedStep> {
        self.steps.iter().find(|s| s.allowed)
    }
}
