//! What a remediation's steps need to be told: the evidence whose values they use.

use fleetmend_core::evidence::Evidence;
use fleetmend_core::ids::EvidenceId;
use fleetmend_core::knowledge::Remediation;
use fleetmend_core::step::{Action, Place};
use fleetmend_core::words::Slug;

use super::NotChosen;

/// The newest evidence of each probe whose value a step uses, of that which is about the incident's
/// subject or about the host.
///
/// # Errors
/// [`NotChosen::NoEvidence`] where a value is wanted that the host has not told.
pub fn evidence(
    remediation: &Remediation,
    subject: Option<&str>,
    evidence: &[Evidence],
) -> Result<Vec<EvidenceId>, NotChosen> {
    let mut ids: Vec<EvidenceId> = Vec::new();
    for step in &remediation.steps {
        let Some(probe) = probe_of(&step.action) else { continue };
        let newest = evidence
            .iter()
            .filter(|e| e.probe == *probe && e.value.is_some() && e.counts_for(subject))
            .max_by_key(|e| (e.at, e.id))
            .ok_or_else(|| NotChosen::NoEvidence {
                step: step.action.title(),
                probe: probe.clone(),
            })?;
        if !ids.contains(&newest.id) {
            ids.push(newest.id);
        }
    }
    Ok(ids)
}

fn probe_of(action: &Action) -> Option<&Slug> {
    match action {
        Action::FileRename { place }
        | Action::FileQuarantine { place }
        | Action::FileCreateDir { place }
        | Action::FileRestore { place } => match place {
            Place::Evidence { evidence } => Some(evidence),
            Place::Below { .. } => None,
        },
        Action::ToolRun { value_from, .. } => value_from.as_ref(),
        Action::ReparseList { evidence } | Action::ReparseDetach { evidence } => Some(evidence),
        Action::ServiceStart { .. }
        | Action::ServiceStop { .. }
        | Action::ServiceRestart { .. }
        | Action::ServiceSetStart { .. }
        | Action::RegistrySet { .. }
        | Action::RegistryDelete { .. }
        | Action::FirewallSuspend { .. }
        | Action::AntivirusExclude { .. }
        | Action::BackupRun { .. }
        | Action::UpdateScan {}
        | Action::UpdateDownload {}
        | Action::UpdateInstall {}
        | Action::RestorePointCreate {}
        | Action::WaitUntil { .. }
        | Action::Reboot {} => None,
    }
}
