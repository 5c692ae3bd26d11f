//! What the agent has to tell, kept on disk until the server has it.
//!
//! [`Spool::append`] frames, checksums and fsyncs; [`Spool::lease`] hands out the next items in
//! order; [`Spool::commit`] forgets what the server acknowledged; [`Spool::rollback`] makes leased
//! items come again. Every sequence is delivered: one whose record was dropped or damaged comes as
//! a [`Gap`], so that the server's count has no hole and nobody takes silence for health.
//!
//! Bounded: over 64 MiB the oldest segment goes first, and is counted. Not done here: sending, and
//! deciding what is worth telling.

mod format;
mod position;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetmend_core::ids::SpoolEpoch;
use fleetmend_core::limits;
use fleetmend_core::spool_item::{Gap, SpoolItem};
use fleetmend_core::time::Timestamp;
use tokio::sync::Notify;

use self::position::Position;
use self::segment::Segment;
use crate::random;
use crate::watch::Watch;

/// Why an item could not be kept. It is counted, and told as a gap later.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk said no.
    #[error("cannot write the spool in {path}: {source}; free space on that disk")]
    Io {
        /// The spool's folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The item is larger than a record may be.
    #[error("an item of {bytes} bytes is over the bound of {} bytes", limits::SPOOL_RECORD_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// Sizes of a spool; tests make it small.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// All segments together.
    pub total: u64,
    /// One segment.
    pub segment: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: limits::SPOOL_BYTES, segment: limits::SPOOL_SEGMENT_BYTES }
    }
}

/// Items handed out to be sent, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The epoch they are counted in.
    pub epoch: SpoolEpoch,
    /// The first one's sequence; the next has one more.
    pub first: u64,
    /// The items.
    pub items: Vec<SpoolItem>,
}

impl Lease {
    /// The last one's sequence.
    pub fn last(&self) -> u64 {
        self.first + self.items.len() as u64 - 1
    }
}

/// What a spool holds and has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Items not yet acknowledged.
    pub items: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Items dropped because it was full, or because the disk was.
    pub dropped: u64,
    /// Records found damaged.
    pub corrupt: u64,
}

/// The spool of one state directory.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    bounds: Bounds,
    position: Position,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    writer: Option<File>,
    /// The sequence the next record gets.
    next: u64,
    /// Where the next lease begins.
    cursor: Cursor,
    /// Items that the disk refused since the last append that worked.
    refused: u64,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// The next sequence to hand out.
    sequence: u64,
    /// The segment, by its first sequence, and the offset where that record is looked for.
    segment: u64,
    offset: u64,
}

