//! Linux: facts from /proc and os-release, programs in their own process group with an empty
//! environment.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fleetmend_core::host::{HostFacts, OsFamily};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::{Exit, Platform, Power, Program, Rejoined, Session, keeper, people};

/// The only places programs look for others.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a program may take to end itself when its time is up.
const LAST_CALL: Duration = Duration::from_secs(5);
/// How long output is still read after a program ended: a daemon that it started may hold the pipe
/// for ever.
const AFTERGLOW: Duration = Duration::from_millis(200);

/// A Linux machine.
#[derive(Debug)]
pub struct Linux {
    root: PathBuf,
    /// The agent's own program, which keeps what outlives it.
    keeper: Option<PathBuf>,
}

impl Linux {
    /// This machine.
    pub fn new() -> Self {
        Self { root: PathBuf::from("/"), keeper: None }
    }

    /// As [`Linux::new`], with the agent's program (one that has the `keep` command): what changes
    /// the host is started by it, and survives this process.
    pub fn keeping(keeper: impl Into<PathBuf>) -> Self {
        Self { keeper: Some(keeper.into()), ..Self::new() }
    }

    fn read(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

impl Default for Linux {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait::async_trait]
impl Platform for Linux {
    fn root(&self) -> &Path {
        &self.root
    }

    fn facts(&self) -> io::Result<HostFacts> {
        // In a chroot without /proc the kernel still answers uname.
        let uname = rustix::system::uname();
        let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
        let release = self.read("etc/os-release").or_else(|| self.read("usr/lib/os-release"));
        let os_name = release.as_deref().and_then(|r| field(r, "PRETTY_NAME"));
        Ok(HostFacts {
            name: self.read("proc/sys/kernel/hostname").unwrap_or_else(|| text(uname.nodename())),
            os: OsFamily::Linux,
            os_name: os_name.unwrap_or_else(|| "Linux".to_owned()),
            os_build: text(uname.release()),
            arch: std::env::consts::ARCH.to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: self
                .read("proc/sys/kernel/random/boot_id")
                .unwrap_or_else(|| "unknown".to_owned()),
            simulated: false,
        })
    }

    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        run(program, sink, |_| {}).await
    }

    async fn power(&self) -> io::Result<Power> {
        crate::probe::power(&self.root)
    }

    async fn sessions(&self) -> io::Result<Vec<Session>> {
        people::sessions(&self.root)
    }

    async fn asks_at_boot(&self) -> io::Result<Option<String>> {
        people::asks_at_boot(&self.root)
    }

    async fn notify_users(
        &self,
        text: &str,
        wait: Duration,
        may_defer: bool,
    ) -> io::Result<Option<String>> {
        people::notify(self, text, wait, may_defer).await
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }

    async fn reach(&self, host: &str, port: u16) -> io::Result<()> {
        tokio::net::TcpStream::connect((host, port)).await.map(|_| ())
    }

    async fn run_kept(
        &self,
        program: &Program,
        folder: &Path,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        match &self.keeper {
            Some(keeper) => keeper::run(keeper, program, folder, sink).await,
            None => self.run(program, sink).await,
        }
    }

    async fn rejoin(
        &self,
        folder: &Path,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Rejoined> {
        match &self.keeper {
            Some(_) => keeper::rejoin(folder, sink).await,
            None => Ok(Rejoined::Lost(super::HIDDEN.to_owned())),
        }
    }
}

/// Runs a program; `started` is told its process id before anything else happens.
pub(super) async fn run(
    program: &Program,
    sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    started: impl FnOnce(u32),
) -> io::Result<Exit> {
    let (mut child, mut output) = start(program)?;
    if let Some(id) = child.id() {
        started(id);
    }
    let mut exit = Exit::default();
    let mut buffer = vec![0; 16 * 1024];
    let deadline = Instant::now() + program.timeout;
    let (mut reading, mut status) = (true, None);
    // A daemon that it started may go on talking for ever, too.
    let mut last_word = deadline;
    while status.is_none() || reading {
        let wait_until = match status {
            None => deadline,
            Some(_) => last_word.min(Instant::now() + AFTERGLOW),
        };
        tokio::select! {
            read = output.read(&mut buffer), if reading => match read {
                Ok(0) | Err(_) => reading = false,
                Ok(size) => keep(&mut exit, &buffer[..size], program.max_output, sink),
            },
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                last_word = Instant::now() + LAST_CALL;
            }
            () = tokio::time::sleep_until(wait_until) => {
                if status.is_some() {
                    break;
                }
                exit.timed_out = true;
                status = Some(end(&mut child).await?);
                last_word = Instant::now() + LAST_CALL;
            }
        }
    }
    exit.status = status.and_then(|s| s.code());
    Ok(exit)
}

#[expect(clippy::disallowed_methods, reason = "the one place on Linux that starts programs")]
fn start(program: &Program) -> io::Result<(Child, pipe::Receiver)> {
    if !program.path.starts_with('/') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("\"{}\" is no absolute path", program.path),
        ));
    }
    let (reader, writer) = io::pipe()?;
    let child = Command::new(&program.path)
        .args(&program.args)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    // Our writing ends went away with the Command: what is left is the child's.
    let output = pipe::Receiver::from_owned_fd(reader.into())?;
    Ok((child, output))
}

