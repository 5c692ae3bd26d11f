//! The tasks, one a file.

mod deadlines;
mod retention;
#[cfg(test)]
mod tests;
mod triage;

pub use deadlines::Deadlines;
pub use retention::Retention;
pub use triage::Triage;
