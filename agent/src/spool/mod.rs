//! What the agent has to tell, kept on disk until the server has it.
//!
//! [`Spool::append`] frames, checksums and fsyncs; [`Spool::lease`] hands out the next items in
//! order; [`Spool::commit`] forgets what the server acknowledged; [`Spool::rollback`] makes leased
//! items come again. Every sequence is delivered: one whose record was dropped or damaged comes as
//! a [`Gap`], so that the server's count has no hole and nobody takes silence for health.
//!
//! [`Spool::append_group`] keeps items together with the mark of the place in the logs that they came
//! from: after a crash either all of it is here or nothing, so that no failure is told twice or lost.
//!
//! Bounded: over 64 MiB the oldest segment goes first, and is counted; the ends of jobs in it move behind
//! the newest item, for nothing else would bring them. A small reserve is kept on the
//! disk, so that news of jobs still find room when others have filled it. Not done here: sending,
//! and deciding what is worth telling.

pub(crate) mod format;
mod lease;
mod position;
mod reserve;
mod room;
mod segment;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fleetmend_core::ids::SpoolEpoch;
use fleetmend_core::limits;
use fleetmend_core::spool_item::{Gap, SpoolItem};
use fleetmend_core::time::Timestamp;
use fleetmend_faults::{Point, crash_point};

use self::lease::Cursor;
use self::position::Position;
use self::reserve::Reserve;
use self::segment::Segment;
pub use self::shared::SharedSpool;
use crate::random;

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
    /// What is kept free for news of jobs.
    pub reserve: u64,
}

impl SpoolError {
    /// Whether the disk has no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if crate::state::is_full(source))
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            total: limits::SPOOL_BYTES,
            segment: limits::SPOOL_SEGMENT_BYTES,
            reserve: limits::SPOOL_RESERVE_BYTES,
        }
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
    /// The mark of the last whole group that was found at the start.
    found: Option<u64>,
    reserve: Reserve,
    /// Whether the position on disk is behind, because the disk refused it.
    behind: bool,
}

