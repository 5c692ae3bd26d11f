//! Randomness from the operating system. The one place that draws it.

use fleetmend_core::time::Clock;

/// Random bytes.
///
/// # Panics
/// Where the operating system gives none: no server can run safely without.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// A new id of any kind, made now: `entropy::id(JobId::at, &*clock)`.
pub fn id<T>(
    make: impl Fn(fleetmend_core::time::Timestamp, [u8; 10]) -> T,
    clock: &dyn Clock,
) -> T {
    make(clock.now(), bytes())
}
