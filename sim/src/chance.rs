//! Chance that comes from a seed and a name only, so that the same seed gives the same fleet, however
//! many threads build it and in whatever order.

use sha2::{Digest, Sha256};

/// A source of chance of its own for `name`.
pub fn of(seed: u64, name: &[&str]) -> fastrand::Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in name {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    fastrand::Rng::with_seed(u64::from_be_bytes(first))
}

/// One of several things, by their weights; `None` where there is none.
pub fn pick<'t, T>(
    rng: &mut fastrand::Rng,
    things: &'t [T],
    weight: impl Fn(&T) -> u32,
) -> Option<&'t T> {
    let all: u32 = things.iter().map(&weight).sum();
    let mut left = rng.u32(0..all.max(1));
    things.iter().find(|thing| {
        let weight = weight(thing);
        let found = left < weight;
        left = left.saturating_sub(weight);
        found
    })
}
