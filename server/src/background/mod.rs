//! Background tasks: level-triggered, idempotent, without input. A task looks at the database, acts
//! on what is due and says what it did; the next activation is the retry. It is woken by its period
//! or by a nudge, and a lost nudge costs latency only.

mod driver;
mod status;
pub mod tasks;

pub use driver::drive;
pub use status::{Board, Status, TaskStatus};

use tokio::sync::Notify;

/// One task.
#[async_trait::async_trait]
pub trait BackgroundTask: Send {
    /// Its name, as status and spans show it.
    fn name(&self) -> &'static str;

    /// Does what is due now, in bounded portions, and says how it went.
    async fn activate(&mut self) -> Status;
}

/// A way to wake each task early. Carries no data.
#[derive(Debug, Default)]
pub struct Nudges {
    /// New failures, evidence or knowledge: incidents wait for a verdict.
    pub triage: Notify,
    /// A deadline may have come nearer.
    pub deadlines: Notify,
}
