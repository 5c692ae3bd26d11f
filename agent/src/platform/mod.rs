//! What the agent needs from the machine it stands on, behind one trait: the real systems, and
//! simulated hosts, implement it. Only the calls live here; what is decided from them does not.

#[cfg(target_os = "linux")]
pub mod keeper;
#[cfg(target_os = "linux")]
mod linux;

use std::path::Path;
use std::time::Duration;

use fleetmend_core::evidence::Finding;
use fleetmend_core::host::{HostFacts, HostState};
use fleetmend_core::probe::Question;
use fleetmend_core::step::StartType;
use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::probe::About;

#[cfg(target_os = "linux")]
pub use linux::Linux;

/// A system program to run: an absolute path, fixed arguments, bounds. Never a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its absolute path on the host (below [`Platform::root`]).
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Time after which it and its children are ended.
    pub timeout: Duration,
    /// Output kept, in bytes; what comes after is dropped and counted.
    pub max_output: usize,
}

/// How a program ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// Whether it was ended because its time was up.
    pub timed_out: bool,
    /// Standard output and error together, in order of arrival.
    pub output: Vec<u8>,
    /// Bytes dropped over the bound.
    pub dropped: u64,
}

impl Exit {
    /// The output as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

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

/// What the service manager of Windows says of a service, after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Whether it runs.
    pub runs: bool,
    /// How it starts.
    pub start: StartType,
}

/// What is to be said of a program that nobody followed to its end.
const HIDDEN: &str = "the agent was stopped while it ran; whether it ended is not known";

/// What became of a program that an earlier agent began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejoined {
    /// It was never started.
    NeverBegan,
    /// It ended so; it was waited for where it still ran.
    Ended(Exit),
    /// Nobody can tell, for this reason. It does not run any more.
    Lost(String),
}

/// The machine.
#[async_trait::async_trait]
pub trait Platform: Send + Sync + std::fmt::Debug {
    /// The folder that is `/` for this host: `/` itself, or a simulated host's own folder.
    fn root(&self) -> &Path;

    /// What this machine is.
    fn facts(&self) -> std::io::Result<HostFacts>;

    /// Runs a program with an empty environment but for `LC_ALL=C.UTF-8`,
    /// `DEBIAN_FRONTEND=noninteractive` and a fixed `PATH`; `sink` sees each piece of output as it
    /// comes.
    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> std::io::Result<Exit>;

    /// Answers a question by the system's own means; `None` leaves it to the agent's probes.
    async fn answer(&self, _: &Question, _: About<'_>, _: Timestamp) -> Option<Finding> {
        None
    }

    /// The state of the host by the system's own means; `None` leaves it to what the agent reads.
    async fn state(&self, _: Timestamp) -> Option<HostState> {
        None
    }

    /// One call to the service manager of Windows; gives what is so afterwards. *Not found* where
    /// there is no such service.
    async fn service(&self, _name: &str, _call: ServiceCall) -> std::io::Result<ServiceSeen> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// As [`Platform::run`], for a program that changes the host: where the machine can, it and its
    /// output survive the agent, and what it gave is kept in `folder` for [`Platform::rejoin`].
    async fn run_kept(
        &self,
        program: &Program,
        folder: &Path,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> std::io::Result<Exit> {
        let _ = folder;
        self.run(program, sink).await
    }

    /// What became of the program that [`Platform::run_kept`] began in `folder`; waits while it runs.
    /// `sink` sees its whole output, from the beginning.
    async fn rejoin(
        &self,
        folder: &Path,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> std::io::Result<Rejoined> {
        let _ = (folder, sink);
        Ok(Rejoined::Lost(HIDDEN.to_owned()))
    }
}

/// A system on which the agent cannot run yet. It still reads copied logs there.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Clone, Copy, Default)]
pub struct Elsewhere;

#[cfg(not(target_os = "linux"))]
#[async_trait::async_trait]
impl Platform for Elsewhere {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn facts(&self) -> std::io::Result<HostFacts> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    async fn run(
        &self,
        _: &Program,
        _: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> std::io::Result<Exit> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