impl Spool {
    /// Opens the spool in `dir`, or begins one; damaged and torn records are passed over.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, SpoolError> {
        Self::open_with(dir, Bounds::default(), now)
    }

    /// As [`Spool::open`], with other bounds.
    pub fn open_with(dir: &Path, bounds: Bounds, now: Timestamp) -> Result<Self, SpoolError> {
        let fail = |source| SpoolError::Io { path: dir.to_owned(), source };
        let listed = segment::list(dir).map_err(fail)?;
        let mut segments: VecDeque<Segment> =
            listed.into_iter().map(|(first, path)| Segment::scan(path, first)).collect();
        let had_position = Position::read(dir);
        let known = had_position.is_some();
        let life = Position::read_life(dir);
        let lost_position = !known && !segments.is_empty();
        let lost_life = lost_position && life.is_none();
        // In the same epoch the server itself says how far it is: nothing comes twice.
        let position = had_position.or_else(|| life.clone().filter(|_| lost_position));
        let mut position = position.unwrap_or_else(|| Position::new(random::epoch(now)));
        position.corrupt += u64::from(lost_position);
        if lost_life {
            // Nobody knows what the server has: a new life, in which all that is here comes again.
            position.base = segments.front().map_or(0, |s| s.first - 1);
            position.committed = position.base;
        }
        let gone = position.committed.max(position.dropped_through);
        let last = segments.iter().map(|s| s.last).max().unwrap_or(0).max(gone);
        // A torn tail may have been a record that the server already has: its number is not given
        // again, it becomes a gap.
        let torn = segments.back().map_or(0, |s| s.torn);
        while segments.front().is_some_and(|s| s.last <= gone && segments.len() > 1) {
            if let Some(old) = segments.pop_front() {
                let _ = fs::remove_file(old.path);
            }
        }
        if !known {
            position.write(dir).map_err(fail)?;
        }
        if life.is_none_or(|life| life.epoch != position.epoch) {
            position.write_life(dir).map_err(fail)?;
        }
        let next = last + torn + 1;
        let cursor = Cursor { sequence: position.committed + 1, segment: 0, offset: 0 };
        Ok(Self {
            dir: dir.to_owned(),
            bounds,
            position,
            segments,
            writer: None,
            next,
            cursor,
            refused: 0,
        })
    }

    /// Keeps items, durable when this returns. All or none of them; what is refused is counted and
    /// told as a gap before the next item.
    pub fn append(&mut self, items: &[SpoolItem], now: Timestamp) -> Result<(), SpoolError> {
        if items.is_empty() {
            return Ok(());
        }
        let result = self.try_append(items, now);
        if result.is_ok() {
            self.refused = 0;
        } else {
            self.refused += items.len() as u64;
            self.position.dropped += items.len() as u64;
        }
        result
    }

    /// The next items, at most `most`; `None` where all were handed out.
    pub fn lease(&mut self, most: usize, now: Timestamp) -> Option<Lease> {
        let first = self.cursor.sequence;
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < most {
            let Some((sequence, payload, after)) = self.record_at_cursor() else {
                let missing = self.next - self.cursor.sequence;
                let room = (most - items.len()) as u64;
                self.tell_gap(missing.min(room), now, &mut items);
                break;
            };
            if sequence > self.cursor.sequence {
                let missing = sequence - self.cursor.sequence;
                let room = (most - items.len()) as u64;
                self.tell_gap(missing.min(room), now, &mut items);
                continue;
            }
            if bytes + payload.len() > limits::SPOOL_RECORD_BYTES && !items.is_empty() {
                break;
            }
            bytes += payload.len();
            items.push(serde_json::from_slice(&payload).unwrap_or_else(|_| {
                // Sound bytes that this version cannot read: told, not kept for ever.
                self.position.corrupt += 1;
                SpoolItem::Gap(Gap { items: 1, reason: "unreadable".to_owned(), at: now })
            }));
            self.cursor = Cursor { sequence: sequence + 1, ..after };
        }
        let first = first - self.position.base;
        let epoch = self.position.epoch;
        (!items.is_empty()).then_some(Lease { epoch, first, items })
    }

    /// Forgets everything up to `sequence` (as the wire counts): the server has it.
    pub fn commit(&mut self, sequence: u64) -> Result<(), SpoolError> {
        let through = self.position.base.saturating_add(sequence).min(self.next - 1);
        if through <= self.position.committed {
            return Ok(());
        }
        self.position.committed = through;
        if self.cursor.sequence <= through {
            self.cursor.sequence = through + 1;
        }
        self.write_position()?;
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.last <= through) {
            if let Some(old) = self.segments.pop_front() {
                let _ = fs::remove_file(old.path);
            }
        }
        Ok(())
    }

    /// What was handed out and not committed comes again.
    pub fn rollback(&mut self) {
        self.cursor = Cursor { sequence: self.position.committed + 1, segment: 0, offset: 0 };
    }

    /// Takes the server's word of how far it is. Where the server knows less than it once
    /// acknowledged (it was restored from a backup), or more than there is, the sequences cannot
    /// agree any more: a new epoch begins. Says whether one did.
    pub fn agree(&mut self, acknowledged: u64, now: Timestamp) -> Result<bool, SpoolError> {
        let ours = self.position.committed.saturating_sub(self.position.base);
        let most = self.next - 1 - self.position.base;
        if (ours..=most).contains(&acknowledged) {
            self.commit(acknowledged)?;
            return Ok(false);
        }
        self.position.epoch = random::epoch(now);
        self.position.base = self.position.committed;
        self.rollback();
        self.write_position()?;
        let fail = |source| SpoolError::Io { path: self.dir.clone(), source };
        self.position.write_life(&self.dir).map_err(fail)?;
        Ok(true)
    }

    /// The epoch that the wire counts in.
    pub fn epoch(&self) -> SpoolEpoch {
        self.position.epoch
    }

    /// What it holds and has lost.
    pub fn stats(&self) -> Stats {
        Stats {
            items: self.next - 1 - self.position.committed,
            bytes: self.segments.iter().map(|s| s.bytes).sum(),
            dropped: self.position.dropped,
            corrupt: self.position.corrupt,
        }
    }

    fn try_append(&mut self, items: &[SpoolItem], now: Timestamp) -> Result<(), SpoolError> {
        let gap = (self.refused > 0).then(|| {
            SpoolItem::Gap(Gap { items: self.refused, reason: "disk_full".to_owned(), at: now })
        });
        let (mut frames, mut sequence) = (Vec::new(), self.next);
        for item in gap.iter().chain(items) {
            let payload = serde_json::to_vec(item)
                .map_err(|e| SpoolError::Io { path: self.dir.clone(), source: e.into() })?;
            if payload.len() > limits::SPOOL_RECORD_BYTES {
                return Err(SpoolError::TooLarge { bytes: payload.len() });
            }
            format::encode(sequence, &payload, &mut frames);
            sequence += 1;
        }
        self.make_room(frames.len() as u64)?;
        let dir = self.dir.clone();
        let fail = |source| SpoolError::Io { path: dir, source };
        if let Err(error) = self.write(&frames, sequence - 1) {
            self.writer = None;
            return Err(fail(error));
        }
        self.next = sequence;
        Ok(())
    }

    fn write(&mut self, frames: &[u8], last: u64) -> io::Result<()> {
        let full = self.segments.back().is_none_or(|s| {
            s.torn > 0 || (s.bytes > 0 && s.bytes + frames.len() as u64 > self.bounds.segment)
        });
        if full {
            self.writer = None;
            // A segment that never took a record would have the new one's name.
            if self.segments.back().is_some_and(|s| s.last < s.first && s.first == self.next) {
                self.segments.pop_back();
            }
            let (segment, file) = Segment::create(&self.dir, self.next)?;
            self.segments.push_back(segment);
            self.writer = Some(file);
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let mut file = match self.writer.take() {
            Some(file) => file,
            None => fs::OpenOptions::new().append(true).open(&segment.path)?,
        };
        let written = segment.append(&mut file, frames, last);
        if written.is_err() {
            // What the disk kept of it is torn: the next records go to a new file.
            segment.torn = segment.torn.max(1);
        }
        self.writer = Some(file);
        written
    }

    fn make_room(&mut self, bytes: u64) -> Result<(), SpoolError> {
        let mut held: u64 = self.segments.iter().map(|s| s.bytes).sum();
        while held + bytes > self.bounds.total && !self.segments.is_empty() {
            let Some(old) = self.segments.pop_front() else { break };
            held -= old.bytes;
            if self.segments.is_empty() {
                self.writer = None;
            }
            let from = self.position.committed.max(old.first - 1);
            self.position.dropped += old.last.saturating_sub(from);
            self.position.dropped_through = self.position.dropped_through.max(old.last);
            self.write_position()?;
            let _ = fs::remove_file(&old.path);
        }
        Ok(())
    }

    /// The first record at or after the cursor, and the cursor behind it.
    fn record_at_cursor(&self) -> Option<(u64, Vec<u8>, Cursor)> {
        // One record of the largest size, and the header of the next.
        const WINDOW: usize = limits::SPOOL_RECORD_BYTES + 2 * format::HEADER;
        for segment in self.segments.iter().filter(|s| s.last >= self.cursor.sequence) {
            let known = segment.first == self.cursor.segment;
            let mut offset = if known { self.cursor.offset } else { 0 };
            while offset < segment.bytes {
                // A segment that cannot be read is a hole, and is told as one.
                let Ok(bytes) = segment.read(offset, WINDOW) else { break };
                let mut at = 0;
                while let Some(frame) = format::next(&bytes, at) {
                    at = frame.end;
                    if frame.sequence >= self.cursor.sequence && frame.sequence < self.next {
                        let offset = offset + at as u64;
                        let after = Cursor { sequence: 0, segment: segment.first, offset };
                        return Some((frame.sequence, frame.payload.to_vec(), after));
                    }
                }
                if bytes.len() < WINDOW {
                    break;
                }
                // Nothing sound from `at` on: it may begin in this window and end behind it.
                let step = if at > 0 { at } else { WINDOW - limits::SPOOL_RECORD_BYTES };
                offset += step as u64;
            }
        }
        None
    }

    /// Hands out `missing` sequences as gaps: the first tells how many, the others fill the count.
    fn tell_gap(&mut self, missing: u64, now: Timestamp, items: &mut Vec<SpoolItem>) {
        if missing == 0 {
            return;
        }
        let first = self.cursor.sequence;
        let dropped = first <= self.position.dropped_through;
        let missing = if dropped {
            missing.min(self.position.dropped_through - first + 1)
        } else {
            let last = first + missing - 1;
            let counted = self.position.corrupt_through.max(first - 1);
            self.position.corrupt += last.saturating_sub(counted);
            self.position.corrupt_through = self.position.corrupt_through.max(last);
            missing
        };
        let reason = if dropped { "spool_full" } else { "corrupt" };
        for place in 0..missing {
            let count = if place == 0 { missing } else { 0 };
            items.push(SpoolItem::Gap(Gap { items: count, reason: reason.to_owned(), at: now }));
        }
        self.cursor.sequence += missing;
    }

    fn write_position(&self) -> Result<(), SpoolError> {
        let fail = |source| SpoolError::Io { path: self.dir.clone(), source };
        self.position.write(&self.dir).map_err(fail)
    }
}

