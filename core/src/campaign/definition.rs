//! What a campaign shall do: written by a person, bound by an approval, never changed by a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::share::{ErrorLimit, Share};
use crate::code::FailureCode;
use crate::host::{Labels, OsFamily};
use crate::ids::{HostId, IncidentId};
use crate::knowledge::Risk;
use crate::limits;
use crate::report::{Operation, Product};
use crate::span::Span;
use crate::time::Timestamp;
use crate::words;
use crate::words::Slug;

/// A campaign as its author writes it. `validate` says what is wrong with it, by field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// A name for people; at most 120 characters.
    pub name: String,
    /// Why; at most 500 characters.
    pub reason: String,
    /// The number of the change request that allows it; at most 80 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// A pre-approved standard change by its name: replaces the approval where the definition keeps
    /// within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_change: Option<String>,
    /// Which hosts, by what fails on them.
    pub selector: Selector,
    /// What is done on them.
    #[serde(default)]
    pub remedy: Remedy,
    /// The highest risk of a remediation.
    #[serde(default = "safe")]
    pub max_risk: Risk,
    /// The most hosts it may ever start on; the preview's number unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hosts: Option<u32>,
    /// Whether hosts may be restarted.
    #[serde(default)]
    pub reboot: RebootPolicy,
    /// What users are told before a restart, and how often they may put it off.
    #[serde(default, skip_serializing_if = "RestartNotice::is_usual")]
    pub restart: RestartNotice,
    /// Whether hosts that fail later join.
    #[serde(default)]
    pub membership: Membership,
    /// When it starts.
    #[serde(default)]
    pub schedule: Schedule,
    /// Whose clock its schedule and windows go by.
    #[serde(default)]
    pub zone: Zone,
    /// When jobs may begin; at any time where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The waves, cumulative; the last must be all. 1, 1 %, 10 %, all unless given.
    #[serde(default = "waves")]
    pub waves: Vec<Wave>,
    /// What must hold before the next wave.
    #[serde(default)]
    pub gate: Gate,
    /// When it pauses or aborts by itself.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// How fast it goes.
    #[serde(default)]
    pub pace: Pace,
    /// How long after its start a run still begins on hosts that come back; those it never reached are
    /// then *not reached*.
    #[serde(default = "thirty_days")]
    pub expires: Span,
    /// Each remediation that may run for it, with its digest: filled in by the server whenever it is
    /// written. An approval binds them, and no other runs by it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remediations: BTreeMap<Slug, String>,
}

/// Which hosts. Conditions are joined by AND; what is absent does not filter. At least one of
/// product, code, cause and incidents must be there: a campaign is one problem's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// Incidents of this product.
    pub product: Option<Product>,
    /// Incidents of this operation.
    pub operation: Option<Operation>,
    /// Incidents of this code.
    pub code: Option<FailureCode>,
    /// Incidents with this leading cause.
    pub cause: Option<Slug>,
    /// Incidents with this in the subject: a KB, a package.
    pub kb: Option<String>,
    /// These incidents alone; at most 1,000.
    pub incidents: Vec<IncidentId>,
    /// Hosts with all of these labels.
    pub labels: Labels,
    /// Hosts with any of these labels are left out.
    pub without: Labels,
    /// Hosts of this system.
    pub os: Option<OsFamily>,
    /// Hosts whose build begins so.
    pub build: Option<String>,
    /// These hosts alone; at most 1,000.
    pub hosts: Vec<HostId>,
    /// Servers and hosts with a role are left out unless their role stands here; `server` means
    /// servers without another role.
    pub roles: Vec<String>,
}

/// What is done on each host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Remedy {
    /// What the host's own plan says, one remediation after the other.
    #[default]
    Plan,
    /// One remediation in one version.
    Remediation {
        /// Its name.
        id: Slug,
        /// Its version.
        version: u32,
        /// Its digest, filled in by the server at creation.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        digest: String,
    },
    /// Nothing: whether the failure is gone is proved or refuted.
    VerifyOnly,
}

words! {
    /// Whether a campaign may restart hosts.
    #[derive(Default)]
    pub enum RebootPolicy ("reboot policy") {
        /// No remediation that restarts, and none that perhaps does.
        #[default]
        Never = "never",
        /// Inside a window, after a notice to users, with deferrals.
        InWindow = "in_window",
        /// At any time, after a notice to users.
        Anytime = "anytime",
    }
}

/// What users of a host are told before a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartNotice {
    /// How long before it they are told; `0s` tells nobody. At most [`limits::NOTICE`].
    pub notice: Span,
    /// How often they may put it off; at most [`limits::DEFERRALS`].
    pub deferrals: u8,
}

