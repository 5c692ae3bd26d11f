//! Every statement is prepared on every database, and none is forgotten here.

use std::collections::BTreeMap;

use sqlx::postgres::PgTypeInfo;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use crate::backend::{Backend, Tx, locks};
use crate::sql::ManyRows;
use crate::{
    Db, access, audit, campaigns, guided, halt, hosts, incidents, ingest, jobs, retention,
    sessions, tokens, users, views,
};

const ALL: &[&[(&str, &str)]] = &[
    access::STATEMENTS,
    audit::STATEMENTS,
    locks::STATEMENTS,
    halt::STATEMENTS,
    campaigns::apply::STATEMENTS,
    campaigns::apply::hosts::STATEMENTS,
    campaigns::apply::work::STATEMENTS,
    campaigns::approvals::STATEMENTS,
    campaigns::freezes::STATEMENTS,
    campaigns::get::STATEMENTS,
    campaigns::moves::STATEMENTS,
    campaigns::results::counts::STATEMENTS,
    campaigns::retry::STATEMENTS,
    campaigns::runs::STATEMENTS,
    campaigns::snapshot::STATEMENTS,
    campaigns::standing::STATEMENTS,
    campaigns::undo::STATEMENTS,
    campaigns::write::STATEMENTS,
    guided::change::STATEMENTS,
    guided::list::STATEMENTS,
    hosts::certificates::STATEMENTS,
    hosts::enrol::STATEMENTS,
    hosts::facts::STATEMENTS,
    hosts::get::STATEMENTS,
    hosts::lifecycle::STATEMENTS,
    hosts::timeline::STATEMENTS,
    incidents::decide::STATEMENTS,
    incidents::get::STATEMENTS,
    incidents::overdue::STATEMENTS,
    incidents::triage::STATEMENTS,
    ingest::apply::STATEMENTS,
    ingest::job_news::STATEMENTS,
    ingest::opening::STATEMENTS,
    ingest::passing::STATEMENTS,
    ingest::positions::STATEMENTS,
    ingest::quarantine::STATEMENTS,
    ingest::recovery::STATEMENTS,
    ingest::superseded::STATEMENTS,
    jobs::climb::STATEMENTS,
    jobs::create::STATEMENTS,
    jobs::deadlines::STATEMENTS,
    jobs::get::STATEMENTS,
    jobs::moves::STATEMENTS,
    jobs::orders::STATEMENTS,
    sessions::STATEMENTS,
    tokens::STATEMENTS,
    views::efficacy::STATEMENTS,
    users::STATEMENTS,
    users::change::STATEMENTS,
    users::log_in::STATEMENTS,
    views::problem::STATEMENTS,
    views::problems::STATEMENTS,
    views::standing::STATEMENTS,
    views::recount::STATEMENTS,
    retention::STATEMENTS,
    views::summary::STATEMENTS,
];

const MANY: &[&[ManyRows]] = &[
    campaigns::retry::MANY,
    campaigns::runs::MANY,
    hosts::facts::MANY,
    hosts::lifecycle::MANY,
    incidents::triage::MANY,
    ingest::failures::MANY,
    ingest::opening::MANY,
    ingest::passing::MANY,
    ingest::positions::MANY,
];

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let store = super::Store::sqlite().await;
    let Backend::Sqlite { write, .. } = &store.db.backend else { panic!("SQLite") };
    let mut connection = write.acquire().await.expect("a connection");
    for (name, sql) in ALL.iter().copied().flatten() {
        let prepared = connection.prepare(AssertSqlSafe(*sql).into_sql_str()).await;
        prepared.unwrap_or_else(|e| panic!("{name}: {e}\n{sql}"));
    }
    drop(connection);
    let tx = store.db.begin().await.expect("begins");
    let texts: Vec<_> = MANY
        .iter()
        .copied()
        .flatten()
        .flat_map(|many| [many.sql(&tx, 1), many.sql(&tx, 64)])
        .collect();
    let Tx::Sqlite(mut connection) = tx else { panic!("SQLite") };
    for sql in texts {
        let prepared = connection.prepare(sql.into_sql_str()).await;
        prepared.unwrap_or_else(|e| panic!("{e}\n{sql}"));
    }
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_postgres() {
    let Some(store) = super::Store::postgres().await else { return };
    let types = column_types(&store.db).await;
    let Tx::Postgres(mut lease) = store.db.begin().await.expect("begins") else {
        panic!("Postgres")
    };
    for (name, sql) in ALL.iter().copied().flatten().chain(locks::POSTGRES_ONLY) {
        let prepared = lease.connection().prepare(AssertSqlSafe(*sql).into_sql_str()).await;
        prepared.unwrap_or_else(|e| panic!("{name}: {e}\n{sql}"));
    }
    let mut tx = Tx::Postgres(lease);
    for many in MANY.iter().copied().flatten() {
        // Values in a list of their own have the type that they are bound with.
        let names = many.head.split(['(', ')']).nth(1).expect("columns in brackets");
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        assert_eq!(names.len(), many.columns, "{}", many.head);
        for rows in [1, 64] {
            let sql = many.sql(&tx, rows);
            let one = names.iter().map(|name| {
                PgTypeInfo::with_name(type_of(name, types.get(*name).map(String::as_str)))
            });
            let all: Vec<PgTypeInfo> = std::iter::repeat_n(one, rows).flatten().collect();
            let Tx::Postgres(lease) = &mut tx else { panic!("Postgres") };
            let prepared = lease.connection().prepare_with(sql.into_sql_str(), &all).await;
            prepared.unwrap_or_else(|e| panic!("{e}\n{sql}"));
        }
    }
}

