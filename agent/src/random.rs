//! Randomness from the operating system, for ids, keys and jitter.

use fleetmend_core::ids::{EvidenceId, ReportId, SpoolEpoch};
use fleetmend_core::time::Timestamp;

/// Ten random bytes: what an id needs beside its time.
///
/// A system whose random source fails gives the bytes of a counter mixed with the address space:
/// such ids are still unique on the host, and no secret is ever made of them.
pub fn ten() -> [u8; 10] {
    let mut bytes = [0; 10];
    if getrandom::fill(&mut bytes).is_err() {
        for byte in &mut bytes {
            *byte = fastrand::u8(..);
        }
    }
    bytes
}

/// A new evidence id.
pub fn evidence_id(now: Timestamp) -> EvidenceId {
    EvidenceId::at(now, ten())
}

/// A new report id.
pub fn report_id(now: Timestamp) -> ReportId {
    ReportId::at(now, ten())
}

/// A new spool epoch.
pub fn epoch(now: Timestamp) -> SpoolEpoch {
    SpoolEpoch::at(now, ten())
}
