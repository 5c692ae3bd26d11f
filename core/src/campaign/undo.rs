//! From a campaign to the one that takes it back.

use super::definition::{Definition, Membership, RebootPolicy, Schedule, Zone};
use crate::limits;

impl Definition {
    /// What takes back what this campaign did on so many hosts. It goes by the same shares, gate,
    /// thresholds and pace, at once: on hosts with any label, for the canaries may have nothing to be
    /// taken back, and at any hour, for windows bound what changes hosts and not what puts them back.
    #[must_use]
    pub fn to_undo(&self, reason: &str, hosts: usize) -> Self {
        let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        let mut undo = self.clone();
        undo.name = cut(&format!("Undo: {}", self.name), limits::CAMPAIGN_NAME_CHARS);
        undo.reason = cut(reason, limits::CAMPAIGN_REASON_CHARS);
        undo.schedule = Schedule::ByHand;
        undo.membership = Membership::Static;
        undo.max_hosts = Some(u32::try_from(hosts).unwrap_or(u32::MAX));
        undo.windows = Vec::new();
        // Nothing goes by a clock: a host whose label names no zone is put back too.
        undo.zone = Zone::default();
        // No undo restarts a host, and without a window none could.
        undo.reboot = RebootPolicy::Never;
        for wave in &mut undo.waves {
            wave.label = None;
        }
        undo
    }
}
