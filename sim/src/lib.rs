//! Simulated hosts behind the agent's platform trait: real agent code on made-up machines, thousands
//! in one process. Each draws hidden faults from a table, leaves their marks in the forms that the
//! real collectors read, and feels what remediations do. Everything they report says that it is
//! simulated.

pub mod chance;
pub mod counts;
pub mod demo;
pub mod desk;
pub mod fleet;
pub mod load;
pub mod local;
pub mod model;
pub mod names;
pub mod orders;
pub mod trial;

mod host;
mod logs;
mod showcase;
mod usage;

pub use host::deeds::deeds;
pub use host::{Fault, Outcome, Pace, SimHost, Standing, Truth};
