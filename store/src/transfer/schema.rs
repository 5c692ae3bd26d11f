//! What the two databases are made of: read from themselves, so that no table can be forgotten.

use std::collections::BTreeSet;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::refuse;
use crate::error::Result;

/// A column's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Truth,
    Real,
    Bytes,
    Uuid,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Postgres draws its numbers.
    drawn: bool,
}

/// A table. The names are those of our own migrations.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

const MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Tables of the source, each behind those it refers to.
pub(super) async fn of_source(source: &mut SqliteConnection) -> Result<Vec<Table>> {
    let done: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *source)
            .await
            .map_err(|_| refuse("the source is no database of Fleetmend"))?;
    check_version("source", &done)?;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(&mut *source)
    .await?;
    let mut waiting = Vec::new();
    for name in names {
        let columns: Vec<(String, String)> =
            sqlx::query_as("SELECT name, type FROM pragma_table_info($1) ORDER BY cid")
                .bind(&name)
                .fetch_all(&mut *source)
                .await?;
        let refers: BTreeSet<String> =
            sqlx::query_scalar("SELECT \"table\" FROM pragma_foreign_key_list($1)")
                .bind(&name)
                .fetch_all(&mut *source)
                .await?
                .into_iter()
                .collect();
        // What the target makes of them is looked up there; a dry run may have none.
        let kind = |text: &str| match text {
            "INTEGER" => Kind::Number,
            "REAL" => Kind::Real,
            "BLOB" => Kind::Bytes,
            _ => Kind::Text,
        };
        let columns = columns
            .into_iter()
            .map(|(name, text)| Column { name, kind: kind(&text), drawn: false })
            .collect();
        waiting.push((Table { name, columns }, refers));
    }
    let mut tables: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|(table, refers)| {
            refers.iter().all(|to| *to == table.name || tables.iter().any(|t| t.name == *to))
        });
        let ready =
            ready.ok_or_else(|| refuse("the source's tables refer to each other in a ring"))?;
        tables.push(waiting.remove(ready).0);
    }
    Ok(tables)
}

/// The days for which the source has reports.
pub(super) async fn report_days(source: &mut SqliteConnection) -> Result<Vec<i64>> {
    let days = sqlx::query_scalar("SELECT DISTINCT received_day FROM report ORDER BY received_day");
    Ok(days.fetch_all(source).await?)
}

/// Whether the target was ever migrated. One that holds other people's tables is refused.
pub(super) async fn target_exists(target: &mut PgConnection) -> Result<bool> {
    let names = target_tables(target).await?;
    if names.contains("_sqlx_migrations") {
        return Ok(true);
    }
    match names.first() {
        None => Ok(false),
        Some(name) => Err(refuse(format!(
            "the target holds a table {name} that is not Fleetmend's: make a database of its own"
        ))),
    }
}

/// Refuses a target of another version, or with other tables or columns than the source.
pub(super) async fn check_target(target: &mut PgConnection, tables: &[Table]) -> Result<()> {
    let done: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *target)
            .await?;
    check_version("target", &done)?;
    let mut there = target_tables(target).await?;
    there.remove("_sqlx_migrations");
    let wanted: BTreeSet<String> = tables.iter().map(|t| t.name.clone()).collect();
    if let Some(name) = there.symmetric_difference(&wanted).next() {
        return Err(refuse(format!("table {name} is in one of the databases only")));
    }
    Ok(())
}

/// Refuses a target that holds anything.
pub(super) async fn refuse_rows(target: &mut PgConnection, tables: &[Table]) -> Result<()> {
    for table in tables {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *target).await? {
            return Err(refuse(format!(
                "the target is not empty: table {} has rows; move into a new database",
                table.name
            )));
        }
    }
    Ok(())
}

fn check_version(side: &str, done: &[i64]) -> Result<()> {
    let ours: Vec<i64> = MIGRATIONS.iter().map(|m| m.version).collect();
    if done == ours {
        return Ok(());
    }
    let last = |versions: &[i64]| versions.last().copied().unwrap_or(0);
    Err(refuse(format!(
        "the {side}'s schema has version {}, this program's {}: bring it there with `fleetmend-server \
         migrate`, of the newer of the two programs",
        last(done),
        last(&ours)
    )))
}

/// Parts of a table are not named.
async fn target_tables(target: &mut PgConnection) -> Result<BTreeSet<String>> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::TEXT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
    )
    .fetch_all(target)
    .await?;
    Ok(names.into_iter().collect())
}

impl Table {
    /// Its columns, for a statement.
    pub(super) fn names(&self) -> String {
        self.list(|column| column.name.clone())
    }

    /// Its columns as the texts that are compared, on Postgres.
    pub(super) fn as_text(&self) -> String {
        self.list(|column| match column.kind {
            Kind::Real => format!("encode(float8send({}), 'hex')", column.name),
            _ => format!("{}::TEXT", column.name),
        })
    }

    fn list(&self, one: impl Fn(&Column) -> String) -> String {
        self.columns.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Learns what the target makes of each column.
    pub(super) async fn look_up_types(&mut self, target: &mut PgConnection) -> Result<()> {
        let rows = sqlx::query(
            "SELECT column_name::TEXT, data_type::TEXT, is_identity = 'YES' FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1",
        )
        .bind(&self.name)
        .fetch_all(target)
        .await?;
        let mut unknown: BTreeSet<String> = BTreeSet::new();
        for row in rows {
            let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let Some(column) = self.columns.iter_mut().find(|c| c.name == name) else {
                unknown.insert(name);
                continue;
            };
            column.drawn = row.try_get(2)?;
            column.kind = match kind.as_str() {
                "text" => Kind::Text,
                "bigint" => Kind::Number,
                "boolean" => Kind::Truth,
                "double precision" => Kind::Real,
                "bytea" => Kind::Bytes,
                "uuid" => Kind::Uuid,
                other => {
                    return Err(refuse(format!("{}.{name} is of the kind {other}", self.name)));
                }
            };
        }
        match unknown.first() {
            None => Ok(()),
            Some(name) => Err(refuse(format!("column {}.{name} is in the target only", self.name))),
        }
    }

    /// Lets Postgres draw numbers above those that were moved.
    pub(super) async fn go_on_counting(&self, target: &mut PgConnection) -> Result<()> {
        for column in self.columns.iter().filter(|c| c.drawn) {
            let (table, column) = (&self.name, &column.name);
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), MAX({column})) FROM {table} \
                 HAVING MAX({column}) IS NOT NULL"
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *target).await?;
        }
        Ok(())
    }
}
