//! Background tasks: level-triggered, idempotent, without input. A task looks at the database, acts
//! on what is due and says what it did; the next activation is the retry. It is woken by its period
//! or by a nudge, and a lost nudge costs latency only.

mod driver;
mod status;
pub mod tasks;

use std::time::Duration;

use tokio::sync::Notify;

pub use driver::drive;
pub use status::{Board, Outcome, Status, TaskStatus};

use crate::lifecycle::Lifecycle;
use crate::state::Shared;

/// One task.
#[async_trait::async_trait]
pub trait BackgroundTask: Send {
    /// Its name, as status, spans and metrics show it.
    fn name(&self) -> &'static str;

    /// Does what is due now, in bounded portions, and says how it went.
    async fn activate(&mut self) -> Status;
}

/// A way to wake each task early, and how each did. A nudge carries no data.
#[derive(Debug, Default)]
pub struct Nudges {
    /// New failures, evidence or knowledge: incidents wait for a verdict.
    pub triage: Notify,
    /// A campaign, one of its jobs, a freeze or the halt changed.
    pub campaigns: Notify,
    /// A try of a job came to its end.
    pub climb: Notify,
    /// A deadline may have come nearer.
    pub deadlines: Notify,
    /// Something may be overdue.
    pub overdue: Notify,
    /// Something may have grown old.
    pub retention: Notify,
    /// How every task did when it last ran.
    pub board: Board,
}

/// How often triage looks without a nudge.
const TRIAGE_PERIOD: Duration = Duration::from_secs(30);
/// How often campaigns are looked at without a nudge.
const CAMPAIGNS_PERIOD: Duration = Duration::from_secs(15);
/// How often jobs between two tries are looked for without a nudge.
const CLIMB_PERIOD: Duration = Duration::from_secs(30);
/// How often deadlines are looked at without a nudge.
const DEADLINES_PERIOD: Duration = Duration::from_secs(15);

/// How often what is overdue is looked for without a nudge.
const OVERDUE_PERIOD: Duration = Duration::from_mins(1);
/// How often old things are looked for without a nudge.
const RETENTION_PERIOD: Duration = Duration::from_hours(1);

/// Starts every task of the server.
pub fn start(shared: &Shared, life: &Lifecycle) {
    let triage = tasks::Triage::new(
        shared.db.clone(),
        shared.catalogue,
        shared.clock.clone(),
        shared.events.clone(),
    );
    let deadlines =
        tasks::Deadlines::new(shared.db.clone(), shared.clock.clone(), shared.events.clone());
    let (nudges, clock, soft) = (shared.nudges.clone(), shared.clock.clone(), life.soft());
    life.spawn_part("background tasks", async move {
        drive(triage, TRIAGE_PERIOD, &nudges.triage, &nudges.board, &*clock, &soft).await;
    });
    let climb = tasks::Climb::new(
        shared.db.clone(),
        shared.catalogue,
        shared.clock.clone(),
        shared.events.clone(),
        shared.registry.clone(),
        shared.nudges.clone(),
    );
    let (nudges, clock, soft) = (shared.nudges.clone(), shared.clock.clone(), life.soft());
    life.spawn_part("background tasks", async move {
        drive(climb, CLIMB_PERIOD, &nudges.climb, &nudges.board, &*clock, &soft).await;
    });
    let overdue = tasks::Overdue::new(
        shared.db.clone(),
        shared.clock.clone(),
        shared.events.clone(),
        shared.nudges.clone(),
        shared.config.overdue.rules(),
    );
    let (nudges, clock, soft) = (shared.nudges.clone(), shared.clock.clone(), life.soft());
    life.spawn_part("background tasks", async move {
        drive(overdue, OVERDUE_PERIOD, &nudges.overdue, &nudges.board, &*clock, &soft).await;
    });
    let campaigns = tasks::Campaigns::new(shared.clone());
    let (nudges, clock, soft) = (shared.nudges.clone(), shared.clock.clone(), life.soft());
    life.spawn_part("background tasks", async move {
        drive(campaigns, CAMPAIGNS_PERIOD, &nudges.campaigns, &nudges.board, &*clock, &soft).await;
    });
    let keep = shared.config.retention.keep();
    let retention = tasks::Retention::new(shared.db.clone(), shared.clock.clone(), keep);
    let (nudges, clock, soft) = (shared.nudges.clone(), shared.clock.clone(), life.soft());
    life.spawn_part("background tasks", async move {
        drive(retention, RETENTION_PERIOD, &nudges.retention, &nudges.board, &*clock, &soft).await;
    });
    let (nudges, clock, soft) = (shared.nudges.clone(), shared.clock.clone(), life.soft());
    life.spawn_part("background tasks", async move {
        drive(deadlines, DEADLINES_PERIOD, &nudges.deadlines, &nudges.board, &*clock, &soft).await;
    });
}
