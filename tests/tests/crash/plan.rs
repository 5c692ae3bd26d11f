//! How much is done in a run, and by which random numbers.

use std::time::Duration;

use fleetmend_tests::postgres::Cluster;
use fleetmend_tests::server::Database;

/// The random numbers of one test. The seed is printed; the same one may be asked for again.
pub(crate) fn random(test: &str) -> fastrand::Rng {
    let seed =
        number("FLEETMEND_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    println!("{test}: FLEETMEND_TORTURE_SEED={seed}");
    let name = test.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    fastrand::Rng::with_seed(seed ^ name)
}

/// A number for CI, or what a longer run asks for.
pub(crate) fn times(variable: &str, ci: u32) -> u32 {
    number(variable).and_then(|n| u32::try_from(n).ok()).unwrap_or(ci)
}

/// A time for CI, or what a longer run asks for, in seconds.
pub(crate) fn span(variable: &str, ci: u64) -> Duration {
    Duration::from_secs(number(variable).unwrap_or(ci))
}

/// One line of the summary that `scripts/torture.sh` prints.
pub(crate) fn figure(test: &str, what: &str) {
    println!("figure: {test}: {what}");
}

/// Fails with all that is wrong.
pub(crate) fn must_be_sound(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}

/// A pause whose length was drawn: a moment to kill at, not a wait for something.
pub(crate) fn pause(span: Duration) {
    let until = std::time::Instant::now() + span;
    while let Some(left) = until.checked_duration_since(std::time::Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// Runs on a PostgreSQL of its own, which writes to disk; not at all (and *skipped* said) without one.
pub(crate) fn on_postgres(run: impl FnOnce(Database)) {
    let Some(cluster) = Cluster::private() else { return };
    let database = cluster.database();
    run(Database::Postgres(database.url()));
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let read = text.parse();
    Some(read.unwrap_or_else(|_| panic!("{variable}={text:?} is no number")))
}
