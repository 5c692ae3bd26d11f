//! The command line, as clap reads it.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::campaign_args::{CampaignCommand, CampaignFilter, FreezeCommand};
use crate::work_args::{GuidedCommand, GuidedFilter, ReportCommand};

/// The admin's command line of Fleetmend: why updates and backups fail, and their repair.
#[derive(Debug, Parser)]
#[command(name = "fleetmend", version, about, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// The server's address.
    #[arg(
        long,
        env = "FLEETMEND_URL",
        default_value = "http://127.0.0.1:7080",
        global = true,
        help_heading = "For every command"
    )]
    pub(crate) url: String,
    /// An API token. Better given in the environment: command lines can be seen by others.
    #[arg(
        long,
        env = "FLEETMEND_TOKEN",
        hide_env_values = true,
        global = true,
        help_heading = "For every command"
    )]
    pub(crate) token: Option<String>,
    /// A PEM file with the certificate that the server's TLS is to be trusted by.
    #[arg(
        long,
        env = "FLEETMEND_CA",
        value_name = "FILE",
        global = true,
        help_heading = "For every command"
    )]
    pub(crate) ca: Option<std::path::PathBuf>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true, help_heading = "For every command")]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What a code means, why it comes and what helps; also causes, remediations and probes by name.
    /// Needs no server.
    Explain(Explain),
    /// The fleet in a few numbers, and its problems.
    Status,
    /// Managed machines.
    #[command(args_conflicts_with_subcommands = true)]
    Hosts {
        #[command(flatten)]
        list: HostFilter,
        #[command(subcommand)]
        command: Option<HostCommand>,
    },
    /// Open failures, one a host and failing operation.
    #[command(args_conflicts_with_subcommands = true)]
    Incidents {
        #[command(flatten)]
        list: IncidentFilter,
        #[command(subcommand)]
        command: Option<IncidentCommand>,
    },
    /// Causes over the fleet, most hosts first.
    Problems(Page),
    /// The remediations that fit an incident, best first, and what cannot be undone.
    Plan {
        /// The incident's id.
        incident: String,
    },
    /// Orders the remediation of an incident.
    Remediate(Remediate),
    /// Remediations under way and done.
    #[command(args_conflicts_with_subcommands = true)]
    Jobs {
        #[command(flatten)]
        list: JobFilter,
        #[command(subcommand)]
        command: Option<JobCommand>,
    },
    /// Work for people: what no agent can do about an incident.
    #[command(args_conflicts_with_subcommands = true)]
    Guided {
        #[command(flatten)]
        list: GuidedFilter,
        #[command(subcommand)]
        command: Option<GuidedCommand>,
    },
    /// What the fleet has shown over time.
    Report {
        #[command(subcommand)]
        command: ReportCommand,
    },
    /// Enrolment tokens: who may bring hosts into the fleet.
    #[command(args_conflicts_with_subcommands = true)]
    Tokens {
        #[command(flatten)]
        list: Page,
        #[command(subcommand)]
        command: Option<TokenCommand>,
    },
    /// People who may log in, and as what. Takes a log-in: `fleetmend login`.
    #[command(args_conflicts_with_subcommands = true)]
    Users {
        #[command(flatten)]
        list: Page,
        #[command(subcommand)]
        command: Option<UserCommand>,
    },
    /// Logs in by name and password: keeps an API token of your role for some hours, for your user of
    /// this machine only. FLEETMEND_TOKEN goes before it.
    Login(Login),
    /// Who did what.
    #[command(args_conflicts_with_subcommands = true)]
    Audit {
        #[command(flatten)]
        list: Page,
        #[command(subcommand)]
        command: Option<AuditCommand>,
    },
    /// The catalogue of codes, causes and remediations.
    Catalog {
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// One problem's remediation over many hosts, in waves that stop by themselves.
    #[command(args_conflicts_with_subcommands = true)]
    Campaigns {
        #[command(flatten)]
        list: CampaignFilter,
        #[command(subcommand)]
        command: Option<CampaignCommand>,
    },
    /// Campaigns that wait for the word of a second person.
    Approvals(Page),
    /// Spans in which nothing begins.
    #[command(args_conflicts_with_subcommands = true)]
    Freezes {
        #[command(flatten)]
        list: Page,
        #[command(subcommand)]
        command: Option<FreezeCommand>,
    },
    /// Stops the whole fleet, or lets it go on. While it is halted nothing new starts; what began
    /// finishes or is undone.
    Halt(Halt),
    /// Prints the completion script of a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code in any spelling (0x80070003, 80070003, -2147024893, 2147942403, "0xC1900101 - 0x4000D",
    /// exit:11, apt.lock_held), or the name of a cause, a remediation or a probe.
    #[arg(allow_hyphen_values = true)]
    pub(crate) code: String,
    /// The product it comes from, such as `windows_update`.
    #[arg(long)]
    pub(crate) product: Option<String>,
    /// What the product was doing, such as install.
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// The class of update, where it matters: cumulative, dotnet, winre, driver, definition.
    #[arg(long)]
    pub(crate) update_class: Option<String>,
    /// Everything that is known, not one screen of it.
    #[arg(long)]
    pub(crate) full: bool,
    /// The same as `-o json`.
    #[arg(long)]
    pub(crate) json: bool,
    /// The language: en or ru.
    #[arg(long, default_value = "en")]
    pub(crate) lang: String,
}

