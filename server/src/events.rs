//! Live hints: something changed, look again. Never the data itself; a lost hint costs latency.

use serde::Serialize;
use tokio::sync::broadcast;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A host enrolled, connected, left or changed.
    Host {
        /// Which.
        id: fleetmend_core::ids::HostId,
    },
    /// An incident opened, ended or got a verdict.
    Incident {
        /// Which; `None` when many changed at once.
        id: Option<fleetmend_core::ids::IncidentId>,
    },
    /// A job changed its state.
    Job {
        /// Which.
        id: fleetmend_core::ids::JobId,
    },
    /// The database went away, or came back.
    Database,
    /// A campaign changed, or one of its hosts.
    Campaign {
        /// Which.
        id: fleetmend_core::ids::CampaignId,
    },
    /// A freeze was made or taken away.
    Freezes,
    /// The fleet was halted, or the halt was lifted.
    Halt,
    /// A job printed something.
    JobLog {
        /// Which.
        id: fleetmend_core::ids::JobId,
    },
}

/// Where events are told and heard. Slow listeners miss events and are told how many.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(1_024).0)
    }
}

impl Events {
    /// Tells whoever listens.
    pub fn tell(&self, event: Event) {
        // No listener is no error.
        let _ = self.0.send(event);
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
