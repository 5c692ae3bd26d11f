//! The fleet's server: takes what agents report, finds out why it failed, orders repairs, shows it.
//!
//! Reading order: [`app`] wires everything over [`state::Shared`]. Agents come in by [`tls`] and
//! [`link`], reports go through [`ingest`], [`background`] tasks act on what the database holds,
//! people come in by [`http`].

pub mod admin;
pub mod app;
pub mod background;
pub mod campaigns;
pub mod config;
pub mod database;
pub mod enroll;
pub mod entropy;
pub mod events;
mod expiry;
pub mod halt;
pub mod http;
pub mod ingest;
pub mod lifecycle;
pub mod link;
pub mod metrics;
pub mod orders;
mod people;
pub mod state;
pub mod telemetry;
pub mod tls;
pub mod users;

pub use app::{App, RunningServer};
pub use config::Config;
