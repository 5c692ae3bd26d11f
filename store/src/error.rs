//! What can go wrong in the store, in words a caller can act on.

use fleetmend_core::ids::JobId;

/// The store's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was asked for is not there.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The noun.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What was asked for does not fit what is there; the text says what to do.
    #[error("{0}")]
    Conflict(String),
    /// The host has an active job already.
    #[error("the host has an active job already: {job}; wait for its end or cancel it")]
    JobActive {
        /// The job that is active.
        job: JobId,
    },
    /// A page's cursor was not made by this server.
    #[error(transparent)]
    BadCursor(#[from] crate::page::BadCursor),
    /// The database cannot serve now. Nothing is known to be done; the same may succeed later.
    #[error("the database is not available: {why}")]
    Unavailable {
        /// Why not, in words.
        why: &'static str,
        /// What the driver says.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The database's address or file cannot be used.
    #[error("cannot open the database {url}: {why}")]
    Open {
        /// The address.
        url: String,
        /// Why not.
        why: String,
    },
    /// A stored row makes no sense.
    #[error("row {id} of table {table} is inconsistent: column {column}: {why}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        id: String,
        /// What is wrong.
        why: String,
    },
    /// The schema could not be brought to this version.
    #[error("the database could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database failed.
    #[error("the database failed")]
    Driver(#[source] sqlx::Error),
}

impl StoreError {
    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub(crate) const fn unavailable(why: &'static str) -> Self {
        Self::Unavailable { why, source: None }
    }

    /// Whether the database itself could not serve, so that the same may succeed later: it is down, busy,
    /// read-only, full. What was under way may or may not have happened.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the data itself was refused (a key, a check, a type, the row it concerns), so that the same data will be
    /// refused again. Anything else (full disk, busy, closed) may pass.
    pub(crate) fn refuses_data(&self) -> bool {
        match self {
            Self::Driver(sqlx::Error::Database(e)) => codes::refuses_data(&**e),
            // A stored row that makes no sense makes none at the next try either: what it concerns
            // is set aside with that reason, and the other hosts' items go on.
            Self::Driver(sqlx::Error::Encode(_)) | Self::Inconsistent { .. } => true,
            _ => false,
        }
    }

    /// Whether a transaction lost to another one and may be tried again at once.
    pub(crate) fn lost(&self) -> bool {
        matches!(self, Self::Driver(sqlx::Error::Database(e)) if codes::lost(&**e))
    }
}

/// An error with everything behind it, in one line.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let why = match &e {
            E::PoolTimedOut => Some("no connection came free in time"),
            E::PoolClosed => Some("it is being closed"),
            E::WorkerCrashed => Some("its worker ended"),
            E::Io(_) => Some("the connection was lost"),
            E::Tls(_) => Some("the connection could not be secured"),
            E::Database(d) => codes::unavailable(&**d),
            _ => None,
        };
        match why {
            Some(why) => Self::Unavailable { why, source: Some(e) },
            None => Self::Driver(e),
        }
    }
}

/// What the databases' own codes mean. SQLite has result codes, Postgres SQLSTATEs.
mod codes {
    use sqlx::error::{DatabaseError, ErrorKind as K};
    use sqlx::postgres::PgDatabaseError;

    /// The SQLSTATE of an error of Postgres.
    fn state(e: &dyn DatabaseError) -> Option<&str> {
        e.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code)
    }

    /// Its class: the first two places.
    fn class(state: &str) -> &str {
        state.get(..2).unwrap_or_default()
    }

    /// The primary result code of an error of SQLite.
    fn result(e: &dyn DatabaseError) -> Option<u32> {
        e.code()?.parse::<u32>().ok().map(|code| code & 0xFF)
    }

    pub(super) fn unavailable(e: &dyn DatabaseError) -> Option<&'static str> {
        let Some(state) = state(e) else {
            return match result(e)? {
                5 | 6 => Some("it is busy"),
                8 => Some("it is read-only"),
                10 | 14 => Some("its file cannot be read or written"),
                13 => Some("its disk is full"),
                _ => None,
            };
        };
        match state {
            "25006" => Some("it is read-only"),
            "25P03" | "57014" => Some("it was too slow and the work was ended"),
            "55P03" => Some("it is busy: a row was held for too long"),
            "53100" => Some("its disk is full"),
            "53300" => Some("it takes no more connections"),
            "57P01" | "57P02" | "57P03" => Some("it is starting or stopping"),
            "3D000" => Some("the database does not exist"),
            // Ours make theirs ahead; the data is not to blame.
            "23514" if e.constraint().is_none() => Some("a day of reports has no partition"),
            _ => match class(state) {
                "08" | "57" => Some("the connection was lost"),
                "28" => Some("it refuses the log-in"),
                "53" => Some("it is short of memory or space"),
                "58" => Some("its system failed it"),
                _ => None,
            },
        }
    }

    pub(super) fn lost(e: &dyn DatabaseError) -> bool {
        // Could not serialize; ended to break a ring of waiters.
        matches!(state(e), Some("40001" | "40P01"))
    }

    pub(super) fn refuses_data(e: &dyn DatabaseError) -> bool {
        let by_kind = matches!(
            e.kind(),
            K::UniqueViolation | K::ForeignKeyViolation | K::NotNullViolation | K::CheckViolation
        );
        by_kind
            || match state(e) {
                // Data exceptions (such as a NUL in a text); integrity; a row or key beyond the limits.
                Some(state) => matches!(class(state), "22" | "23" | "54"),
                // Too big, constraint, mismatch.
                None => result(e).is_some_and(|code| matches!(code, 18..=20)),
            }
    }
}
