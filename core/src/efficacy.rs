//! Efficacy: how often a remediation cleared a cause's own probe, and cured the operation, counted
//! over the fleet; and what that says of the next time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::words::Slug;

/// Tries that the catalogue's own estimate counts for, before any is counted.
const PRIOR_TRIES: f64 = 10.0;
/// The normal quantile of an interval of 90 %.
const Z90: f64 = 1.645;
/// A remediation whose lower bound lies below this is proposed for retirement,
pub const WEAK_BELOW: f64 = 0.25;
/// once so many tries were told.
pub const WEAK_FROM: u64 = 20;

/// What was tried, where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Against {
    /// The cause.
    pub cause: Slug,
    /// The remediation.
    pub remediation: Slug,
    /// Its version.
    pub version: u32,
}

/// What became of tries. Those that began count; what ended by itself counts nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// Tries that began and ended.
    pub tries: u64,
    /// After them the operation was repeated, or seen, and worked.
    pub cured: u64,
    /// After them it did not.
    pub not_cured: u64,
    /// After them the cause's own probe said no.
    pub cleared: u64,
    /// After them it still said yes.
    pub not_cleared: u64,
    /// Cures after which the failure came back.
    pub relapsed: u64,
}

impl Count {
    /// Tries that told whether the operation works: the rest ended unproved or unknown.
    pub const fn told(&self) -> u64 {
        self.cured + self.not_cured
    }

    /// Cures that lasted: what comes back within its window was not cured.
    pub const fn lasted(&self) -> u64 {
        self.cured.saturating_sub(self.relapsed)
    }

    /// The sum of two.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            tries: self.tries + other.tries,
            cured: self.cured + other.cured,
            not_cured: self.not_cured + other.not_cured,
            cleared: self.cleared + other.cleared,
            not_cleared: self.not_cleared + other.not_cleared,
            relapsed: self.relapsed + other.relapsed,
        }
    }

    /// The interval of 90 % (Wilson's) of the share that is cured and stays so; all of it where nothing was told.
    pub fn interval(&self) -> (f64, f64) {
        if self.told() == 0 {
            return (0.0, 1.0);
        }
        let n = float(self.told());
        let share = float(self.lasted()) / n;
        let square = Z90 * Z90;
        let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
        let half =
            Z90 / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }

    /// Whether it is so weak that it should be retired: enough was told, and the lower bound of the
    /// interval lies below [`WEAK_BELOW`].
    pub fn is_weak(&self) -> bool {
        self.told() >= WEAK_FROM && self.interval().0 < WEAK_BELOW
    }
}

/// Counts of a fleet, by what was tried and by the build of the system.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Efficacy(BTreeMap<Against, BTreeMap<String, Count>>);

impl Efficacy {
    /// Adds what was counted on one build.
    pub fn add(&mut self, against: Against, build: &str, count: Count) {
        let counted = self.0.entry(against).or_default().entry(build.to_owned()).or_default();
        *counted = counted.plus(count);
    }

    /// Everything, by what was tried, over all builds.
    pub fn totals(&self) -> impl Iterator<Item = (&Against, Count)> {
        self.0.iter().map(|(against, builds)| {
            (against, builds.values().copied().fold(Count::default(), Count::plus))
        })
    }

    /// The count over all builds, and that of one.
    pub fn of(&self, against: &Against, build: &str) -> (Count, Count) {
        let Some(builds) = self.0.get(against) else { return Default::default() };
        let all = builds.values().copied().fold(Count::default(), Count::plus);
        (all, builds.get(build).copied().unwrap_or_default())
    }

    /// The chance that it cures its cause on this build: what was seen on other builds weighs on the
    /// catalogue's `estimate`, and what was seen on this one weighs on both.
    pub fn chance(&self, against: &Against, build: &str, estimate: f64) -> f64 {
        let (all, here) = self.of(against, build);
        let elsewhere =
            (all.lasted().saturating_sub(here.lasted()), all.told().saturating_sub(here.told()));
        let weighed = |estimate: f64, (lasted, told): (u64, u64)| {
            (PRIOR_TRIES * estimate + float(lasted)) / (PRIOR_TRIES + float(told))
        };
        weighed(weighed(estimate, elsewhere), (here.lasted(), here.told()))
    }

