//! Who may speak to the REST interface: API tokens and the sessions made from them. Only hashes of
//! secrets are stored.

use fleetmend_core::ids::{ApiTokenId, WebSessionId};
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Role;

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// A name for people; stands in the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// Until when; `None` for ever.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// An API token to be made.
#[derive(Debug, Clone)]
pub struct NewApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// A dashboard session to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: WebSessionId,
    /// SHA-256 of the cookie's secret.
    pub secret_hash: [u8; 32],
    /// The token it was made from.
    pub token: ApiTokenId,
    /// When.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// A dashboard session that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: WebSessionId,
    /// The token it was made from: its name and role are the session's.
    pub token: ApiToken,
    /// Until when.
    pub expires: Timestamp,
}
