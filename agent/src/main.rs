//! The agent's command line. One thread: a managed host has better things to do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use fleetmend_agent::commands::{self, Output, doctor, generalize, service, status};
use fleetmend_agent::config::{self, AgentConfig};
use fleetmend_agent::enroll;
use fleetmend_agent::execute::ceiling::{Allowed, Ceiling};
use fleetmend_agent::identity;
use fleetmend_agent::link::address::ServerAddress;
use fleetmend_agent::platform::Platform;
use fleetmend_agent::scan;
use fleetmend_agent::state::{self, StateDir};
use fleetmend_core::dry_run::dry_run;
use fleetmend_core::knowledge::Lang;
use fleetmend_core::time::{Clock, SystemClock};
use fleetmend_core::words::Slug;
use fleetmend_proto::trust::TokenText;
use tokio_util::sync::CancellationToken;

/// Finds why updates and backups fail on this host, and repairs what its admin allows.
#[derive(Debug, Parser)]
#[command(name = "fleetmend-agent", version)]
struct Cli {
    #[command(flatten)]
    paths: Paths,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Paths {
    /// Where the agent keeps identity, spool and journal.
    #[arg(long, global = true, help_heading = "For every command", default_value = config::STATE_DIR)]
    state_dir: PathBuf,
    /// The agent's settings.
    #[arg(long, global = true, help_heading = "For every command", default_value = config::CONFIG)]
    config: PathBuf,
    /// The host's own limit on what may be ordered.
    #[arg(long, global = true, help_heading = "For every command", default_value = config::CEILING)]
    ceiling_file: PathBuf,
    /// What is logged: error, warn, info, debug.
    #[arg(
        long,
        global = true,
        help_heading = "For every command",
        default_value = "info",
        env = "FLEETMEND_AGENT_LOG"
    )]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Brings this host into a fleet.
    Enroll(Enroll),
    /// Runs the agent.
    Run,
    /// Reads logs, or this machine, and says what fails and why. Needs no server.
    Scan(scan::ScanArgs),
    /// Says how the agent does.
    Status(Form),
    /// Walks the way to the server and says where it ends.
    Doctor(Form),
    /// Says what a remediation would do, step by step, and does nothing. Needs no server.
    DryRun {
        /// Its name in the catalogue, such as clear_update_cache.
        remediation: Slug,
        /// The language: en or ru.
        #[arg(long, default_value_t = Lang::En)]
        lang: Lang,
    },
    /// Forgets who this host is: before an image is cloned, or to enrol anew.
    Generalize,
    /// Runs a step's program for an agent that may be stopped meanwhile; for the agent itself only.
    #[command(hide = true)]
    Keep {
        /// What is to be run, and where its outcome goes.
        folder: PathBuf,
    },
    /// Installs or removes the system service.
    Service {
        #[command(subcommand)]
        action: ServiceAction,
    },
}

