//! SQLite has one writer: a pool of one connection whose transactions begin IMMEDIATE, and a pool
//! of readers that never wait for it (WAL). A commit is on disk when it returns.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use super::Backend;
use crate::error::{Result, StoreError};

/// How long a write waits for the writers before it, and a read for a connection.
const WAIT: Duration = Duration::from_secs(8);
/// Readers of one process.
pub(super) const READERS: u32 = 6;
/// Statements kept prepared on a connection.
const PREPARED: usize = 512;

pub(super) async fn open(url: &str) -> Result<Backend> {
    let path = path(url)?;
    let open = |why: String| StoreError::Open { url: url.to_owned(), why };
    make_private(&path).map_err(|e| open(e.to_string()))?;
    let options = SqliteConnectOptions::from_str("sqlite://")
        .map_err(|e| open(e.to_string()))?
        .filename(&path)
        .busy_timeout(WAIT)
        .foreign_keys(true)
        .statement_cache_capacity(PREPARED)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-32768")
        .disable_statement_logging();
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .acquire_timeout(WAIT)
        // A full disk makes SQLite roll back by itself, and the driver then believes for ever that a
        // transaction is open: such a connection is made anew.
        .before_acquire(|connection, _| {
            let clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(clean) })
        })
        .connect_with(
            options
                .clone()
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .pragma("journal_size_limit", "67108864"),
        )
        .await
        .map_err(|e| open(e.to_string()))?;
    let read = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(WAIT)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|e| open(e.to_string()))?;
    Ok(Backend::Sqlite { write, read })
}

fn path(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    if path.is_empty() || path.contains('?') {
        return Err(StoreError::Open {
            url: url.to_owned(),
            why: "write sqlite:///path/to/file, without parameters".to_owned(),
        });
    }
    Ok(PathBuf::from(path))
}

/// Makes the file, readable by its owner only: it holds hashes of secrets and facts about hosts.
/// SQLite gives its side files the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(drop)
}
