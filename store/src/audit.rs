//! The audit log: who did what, each row chained to the one before by its hash, written in the
//! transaction of the effect itself.

use fleetmend_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::backend::locks::Lock;
use crate::backend::{Db, Tx, on_read, on_tx, run, transaction};
use crate::error::{Result, StoreError};
use crate::filter::{Filter, bind_all};
use crate::page::{Cursor, Page, PageRequest};
use crate::row::{At, big, count, time, to_json};
use crate::sql::statements;

/// A row to be written.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, as it shall stand: `api-token ops`, `host 0199…`, `server`.
    pub actor: String,
    /// What, as a word: `job.create`, `host.revoke`.
    pub action: String,
    /// To what: `job 0199…`.
    pub subject: String,
    /// The particulars. No secrets.
    pub detail: serde_json::Value,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Its place, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The particulars, as JSON.
    pub detail: serde_json::Value,
    /// The row's hash, in hex.
    pub hash: String,
}

/// Which rows are wanted. What is `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// To this subject.
    pub subject: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum AuditCheck {
    /// All rows hold.
    Whole {
        /// How many.
        rows: u64,
        /// The last hash, in hex: note it elsewhere to notice rows cut off at the end.
        head: String,
    },
    /// The chain is broken.
    Broken {
        /// At this row.
        sequence: u64,
        /// How.
        why: String,
    },
}

statements! {
    HEAD = "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1";
    INSERT = "INSERT INTO audit (sequence, at_ms, actor, action, subject, detail, previous, hash) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    WALK = "SELECT sequence, at_ms, actor, action, subject, detail, previous, hash FROM audit \
        WHERE sequence > $1 ORDER BY sequence LIMIT $2";
}

/// Rows of the chain read at once.
const WALK_ROWS: i64 = 1_000;

/// What the first row's `previous` holds.
const ORIGIN: [u8; 32] = [0; 32];

impl Db {
    /// Writes a row about something that changes nothing else in the store: a refused call, a log-in.
    pub async fn record(&self, entry: &AuditEntry) -> Result<()> {
        transaction!(self, |tx| {
            append(tx, entry).await?;
            Ok(())
        })
    }

    /// The log, newest first.
    pub async fn audit_log(
        &self,
        wanted: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>> {
        let mut filter = Filter::default();
        filter
            .maybe("actor = ?", wanted.actor.as_deref())
            .maybe("action = ?", wanted.action.as_deref())
            .maybe("subject = ?", wanted.subject.as_deref())
            .maybe("at_ms >= ?", wanted.since.map(Timestamp::as_millis));
        let total: i64 = on_read!(self, |c| {
            let sql = filter.sql("SELECT COUNT(*) FROM audit", "");
            bind_all!(sqlx::query_scalar(sql), filter.args()).fetch_one(c).await
        })?;
        if let Some(cursor) = &page.cursor {
            filter.and("sequence < ?", [cursor.as_number()?.0.into()]);
        }
        let limit = page.limit();
        let rows: Vec<Row> = on_read!(self, |c| {
            let sql = filter.page_sql(
                "SELECT sequence, at_ms, actor, action, subject, detail, previous, hash FROM audit",
                " ORDER BY sequence DESC",
            );
            bind_all!(sqlx::query_as(sql), filter.args()).bind(limit + 1).fetch_all(c).await
        })?;
        let rows = rows.into_iter().map(AuditRow::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, limit, total, |row| Cursor::number(big(row.sequence), Uuid::nil())))
    }

    /// Walks the whole chain.
    pub async fn verify_audit(&self) -> Result<AuditCheck> {
        let (mut last, mut previous) = (0_i64, ORIGIN.to_vec());
        loop {
            let rows: Vec<Row> = on_read!(self, |c| sqlx::query_as(WALK)
                .bind(last)
                .bind(WALK_ROWS)
                .fetch_all(c)
                .await)?;
            if rows.is_empty() {
                let head = hex::encode(previous);
                return Ok(AuditCheck::Whole { rows: count(last), head });
            }
            for row in rows {
                if let Some(why) = row.broken(last, &previous) {
                    return Ok(AuditCheck::Broken { sequence: count(row.sequence), why });
                }
                last = row.sequence;
                previous = row.hash;
            }
        }
    }
}

