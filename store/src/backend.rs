//! The databases, and how each is opened, read and written. What differs between them stands here
//! and below `backend/`: everything else is one text for both.
//!
//! Whoever changes what belongs to a host holds the host's row first ([`Tx::hold_hosts`], hosts in
//! the order of their ids), then touches its incidents, jobs and the rest, then the roll-up in the
//! order of its keys, and writes to the audit log last. On SQLite, which has one writer, the holds are nothing; on Postgres they are what makes
//! a read followed by a write safe, and the one order is what keeps writers from waiting in a ring.

pub(crate) mod locks;
pub(crate) mod postgres;
mod sqlite;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::incident::IncidentRules;

use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};

use crate::error::{Result, StoreError};
use postgres::{Lease, Postgres};

/// How long a call to the store takes at most: then it has failed, whatever the database does.
pub(crate) const CALL: Duration = Duration::from_secs(10);
/// The same for a piece of work that goes over a whole table.
const PATIENT_CALL: Duration = Duration::from_mins(10);
/// How often a transaction is tried again that lost to another.
const RETRIES: u32 = 3;

/// How a pool of connections to Postgres behaves. SQLite needs none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Connections of one process at most.
    pub max_connections: u32,
    /// How long a call waits for a connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a statement waits for a row that another holds; below the time of a statement.
    pub lock_timeout: Duration,
    /// How long a transaction may stand without a statement before Postgres ends its session.
    pub idle_in_transaction_timeout: Duration,
    /// What the sessions are called in `pg_stat_activity`.
    pub application_name: String,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(4),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(4),
            idle_in_transaction_timeout: Duration::from_secs(10),
            application_name: "fleetmend-server".to_owned(),
        }
    }
}

/// The database. A cheap clone.
#[derive(Clone)]
pub struct Db {
    pub(crate) backend: Backend,
    /// How long one call takes at most.
    pub(crate) call: Duration,
    /// What decides whether a report is an incident.
    pub(crate) rules: Arc<IncidentRules>,
}

/// Which database it is.
#[derive(Clone)]
pub(crate) enum Backend {
    /// SQLite, inside this process.
    Sqlite { write: SqlitePool, read: SqlitePool },
    /// PostgreSQL.
    Postgres(Postgres),
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
    Postgres(Lease),
}

/// Runs a body on a transaction's own connection; the body is compiled once a database.
macro_rules! on_tx {
    ($tx:expr, |$c:ident| $body:expr) => {
        match $tx {
            $crate::backend::Tx::Sqlite(t) => {
                let $c = &mut **t;
                $body
            }
            $crate::backend::Tx::Postgres(t) => {
                let $c = t.connection();
                $body
            }
        }
    };
}
pub(crate) use on_tx;

/// Runs a statement that gives no rows, and says how many it touched.
macro_rules! run {
    ($tx:expr, $query:expr) => {
        $crate::backend::on_tx!($tx, |c| $query.execute(c).await.map(|done| done.rows_affected()))
    };
}
pub(crate) use run;

/// Runs a body on a reader, within the time of a call.
macro_rules! on_read {
    ($db:expr, |$c:ident| $body:expr) => {
        $crate::backend::within($db.call, async {
            match &$db.backend {
                $crate::backend::Backend::Sqlite { read, .. } => {
                    let $c = read;
                    $body.map_err($crate::StoreError::from)
                }
                $crate::backend::Backend::Postgres(pool) => {
                    let mut lease = pool.lease().await?;
                    let done = {
                        let $c = lease.connection();
                        $body
                    };
                    lease.give_back(done)
                }
            }
        })
        .await
    };
}
pub(crate) use on_read;

/// Runs a body in a transaction that writes, within the time of a call: commits where it succeeds,
/// rolls back where it fails, and runs it again where it lost to another transaction. The body may
/// `return`; it must be safe to run again.
macro_rules! transaction {
    ($db:expr, |$tx:ident| $body:block) => {
        $crate::backend::within($db.call, async {
            let mut tries = 0;
            loop {
                let mut begun = $db.begin().await?;
                let done = async {
                    let $tx = &mut begun;
                    $body
                }
                .await;
                let done = begun.finish(done).await;
                if !$crate::backend::again(&done, &mut tries) {
                    break done;
                }
            }
        })
        .await
    };
}
pub(crate) use transaction;

