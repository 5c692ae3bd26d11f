//! A step's output on its way to the server: cut into pieces, bounded, kept in the spool.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmend_core::ids::JobId;
use fleetmend_core::job::JobLog;
use fleetmend_core::limits;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Clock;

use crate::platform::{Exit, Platform, Program};
use crate::spool::SharedSpool;

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
}

impl StepLog {
    /// Begins the log of a step.
    pub(crate) fn new(
        spool: SharedSpool,
        clock: Arc<dyn Clock>,
        (job, attempt): (JobId, u32),
        step: u32,
    ) -> Self {
        Self { spool, clock, job, attempt, step, state: Mutex::default() }
    }

    /// Runs a program; its output is sent as it comes.
    pub(crate) async fn run(&self, platform: &dyn Platform, program: &Program) -> io::Result<Exit> {
        let mut sink = |piece: &[u8]| self.take(piece);
        let run = platform.run(program, &mut sink);
        tokio::pin!(run);
        let mut tick = tokio::time::interval(WAIT);
        let exit = loop {
            tokio::select! {
                exit = &mut run => break exit,
                _ = tick.tick() => self.flush(false),
            }
        };
        self.flush(true);
        exit
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
                text: String::from_utf8_lossy(&bytes).replace('\0', "\u{FFFD}"),
                at: now,
            }));
            state.sequence += 1;
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

/// How much of `bytes` makes the next piece: no character is torn, unless it is the end.
fn piece_size(bytes: &[u8], end: bool) -> usize {
    let whole = &bytes[..bytes.len().min(PIECE)];
    if end && bytes.len() <= PIECE {
        return whole.len();
    }
    match std::str::from_utf8(whole) {
        // A character that may go on in the next bytes.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Ok(_) | Err(_) => whole.len(),
    }
}
