//! The databases, and how each is opened, read and written: the one place where they differ.
//!
//! SQLite has one writer: a pool of one connection whose transactions begin IMMEDIATE, and a pool
//! of readers that never wait for it (WAL). A commit is on disk when it returns.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, Transaction};

use crate::error::{Result, StoreError};

/// How long a write waits for the writers before it.
const WRITE_WAIT: Duration = Duration::from_secs(20);
/// How long a read waits for a connection.
const READ_WAIT: Duration = Duration::from_secs(10);
/// Readers of one process.
const READERS: u32 = 6;
/// Statements kept prepared on a connection.
const PREPARED: usize = 512;

/// The database. A cheap clone.
#[derive(Debug, Clone)]
pub struct Db {
    pub(crate) backend: Backend,
}

/// Which database it is.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    /// SQLite, inside this process.
    Sqlite { write: SqlitePool, read: SqlitePool },
}

/// The connections of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Those that are open.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// The most there may be.
    pub most: u32,
}

/// One transaction that writes.
#[derive(Debug)]
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
}

/// Runs a body on a transaction's own connection; the body is compiled once a database.
macro_rules! on_tx {
    ($tx:expr, |$c:ident| $body:expr) => {
        match $tx {
            $crate::backend::Tx::Sqlite(t) => {
                let $c = &mut **t;
                $body
            }
        }
    };
}
pub(crate) use on_tx;

/// Runs a body on the readers.
macro_rules! on_read {
    ($db:expr, |$c:ident| $body:expr) => {
        match &$db.backend {
            $crate::backend::Backend::Sqlite { read, .. } => {
                let $c = read;
                $body
            }
        }
    };
}
pub(crate) use on_read;

impl Db {
    /// Opens the database at `url` (`sqlite:///path/to/file`) and makes it where it is absent.
    /// Run [`Db::migrate`] before anything else.
    pub async fn connect(url: &str) -> Result<Self> {
        let path = sqlite_path(url)?;
        let open = |why: String| StoreError::Open { url: url.to_owned(), why };
        make_private(&path).map_err(|e| open(e.to_string()))?;
        let options = SqliteConnectOptions::from_str("sqlite://")
            .map_err(|e| open(e.to_string()))?
            .filename(&path)
            .busy_timeout(WRITE_WAIT)
            .foreign_keys(true)
            .statement_cache_capacity(PREPARED)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", "-32768")
            .disable_statement_logging();
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .acquire_timeout(WRITE_WAIT)
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
            .acquire_timeout(READ_WAIT)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(|e| open(e.to_string()))?;
        Ok(Self { backend: Backend::Sqlite { write, read } })
    }

    /// Brings the schema to this version.
    pub async fn migrate(&self) -> Result<()> {
        match &self.backend {
            Backend::Sqlite { write, .. } => {
                sqlx::migrate!("../migrations/sqlite").run(write).await?;
            }
        }
        Ok(())
    }

    /// Whether the database answers a read and gives its writer.
    pub async fn ping(&self) -> Result<()> {
        on_read!(self, |c| sqlx::query_scalar::<_, i64>("SELECT 1").fetch_one(c).await)?;
        match &self.backend {
            Backend::Sqlite { write, .. } => drop(write.acquire().await?),
        }
        Ok(())
    }

    /// How many connections there are.
    pub fn pool(&self) -> PoolState {
        let idle = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match &self.backend {
            Backend::Sqlite { write, read } => PoolState {
                open: read.size() + write.size(),
                idle: idle(read.num_idle() + write.num_idle()),
                most: READERS + 1,
            },
        }
    }

    /// Closes every connection, after the work under way.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        match &self.backend {
            Backend::Sqlite { write, .. } => {
                Ok(Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?))
            }
        }
    }
}

impl Tx {
    /// Keeps other writers from the roll-up until this transaction ends, so that what it counts is
    /// what they counted. SQLite has one writer.
    pub(crate) async fn lock_roll_up(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(t) => Ok(t.commit().await?),
        }
    }
}

fn sqlite_path(url: &str) -> Result<PathBuf> {
    let open = |why: &str| StoreError::Open { url: url.to_owned(), why: why.to_owned() };
    let path = url
        .strip_prefix("sqlite://")
        .ok_or_else(|| open("write sqlite:///path/to/file; no other database is supported yet"))?;
    if path.is_empty() || path.contains('?') {
        return Err(open("write sqlite:///path/to/file, without parameters"));
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
