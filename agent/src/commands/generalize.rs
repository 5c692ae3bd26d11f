//! `generalize`: forgets who this host is, so that an image of it can be cloned, or so that it can be
//! enrolled anew. The only thing that ever removes an identity.

use std::fs;

use crate::identity::{Identity, IdentityError};
use crate::state::{ASIDE, StateDir};

/// What of the state directory belongs to the enrolled host and not to the machine.
const FILES: [&str; 4] = ["orders.json", "contact.json", "evidence.json", "natural.json"];
const FOLDERS: [&str; 4] = ["spool", "journal", "steps", "collect"];

/// Removes identity, spool, journal and counters. Quarantined files stay: they are the machine's.
/// Says whether there was an identity.
pub fn generalize(state: &StateDir) -> Result<bool, IdentityError> {
    let _lock = state.lock()?;
    let was = state.join("identity.json").exists();
    // The identity last: a run that is cut short is done again.
    for name in FILES {
        state.remove(name)?;
        state.remove(&format!("{name}{ASIDE}"))?;
    }
    for name in FOLDERS {
        let path = state.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|e| {
                IdentityError::unusable("the state directory", format!("{}: {e}", path.display()))
            })?;
        }
    }
    Identity::remove(state)?;
    Ok(was)
}
