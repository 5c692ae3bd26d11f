//! Rules for the steps of a remediation.

use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{RebootNeed, Remediation, Risk};
use fleetmend_core::limits;
use fleetmend_core::probe::Question;
use fleetmend_core::step::{Action, Place, StartType};

use super::Lint;

/// The longest a step may run, in seconds.
const TIMEOUT_S: u32 = 14_400;
/// Success that wants a restart, as Windows' tools say it.
const REBOOT_REQUIRED: i32 = 3_010;
const WINDOWS: OsFamily = OsFamily::Windows;

impl Lint<'_> {
    pub(super) fn steps(&mut self, place: &str, r: &Remediation) {
        for (index, step) in r.steps.iter().enumerate() {
            let at = format!("{place}, step {} ({})", index + 1, step.action.kind());
            if !(1..=TIMEOUT_S).contains(&step.timeout_s) {
                self.say(&at, format!("timeout_s must be 1 to {TIMEOUT_S}"));
            }
            if step.action.system().is_some_and(|os| os != r.os) {
                self.say(&at, format!("there is no such step on {}", r.os));
            }
            self.action(&at, &step.action, r);
        }
        let costs = r.steps.iter().map(|s| s.action.network()).max();
        if costs.is_some_and(|costs| costs > r.network) {
            self.say(place, "its steps cost more on the network than network says");
        }
        for (index, step) in r.steps.iter().enumerate() {
            let Action::ServiceStop { service } = &step.action else { continue };
            let starts =
                |a: &Action| matches!(a, Action::ServiceStart { service: s } if s == service);
            let put_back = r.steps[index..].iter().any(|s| s.always && starts(&s.action));
            if !put_back {
                self.say(
                    place,
                    format!("{service} is stopped and no `always` step starts it again"),
                );
            }
        }
    }

    fn action(&mut self, at: &str, action: &Action, r: &Remediation) {
        match action {
            Action::ServiceStart { service }
            | Action::ServiceStop { service }
            | Action::ServiceRestart { service } => self.service(at, service, r.os),
            Action::ServiceSetStart { service, start, on } => {
                self.service(at, service, r.os);
                if on.iter().map(|o| o.start).chain([*start]).any(|s| s == StartType::Disabled) {
                    self.say(at, "a service is never disabled");
                }
                let numbers = |build: &str| {
                    build.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
                };
                if on.iter().any(|o| !numbers(&o.build)) || (!on.is_empty() && r.os != WINDOWS) {
                    self.say(at, "on holds builds of Windows, such as 6.1");
                }
            }
            Action::FileRename { place }
            | Action::FileQuarantine { place }
            | Action::FileCreateDir { place }
            | Action::FileRestore { place } => {
                self.place(at, place);
                if matches!(place, Place::Below { base, .. } if base.system() != r.os) {
                    self.say(at, format!("this folder does not exist on {}", r.os));
                }
                let moved = |a: &Action| match a {
                    Action::FileRename { place: p } | Action::FileQuarantine { place: p } => {
                        p == place
                    }
                    _ => false,
                };
                if matches!(action, Action::FileRestore { .. })
                    && !r.steps.iter().any(|s| moved(&s.action))
                {
                    self.say(at, "nothing of this remediation moved it away");
                }
            }
            Action::RegistrySet { key, name, .. } | Action::RegistryDelete { key, name, .. } => {
                self.registry(at, key, name, r.os);
            }
            Action::ToolRun { tool, value_from } => {
                if tool.system() != r.os {
                    self.say(at, format!("{tool} does not exist on {}", r.os));
                }
                match value_from {
                    Some(probe) => self.has_probe(at, probe),
                    None if tool.takes_value() => {
                        self.say(at, format!("{tool} needs value_from"));
                    }
                    None => {}
                }
                if value_from.is_some() && !tool.takes_value() {
                    self.say(at, format!("{tool} takes no value"));
                }
                if tool.success().contains(&REBOOT_REQUIRED) && r.reboot == RebootNeed::Never {
                    self.say(at, format!("{tool} may want a restart: reboot is at least maybe"));
                }
            }
            Action::WaitUntil { probe } => {
                self.has_probe(at, probe);
                let known = self.cat.probes.get(probe);
                if known.is_some_and(|p| !p.question.has_answer_on(r.os)) {
                    self.say(at, format!("the probe {probe} has no answer on {}", r.os));
                }
            }
            Action::FirewallSuspend { minutes } => {
                self.pause(at, *minutes, limits::SUSPEND_MINUTES, r);
            }
            Action::AntivirusExclude { places, minutes } => {
                self.pause(at, *minutes, limits::EXCLUDE_MINUTES, r);
                if !(1..=limits::EXCLUDED_PLACES).contains(&places.len()) {
                    self.say(at, format!("1 to {} places are excluded", limits::EXCLUDED_PLACES));
                }
                for place in places {
                    self.place(at, place);
                }
                if places
                    .iter()
                    .any(|p| !matches!(p, Place::Below { base, .. } if base.system() == WINDOWS))
                {
                    self.say(at, "what is excluded is named here, below a folder of Windows");
                }
            }
            Action::ReparseList { evidence } | Action::ReparseDetach { evidence } => {
                self.has_probe(at, evidence);
                let probe = self.cat.probes.get(evidence);
                if probe.is_some_and(|p| !matches!(p.question, Question::LibraryReparse { .. })) {
                    self.say(at, format!("{evidence} does not look for reparse points"));
                }
                if matches!(action, Action::ReparseDetach { .. }) && r.risk < Risk::Dangerous {
                    self.say(at, "taking a volume off its folder is dangerous");
                }
            }
            Action::UpdateInstall {} => {
                if r.reboot == RebootNeed::Never {
                    self.say(at, "an update may want a restart: reboot is at least maybe");
                }
            }
            Action::BackupRun { .. }
            | Action::UpdateScan {}
            | Action::UpdateDownload {}
            | Action::RestorePointCreate {} => {}
            Action::Reboot {} => {
                if r.reboot != RebootNeed::Always {
                    self.say(at, "it restarts the host: reboot must be always");
                }
            }
        }
    }

    /// A step that leaves the host less protected for a while.
    fn pause(&mut self, at: &str, minutes: u32, most: u32, r: &Remediation) {
        if !(1..=most).contains(&minutes) {
            self.say(at, format!("minutes must be 1 to {most}"));
        }
        if r.risk < Risk::Dangerous {
            self.say(at, "it leaves the host less protected: the remediation is dangerous");
        }
        if r.steps.last().is_some_and(|s| s.action.pauses().is_some()) {
            self.say(at, "no step follows that it would be for");
        }
    }

    fn service(&mut self, at: &str, service: &str, os: OsFamily) {
        let unit = [".service", ".timer", ".socket"].iter().any(|end| service.ends_with(end));
        let plain = !service.is_empty()
            && service.len() <= 80
            && service.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b));
        if !plain {
            self.say(at, format!("\"{service}\" is no service name"));
        } else if unit != (os == OsFamily::Linux) {
            self.say(at, format!("\"{service}\" is no service name on {os}"));
        }
    }

    fn registry(&mut self, at: &str, key: &str, name: &str, os: OsFamily) {
        if os != OsFamily::Windows {
            self.say(at, format!("there is no registry on {os}"));
        }
        let parts = || key.split('\\');
        if name.is_empty() || parts().any(str::is_empty) {
            self.say(at, "key and name must be given, the key without an outer backslash");
        }
        if parts().any(|part| part.eq_ignore_ascii_case("policies")) {
            self.say(at, "registry that policy owns is never written");
        }
    }

    /// A place is below a system folder and stays there.
    pub(super) fn place(&mut self, at: &str, place: &Place) {
        match place {
            Place::Evidence { evidence } => self.has_probe(at, evidence),
            Place::Below { path, .. } => {
                let bad = |part: &str| {
                    matches!(part, "" | "." | "..") || part.contains(['\\', ':', '\0'])
                };
                if path.split('/').any(bad) {
                    self.say(
                        at,
                        format!("the path \"{path}\" must be relative, with / and no . or .."),
                    );
                }
            }
        }
    }
}
