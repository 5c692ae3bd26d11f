//! Which campaigns need the word of a second person.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::definition::{Definition, RebootPolicy, Remedy};
use super::validate::UNPROVEN_CANARY;
use crate::knowledge::{Catalogue, RebootNeed, Remediation, Risk};
use crate::reason;
use crate::reason::{Reason, Value};
use crate::report::Product;
use crate::step::Undo;
use crate::words::Slug;

/// What is known of a campaign when it is judged: by its preview and the catalogue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApprovalFacts<'c> {
    /// Hosts that the preview found: the most it may start on where it has no `max_hosts`.
    pub hosts: u32,
    /// The remediations that it may run, as [`Definition::may_do`] names them.
    pub may_do: Vec<&'c Remediation>,
}

/// When an approval is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// Above so many hosts.
    pub hosts: u32,
    /// For what cannot be taken back.
    pub irreversible: bool,
    /// What was approved beforehand.
    pub standard_changes: Vec<StandardChange>,
}

/// Bounds within which a campaign needs no approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandardChange {
    /// Its name, as definitions give it.
    pub name: String,
    /// The highest risk.
    pub max_risk: Risk,
    /// The remediations that it covers.
    pub remediations: BTreeSet<Slug>,
    /// The most hosts.
    pub max_hosts: u32,
    /// The most that may be restarted.
    #[serde(default)]
    pub reboot: RebootPolicy,
}

impl Default for ApprovalPolicy {
    fn default() -> Self {
        Self { hosts: 500, irreversible: true, standard_changes: Vec::new() }
    }
}

/// Why a second person must approve a campaign; `None` where nobody must.
pub fn needs_approval(
    definition: &Definition,
    facts: &ApprovalFacts<'_>,
    policy: &ApprovalPolicy,
) -> Option<Vec<Reason>> {
    if definition.remedy == Remedy::VerifyOnly {
        return None;
    }
    let hosts = definition.max_hosts.unwrap_or(facts.hosts);
    let mut reasons = reasons(definition, facts, policy, hosts);
    if let Some(name) = &definition.standard_change {
        match policy.standard_changes.iter().find(|change| change.name == *name) {
            None => reasons.push(reason!(NoStandardChange, name = name.as_str())),
            Some(change) => {
                let over = exceeds(definition, facts, change, hosts);
                if over.is_empty() {
                    return None;
                }
                reasons.extend(over);
            }
        }
    }
    (!reasons.is_empty()).then_some(reasons)
}

