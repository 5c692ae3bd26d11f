//! A remediation explained: what it does step by step, how far it can be taken back, what it costs.

use fleetmend_core::dry_run::{DryStep, dry_run};
use fleetmend_core::host::{OsFamily, UpdateAuthority};
use fleetmend_core::knowledge::{Catalogue, Lang, RebootNeed, Remediation, Risk, Verification};
use fleetmend_core::step::Undo;
use fleetmend_core::words::Slug;
use serde::Serialize;

/// A remediation, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedRemediation {
    /// Its stable name.
    pub id: Slug,
    /// Its version.
    pub version: u32,
    /// The system it is for.
    pub os: OsFamily,
    /// Its name for people.
    pub name: String,
    /// What it does and what not.
    pub explanation: String,
    /// Its risk.
    pub risk: Risk,
    /// Whether it restarts the host.
    pub reboot: RebootNeed,
    /// How far it can be taken back; `None` where an agent does nothing.
    pub undo: Option<Undo>,
    /// Minutes it usually takes.
    pub minutes: u32,
    /// How the fix is proved.
    pub verification: Verification,
    /// The update authorities it is compatible with; empty for all.
    pub authorities: Vec<UpdateAuthority>,
    /// Whether it has not yet run on a real system of its kind.
    pub unproven: bool,
    /// What puts it off while it lasts.
    pub blockers: Vec<Blocker>,
    /// Its steps in words.
    pub steps: Vec<String>,
    /// What a person does; for *refused*, why not and the better way.
    pub guide: Vec<String>,
}

/// A probe that puts a remediation off while it answers yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// The probe.
    pub probe: Slug,
    /// What it asks, for people.
    pub name: String,
}

/// A remediation asked for by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemediationTopic {
    /// It.
    #[serde(flatten)]
    pub remediation: ExplainedRemediation,
    /// What each step would touch, and how it is taken back; none where an agent does nothing.
    pub dry_run: Vec<DryStep>,
    /// SHA-256 of all of it: what an order binds.
    pub digest: String,
    /// The causes that it is used against.
    pub causes: Vec<Named>,
    /// The catalogue that said so.
    pub catalogue: String,
}

/// An entry of the catalogue by its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its stable name.
    pub id: Slug,
    /// Its name for people.
    pub name: String,
}

/// Explains a remediation.
pub fn explain_remediation(cat: &Catalogue, r: &Remediation, lang: Lang) -> RemediationTopic {
    let against = cat.causes.values().filter(|cause| cause.remediations.contains(&r.id));
    RemediationTopic {
        remediation: explained(cat, r, lang),
        dry_run: if r.is_automatic() { dry_run(cat, r, lang).steps } else { Vec::new() },
        digest: r.digest(),
        causes: against
            .map(|c| Named { id: c.id.clone(), name: c.name.get(lang).to_owned() })
            .collect(),
        catalogue: cat.version.clone(),
    }
}

pub(super) fn explained(cat: &Catalogue, r: &Remediation, lang: Lang) -> ExplainedRemediation {
    let blockers = r.blockers.iter().filter_map(|id| cat.probes.get(id));
    ExplainedRemediation {
        id: r.id.clone(),
        version: r.version,
        os: r.os,
        name: r.name.get(lang).to_owned(),
        explanation: r.explanation.get(lang).to_owned(),
        risk: r.risk,
        reboot: r.reboot,
        undo: r.is_automatic().then(|| r.undo()),
        minutes: r.minutes,
        verification: r.verification,
        authorities: r.authorities.clone(),
        unproven: r.unproven,
        blockers: blockers
            .map(|p| Blocker { probe: p.id.clone(), name: p.name.get(lang).to_owned() })
            .collect(),
        steps: r.steps.iter().map(|s| s.action.title()).collect(),
        guide: r.guide.iter().map(|t| t.get(lang).to_owned()).collect(),
    }
}
