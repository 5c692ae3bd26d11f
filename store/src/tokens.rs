//! Enrolment tokens: made, listed, revoked, and used in the transaction that enrols.

use std::net::IpAddr;

use fleetmend_core::host::Labels;
use fleetmend_core::ids::EnrollmentTokenId;
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::TokenKind;
use ipnet::IpNet;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewEnrollmentToken {
    /// Its id.
    pub id: EnrollmentTokenId,
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub kind: TokenKind,
    /// SHA-256 of its secret; the secret itself is never stored.
    pub secret_hash: [u8; 32],
    /// How many hosts it may enrol; 1 for one-use tokens.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
    /// Labels its hosts get.
    pub labels: Labels,
    /// The networks its hosts must come from; empty for any.
    pub networks: Vec<IpNet>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EnrollmentToken {
    /// Its id.
    pub id: EnrollmentTokenId,
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub kind: TokenKind,
    /// How many hosts it may enrol.
    pub uses_max: u32,
    /// How many it did.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
    /// Labels its hosts get.
    pub labels: Labels,
    /// The networks its hosts must come from, as text; empty for any.
    pub networks: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// What a good token grants.
#[derive(Debug, Clone)]
pub struct TokenGrant {
    /// The token.
    pub id: EnrollmentTokenId,
    /// One-use tokens accept at once; hosts of deployment tokens stay *pending*.
    pub kind: TokenKind,
    /// Labels the host gets.
    pub labels: Labels,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// No such token.
    #[error("the enrolment token is unknown: ask for a new one")]
    Unknown,
    /// All its uses are gone.
    #[error("the enrolment token is used up: ask for a new one")]
    Used,
    /// Too late.
    #[error("the enrolment token expired at {0}: ask for a new one")]
    Expired(Timestamp),
    /// Somebody revoked it.
    #[error("the enrolment token was revoked: ask for a new one")]
    Revoked,
    /// The host comes from elsewhere.
    #[error("the enrolment token is not for hosts from {0}: use one made for that network")]
    ForeignNetwork(IpAddr),
}
