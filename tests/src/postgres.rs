//! PostgreSQL for tests: one throw-away cluster that many test processes share, and clusters of a
//! test's own that it may break.
//!
//! Nothing needs to be set up: where Debian's `postgresql` is installed, the cluster makes itself.
//! Started by root, it runs as the user `postgres`. Every cluster has a watchdog that ends it and
//! removes its files once no process holds it, so a killed test leaves nothing behind.

mod faults;
mod home;
mod tls;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::programs::{command, must};
use home::Home;

/// Names an existing server (its URL, of a role that may make databases) in place of the shared cluster.
pub const EXISTING: &str = "FLEETMEND_TEST_POSTGRES_URL";

/// The role that tests connect as: it may make databases, and is no superuser.
const ROLE: &str = "fleetmend";
/// Its password. Clusters listen on loopback and die with their tests.
pub const PASSWORD: &str = "not-a-secret-word";

/// How a private cluster is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// It has a certificate for `localhost` and takes connections over TLS only.
    pub tls: bool,
    /// How many connections it takes; 0 for 100.
    pub connections: u32,
}

/// A running PostgreSQL. A cheap clone; a private one ends with its last clone.
#[derive(Debug, Clone)]
pub struct Cluster {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Ours(Arc<Home>),
    Existing(String),
}

/// A database of one test, dropped with it.
#[derive(Debug)]
pub struct Database {
    cluster: Cluster,
    name: String,
}

impl Cluster {
    /// The cluster that all tests of this user share: quick, and not safe against crashes. `None`, said
    /// aloud, where there is no PostgreSQL.
    ///
    /// # Panics
    /// Where there is none and [`crate::system_required`], and where it cannot be started.
    pub fn shared() -> Option<Self> {
        if let Ok(url) = std::env::var(EXISTING) {
            return Some(Self { kind: Kind::Existing(url) });
        }
        or_skip(Home::shared())
    }

    /// A cluster of the test's own, as safe against crashes as a real one. `None` as in [`Self::shared`].
    ///
    /// # Panics
    /// As in [`Self::shared`].
    pub fn private() -> Option<Self> {
        Self::private_with(Options::default())
    }

    /// A cluster of the test's own, set up so.
    ///
    /// # Panics
    /// As in [`Self::shared`].
    pub fn private_with(options: Options) -> Option<Self> {
        or_skip(Home::private(options))
    }

    /// An empty database.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn database(&self) -> Database {
        let name = fresh_name();
        self.create(&name, "");
        Database { cluster: self.clone(), name }
    }

    /// A copy of the database that `prepare` fills, once for all who give the same `key` (of letters, digits
    /// and `_`). `prepare` gets the URL and must leave no connection open.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn database_like(&self, key: &str, prepare: impl FnOnce(&str)) -> Database {
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{key:?}");
        let template = format!("like_{key}").to_ascii_lowercase();
        let made = self.admin(&format!("SELECT 1 FROM pg_database WHERE datname = '{template}'"));
        if made.is_empty() {
            let _alone = home::templates_lock();
            let made = format!("SELECT 1 FROM pg_database WHERE datname = '{template}'");
            if self.admin(&made).is_empty() {
                let draft = fresh_name();
                self.create(&draft, "");
                prepare(&self.url(&draft));
                self.admin(&format!("ALTER DATABASE {draft} RENAME TO {template}"));
            }
        }
        let name = fresh_name();
        self.create(&name, &format!(" TEMPLATE {template}"));
        Database { cluster: self.clone(), name }
    }

    /// Runs SQL in a database as the superuser (of an existing server: as the role of its URL), and gives
    /// what it printed: rows as lines, columns parted by `|`.
    ///
    /// # Panics
    /// Where it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        must(self.psql(database).args(["-c", sql])).trim_end().to_owned()
    }

    fn create(&self, name: &str, like: &str) {
        let owner = match &self.kind {
            Kind::Ours(_) => format!(" OWNER {ROLE}"),
            Kind::Existing(_) => String::new(),
        };
        self.admin(&format!("CREATE DATABASE {name}{owner}{like}"));
    }

    fn admin(&self, sql: &str) -> String {
        self.sql(self.admin_database(), sql)
    }

    /// Where the roles that make databases connect.
    fn admin_database(&self) -> &str {
        match &self.kind {
            Kind::Ours(_) => "postgres",
            Kind::Existing(_) => "",
        }
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = match &self.kind {
            Kind::Ours(home) => home.psql(database),
            Kind::Existing(url) if database.is_empty() => with_url(url),
            Kind::Existing(url) => with_url(&with_database(url, database)),
        };
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    /// The URL of a database of this cluster, password and all.
    pub fn url(&self, database: &str) -> String {
        match &self.kind {
            Kind::Ours(home) => home.url(database),
            Kind::Existing(url) => with_database(url, database),
        }
    }

    /// The certificate to trust, of a cluster with TLS.
    ///
    /// # Panics
    /// Where the cluster has none.
    pub fn root_certificate(&self) -> PathBuf {
        self.home().root_certificate()
    }

    /// What it logged, of a cluster of our own.
    pub fn printed(&self) -> String {
        match &self.kind {
            Kind::Ours(home) => home.printed(),
            Kind::Existing(_) => String::new(),
        }
    }

    fn home(&self) -> &Home {
        match &self.kind {
            Kind::Ours(home) => home,
            Kind::Existing(_) => panic!("{EXISTING} names a server that is not the tests' own"),
        }
    }
}