/// Appends a row inside the transaction of what it tells of.
pub(crate) async fn append(tx: &mut Tx, entry: &AuditEntry) -> Result<()> {
    // Two writers that read one head would write two rows behind it.
    tx.hold(Lock::Audit).await?;
    let head: Option<(i64, Vec<u8>)> =
        on_tx!(tx, |c| sqlx::query_as(HEAD).fetch_optional(c).await)?;
    let (sequence, previous) = head.map_or((1, ORIGIN.to_vec()), |(n, hash)| (n + 1, hash));
    let mut row = Row {
        sequence,
        at_ms: entry.at.as_millis(),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        subject: entry.subject.clone(),
        detail: to_json(&entry.detail)?,
        previous,
        hash: Vec::new(),
    };
    row.hash = row.digest();
    run!(
        tx,
        sqlx::query(INSERT)
            .bind(row.sequence)
            .bind(row.at_ms)
            .bind(row.actor)
            .bind(row.action)
            .bind(row.subject)
            .bind(row.detail)
            .bind(row.previous)
            .bind(row.hash)
    )?;
    Ok(())
}

/// The usual row: somebody did something to one thing.
pub(crate) async fn note(
    tx: &mut Tx,
    (by, now): (&str, Timestamp),
    action: &str,
    subject: String,
    detail: serde_json::Value,
) -> Result<()> {
    let entry =
        AuditEntry { at: now, actor: by.to_owned(), action: action.to_owned(), subject, detail };
    append(tx, &entry).await
}

/// Walks the whole chain on one connection: where a database is held alone, or not committed yet.
macro_rules! check_on {
    ($connection:expr) => {{
        let (mut last, mut previous) = (0_i64, ORIGIN.to_vec());
        loop {
            let rows: Vec<Row> = sqlx::query_as(WALK)
                .bind(last)
                .bind(WALK_ROWS)
                .fetch_all(&mut *$connection)
                .await?;
            if rows.is_empty() {
                return Ok(AuditCheck::Whole { rows: count(last), head: hex::encode(previous) });
            }
            for row in rows {
                if let Some(why) = row.broken(last, &previous) {
                    return Ok(AuditCheck::Broken { sequence: count(row.sequence), why });
                }
                last = row.sequence;
                previous = row.hash;
            }
        }
    }};
}

/// The chain of a SQLite database that is held alone.
pub(crate) async fn check_sqlite(connection: &mut sqlx::SqliteConnection) -> Result<AuditCheck> {
    check_on!(connection)
}

/// The chain as a transaction on Postgres sees it.
pub(crate) async fn check_postgres(connection: &mut sqlx::PgConnection) -> Result<AuditCheck> {
    check_on!(connection)
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    sequence: i64,
    at_ms: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

impl Row {
    /// SHA-256 over the hash before and the row's fields, each with its length before it. The
    /// particulars count as the text they were stored as, so no JSON writer can change the hash.
    fn digest(&self) -> Vec<u8> {
        let (sequence, at) = (self.sequence.to_be_bytes(), self.at_ms.to_be_bytes());
        let mut hash = Sha256::new();
        for field in [
            self.previous.as_slice(),
            &sequence,
            &at,
            self.actor.as_bytes(),
            self.action.as_bytes(),
            self.subject.as_bytes(),
            self.detail.as_bytes(),
        ] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().to_vec()
    }

    fn broken(&self, last: i64, previous: &[u8]) -> Option<String> {
        if self.sequence != last + 1 {
            Some(format!("rows are missing after {last}"))
        } else if self.previous != previous {
            Some("it does not follow the row before it".to_owned())
        } else if self.hash != self.digest() {
            Some("it was changed after it was written".to_owned())
        } else {
            None
        }
    }
}

impl TryFrom<Row> for AuditRow {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let at = At { table: "audit", id: &row.sequence };
        Ok(Self {
            sequence: count(row.sequence),
            at: time(row.at_ms),
            detail: at.json("detail", &row.detail)?,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            hash: hex::encode(&row.hash),
        })
    }
}
