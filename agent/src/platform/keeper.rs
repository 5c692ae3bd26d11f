//! A program that outlives the agent. The agent's own program is started as its *keeper*: it reads
//! the program's output into a file (bounded, so that no disk fills), ends it when its time is up,
//! and writes down how it ended. An agent that is killed meanwhile takes no program with it, and the
//! next one learns the outcome instead of guessing.
//!
//! In the folder: `program` (what to run), `lock` (held by the keeper while it lives), `begun`
//! (written before the program is started), `process` (which one it is), `output`, `exit`.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::{interval, sleep};

use super::{Exit, Program, Rejoined, linux};
use crate::state;

/// Time between two looks at the output, and at a keeper that is not our child.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of output read at once.
const PIECE: u64 = 64 * 1024;
/// The kernel's clock ticks a second, as /proc shows them to programs.
const TICKS: u64 = 100;

/// How a kept program ended.
#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    status: Option<i32>,
    timed_out: bool,
    dropped: u64,
    /// Why it could not be started, or not be waited for.
    error: Option<String>,
    /// Whether it was started.
    #[serde(default = "was_started")]
    started: bool,
}

const fn was_started() -> bool {
    true
}

/// Which process a kept program is: ids are used again, start times are not.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    id: i32,
    start: u64,
    boot: String,
}

/// Runs a program under a keeper, and follows it.
pub(super) async fn run(
    keeper: &Path,
    program: &Program,
    folder: &Path,
    sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
) -> io::Result<Exit> {
    let Some(lock) = lock(folder)? else {
        return Err(io::Error::other("the program of this step still runs"));
    };
    state::write_checked(&folder.join("program"), program)?;
    let mut keeper = linux::start_keeper(keeper, folder, lock)?;
    let mut output = Output::default();
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            ended = keeper.wait() => {
                ended?;
                break;
            }
            _ = look.tick() => output.follow(folder, sink),
        }
    }
    match outcome(folder, false, output, sink).await? {
        Rejoined::Ended(exit) => Ok(exit),
        Rejoined::NeverBegan => Err(io::Error::other("its keeper could not begin")),
        Rejoined::Lost(why) => Err(io::Error::other(why)),
    }
}

/// What became of a kept program; waits for it while it runs.
pub(super) async fn rejoin(
    folder: &Path,
    sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
) -> io::Result<Rejoined> {
    if !folder.is_dir() {
        return Ok(Rejoined::Lost(super::HIDDEN.to_owned()));
    }
    let mut output = Output::default();
    while lock(folder)?.is_none() {
        output.follow(folder, sink);
        sleep(LOOK).await;
    }
    outcome(folder, true, output, sink).await
}

/// The keeper's own work: runs the program that `folder` names, to its end. Standard input is the
/// folder's lock, and stays open as long as this process lives.
pub async fn keep(folder: &Path) -> io::Result<()> {
    // Whoever stops the agent does not mean the program that it started.
    let _deaf = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let program: Program = state::read_checked(&folder.join("program"))?;
    let mut output = state::private().create(true).append(true).open(folder.join("output"))?;
    write_new(&folder.join("begun"), b"")?;
    let mut room = program.max_output;
    let mut unwritten = 0;
    let mut sink = |piece: &[u8]| {
        let kept = &piece[..piece.len().min(room)];
        room -= kept.len();
        if output.write_all(kept).is_err() {
            unwritten += kept.len() as u64;
        }
    };
    let mut started = false;
    let ran = linux::run(&program, &mut sink, |id| {
        started = true;
        if let Some(process) = Process::of(id) {
            // Without it nobody finds the program should this keeper be killed: no harm else.
            let _ = state::write_checked(&folder.join("process"), &process);
        }
    })
    .await;
    let ended = match ran {
        Ok(exit) => Ended {
            status: exit.status,
            timed_out: exit.timed_out,
            dropped: exit.dropped + unwritten,
            error: None,
            started,
        },
        Err(error) => {
            let error = Some(error.to_string());
            Ended { status: None, timed_out: false, dropped: 0, error, started }
        }
    };
    let written = output.sync_data().and_then(|()| write_end(folder, &ended));
    if written.is_err() {
        // How it ended is worth more than what it said.
        let dropped = ended.dropped + output.metadata().map_or(0, |meta| meta.len());
        output.set_len(0)?;
        write_end(folder, &Ended { dropped, ..ended })?;
    }
    Ok(())
}

