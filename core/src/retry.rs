//! When a failure may be tried again: the rule of each retry class, after a try that did not cure it.

use std::time::Duration;

use crate::knowledge::Retry;

/// The first wait where a failure goes by itself.
const PASSES_FIRST: Duration = Duration::from_mins(5);
/// Its longest.
const PASSES_AT_MOST: Duration = Duration::from_hours(6);
/// The first wait where room is needed that others may make meanwhile.
const ROOM_FIRST: Duration = Duration::from_mins(30);
/// Its longest.
const ROOM_AT_MOST: Duration = Duration::from_hours(12);

/// What comes after a try that did not cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The next remediation, after so long.
    After(Duration),
    /// Only what restarts the host: without it the same failure is met.
    OnlyWithRestart,
    /// Nothing: an admin's decision stands in the way.
    APerson,
}

/// The rule of a class after so many tries. `draw` spreads the waits of many hosts: any number that
/// differs by job. A code that nobody knows is held as permanent.
pub fn rule(class: Option<Retry>, tries: u32, draw: u64) -> Rule {
    match class {
        Some(Retry::Transient) => Rule::After(backoff(PASSES_FIRST, PASSES_AT_MOST, tries, draw)),
        Some(Retry::NeedsSpace) => Rule::After(backoff(ROOM_FIRST, ROOM_AT_MOST, tries, draw)),
        Some(Retry::NeedsReboot) => Rule::OnlyWithRestart,
        Some(Retry::Policy) => Rule::APerson,
        Some(Retry::Permanent) | None => Rule::After(Duration::ZERO),
    }
}

/// Twice as long with every try, at most `most`; of that between half and all, by `draw`.
fn backoff(first: Duration, most: Duration, tries: u32, draw: u64) -> Duration {
    let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let whole = first.saturating_mul(doubled).min(most);
    // Spread over all of the range even where draws are consecutive.
    let spread = (draw.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u32;
    let half = whole / 2;
    half + half * spread / (1 << 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_class_has_its_rule() {
        assert_eq!(rule(None, 1, 0), Rule::After(Duration::ZERO));
        assert_eq!(rule(Some(Retry::Permanent), 3, 9), Rule::After(Duration::ZERO));
        assert_eq!(rule(Some(Retry::NeedsReboot), 1, 0), Rule::OnlyWithRestart);
        assert_eq!(rule(Some(Retry::Policy), 1, 0), Rule::APerson);
        let wait = |class, tries| match rule(Some(class), tries, 7) {
            Rule::After(wait) => wait,
            other => panic!("{other:?}"),
        };
        assert!(wait(Retry::Transient, 2) > wait(Retry::Transient, 1));
        assert!(wait(Retry::NeedsSpace, 1) > wait(Retry::Transient, 1));
    }

    proptest! {
        #[test]
        fn waits_grow_to_their_cap_and_are_spread(tries in 0..200_u32, draw in any::<u64>()) {
            let wait = backoff(PASSES_FIRST, PASSES_AT_MOST, tries, draw);
            let whole = backoff(PASSES_FIRST, PASSES_AT_MOST, tries, 0) * 2;
            prop_assert!(wait >= whole / 2 && wait <= whole && wait <= PASSES_AT_MOST);
            prop_assert!(backoff(PASSES_FIRST, PASSES_AT_MOST, tries + 1, draw) >= wait);
        }

        #[test]
        fn consecutive_draws_do_not_fall_together(draw in any::<u64>()) {
            let wait = |n: u64| backoff(PASSES_FIRST, PASSES_AT_MOST, 3, draw.wrapping_add(n));
            let mut waits: Vec<_> = (0..16).map(wait).collect();
            waits.sort_unstable();
            waits.dedup();
            prop_assert!(waits.len() >= 14, "{waits:?}");
        }
    }
}
