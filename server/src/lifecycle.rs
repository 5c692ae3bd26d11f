//! How the server stops: first softly (no new work, what is under way ends), then hard.
//!
//! Every task of the server is spawned here, under one tracker, so that nothing is left behind.
//! The soft token is a child of the hard one: a hard stop is also a soft one.
//! A part that the server cannot do without ends the server when it ends: a process that is started
//! again serves, one that half runs looks well and loses.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time that a soft stop may take before it becomes a hard one.
pub const GRACE: Duration = Duration::from_secs(20);

/// The tokens and the tracker of one running server.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    hard: CancellationToken,
    soft: CancellationToken,
    tracker: TaskTracker,
    /// The first part that ended before its time.
    broken: Arc<OnceLock<&'static str>>,
}

impl Lifecycle {
    /// A server that runs.
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        Self { soft: hard.child_token(), hard, ..Self::default() }
    }

    /// Cancelled when no new work shall begin.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when everything must end at once.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Spawns a task of the server. It ends at the hard stop at the latest.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let hard = self.hard();
        self.tracker.spawn(async move {
            tokio::select! {
                () = task => {}
                () = hard.cancelled() => {}
            }
        });
    }

    /// Spawns a part that must run until the soft stop. Where it ends earlier or panics, the server
    /// stops.
    pub fn spawn_part(&self, part: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let life = self.clone();
        self.spawn(async move {
            let ended = survive(task).await;
            if ended.is_ok() && life.soft.is_cancelled() {
                return;
            }
            let why = ended.err().unwrap_or_else(|| "it ended".to_owned());
            tracing::error!(part, why, "a part of the server broke: the server stops");
            let _ = life.broken.set(part);
            life.begin_shutdown();
        });
    }

    /// The part that broke, and so stopped the server.
    pub fn broken(&self) -> Option<&'static str> {
        self.broken.get().copied()
    }

    /// Begins a soft stop, and returns at once.
    pub fn begin_shutdown(&self) {
        self.soft.cancel();
        self.tracker.close();
    }

    /// Stops softly, and hard where `grace` was not enough. Says whether it was.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.begin_shutdown();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_ok() {
            return true;
        }
        self.hard.cancel();
        // Tasks end at their next await; a blocking call may take a moment more.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.tracker.wait()).await;
        false
    }
}

/// Runs a future to its end; a panic in it is an error, with its words.
pub async fn survive<T>(task: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(task).catch_unwind().await.map_err(|panic| {
        let words = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        format!("a defect: {}", words.unwrap_or_else(|| "a panic without words".to_owned()))
    })
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// Where the handlers cannot be installed.
pub async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Tells systemd, where it started us, how we are: `READY=1`, `STOPPING=1`. Costs nothing elsewhere.
pub fn notify_manager(state: &str) {
    #[cfg(unix)]
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET") {
        let told = std::os::unix::net::UnixDatagram::unbound()
            .and_then(|socket| socket.send_to(state.as_bytes(), path));
        if let Err(error) = told {
            tracing::debug!(%error, "the service manager could not be told");
        }
    }
    #[cfg(not(unix))]
    let _ = state;
}

/// How often systemd wants to hear from us, where its watchdog is on for this very process.
pub fn watchdog_period() -> Option<Duration> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let limit = number("WATCHDOG_USEC").filter(|limit| ours && *limit > 0)?;
    // A third: one word may be late without harm.
    Some(Duration::from_micros(limit / 3))
}

/// Tells systemd's watchdog that tasks still get their turn, until the hard stop.
pub fn feed_watchdog(life: &Lifecycle) {
    let Some(period) = watchdog_period() else { return };
    // Outside the tracker: it has nothing to finish, and a soft stop must not wait for it.
    let hard = life.hard();
    tokio::spawn(async move {
        while !hard.is_cancelled() {
            notify_manager("WATCHDOG=1");
            tokio::time::sleep(period).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_hears_the_soft_stop_ends_softly() {
        let life = Lifecycle::new();
        let soft = life.soft();
        life.spawn(async move { soft.cancelled().await });
        assert!(life.shutdown(GRACE).await);
    }

    #[tokio::test]
    async fn a_task_that_does_not_is_ended_hard() {
        let life = Lifecycle::new();
        life.spawn(std::future::pending());
        assert!(!life.shutdown(Duration::from_millis(1)).await);
        assert!(life.hard().is_cancelled());
    }

    #[tokio::test]
    async fn a_part_that_breaks_stops_the_server_and_is_named() {
        for breaks in [true, false] {
            let life = Lifecycle::new();
            let soft = life.soft();
            life.spawn_part("keeper", async move { soft.cancelled().await });
            life.spawn_part("writer", async move { assert!(!breaks, "no such row") });
            life.soft().cancelled().await;
            assert!(life.shutdown(GRACE).await);
            assert_eq!(life.broken(), Some("writer"));
        }
        let told = survive(async { panic!("no row {}", 7) }).await;
        assert_eq!(told, Err::<(), _>("a defect: no row 7".to_owned()));
    }

    #[tokio::test]
    async fn a_part_that_ends_at_the_stop_is_not_broken() {
        let life = Lifecycle::new();
        let soft = life.soft();
        life.spawn_part("keeper", async move { soft.cancelled().await });
        assert!(life.shutdown(GRACE).await);
        assert_eq!(life.broken(), None);
    }
}