/// How the program ended, by what its keeper left; `again` where another agent began it.
async fn outcome(
    folder: &Path,
    again: bool,
    mut output: Output,
    sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
) -> io::Result<Rejoined> {
    output.follow(folder, sink);
    match state::read_checked::<Ended>(&folder.join("exit")) {
        Ok(Ended { error: Some(_), started: false, .. }) if again => {
            return Ok(Rejoined::NeverBegan);
        }
        Ok(Ended { error: Some(error), .. }) => return Err(io::Error::other(error)),
        Ok(ended) => {
            return Ok(Rejoined::Ended(Exit {
                status: ended.status,
                timed_out: ended.timed_out,
                output: output.bytes,
                dropped: ended.dropped,
            }));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Ok(Rejoined::Lost(format!("how it ended cannot be read: {error}")));
        }
        Err(_) => {}
    }
    if !folder.join("begun").exists() {
        return Ok(Rejoined::NeverBegan);
    }
    // The keeper was killed, or the machine stopped. The program itself may still run.
    let limit = state::read_checked::<Program>(&folder.join("program"))
        .map_or(Duration::ZERO, |program| program.timeout);
    let process = state::read_checked::<Process>(&folder.join("process")).ok();
    let mut overdue = false;
    while let Some(process) = process.as_ref().filter(|p| p.runs()) {
        output.follow(folder, sink);
        if process.age().is_none_or(|age| age > limit) {
            process.end().await;
            overdue = true;
        }
        sleep(LOOK).await;
    }
    output.follow(folder, sink);
    let why = if overdue {
        "it was ended, for its time was over; what it had done until then is not known"
    } else {
        "agent and keeper were stopped while it ran; whether it ended well is not known"
    };
    Ok(Rejoined::Lost(why.to_owned()))
}

/// The folder's lock; `None` while a keeper has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = state::private().create(true).append(true).read(true).open(folder.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_end(folder: &Path, ended: &Ended) -> io::Result<()> {
    state::write_checked(&folder.join("exit"), ended)
}

/// A file that is on disk, name and all, when this returns.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = state::private().create_new(true).write(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    state::sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// What was seen of an output.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
}

impl Output {
    /// Takes what came since the last look. What cannot be read now is read at the next.
    fn follow(&mut self, folder: &Path, sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send)) {
        let Ok(mut file) = File::open(folder.join("output")) else { return };
        if file.seek(SeekFrom::Start(self.bytes.len() as u64)).is_err() {
            return;
        }
        loop {
            let before = self.bytes.len();
            let read = (&mut file).take(PIECE).read_to_end(&mut self.bytes);
            sink(&self.bytes[before..]);
            if !matches!(read, Ok(size) if size > 0) {
                return;
            }
        }
    }
}

impl Process {
    fn of(id: u32) -> Option<Self> {
        let id = i32::try_from(id).ok()?;
        Some(Self { id, start: start_of(id)?, boot: boot() })
    }

    fn runs(&self) -> bool {
        self.boot == boot() && start_of(self.id) == Some(self.start)
    }

    fn age(&self) -> Option<Duration> {
        let text = fs::read_to_string("/proc/uptime").ok()?;
        let up: u64 = text.split('.').next()?.parse().ok()?;
        Some(Duration::from_secs(up.saturating_sub(self.start / TICKS)))
    }

    /// Ends it and its children: asks first, then insists.
    async fn end(&self) {
        let Some(group) = Pid::from_raw(self.id) else { return };
        let _ = kill_process_group(group, Signal::TERM);
        for _ in 0..50 {
            if !self.runs() {
                break;
            }
            sleep(LOOK).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// When a process started, in ticks since the boot; `None` where it is gone, or only waits to be
/// collected.
fn start_of(id: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold blanks and brackets; what follows its end does not.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
