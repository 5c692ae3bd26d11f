//! One fault of one host: drawn from its model, seeded, and changed by what is done about it.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::evidence::Answer;
use fleetmend_core::time::Timestamp;
use fleetmend_core::words::Slug;

use crate::chance;
use crate::model::{Cure, Model, Models};
use crate::names::Persona;

/// Where a fault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    There,
    /// Its probes are clean, and the work still fails.
    Masked,
    /// Its cure takes hold when the host restarts; until then the work fails.
    Waits,
    /// It is gone.
    Gone,
}

/// What one cure does on one host: drawn once, so that trying again gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The fault is gone.
    Cured,
    /// The fault is gone when the host has restarted.
    CuredByBoot,
    /// Only its probes are clean.
    Partly,
    /// Another fault comes on top.
    Worse,
    /// Nothing happens.
    Nothing,
}

/// A fault that a host has or had.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its model.
    pub model: &'static Model,
    /// When it came.
    pub since: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// When it goes away by itself.
    pub heals: Option<Timestamp>,
    /// When it comes back, where it was cured and does.
    pub returns: Option<Timestamp>,
    /// Whether a remediation brought it.
    pub brought: bool,
    /// How often its probe was asked, for a fault that passes while somebody waits.
    pub asked: u32,
    /// How the host answers while it is there.
    answers: BTreeMap<Slug, Answer>,
    /// What each of the model's cures does.
    outcomes: Vec<Outcome>,
}

impl Fault {
    /// Draws everything about a fault that is not in its model.
    pub(crate) fn draw(
        model: &'static Model,
        seed: u64,
        persona: &Persona,
        since: Timestamp,
    ) -> Self {
        let mut rng = chance::of(seed, &["fault", &persona.name, &model.id]);
        let answers = model.probes.iter().map(|(p, rates)| (p.clone(), rates.draw(&mut rng)));
        let answers = answers.collect();
        let outcomes = model.cure.iter().map(|cure| outcome(cure, &mut rng)).collect();
        let heals = model.heals_h.map(|hours| {
            let share = 0.5 + rng.f64();
            since.after(Duration::from_hours(u64::from(hours)).mul_f64(share))
        });
        Self {
            model,
            since,
            standing: Standing::There,
            heals,
            returns: None,
            brought: false,
            asked: 0,
            answers,
            outcomes,
        }
    }

    /// Whether its work still fails.
    pub fn fails(&self) -> bool {
        self.standing != Standing::Gone
    }

    /// What it makes the host answer, if it speaks to this probe. What is gone or masked speaks
    /// too: the probe is clean.
    pub fn answer(&self, probe: &Slug) -> Option<Answer> {
        if self.standing == Standing::Waits && probe.as_str() == "reboot_pending" {
            return Some(Answer::Yes);
        }
        let drawn = self.answers.get(probe).copied()?;
        Some(if self.standing == Standing::There { drawn } else { Answer::No })
    }

    /// What doing `deed` does to it; `None` where it does not care.
    pub(crate) fn feels(&self, deed: &str) -> Option<Outcome> {
        if self.standing == Standing::Gone {
            return None;
        }
        if self.standing == Standing::Waits {
            return (deed == "boot").then_some(Outcome::Cured);
        }
        let at = self.model.cure.iter().position(|cure| cure.by == deed)?;
        self.outcomes.get(at).copied()
    }
}

fn outcome(cure: &Cure, rng: &mut fastrand::Rng) -> Outcome {
    let x = rng.f64();
    if x < cure.cured {
        if cure.boot { Outcome::CuredByBoot } else { Outcome::Cured }
    } else if x < cure.cured + cure.partly {
        Outcome::Partly
    } else if x < cure.cured + cure.partly + cure.worse {
        Outcome::Worse
    } else {
        Outcome::Nothing
    }
}

/// Draws a model for a host that has these faults already: another work, so that each can be told
/// apart.
pub(crate) fn another(
    models: &'static Models,
    persona: &Persona,
    has: &[Fault],
    rng: &mut fastrand::Rng,
    fits: &dyn Fn(&Model) -> bool,
) -> Option<&'static Model> {
    let free: Vec<&'static Model> = models
        .all
        .iter()
        .filter(|m| m.os == persona.os && fits(m))
        .filter(|m| has.iter().all(|f| !f.fails() || f.model.work != m.work))
        // A host has each fault once.
        .filter(|m| has.iter().all(|f| f.model.id != m.id))
        .collect();
    chance::pick(rng, &free, |m| m.weight).copied()
}
