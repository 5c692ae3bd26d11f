//! What travels through an agent's spool: each item has a place (epoch, sequence) and is delivered
//! in order, acknowledged only after the server's commit.

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::job::{JobLog, JobUpdate};
use crate::report::{Recovery, ReportedFailure};
use crate::time::Timestamp;

/// One item of the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "item")]
pub enum SpoolItem {
    /// A failure, with its evidence.
    Failure(Box<ReportedFailure>),
    /// A failure that is gone.
    Recovery(Recovery),
    /// Evidence on its own.
    Evidence(Vec<Evidence>),
    /// News of a job.
    Job(Box<JobUpdate>),
    /// Output of a job.
    Log(JobLog),
    /// Items that were lost before they could be sent.
    Gap(Gap),
}

/// Items that were lost before they could be sent, said so that nobody takes silence for health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many.
    pub items: u64,
    /// Why: `spool_full` or `corrupt`.
    pub reason: String,
    /// When it was noticed.
    pub at: Timestamp,
}
