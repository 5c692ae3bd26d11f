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
    /// The database was busy for too long. Nothing was changed; try again.
    #[error("the database is busy: try again in a moment")]
    Busy(#[source] sqlx::Error),
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
    /// Whether the database is away or takes no writes now, so that the same may pass later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Busy(_) => true,
            Self::Driver(sqlx::Error::Io(_) | sqlx::Error::PoolClosed) => true,
            // 10 read or write failed, 13 full, 14 cannot open
            Self::Driver(sqlx::Error::Database(e)) => e
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| matches!(code & 0xFF, 10 | 13 | 14)),
            _ => false,
        }
    }

    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// Whether the data itself was refused (a key, a check, a type, the row it concerns), so that the same data will be
    /// refused again. Anything else (full disk, busy, closed) may pass.
    pub(crate) fn refuses_data(&self) -> bool {
        match self {
            Self::Driver(sqlx::Error::Database(e)) => {
                use sqlx::error::ErrorKind as K;
                matches!(
                    e.kind(),
                    K::UniqueViolation
                        | K::ForeignKeyViolation
                        | K::NotNullViolation
                        | K::CheckViolation
                ) || e.code().is_some_and(|code| data_code(&code))
            }
            // A stored row that makes no sense makes none at the next try either: what it concerns
            // is set aside with that reason, and the other hosts' items go on.
            Self::Driver(sqlx::Error::Encode(_)) | Self::Inconsistent { .. } => true,
            _ => false,
        }
    }
}

/// Result codes of SQLite that lie with the data: too big, constraint (and its extended codes),
/// mismatch.
fn data_code(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 18..=20))
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        let busy = match &e {
            sqlx::Error::PoolTimedOut => true,
            // 5 busy, 6 locked
            sqlx::Error::Database(d) => d
                .code()
                .and_then(|c| c.parse::<u32>().ok())
                .is_some_and(|c| matches!(c & 0xFF, 5 | 6)),
            _ => false,
        };
        if busy { Self::Busy(e) } else { Self::Driver(e) }
    }
}
