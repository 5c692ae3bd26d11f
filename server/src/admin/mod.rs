//! The server's command line. Errors are one line on standard error; exit code 0 ok, 1 failed,
//! 2 usage.

mod commands;
mod duration;
mod halt;
mod health;
mod migrate_store;
mod people;
mod recount;
mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

use crate::config::Overrides;

/// Fleetmend's server: why updates and backups fail, fixed in safe waves, proved fixed.
#[derive(Debug, Parser)]
#[command(name = "fleetmend-server", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    settings: Overrides,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve agents and people until SIGINT or SIGTERM.
    Serve,
    /// Bring the database to this version.
    Migrate,
    /// Ask the running server whether it is ready, on the metrics port: for containers.
    Health,
    /// Stop the whole fleet, or let it go on: nothing new starts while it is halted. Works with the
    /// database and the server down.
    Halt(halt::HaltWish),
    /// Move everything from SQLite to an empty Postgres.
    MigrateStore(migrate_store::MigrateStore),
    /// Count the numbers behind the trends anew from the reports, and say which were wrong.
    Recount,
    /// The machine's clock.
    #[command(subcommand)]
    Clock(ClockCommand),
    /// The settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// People who run the server.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Tokens with which hosts enrol.
    #[command(subcommand)]
    EnrollmentToken(TokenCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and print them, secrets left out.
    Check {
        /// Connect to the database too; changes nothing in it.
        #[arg(long)]
        connect: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ClockCommand {
    /// Say that the clock is right although it moved more than 31 days since old things were last
    /// dropped: they are dropped again from now on.
    Believe,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Make a user with the role admin. The password is asked for on a terminal; else one for the
    /// first log-in is printed, once.
    Create {
        /// The name to log in with; stands in the audit log.
        #[arg(long, default_value = "admin")]
        name: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Make an API token with the role admin instead, for programs, and print it once. It can
        /// neither approve nor manage people.
        #[arg(long, conflicts_with = "password_stdin")]
        api_token: bool,
    },
    /// Give a user another password, and end a lock-out: where nobody can log in any more.
    Reset {
        /// The user's name.
        #[arg(long)]
        name: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make an enrolment token, and print it once.
    Create(NewToken),
}

#[derive(Debug, Args)]
struct NewToken {
    /// A name for people.
    #[arg(long, default_value = "enrolment")]
    name: String,
    /// How many hosts may enrol with it. One host is accepted at once; hosts of a token for more
    /// stay pending until somebody accepts them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    uses: u32,
    /// How long it is good for: 90m, 24h, 7d. [default: 24h, at most 30d]
    #[arg(long, default_value = "24h", value_parser = duration::parse, hide_default_value = true)]
    expires: std::time::Duration,
    /// A label that its hosts get; may repeat.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// A network that its hosts must come from; may repeat.
    #[arg(long, value_name = "NETWORK")]
    cidr: Vec<IpNet>,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(err) => {
            let _ = err.print();
            return ExitCode::from(u8::from(err.use_stderr()) * 2);
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, the whole chain.
            let text = format!("{error:#}").replace('\n', " ");
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("fleetmend-server: {text}\n").as_bytes(),
            );
            let usage = error.downcast_ref::<crate::config::ConfigError>().is_some()
                || error.downcast_ref::<crate::enroll::token::BadWish>().is_some();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as site=oslo".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_for_many_hosts_reads_as_written() {
        let cli = Cli::try_parse_from([
            "fleetmend-server",
            "enrollment-token",
            "create",
            "--uses",
            "50",
            "--expires",
            "7d",
            "--label",
            "site=oslo",
            "--cidr",
            "10.0.0.0/8",
            "--data-dir",
            "/srv/f",
        ]);
        let Command::EnrollmentToken(TokenCommand::Create(new)) = cli.expect("valid").command
        else {
            panic!("another command")
        };
        assert_eq!((new.uses, new.expires.as_secs()), (50, 7 * 86_400));
        assert_eq!(new.label, [("site".to_owned(), "oslo".to_owned())]);
    }
}
