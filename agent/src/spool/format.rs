//! The frame of one spool record. Little-endian:
//!
//! ```text
//! magic 4 | length of the payload 4 | sequence 8 | CRC-32 of length, sequence, payload 4 | payload
//! ```
//!
//! The magic holds bytes that no UTF-8 text holds, and payloads are JSON: after damage the reader
//! finds the next frame by looking for the magic.

use fleetmend_core::limits;

/// The first bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = [0xF5, b'S', 0xFE, b'P'];
/// Bytes before the payload.
pub(crate) const HEADER: usize = 20;

/// A whole, sound record within a piece of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Its sequence.
    pub sequence: u64,
    /// What it carries.
    pub payload: &'a [u8],
    /// Where it begins.
    pub start: usize,
    /// Where the next one begins.
    pub end: usize,
}

/// Adds a frame to `out`.
pub(crate) fn encode(sequence: u64, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&checksum(length, sequence, payload).to_le_bytes());
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
    let header = bytes.get(start..start + HEADER)?;
    let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let length = word(4)?;
    let sequence = u64::from_le_bytes(header.get(8..16)?.try_into().ok()?);
    let size = usize::try_from(length).ok().filter(|n| *n <= limits::SPOOL_RECORD_BYTES)?;
    let end = start + HEADER + size;
    let payload = bytes.get(start + HEADER..end)?;
    let sound = checksum(length, sequence, payload) == word(16)?;
    sound.then_some(Frame { sequence, payload, start, end })
}

fn checksum(length: u32, sequence: u64, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(&sequence.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_again_behind_damage() {
        let mut bytes = b"torn".to_vec();
        encode(7, b"seven", &mut bytes);
        bytes.extend_from_slice(&MAGIC);
        encode(8, b"", &mut bytes);
        let first = next(&bytes, 0).expect("found");
        assert_eq!((first.sequence, first.payload, first.start), (7, &b"seven"[..], 4));
        let second = next(&bytes, first.end).expect("found");
        assert_eq!((second.sequence, second.end), (8, bytes.len()));
        assert_eq!(next(&bytes, second.end), None);
    }
}
