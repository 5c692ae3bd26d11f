//! What is overdue on one host now, and when to look again. Pure.

use std::time::Duration;

use crate::host::{Lifecycle, OsFamily};
use crate::limits;
use crate::report::{IncidentKey, Operation, Product};
use crate::time::Timestamp;
use crate::words;

use super::{Limit, OverdueKind, Thresholds, Upkeep};

/// However far the next deadline is: thresholds of labels and other hosts' builds are looked at again.
const LOOK_AGAIN: Duration = Duration::from_hours(6);
/// Time for a host that was silent to tell its state before it is judged by what it told earlier.
const GRACE: Duration = Duration::from_hours(1);

/// What is known of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its family.
    pub os: OsFamily,
    /// Its system's name: tells what updates it.
    pub os_name: String,
    /// Its build.
    pub os_build: String,
    /// Its place in its life.
    pub lifecycle: Lifecycle,
    /// Since when it is there.
    pub lifecycle_since: Timestamp,
    /// When it joined.
    pub enrolled: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// When its state was found.
    pub state_at: Option<Timestamp>,
    /// What its state says; `None` before the first.
    pub upkeep: Option<Upkeep>,
    /// Since when a restart is awaited without a break.
    pub reboot_since: Option<Timestamp>,
    /// The newest build of the same Windows that the fleet runs and this host does not, and since when
    /// a newer one than its own is known.
    pub newer_build: Option<(String, Timestamp)>,
}

/// One thing that is overdue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// What.
    pub kind: OverdueKind,
    /// Of what.
    pub product: Product,
    /// While it should do what.
    pub operation: Operation,
    /// When it became overdue.
    pub since: Timestamp,
    /// What was seen, in English words; changes only when what was seen changes.
    pub message: String,
}

impl Overdue {
    /// The key of its incident.
    pub fn key(&self) -> IncidentKey {
        let code = self.kind.code();
        IncidentKey { product: self.product, operation: self.operation, code, subject: None }
    }
}

/// What is overdue on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is overdue.
    pub overdue: Vec<Overdue>,
    /// Nothing new is known but for the agent's silence: what was overdue before stays so.
    pub held: bool,
    /// When to look again, unless something is told before.
    pub look_again: Timestamp,
}

/// What is overdue on a host now.
pub fn judge(host: &Watched, limits: &Thresholds, now: Timestamp) -> Judgement {
    let mut looking = Looking { now, overdue: Vec::new(), look_again: now.after(LOOK_AGAIN) };
    if !matches!(host.lifecycle, Lifecycle::Active | Lifecycle::Stale) {
        return looking.done(false);
    }
    let silent = looking.at(host.last_seen, limits.silent, |limit| Overdue {
        kind: OverdueKind::AgentSilent,
        product: Product::Agent,
        operation: Operation::Other,
        since: now,
        message: format!("the agent was last heard of {}; {limit} is allowed", host.last_seen),
    });
    // Of a silent host nothing new is known. One that is back is asked first.
    let returned = host.state_at.is_some_and(|at| at < host.lifecycle_since)
        && now.since(host.lifecycle_since) < GRACE;
    if silent || returned {
        if returned {
            looking.sooner(host.lifecycle_since.after(GRACE));
        }
        return looking.done(true);
    }
    let upkeep = host.upkeep.clone().unwrap_or_default();
    scan(&mut looking, host, &upkeep, limits.scan);
    build(&mut looking, host, limits.build);
    backup(&mut looking, host, &upkeep, limits.backup);
    if let (Some(since), Some(why)) = (host.reboot_since, &upkeep.reboot) {
        looking.at(since, limits.reboot, |limit| Overdue {
            kind: OverdueKind::RebootPendingAged,
            product: updater(host),
            operation: Operation::Install,
            since: now,
            message: format!("a restart is awaited since {since} ({why}); {limit} is allowed"),
        });
    }
    looking.done(false)
}

