//! What a look saw and what was decided: whether anything moves.

use fleetmend_core::campaign::{CampaignState, Decisions, HostStanding, Schedule, Zone};
use fleetmend_store::{Applied, Campaign, Member};

/// Whether it waits for its next run, which begins where the day begins first among the hosts that it
/// would have.
pub(super) const fn awaits_clocks(campaign: &Campaign) -> bool {
    use CampaignState as S;
    matches!(campaign.definition.zone, Zone::Host { .. })
        && !matches!(campaign.definition.schedule, Schedule::ByHand)
        && matches!(campaign.state, S::Scheduled | S::Completed | S::CompletedWithErrors)
}

/// A host that a run would have.
pub(super) fn expected(member: Member) -> HostStanding {
    HostStanding {
        reachable: !member.offline,
        busy: member.busy,
        ..HostStanding::without_job(member.host, member.labels, member.last_seen)
    }
}

/// Whether nothing is to be done but to wait.
pub(super) fn is_idle(decisions: &Decisions) -> bool {
    let Decisions {
        transition,
        open_wave,
        gate_held,
        gate_lost,
        new_run,
        start,
        go_on,
        recall,
        ..
    } = decisions;
    transition.is_none()
        && !(*open_wave || *gate_held || *gate_lost || *new_run)
        && start.is_empty()
        && go_on.is_empty()
        && recall.is_empty()
}

/// Whether it would wait for what it waits for already.
pub(super) fn same_look(campaign: &Campaign, decisions: &Decisions) -> bool {
    campaign.next_look == decisions.next_look && campaign.waiting_reasons == decisions.waiting_for
}

/// Whether another look at once may decide more. What is only asked of agents is awaited.
pub(super) fn moved(decisions: &Decisions, applied: &Applied) -> bool {
    decisions.transition.is_some()
        || decisions.open_wave
        || decisions.gate_held
        || decisions.gate_lost
        || decisions.new_run
        || !applied.started.is_empty()
        || !applied.went_on.is_empty()
        || !applied.left_out.is_empty()
}
