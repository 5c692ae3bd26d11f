//! Both databases have the same schema: tables, columns, what may be absent, keys, indexes, checks and
//! references, from migrations with the same numbers and names.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;

use super::Store;
use crate::backend::Backend;

/// Every fact of a schema as a line.
type Facts = BTreeSet<String>;

#[test]
fn migrations_have_the_same_numbers_and_names() {
    let names = |migrator: sqlx::migrate::Migrator| -> Vec<String> {
        migrator.iter().map(|m| format!("{} {}", m.version, m.description)).collect()
    };
    let sqlite = names(sqlx::migrate!("../migrations/sqlite"));
    assert_eq!(sqlite, names(sqlx::migrate!("../migrations/postgres")));
    assert!(!sqlite.is_empty());
}

#[tokio::test]
async fn both_schemas_say_the_same() {
    let Some(postgres) = Store::postgres().await else { return };
    let postgres = of_postgres(&postgres).await;
    let sqlite = of_sqlite(&Store::sqlite().await).await;
    assert!(sqlite.len() > 200, "the look found only {} facts", sqlite.len());
    let differ: Vec<String> = sqlite
        .difference(&postgres)
        .map(|fact| format!("SQLite only:   {fact}"))
        .chain(postgres.difference(&sqlite).map(|fact| format!("Postgres only: {fact}")))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

async fn of_sqlite(store: &Store) -> Facts {
    let Backend::Sqlite { read, .. } = &store.db.backend else { panic!("SQLite") };
    let mut facts = Facts::new();
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' \
         AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
    )
    .fetch_all(read)
    .await
    .expect("tables");
    for (table, sql) in &tables {
        let columns: Vec<(String, String, bool, i64)> =
            sqlx::query_as("SELECT name, type, \"notnull\", pk FROM pragma_table_info($1)")
                .bind(table)
                .fetch_all(read)
                .await
                .expect("columns");
        let mut key = BTreeMap::new();
        for (column, kind, not_null, place) in columns {
            let kind = match kind.as_str() {
                "INTEGER" => "number",
                "REAL" => "fraction",
                "BLOB" => "bytes",
                "TEXT" => "text",
                other => other,
            };
            facts.insert(format!("{table}.{column}: {kind}, not null: {not_null}"));
            if place > 0 {
                key.insert(place, column);
            }
        }
        let key: Vec<String> = key.into_values().collect();
        facts.insert(format!("{table}: key {}", key.join(", ")));
        let references: Vec<(String, String)> =
            sqlx::query_as("SELECT \"from\", \"table\" FROM pragma_foreign_key_list($1)")
                .bind(table)
                .fetch_all(read)
                .await
                .expect("references");
        facts.extend(references.iter().map(|(from, to)| format!("{table}.{from} refers to {to}")));
        facts.insert(format!("{table}: checks {}", words(checks(sql))));
        let indexes: Vec<(String, bool, String, Option<String>)> = sqlx::query_as(
            "SELECT l.name, l.\"unique\", l.origin, m.sql FROM pragma_index_list($1) l \
             LEFT JOIN sqlite_master m ON m.name = l.name WHERE l.origin <> 'pk'",
        )
        .bind(table)
        .fetch_all(read)
        .await
        .expect("indexes");
        for (name, unique, origin, sql) in indexes {
            let columns: Vec<String> =
                sqlx::query_scalar("SELECT name FROM pragma_index_info($1) ORDER BY seqno")
                    .bind(&name)
                    .fetch_all(read)
                    .await
                    .expect("columns");
            let name = if origin == "u" { "of a column" } else { &name };
            let part = sql.as_deref().and_then(|sql| sql.split_once(" WHERE ")).map(|(_, w)| w);
            facts.insert(index(table, name, unique, &columns, part));
        }
    }
    facts
}

