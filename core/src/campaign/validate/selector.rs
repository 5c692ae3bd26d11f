//! Which hosts.

use super::Found;
use crate::campaign::Definition;
use crate::knowledge::Catalogue;
use crate::limits;

impl Definition {
    pub(super) fn check_selector(&self, catalogue: &Catalogue, found: &mut Found) {
        let selector = &self.selector;
        let names_a_problem = selector.product.is_some()
            || selector.code.is_some()
            || selector.cause.is_some()
            || !selector.incidents.is_empty();
        if !names_a_problem {
            found.add(
                "selector",
                "it names no problem",
                "give a product, a code, a cause or incidents: a campaign is against one problem",
            );
        }
        if let Some(cause) = &selector.cause
            && !catalogue.causes.contains_key(cause)
        {
            let remedy = "give a cause of the catalogue, as `fleetmend explain` names it";
            found.add("selector.cause", format!("the catalogue knows no cause {cause}"), remedy);
        }
        if let Some(kb) = &selector.kb {
            found.words("selector.kb", kb, limits::SUBJECT_PART_CHARS);
        }
        if let Some(build) = &selector.build {
            let fits = (1..=limits::FACT_BYTES).contains(&build.len())
                && build.bytes().all(|b| b.is_ascii_graphic());
            if !fits {
                let remedy = "write the beginning of a build: 10.0.19045";
                found.add("selector.build", "it is no beginning of a build", remedy);
            }
        }
        found.at_most("selector.incidents", selector.incidents.len(), limits::SELECTED);
        found.at_most("selector.hosts", selector.hosts.len(), limits::SELECTED);
        found.at_most("selector.roles", selector.roles.len(), limits::STATE_ROWS);
        for (at, role) in selector.roles.iter().enumerate().take(limits::STATE_ROWS) {
            found.label(format!("selector.roles[{at}]"), role);
        }
        found.labels("selector.labels", &selector.labels);
        found.labels("selector.without", &selector.without);
        for (key, value) in &selector.labels {
            if selector.without.get(key) == Some(value) {
                let text = format!("{key:.80} is both wanted and left out");
                found.add(format!("selector.without.{key:.80}"), text, "keep one of the two");
            }
        }
    }
}
