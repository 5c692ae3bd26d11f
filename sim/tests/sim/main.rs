//! Simulated hosts: the same seed gives the same, the real collectors read what they write, triage
//! finds what is really wrong in most of them, and real agents repair them.

mod campaign;
mod fleet;
mod models;
mod orders;
mod trial;

use std::path::Path;
use std::time::Duration;

use fleetmend_core::host::OsFamily;
use fleetmend_core::time::Timestamp;
use fleetmend_sim::model::Model;
use fleetmend_sim::names::Persona;
use fleetmend_sim::{Pace, SimHost};

/// Lives fast, and takes no time for anything.
const QUICK: Pace = Pace {
    every: Duration::from_secs(2),
    step: Duration::ZERO,
    fault_every: None,
    past: Duration::from_hours(3 * 24),
};

/// A host with this one fault.
fn host(folder: &Path, number: u32, model: &'static Model, now: Timestamp) -> SimHost {
    let persona = Persona::draw(7, number, model.os);
    let root = folder.join(format!("{}-{number}", model.id));
    SimHost::create(root, persona, &[model], 7, QUICK, now).expect("a host")
}

/// A host with nothing wrong.
fn healthy(folder: &Path, os: OsFamily, now: Timestamp) -> SimHost {
    let persona = Persona::draw(7, 1, os);
    SimHost::create(folder.join(os.as_str()), persona, &[], 7, QUICK, now).expect("a host")
}