async fn of_postgres(store: &Store) -> Facts {
    let Backend::Postgres(pool) = &store.db.backend else { panic!("Postgres") };
    let mut lease = pool.lease().await.expect("a connection");
    let mut facts = Facts::new();
    let tables: Vec<(i64, String)> = sqlx::query_as(
        "SELECT oid::bigint, relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
         AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT LIKE '\\_sqlx%'",
    )
    .fetch_all(lease.connection())
    .await
    .expect("tables");
    for (oid, table) in &tables {
        let columns: Vec<(String, String, bool)> = sqlx::query_as(
            "SELECT attname::text, atttypid::regtype::text, attnotnull FROM pg_attribute \
             WHERE attrelid::bigint = $1 AND attnum > 0 AND NOT attisdropped",
        )
        .bind(oid)
        .fetch_all(lease.connection())
        .await
        .expect("columns");
        for (column, kind, not_null) in columns {
            let kind = match kind.as_str() {
                "bigint" | "boolean" => "number",
                "double precision" => "fraction",
                "uuid" | "bytea" => "bytes",
                other => other,
            };
            facts.insert(format!("{table}.{column}: {kind}, not null: {not_null}"));
        }
        let constraints: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT c.contype::text, pg_get_constraintdef(c.oid), f.relname::text, a.attname::text \
             FROM pg_constraint c LEFT JOIN pg_class f ON f.oid = c.confrelid \
             LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] \
             WHERE c.conrelid::bigint = $1",
        )
        .bind(oid)
        .fetch_all(lease.connection())
        .await
        .expect("constraints");
        let mut checked = Vec::new();
        for (kind, text, to, from) in constraints {
            match (kind.as_str(), to, from) {
                ("c", ..) => checked.push(text),
                ("f", Some(to), Some(from)) => {
                    facts.insert(format!("{table}.{from} refers to {to}"));
                }
                _ => {}
            }
        }
        facts.insert(format!("{table}: checks {}", words(checked)));
        let indexes = sqlx::query(
            "SELECT c.relname::text AS name, i.indisprimary, i.indisunique, pg_get_expr(i.indpred, i.indrelid) AS part, \
             (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place) \
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number) AS columns, \
             EXISTS (SELECT 1 FROM pg_constraint u WHERE u.conindid = i.indexrelid AND u.contype = 'u') AS of_column \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid::bigint = $1",
        )
        .bind(oid)
        .fetch_all(lease.connection())
        .await
        .expect("indexes");
        for row in indexes {
            let columns: Vec<String> = row.get("columns");
            if row.get("indisprimary") {
                facts.insert(format!("{table}: key {}", columns.join(", ")));
                continue;
            }
            let name: String = row.get("name");
            let name = if row.get("of_column") { "of a column" } else { &name };
            let part: Option<String> = row.get("part");
            facts.insert(index(table, name, row.get("indisunique"), &columns, part.as_deref()));
        }
    }
    facts
}

fn index(table: &str, name: &str, unique: bool, columns: &[String], part: Option<&str>) -> String {
    // Postgres writes conditions with brackets and types.
    let part = part.unwrap_or("all").replace("::text", "").replace(['(', ')'], "");
    format!("{table}: index {name}, unique: {unique}, of {}, where {part}", columns.join(", "))
}

/// The conditions of a table's CHECKs, from its own text.
fn checks(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in sql.split("CHECK (").skip(1) {
        let mut depth = 1;
        let end = rest.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        found.push(rest[..end.unwrap_or(rest.len())].to_owned());
    }
    // On Postgres the type says it.
    found.retain(|check| !check.ends_with("IN (0, 1)"));
    found
}

/// What the checks speak of, as sorted words: each database writes the same condition in its own way.
fn words(checks: Vec<String>) -> String {
    let mut words: Vec<String> = checks
        .iter()
        .flat_map(|check| check.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| !["CHECK", "text", "ANY", "ARRAY", "IN", "AND", "bigint", ""].contains(word))
        .map(str::to_owned)
        .collect();
    words.sort();
    words.dedup();
    words.join(" ")
}