impl Definition {
    /// The remediations that an agent may run for it: the one it names, or those against the causes that
    /// its hosts' failures can have, up to its risk and within its rule for restarts.
    pub fn may_do<'c>(&self, catalogue: &'c Catalogue) -> Vec<&'c Remediation> {
        let named = match &self.remedy {
            Remedy::VerifyOnly => return Vec::new(),
            Remedy::Remediation { id, .. } => Some(id),
            Remedy::Plan => None,
        };
        if let Some(id) = named {
            return catalogue.remediations.get(id).into_iter().collect();
        }
        let causes = self.possible_causes(catalogue);
        let against: BTreeSet<&Slug> = catalogue
            .causes
            .values()
            .filter(|cause| causes.as_ref().is_none_or(|known| known.contains(&cause.id)))
            .flat_map(|cause| &cause.remediations)
            .collect();
        let fits = |r: &&Remediation| {
            r.is_automatic()
                && r.risk <= self.max_risk
                && self.selector.os.is_none_or(|os| os == r.os)
                && self.selector.product.and_then(Product::system).is_none_or(|os| os == r.os)
                && (self.reboot != RebootPolicy::Never || r.reboot == RebootNeed::Never)
        };
        against.into_iter().filter_map(|id| catalogue.remediations.get(id)).filter(fits).collect()
    }

    /// What [`Definition::may_do`] names, each with its digest: what an approval binds.
    pub fn bound(&self, catalogue: &Catalogue) -> BTreeMap<Slug, String> {
        self.may_do(catalogue).into_iter().map(|r| (r.id.clone(), r.digest())).collect()
    }

    /// The causes that the selected failures can have, by the catalogue; `None` for any. A host's plan
    /// goes on to its incident's other causes, so those that share a failure with the selected cause
    /// are among them.
    fn possible_causes<'c>(&self, catalogue: &'c Catalogue) -> Option<BTreeSet<&'c Slug>> {
        let selector = &self.selector;
        if selector.code.is_none() && selector.cause.is_none() && selector.product.is_none() {
            return None;
        }
        let mut causes = BTreeSet::new();
        for binding in &catalogue.bindings {
            let fits = selector.product.is_none_or(|p| p == binding.product)
                && binding.operation.is_none_or(|o| selector.operation.is_none_or(|s| s == o))
                && (selector.code.is_none() || selector.code == binding.code)
                && selector
                    .cause
                    .as_ref()
                    .is_none_or(|wanted| binding.causes.iter().any(|(cause, _)| cause == wanted));
            if fits {
                causes.extend(binding.causes.iter().map(|(cause, _)| cause));
            }
        }
        let codes = catalogue.codes.values().filter(|entry| {
            match (&selector.code, &selector.cause, selector.product) {
                (Some(code), ..) => entry.code == *code,
                (None, Some(cause), None) => entry.causes.contains(cause),
                (None, Some(cause), Some(product)) => {
                    entry.causes.contains(cause) && catalogue.may_report(product, &entry.code)
                }
                (None, None, Some(product)) => catalogue.may_report(product, &entry.code),
                // Left above.
                (None, None, None) => false,
            }
        });
        causes.extend(codes.flat_map(|entry| &entry.causes));
        causes
            .extend(selector.cause.as_ref().and_then(|id| catalogue.causes.get(id)).map(|c| &c.id));
        Some(causes)
    }
}

fn reasons(
    definition: &Definition,
    facts: &ApprovalFacts<'_>,
    policy: &ApprovalPolicy,
    hosts: u32,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if definition.max_risk >= Risk::Dangerous {
        reasons.push(reason!(NeedsDangerous));
    }
    if policy.irreversible {
        let irreversible = facts.may_do.iter().filter(|r| r.undo() == Undo::None);
        if let Some(names) = names(irreversible.copied()) {
            reasons.push(reason!(NeedsIrreversible, remediations = names));
        }
    }
    if hosts > policy.hosts {
        reasons.push(reason!(NeedsManyHosts, hosts = hosts, most = policy.hosts));
    }
    if hosts > UNPROVEN_CANARY {
        let unproven = facts.may_do.iter().filter(|r| r.unproven);
        if let Some(names) = names(unproven.copied()) {
            reasons.push(reason!(NeedsUnproven, most = UNPROVEN_CANARY, remediations = names));
        }
    }
    reasons
}

/// What goes beyond a standard change.
fn exceeds(
    definition: &Definition,
    facts: &ApprovalFacts<'_>,
    change: &StandardChange,
    hosts: u32,
) -> Vec<Reason> {
    let name = change.name.as_str();
    let mut over = Vec::new();
    if definition.max_risk > change.max_risk {
        let (risk, most) = (definition.max_risk, change.max_risk);
        over.push(reason!(
            OverStandardRisk,
            risk = risk.as_str(),
            name = name,
            most = most.as_str(),
        ));
    }
    if hosts > change.max_hosts {
        let most = change.max_hosts;
        over.push(reason!(OverStandardHosts, hosts = hosts, name = name, most = most));
    }
    if definition.reboot > change.reboot {
        let (reboot, most) = (definition.reboot, change.reboot);
        over.push(reason!(
            OverStandardReboot,
            reboot = reboot.as_str(),
            name = name,
            most = most.as_str(),
        ));
    }
    let others = facts.may_do.iter().filter(|r| !change.remediations.contains(&r.id));
    if let Some(names) = names(others.copied()) {
        over.push(reason!(NotInStandard, name = name, remediations = names));
    }
    over
}

/// The names of remediations, the first few of many.
fn names<'c>(remediations: impl Iterator<Item = &'c Remediation>) -> Option<Value> {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = remediations.map(|r| r.id.to_string()).collect();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    (!names.is_empty()).then_some(Value::Names { names, more })
}