fn scan(looking: &mut Looking, host: &Watched, upkeep: &Upkeep, limit: Limit) {
    let known = upkeep.last_scan;
    looking.at(known.unwrap_or(host.enrolled), limit, |limit| Overdue {
        kind: OverdueKind::ScanStale,
        product: updater(host),
        operation: Operation::Scan,
        since: host.enrolled,
        message: match known {
            Some(at) => {
                format!("the last successful search for updates was {at}; {limit} is allowed")
            }
            None => format!(
                "no successful search for updates is known since the host joined {}; {limit} is allowed",
                host.enrolled
            ),
        },
    });
}

fn build(looking: &mut Looking, host: &Watched, limit: Limit) {
    let Some((newest, since)) = &host.newer_build else { return };
    looking.at(*since, limit, |limit| Overdue {
        kind: OverdueKind::BuildBehind,
        product: updater(host),
        operation: Operation::Install,
        since: *since,
        message: format!(
            "build {}; the fleet has run a newer one since {since}, {newest} by now; {limit} is allowed",
            host.os_build
        ),
    });
}

fn backup(looking: &mut Looking, host: &Watched, upkeep: &Upkeep, limit: Limit) {
    let known = upkeep.last_backup;
    let foreign = upkeep.foreign_backup.join(", ");
    looking.at(known.unwrap_or(host.enrolled), limit, |limit| Overdue {
        // Beside a product that cannot be read an old backup does not say that none came after it.
        kind: match known {
            Some(_) if foreign.is_empty() => OverdueKind::BackupStale,
            _ => OverdueKind::BackupVendorUnknown,
        },
        product: Product::Other,
        operation: Operation::Backup,
        since: host.enrolled,
        message: match (known, foreign.is_empty()) {
            (Some(at), true) => {
                format!("the last successful backup was {at}; {limit} is allowed")
            }
            (Some(at), false) => format!(
                "the last successful backup that can be read was {at}; {limit} is allowed; {foreign} is there, whose backups cannot be read"
            ),
            (None, true) => format!(
                "no backup by a product that is known here was seen since the host joined {}; another product may make them",
                host.enrolled
            ),
            (None, false) => {
                format!("{foreign} is there; whether its backups succeed cannot be read")
            }
        },
    });
}

/// What updates a host.
fn updater(host: &Watched) -> Product {
    const LINUX: [(&str, Product); 12] = [
        ("debian", Product::Apt),
        ("ubuntu", Product::Apt),
        ("mint", Product::Apt),
        ("suse", Product::Zypper),
        ("fedora", Product::Dnf),
        ("red hat", Product::Dnf),
        ("centos", Product::Dnf),
        ("rocky", Product::Dnf),
        ("alma", Product::Dnf),
        ("oracle", Product::Dnf),
        ("amazon", Product::Dnf),
        ("raspbian", Product::Apt),
    ];
    match host.os {
        OsFamily::Windows => Product::WindowsUpdate,
        OsFamily::Linux => {
            let name = host.os_name.to_lowercase();
            LINUX
                .into_iter()
                .find(|(part, _)| name.contains(part))
                .map_or(Product::Other, |(_, product)| product)
        }
    }
}

struct Looking {
    now: Timestamp,
    overdue: Vec<Overdue>,
    look_again: Timestamp,
}

impl Looking {
    /// Notes what is overdue since a moment and its limit, or when it will be. Says whether it is.
    fn at(
        &mut self,
        from: Timestamp,
        limit: Limit,
        overdue: impl FnOnce(Limit) -> Overdue,
    ) -> bool {
        let Some(span) = limit.duration() else { return false };
        let deadline = from.after(span);
        if deadline > self.now {
            self.sooner(deadline);
            return false;
        }
        let overdue = overdue(limit);
        // It may quote what the host said at length.
        let message = words::cut(&overdue.message, limits::REPORT_MESSAGE_BYTES).to_owned();
        self.overdue.push(Overdue { since: deadline, message, ..overdue });
        true
    }

    fn sooner(&mut self, at: Timestamp) {
        self.look_again = self.look_again.min(at);
    }

    fn done(self, held: bool) -> Judgement {
        Judgement { overdue: self.overdue, held, look_again: self.look_again }
    }
}
