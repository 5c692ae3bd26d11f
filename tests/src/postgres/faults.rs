//! What can befall a database, done to a private cluster.

use std::sync::atomic::Ordering;

use super::Cluster;
use super::home::Home;
use crate::programs::{command, run, text};

impl Cluster {
    /// Ends it as a crash would (`-m immediate`): no farewell, recovery at the next start.
    ///
    /// # Panics
    /// Where the cluster is not private.
    pub fn stop_immediate(&self) {
        self.private_home().end();
    }

    /// Starts it again, on the same port and files.
    ///
    /// # Panics
    /// Where it does not start, or is not private.
    pub fn start(&self) {
        if let Err(why) = self.private_home().start() {
            panic!("{why}");
        }
    }

    /// [`Self::stop_immediate`] and [`Self::start`].
    ///
    /// # Panics
    /// As they do.
    pub fn restart_immediate(&self) {
        self.stop_immediate();
        self.start();
    }

    /// Freezes all its processes (SIGSTOP): connections stay, nothing answers.
    ///
    /// # Panics
    /// Where the cluster is not private.
    pub fn pause(&self) {
        let home = self.private_home();
        home.paused.store(true, Ordering::Relaxed);
        signal(home, "STOP");
    }

    /// Thaws them.
    ///
    /// # Panics
    /// Where the cluster is not private.
    pub fn resume(&self) {
        let home = self.private_home();
        signal(home, "CONT");
        home.paused.store(false, Ordering::Relaxed);
    }

    /// Makes new transactions of every session read-only, or writable again.
    ///
    /// # Panics
    /// Where the cluster is not private or does not answer.
    pub fn set_read_only(&self, on: bool) {
        self.private_home();
        let value = if on { "on" } else { "off" };
        // The session that sets it back is read-only itself; ALTER SYSTEM does not mind.
        self.sql("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        self.sql("postgres", "SELECT pg_reload_conf()");
        crate::wait_for("the setting to hold", std::time::Duration::from_secs(10), || {
            let now = self.sql("postgres", "SHOW default_transaction_read_only");
            if now == value { Ok(()) } else { Err(now) }
        });
    }

    /// Ends every session of the tests' role; gives how many.
    ///
    /// # Panics
    /// Where it does not answer.
    pub fn terminate_backends(&self) -> u32 {
        let sql = "SELECT COUNT(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE usename = 'fleetmend') AS ended";
        self.private_home();
        self.sql("postgres", sql).parse().unwrap_or(0)
    }

    fn private_home(&self) -> &Home {
        let home = self.home();
        assert!(home.is_private(), "the shared cluster is not to be broken");
        home
    }
}

/// Sends a signal to the server and all its processes: first the one that makes them, so that none is missed.
pub(super) fn signal(home: &Home, name: &str) {
    let file = std::fs::read_to_string(home.data().join("postmaster.pid")).unwrap_or_default();
    let Some(server) = file.lines().next().filter(|line| !line.is_empty()) else { return };
    let send = |pid: &str| run(command("kill").args(["-s", name, pid]));
    send(server);
    let children = run(command("ps").args(["-o", "pid=", "--ppid", server]));
    for child in text(&children.stdout).split_whitespace() {
        send(child);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, PASSWORD};
    use super::*;

    #[test]
    fn a_private_cluster_can_be_broken_and_mended() {
        let Some(cluster) = Cluster::private() else { return };
        let database = cluster.database();
        let ask = |sql: &str| {
            let mut psql = super::super::with_url(&database.url());
            let output =
                run(psql.env("PGCONNECT_TIMEOUT", "1").args(["-X", "-q", "-A", "-t", "-c", sql]));
            if output.status.success() {
                Ok(text(&output.stdout))
            } else {
                Err(text(&output.stderr))
            }
        };
        assert!(database.url().contains(PASSWORD));
        ask("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").expect("writes");
        assert_eq!(ask("SHOW fsync").expect("answers").trim(), "on");
        cluster.stop_immediate();
        ask("SELECT 1").expect_err("it is down");
        cluster.start();
        assert_eq!(ask("SELECT n FROM kept").expect("answers").trim(), "7");
        cluster.set_read_only(true);
        let refused = ask("INSERT INTO kept VALUES (8)").expect_err("read-only");
        assert!(refused.contains("read-only"), "{refused}");
        cluster.set_read_only(false);
        ask("INSERT INTO kept VALUES (8)").expect("writes");
        cluster.pause();
        ask("SELECT 1").expect_err("frozen");
        cluster.resume();
        ask("SELECT 1").expect("answers");
    }

    #[test]
    fn a_cluster_with_tls_takes_nothing_else() {
        let Some(cluster) = Cluster::private_with(Options { tls: true, ..Options::default() })
        else {
            return;
        };
        let database = cluster.database();
        let ask = |url: &str| {
            let mut psql = super::super::with_url(url);
            let output = run(psql.args(["-X", "-q", "-c", "SELECT 1"]));
            if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
        };
        ask(&database.url()).expect("by its certificate");
        ask(&database.url().replace("verify-full", "disable")).expect_err("in the clear");
    }
}
