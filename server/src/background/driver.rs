//! The loop around every task.

use std::time::Duration;

use fleetmend_core::time::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::BackgroundTask;
use super::status::{Board, Outcome, Status};
use crate::lifecycle::survive;
use crate::metrics;

/// How often a task looks whose database is away; nudges do not hurry it.
const AWAY_PERIOD: Duration = Duration::from_secs(5);

/// Runs a task at once, then whenever its period is over or it is nudged, until `stop`. A portion
/// under way is finished: tasks keep their portions small.
pub async fn drive(
    mut task: impl BackgroundTask,
    period: Duration,
    nudge: &Notify,
    board: &Board,
    clock: &dyn Clock,
    stop: &CancellationToken,
) {
    let name = task.name();
    while !stop.is_cancelled() {
        let activation = task.activate().instrument(tracing::info_span!("task", name));
        // One thing that a task cannot bear must not end the task for all others.
        let status = survive(activation).await.unwrap_or_else(Status::broke);
        let outcome = status.outcome.clone();
        metrics::task_ran(name, !outcome.is_failure());
        match &outcome {
            // Said once, by whoever watches the database.
            Outcome::Away(error) => tracing::debug!(name, error, "the database is away"),
            Outcome::Failed(error) => tracing::error!(name, error, "background task failed"),
            Outcome::Done | Outcome::More if status.acted > 0 => {
                tracing::debug!(name, acted = status.acted, "background task acted");
            }
            Outcome::Done | Outcome::More => {}
        }
        board.note(name, clock.now(), status);
        if outcome == Outcome::More {
            // Others may have work on this thread.
            tokio::task::yield_now().await;
            continue;
        }
        // What a database that was away held up is done soon after it is back.
        let away = matches!(outcome, Outcome::Away(_));
        tokio::select! {
            () = tokio::time::sleep(if away { period.min(AWAY_PERIOD) } else { period }) => {}
            () = nudge.notified(), if !away => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use fleetmend_core::time::ManualClock;

    use super::*;

    struct Counting {
        runs: Arc<AtomicU32>,
        ran: Arc<Notify>,
        outcomes: Vec<Outcome>,
        /// The run that panics.
        breaks_in: u32,
    }

    #[async_trait::async_trait]
    impl BackgroundTask for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        async fn activate(&mut self) -> Status {
            let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            self.ran.notify_one();
            assert_ne!(run, self.breaks_in, "no such row");
            Status { outcome: self.outcomes.pop().unwrap_or(Outcome::Done), acted: 1 }
        }
    }

    #[tokio::test]
    async fn runs_at_once_again_while_there_is_more_and_on_a_nudge_until_it_is_stopped() {
        let (runs, ran) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let outcomes = vec![Outcome::Failed("lost".to_owned()), Outcome::More];
        let task = Counting { runs: runs.clone(), ran: ran.clone(), outcomes, breaks_in: 0 };
        let (nudge, board, stop) = (Notify::new(), Board::default(), CancellationToken::new());
        let clock = ManualClock::default();
        let day = Duration::from_hours(24);
        let driving = drive(task, day, &nudge, &board, &clock, &stop);
        let directing = async {
            while runs.load(Ordering::SeqCst) < 2 {
                ran.notified().await;
            }
            nudge.notify_one();
            while runs.load(Ordering::SeqCst) < 3 {
                ran.notified().await;
            }
            stop.cancel();
        };
        tokio::join!(driving, directing);
        let status = board.read().remove("counting").expect("it ran");
        assert_eq!((status.runs, status.failures), (3, 1));
        assert_eq!(status.last.outcome, Outcome::Done);
    }

    #[tokio::test]
    async fn a_run_that_panics_is_a_failed_run_and_not_the_last() {
        let (runs, ran) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let task =
            Counting { runs: runs.clone(), ran: ran.clone(), outcomes: Vec::new(), breaks_in: 1 };
        let (nudge, board, stop) = (Notify::new(), Board::default(), CancellationToken::new());
        let clock = ManualClock::default();
        nudge.notify_one();
        let driving = drive(task, Duration::from_hours(24), &nudge, &board, &clock, &stop);
        let directing = async {
            while runs.load(Ordering::SeqCst) < 2 {
                ran.notified().await;
            }
            stop.cancel();
        };
        tokio::join!(driving, directing);
        let status = board.read().remove("counting").expect("it ran");
        assert_eq!((status.runs, status.failures), (2, 1));
    }
}
