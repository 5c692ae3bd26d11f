//! `fleetmend`: the admin's command line. Exit code 0: done; 1: failed; 2: wrong use.

mod args;
mod client;
mod commands;
mod output;
mod saved;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{CatalogCommand, Cli, Command};
use client::{Client, ClientError};
use commands::Context;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let text = output::clean(&format!("{error:#}"));
            // Nothing is left to do where even this cannot be written.
            let _ = writeln!(std::io::stderr(), "fleetmend: {text}");
            let usage = matches!(error.downcast_ref(), Some(ClientError::Usage(_)));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// Runs a command; false where it went well and the answer is *no*.
fn run(cli: Cli) -> anyhow::Result<bool> {
    let output = cli.output;
    let connect = || Client::new(&cli).map(|client| Context { client, output });
    match &cli.command {
        Command::Explain(_)
        | Command::Login(_)
        | Command::Catalog { command: CatalogCommand::Lint(_) }
        | Command::Completion { .. } => {}
        _ => {
            let ctx = connect()?;
            return online(&ctx, cli.command);
        }
    }
    if let Command::Login(login) = &cli.command {
        commands::login::run(&Client::without_token(&cli)?, login, output)?;
        return Ok(true);
    }
    match cli.command {
        Command::Explain(explain) => commands::explain::run(&explain, output)?,
        Command::Catalog { command: CatalogCommand::Lint(lint) } => {
            return commands::catalog::lint(lint.catalog.as_deref(), output);
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fleetmend", &mut script);
            output::say(&String::from_utf8_lossy(&script))?;
        }
        _ => {}
    }
    Ok(true)
}

fn online(ctx: &Context, command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Status => commands::status::run(ctx)?,
        Command::Hosts { list, command } => commands::hosts::run(ctx, list, command)?,
        Command::Incidents { list, command } => commands::incidents::run(ctx, list, command)?,
        Command::Problems(page) => commands::problems::list(ctx, &page)?,
        Command::Plan { incident } => commands::problems::plan(ctx, &incident)?,
        Command::Remediate(args) => commands::problems::remediate(ctx, &args)?,
        Command::Jobs { list, command } => return commands::jobs::run(ctx, list, command),
        Command::Guided { list, command } => commands::guided::run(ctx, list, command)?,
        Command::Report { command } => commands::report::run(ctx, command)?,
        Command::Tokens { list, command } => commands::tokens::run(ctx, list, command)?,
        Command::Audit { list, command } => return commands::audit::run(ctx, &list, command),
        Command::Catalog { command: CatalogCommand::Backtest(args) } => {
            commands::backtest::run(ctx, &args)?;
        }
        Command::Campaigns { list, command } => {
            return commands::campaigns::run(ctx, list, command);
        }
        Command::Approvals(page) => commands::campaigns::approvals(ctx, &page)?,
        Command::Freezes { list, command } => commands::campaigns::freezes(ctx, list, command)?,
        Command::Halt(wish) => return commands::halt::run(ctx, &wish),
        Command::Users { list, command } => commands::users::run(ctx, list, command)?,
        Command::Explain(_)
        | Command::Login(_)
        | Command::Catalog { command: CatalogCommand::Lint(_) }
        | Command::Completion { .. } => {}
    }
    Ok(true)
}
