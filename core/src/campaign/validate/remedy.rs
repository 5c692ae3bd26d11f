//! What is done, at which risk, and with which restarts.

use super::Found;
use crate::campaign::{Definition, RebootPolicy, Remedy};
use crate::knowledge::{Catalogue, RebootNeed, Remediation, Risk};

impl Definition {
    pub(super) fn check_remedy(&self, catalogue: &Catalogue, found: &mut Found) {
        if matches!(self.max_risk, Risk::Guided | Risk::Refused) {
            let text = format!("{} is no risk that an agent may take", self.max_risk);
            found.add("max_risk", text, "write safe, disruptive or dangerous");
        }
        if self.reboot == RebootPolicy::InWindow && self.windows.is_empty() {
            let text = "there is no window in which a host could restart";
            found.add("reboot", text, "give windows, or write never or anytime");
        }
        let Remedy::Remediation { id, version, digest } = &self.remedy else { return };
        let Some(remediation) = catalogue.remediations.get(id) else {
            let text = format!("the catalogue knows no remediation {id}");
            found.add("remedy.remediation.id", text, "give a remediation of the catalogue");
            return;
        };
        if remediation.version != *version {
            let known = remediation.version;
            let text = format!("{id} has no version {version} here");
            found.add("remedy.remediation.version", text, format!("write {known}"));
        } else if !digest.is_empty() && *digest != remediation.digest() {
            let text = format!("version {version} of {id} is another one here");
            let remedy = "leave it out: the server fills it in";
            found.add("remedy.remediation.digest", text, remedy);
        }
        self.check_named(remediation, found);
    }

    fn check_named(&self, remediation: &Remediation, found: &mut Found) {
        let Remediation { id, risk, reboot, os, .. } = remediation;
        if !remediation.is_automatic() {
            let text = format!("{id} is {risk}: no agent runs it");
            let remedy = "name one that an agent can run; guided ones are work for people";
            found.add("remedy.remediation.id", text, remedy);
            return;
        }
        if *risk > self.max_risk {
            let text = format!("{id} is {risk}, above {}", self.max_risk);
            found.add("max_risk", text, format!("write {risk}, or name another remediation"));
        }
        if let Some(selected) = self.selector.os.filter(|selected| selected != os) {
            let text = format!("{id} is for {os}, the hosts are {selected}");
            found.add("remedy.remediation.id", text, format!("name one for {selected}"));
        }
        if self.reboot == RebootPolicy::Never {
            let restarts = match reboot {
                RebootNeed::Never => return,
                RebootNeed::Maybe => "perhaps restarts the host",
                RebootNeed::Always => "always restarts the host",
            };
            let remedy = "write in_window or anytime, or name another remediation";
            found.add("reboot", format!("{id} {restarts}, and hosts may never be"), remedy);
        }
    }
}
