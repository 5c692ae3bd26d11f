//! The audit log: who did what, each row chained to the one before by its hash, written in the
//! transaction of the effect itself.

use fleetmend_core::time::Timestamp;

/// A row to be written.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, as it shall stand: `api-token ops`, `host 0199…`, `server`.
    pub actor: String,
    /// What, as a word: `job.create`, `host.revoke`.
    pub action: String,
    /// To what: `job 0199…`.
    pub subject: String,
    /// The particulars. No secrets.
    pub detail: serde_json::Value,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Its place, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The particulars, as JSON.
    pub detail: serde_json::Value,
    /// The row's hash, in hex.
    pub hash: String,
}

/// Which rows are wanted. What is `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// To this subject.
    pub subject: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum AuditCheck {
    /// All rows hold.
    Whole {
        /// How many.
        rows: u64,
        /// The last hash, in hex: note it elsewhere to notice rows cut off at the end.
        head: String,
    },
    /// The chain is broken.
    Broken {
        /// At this row.
        sequence: u64,
        /// How.
        why: String,
    },
}
