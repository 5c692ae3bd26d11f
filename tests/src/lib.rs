//! What whole-system tests share: real programs started and ended, a root to break, a browser.

#![expect(clippy::print_stdout, reason = "what a test has to say goes to its output")]

pub mod agent;
pub mod api;
pub mod browser;
pub mod debs;
pub mod demo;
pub mod disk;
pub mod mini;
pub mod patient;
pub mod people;
pub mod postgres;
pub mod programs;
pub mod proxy;
pub mod root;
pub mod server;

use std::time::{Duration, Instant};

/// Whether the tests that need system packages must run rather than be skipped.
pub fn system_required() -> bool {
    std::env::var_os("FLEETMEND_REQUIRE_SYSTEM").is_some()
}

/// Says that a test is skipped and why; fails it where skipping is not allowed.
///
/// # Panics
/// Where [`system_required`].
pub fn skip(why: &str) {
    assert!(!system_required(), "may not be skipped here, but: {why}");
    println!("skipped: {why}");
}

/// How long tests wait for what comes within seconds on a machine at rest: long enough for one that
/// is busy with other tests and writes their roots to its disk. Nothing is timed by it.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Looks again and again until `look` sees what is awaited, and gives that.
///
/// # Panics
/// When `within` has passed, with what was awaited and what was last seen.
pub fn wait_for<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(last) => {
                assert!(Instant::now() < deadline, "waited {within:?} for {what}; last: {last}");
                // A look at a process or a page costs; this is a pause between looks, no timing.
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
    }
}

/// Lets a script go on that reads a line from a FIFO; one that does not read it yet is waited for.
///
/// # Panics
/// Where nobody reads it.
#[cfg(unix)]
pub fn go_on(gate: &std::path::Path) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    // Without it a test would wait for ever where the script has died.
    const O_NONBLOCK: i32 = 0o4000;
    wait_for("a script that reads", PATIENCE, || {
        let file = std::fs::OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(gate);
        file.and_then(|mut file| file.write_all(b"go\n")).map_err(|e| e.to_string())
    });
}

/// A free port below those that the system gives to clients: one of those, given away while its
/// server is down, would keep the server from coming back. A client that asks for it again and again
/// may even be given it itself.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
