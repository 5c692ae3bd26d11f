//! Evidence: facts about a host, each the answer of one typed read-only probe, with its proof.

use serde::{Deserialize, Serialize};

use crate::ids::EvidenceId;
use crate::passwords::without_passwords;
use crate::time::Timestamp;
use crate::words::{self, Slug};

crate::words! {
    /// What a probe answered.
    pub enum Answer ("answer") {
        /// What the probe asks is so.
        Yes = "yes",
        /// It is not so.
        No = "no",
        /// It could not be found out; changes no verdict.
        Unknown = "unknown",
    }
}

/// One fact about a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its id, drawn by the agent; orders name it to pass a value that the agent itself found.
    pub id: EvidenceId,
    /// The catalogue's probe.
    pub probe: Slug,
    /// What the answer is about: a unit, a package, a path; `None` where it is about the host. At
    /// most 512 bytes.
    #[serde(default)]
    pub subject: Option<String>,
    /// The answer.
    pub answer: Answer,
    /// What was seen, in words a person can check; at most 2,048 bytes.
    pub proof: String,
    /// The value that a remediation may use (a path, a service); at most 1,024 bytes.
    pub value: Option<String>,
    /// When it was seen.
    pub at: Timestamp,
}

impl Evidence {
    /// Whether it counts for a failure of this subject: what is about another one does not, what is
    /// about the host counts for all.
    pub fn counts_for(&self, subject: Option<&str>) -> bool {
        self.subject.is_none() || self.subject.as_deref() == subject
    }
}

/// What a probe found, before it becomes evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The answer.
    pub answer: Answer,
    /// What was seen.
    pub proof: String,
    /// The value that a remediation may use.
    pub value: Option<String>,
}

impl Finding {
    /// A finding without a value; the proof is cut to its bound, and holds no password of an address.
    pub fn new(answer: Answer, proof: impl AsRef<str>) -> Self {
        let proof = without_passwords(proof.as_ref());
        let proof = words::cut(&proof, crate::limits::PROOF_BYTES).to_owned();
        Self { answer, proof, value: None }
    }

    /// Nothing could be found out, and why.
    pub fn unknown(why: impl AsRef<str>) -> Self {
        Self::new(Answer::Unknown, why)
    }

    /// The finding as evidence of `probe` about the host.
    pub fn into_evidence(self, id: EvidenceId, probe: Slug, at: Timestamp) -> Evidence {
        let Self { answer, proof, value } = self;
        Evidence { id, probe, subject: None, answer, proof, value, at }
    }
}
