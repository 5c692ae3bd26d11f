//! PostgreSQL: one pool of connections. Every connection carries its time limits, and one whose state
//! is not known (a call was cut short, the server fell silent) is dropped, never used again: so a server
//! that hangs costs each caller a bounded wait and the pool nothing.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::{PoolSettings, PoolState, redacted};
use crate::error::{Result, StoreError};

/// The parameters that an address may have.
const PARAMETERS: &[&str] =
    &["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "application_name"];
/// How long a connection may take to show that it can be used again.
const RETURN: Duration = Duration::from_secs(2);
/// Statements kept prepared on a connection.
const PREPARED: usize = 512;

/// Run on each new connection: a commit is on disk when it returns, whatever the server's default.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";
const STANDING: &str =
    "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'";
const PATIENT: &str =
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true)";

/// A plain COMMIT of a transaction in which something failed rolls back and calls that a success.
pub(super) const COMMIT: &str = "SELECT 1; COMMIT";

/// The pool. A cheap clone.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    /// Without time limits, for migrations.
    patient: Box<PgConnectOptions>,
    /// Days whose partition is known to be there.
    days: Arc<Mutex<BTreeSet<i64>>>,
}

/// A connection in use. Dropped in the middle of something, it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<PoolConnection<sqlx::Postgres>>,
}

impl Postgres {
    pub(super) async fn open(url: &str, settings: &PoolSettings) -> Result<Self> {
        let open = |why: String| StoreError::Open { url: redacted(url), why };
        refuse_unknown(url).map_err(open)?;
        let bare = PgConnectOptions::from_str(url)
            .map_err(|e| open(e.to_string()))?
            .application_name(&settings.application_name)
            .disable_statement_logging();
        let ms = |time: Duration| time.as_millis().to_string();
        let options = bare.clone().statement_cache_capacity(PREPARED).options([
            ("statement_timeout", ms(settings.statement_timeout)),
            ("lock_timeout", ms(settings.lock_timeout)),
            ("idle_in_transaction_session_timeout", ms(settings.idle_in_transaction_timeout)),
            // Our statements are short: to compile them takes longer than to run them.
            ("jit", "off".to_owned()),
        ]);
        // The first connection is made by itself: a pool would say no more than that it has none.
        let first = tokio::time::timeout(super::CALL, PgConnection::connect_with(&options));
        match first.await {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
            }
            Ok(Err(e)) if is_away(&e) => return Err(e.into()),
            Ok(Err(e)) => return Err(open(crate::error::said(&e))),
            Err(_) => return Err(StoreError::unavailable("it did not answer in time")),
        }
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections.max(2))
            // A start is followed at once by all agents: two connections are there for them.
            .min_connections(2)
            .acquire_timeout(settings.acquire_timeout)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(DURABLE).await.map(drop) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, patient: Box::new(bare), days: Arc::default() })
    }

    /// How many connections there are.
    pub(super) fn state(&self) -> PoolState {
        PoolState {
            open: self.pool.size(),
            idle: u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX),
            most: self.pool.options().get_max_connections(),
        }
    }

    /// A connection of the pool.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        Ok(Lease { connection: Some(self.pool.acquire().await?) })
    }

    /// A connection of its own without time limits. The caller closes it.
    pub(crate) async fn patient_connection(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.patient).await?)
    }

    /// A connection with a transaction begun.
    pub(super) async fn begin(&self, patient: bool) -> Result<Lease> {
        let mut lease = self.lease().await?;
        lease.connection().execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        if patient {
            lease.connection().execute(PATIENT).await?;
        }
        Ok(lease)
    }

    /// Whether it takes writes; why not, where not.
    pub(super) async fn writable(&self) -> Result<()> {
        let mut lease = self.lease().await?;
        let standing = sqlx::query_as::<_, (bool, bool)>(STANDING).fetch_one(lease.connection());
        let standing = standing.await;
        match lease.give_back(standing)? {
            (true, _) => Err(StoreError::unavailable("it is a standby, which takes no writes")),
            (_, true) => Err(StoreError::unavailable("it is read-only")),
            (false, false) => Ok(()),
        }
    }

    pub(super) async fn close(&self) {
        // A server that hangs does not say farewell.
        let _ = tokio::time::timeout(RETURN, self.pool.close()).await;
    }

    /// The known days, however another thread left them.
    pub(crate) fn known_days(&self) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        #[expect(clippy::expect_used, reason = "only the methods that consume the lease take it")]
        let connection = self.connection.as_mut().expect("a lease holds its connection");
        connection
    }

    /// Gives the connection back after a read that ended so.
    pub(crate) fn give_back<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T> {
        let done = done.map_err(StoreError::from);
        if !matches!(&done, Err(e) if e.is_unavailable()) {
            self.release();
        }
        done
    }

    /// Ends the transaction and gives the connection back.
    pub(super) async fn end(mut self, how: &'static str) -> Result<()> {
        self.connection().execute(how).await?;
        self.release();
        Ok(())
    }

    fn release(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // The pool tries whether it still answers, and would wait for ever.
            tokio::spawn(tokio::time::timeout(RETURN, connection.return_to_pool()));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Closing the socket ends the session and whatever it had begun.
            drop(connection.detach());
        }
    }
}

/// Whether a first connection failed because the server is not there yet, rather than for the address, the
/// role or the certificate.
fn is_away(e: &sqlx::Error) -> bool {
    use std::io::ErrorKind as K;
    match e {
        // A certificate's file, then.
        sqlx::Error::Io(e) => !matches!(e.kind(), K::NotFound | K::PermissionDenied),
        sqlx::Error::Database(e) => e
            .code()
            .is_some_and(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}

/// The driver passes over what it does not know; here a slip of the pen is told.
fn refuse_unknown(url: &str) -> Result<(), String> {
    let Some((_, query)) = url.split_once('?') else { return Ok(()) };
    for parameter in query.split('&').filter(|p| !p.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if !PARAMETERS.contains(&name) {
            return Err(format!("unknown parameter: write one of {}", PARAMETERS.join(", ")));
        }
    }
    Ok(())
}
