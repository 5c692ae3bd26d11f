//! The tasks, one a file.

mod deadlines;
mod triage;

pub use deadlines::Deadlines;
pub use triage::Triage;
