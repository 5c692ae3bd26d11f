//! What one way into the server asks of its caller. Every REST route, page and RPC has exactly one
//! [`Rule`]; the agent link declares its own with the same type.

use fleetmend_core::token::Permission;

fleetmend_core::words! {
    /// Which share of the server's capacity a call uses. Each class has its own bound, so that a
    /// flood of one kind leaves room for the others.
    pub enum LimitClass ("limit class") {
        /// Health: never waits.
        Health = "health",
        /// Files that never change while the server runs.
        Asset = "asset",
        /// Reads the database.
        Read = "read",
        /// Changes the database.
        Write = "write",
        /// Exchanges a credential; also bounded for each peer address.
        Login = "login",
        /// Stays open.
        Stream = "stream",
        /// An RPC of the agent link, bounded there.
        Link = "link",
    }
}

impl LimitClass {
    /// How many calls of this class are served at once; more are refused with 503.
    pub const fn at_once(self) -> usize {
        match self {
            Self::Health | Self::Asset => 1_024,
            Self::Read => 256,
            Self::Write => 64,
            Self::Login => 16,
            Self::Stream => fleetmend_core::limits::EVENT_STREAMS,
            Self::Link => fleetmend_core::limits::CONNECTIONS,
        }
    }
}

/// What is asked of a caller before its request is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What the caller must be granted.
    pub permission: Permission,
    /// The largest body taken, in bytes; 0 where none is read.
    pub body: usize,
    /// The kind of audit row that a change writes; `None` where nothing is changed.
    pub audit: Option<&'static str>,
    /// The share of capacity it uses.
    pub limit: LimitClass,
}

impl Rule {
    /// A rule for reading.
    pub const fn read(permission: Permission) -> Self {
        Self { permission, body: 0, audit: None, limit: LimitClass::Read }
    }

    /// A rule for a change that is audited as `kind`.
    pub const fn change(permission: Permission, kind: &'static str) -> Self {
        Self {
            permission,
            body: fleetmend_core::limits::BODY_BYTES,
            audit: Some(kind),
            limit: LimitClass::Write,
        }
    }
}
