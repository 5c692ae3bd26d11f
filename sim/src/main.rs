//! `fleetmend-sim`: simulated hosts, for a look at Fleetmend and for load.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleetmend_sim::{demo, load, orders};

/// Threads for reading logs: a fleet in one process reads many small ones.
const READERS: usize = 8;

/// Simulated hosts for Fleetmend: a demo on this machine, and load for a real server.
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
    /// Simulated hosts that enrol with a real server, hold their streams and report failures; a
    /// ledger at the end says whether anything was lost.
    Load(load::Load),
    /// An experiment: what it costs until a host is fixed, by the order in which remediations are
    /// tried. Needs no server.
    Orders(orders::Experiment),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("FLEETMEND_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(READERS)
        .enable_all()
        .build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| match cli.command {
        Command::Demo(demo) => runtime.block_on(demo.run()),
        Command::Load(load) => runtime.block_on(load.run()),
        Command::Orders(orders) => runtime.block_on(orders.run()),
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
