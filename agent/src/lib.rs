//! Fleetmend's agent: finds failures on its host, tells the server, and repairs what its own
//! catalogue knows how to repair, under a ceiling that only the host's admin raises.
//!
//! In reading order: [`collect`] and [`probe`] look, [`spool`] keeps, [`link`] carries; [`order`]
//! decides whether an order is to be believed, [`execute`] acts on it; [`app`] wires them.

pub mod app;
pub mod collect;
pub mod commands;
pub mod config;
pub mod enroll;
pub mod evidence_store;
pub mod execute;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod identity;
mod last_backup;
pub mod link;
pub mod looks;
pub mod order;
pub mod platform;
pub mod probe;
pub mod prober;
pub mod random;
pub mod scan;
pub mod spool;
pub mod state;
pub mod watch;

pub use app::App;
pub use config::AgentConfig;
