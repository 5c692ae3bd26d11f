//! Which events are failures, and of what: by provider and id, fields by name.
//!
//! One table says what is read; the rest of a log is not even rendered. Only outcomes are here. What
//! may stand behind them (errors of `disk`, `Ntfs`, the service manager) is asked of the event log
//! when a failure is judged: probes of the kind *event seen*. Not read at all: the orchestrator of
//! updates (`Microsoft-Windows-UpdateOrchestrator`), whose events tell of plans and not of outcomes.

mod backups;
mod image;
mod updates;

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{IncidentKey, Operation, Product, Source};
use fleetmend_core::update_class::UpdateClass;

use super::event::{Event, Head};
use crate::collect::draft::{Draft, Recovered, Sink};
pub(super) use image::PROVIDER as WBENGINE;

/// What is read of one provider, and how.
struct Rule {
    /// Its name; the case differs between versions of Windows.
    provider: &'static str,
    events: Events,
    apply: fn(&Event, &mut Sink<'_>),
}

/// Which events can be of use.
enum Events {
    /// Those of these ids.
    Ids(&'static [u32]),
    /// Those of level *critical* or *error*.
    Errors,
    /// Those of these ids at any level, and any other that is an error.
    IdsAndErrors(&'static [u32]),
}

/// All that is read.
const RULES: [Rule; 13] = [
    Rule {
        provider: "Microsoft-Windows-WindowsUpdateClient",
        events: Events::Ids(&[19, 20, 23, 24, 25, 26, 31, 34, 35, 41, 213, 217]),
        apply: updates::update_client,
    },
    Rule {
        provider: "Microsoft-Windows-Servicing",
        events: Events::Ids(&[2, 3, 6, 11, 12, 16]),
        apply: updates::servicing,
    },
    Rule {
        provider: "Microsoft-Windows-Bits-Client",
        events: Events::Ids(&[61]),
        apply: updates::transfer,
    },
    Rule {
        provider: "Microsoft-Windows-Windows Defender",
        events: Events::Ids(&[2000, 2001, 2002, 2003]),
        apply: updates::definitions,
    },
    Rule {
        provider: "Microsoft-Windows-AppXDeployment-Server",
        events: Events::Ids(&[404]),
        apply: updates::store_package,
    },
    Rule {
        provider: "Windows Error Reporting",
        events: Events::Ids(&[1001]),
        apply: updates::upgrade,
    },
    Rule {
        provider: "Windows Backup",
        events: Events::Ids(&[4098, 4099, 4100, 4101, 4102, 4103, 4104]),
        apply: backups::files,
    },
    Rule {
        provider: image::PROVIDER,
        events: Events::IdsAndErrors(&image::IDS),
        apply: image::image,
    },
    Rule { provider: "VSS", events: Events::Errors, apply: backups::shadow_copy },
    Rule { provider: "volsnap", events: Events::Errors, apply: backups::snapshot_driver },
    Rule {
        provider: "System Restore",
        events: Events::IdsAndErrors(&[8194]),
        apply: backups::restore_point,
    },
    Rule { provider: "Veeam Agent", events: Events::Ids(&[190]), apply: backups::veeam },
    Rule {
        provider: "Microsoft-Windows-FileHistory-Engine",
        events: Events::Errors,
        apply: backups::file_history,
    },
];

/// Reports the event if it is a failure, and takes it down if it is a success that ends one.
pub(crate) fn apply(event: &Event, sink: &mut Sink<'_>) {
    let head = Head { provider: &event.provider, id: event.id, level: event.level };
    if let Some(rule) = RULES.iter().find(|rule| rule.reads(head)) {
        (rule.apply)(event, sink);
    }
}

/// Whether an event with such a head can be of use.
pub(crate) fn may_matter(head: Head<'_>) -> bool {
    RULES.iter().any(|rule| rule.reads(head))
}

/// The provider's name as the table has it, where the event is a success of the update client: logs
/// hold them by the hundred, and its title and its identifier are all that is read of one.
pub(crate) fn brief(head: Head<'_>) -> Option<&'static str> {
    let client = RULES[0].provider;
    let ours = client.eq_ignore_ascii_case(head.provider);
    (ours && matches!(head.id, 19 | 23 | 26 | 41)).then_some(client)
}

/// The names of the providers that are read.
pub(crate) fn providers() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.provider)
}

impl Rule {
    fn reads(&self, head: Head<'_>) -> bool {
        let error = matches!(head.level, 1 | 2);
        self.provider.eq_ignore_ascii_case(head.provider)
            && match self.events {
                Events::Ids(ids) => ids.contains(&head.id),
                Events::Errors => error,
                Events::IdsAndErrors(ids) => error || ids.contains(&head.id),
            }
    }
}

/// What failed, and what it was about.
struct Failed {
    product: Product,
    operation: Operation,
    code: Option<FailureCode>,
    subject: Option<String>,
    update_class: Option<UpdateClass>,
}

impl Failed {
    fn new(product: Product, operation: Operation, code: Option<u32>) -> Self {
        let code = code.map(FailureCode::Hresult);
        Self { product, operation, code, subject: None, update_class: None }
    }

    fn of(mut self, subject: Option<&str>) -> Self {
        self.subject = subject.map(str::to_owned);
        self
    }

    fn draft(self, event: &Event) -> Draft {
        Draft {
            product: self.product,
            operation: self.operation,
            code: self.code,
            subject: self.subject,
            time: event.time,
            source: Source::Evtx,
            event: Some((event.provider.clone(), event.id, event.record)),
            line: None,
            count: None,
            update_class: self.update_class,
            message: event.words(),
        }
    }

    fn report(self, event: &Event, sink: &mut Sink<'_>) {
        sink.failure(self.draft(event));
    }
}

/// A success ends failures with the same product, operation and subject.
fn worked(
    event: &Event,
    product: Product,
    operation: Operation,
    subject: Option<String>,
    sink: &mut Sink<'_>,
) {
    let about = subject.clone().unwrap_or_default();
    worked_on(event, IncidentKey { product, operation, code: None, subject }, &about, sink);
}

/// The same, with more words on what worked.
fn worked_on(event: &Event, key: IncidentKey, about: &str, sink: &mut Sink<'_>) {
    let message = format!("{} {}: {about}", event.provider, event.id);
    sink.success(Recovered { key, time: event.time, message });
}

#[cfg(test)]
mod tests;
