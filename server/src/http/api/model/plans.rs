//! Plans: what could be done, and what cannot be undone.

use fleetmend_core::knowledge::{Catalogue, Lang};
use serde::Serialize;
use utoipa::ToSchema;

use super::round;

/// The remediations that fit an incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlanView {
    /// The highest risk that was allowed.
    pub(crate) max_risk: &'static str,
    /// Best first; those not allowed after those that are.
    pub(crate) steps: Vec<PlannedView>,
}

/// One remediation of a plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlannedView {
    /// Its name in the catalogue.
    pub(crate) remediation: String,
    /// Its name for people.
    pub(crate) name: String,
    /// What it does and what it does not.
    pub(crate) explanation: String,
    /// Its version.
    pub(crate) version: u32,
    /// The cause it is against.
    pub(crate) cause: String,
    /// The chance that it cures, 0 to 1.
    pub(crate) chance: f64,
    /// What was counted of it in this fleet: "cured 41 of 50 here".
    pub(crate) counted: Option<String>,
    /// What it costs, in minutes' worth.
    pub(crate) cost: f64,
    /// safe, disruptive, dangerous, guided or refused.
    pub(crate) risk: &'static str,
    /// never, maybe or always.
    pub(crate) reboot: &'static str,
    /// exact, compensating or none.
    pub(crate) undo: &'static str,
    /// Whether it would be done under the allowed risk.
    pub(crate) allowed: bool,
    /// Why it stands where it stands.
    pub(crate) reason: String,
    /// The same in a form that can be told in any language.
    pub(crate) reason_coded: Option<super::ReasonView>,
    /// Its steps, in order and in words.
    pub(crate) does: Vec<String>,
    /// Those of its steps that cannot be taken back.
    pub(crate) cannot_be_undone: Vec<String>,
    /// What a person does, or why it is never done and what is better.
    pub(crate) guide: Vec<String>,
    /// How the fix is proved.
    pub(crate) verification: &'static str,
    /// Whether it has not yet run on a real system of its kind.
    pub(crate) unproven: bool,
}

impl PlannedView {
    /// From a planned step, with what the catalogue says of it in a language.
    pub(crate) fn new(
        step: &fleetmend_core::plan::PlannedStep,
        catalogue: &Catalogue,
        lang: Lang,
    ) -> Self {
        let entry = catalogue.remediations.get(&step.remediation);
        let titles = |only_final: bool| -> Vec<String> {
            let steps = entry.map_or(&[][..], |r| &r.steps[..]);
            steps
                .iter()
                .filter(|s| !only_final || s.action.undo() == fleetmend_core::step::Undo::None)
                .map(|s| s.action.title())
                .collect()
        };
        Self {
            remediation: step.remediation.to_string(),
            name: entry
                .map_or_else(|| step.remediation.to_string(), |r| r.name.get(lang).to_owned()),
            explanation: entry.map(|r| r.explanation.get(lang).to_owned()).unwrap_or_default(),
            version: step.version,
            cause: step.cause.to_string(),
            chance: round(step.chance),
            counted: step.counted.clone(),
            cost: round(step.cost),
            risk: step.risk.as_str(),
            reboot: step.reboot.as_str(),
            undo: step.undo.as_str(),
            allowed: step.allowed,
            reason: step.reason.clone(),
            reason_coded: super::ReasonView::of_words(&step.reason),
            does: titles(false),
            cannot_be_undone: titles(true),
            guide: entry
                .map(|r| r.guide.iter().map(|text| text.get(lang).to_owned()).collect())
                .unwrap_or_default(),
            verification: entry.map_or("", |r| r.verification.as_str()),
            unproven: entry.is_some_and(|r| r.unproven),
        }
    }
}
