//! Readers that have no public way in, for the fuzz targets only.

use std::io::Read as _;

use crate::collect::live::fuzz as live;
use crate::collect::utf16::Utf8;
use crate::execute::{holds, journal};
use crate::spool::format;

/// Decodes text of any encoding to the end.
pub fn utf16(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(mut reader) = Utf8::new(bytes) {
        // Memory cannot fail to be read.
        let _ = reader.read_to_end(&mut text);
    }
    text
}

/// The logs of apt, dpkg and unattended-upgrades.
pub fn apt_logs(bytes: &[u8]) {
    live::apt_logs(bytes);
}

/// dnf's log.
pub fn dnf_logs(bytes: &[u8]) {
    live::dnf_logs(bytes);
}

/// zypper's log and history.
pub fn zypper_logs(bytes: &[u8]) {
    live::zypper_logs(bytes);
}

/// What systemd says of backup programs' units, and the programs' own words.
pub fn backups(bytes: &[u8]) {
    live::backups(bytes);
}

/// dpkg's status file.
pub fn dpkg(bytes: &[u8]) {
    live::dpkg(bytes);
}

/// Frames of the spool: every sound one lies within the bytes, moves on, and is written as it was
/// read. As they are, and with checksums put right: an engine does not guess those.
pub fn spool(bytes: &[u8]) {
    frames(bytes);
    let mut mended = bytes.to_vec();
    format::mend(&mut mended);
    frames(&mended);
}

fn frames(bytes: &[u8]) {
    let mut at = 0;
    while let Some(frame) = format::next(bytes, at) {
        assert!(frame.start >= at && frame.end > frame.start && frame.end <= bytes.len());
        let mut again = Vec::new();
        let group = frame.mark.map(|mark| (mark, frame.more));
        format::encode(frame.sequence, group, frame.payload, &mut again);
        if group.is_some() || !frame.more {
            assert_eq!(again, &bytes[frame.start..frame.end]);
        }
        at = frame.end;
    }
    let _ = format::beginnings(bytes);
}

/// A journal as a crash left it: as it is, and each line with its checksum put before it.
pub fn journal(bytes: &[u8]) {
    journal::read_through(bytes);
    let mut signed = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        signed.extend_from_slice(format!("{:08x} ", crc32fast::hash(line)).as_bytes());
        signed.extend_from_slice(line);
        signed.push(b'\n');
    }
    journal::read_through(&signed);
}

/// Frames as an agent writes them: alone, and as a group of two. For the corpus.
pub fn spool_frames() -> Vec<u8> {
    let mut bytes = Vec::new();
    format::encode(1, None, br#"{"alone":1}"#, &mut bytes);
    format::encode(2, Some((7, true)), br#"{"first":1}"#, &mut bytes);
    format::encode(3, Some((7, false)), br#"{"second":1}"#, &mut bytes);
    bytes
}

/// A journal of one order, as an agent writes it. For the corpus.
pub fn journal_lines(order: &fleetmend_core::order::Order) -> Vec<u8> {
    journal::written(order)
}

/// What the server held back, as a disk or a person left it.
pub fn holds(bytes: &[u8]) {
    holds::read_through(bytes);
}

/// A file of what the server held back, as an agent writes it. For the corpus.
pub fn holds_file(
    freezes: Vec<fleetmend_core::hold::Freeze>,
    halt: fleetmend_core::hold::Halt,
) -> Vec<u8> {
    holds::written(freezes, halt)
}
