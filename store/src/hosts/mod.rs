//! Hosts: enrolment, membership, facts, certificates, lists and history.

pub(crate) mod certificates;
pub(crate) mod enrol;
pub(crate) mod facts;
pub(crate) mod get;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod timeline;

use std::net::IpAddr;

use fleetmend_core::host::{HostFacts, Labels, Lifecycle};
use fleetmend_core::ids::{EnrollmentTokenId, HostId, IncidentId, JobId};
use fleetmend_core::overdue::Health;
use fleetmend_core::time::Timestamp;

use crate::error::StoreError;
use crate::tokens::TokenRefused;

/// A managed machine, as lists and pages show it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// What its agent says it is.
    pub facts: HostFacts,
    /// Its place in its life.
    pub lifecycle: Lifecycle,
    /// How it does, in a word; *healthy* only where something proves it.
    pub health: Health,
    /// Why it is there.
    pub lifecycle_reason: String,
    /// Its labels.
    pub labels: Labels,
    /// When it joined.
    pub enrolled: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// The token it joined with.
    pub token: Option<EnrollmentTokenId>,
    /// The highest risk its own ceiling allows, as its agent says; empty while unknown.
    pub ceiling: String,
    /// When its state was last found.
    pub state_at: Option<Timestamp>,
    /// Incidents that stand.
    pub open_incidents: u64,
    /// The job at work on it.
    pub active_job: Option<JobId>,
    /// Items its agent lost before they could be sent.
    pub lost_items: u64,
    /// Items the server set aside.
    pub quarantined_items: u64,
}

/// Which hosts are wanted. What is `None` or empty does not filter.
#[derive(Debug, Clone, Default)]
pub struct HostFilter {
    /// In any of these states.
    pub lifecycle: Vec<Lifecycle>,
    /// With all of these labels.
    pub labels: Vec<(String, String)>,
    /// With this in the name, without regard to ASCII case.
    pub search: Option<String>,
    /// With an open incident of this code (as it prints).
    pub code: Option<String>,
    /// With an open incident of this leading cause.
    pub cause: Option<String>,
    /// With an open incident about this (a KB, a package): part of the subject.
    pub subject: Option<String>,
    /// With a build that begins so.
    pub build: Option<String>,
}

/// A certificate issued to a host.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// Its serial number, in lower-case hex.
    pub serial: String,
    /// The DER of its SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// How a presented certificate stands: looked at when a stream opens, and while it lives.
#[derive(Debug, Clone)]
pub struct CertificateStanding {
    /// Whose it is.
    pub host: HostId,
    /// That host's place in its life.
    pub lifecycle: Lifecycle,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Valid until.
    pub not_after: Timestamp,
    /// The DER of its SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

/// A key that a host was enrolled or renewed with.
#[derive(Debug, Clone)]
pub struct HostKey {
    /// The serial number of its certificate.
    pub serial: String,
    /// The DER of its SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// Its certificate was valid until.
    pub not_after: Timestamp,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// Everything that joins a host to the fleet, in one transaction.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// SHA-256 of the token's secret.
    pub token_hash: [u8; 32],
    /// Where it comes from.
    pub peer: IpAddr,
    /// The id drawn for it.
    pub host: HostId,
    /// What its agent says it is.
    pub facts: HostFacts,
    /// Its first certificate.
    pub certificate: NewCertificate,
}

/// What became of an enrolment.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// *active*, or *pending* for deployment tokens.
    pub lifecycle: Lifecycle,
    /// The labels it got from the token.
    pub labels: Labels,
    /// The token.
    pub token: EnrollmentTokenId,
}

/// Why an enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token does not allow it.
    #[error(transparent)]
    Token(#[from] TokenRefused),
    /// The store failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fleetmend_core::words! {
    /// What an entry of a host's history is.
    pub enum TimelineKind ("timeline kind") {
        /// It joined.
        Enrolled = "enrolled",
        /// Its place in its life changed.
        Lifecycle = "lifecycle",
        /// Its labels changed.
        Labels = "labels",
        /// A failing condition was seen gone.
        Recovery = "recovery",
        /// Items were lost.
        Gap = "gap",
        /// Something was left undone for too long.
        Overdue = "overdue",
        /// An update that failed was replaced by a later one.
        Superseded = "superseded",
        /// A failure was reported.
        Failure = "failure",
        /// A job was created.
        JobCreated = "job_created",
        /// A job ended.
        JobEnded = "job_ended",
    }
}

/// One entry of a host's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: TimelineKind,
    /// In words.
    pub text: String,
    /// The incident concerned.
    pub incident: Option<IncidentId>,
    /// The job concerned.
    pub job: Option<JobId>,
}
