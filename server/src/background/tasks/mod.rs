//! The tasks, one a file.

mod deadlines;
#[cfg(test)]
mod tests;
mod triage;

pub use deadlines::Deadlines;
pub use triage::Triage;
