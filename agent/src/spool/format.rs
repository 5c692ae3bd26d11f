//! The frame of one spool record. Little-endian:
//!
//! ```text
//! magic 4 | length of the payload and two flags 4 | sequence 8 | CRC-32 of all but the magic 4 | payload
//! ```
//!
//! The highest bit of the length says that the next frame belongs to the same group: what a group
//! holds is kept whole or not at all. The bit below says that the payload begins with the group's
//! mark (8 bytes), which names the place in the logs that the group's items came from.
//!
//! The magic holds bytes that no UTF-8 text holds, and payloads are JSON: after damage the reader
//! finds the next frame by looking for the magic.

use fleetmend_core::limits;

/// The first bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = [0xF5, b'S', 0xFE, b'P'];
/// Bytes before the payload, and of a mark at its beginning.
pub(crate) const HEADER: usize = 28;
/// Bytes before the payload proper.
const FIXED: usize = 20;
const MORE: u32 = 1 << 31;
const MARKED: u32 = 1 << 30;

/// A whole, sound record within a piece of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Its sequence.
    pub sequence: u64,
    /// The mark of its group.
    pub mark: Option<u64>,
    /// Whether the next frame belongs to the same group.
    pub more: bool,
    /// What it carries.
    pub payload: &'a [u8],
    /// Where it begins.
    pub start: usize,
    /// Where the next one begins.
    pub end: usize,
}

/// Adds a frame to `out`; `group` is the mark of its group, and whether another frame follows in it.
pub(crate) fn encode(sequence: u64, group: Option<(u64, bool)>, payload: &[u8], out: &mut Vec<u8>) {
    let mark = group.map(|(mark, _)| mark.to_le_bytes());
    let mark = mark.as_ref().map_or(&[][..], |mark| mark);
    let flags = match group {
        None => 0,
        Some((_, true)) => MORE | MARKED,
        Some((_, false)) => MARKED,
    };
    let length = u32::try_from(mark.len() + payload.len()).unwrap_or(u32::MAX) | flags;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&checksum(length, sequence, [mark, payload]).to_le_bytes());
    out.extend_from_slice(mark);
    out.extend_from_slice(payload);
}

/// The first sound frame at or after `from`; what lies before it is damaged or torn.
pub(crate) fn next(bytes: &[u8], from: usize) -> Option<Frame<'_>> {
    let mut at = from;
    loop {
        at += find_magic(bytes.get(at..)?)?;
        if let Some(frame) = decode(bytes, at) {
            return Some(frame);
        }
        at += 1;
    }
}

/// How many frames seem to begin in these bytes.
pub(crate) fn beginnings(bytes: &[u8]) -> u64 {
    memchr::memmem::find_iter(bytes, &MAGIC).count() as u64
}

fn find_magic(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, &MAGIC)
}

fn decode(bytes: &[u8], start: usize) -> Option<Frame<'_>> {
    let header = bytes.get(start..start + FIXED)?;
    let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let length = word(4)?;
    let sequence = u64::from_le_bytes(header.get(8..16)?.try_into().ok()?);
    let (more, marked) = (length & MORE != 0, length & MARKED != 0);
    let size = usize::try_from(length & !(MORE | MARKED)).ok()?;
    let most = limits::SPOOL_RECORD_BYTES + if marked { 8 } else { 0 };
    if size > most {
        return None;
    }
    let end = start + FIXED + size;
    let all = bytes.get(start + FIXED..end)?;
    if checksum(length, sequence, [all, &[]]) != word(16)? {
        return None;
    }
    let (mark, payload) = if marked {
        let (mark, payload) = all.split_at_checked(8)?;
        (Some(u64::from_le_bytes(mark.try_into().ok()?)), payload)
    } else {
        (None, all)
    };
    Some(Frame { sequence, mark, more, payload, start, end })
}

fn checksum(length: u32, sequence: u64, parts: [&[u8]; 2]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(&sequence.to_le_bytes());
    for part in parts {
        crc.update(part);
    }
    crc.finalize()
}

/// Gives every frame that seems to begin here its right checksum, so that what lies behind the
/// checksum is fuzzed as well.
#[cfg(feature = "fuzz")]
pub(crate) fn mend(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(find_magic) {
        let start = at + found;
        at = start + 1;
        let Some(header) = bytes.get(start..start + FIXED) else { continue };
        let word = |from: usize| header[from..from + 4].try_into().map(u32::from_le_bytes);
        let (Ok(length), Ok(sequence)) = (word(4), header[8..16].try_into()) else { continue };
        let size = (length & !(MORE | MARKED)) as usize;
        let Some(all) = bytes.get(start + FIXED..start + FIXED + size) else { continue };
        let sum = checksum(length, u64::from_le_bytes(sequence), [all, &[]]);
        bytes[start + 16..start + FIXED].copy_from_slice(&sum.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_again_behind_damage() {
        let mut bytes = b"torn".to_vec();
        encode(7, Some((9, true)), b"seven", &mut bytes);
        bytes.extend_from_slice(&MAGIC);
        encode(8, None, b"", &mut bytes);
        let first = next(&bytes, 0).expect("found");
        assert_eq!((first.sequence, first.payload, first.start), (7, &b"seven"[..], 4));
        assert_eq!((first.mark, first.more), (Some(9), true));
        let second = next(&bytes, first.end).expect("found");
        assert_eq!((second.sequence, second.end), (8, bytes.len()));
        assert_eq!((second.mark, second.more), (None, false));
        assert_eq!(next(&bytes, second.end), None);
    }
}
