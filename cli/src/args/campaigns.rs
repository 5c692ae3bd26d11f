//! The command line of campaigns, approvals and freezes, as clap reads it.

use clap::{Args, Subcommand};

use super::Page;

#[derive(Debug, Args)]
pub(crate) struct CampaignFilter {
    /// Only campaigns in this state: draft, `awaiting_approval`, scheduled, running, paused, aborted,
    /// completed, `completed_with_errors`, cancelled; may repeat.
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// Only campaigns whose name holds this text.
    #[arg(long)]
    pub(crate) search: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    /// Lists campaigns.
    List(CampaignFilter),
    /// Writes a campaign; it does nothing before somebody starts it.
    Create(Box<Write>),
    /// Changes a campaign that has not begun; its approvals lose their force.
    Edit {
        /// The campaign's id.
        campaign: String,
        #[command(flatten)]
        text: Box<Write>,
    },
    /// Shows one campaign: where it stands, its waves, and why nothing moves.
    Show {
        /// The campaign's id.
        campaign: String,
    },
    /// What a campaign would do: how many hosts, which steps, what cannot be undone, whether it needs
    /// an approval. Changes nothing.
    Preview {
        /// The id of one that is written already; else the file and flags as of `create`.
        #[arg(conflicts_with = "file")]
        campaign: Option<String>,
        #[command(flatten)]
        text: Box<Write>,
    },
    /// Approves a campaign that somebody else wrote. Asks for your password: no API token can approve.
    Approve {
        /// The campaign's id.
        campaign: String,
        /// Your user name.
        #[arg(long)]
        user: String,
        /// A word on it; kept with the approval.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Starts a campaign, or gives it to its schedule.
    Start(Act),
    /// Starts nothing new; what began goes on.
    Pause(Act),
    /// Goes on after a pause.
    Resume(Act),
    /// Stops for good: what has not begun is taken back, what began goes on to its end.
    Abort(Act),
    /// Takes a campaign back that has not begun.
    Cancel(Act),
    /// Tries the hosts that ended in error once more: failed, rolled back, timed out, unknown. Hosts that
    /// were fixed, not reached, skipped or left out are not touched.
    Retry {
        #[command(flatten)]
        act: Act,
        /// The hosts that ended in error; these alone can be retried, so it may be left out.
        #[arg(long)]
        failed: bool,
    },
    /// Takes back what a campaign did, host by host, in waves.
    Undo {
        #[command(flatten)]
        act: Act,
        /// Only says what can still be taken back.
        #[arg(long)]
        preview: bool,
    },
    /// Shows a campaign at work until it is over; exit code 1 unless it completes without errors.
    Watch {
        /// The campaign's id.
        campaign: String,
    },
    /// Lists the hosts of a campaign and how each did.
    Hosts {
        /// The campaign's id.
        campaign: String,
        /// Only hosts that stand so: waiting, queued, running, fixed, failed…; may repeat.
        #[arg(long)]
        outcome: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Prints the whole campaign as one JSON document: definition, change number, approvals, result of
    /// every host, audit rows.
    Document {
        /// The campaign's id.
        campaign: String,
    },
}

/// What is done to one campaign.
#[derive(Debug, Args)]
pub(crate) struct Act {
    /// The campaign's id.
    pub(crate) campaign: String,
    /// Why; kept in the audit log.
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// A campaign as flags and a file: a flag stands over what the file says.
#[derive(Debug, Args, Default)]
pub(crate) struct Write {
    /// The definition, TOML or JSON; - reads standard input.
    #[arg(short, long)]
    pub(crate) file: Option<std::path::PathBuf>,
    /// A name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Why.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// The number of the change request.
    #[arg(long)]
    pub(crate) change: Option<String>,
    /// A pre-approved standard change, by its name.
    #[arg(long)]
    pub(crate) standard_change: Option<String>,
    #[command(flatten, next_help_heading = "Which hosts")]
    pub(crate) selector: Which,
    #[command(flatten, next_help_heading = "What is done")]
    pub(crate) what: What,
    #[command(flatten, next_help_heading = "When")]
    pub(crate) when: When,
    #[command(flatten, next_help_heading = "How fast, and when it stops")]
    pub(crate) pace: Pace,
}

#[derive(Debug, Args, Default)]
pub(crate) struct Which {
    /// Hosts that have this problem, by its key in `fleetmend problems`: stands for product, operation and
    /// cause or code.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["cause", "code", "product", "operation"])]
    pub(crate) problem: Option<String>,
    /// Hosts that fail for this leading cause.
    #[arg(long)]
    pub(crate) cause: Option<String>,
    /// Hosts that fail with this code.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) code: Option<String>,
    /// Hosts on which this product fails, such as `windows_update`.
    #[arg(long)]
    pub(crate) product: Option<String>,
    /// Hosts on which this operation fails, such as install.
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// Hosts that fail over this KB or package.
    #[arg(long)]
    pub(crate) kb: Option<String>,
    /// This incident alone; may repeat.
    #[arg(long)]
    pub(crate) incident: Vec<String>,
    /// Hosts with this label (KEY=VALUE); may repeat: all of them.
    #[arg(long)]
    pub(crate) label: Vec<String>,
    /// Not hosts with this label (KEY=VALUE); may repeat: any of them.
    #[arg(long)]
    pub(crate) without: Vec<String>,
    /// Hosts of this system: linux or windows.
    #[arg(long)]
    pub(crate) os: Option<String>,
    /// Hosts whose build begins so.
    #[arg(long)]
    pub(crate) build: Option<String>,
    /// This host (id or name) alone; may repeat.
    #[arg(long)]
    pub(crate) host: Vec<String>,
    /// Servers and hosts with a role are left out unless their role is given; may repeat.
    #[arg(long)]
    pub(crate) role: Vec<String>,
}

#[derive(Debug, Args, Default)]
pub(crate) struct What {
    /// This remediation; each host's own plan unless given.
    #[arg(long, conflicts_with = "verify_only")]
    pub(crate) remediation: Option<String>,
    /// Nothing is done: whether the failure is gone is proved or refuted.
    #[arg(long)]
    pub(crate) verify_only: bool,
    /// The highest risk: safe (unless given), disruptive, dangerous.
    #[arg(long)]
    pub(crate) max_risk: Option<String>,
    /// The most hosts it may ever start on.
    #[arg(long)]
    pub(crate) max_hosts: Option<u32>,
    /// Whether hosts may be restarted: never (unless given), `in_window`, anytime.
    #[arg(long)]
    pub(crate) reboot: Option<String>,
    #[command(flatten)]
    pub(crate) restart: Restart,
}

/// What users are told before a restart.
#[derive(Debug, Args, Default)]
pub(crate) struct Restart {
    /// How long before a restart users are told: 5m unless given; 0s tells nobody.
    #[arg(long)]
    pub(crate) notice: Option<String>,
    /// How often users may put a restart off: 3 unless given.
    #[arg(long)]
    pub(crate) deferrals: Option<u8>,
}

#[derive(Debug, Args, Default)]
pub(crate) struct When {
    /// Starts once, at this time of its zone: 2026-12-01T22:00.
    #[arg(long, conflicts_with_all = ["cron", "monthly"])]
    pub(crate) at: Option<String>,
    /// Starts again and again, by a cron expression of five fields.
    #[arg(long, conflicts_with = "monthly")]
    pub(crate) cron: Option<String>,
    /// Starts every month: "second tuesday + 3 days 22:00".
    #[arg(long)]
    pub(crate) monthly: Option<String>,
    /// The zone of schedule and windows, such as Europe/Berlin; UTC unless given.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Each host's own zone, as its label timezone names it; this one where it has none.
    #[arg(long, conflicts_with = "zone", value_name = "FALLBACK")]
    pub(crate) host_zone: Option<String>,
    /// Jobs begin only then: "mon-fri 22:00-04:00"; may repeat.
    #[arg(long)]
    pub(crate) window: Vec<String>,
    /// Nothing begins with less time left of a window: 90m.
    #[arg(long, requires = "window")]
    pub(crate) least_left: Option<String>,
    /// Hosts that fail later join until this time (RFC 3339).
    #[arg(long, value_name = "UNTIL")]
    pub(crate) joining: Option<String>,
    /// How long after its start it still begins on hosts that come back: 30d.
    #[arg(long)]
    pub(crate) expires: Option<String>,
}

#[derive(Debug, Args, Default)]
pub(crate) struct Pace {
    /// A wave: hosts so far, as 5, 10% or all; with a canary's label as 5:ring=canary. May repeat; the
    /// last must be all.
    #[arg(long)]
    pub(crate) wave: Vec<String>,
    /// Proved success of the hosts reached in a wave before the next, in percent.
    #[arg(long)]
    pub(crate) success: Option<u8>,
    /// Hosts of a wave that must have come to an end before the next.
    #[arg(long)]
    pub(crate) sample: Option<u32>,
    /// Time to wait between two waves, looking for a relapse: 1h.
    #[arg(long)]
    pub(crate) soak: Option<String>,
    /// Aborts above so many errors: 5% (unless given), 3 or off.
    #[arg(long)]
    pub(crate) abort: Option<String>,
    /// Aborts above so many errors in one wave.
    #[arg(long)]
    pub(crate) abort_in_wave: Option<String>,
    /// Pauses above so many errors.
    #[arg(long)]
    pub(crate) pause: Option<String>,
    /// Pauses above so many errors in one wave.
    #[arg(long)]
    pub(crate) pause_in_wave: Option<String>,
    /// Pauses above so many hosts on which the failure came back, or another appeared: 1% (unless given).
    #[arg(long)]
    pub(crate) regressions: Option<String>,
    /// Jobs in flight at once.
    #[arg(long)]
    pub(crate) at_once: Option<u32>,
    /// New jobs a minute.
    #[arg(long)]
    pub(crate) per_minute: Option<u32>,
    /// The label that names a host's site.
    #[arg(long)]
    pub(crate) site_label: Option<String>,
    /// Jobs in flight at once in one site.
    #[arg(long)]
    pub(crate) per_site: Option<u32>,
    /// Jobs in flight at once in one site, of those that cost the network.
    #[arg(long)]
    pub(crate) network_per_site: Option<u32>,
    /// One host in flight for each value of this label.
    #[arg(long)]
    pub(crate) group_label: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FreezeCommand {
    /// Lists freezes.
    List(Page),
    /// Makes a freeze: a span in which nothing begins.
    Create {
        /// A name for people.
        #[arg(long)]
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// From this time on (RFC 3339).
        #[arg(long, requires = "until", required_unless_present = "first")]
        from: Option<String>,
        /// And before this one.
        #[arg(long, requires = "from")]
        until: Option<String>,
        /// Every year: the first day, as 12-20.
        #[arg(long, requires = "last", conflicts_with = "from")]
        first: Option<String>,
        /// Every year: the last day, as 01-06.
        #[arg(long, requires = "first")]
        last: Option<String>,
        /// The zone of a yearly freeze; UTC unless given.
        #[arg(long, requires = "first")]
        zone: Option<String>,
        /// Only for hosts with this label (KEY=VALUE); may repeat.
        #[arg(long)]
        label: Vec<String>,
    },
    /// Takes a freeze away.
    Delete {
        /// The freeze's id.
        freeze: String,
    },
}