impl Db {
    /// Opens the database at `url`: `sqlite:///path/to/file` (made where it is absent) or
    /// `postgres://user:password@host:port/database` with the usual pool. Run [`Db::migrate`]
    /// before anything else.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, &PoolSettings::default()).await
    }

    /// Opens the database at `url` with these settings.
    pub async fn connect_with(url: &str, settings: &PoolSettings) -> Result<Self> {
        let backend = match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("sqlite") => sqlite::open(url).await?,
            Some("postgres" | "postgresql") => {
                Backend::Postgres(Postgres::open(url, settings).await?)
            }
            _ => {
                return Err(StoreError::Open {
                    url: redacted(url),
                    why: "write sqlite:///path/to/file or postgres://user@host/database".to_owned(),
                });
            }
        };
        Ok(Self { backend, call: CALL, rules: Arc::default() })
    }

    /// The same database for work that goes over whole tables: its calls may take ten minutes each.
    pub fn patient(&self) -> Self {
        Self { call: PATIENT_CALL, ..self.clone() }
    }

    /// The same database, where `rules` decide whether a report is an incident; without it, nothing
    /// goes by itself.
    pub fn with_rules(self, rules: IncidentRules) -> Self {
        Self { rules: Arc::new(rules), ..self }
    }

    /// Brings the schema to this version.
    pub async fn migrate(&self) -> Result<()> {
        match &self.backend {
            Backend::Sqlite { write, .. } => {
                sqlx::migrate!("../migrations/sqlite").run(write).await?;
            }
            Backend::Postgres(pool) => {
                let mut connection = pool.patient_connection().await?;
                sqlx::migrate!("../migrations/postgres").run(&mut connection).await?;
            }
        }
        Ok(())
    }

    /// Whether the database can be read and written now; the error says why not.
    pub async fn ping(&self) -> Result<()> {
        within(self.call, async {
            match &self.backend {
                Backend::Sqlite { read, .. } => {
                    sqlx::query("SELECT 1").execute(read).await?;
                    // Refused where the file is read-only.
                    self.begin().await?.finish(Ok(())).await
                }
                Backend::Postgres(pool) => pool.writable().await,
            }
        })
        .await
    }

    /// How many connections there are.
    pub fn pool(&self) -> PoolState {
        let idle = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match &self.backend {
            Backend::Sqlite { write, read } => PoolState {
                open: read.size() + write.size(),
                idle: idle(read.num_idle() + write.num_idle()),
                most: sqlite::READERS + 1,
            },
            Backend::Postgres(pool) => pool.state(),
        }
    }

    /// Closes every connection, after the work under way.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }

    /// What kind of database it is, as a word: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match &self.backend {
            Backend::Sqlite { .. } => "sqlite",
            Backend::Postgres(_) => "postgres",
        }
    }

    /// Begins a transaction that writes. [`transaction`] is the usual way.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        match &self.backend {
            Backend::Sqlite { write, .. } => {
                Ok(Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?))
            }
            Backend::Postgres(pool) => Ok(Tx::Postgres(pool.begin(self.call > CALL).await?)),
        }
    }
}

impl fmt::Debug for Db {
    /// Says no more than the kind: addresses hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Db").field(&self.kind()).finish()
    }
}

impl Tx {
    /// Ends it as its body ended: a success is made durable, a failure leaves nothing.
    pub(crate) async fn finish<T, E: From<StoreError> + Transient>(
        self,
        done: Result<T, E>,
    ) -> Result<T, E> {
        match (self, done) {
            (Self::Sqlite(t), Ok(value)) => {
                t.commit().await.map_err(StoreError::from)?;
                Ok(value)
            }
            (Self::Sqlite(t), Err(e)) => {
                // What failed is told; a rollback that fails too is done when the connection ends.
                let _ = t.rollback().await;
                Err(e)
            }
            (Self::Postgres(lease), Ok(value)) => {
                lease.end(postgres::COMMIT).await?;
                Ok(value)
            }
            (Self::Postgres(lease), Err(e)) => {
                if e.broken() {
                    drop(lease);
                } else {
                    let _ = lease.end("ROLLBACK").await;
                }
                Err(e)
            }
        }
    }
}

/// What a failed transaction says about trying again.
pub(crate) trait Transient {
    /// It lost to another transaction: the same may succeed now.
    fn lost(&self) -> bool;
    /// Its connection is not to be used again.
    fn broken(&self) -> bool;
}

impl Transient for StoreError {
    fn lost(&self) -> bool {
        Self::lost(self)
    }
    fn broken(&self) -> bool {
        self.is_unavailable()
    }
}

impl Transient for crate::hosts::EnrolError {
    fn lost(&self) -> bool {
        matches!(self, Self::Store(e) if e.lost())
    }
    fn broken(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_unavailable())
    }
}

/// Whether to try again; counts the tries.
pub(crate) fn again<T, E: Transient>(done: &Result<T, E>, tries: &mut u32) -> bool {
    let again = *tries < RETRIES && matches!(done, Err(e) if e.lost());
    *tries += u32::from(again);
    again
}

/// Runs a call within its time: a database that does not answer holds nobody up.
pub(crate) async fn within<T, E: From<StoreError>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::unavailable("it did not answer in time").into()),
    }
}

/// A database's address without its password, for messages and logs.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Whatever it is, it may hold one.
        return "(not an address)".to_owned();
    };
    if scheme == "sqlite" {
        return url.to_owned();
    }
    // An @, / or ? may stand in a password that was not encoded, and a parameter may hold one.
    let (user, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (login.split(':').next(), place),
        None => (None, rest),
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let at = if user.is_some() { "@" } else { "" };
    format!("{scheme}://{}{at}{place}", user.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_ever_shown() {
        for (url, shown) in [
            ("postgres://u:secret@h:5/d?sslmode=require", "postgres://u@h:5/d"),
            ("postgres://u:se@cret@h/d", "postgres://u@h/d"),
            ("postgres://h/d?user=u&password=secret", "postgres://h/d"),
            ("postgres://u:se?cr/et@h/d", "postgres://u@h/d"),
            ("u:secret@h/d", "(not an address)"),
            ("sqlite:///var/lib/db", "sqlite:///var/lib/db"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
