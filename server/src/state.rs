//! What every part of the server shares. A cheap clone; nothing in it that the database cannot
//! rebuild.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::time::Clock;
use fleetmend_store::Db;

use crate::background::Nudges;
use crate::config::Config;
use crate::database::Database;
use crate::enroll::Authority;
use crate::events::Events;
use crate::halt::Halt;
use crate::link::Registry;
use crate::users::passwords::Passwords;

/// What every part of the server shares.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The database.
    pub db: Db,
    /// Whether it answers.
    pub database: Database,
    /// What the server knows of failures.
    pub catalogue: &'static Catalogue,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How to wake background tasks.
    pub nudges: Arc<Nudges>,
    /// Where live hints are told.
    pub events: Events,
    /// The hosts with an open stream.
    pub registry: Arc<Registry>,
    /// The certificate authority.
    pub authority: Arc<Authority>,
    /// The settings.
    pub config: Arc<Config>,
    /// Whether the fleet is halted.
    pub halt: Halt,
    /// Whether requests should be sent here.
    pub readiness: Readiness,
    /// Where passwords are worked on.
    pub passwords: Passwords,
}

/// Whether the server has started, and not begun to stop. `/readyz` asks it, and how the database is.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    const SERVING: u8 = 1;
    const STOPPING: u8 = 2;

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::SERVING
    }

    /// The server serves.
    pub fn serving(&self) {
        let _ = self.0.compare_exchange(0, Self::SERVING, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The server begins to stop; there is no way back.
    pub fn stopping(&self) {
        self.0.store(Self::STOPPING, Ordering::Relaxed);
    }
}