#[derive(Debug, Args)]
struct Form {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Args)]
struct Enroll {
    /// The server: https://HOST:7443 or HOST:7443.
    #[arg(long)]
    server: ServerAddress,
    /// The enrolment token, whole.
    #[arg(long, env = "FLEETMEND_ENROLLMENT_TOKEN", hide_env_values = true)]
    token: TokenText,
    /// An HTTP proxy (http://HOST:PORT), or `none`; the environment's where not given.
    #[arg(long)]
    proxy: Option<String>,
    /// A name instead of the machine's own.
    #[arg(long)]
    name: Option<String>,
    /// The highest risk that may be ordered on this host: observe, safe, disruptive, dangerous.
    /// Written to the ceiling file; left as it is where not given.
    #[arg(long)]
    ceiling: Option<Allowed>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ServiceAction {
    /// Writes the systemd unit, and starts it where systemd runs.
    Install,
    /// Stops the service and removes the unit.
    Uninstall,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(&cli.paths.log);
    match fleetmend_faults::asked() {
        Ok(None) => {}
        Ok(Some(asked)) => tracing::warn!(%asked, "this test build does wrong on purpose"),
        Err(why) => {
            say(&format!("fleetmend-agent: {why}\n"));
            return ExitCode::FAILURE;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = runtime.context("the runtime cannot be started").and_then(|r| r.block_on(go(cli)));
    code.unwrap_or_else(|error| {
        say(&format!("fleetmend-agent: {error:#}\n"));
        ExitCode::FAILURE
    })
}

/// Best effort: there is nowhere else to say it.
fn say(words: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
}

async fn go(cli: Cli) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if let Command::Keep { folder } = &cli.command {
        // Whatever is wrong with the settings meanwhile: this needs none.
        return keep(folder).await.map(|()| ExitCode::SUCCESS);
    }
    let paths = cli.paths;
    let config = AgentConfig::new(&paths.state_dir, &paths.ceiling_file).read(&paths.config)?;
    match cli.command {
        Command::Scan(arguments) => {
            return scan::command(arguments, machine().as_ref(), clock.as_ref()).await;
        }
        Command::Keep { .. } => {}
        Command::Enroll(wish) => enrol(wish, &config, &clock).await?,
        Command::Run => Box::pin(run(config, clock)).await?,
        Command::Status(form) => {
            let status = status::status(&config, clock.now())?;
            let text = match form.output {
                Output::Table => status.table(),
                Output::Json => serde_json::to_string_pretty(&status)? + "\n",
            };
            commands::print(&text)?;
        }
        Command::Doctor(form) => {
            let checks = doctor::doctor(&config, clock).await;
            let text = match form.output {
                Output::Table => doctor::table(&checks),
                Output::Json => serde_json::to_string_pretty(&checks)? + "\n",
            };
            commands::print(&text)?;
            if doctor::failed(&checks) {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::DryRun { remediation, lang } => {
            let catalogue = fleetmend_catalog::builtin();
            let Some(known) = catalogue.remediations.get(&remediation) else {
                anyhow::bail!("this agent's catalogue has no remediation {remediation}");
            };
            commands::print(&dry_run(catalogue, known, lang).to_string())?;
        }
        Command::Generalize => {
            let was = generalize::generalize(&StateDir::open(&config.state_dir)?)?;
            let words = if was {
                "this host's identity is removed; enrol it, or clone it, now\n"
            } else {
                "this host was not enrolled; what was left over is removed\n"
            };
            commands::print(words)?;
        }
        Command::Service { action } => {
            let platform = machine();
            let done = match action {
                ServiceAction::Install => {
                    let flags = [
                        ("--state-dir", &paths.state_dir),
                        ("--config", &paths.config),
                        ("--ceiling-file", &paths.ceiling_file),
                    ];
                    let flags: Vec<String> = flags
                        .iter()
                        .flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()])
                        .collect();
                    let binary = std::env::current_exe()?;
                    let identity = config.state_dir.join(identity::NAME);
                    service::install(platform.as_ref(), &binary, &flags, &identity).await?
                }
                ServiceAction::Uninstall => service::uninstall(platform.as_ref()).await?,
            };
            commands::print(&(done.join("\n") + "\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn enrol(wish: Enroll, config: &AgentConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
    let state = StateDir::open(&config.state_dir)?;
    let _lock = state.lock()?;
    let request = enroll::Request {
        server: wish.server,
        token: wish.token,
        proxy: wish.proxy.or_else(|| config.proxy.clone()),
        name: wish.name,
    };
    let platform = machine();
    let enrolled = enroll::enroll(&state, request, platform.as_ref(), Arc::clone(clock)).await?;
    if let Some(risk) = wish.ceiling {
        write_ceiling(&config.ceiling_file, risk)?;
    }
    let accepted = if enrolled.pending {
        "; it reports, and gets orders once an operator accepts it (`fleetmend hosts accept`)"
    } else {
        ""
    };
    let ceiling = Ceiling::load(&config.ceiling_file).ceiling.risk;
    commands::print(&format!(
        "enrolled as {} at {}{accepted}; ceiling: {ceiling}\n",
        enrolled.identity.host, enrolled.identity.server
    ))?;
    Ok(())
}

fn write_ceiling(path: &std::path::Path, risk: Allowed) -> anyhow::Result<()> {
    let ceiling = Ceiling { risk, ..Ceiling::default() };
    let text = format!(
        "# The most that any server may order on this host. Only this file widens it.\n{}",
        toml::to_string(&ceiling)?
    );
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    state::replace(path, text.as_bytes())
        .with_context(|| format!("the ceiling {} cannot be written", path.display()))
}

async fn run(config: AgentConfig, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let app = fleetmend_agent::App::new(config, machine(), clock);
    let asked = stop.clone();
    tokio::select! {
        ran = app.run(stop) => Ok(ran?),
        error = stop_on_signal(asked) => Err(error),
    }
}

/// Asks the agent to stop at the first signal, and gives up waiting at the second.
async fn stop_on_signal(stop: CancellationToken) -> anyhow::Error {
    for _ in 0..2 {
        if let Err(error) = signal().await {
            tracing::error!(%error, "signals cannot be heard");
            return std::future::pending().await;
        }
        tracing::info!("stopping; the step that runs is waited for");
        stop.cancel();
    }
    anyhow::anyhow!("stopped at once")
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// This program starts itself to keep the programs of steps: by the file that it runs from, even when
/// that was replaced meanwhile.
#[cfg(target_os = "linux")]
fn machine() -> Arc<dyn Platform> {
    Arc::new(fleetmend_agent::platform::Linux::keeping("/proc/self/exe"))
}

#[cfg(target_os = "linux")]
async fn keep(folder: &std::path::Path) -> anyhow::Result<()> {
    Ok(fleetmend_agent::platform::keeper::keep(folder).await?)
}

#[cfg(not(target_os = "linux"))]
async fn keep(_: &std::path::Path) -> anyhow::Result<()> {
    anyhow::bail!("not on this system")
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Arc<dyn Platform> {
    Arc::new(fleetmend_agent::platform::Elsewhere)
}

fn log_to_stderr(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(std::io::stderr)
        .init();
}
