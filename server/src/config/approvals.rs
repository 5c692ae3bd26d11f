//! Which campaigns need the approval of a second person, and what was approved beforehand.

use std::collections::BTreeSet;

use fleetmend_core::campaign::{ApprovalPolicy, StandardChange};
use fleetmend_core::knowledge::{Catalogue, Risk};
use fleetmend_core::limits;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Standard changes at most.
const CHANGES: usize = 100;

/// The settings under `[approvals]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalSettings {
    /// A campaign on more hosts than this needs an approval.
    pub hosts: u32,
    /// Whether one that may do what cannot be undone needs an approval.
    pub irreversible: bool,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        let policy = ApprovalPolicy::default();
        Self { hosts: policy.hosts, irreversible: policy.irreversible }
    }
}

impl ApprovalSettings {
    /// The policy, with the standard changes.
    pub(super) fn policy(&self, changes: &[StandardChange]) -> ApprovalPolicy {
        let (hosts, irreversible) = (self.hosts, self.irreversible);
        ApprovalPolicy { hosts, irreversible, standard_changes: changes.to_vec() }
    }
}

/// Refuses standard changes that name what there is not, or twice the same.
pub(super) fn check(changes: &[StandardChange], catalogue: &Catalogue) -> Result<(), ConfigError> {
    let wrong = |why: String| Err(ConfigError::Value { setting: "standard_change", why });
    if changes.len() > CHANGES {
        return wrong(format!("at most {CHANGES} may stand"));
    }
    let mut names = BTreeSet::new();
    for change in changes {
        let name = &change.name;
        if name.trim().is_empty() || name.chars().count() > limits::CHANGE_CHARS {
            return wrong(format!("name: 1 to {} characters", limits::CHANGE_CHARS));
        }
        if !names.insert(name) {
            return wrong(format!("\"{name}\" stands twice: give each its own name"));
        }
        if matches!(change.max_risk, Risk::Guided | Risk::Refused) {
            return wrong(format!("\"{name}\": max_risk: safe, disruptive or dangerous"));
        }
        if let Some(id) =
            change.remediations.iter().find(|id| !catalogue.remediations.contains_key(*id))
        {
            return wrong(format!("\"{name}\": the catalogue knows no remediation {id}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn standard_changes_are_read_and_bad_ones_are_named() {
        let good = r#"
            [approvals]
            hosts = 50
            [[standard_change]]
            name = "dpkg"
            max_risk = "disruptive"
            remediations = ["apt.configure_pending"]
            max_hosts = 1000
        "#;
        let config = read(good).expect("good");
        let policy = config.approval_policy();
        assert_eq!(
            (policy.hosts, policy.irreversible, policy.standard_changes.len()),
            (50, true, 1)
        );
        let printed: Config = toml::from_str(&config.to_printable()).expect("prints as it reads");
        assert_eq!(printed.standard_change, config.standard_change);
        for (from, to, part) in [
            ("apt.configure_pending", "apt.no_such", "apt.no_such"),
            ("\"disruptive\"", "\"guided\"", "max_risk"),
            ("\"dpkg\"", "\"\"", "name"),
            ("max_hosts", "most_hosts", "most_hosts"),
        ] {
            let why = read(&good.replace(from, to)).expect_err(to);
            assert!(why.contains(part), "{why}");
        }
        let (_, change) = good.split_once("[[").expect("a change");
        assert!(read(&format!("{good}[[{change}")).expect_err("twice").contains("twice"));
    }
}
