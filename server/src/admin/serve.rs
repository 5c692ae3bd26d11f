//! `serve`: runs until told to stop.

use std::sync::Arc;

use fleetmend_core::time::Clock;

use crate::app::App;
use crate::config::Config;
use crate::lifecycle::{self, GRACE};

/// Serves until a signal; a second one ends the process at once. A part that breaks ends it with an
/// error, so that a service manager starts it again.
pub(super) async fn run(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let server = App::start(config, clock).await?;
    lifecycle::notify_manager("READY=1");
    lifecycle::feed_watchdog(&server.lifecycle);
    let life = server.lifecycle.clone();
    let soft = life.soft();
    tokio::select! {
        told = lifecycle::signal() => told?,
        () = soft.cancelled() => {}
    }
    tracing::info!("stopping; a second signal ends at once");
    lifecycle::notify_manager("STOPPING=1");
    tokio::select! {
        soft = server.shutdown(GRACE) => {
            tracing::info!(soft, "stopped");
            match life.broken() {
                None => Ok(()),
                Some(part) => anyhow::bail!(
                    "{part} broke: the log says why. Start the server again; agents keep their reports"
                ),
            }
        }
        second = lifecycle::signal() => {
            second?;
            anyhow::bail!("ended by a second signal")
        }
    }
}
