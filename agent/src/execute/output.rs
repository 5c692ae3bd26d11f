//! A step's output on its way to the server: cut into pieces, bounded, kept in the spool.
//!
//! A kept program's output is read again after a crash. What was told of it before stands in a file
//! beside it, written before the spool has it: the last piece may be told twice, cut the same and
//! with the same number, which the server passes over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::job::JobLog;
use fleetmend_core::limits;
use fleetmend_core::passwords::without_passwords;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Clock;
use serde::{Deserialize, Serialize};

use crate::platform::{Exit, Platform, Program, Rejoined};
use crate::spool::SharedSpool;
use crate::state;

/// How long output waits for more before it is sent.
const WAIT: Duration = Duration::from_millis(400);
/// Raw bytes of one piece: bytes that are no UTF-8 grow threefold when replaced.
const PIECE: usize = limits::LOG_CHUNK_BYTES / 3;

/// The log of one step.
#[derive(Debug)]
pub(crate) struct StepLog {
    spool: SharedSpool,
    clock: Arc<dyn Clock>,
    job: JobId,
    attempt: u32,
    step: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    sequence: u32,
    taken: usize,
    dropped: u64,
    /// The file that says what was told, of a kept program.
    told_file: Option<PathBuf>,
    /// Bytes of the kept output that were cut into pieces.
    cut: usize,
    /// What an earlier agent told: all before `from`, and perhaps what lies until `to`.
    told: Told,
}

/// What was told of an output.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Told {
    sequence: u32,
    from: usize,
    to: usize,
}

impl StepLog {
    /// Begins the log of a step.
    pub(crate) fn new(
        spool: SharedSpool,
        clock: Arc<dyn Clock>,
        (job, attempt): (JobId, u32),
        (step, first): (u32, u32),
    ) -> Self {
        let state = Mutex::new(State { sequence: first, ..State::default() });
        Self { spool, clock, job, attempt, step, state }
    }

    /// Runs a program; its output is sent as it comes.
    pub(crate) async fn run(&self, platform: &dyn Platform, program: &Program) -> io::Result<Exit> {
        let mut sink = |piece: &[u8]| self.take(piece);
        self.followed(platform.run(program, &mut sink)).await
    }

    /// Runs a program that outlives the agent.
    pub(crate) async fn run_kept(
        &self,
        platform: &dyn Platform,
        program: &Program,
        folder: &Path,
    ) -> io::Result<Exit> {
        self.lock().told_file = Some(folder.join("told"));
        let mut sink = |piece: &[u8]| self.take(piece);
        let exit = self.followed(platform.run_kept(program, folder, &mut sink)).await;
        self.lock().told_file = None;
        self.count(exit.as_ref().ok());
        exit
    }

    /// Follows a program that an earlier agent began, from where that one was.
    pub(crate) async fn rejoin(
        &self,
        platform: &dyn Platform,
        folder: &Path,
    ) -> io::Result<Rejoined> {
        {
            let mut state = self.lock();
            let file = folder.join("told");
            state.told = state::read_checked(&file)
                .unwrap_or(Told { sequence: state.sequence, ..Told::default() });
            (state.sequence, state.cut) = (state.told.sequence, state.told.from);
            state.told_file = Some(file);
        }
        let mut seen = 0;
        let mut sink = |piece: &[u8]| {
            // What was told before is passed over; what may have been told is one piece for itself.
            let Told { from, to, .. } = self.lock().told;
            let mut rest = &piece[from.saturating_sub(seen).min(piece.len())..];
            let at = seen + piece.len() - rest.len();
            seen += piece.len();
            if at < to && to <= at + rest.len() {
                let (again, new) = rest.split_at(to - at);
                self.take(again);
                self.flush(true);
                rest = new;
            }
            self.take(rest);
        };
        let rejoined = self.followed(platform.rejoin(folder, &mut sink)).await;
        self.lock().told_file = None;
        if let Ok(Rejoined::Ended(exit)) = &rejoined {
            self.count(Some(exit));
        }
        rejoined
    }

