//! How a campaign stands, and what is decided from it.

use std::collections::{BTreeMap, BTreeSet};

use super::CampaignState;
use super::counters::Aim;
use super::definition::Definition;
use crate::host::Labels;
use crate::ids::{HostId, JobId};
use crate::job::JobState;
use crate::reason::Reason;
use crate::time::Timestamp;

/// All that `advance` may look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What it shall do.
    pub definition: Definition,
    /// What its jobs are for.
    pub aim: Aim,
    /// Where it stands.
    pub state: CampaignState,
    /// Since when it is in that state.
    pub state_since: Timestamp,
    /// When its present run began.
    pub started: Option<Timestamp>,
    /// Whether the whole fleet is halted.
    pub halted: bool,
    /// Freezes that concern it now or later.
    pub freezes: Vec<FreezeSpan>,
    /// The waves that were opened, in order.
    pub waves: Vec<WaveStanding>,
    /// Its hosts, in the order in which they were taken in.
    pub hosts: Vec<HostStanding>,
    /// Jobs started in the last minute.
    pub started_last_minute: u32,
    /// Values of the label `group_label` of hosts on which other campaigns have a job in flight.
    pub groups_busy: BTreeSet<String>,
    /// Values of `group_label`, with the hosts that may be down after a job that is no part of this
    /// campaign, and since when.
    pub groups_down: BTreeMap<String, BTreeMap<HostId, Timestamp>>,
    /// Values of the label `site_label`, with the jobs that other campaigns have in flight there. Hosts
    /// without the label stand under the empty text.
    pub sites_at_work: BTreeMap<String, u32>,
    /// Those of them that cost the network.
    pub sites_busy: BTreeMap<String, u32>,
}

/// A span in which nothing begins on the hosts it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeSpan {
    /// From this moment on.
    pub from: Timestamp,
    /// And before this one.
    pub until: Timestamp,
    /// Its name for people.
    pub name: String,
    /// For hosts with all of these labels; for every host where there are none.
    pub labels: Labels,
}

/// An opened wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveStanding {
    /// When it was opened.
    pub opened: Timestamp,
    /// When its gate first held; the soak runs from then.
    pub gate_held: Option<Timestamp>,
}

/// One host of the campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct HostStanding {
    /// The host.
    pub host: HostId,
    /// Its labels.
    pub labels: Labels,
    /// Whether its stream is up, or was within the silence limit.
    pub reachable: bool,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// Whether another job is active on it.
    pub busy: bool,
    /// Whether the remediation that is at work, or comes next, costs the network.
    pub network: bool,
    /// The wave it was started in, from 0.
    pub wave: Option<u32>,
    /// Its job in this campaign, once it has one.
    pub job: Option<JobId>,
    /// Where that job stands.
    pub job_state: Option<JobState>,
    /// Where its job waits between two tries.
    pub between: Option<Between>,
    /// When the job came into that state, as far as is known.
    pub state_since: Option<Timestamp>,
    /// When the agent began it.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Whether the campaign itself took the job back before it began: the host waits again.
    pub recalled: bool,
    /// When the failure came back after the fix.
    pub relapsed: Option<Timestamp>,
    /// When another host-wide failure appeared after the job began: a regression.
    pub regressed: Option<Timestamp>,
    /// It has not told what its remediation needs to know: when it is looked at again.
    pub untold: Option<Timestamp>,
    /// Whether it was left out by hand or by policy after it was taken in.
    pub excluded: bool,
}

impl HostStanding {
    /// A host that was taken in and has no job yet: it is there, nothing else is at work on it, and what
    /// helps it costs no network.
    pub fn without_job(host: HostId, labels: Labels, last_seen: Timestamp) -> Self {
        Self {
            host,
            labels,
            reachable: true,
            last_seen,
            busy: false,
            network: false,
            wave: None,
            job: None,
            job_state: None,
            between: None,
            state_since: None,
            begun: None,
            ended: None,
            recalled: false,
            relapsed: None,
            regressed: None,
            untold: None,
            excluded: false,
        }
    }
}

/// How a job waits whose last try is over. It takes no place: nothing happens on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// What it tries next is being chosen.
    Choosing,
    /// That is chosen.
    Chosen {
        /// Not to be begun before.
        from: Timestamp,
    },
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decisions {
    /// The campaign changes its state.
    pub transition: Option<Transition>,
    /// The next wave is opened.
    pub open_wave: bool,
    /// The gate of the last opened wave holds from now on.
    pub gate_held: bool,
    /// The gate no longer holds.
    pub gate_lost: bool,
    /// A new run of a recurring campaign begins, or the first: its hosts are selected anew.
    pub new_run: bool,
    /// A job is made for each of these, in this order; it belongs to the last opened wave.
    pub start: Vec<HostId>,
    /// These jobs, which wait between two tries, have a place for the next one.
    pub go_on: Vec<JobId>,
    /// These jobs, which no agent has begun, are taken back: the wish to cancel is noted, and
    /// [`HostStanding::recalled`] is set.
    pub recall: Vec<JobId>,
    /// When to look again though nothing happens; not after now where more can be decided at once.
    pub next_look: Option<Timestamp>,
    /// Why nothing more is started now; empty where something is, or nothing is left.
    pub waiting_for: Vec<Reason>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The new state.
    pub to: CampaignState,
    /// Why; names the threshold, the wave and the figures.
    pub why: Reason,
}
