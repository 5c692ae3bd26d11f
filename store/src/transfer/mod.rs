//! Moving a whole store from SQLite to an empty Postgres. The source is held alone and not changed;
//! the target takes everything in one transaction, is read back and compared, and only then commits:
//! a move that fails leaves the target empty.

mod schema;
mod value;

use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteLockingMode, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::audit::{self, AuditCheck};
use crate::backend::{Backend, Db};
use crate::error::{Result, StoreError};
use schema::Table;
use value::{Sum, field, line};

/// Rows read, sent and compared at once.
const PIECE: i64 = 200;
/// How often progress is told, in rows.
const TELL_EVERY: u64 = 50_000;

/// A table that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// A sum over its rows, whatever their order: the same on both sides.
    pub checksum: String,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Rows of a table were read from the source and, unless it is a dry run, sent.
    Copied {
        /// The table.
        table: &'a str,
        /// So far.
        rows: u64,
    },
    /// Rows of a table were read back.
    Compared {
        /// The table.
        table: &'a str,
        /// So far.
        rows: u64,
    },
}

/// Where progress is told.
pub type Say<'a> = &'a mut (dyn FnMut(Step<'_>) + Send);

impl Db {
    /// Moves the SQLite database at `from` into this one, an empty Postgres. A dry run reads all of
    /// the source and looks at the target, and changes neither.
    pub async fn move_from_sqlite(
        &self,
        from: &Path,
        dry_run: bool,
        say: Say<'_>,
    ) -> Result<Vec<Moved>> {
        let Backend::Postgres(pool) = &self.backend else {
            return Err(refuse("the target is not Postgres: write postgres://user@host/database"));
        };
        let mut source = open_source(from).await?;
        let tables = schema::of_source(&mut source).await?;
        check_chain("source", audit::check_sqlite(&mut source).await?)?;
        let mut target = pool.patient_connection().await?;
        let exists = schema::target_exists(&mut target).await?;
        if exists {
            schema::check_target(&mut target, &tables).await?;
        }
        if dry_run {
            if exists {
                schema::refuse_rows(&mut target, &tables).await?;
            }
            let mut moved = Vec::new();
            for table in &tables {
                moved.push(read(&mut source, table, None, say).await?);
            }
            let _ = target.close().await;
            return Ok(moved);
        }
        if !exists {
            self.migrate().await?;
            schema::check_target(&mut target, &tables).await?;
        }
        for day in schema::report_days(&mut source).await? {
            self.ensure_report_partitions(day..=day).await?;
        }
        let moved = copy(&mut source, &mut target, tables, say).await?;
        // Plans of the first queries are bad without it, results are not.
        let _ = sqlx::query("ANALYZE").execute(&mut target).await;
        let _ = target.close().await;
        Ok(moved)
    }
}

/// Everything in one transaction: an error ends the connection, and Postgres forgets it all.
async fn copy(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    mut tables: Vec<Table>,
    say: Say<'_>,
) -> Result<Vec<Moved>> {
    let mut transaction = target.begin().await?;
    for table in &mut tables {
        table.look_up_types(&mut transaction).await?;
        let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", table.name);
        sqlx::query(AssertSqlSafe(lock)).execute(&mut *transaction).await?;
    }
    schema::refuse_rows(&mut transaction, &tables).await?;
    let mut moved = Vec::new();
    for table in &tables {
        moved.push(read(source, table, Some(&mut transaction), say).await?);
        table.go_on_counting(&mut transaction).await?;
    }
    for (table, sent) in tables.iter().zip(&moved) {
        let held = read_back(&mut transaction, table, say).await?;
        if held != *sent {
            return Err(refuse(format!(
                "table {} differs after the move: {} rows with the sum {} were sent, {} with {} are \
                 there; nothing was kept",
                table.name, sent.rows, sent.checksum, held.rows, held.checksum
            )));
        }
    }
    check_chain("target", audit::check_postgres(&mut transaction).await?)?;
    transaction.commit().await?;
    Ok(moved)
}

/// Reads a table of the source, and sends it where a target is given.
async fn read(
    source: &mut SqliteConnection,
    table: &Table,
    mut target: Option<&mut PgConnection>,
    say: Say<'_>,
) -> Result<Moved> {
    let sql = format!(
        "SELECT rowid AS place, {} FROM {} WHERE rowid > $1 ORDER BY rowid LIMIT $2",
        table.names(),
        table.name
    );
    let (mut sum, mut place) = (Sum::default(), i64::MIN);
    loop {
        let rows: Vec<SqliteRow> = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(place)
            .bind(PIECE)
            .fetch_all(&mut *source)
            .await?;
        let Some(last) = rows.last() else { break };
        place = sqlx::Row::try_get(last, 0)?;
        let mut text = String::new();
        for row in &rows {
            let fields = table
                .columns
                .iter()
                .zip(1..)
                .map(|(column, n)| field(row, n, table, column))
                .collect::<Result<Vec<_>>>()?;
            sum.add(&fields);
            line(&mut text, table, &fields);
        }
        if let Some(target) = target.as_deref_mut() {
            let head = format!("COPY {} ({}) FROM STDIN", table.name, table.names());
            let mut copy = target.copy_in_raw(&head).await?;
            copy.send(text.into_bytes()).await?;
            copy.finish().await?;
        }
        if sum.rows % TELL_EVERY < rows.len() as u64 {
            say(Step::Copied { table: &table.name, rows: sum.rows });
        }
    }
    say(Step::Copied { table: &table.name, rows: sum.rows });
    Ok(sum.moved(table))
}

async fn read_back(target: &mut PgConnection, table: &Table, say: Say<'_>) -> Result<Moved> {
    let name = &table.name;
    let declare =
        format!("DECLARE moved_{name} NO SCROLL CURSOR FOR SELECT {} FROM {name}", table.as_text());
    sqlx::query(AssertSqlSafe(declare)).execute(&mut *target).await?;
    let mut sum = Sum::default();
    loop {
        let fetch = format!("FETCH {PIECE} FROM moved_{name}");
        let rows = sqlx::query(AssertSqlSafe(fetch)).fetch_all(&mut *target).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let fields = (0..table.columns.len())
                .map(|n| sqlx::Row::try_get::<Option<String>, _>(row, n))
                .collect::<Result<Vec<_>, _>>()?;
            sum.add(&fields);
        }
        if sum.rows % TELL_EVERY < rows.len() as u64 {
            say(Step::Compared { table: name, rows: sum.rows });
        }
    }
    say(Step::Compared { table: name, rows: sum.rows });
    sqlx::query(AssertSqlSafe(format!("CLOSE moved_{name}"))).execute(target).await?;
    Ok(sum.moved(table))
}

/// Opens the source alone: refused while a server has it open.
async fn open_source(path: &Path) -> Result<SqliteConnection> {
    let open = |why: String| StoreError::Open { url: format!("sqlite://{}", path.display()), why };
    if !path.is_file() {
        return Err(open("there is no such file".to_owned()));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .locking_mode(SqliteLockingMode::Exclusive)
        .busy_timeout(std::time::Duration::from_secs(1));
    let in_use = |e: sqlx::Error| match StoreError::from(e) {
        e if e.is_unavailable() => {
            open("it is in use: stop the server that runs on it first".to_owned())
        }
        e => e,
    };
    let mut source = SqliteConnection::connect_with(&options).await.map_err(in_use)?;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut source).await.map_err(in_use)?;
    sqlx::query("PRAGMA query_only = ON").execute(&mut source).await?;
    Ok(source)
}

fn check_chain(side: &str, check: AuditCheck) -> Result<()> {
    match check {
        AuditCheck::Whole { .. } => Ok(()),
        AuditCheck::Broken { sequence, why } => Err(refuse(format!(
            "the {side}'s audit log is broken at row {sequence}: {why}; nothing was kept"
        ))),
    }
}

fn refuse(why: impl Into<String>) -> StoreError {
    StoreError::Conflict(why.into())
}
