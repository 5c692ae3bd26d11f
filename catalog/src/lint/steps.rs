//! Rules for the steps of a remediation.

use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{RebootNeed, Remediation};
use fleetmend_core::step::{Action, Place, StartType};

use super::Lint;

/// The longest a step may run, in seconds.
const TIMEOUT_S: u32 = 14_400;
/// Success that wants a restart, as Windows' tools say it.
const REBOOT_REQUIRED: i32 = 3_010;

impl Lint<'_> {
    pub(super) fn steps(&mut self, place: &str, r: &Remediation) {
        for (index, step) in r.steps.iter().enumerate() {
            let at = format!("{place}, step {} ({})", index + 1, step.action.kind());
            if !(1..=TIMEOUT_S).contains(&step.timeout_s) {
                self.say(&at, format!("timeout_s must be 1 to {TIMEOUT_S}"));
            }
            self.action(&at, &step.action, r);
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
            Action::ServiceSetStart { service, start } => {
                self.service(at, service, r.os);
                if *start == StartType::Disabled {
                    self.say(at, "a service is never disabled");
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
            Action::Reboot {} => {
                if r.reboot != RebootNeed::Always {
                    self.say(at, "it restarts the host: reboot must be always");
                }
            }
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