/// The type of a column by its name: one name has one type throughout.
async fn column_types(db: &Db) -> BTreeMap<String, String> {
    let Backend::Postgres(pool) = &db.backend else { panic!("Postgres") };
    let mut lease = pool.lease().await.expect("a connection");
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT column_name::text, udt_name::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    )
    .fetch_all(lease.connection())
    .await
    .expect("columns");
    let types: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(types.len(), rows.len(), "a name with two types: {rows:?}");
    types
}

/// The type of a column of a table, or of one that a statement names itself.
fn type_of(name: &str, known: Option<&str>) -> &'static str {
    match (known, name) {
        (Some("uuid"), _) => "uuid",
        (Some("int8"), _) | (None, "n" | "at" | "first_ms" | "last_ms") => "int8",
        (Some("text"), _) => "text",
        (Some("bool"), _) => "bool",
        (Some("bytea"), _) => "bytea",
        other => panic!("say what type {other:?} has"),
    }
}

#[test]
fn every_file_with_statements_is_listed_here() {
    let (mut lists, mut many) = (0, 0);
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("reads").flatten() {
            if entry.path().is_dir() {
                folders.extend(Some(entry.path()).filter(|path| !path.ends_with("tests")));
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).expect("reads");
            lists += usize::from(text.contains("\nstatements! {"));
            many += usize::from(text.contains("\npub(crate) const MANY: "));
            let made = text.matches(": ManyRows = ManyRows {").count();
            let listed = text
                .split("\npub(crate) const MANY: &[ManyRows] = &[")
                .nth(1)
                .and_then(|rest| rest.split(']').next())
                .map_or(0, |names| names.split(',').filter(|n| !n.trim().is_empty()).count());
            assert_eq!(made, listed, "{}", entry.path().display());
        }
    }
    assert_eq!((lists, many), (ALL.len(), MANY.len()));
}

#[tokio::test]
async fn the_schema_is_as_it_was_reviewed() {
    let store = super::Store::sqlite().await;
    let Backend::Sqlite { read, .. } = &store.db.backend else { panic!("SQLite") };
    let columns: Vec<(String, String, String, bool, i64)> = sqlx::query_as(
        "SELECT m.name, c.name, c.type, c.\"notnull\", c.pk FROM sqlite_master m \
         JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
         ORDER BY m.name, c.cid",
    )
    .fetch_all(read)
    .await
    .expect("columns");
    let indexes: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
    )
    .fetch_all(read)
    .await
    .expect("indexes");
    let mut lines = Vec::new();
    for (table, column, kind, not_null, key) in columns {
        let null = if not_null { "not null" } else { "null" };
        let key = if key > 0 { format!(", key {key}") } else { String::new() };
        lines.push(format!("{table}.{column}: {kind}, {null}{key}"));
    }
    lines.extend(indexes);
    insta::assert_snapshot!(lines.join("\n"));
    let loose: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main' AND strict = 0 \
         AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
    )
    .fetch_all(read)
    .await
    .expect("tables");
    assert!(loose.is_empty(), "tables that are not STRICT: {loose:?}");
}

#[tokio::test]
async fn a_commit_is_on_disk_and_readers_cannot_write() {
    let store = super::Store::sqlite().await;
    let Backend::Sqlite { write, read } = &store.db.backend else { panic!("SQLite") };
    for (pragma, wanted) in [("PRAGMA synchronous", 2_i64), ("PRAGMA foreign_keys", 1)] {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(write).await.expect("reads");
        assert_eq!(value, wanted, "{pragma}");
    }
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(write).await.expect("reads");
    assert_eq!(mode, "wal");
    sqlx::query("DELETE FROM setting").execute(read).await.expect_err("readers cannot write");
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_file_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("db");
    let url = format!("sqlite://{}", path.display());
    for _ in 0..2 {
        let db = crate::Db::connect(&url).await.expect("opens");
        db.migrate().await.expect("migrates");
        db.ping().await.expect("answers");
        db.close().await;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for bad in ["mysql://x/y", "sqlite://", "/tmp/db", "sqlite:///no/such/folder/db"] {
        let error = crate::Db::connect(bad).await.expect_err("must be refused");
        assert!(matches!(error, crate::StoreError::Open { .. }), "{bad}: {error}");
    }
}
