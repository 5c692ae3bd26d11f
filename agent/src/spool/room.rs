//! Making room in a spool that is full: the oldest segment goes, and what nothing else would bring to
//! the server stays.

use std::io;

use fleetmend_core::spool_item::SpoolItem;

use super::{Spool, format};

impl Spool {
    /// Drops the oldest segments until so many bytes more are within the bound.
    pub(super) fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        // What is kept of them is written anew: no more are looked at than are there now.
        for _ in 0..self.segments.len() {
            let held: u64 = self.segments.iter().map(|s| s.bytes).sum();
            let Some(old) = self.segments.front() else { break };
            if held + bytes <= self.bounds.total {
                break;
            }
            let (last, from) = (old.last, self.position.committed.max(old.first - 1));
            let kept = self.keep_ends()?;
            self.position.dropped += last.saturating_sub(from).saturating_sub(kept);
            self.position.dropped_through = self.position.dropped_through.max(last);
            self.save_position();
            self.drop_oldest();
        }
        Ok(())
    }

    /// Writes the ends of jobs that the oldest segment holds behind all others, and says how many. A
    /// report that is dropped is counted and may come again; of a job whose end is dropped nobody would
    /// ever hear. A crash between this and the drop tells them twice, which the server knows how to take.
    fn keep_ends(&mut self) -> io::Result<u64> {
        let Some(old) = self.segments.front() else { return Ok(0) };
        // What cannot be read is a hole already.
        let bytes = old.read(0, usize::MAX).unwrap_or_default();
        let there = self.position.committed + 1..old.end.min(self.next);
        let (mut frames, mut sequence, mut at) = (Vec::new(), self.next, 0);
        while let Some(frame) = format::next(&bytes, at) {
            at = frame.end;
            if there.contains(&frame.sequence) && is_end(frame.payload) {
                format::encode(sequence, None, frame.payload, &mut frames);
                sequence += 1;
            }
        }
        let kept = sequence - self.next;
        if kept == 0 {
            return Ok(0);
        }
        if self.segments.len() == 1 {
            self.begin_segment()?;
        }
        let mut written = self.write(&frames, sequence - 1);
        if written.is_err() && self.reserve.spend() {
            self.writer = None;
            written = self.write(&frames, sequence - 1);
        }
        if let Err(error) = written {
            self.writer = None;
            return Err(error);
        }
        self.next = sequence;
        Ok(kept)
    }
}

fn is_end(payload: &[u8]) -> bool {
    match serde_json::from_slice(payload) {
        Ok(SpoolItem::Job(update)) => update.state.is_final(),
        _ => false,
    }
}