    /// What was counted, in English words; `None` where nothing was told: "cured 41 of 50 here".
    pub fn words(&self, against: &Against, build: &str) -> Option<String> {
        let (all, here) = self.of(against, build);
        if all.told() == 0 {
            return None;
        }
        // Writing to a String cannot fail.
        let mut words = format!("cured {} of {} here", all.cured, all.told());
        if here.told() > 0 && here != all {
            let _ = write!(words, ", {} of {} on this build", here.cured, here.told());
        }
        if all.relapsed > 0 {
            let _ = write!(words, "; {} came back", all.relapsed);
        }
        Some(words)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn against() -> Against {
        let slug = |text: &str| text.parse().expect("a slug");
        Against { cause: slug("full"), remediation: slug("apt.clean"), version: 1 }
    }

    fn count(cured: u64, not_cured: u64) -> Count {
        Count { tries: cured + not_cured, cured, not_cured, ..Count::default() }
    }

    #[test]
    fn what_is_counted_outweighs_the_estimate_and_the_own_build_outweighs_others() {
        let mut fleet = Efficacy::default();
        assert!((fleet.chance(&against(), "1", 0.7) - 0.7).abs() < 1e-9);
        assert_eq!(fleet.words(&against(), "1"), None);
        fleet.add(against(), "1", count(41, 9));
        assert_eq!(fleet.words(&against(), "1").as_deref(), Some("cured 41 of 50 here"));
        assert!((fleet.chance(&against(), "1", 0.7) - 48.0 / 60.0).abs() < 1e-9);
        fleet.add(against(), "2", count(0, 50));
        let (well, badly) =
            (fleet.chance(&against(), "1", 0.7), fleet.chance(&against(), "2", 0.7));
        assert!(well > 0.65 && badly < 0.2, "{well} {badly}");
        let words = fleet.words(&against(), "1").expect("told");
        assert_eq!(words, "cured 41 of 100 here, 41 of 50 on this build");
    }

    #[test]
    fn weak_is_said_only_of_what_was_tried_enough() {
        assert!(!count(0, 19).is_weak(), "too few");
        assert!(count(0, 20).is_weak() && count(5, 15).is_weak());
        assert!(!count(10, 10).is_weak() && !count(0, 0).is_weak());
        let (low, high) = count(41, 9).interval();
        assert!((0.70..0.73).contains(&low) && (0.88..0.90).contains(&high), "{low} {high}");
        assert_eq!(count(0, 0).interval(), (0.0, 1.0));
        let back = |relapsed| Count { relapsed, ..count(20, 0) };
        assert!(back(15).is_weak() && !back(5).is_weak(), "what comes back was not cured");
    }

    proptest! {
        #[test]
        fn a_chance_is_one_and_a_cure_never_lowers_it(
            cured in 0..500_u64, not_cured in 0..500_u64, back in 0..500_u64, estimate in 0.0..1.0_f64,
        ) {
            let chance = |n: Count| {
                let mut fleet = Efficacy::default();
                fleet.add(against(), "1", n);
                fleet.chance(&against(), "1", estimate)
            };
            let now = chance(count(cured, not_cured));
            prop_assert!((0.0..=1.0).contains(&now));
            prop_assert!(chance(count(cured + 1, not_cured)) >= now);
            prop_assert!(chance(count(cured, not_cured + 1)) <= now);
            let relapsed = back.min(cured);
            let with_relapses = chance(Count { relapsed, ..count(cured, not_cured) });
            prop_assert!((0.0..=now).contains(&with_relapses) && (relapsed == 0) == (with_relapses >= now));
            let (low, high) = count(cured, not_cured).interval();
            prop_assert!(low <= high && (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
        }
    }
}
