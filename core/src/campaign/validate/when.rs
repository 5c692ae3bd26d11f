//! Zone, schedule, windows, notices of restarts, and how long it goes on.

use super::Found;
use crate::campaign::calendar::{Cron, Monthly, once, zone};
use crate::campaign::{Definition, Membership, Schedule, Zone};
use crate::limits;
use crate::span::Span;

impl Definition {
    pub(super) fn check_when(&self, found: &mut Found) {
        let field = match &self.zone {
            Zone::Named(_) => "zone.named",
            Zone::Host { .. } => "zone.host.fallback",
        };
        found.read(field, zone(self.zone.name()));
        match &self.schedule {
            Schedule::ByHand => {}
            Schedule::Once { at } => {
                found.read("schedule.once.at", once(at));
            }
            Schedule::Cron { expression } => {
                found.read("schedule.cron.expression", expression.parse::<Cron>());
            }
            Schedule::Monthly { expression } => {
                found.read("schedule.monthly.expression", expression.parse::<Monthly>());
            }
        }
        found.at_most("windows", self.windows.len(), limits::WINDOWS);
        for (at, window) in self.windows.iter().enumerate().take(limits::WINDOWS) {
            found.read(format!("windows[{at}]"), window.read());
        }
        found.span("expires", self.expires, Span::hours(1), limits::CAMPAIGN_EXPIRES);
        if let Some((field, text, remedy)) = self.restart.wrong() {
            found.add(format!("restart.{field}"), text, remedy);
        }
        if matches!(self.membership, Membership::Joining { .. }) && self.max_hosts.is_none() {
            let text = "hosts may join, and nothing says how many";
            found.add("max_hosts", text, "write the most hosts that it may have");
        }
    }
}
