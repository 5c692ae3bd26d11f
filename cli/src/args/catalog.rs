//! The command line of the catalogue, as clap reads it.

use clap::{Args, Subcommand};

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

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Checks a catalogue: the one compiled into this program, or that of a folder. Needs no server.
    Lint(Lint),
    /// What another catalogue would make of the incidents that stand: other first causes, verdicts
    /// confirmed or not any more, other plans. Changes nothing.
    Backtest(Backtest),
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The folder of the catalogue to check, as `catalog/data`; the one compiled into this program
    /// unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) catalog: Option<std::path::PathBuf>,
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
