//! The settings of the database: its address, and how it is used.

use std::path::Path;
use std::time::Duration;

use fleetmend_core::limits;
use fleetmend_store::PoolSettings;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How the database is used. What concerns connections is for PostgreSQL; SQLite has one writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Connections of this server at most. All servers together must stay below PostgreSQL's own
    /// `max_connections`.
    pub max_connections: u32,
    /// How long a call waits for a connection, in seconds.
    pub acquire_seconds: u32,
    /// How long PostgreSQL works on one statement, in seconds.
    pub statement_seconds: u32,
    /// How long a starting server waits for a database that is away, in seconds.
    pub wait_seconds: u32,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_seconds: 4,
            statement_seconds: 5,
            wait_seconds: u32::try_from(limits::DATABASE_WAIT.as_secs()).unwrap_or(60),
        }
    }
}

/// Flags and variables that override them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DatabaseOverrides {
    /// Connections to PostgreSQL at most. [default: 16]
    #[arg(
        long = "database-max-connections",
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATABASE_MAX_CONNECTIONS",
        value_name = "N"
    )]
    pub max_connections: Option<u32>,
    /// How long a call waits for a connection to PostgreSQL. [default: 4]
    #[arg(
        long = "database-acquire-seconds",
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATABASE_ACQUIRE_SECONDS",
        value_name = "SECONDS"
    )]
    pub acquire_seconds: Option<u32>,
    /// How long PostgreSQL works on one statement. [default: 5]
    #[arg(
        long = "database-statement-seconds",
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATABASE_STATEMENT_SECONDS",
        value_name = "SECONDS"
    )]
    pub statement_seconds: Option<u32>,
    /// How long a starting server waits for a database that is away. [default: 60]
    #[arg(
        long = "database-wait-seconds",
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATABASE_WAIT_SECONDS",
        value_name = "SECONDS"
    )]
    pub wait_seconds: Option<u32>,
}

impl DatabaseSettings {
    /// How long a starting server waits for a database that is away.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_seconds.into())
    }

    /// As the store takes them.
    pub fn pool(&self) -> PoolSettings {
        let statement = Duration::from_secs(self.statement_seconds.into());
        PoolSettings {
            max_connections: self.max_connections,
            acquire_timeout: Duration::from_secs(self.acquire_seconds.into()),
            statement_timeout: statement,
            // Said by name, before the statement's own time is over.
            lock_timeout: statement.mul_f64(0.8),
            ..PoolSettings::default()
        }
    }

    pub(super) fn apply(&mut self, over: &DatabaseOverrides) {
        let set = |to: &mut u32, from: Option<u32>| *to = from.unwrap_or(*to);
        set(&mut self.max_connections, over.max_connections);
        set(&mut self.acquire_seconds, over.acquire_seconds);
        set(&mut self.statement_seconds, over.statement_seconds);
        set(&mut self.wait_seconds, over.wait_seconds);
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // A call gives up after ten seconds in all: its parts stay below that.
        for (setting, value, least, most) in [
            ("database.max_connections", self.max_connections, 2, 200),
            ("database.acquire_seconds", self.acquire_seconds, 1, 5),
            ("database.statement_seconds", self.statement_seconds, 1, 9),
            ("database.wait_seconds", self.wait_seconds, 0, 3_600),
        ] {
            if !(least..=most).contains(&value) {
                let why = format!("{value}; from {least} to {most}");
                return Err(ConfigError::Value { setting, why });
            }
        }
        Ok(())
    }
}

/// The words of `sslmode`, from the weakest.
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The parts of a PostgreSQL address that are looked at here.
struct Parts<'a> {
    host: &'a str,
    name: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

impl Parts<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().rfind(|(k, _)| *k == key).map(|(_, value)| *value)
    }
}

