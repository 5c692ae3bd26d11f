//! Flags and variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::LogFormat;
use super::database::DatabaseOverrides;

/// Flags and variables that override the file. The same names in all three.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// The settings file (TOML).
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_CONFIG",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// The database: sqlite:///path/file.db or postgres://role@host/name?sslmode=verify-full. A
    /// password is safer in a file or the variable: every user of the machine sees the flags.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,
    /// A file that holds the database's address: one line, for one with a password in it.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATABASE_URL_FILE",
        value_name = "FILE",
        conflicts_with = "database_url"
    )]
    pub database_url_file: Option<PathBuf>,
    /// Where the certificate authority and, by default, the database live.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_DATA_DIR",
        value_name = "DIR"
    )]
    pub data_dir: Option<PathBuf>,
    /// Where agents connect.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_AGENT_LISTEN",
        value_name = "ADDR:PORT"
    )]
    pub agent_listen: Option<SocketAddr>,
    /// Where people connect: REST and dashboard.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_HTTP_LISTEN",
        value_name = "ADDR:PORT"
    )]
    pub http_listen: Option<SocketAddr>,
    /// Where Prometheus reads.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_METRICS_LISTEN",
        value_name = "ADDR:PORT"
    )]
    pub metrics_listen: Option<SocketAddr>,
    /// The people's certificate chain (PEM); needed off loopback.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_HTTP_CERT",
        value_name = "FILE"
    )]
    pub http_cert: Option<PathBuf>,
    /// The people's key (PEM); needed off loopback.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_HTTP_KEY",
        value_name = "FILE"
    )]
    pub http_key: Option<PathBuf>,
    /// What is logged: info, debug, or tracing's filter syntax.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_LOG",
        value_name = "FILTER"
    )]
    pub log: Option<String>,
    /// How logs are written.
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "FLEETMEND_LOG_FORMAT",
        value_enum
    )]
    pub log_format: Option<LogFormat>,
    /// How the database is used.
    #[command(flatten)]
    pub database: DatabaseOverrides,
}