/// A spool that several tasks use, and the bell that rings when there is something to send.
#[derive(Debug, Clone)]
pub struct SharedSpool {
    spool: Arc<Mutex<Spool>>,
    bell: Arc<Notify>,
    watch: Option<Arc<dyn Watch>>,
}

impl SharedSpool {
    /// Shares a spool.
    pub fn new(spool: Spool) -> Self {
        Self { spool: Arc::new(Mutex::new(spool)), bell: Arc::default(), watch: None }
    }

    /// The same spool; `watch` is told what it takes and forgets.
    pub fn watched_by(mut self, watch: Option<Arc<dyn Watch>>) -> Self {
        self.watch = watch;
        self
    }

    /// The spool itself, for a moment; never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps items and rings the bell. A failure is logged and counted here, since no caller can do
    /// more about it: the gap is told as soon as the disk takes something again.
    pub fn put(&self, items: &[SpoolItem], now: Timestamp) -> bool {
        let mut spool = self.lock();
        let kept = spool.append(items, now);
        if let Some(watch) = self.watch.as_ref().filter(|_| kept.is_ok() && !items.is_empty()) {
            watch.spooled(spool.next - 1);
        }
        drop(spool);
        self.bell.notify_one();
        match kept {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(items = items.len(), %error, "spool refused items");
                false
            }
        }
    }

    /// Forgets what the server acknowledged.
    pub fn commit(&self, through: u64) -> Result<(), SpoolError> {
        self.lock().commit(through)?;
        if let Some(watch) = &self.watch {
            watch.acknowledged(through);
        }
        Ok(())
    }

    /// Waits until something may have been put.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }
}

/// What the spool in `dir` holds, without touching it: an agent may be running on it.
pub fn peek(dir: &Path, now: Timestamp) -> io::Result<Stats> {
    let segments: Vec<Segment> =
        segment::list(dir)?.into_iter().map(|(first, path)| Segment::scan(path, first)).collect();
    let position = Position::read(dir).unwrap_or_else(|| Position::new(random::epoch(now)));
    let last = segments.iter().map(|s| s.last).max().unwrap_or(0);
    Ok(Stats {
        items: last.saturating_sub(position.committed),
        bytes: segments.iter().map(|s| s.bytes).sum(),
        dropped: position.dropped,
        corrupt: position.corrupt,
    })
}
