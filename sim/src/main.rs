//! Simulated hosts behind the agent's platform trait: for demos and, later, for load. Everything
//! they report says that it is simulated.

mod demo;
mod host;
mod logs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulated hosts for Fleetmend: a demo on this machine.
#[derive(Debug, Parser)]
#[command(name = "fleetmend-sim", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A server, this machine's real agent (it only observes) and simulated hosts, in one process
    /// and a temporary directory.
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("FLEETMEND_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| match cli.command {
        Command::Demo(demo) => runtime.block_on(demo.run()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("fleetmend-sim: {error:#}").replace('\n', " ");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), (line + "\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
