//! Typed identifiers: one kind an entity, so that a job's id can never be used as a host's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {kind} id: a UUID is wanted")]
pub struct BadId {
    /// The kind, as a person would call it.
    pub kind: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident = $kind:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A UUIDv7 made at `now`: sorts by creation time. `random` must come from the
            /// operating system (or from a seed in tests).
            pub fn at(now: Timestamp, random: [u8; 10]) -> Self {
                Self(v7(now, random))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self).map_err(|_| BadId {
                    kind: $kind,
                    text: text.chars().take(80).collect(),
                })
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
    )+};
}

ids! {
    /// An API token of the server.
    ApiTokenId = "API token",
    /// One row of the audit log.
    AuditId = "audit",
    /// A remediation over many hosts.
    CampaignId = "campaign",
    /// A token with which hosts enrol.
    EnrollmentTokenId = "enrolment token",
    /// One observed fact about a host.
    EvidenceId = "evidence",
    /// A span in which nothing is begun.
    FreezeId = "freeze",
    /// One piece of work for people.
    GuidedTaskId = "guided task",
    /// A managed machine.
    HostId = "host",
    /// An open or closed failure on one host.
    IncidentId = "incident",
    /// One host's share of a remediation.
    JobId = "job",
    /// One failure report.
    ReportId = "report",
    /// A spool's life: a new one is drawn when the spool's files are lost.
    SpoolEpoch = "spool epoch",
    /// A person who may log in.
    UserId = "user",
    /// A person's session in the dashboard.
    WebSessionId = "session",
}

fn v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let ms = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let early = JobId::at(Timestamp::from_millis(1_000), [255; 10]);
        let late = JobId::at(Timestamp::from_millis(2_000), [0; 10]);
        assert!(early < late);
        assert_eq!(early.0.get_version_num(), 7);
    }

    #[test]
    fn a_bad_id_names_its_kind() {
        let err = "nonsense".parse::<HostId>().expect_err("must be refused");
        assert_eq!(err.to_string(), "\"nonsense\" is not a host id: a UUID is wanted");
    }
}
