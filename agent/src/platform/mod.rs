//! What the agent needs from the machine it stands on, behind one trait: the real systems, and
//! simulated and recorded hosts, implement it. Only the calls live here; what is decided from them
//! does not.
//!
//! What a system cannot be asked is the error *unsupported*, never an empty answer: a probe makes
//! *unknown* of it. What it was asked and does not know is an error that says why.

#[cfg(target_os = "linux")]
pub mod keeper;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod people;
#[cfg(debug_assertions)]
pub mod recorded;
mod told;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_core::evidence::Finding;
use fleetmend_core::host::{HostFacts, HostState};
use fleetmend_core::probe::Question;
use fleetmend_core::step::Hive;
use fleetmend_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::probe::About;

#[cfg(target_os = "linux")]
pub use linux::Linux;
pub use told::*;

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
    fn facts(&self) -> io::Result<HostFacts>;

    /// Runs a program with an empty environment but for `LC_ALL=C.UTF-8`,
    /// `DEBIAN_FRONTEND=noninteractive` and a fixed `PATH`; `sink` sees each piece of output as it
    /// comes.
    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit>;

    /// Answers a question by the system's own means; `None` leaves it to the agent's probes.
    async fn answer(&self, _: &Question, _: About<'_>, _: Timestamp) -> Option<Finding> {
        None
    }

    /// The state of the host by the system's own means; `None` leaves it to what the agent reads.
    async fn state(&self, _: Timestamp) -> Option<HostState> {
        None
    }

    /// As [`Platform::run`], for a program that changes the host: where the machine can, it and its
    /// output survive the agent, and what it gave is kept in `folder` for [`Platform::rejoin`].
    async fn run_kept(
        &self,
        program: &Program,
        folder: &Path,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        let _ = folder;
        self.run(program, sink).await
    }

    /// What became of the program that [`Platform::run_kept`] began in `folder`; waits while it runs.
    /// `sink` sees its whole output, from the beginning.
    async fn rejoin(
        &self,
        folder: &Path,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Rejoined> {
        let _ = (folder, sink);
        Ok(Rejoined::Lost(HIDDEN.to_owned()))
    }

    /// The file below [`Platform::root`] that a path of this system names; `None` where it lies on
    /// another volume than the system.
    fn file(&self, path: &str) -> Option<PathBuf> {
        if path.starts_with('/') {
            return Some(self.root().join(path.trim_start_matches('/')));
        }
        let path = path.replace('\\', "/");
        let path = match path.split_once(':') {
            Some((drive, rest)) if drive.eq_ignore_ascii_case("c") => rest,
            Some((drive, _)) if drive.len() == 1 => return None,
            _ => &path,
        };
        Some(self.root().join(path.trim_start_matches('/')))
    }

    /// The addresses of a name, by the system's resolver. *Not found* where it has none.
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Opens a TCP connection and closes it: whether somebody answers there.
    async fn reach(&self, _host: &str, _port: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// One call to the service manager of Windows; gives what is so afterwards. *Not found* where
    /// there is no such service.
    async fn service(&self, _name: &str, _call: ServiceCall) -> io::Result<ServiceSeen> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A value of the registry; `None` where it, or its key, is not there. Names are compared
    /// without case.
    async fn registry(
        &self,
        _hive: Hive,
        _key: &str,
        _name: &str,
    ) -> io::Result<Option<RegistryValue>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What a key of the registry holds; `None` where it is not there.
    async fn registry_key(&self, _hive: Hive, _key: &str) -> io::Result<Option<RegistryKey>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Writes a value of the registry, its key with it; `None` deletes it. Deleting what is not
    /// there is well.
    async fn registry_set(
        &self,
        _hive: Hive,
        _key: &str,
        _name: &str,
        _value: Option<&RegistryValue>,
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Events of one log, the newest first. *Not found* where there is no such log.
    async fn events(&self, _query: EventQuery<'_>) -> io::Result<Vec<Event>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// When the oldest event of a log was written; `None` where it is empty. *Not found* where there is
    /// no such log.
    async fn oldest_event(&self, _channel: &str) -> io::Result<Option<Timestamp>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether a path is there, on any volume or share that the agent's account can reach.
    async fn exists(&self, _path: &str) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The security descriptor of a file or folder: owner and list of rights, self-relative. *Not
    /// found* where there is nothing.
    async fn security(&self, _path: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// All volumes, those without a letter too.
    async fn volumes(&self) -> io::Result<Vec<Volume>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The folders of all people's libraries.
    async fn libraries(&self) -> io::Result<Vec<LibraryLocation>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The reparse point at a path itself; `None` where there is a plain file or folder. *Not
    /// found* where there is nothing.
    async fn reparse(&self, _path: &str) -> io::Result<Option<Reparse>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes an empty folder lead to a place, or (`None`) makes it an empty folder again. Never
    /// touches anything in the place.
    async fn reparse_set(&self, _path: &str, _reparse: Option<&Reparse>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What the signature of a file says.
    async fn signature(&self, _path: &str) -> io::Result<Signature> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// All processes.
    async fn processes(&self) -> io::Result<Vec<Process>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The writers of the shadow copy service.
    async fn vss_writers(&self) -> io::Result<Vec<VssWriter>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The providers of the shadow copy service.
    async fn vss_providers(&self) -> io::Result<Vec<VssProvider>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The room set aside for shadow copies.
    async fn shadow_storage(&self) -> io::Result<Vec<ShadowStorage>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The shadow copies.
    async fn shadow_copies(&self) -> io::Result<Vec<ShadowCopy>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where backups of this host are set to be written; none where no backup is set up.
    async fn backup_targets(&self) -> io::Result<Vec<BackupTarget>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where the power comes from.
    async fn power(&self) -> io::Result<Power> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What somebody has to type before the machine starts again, in words; `None` where it starts by
    /// itself.
    async fn asks_at_boot(&self) -> io::Result<Option<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Who is logged in.
    async fn sessions(&self) -> io::Result<Vec<Session>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Tells those who are logged in of a restart, and comes back when `wait` is over; with
    /// `may_defer`, as soon as somebody puts it off: who that is.
    async fn notify_users(
        &self,
        _text: &str,
        _wait: Duration,
        _may_defer: bool,
    ) -> io::Result<Option<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether the network in use is marked as metered.
    async fn metered(&self) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Memory to be had.
    async fn memory(&self) -> io::Result<Memory> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The virus scanners that the system knows of. Servers keep no such list.
    async fn antivirus(&self) -> io::Result<Vec<Antivirus>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether Windows' own virus scanner leaves a path alone; with `want`, sees to it that it does
    /// or does not, as far as that is the host's own setting; where it cannot, that is an error. Gives
    /// what is so afterwards, policies included.
    async fn antivirus_exclusion(&self, _path: &str, _want: Option<bool>) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The profiles of the firewall; with `want`, switches those that it names. Gives what is so
    /// afterwards.
    async fn firewall(&self, _want: Option<&FirewallState>) -> io::Result<FirewallState> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The updates that are installed, the newest first.
    async fn updates(&self) -> io::Result<Vec<InstalledUpdate>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What the clock is set by.
    async fn time_source(&self) -> io::Result<TimeSource> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The machine's own proxy; `None` where none is set.
    async fn proxy(&self) -> io::Result<Option<Proxy>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Has the host's update agent do one thing through the host's own update authority; with `only`
    /// (`KB5031356`), to that update alone.
    async fn update(&self, _call: UpdateCall, _only: Option<&str>) -> io::Result<Outcome> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Runs the backup that the host is set up to run.
    async fn backup(&self) -> io::Result<Outcome> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The restore points: names by number.
    async fn restore_points(&self) -> io::Result<BTreeMap<u32, String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a restore point.
    async fn restore_point_remove(&self, _number: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a restore point of this name; gives its number.
    async fn restore_point(&self, _name: &str) -> io::Result<u32> {
        Err(io::ErrorKind::Unsupported.into())
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

    fn facts(&self) -> io::Result<HostFacts> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn run(
        &self,
        _: &Program,
        _: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
