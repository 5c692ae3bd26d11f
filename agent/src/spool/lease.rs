//! Handing out what the spool holds: every sequence once, in order, and what is missing as a gap.

use fleetmend_core::limits;
use fleetmend_core::spool_item::{Gap, SpoolItem};
use fleetmend_core::time::Timestamp;

use super::{Lease, Spool, format};

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// The next sequence to hand out.
    pub(super) sequence: u64,
    /// The segment, by its first sequence, and the offset where that record is looked for.
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Spool {
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
                    let end = segment.end.min(self.next);
                    if (self.cursor.sequence..end).contains(&frame.sequence) {
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
}
