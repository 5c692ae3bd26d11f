//! What a host's state says of its upkeep: the few facts that overdue incidents are judged by.

use serde::{Deserialize, Serialize};

use crate::host::HostState;
use crate::time::Timestamp;

/// The few facts of a host's state that overdue incidents are judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Upkeep {
    /// Last successful search for updates.
    pub last_scan: Option<Timestamp>,
    /// Last successful installation.
    pub last_install: Option<Timestamp>,
    /// Last successful backup of any known product.
    pub last_backup: Option<Timestamp>,
    /// Why a restart is awaited.
    pub reboot: Option<String>,
    /// Last boot.
    pub booted: Option<Timestamp>,
    /// Backup products that are there and whose backups cannot be read, by name.
    pub foreign_backup: Vec<String>,
}

/// Services of backup products whose own records no collector reads yet: what a service's name begins
/// with, in lower case, and the product. Source: the makers' own documentation of their services.
const FOREIGN_BACKUP: [(&str, &str); 11] = [
    ("acronis", "Acronis"),
    ("acrsch2svc", "Acronis"),
    ("backupexecagent", "Backup Exec"),
    ("bacula-fd", "Bacula"),
    ("bareos-fd", "Bareos"),
    ("cobian", "Cobian Backup"),
    ("duplicati", "Duplicati"),
    ("gxcvd", "Commvault"),
    ("macriumservice", "Macrium Reflect"),
    ("netbackup", "NetBackup"),
    ("urbackup", "UrBackup"),
];

/// The backup product that a service of this name belongs to, where it is one whose records no
/// collector reads.
pub fn foreign_backup(service: &str) -> Option<&'static str> {
    let name = service.to_lowercase();
    let found = FOREIGN_BACKUP.iter().find(|(begins, _)| name.starts_with(begins));
    found.map(|(_, product)| *product)
}

impl Upkeep {
    /// What a state says.
    pub fn of(state: &HostState) -> Self {
        let mut foreign_backup: Vec<String> = state
            .services
            .iter()
            .filter_map(|service| foreign_backup(&service.name))
            .map(str::to_owned)
            .collect();
        foreign_backup.sort();
        foreign_backup.dedup();
        Self {
            last_scan: state.last_scan,
            last_install: state.last_install,
            last_backup: state.last_backup,
            reboot: state.pending_reboot.clone(),
            booted: state.booted_at,
            foreign_backup,
        }
    }

    /// Without successes after a moment: no clock that is right can tell of them yet.
    #[must_use]
    pub fn known_by(self, now: Timestamp) -> Self {
        let known = |at: Option<Timestamp>| at.filter(|at| *at <= now);
        Self {
            last_scan: known(self.last_scan),
            last_install: known(self.last_install),
            last_backup: known(self.last_backup),
            ..self
        }
    }

    /// Whether it tells of anything that worked.
    pub const fn proves_something(&self) -> bool {
        self.last_scan.is_some() || self.last_install.is_some() || self.last_backup.is_some()
    }
}

/// The longest line of builds there can be: `10.0.19045` is one.
const BRANCH_BYTES: usize = 32;

/// The line of builds that a build of Windows belongs to, and its place in it: `10.0.19045.3570` is the
/// 3570th of `10.0.19045`. `None` for what is no such build.
pub fn build_of(os_build: &str) -> Option<(&str, u32)> {
    let (branch, revision) = os_build.rsplit_once('.')?;
    let three = branch.len() <= BRANCH_BYTES
        && branch.split('.').count() == 3
        && branch.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let revision: u16 = revision.parse().ok()?;
    three.then_some((branch, u32::from(revision)))
}
