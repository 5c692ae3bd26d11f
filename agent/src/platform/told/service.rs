//! Services, as the service manager of Windows tells of them.

use fleetmend_core::step::StartType;
use fleetmend_core::words;
use serde::{Deserialize, Serialize};

/// A call to the service manager of Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCall {
    /// Only looks.
    Look,
    /// Starts it, and waits until it runs.
    Start,
    /// Stops it, and waits until it has stopped.
    Stop,
    /// Changes how it starts.
    SetStart(StartType),
}

words! {
    /// What a service does.
    pub enum RunState ("service state") {
        /// It does not run.
        Stopped = "stopped",
        /// It is on its way up.
        StartPending = "start_pending",
        /// It is on its way down.
        StopPending = "stop_pending",
        /// It runs.
        Running = "running",
        /// It is being paused.
        PausePending = "pause_pending",
        /// It is going on after a pause.
        ContinuePending = "continue_pending",
        /// It is paused.
        Paused = "paused",
    }
}

impl RunState {
    /// Whether it stands between two states. For long is a fault.
    pub const fn is_pending(self) -> bool {
        matches!(
            self,
            Self::StartPending | Self::StopPending | Self::PausePending | Self::ContinuePending
        )
    }
}

/// What the service manager of Windows says of a service, after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSeen {
    /// What it does.
    pub state: RunState,
    /// How it starts.
    pub start: StartType,
    /// Whether an automatic start waits until the system is up.
    #[serde(default)]
    pub delayed: bool,
    /// Whether the system starts it when it is needed: stopped is normal then.
    #[serde(default)]
    pub trigger: bool,
    /// The Win32 code with which it stopped last; 0 where it did well, 1077 where it has not run
    /// since the system came up.
    #[serde(default)]
    pub exit: u32,
}

impl ServiceSeen {
    /// A service in this state that starts so, and has no trigger.
    pub const fn new(state: RunState, start: StartType) -> Self {
        Self { state, start, delayed: false, trigger: false, exit: 0 }
    }

    /// Whether it runs, or is about to.
    pub const fn runs(&self) -> bool {
        !matches!(self.state, RunState::Stopped | RunState::StopPending)
    }
}