impl Database {
    /// Its URL, password and all.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Runs SQL in it as the superuser.
    ///
    /// # Panics
    /// Where it fails.
    pub fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A cluster that a test broke may not answer; its files go with it.
        if matches!(&self.cluster.kind, Kind::Ours(home) if home.is_private()) {
            return;
        }
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let mut psql = self.cluster.psql(self.cluster.admin_database());
        let _ = crate::programs::run(psql.args(["-c", &drop]));
    }
}

fn or_skip(found: Result<Arc<Home>, String>) -> Option<Cluster> {
    match found {
        Ok(home) => Some(Cluster { kind: Kind::Ours(home) }),
        Err(why) => {
            crate::skip(&why);
            None
        }
    }
}

/// A name that no other test of any process has.
fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut random = [0; 8];
    // Ids of processes come again; the databases of a killed one may still be there.
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))
        .expect("/dev/urandom gives bytes");
    let random = u64::from_be_bytes(random);
    format!("t{}_{n}_{random:x}", std::process::id())
}

fn with_url(url: &str) -> Command {
    let mut psql = command("psql");
    psql.arg(url);
    psql
}

/// The URL with another database.
fn with_database(url: &str, database: &str) -> String {
    let (rest, query) = url.split_once('?').map_or((url, None), |(rest, q)| (rest, Some(q)));
    let server = match rest.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.split_once('/').map_or(rest, |(server, _)| server))
        }
        None => rest.to_owned(),
    };
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("{server}/{database}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_takes_another_database() {
        for (url, wanted) in [
            ("postgres://u:p@h:1/a?sslmode=disable", "postgres://u:p@h:1/b?sslmode=disable"),
            ("postgres://h", "postgres://h/b"),
        ] {
            assert_eq!(with_database(url, "b"), wanted);
        }
    }

    #[test]
    fn tests_share_a_cluster_and_each_has_its_database() {
        let Some(cluster) = Cluster::shared() else { return };
        let fill = |url: &str| {
            must(with_url(url).args(["-X", "-q", "-c", "CREATE TABLE here (n int)"]));
        };
        let key = fresh_name();
        let one = cluster.database_like(&key, fill);
        let two = cluster.database_like(&key, |_| panic!("it is prepared once"));
        one.sql("INSERT INTO here VALUES (1)");
        assert_eq!(
            (one.sql("SELECT n FROM here"), two.sql("SELECT n FROM here")),
            ("1".into(), String::new())
        );
        let gone = one.name().to_owned();
        drop(one);
        let left = cluster.admin(&format!("SELECT 1 FROM pg_database WHERE datname = '{gone}'"));
        assert_eq!(left, "");
        cluster.admin(&format!("DROP DATABASE like_{key}"));
    }
}