fn keep(
    exit: &mut Exit,
    piece: &[u8],
    most: usize,
    sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
) {
    sink(piece);
    let room = most.saturating_sub(exit.output.len()).min(piece.len());
    exit.output.extend_from_slice(&piece[..room]);
    exit.dropped += (piece.len() - room) as u64;
}

/// Starts the agent's program to keep another one: apart from this process in everything but `lock`,
/// which it holds as its standard input until it ends.
#[expect(clippy::disallowed_methods, reason = "the one place on Linux that starts programs")]
pub(super) fn start_keeper(keeper: &Path, folder: &Path, lock: fs::File) -> io::Result<Child> {
    Command::new(keeper)
        .arg("keep")
        .arg(folder)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Ends the program and its children: asks first, then insists.
async fn end(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let signal = |signal| group.map(|group| kill_process_group(group, signal));
    let _ = signal(Signal::TERM);
    let ended = timeout(LAST_CALL, child.wait()).await;
    // Children may outlive the program that was asked.
    let _ = signal(Signal::KILL);
    match ended {
        Ok(status) => status,
        Err(_) => child.wait().await,
    }
}

/// A value of os-release, without its quotes.
fn field(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, time: Duration, max_output: usize) -> (Exit, Vec<u8>) {
        let program = Program {
            path: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            timeout: time,
            max_output,
        };
        let mut seen = Vec::new();
        let mut sink = |piece: &[u8]| seen.extend_from_slice(piece);
        let exit = Linux::new().run(&program, &mut sink).await.expect("runs");
        (exit, seen)
    }

    #[tokio::test]
    async fn output_is_merged_bounded_and_seen_whole() {
        let (exit, seen) =
            shell("echo one; echo two >&2; exit 3", Duration::from_secs(20), 5).await;
        assert_eq!(exit.status, Some(3));
        assert_eq!(seen, b"one\ntwo\n");
        assert_eq!((exit.output.as_slice(), exit.dropped), (&b"one\nt"[..], 3));
    }

    #[tokio::test]
    async fn the_environment_is_ours_alone() {
        let (exit, _) = shell("env | sort", Duration::from_secs(20), 10_000).await;
        let names: Vec<String> = exit
            .text()
            .lines()
            .filter_map(|l| l.split('=').next().map(str::to_owned))
            .filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(&name.as_str()))
            .collect();
        assert_eq!(names, ["DEBIAN_FRONTEND", "LC_ALL", "PATH"]);
    }

    #[tokio::test]
    async fn a_program_over_its_time_is_ended_with_its_children() {
        let before = Instant::now();
        let (exit, seen) =
            shell("sleep 600 & echo $!; wait", Duration::from_millis(300), 100).await;
        assert!(exit.timed_out && before.elapsed() < Duration::from_mins(1));
        let child = String::from_utf8_lossy(&seen).trim().to_owned();
        // Gone, or a zombie that nobody has collected yet.
        let gone = || {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        let wait = async {
            while !gone() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), wait).await.expect("the child is ended");
    }

    #[tokio::test]
    async fn a_daemon_that_holds_the_output_does_not_hold_us() {
        let before = Instant::now();
        let (exit, seen) = shell("sleep 20 & echo done", Duration::from_mins(5), 100).await;
        assert_eq!((exit.status, seen.as_slice()), (Some(0), &b"done\n"[..]));
        assert!(before.elapsed() < Duration::from_secs(15));
    }

    #[tokio::test]
    async fn a_daemon_that_never_stops_talking_does_not_hold_us() {
        let before = Instant::now();
        let script =
            "(i=0; while [ $i -lt 300 ]; do echo x; i=$((i+1)); sleep 0.1; done) & echo done";
        let (exit, _) = shell(script, Duration::from_mins(5), 100).await;
        assert_eq!((exit.status, exit.timed_out), (Some(0), false));
        assert!(before.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn facts_name_the_machine() {
        let facts = Linux::new().facts().expect("read");
        assert!(!facts.name.is_empty() && !facts.os_build.is_empty(), "{facts:?}");
    }
}