impl Spool {
    /// Opens the spool in `dir`, or begins one; damaged and torn records are passed over.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, SpoolError> {
        Self::open_with(dir, Bounds::default(), None, now)
    }

    /// As [`Spool::open`], with other bounds. `settled` is the mark that the collectors call safe:
    /// a group of that mark was whole once, even where its end is damaged now.
    pub fn open_with(
        dir: &Path,
        bounds: Bounds,
        settled: Option<u64>,
        now: Timestamp,
    ) -> Result<Self, SpoolError> {
        let fail = |source| SpoolError::Io { path: dir.to_owned(), source };
        let mut segments: VecDeque<Segment> = segment::scan_all(dir).map_err(fail)?.into();
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
        // A group without an end at the very end was being written: nobody has seen any of it, and
        // where it came from is looked at again.
        if let Some(newest) = segments.back_mut()
            && let Some(group) = newest.open
            && Some(group.mark) != settled
            && group.mark != position.mark
            && group.first > gone
        {
            newest.cut(group).map_err(fail)?;
        }
        let found = segments.iter().filter_map(|s| s.mark).next_back();
        let last = segments.iter().map(|s| s.last).max().unwrap_or(0).max(gone);
        // A torn tail may have been a record that the server already has: its number is not given
        // again, it becomes a gap.
        let torn = segments.back().map_or(0, |s| s.torn);
        while segments.front().is_some_and(|s| s.last <= gone && segments.len() > 1) {
            if let Some(old) = segments.pop_front() {
                let _ = fs::remove_file(old.path);
            }
        }
        if life.is_none_or(|life| life.epoch != position.epoch) {
            position.write_life(dir).map_err(fail)?;
        }
        if !known {
            position.write(dir).map_err(fail)?;
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
            found,
            reserve: Reserve::open(dir, bounds.reserve),
            behind: false,
        })
    }

    /// Keeps items, durable when this returns. All or none of them; what is refused is counted and
    /// told as a gap before the next item.
    pub fn append(&mut self, items: &[SpoolItem], now: Timestamp) -> Result<(), SpoolError> {
        self.append_group(items, None, now)
    }

    /// As [`Spool::append`]; a mark makes it a group, whole or not there after a crash, too.
    pub fn append_group(
        &mut self,
        items: &[SpoolItem],
        mark: Option<u64>,
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        if items.is_empty() {
            return Ok(());
        }
        crash_point(Point::SpoolBeforeWrite);
        let mut result = self.try_append(items, mark, now);
        let of_jobs = || items.iter().any(|item| matches!(item, SpoolItem::Job(_)));
        if result.as_ref().is_err_and(SpoolError::is_full) && of_jobs() && self.reserve.spend() {
            result = self.try_append(items, mark, now);
        }
        if result.is_ok() {
            self.refused = 0;
            self.reserve.keep();
            if self.behind {
                self.save_position();
            }
        } else if mark.is_none() {
            // A group is not lost: where it came from is looked at again.
            self.refused += items.len() as u64;
            self.position.dropped += items.len() as u64;
        }
        result
    }

    /// Whether the group of this mark is kept whole, or was until the server had it.
    pub fn has_mark(&self, mark: u64) -> bool {
        self.position.mark == mark || self.found == Some(mark)
    }

    /// Gives the reserve up, so that a job can be brought to its end on a full disk. Says whether
    /// there was one.
    pub fn spend_reserve(&mut self) -> bool {
        self.reserve.spend()
    }

    /// Forgets everything up to `sequence` (as the wire counts): the server has it. A disk that
    /// refuses to note it does no harm: the server says again how far it is.
    pub fn commit(&mut self, sequence: u64) {
        let through = self.position.base.saturating_add(sequence).min(self.next - 1);
        if through <= self.position.committed {
            return;
        }
        crash_point(Point::SpoolBeforeCommit);
        self.position.committed = through;
        if self.cursor.sequence <= through {
            self.cursor.sequence = through + 1;
        }
        self.save_position();
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.last <= through) {
            self.drop_oldest();
        }
        if self.behind {
            self.reserve.spend();
            self.save_position();
        }
        // The file that is written to goes too, once it is worth it: on a small disk it would hold
        // the room that the next records need. Its numbers stay taken by the position alone.
        let worth = self.bounds.segment / 16;
        let all =
            through == self.next - 1 && self.segments.front().is_some_and(|s| s.bytes > worth);
        if all && !self.behind {
            self.drop_oldest();
            self.reserve.keep();
        }
        crash_point(Point::SpoolAfterCommit);
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
            self.commit(acknowledged);
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

    fn try_append(
        &mut self,
        items: &[SpoolItem],
        mark: Option<u64>,
        now: Timestamp,
    ) -> Result<(), SpoolError> {
        let gap = (self.refused > 0).then(|| {
            SpoolItem::Gap(Gap { items: self.refused, reason: "disk_full".to_owned(), at: now })
        });
        let dir = self.dir.clone();
        let fail = |source| SpoolError::Io { path: dir.clone(), source };
        let mut payloads = Vec::new();
        for item in gap.iter().chain(items) {
            let payload = serde_json::to_vec(item).map_err(|e| fail(e.into()))?;
            if payload.len() > limits::SPOOL_RECORD_BYTES {
                return Err(SpoolError::TooLarge { bytes: payload.len() });
            }
            payloads.push(payload);
        }
        let bytes: usize = payloads.iter().map(|payload| payload.len() + format::HEADER).sum();
        self.make_room(bytes as u64).map_err(fail)?;
        let (mut frames, mut sequence, mut left) = (Vec::new(), self.next, payloads.len());
        for payload in &payloads {
            left -= 1;
            format::encode(sequence, mark.map(|mark| (mark, left > 0)), payload, &mut frames);
            sequence += 1;
        }
        if let Err(error) = self.write(&frames, sequence - 1) {
            self.writer = None;
            return Err(fail(error));
        }
        self.next = sequence;
        self.position.mark = mark.unwrap_or(self.position.mark);
        Ok(())
    }

    fn write(&mut self, frames: &[u8], last: u64) -> io::Result<()> {
        let full = self.segments.back().is_none_or(|s| {
            s.torn > 0 || (s.bytes > 0 && s.bytes + frames.len() as u64 > self.bounds.segment)
        });
        if full {
            self.begin_segment()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let mut file = match self.writer.take() {
            Some(file) => file,
            None => fs::OpenOptions::new().append(true).open(&segment.path)?,
        };
        let written = segment.append(&mut file, frames, last);
        self.writer = Some(file);
        written
    }

    /// What is written next goes to a new file.
    fn begin_segment(&mut self) -> io::Result<()> {
        self.writer = None;
        // A segment that never took a record would have the new one's name.
        if self.segments.back().is_some_and(|s| s.last < s.first && s.first == self.next) {
            self.segments.pop_back();
        }
        let (segment, file) = Segment::create(&self.dir, self.next)?;
        if let Some(before) = self.segments.back_mut() {
            before.end = segment.first;
        }
        self.segments.push_back(segment);
        self.writer = Some(file);
        Ok(())
    }

    fn drop_oldest(&mut self) {
        if let Some(old) = self.segments.pop_front() {
            let _ = fs::remove_file(old.path);
        }
        if self.segments.is_empty() {
            self.writer = None;
        }
    }

    /// Notes how far it is; a full disk is told about once, and tried again later.
    fn save_position(&mut self) {
        let written = self.write_position();
        if let (Err(error), false) = (&written, self.behind) {
            tracing::warn!(%error, "how far the spool is could not be noted; the server knows it");
        }
        self.behind = written.is_err();
    }

    fn write_position(&self) -> Result<(), SpoolError> {
        let fail = |source| SpoolError::Io { path: self.dir.clone(), source };
        self.position.write(&self.dir).map_err(fail)
    }
}

/// What the spool in `dir` holds, without touching it: an agent may be running on it.
pub fn peek(dir: &Path, now: Timestamp) -> io::Result<Stats> {
    let segments = segment::scan_all(dir)?;
    let position = Position::read(dir).unwrap_or_else(|| Position::new(random::epoch(now)));
    let last = segments.iter().map(|s| s.last).max().unwrap_or(0);
    Ok(Stats {
        items: last.saturating_sub(position.committed),
        bytes: segments.iter().map(|s| s.bytes).sum(),
        dropped: position.dropped,
        corrupt: position.corrupt,
    })
}
