//! The command line of work for people and of reports.

use clap::{Args, Subcommand};

use super::Page;

#[derive(Debug, Args)]
pub(crate) struct GuidedFilter {
    /// Only work in this state: open, doing, done, dropped; may repeat. What is not over, unless
    /// given.
    #[arg(long)]
    pub(crate) state: Vec<String>,
    /// Only work on this host (id or name).
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only work for this incident.
    #[arg(long)]
    pub(crate) incident: Option<String>,
    /// Only work by this remediation.
    #[arg(long)]
    pub(crate) remediation: Option<String>,
    /// Only work of this person; nobody for what nobody took.
    #[arg(long)]
    pub(crate) assignee: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GuidedCommand {
    /// Lists work for people.
    List(GuidedFilter),
    /// Shows a piece of work with its steps and notes.
    Show {
        /// The task's id.
        task: String,
        /// The language of the steps: en or ru.
        #[arg(long, default_value = "en")]
        lang: String,
    },
    /// Asks people for work about an incident.
    Ask {
        /// The incident's id.
        incident: String,
        /// The guided remediation; the plan's best, unless given.
        #[arg(long)]
        remediation: Option<String>,
    },
    /// Takes a piece of work, or gives it to somebody.
    Take {
        /// The task's id.
        task: String,
        /// Who does it; you, unless given.
        #[arg(long)]
        assignee: Option<String>,
    },
    /// Ticks steps off.
    Tick {
        /// The task's id.
        task: String,
        /// The steps that are done, from 1.
        #[arg(required = true, value_parser = clap::value_parser!(u32).range(1..=64))]
        steps: Vec<u32>,
        /// They are not done after all.
        #[arg(long)]
        undo: bool,
    },
    /// Writes a note on a piece of work.
    Note {
        /// The task's id.
        task: String,
        /// What to write down.
        text: String,
    },
    /// Says that the work is done: whether it helped is then proved.
    Done {
        /// The task's id.
        task: String,
    },
    /// Says that the work is not to be done.
    Drop {
        /// The task's id.
        task: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// How often remediations helped, counted over the fleet; most tries first.
    Efficacy {
        /// Of simulated hosts.
        #[arg(long)]
        simulated: bool,
        /// Only those that are proposed for retirement.
        #[arg(long)]
        weak: bool,
        #[command(flatten)]
        page: Page,
    },
}