impl RestartNotice {
    /// Whether it is what holds where nobody says.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Seconds of the notice, as an order has them.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.notice.duration().as_secs()).unwrap_or(u32::MAX)
    }

    /// What is out of bounds: the field, what is wrong, and the remedy.
    pub fn wrong(&self) -> Option<(&'static str, String, String)> {
        let most = Span::from(limits::NOTICE);
        if self.notice > most {
            let text = format!("{} is out of bounds", self.notice);
            return Some(("notice", text, format!("write a span from 0s to {most}")));
        }
        (self.deferrals > limits::DEFERRALS).then(|| {
            let text = format!("{} is out of bounds", self.deferrals);
            ("deferrals", text, format!("write a number from 0 to {}", limits::DEFERRALS))
        })
    }
}

impl Default for RestartNotice {
    fn default() -> Self {
        Self { notice: limits::NOTICE_DEFAULT.into(), deferrals: limits::DEFERRALS_DEFAULT }
    }
}

/// Which hosts belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Membership {
    /// Those that the selector finds when it starts.
    #[default]
    Static,
    /// Those, and hosts that the selector finds later, up to `max_hosts`.
    Joining {
        /// Until when.
        until: Timestamp,
    },
}

/// When it starts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// When somebody starts it.
    #[default]
    ByHand,
    /// At a wall-clock time of its zone, `2026-12-01T22:00`.
    Once {
        /// The time.
        at: String,
    },
    /// Again and again, by a cron expression of five fields. Each occurrence selects anew.
    Cron {
        /// The expression.
        expression: String,
    },
    /// Every month, as update days go: `second tuesday + 3 days 22:00`.
    Monthly {
        /// The expression.
        expression: String,
    },
}

/// Whose clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Zone {
    /// A zone of the IANA database: `Europe/Berlin`.
    Named(String),
    /// Each host's own, as its label `timezone` names it; `fallback` where it has none.
    Host {
        /// An IANA zone.
        fallback: String,
    },
}

impl Default for Zone {
    fn default() -> Self {
        Self::Named("UTC".to_owned())
    }
}

/// A span in which jobs may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its days: `daily`, `mon-fri`, `sat,sun`.
    pub days: String,
    /// When it opens, `22:00`.
    pub start: String,
    /// When it closes; over midnight where it is not after the start.
    pub end: String,
    /// Nothing begins with less time left than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_left: Option<Span>,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// The cumulative share of the campaign's hosts.
    pub share: Share,
    /// Hosts with this label go first in this wave and alone: a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<(String, String)>,
}

/// What must hold before the next wave begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// Proved success, of the hosts reached in the wave, in percent.
    pub success_percent: u8,
    /// Hosts of the wave that must have come to an end, where the wave has so many.
    pub least_sample: u32,
    /// Time to wait after that, looking for a relapse.
    pub soak: Span,
}

impl Default for Gate {
    fn default() -> Self {
        Self { success_percent: 90, least_sample: 1, soak: Span::hours(1) }
    }
}

/// When it stops by itself: errors among the hosts started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Pauses: over the whole campaign.
    pub pause: ErrorLimit,
    /// Pauses: in one wave.
    pub pause_in_wave: ErrorLimit,
    /// Aborts: over the whole campaign.
    pub abort: ErrorLimit,
    /// Aborts: in one wave.
    pub abort_in_wave: ErrorLimit,
    /// Pauses: hosts on which the failure came back after its fix, or another appeared after the job
    /// began.
    pub regressions: ErrorLimit,
}

impl Default for Thresholds {
    fn default() -> Self {
        let off = ErrorLimit::Off;
        Self {
            pause: off,
            pause_in_wave: off,
            abort: ErrorLimit::Percent(5),
            abort_in_wave: off,
            // Each of the first hundred hosts; among thousands something else fails every day.
            regressions: ErrorLimit::Percent(1),
        }
    }
}

/// How fast it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// Jobs in flight at once.
    pub at_once: u32,
    /// New jobs a minute; as many as fit where absent.
    pub per_minute: Option<u32>,
    /// The label that names a host's site.
    pub site_label: String,
    /// Jobs in flight at once in one site; as many as fit where absent.
    pub per_site: Option<u32>,
    /// Jobs in flight at once in one site, of remediations that cost the network.
    pub network_per_site: u32,
    /// One host in flight for each value of this label: cluster members.
    pub group_label: Option<String>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            at_once: 50,
            per_minute: None,
            site_label: "site".to_owned(),
            per_site: None,
            network_per_site: 5,
            group_label: None,
        }
    }
}

const fn thirty_days() -> Span {
    Span::days(30)
}

const fn safe() -> Risk {
    Risk::Safe
}

fn waves() -> Vec<Wave> {
    let shares = [Share::Hosts(1), Share::Percent(1), Share::Percent(10), Share::Percent(100)];
    shares.into_iter().map(|share| Wave { share, label: None }).collect()
}
