//! The command line of hosts, incidents and jobs, as clap reads it.

use clap::{Args, Subcommand};

use super::Page;
use super::campaigns::Restart;

#[derive(Debug, Args)]
pub(crate) struct HostFilter {
    /// Only hosts in this state: pending, active, stale, quarantined, revoked, retired;
    /// may repeat.
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// Only hosts with this label (KEY=VALUE or KEY); may repeat.
    #[arg(long)]
    pub(crate) label: Vec<String>,
    /// Only hosts whose name holds this text.
    #[arg(long)]
    pub(crate) search: Option<String>,
    /// Only hosts with an open incident of this code, in any spelling.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) code: Option<String>,
    /// Only hosts with an open incident of this leading cause.
    #[arg(long)]
    pub(crate) cause: Option<String>,
    /// Only hosts with an open incident about this KB or package.
    #[arg(long)]
    pub(crate) kb: Option<String>,
    /// Only hosts whose build begins so.
    #[arg(long)]
    pub(crate) build: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// Lists hosts.
    List(HostFilter),
    /// Shows one host and what fails on it.
    Show {
        /// The host's id or name.
        host: String,
    },
    /// Accepts a pending host: from now on it may get orders.
    Accept {
        /// The host's id or name.
        host: String,
    },
    /// Voids a host's certificates and ends its connection. Cannot be taken back.
    Revoke {
        /// The host's id or name.
        host: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Sets labels (KEY=VALUE) and removes them (KEY-).
    Label {
        /// The host's id or name.
        host: String,
        /// Labels to set or remove.
        #[arg(required = true)]
        labels: Vec<String>,
    },
    /// Takes a host out of the fleet; its history is kept.
    Retire {
        /// The host's id or name.
        host: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IncidentFilter {
    /// Only incidents in this state: open, remediating, verifying, fixed, resolved, superseded,
    /// recurred, ignored; may repeat. Those that stand, unless given.
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// Only incidents with this code, in any spelling.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) code: Option<String>,
    /// Only incidents with this leading cause.
    #[arg(long)]
    pub(crate) cause: Option<String>,
    /// Only incidents of this host (id or name).
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only incidents of this product, such as `windows_update`.
    #[arg(long)]
    pub(crate) product: Option<String>,
    /// Only incidents of this operation, such as install.
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// Only incidents about this KB or package.
    #[arg(long)]
    pub(crate) kb: Option<String>,
    /// Only incidents on hosts with this label (KEY=VALUE); may repeat.
    #[arg(long)]
    pub(crate) label: Vec<String>,
    /// Only incidents on hosts whose build begins so.
    #[arg(long)]
    pub(crate) build: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Lists incidents.
    List(IncidentFilter),
    /// Shows one incident: its verdict and every piece of evidence.
    Show {
        /// The incident's id.
        incident: String,
    },
    /// Hides an incident for a time.
    Ignore {
        /// The incident's id.
        incident: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Until when, such as 2026-12-01T00:00:00Z.
        #[arg(long)]
        until: String,
    },
    /// Finds out whether it still fails, without changing anything; prints the job.
    Verify {
        /// The incident's id.
        incident: String,
        /// The remediation by whose verification it is proved; the one tried last, else the plan's
        /// best, unless given.
        #[arg(long)]
        remediation: Option<String>,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Takes an ignored incident back.
    Reopen {
        /// The incident's id.
        incident: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Remediate {
    /// The incident's id.
    pub(crate) incident: String,
    /// The remediation to use; the plan's best within the risk, unless given.
    #[arg(long)]
    pub(crate) remediation: Option<String>,
    /// The highest risk that is allowed: safe, disruptive, dangerous.
    #[arg(long)]
    pub(crate) max_risk: Option<String>,
    /// Whether the host may be restarted: never, anytime. Unless given, only for a remediation that is
    /// named and needs it.
    #[arg(long)]
    pub(crate) reboot: Option<String>,
    #[command(flatten)]
    pub(crate) restart: Restart,
    /// Goes on with the plan's next remediation after one that did not cure.
    #[arg(long)]
    pub(crate) climb: bool,
    /// Why; kept in the audit log.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Halt {
    /// Why; people and agents are shown it, and it stands in the audit log.
    #[arg(long, conflicts_with_all = ["off", "status"])]
    pub(crate) reason: Option<String>,
    /// Lifts the halt again.
    #[arg(long, conflicts_with = "status")]
    pub(crate) off: bool,
    /// Says whether the fleet is halted and what still runs; exit code 1 where it is.
    #[arg(long)]
    pub(crate) status: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobFilter {
    /// Only jobs in this state; may repeat.
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// Only jobs of this host (id or name).
    #[arg(long)]
    pub(crate) host: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Lists jobs.
    List(JobFilter),
    /// Shows one job and its steps.
    Show {
        /// The job's id.
        job: String,
        /// With the output of its steps.
        #[arg(long)]
        log: bool,
        /// Waits to the job's end; exit code 1 unless it ends fixed.
        #[arg(long)]
        follow: bool,
    },
    /// Takes back what a job did, by a job of its own.
    Undo {
        /// The job's id.
        job: String,
        /// Why; kept in the audit log.
        #[arg(long, required_unless_present = "preview")]
        reason: Option<String>,
        /// The try to take back; the last that left something, unless given.
        #[arg(long)]
        attempt: Option<u32>,
        /// Only shows what can be taken back, step by step.
        #[arg(long)]
        preview: bool,
    },
    /// Takes back a job that has not begun.
    Cancel {
        /// The job's id.
        job: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}
