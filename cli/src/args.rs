//! The command line, as clap reads it.

use clap::{Args, Parser, Subcommand, ValueEnum};

mod campaigns;
mod catalog;
mod fleet;
mod people;
mod work;

pub(crate) use campaigns::*;
pub(crate) use catalog::*;
pub(crate) use fleet::*;
pub(crate) use people::*;
pub(crate) use work::*;

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

/// How much of a list.
#[derive(Debug, Args, Clone, Default)]
pub(crate) struct Page {
    /// Most items to print.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
}
