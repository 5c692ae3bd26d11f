//! The tasks, one a file.

mod campaigns;
mod climb;
mod deadlines;
mod overdue;
mod retention;
#[cfg(test)]
mod tests;
mod triage;

pub use campaigns::Campaigns;
pub use climb::Climb;
pub use deadlines::Deadlines;
pub use overdue::Overdue;
pub use retention::Retention;
pub use triage::Triage;