/// Why an address cannot be that of a database. Never says what stands in it, which may be secret.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        return if path.is_empty() || path.contains('?') {
            Err("write sqlite:///path/to/file.db, without parameters".to_owned())
        } else {
            Ok(())
        };
    }
    let Some(parts) = postgres(url) else {
        return Err("write sqlite:///path/to/file.db or postgres://role@host/name".to_owned());
    };
    if parts.name.is_empty() && parts.value("dbname").is_none() {
        return Err("it names no database: write postgres://role@host/name".to_owned());
    }
    if let Some(mode) = parts.value("sslmode").filter(|mode| !SSL_MODES.contains(mode)) {
        return Err(format!("sslmode={mode} is none of {}", SSL_MODES.join(", ")));
    }
    if let Some(path) = parts.value("sslrootcert").filter(|path| !path.contains('%')) {
        std::fs::metadata(path)
            .map_err(|err| format!("sslrootcert {path} cannot be read: {err}"))?;
    }
    Ok(())
}

/// The address in a file; its text is never part of an error.
pub(super) fn url_in(path: &Path) -> Result<String, ConfigError> {
    let wrong = |why: String| ConfigError::Value { setting: "database_url_file", why };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
    let url = text.trim();
    if url.is_empty() || url.contains('\n') {
        let why = format!("{} must hold one line: the database's address", path.display());
        return Err(wrong(why));
    }
    Ok(url.to_owned())
}

/// What is allowed in an address and should be thought about.
pub(super) fn hints(url: &str) -> Vec<String> {
    let mut hints = Vec::new();
    let Some(parts) = postgres(url) else { return hints };
    let host = parts.value("host").unwrap_or(parts.host);
    let near = host.is_empty()
        || host.starts_with('/')
        || host.starts_with("%2F")
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let mode = parts.value("sslmode").unwrap_or("prefer");
    if !near && !mode.starts_with("verify-") {
        hints.push(format!(
            "database_url: with sslmode={mode} nobody proves that {host} is your database: add \
             ?sslmode=verify-full&sslrootcert=/path/ca.pem"
        ));
    }
    hints
}

/// An address without its password.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    if scheme == "sqlite" {
        return url.to_owned();
    }
    let (place, query) = rest.split_once('?').map_or((rest, None), |(p, q)| (p, Some(q)));
    let place = match place.rsplit_once('@') {
        Some((who, place)) if who.contains(':') => {
            format!("{}:…@{place}", who.split(':').next().unwrap_or_default())
        }
        _ => place.to_owned(),
    };
    let query: Vec<&str> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| if pair.starts_with("password=") { "password=…" } else { pair })
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{place}{mark}{}", query.join("&"))
}

fn postgres(url: &str) -> Option<Parts<'_>> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (place, name) = match place.rsplit_once('@') {
        Some((_, place)) => place.split_once('/').unwrap_or((place, "")),
        None => place.split_once('/').unwrap_or((place, "")),
    };
    // [::1]:5432, host:5432, host
    let host = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => place.split(':').next().unwrap_or_default(),
    };
    let query = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    Some(Parts { host, name, query })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unproved_database_far_away_is_worth_a_word() {
        for (url, hinted) in [
            ("sqlite:///f.db", false),
            ("postgres://me@localhost/d", false),
            ("postgres://me@127.0.0.1:5433/d", false),
            ("postgres://me@[::1]:5433/d", false),
            ("postgres:///d?host=/run/postgresql", false),
            ("postgres://me:secret@db.example.net/d", true),
            ("postgres://me:secret@db.example.net/d?sslmode=require", true),
            ("postgresql://db.example.net/d?sslmode=verify-full", false),
        ] {
            let hints = hints(url);
            assert_eq!(!hints.is_empty(), hinted, "{url}: {hints:?}");
            assert!(!hints.concat().contains("secret"), "{hints:?}");
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn no_part_of_a_password_stays() {
        for (url, shown) in [
            ("postgres://me:secret@h/d", "postgres://me:…@h/d"),
            ("postgres://me:se:c@ret@h/d?sslmode=disable", "postgres://me:…@h/d?sslmode=disable"),
            ("postgres://h/d?password=secret&user=me", "postgres://h/d?password=…&user=me"),
            ("sqlite:///a@b", "sqlite:///a@b"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