    /// What a keeper dropped never came here.
    fn count(&self, exit: Option<&Exit>) {
        let mut state = self.lock();
        state.dropped = state.dropped.max(exit.map_or(0, |exit| exit.dropped));
    }

    async fn followed<T>(&self, run: impl Future<Output = T>) -> T {
        tokio::pin!(run);
        let mut tick = tokio::time::interval(WAIT);
        let given = loop {
            tokio::select! {
                given = &mut run => break given,
                _ = tick.tick() => self.flush(false),
            }
        };
        self.flush(true);
        given
    }

    /// Says a line of the agent's own.
    pub(crate) fn say(&self, line: &str) {
        self.take(line.as_bytes());
        self.take(b"\n");
        self.flush(true);
    }

    /// Bytes dropped over the bound.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn take(&self, piece: &[u8]) {
        let mut state = self.lock();
        let room = limits::STEP_LOG_BYTES.saturating_sub(state.taken).min(piece.len());
        state.taken += room;
        state.dropped += (piece.len() - room) as u64;
        state.waiting.extend_from_slice(&piece[..room]);
    }

    fn flush(&self, end: bool) {
        let mut items = Vec::new();
        let now = self.clock.now();
        let mut state = self.lock();
        // What may have been told already is told again as it was cut then: whole.
        if !end && state.cut < state.told.to {
            return;
        }
        let (sequence, from) = (state.sequence, state.cut);
        while !state.waiting.is_empty() {
            let size = piece_size(&state.waiting, end);
            if size == 0 {
                break;
            }
            let bytes: Vec<u8> = state.waiting.drain(..size).collect();
            items.push(SpoolItem::Log(JobLog {
                job: self.job,
                attempt: self.attempt,
                step: self.step,
                sequence: state.sequence,
                text: without_passwords(&String::from_utf8_lossy(&bytes)).replace('\0', "\u{FFFD}"),
                at: now,
            }));
            state.sequence += 1;
            state.cut += size;
        }
        if let (Some(file), false) = (&state.told_file, items.is_empty()) {
            let told = Told { sequence, from, to: state.cut };
            if let Err(error) = state::write_checked(file, &told) {
                tracing::debug!(%error, "what was told of an output is not noted");
            }
        }
        drop(state);
        if !items.is_empty() {
            self.spool.put(&items, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of `bytes` makes the next piece: whole lines, unless it is the end or one is longer than a
/// piece, so that no address is torn whose password is to be left out; and no character is torn.
fn piece_size(bytes: &[u8], end: bool) -> usize {
    let whole = &bytes[..bytes.len().min(PIECE)];
    if end && bytes.len() <= PIECE {
        return whole.len();
    }
    if let Some(last) = memchr::memrchr2(b'\n', b'\r', whole) {
        return last + 1;
    }
    if bytes.len() < PIECE {
        return 0;
    }
    match std::str::from_utf8(whole) {
        // A character that may go on in the next bytes.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Ok(_) | Err(_) => whole.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines_wherever_they_come_from() {
        assert_eq!(
            piece_size(b"one\ntwo\rhttp://u:pa", false),
            8,
            "the rest of the line is awaited"
        );
        assert_eq!(piece_size(b"http://u:pa", false), 0);
        assert_eq!(piece_size(b"http://u:pa", true), 11);
        // One line that is longer than any piece is cut, and not within a character.
        let long = "x".repeat(PIECE - 1) + "\u{e9}y";
        assert_eq!(piece_size(long.as_bytes(), false), PIECE - 1);
        // What is told again is cut as it was, with more behind it or without.
        let lines = "a line of some length\n".repeat(2 * PIECE / 22);
        let (mut first, mut again) = (Vec::new(), Vec::new());
        let mut rest = lines.as_bytes();
        while !rest.is_empty() {
            first.push(piece_size(rest, false));
            rest = &rest[first[first.len() - 1]..];
        }
        let mut rest = lines.as_bytes();
        while !rest.is_empty() {
            again.push(piece_size(rest, true));
            rest = &rest[again[again.len() - 1]..];
        }
        assert_eq!(first, again);
    }
}
