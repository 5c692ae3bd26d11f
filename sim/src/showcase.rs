//! The demo's campaigns: one that completes, one in the midst of its waves, one that an error pauses, and
//! one that waits for a second person. All of them over simulated hosts alone.

use std::time::Duration;

use fleetmend_core::ids::UserId;
use fleetmend_core::token::Role;
use fleetmend_server::state::Shared;
use fleetmend_server::{entropy, users};
use fleetmend_store::{NewPassword, NewUser};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::desk::{self, APPROVER, AUTHOR};

/// The label of every simulated host; no real one has it.
pub(crate) const LABEL: (&str, &str) = ("simulated", "yes");
/// How often it is looked whether a campaign's hosts have told of their failures.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// After this a fleet drawn by another seed has no such failure.
const PATIENCE: Duration = Duration::from_mins(15);

/// A campaign of the demo.
struct Shown {
    definition: Value,
    /// Hosts that it wants to find.
    least: usize,
    /// What is said at its start; `None` for one that is only written.
    note: Option<&'static str>,
}

/// Writes the campaigns as soon as their hosts have told of their failures, and starts them.
pub(crate) async fn run(shared: Shared, stop: CancellationToken) {
    if let Err(error) = people(&shared).await {
        tracing::warn!(%error, "the demo's people are left out");
    }
    let begun = tokio::time::Instant::now();
    let mut left = all();
    while !left.is_empty() && begun.elapsed() < PATIENCE {
        let mut waiting = Vec::new();
        for shown in left {
            match show(&shared, &shown).await {
                Ok(true) => {}
                Ok(false) => waiting.push(shown),
                Err(error) => tracing::warn!(%error, "a campaign of the demo is left out"),
            }
        }
        left = waiting;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Writes one, and starts it; whether its hosts are there.
async fn show(shared: &Shared, shown: &Shown) -> anyhow::Result<bool> {
    let Some(campaign) = desk::write(shared, shown.definition.clone(), shown.least).await? else {
        return Ok(false);
    };
    if let Some(note) = shown.note {
        desk::start(shared, &campaign, note).await?;
    }
    Ok(true)
}

/// Who writes and approves: users without a password that anybody knows.
async fn people(shared: &Shared) -> anyhow::Result<()> {
    for (who, role) in [(AUTHOR, Role::Author), (APPROVER, Role::Approver)] {
        let hash = shared.passwords.hash(&users::one_time_password()).await?;
        let user = NewUser {
            id: entropy::id(UserId::at, &*shared.clock),
            name: who.person.to_owned(),
            role,
            password: NewPassword { hash, one_time_until: None },
        };
        shared.db.create_user(&user, "demo", shared.clock.now()).await?;
    }
    Ok(())
}

fn all() -> Vec<Shown> {
    let on = |mut selector: Value| {
        selector["labels"] = json!({ LABEL.0: LABEL.1 });
        selector
    };
    let waves = |shares: &[&str]| -> Vec<Value> {
        shares.iter().map(|share| json!({ "share": share })).collect()
    };
    vec![
        Shown {
            definition: json!({
                "name": "Free the disks that packages filled",
                "reason": "Updates stop on full disks. Demo: simulated hosts only.",
                "change": "CHG-2041",
                "selector": on(json!({"product": "apt", "code": "fs.disk_full"})),
                "remedy": {"remediation": {"id": "free_disk_space.apt_cache"}},
                "max_risk": "disruptive", "waves": waves(&["1", "all"]),
                "gate": {"success_percent": 50, "soak": "0m"}, "thresholds": {"abort": "50%"},
            }),
            least: 3,
            note: Some("nobody needs the old packages"),
        },
        Shown {
            definition: json!({
                "name": "Windows Update before patch Tuesday",
                "reason": "Hosts that fail now would miss the next updates too. Demo: simulated hosts only.",
                "change": "CHG-2044",
                "selector": on(json!({"product": "windows_update"})),
                "max_risk": "disruptive", "reboot": "anytime",
                "waves": waves(&["2", "50%", "all"]),
                "gate": {"success_percent": 50, "soak": "2h"}, "thresholds": {"abort": "3"},
            }),
            least: 5,
            note: Some("agreed with the owners of the sites"),
        },
        Shown {
            definition: json!({
                "name": "Fetch damaged package lists anew",
                "reason": "Searches for packages fail since the mirror moved. Demo: simulated hosts only.",
                "selector": on(json!({"product": "apt", "operation": "scan"})),
                "remedy": {"remediation": {"id": "apt.refresh_lists"}},
                "waves": waves(&["2", "all"]),
                "gate": {"success_percent": 1, "soak": "0m"},
                "thresholds": {"pause": "0", "abort": "1"},
            }),
            least: 2,
            note: Some("the new mirror answers"),
        },
        Shown {
            definition: json!({
                "name": "Detach volumes that break Windows Backup",
                "reason": "Backups end with 0x81000037: a compressed volume is mounted inside a library. Demo: simulated hosts only.",
                "change": "CHG-2047",
                "selector": on(json!({"product": "windows_backup"})),
                "max_risk": "dangerous", "waves": waves(&["1", "all"]),
            }),
            least: 2,
            note: None,
        },
    ]
}