/// How much of a list.
#[derive(Debug, Args, Clone, Default)]
pub(crate) struct Page {
    /// Most items to print.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}

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
pub(crate) enum AuditCommand {
    /// Checks that no row was changed or taken away; exit code 1 where one was.
    Verify,
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

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Lists enrolment tokens.
    List(Page),
    /// Makes a token and prints it, once.
    Create {
        /// A name for people.
        #[arg(long)]
        name: String,
        /// Hosts that it brings in. One (unless given) is accepted at once; of more, each waits to be
        /// accepted.
        #[arg(long)]
        uses: Option<u32>,
        /// Hours that it lives; 1 for one host, 72 for more, unless given.
        #[arg(long)]
        hours: Option<u32>,
        /// Labels (KEY=VALUE) that its hosts get; may repeat.
        #[arg(long)]
        label: Vec<String>,
        /// Networks that it works from, such as 10.0.0.0/8; may repeat. All, unless given.
        #[arg(long)]
        network: Vec<String>,
    },
    /// Voids a token; hosts that came by it stay.
    Revoke {
        /// The token's id.
        token: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Your name; asked for unless given.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Read the password from the first line of standard input, instead of asking for it.
    #[arg(long, requires = "name")]
    pub(crate) password_stdin: bool,
    /// Hours that the token lives: 1 to 720; 12 unless given.
    #[arg(long)]
    pub(crate) hours: Option<u32>,
    /// A role within your own, for less: viewer, auditor, approver, operator, author, admin.
    #[arg(long)]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Lists users.
    List(Page),
    /// Makes a user and prints a password for the first log-in, once.
    Create {
        /// The name to log in with.
        name: String,
        /// viewer, auditor, approver, operator, author or admin.
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// Gives a user another role. Its sessions end, and tokens that may do more.
    Role {
        /// The user's name or id.
        user: String,
        /// viewer, auditor, approver, operator, author or admin.
        role: String,
    },
    /// Shuts a user out; sessions and tokens end.
    Disable {
        /// The user's name or id.
        user: String,
    },
    /// Lets a user log in again.
    Enable {
        /// The user's name or id.
        user: String,
    },
    /// Gives a user a new password for one log-in and prints it, once.
    Reset {
        /// The user's name or id.
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Checks the catalogue compiled into this program. Needs no server.
    Lint,
    /// What another catalogue would make of the incidents that stand: other first causes, verdicts
    /// confirmed or not any more, other plans. Changes nothing.
    Backtest(Backtest),
}

#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// The folder of the catalogue to try, as `catalog/data`; the one compiled into this program
    /// unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Option<std::path::PathBuf>,
    /// The highest risk that plans allow: safe, disruptive or dangerous.
    #[arg(long, default_value = "disruptive")]
    pub(crate) max_risk: String,
    /// Most incidents to look at.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}
