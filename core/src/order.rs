//! Orders: what the server may ask an agent to do. Only ids of remediations that the agent already
//! trusts; no steps, no command lines, no paths.

use serde::{Deserialize, Serialize};

use crate::ids::{EvidenceId, HostId, IncidentId, JobId};
use crate::report::IncidentKey;
use crate::time::Timestamp;
use crate::words::Slug;

/// One order, bound to one host, job and try, and to a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The only host that may act on it.
    pub host: HostId,
    /// The job.
    pub job: JobId,
    /// Which try, from 1.
    pub attempt: u32,
    /// The incident the job is for.
    pub incident: IncidentId,
    /// What fails: the agent proves the fix by this.
    pub key: IncidentKey,
    /// The cause that the job acts on; the agent looks first whether it is still there.
    pub cause: Slug,
    /// The remediation.
    pub remediation: Slug,
    /// Its version; the agent refuses any other than its own.
    pub version: u32,
    /// SHA-256 of the remediation's canonical form, in lower-case hex.
    pub digest: String,
    /// Evidence of the agent's own whose values the steps use.
    pub evidence: Vec<EvidenceId>,
    /// Higher than every counter this host was ever given.
    pub counter: u64,
    /// Not to be begun before.
    pub not_before: Timestamp,
    /// Not to be begun after.
    pub expires: Timestamp,
}

/// Why an agent refuses an order. The words go to the server and into the job's detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefused {
    /// The order names another host.
    #[error("the order is for another host")]
    OtherHost,
    /// Its counter is not above the highest one seen: a replay or a rolled-back server.
    #[error(
        "the order's counter {counter} is not above {seen}: it was replayed, or the server was rolled back"
    )]
    OldCounter {
        /// The order's.
        counter: u64,
        /// The highest seen.
        seen: u64,
    },
    /// Too early by more than the tolerance.
    #[error("the order is not valid before {0}")]
    TooEarly(Timestamp),
    /// Too late.
    #[error("the order expired at {0}")]
    Expired(Timestamp),
}

impl Order {
    /// Checks all that needs no catalogue: host, counter and time (with ±5 minutes' tolerance).
    pub fn check(&self, host: HostId, seen: u64, now: Timestamp) -> Result<(), OrderRefused> {
        if self.host != host {
            return Err(OrderRefused::OtherHost);
        }
        if self.counter <= seen {
            return Err(OrderRefused::OldCounter { counter: self.counter, seen });
        }
        if now.after(crate::limits::CLOCK_SKEW) < self.not_before {
            return Err(OrderRefused::TooEarly(self.not_before));
        }
        if now > self.expires.after(crate::limits::CLOCK_SKEW) {
            return Err(OrderRefused::Expired(self.expires));
        }
        Ok(())
    }
}

/// A signed order: opaque bytes, verified before they are parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The order, encoded.
    pub payload: Vec<u8>,
    /// SHA-256 of the signing key's certificate, in lower-case hex.
    pub key_id: String,
    /// Ed25519 over [`signing_input`].
    pub signature: Vec<u8>,
}

/// What is signed: the purpose, the key and the bytes, each with its length before it, so that no
/// bytes signed for one purpose can be read as another's.
pub fn signing_input(key_id: &str, payload: &[u8]) -> Vec<u8> {
    const PURPOSE: &[u8] = b"fleetmend/order/v1";
    let mut input = Vec::with_capacity(PURPOSE.len() + key_id.len() + payload.len() + 24);
    for part in [PURPOSE, key_id.as_bytes(), payload] {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part);
    }
    input
}
