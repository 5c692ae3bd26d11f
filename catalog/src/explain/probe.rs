//! A probe explained: what it asks, and what its answers say of which cause.

use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Catalogue, Lang, Probe, Strength};
use fleetmend_core::probe::Question;
use fleetmend_core::words::Slug;
use serde::Serialize;

use super::remediation::Named;

/// A probe asked for by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeTopic {
    /// Its stable name.
    pub id: Slug,
    /// What it asks, for people.
    pub name: String,
    /// The question with everything that it asks of, as the catalogue holds it.
    pub question: Question,
    /// The systems that have an answer.
    pub systems: Vec<OsFamily>,
    /// Whether it tells of the past, by logs: its yes stays when the fault is gone.
    pub of_the_past: bool,
    /// What its answers say, of which cause.
    pub tells: Vec<Tells>,
    /// Remediations that it puts off while it answers yes.
    pub blocks: Vec<Named>,
    /// The catalogue that said so.
    pub catalogue: String,
}

/// What a probe's answers say of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tells {
    /// The cause.
    pub cause: Slug,
    /// Its name for people.
    pub name: String,
    /// What *yes* says.
    pub yes: Strength,
    /// What *no* says.
    pub no: Strength,
    /// Whether the probe is the cause itself.
    pub own: bool,
}

/// Explains a probe.
pub fn explain_probe(cat: &Catalogue, probe: &Probe, lang: Lang) -> ProbeTopic {
    let tells = cat.causes.values().filter_map(|cause| {
        let said = cause.indications.iter().find(|i| i.probe == probe.id)?;
        Some(Tells {
            cause: cause.id.clone(),
            name: cause.name.get(lang).to_owned(),
            yes: said.yes,
            no: said.no,
            own: cause.own_probe.as_ref() == Some(&probe.id),
        })
    });
    let blocks = cat.remediations.values().filter(|r| r.blockers.contains(&probe.id));
    ProbeTopic {
        id: probe.id.clone(),
        name: probe.name.get(lang).to_owned(),
        question: probe.question.clone(),
        systems: OsFamily::ALL
            .iter()
            .copied()
            .filter(|os| probe.question.has_answer_on(*os))
            .collect(),
        of_the_past: probe.question.is_of_the_past(),
        tells: tells.collect(),
        blocks: blocks
            .map(|r| Named { id: r.id.clone(), name: r.name.get(lang).to_owned() })
            .collect(),
        catalogue: cat.version.clone(),
    }
}
