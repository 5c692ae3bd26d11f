//! Waves and thresholds.

use super::Found;
use crate::campaign::{Definition, ErrorLimit, Remedy, Share};
use crate::knowledge::Catalogue;
use crate::limits;

/// The most hosts on which a campaign may go without an end by errors.
const WITHOUT_ABORT: u32 = 50;
/// An end above that many errors of a hundred is none.
const ABORT_PERCENT: u8 = 50;
/// The most hosts of the first wave of a remediation that has not run on a real system.
pub(in crate::campaign) const UNPROVEN_CANARY: u32 = 5;

impl Definition {
    pub(super) fn check_waves(&self, catalogue: &Catalogue, found: &mut Found) {
        found.at_most("waves", self.waves.len(), limits::WAVES);
        let Some(last) = self.waves.last() else {
            found.add(
                "waves",
                "there is none",
                "the last wave must be all: waves = [{ share = \"all\" }]",
            );
            return;
        };
        let at = self.waves.len() - 1;
        if last.share != Share::Percent(100) {
            let text = format!("the last wave is {}", last.share);
            found.add(format!("waves[{at}].share"), text, "the last wave must be all");
        }
        if last.label.is_some() {
            let text = "the last wave is for hosts with one label alone";
            found.add(format!("waves[{at}].label"), text, "leave the label out: it is for all");
        }
        for (at, wave) in self.waves.iter().enumerate().take(limits::WAVES) {
            if let Some((key, value)) = &wave.label {
                found.label(format!("waves[{at}].label"), key);
                found.label(format!("waves[{at}].label"), value);
            }
        }
        for (at, pair) in self.waves.windows(2).enumerate().take(limits::WAVES) {
            let (before, after) = (pair[0].share, pair[1].share);
            if !grows(before, after) {
                let text = format!("{after} does not grow from {before}");
                let remedy = "shares are cumulative: numbers of hosts first, then percentages, each \
                              above the one before";
                found.add(format!("waves[{}].share", at + 1), text, remedy);
            }
        }
        let few = matches!(self.waves[0].share, Share::Hosts(n) if n <= UNPROVEN_CANARY);
        let unproven = self.may_do(catalogue).into_iter().find(|r| r.unproven);
        if let Some(remediation) = unproven.filter(|_| !few) {
            let text = format!("{} has not run on a real system yet", remediation.id);
            let remedy = format!("begin with a wave of 1 to {UNPROVEN_CANARY} hosts");
            found.add("waves[0].share", text, remedy);
        }
    }

    /// Many hosts need an end by errors that comes before most are harmed.
    pub(super) fn check_thresholds(&self, found: &mut Found) {
        // What only looks can harm nobody.
        let many = self.max_hosts.is_none_or(|hosts| hosts > WITHOUT_ABORT);
        if !many || self.remedy == Remedy::VerifyOnly {
            return;
        }
        let abort = self.thresholds.abort;
        let dangerous = match abort {
            ErrorLimit::Off => true,
            ErrorLimit::Percent(percent) => percent > ABORT_PERCENT,
            ErrorLimit::Hosts(hosts) => match self.max_hosts {
                Some(most) => hosts > most / 2,
                None => hosts > WITHOUT_ABORT / 2,
            },
        };
        if dangerous {
            let text = format!("{abort} would not stop it before most hosts are in error");
            let remedy = format!(
                "write up to {ABORT_PERCENT}%, or up to half of max_hosts; more only with max_hosts \
                 of {WITHOUT_ABORT} or fewer"
            );
            found.add("thresholds.abort", text, remedy);
        }
    }
}

/// Whether shares grow whatever the number of hosts is. A number after a percentage may not.
const fn grows(before: Share, after: Share) -> bool {
    match (before, after) {
        (Share::Hosts(a), Share::Hosts(b)) => a < b,
        (Share::Percent(a), Share::Percent(b)) => a < b,
        (Share::Hosts(_), Share::Percent(_)) => true,
        (Share::Percent(_), Share::Hosts(_)) => false,
    }
}
