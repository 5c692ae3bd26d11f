//! The server's settings: one TOML file, overridden by `FLEETMEND_…` variables, overridden by flags.
//!
//! Everything is checked before anything starts; a message names the setting and the remedy.

mod approvals;
mod database;
mod overdue;
mod overrides;
mod retention;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_core::campaign::{ApprovalPolicy, StandardChange};
use fleetmend_core::incident::IncidentRules;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::limits;
use serde::{Deserialize, Serialize};

pub use approvals::ApprovalSettings;
pub use database::{DatabaseOverrides, DatabaseSettings};
pub use overdue::{OverdueOverride, OverdueSettings, TransientSettings};
pub use overrides::Overrides;
pub use retention::Retention;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the database is; by default `fleetmend.db` in the data directory.
    pub database_url: Option<String>,
    /// A file that holds the address of the database, for one with a password in it.
    pub database_url_file: Option<PathBuf>,
    /// Where the certificate authority and, by default, the database live.
    pub data_dir: PathBuf,
    /// Where agents connect.
    pub agent_listen: SocketAddr,
    /// Where people connect.
    pub http_listen: SocketAddr,
    /// Where Prometheus reads.
    pub metrics_listen: SocketAddr,
    /// The people's certificate chain, PEM.
    pub http_cert: Option<PathBuf>,
    /// The people's key, PEM.
    pub http_key: Option<PathBuf>,
    /// The life of a host's certificate, in days.
    pub certificate_days: u32,
    /// How often agents look for new failures, in seconds.
    pub agent_scan_seconds: u32,
    /// How often agents send their host's state, in seconds.
    pub agent_state_seconds: u32,
    /// What is logged: a level, or tracing's filter syntax.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// After how long what was not done is overdue.
    pub overdue: OverdueSettings,
    /// When failures that go by themselves become an incident.
    pub transient: TransientSettings,
    /// How long things are kept.
    pub retention: Retention,
    /// How the database is used.
    pub database: DatabaseSettings,
    /// Which campaigns need an approval.
    pub approvals: ApprovalSettings,
    /// What was approved beforehand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standard_change: Vec<StandardChange>,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            database_url: None,
            database_url_file: None,
            data_dir: "/var/lib/fleetmend-server".into(),
            agent_listen: SocketAddr::from(([0, 0, 0, 0], 7443)),
            http_listen: local(7080),
            metrics_listen: local(7090),
            http_cert: None,
            http_key: None,
            certificate_days: 30,
            agent_scan_seconds: 60,
            agent_state_seconds: 300,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            overdue: OverdueSettings::default(),
            transient: TransientSettings::default(),
            retention: Retention::default(),
            database: DatabaseSettings::default(),
            approvals: ApprovalSettings::default(),
            standard_change: Vec::new(),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the settings file {path} is wrong: {why}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why, in one line.
        why: String,
    },
    /// A setting has a value that cannot be used.
    #[error("{setting}: {why}")]
    Value {
        /// Its name.
        setting: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl Config {
    /// Reads the file where one is named, applies the overrides, and checks everything.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut config = match &overrides.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        config.apply(overrides);
        if let Some(path) = &config.database_url_file {
            config.database_url = Some(database::url_in(path)?);
        }
        config.check()?;
        Ok(config)
    }

    /// The address of the database.
    pub fn database_url(&self) -> String {
        self.database_url
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("fleetmend.db").display()))
    }

    /// Where the certificate authority lives.
    pub fn ca_dir(&self) -> PathBuf {
        self.data_dir.join("ca")
    }

    /// The life of a host's certificate.
    pub fn certificate_life(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.certificate_days))
    }

    /// What decides whether a report is an incident.
    pub fn incident_rules(&self, catalogue: &Catalogue) -> IncidentRules {
        IncidentRules {
            transient: IncidentRules::transient_of(catalogue),
            failures: self.transient.failures.into(),
            over: self.transient.over.duration(),
            overdue: self.overdue.rules(),
        }
    }

    /// When a campaign needs the approval of a second person.
    pub fn approval_policy(&self) -> ApprovalPolicy {
        self.approvals.policy(&self.standard_change)
    }

    /// The settings as TOML, secrets left out.
    pub fn to_printable(&self) -> String {
        let mut shown = self.clone();
        // What stands in a file stays there.
        let address = shown.database_url_file.is_none();
        shown.database_url = address.then(|| database::without_password(&self.database_url()));
        toml::to_string(&shown).unwrap_or_else(|err| format!("# cannot be printed: {err}\n"))
    }

    /// What is allowed and should be thought about, a line each.
    pub fn hints(&self) -> Vec<String> {
        database::hints(&self.database_url())
    }

    /// Checks every setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |setting, why: &str| Err(ConfigError::Value { setting, why: why.to_owned() });
        database::check_url(&self.database_url())
            .map_err(|why| ConfigError::Value { setting: "database_url", why })?;
        self.database.check()?;
        approvals::check(&self.standard_change, fleetmend_catalog::builtin())?;
        if self.http_cert.is_some() != self.http_key.is_some() {
            return wrong("http_cert", "http_cert and http_key go together: give both or none");
        }
        if !self.http_listen.ip().is_loopback() && self.http_cert.is_none() {
            let why = format!(
                "{} can be reached from other machines, and people would send their tokens in clear: \
                 give --http-cert and --http-key, or listen on 127.0.0.1",
                self.http_listen
            );
            return Err(ConfigError::Value { setting: "http_listen", why });
        }
        let max = limits::CERTIFICATE_LIFE.as_secs() / 86_400 * 12;
        if self.certificate_days == 0 || u64::from(self.certificate_days) > max {
            let why = format!("{} days; from 1 to {max}", self.certificate_days);
            return Err(ConfigError::Value { setting: "certificate_days", why });
        }
        for (setting, seconds) in [
            ("agent_scan_seconds", self.agent_scan_seconds),
            ("agent_state_seconds", self.agent_state_seconds),
        ] {
            if !(1..=86_400).contains(&seconds) {
                let why = format!("{seconds}; from 1 to 86400");
                return Err(ConfigError::Value { setting, why });
            }
        }
        self.overdue.check()?;
        self.transient.check()?;
        self.retention.check()?;
        crate::telemetry::check_filter(&self.log)
            .map_err(|why| ConfigError::Value { setting: "log", why })
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text).map_err(|err| {
            let line = err.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let why = format!("{at}{}", err.message().replace('\n', " "));
            ConfigError::Parse { path: path.to_owned(), why }
        })?;
        if config.database_url.is_some() && config.database_url_file.is_some() {
            let why = "database_url and database_url_file both stand in it: keep one".to_owned();
            return Err(ConfigError::Parse { path: path.to_owned(), why });
        }
        Ok(config)
    }

    fn apply(&mut self, over: &Overrides) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(from) = from {
                to.clone_from(from);
            }
        }
        set(&mut self.data_dir, over.data_dir.as_ref());
        set(&mut self.agent_listen, over.agent_listen.as_ref());
        set(&mut self.http_listen, over.http_listen.as_ref());
        set(&mut self.metrics_listen, over.metrics_listen.as_ref());
        set(&mut self.log, over.log.as_ref());
        set(&mut self.log_format, over.log_format.as_ref());
        // One address, however it is given: what is given later takes the place of both.
        if over.database_url.is_some() || over.database_url_file.is_some() {
            self.database_url.clone_from(&over.database_url);
            self.database_url_file.clone_from(&over.database_url_file);
        }
        self.http_cert = over.http_cert.clone().or(self.http_cert.take());
        self.http_key = over.http_key.clone().or(self.http_key.take());
        self.database.apply(&over.database);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, over: Overrides) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("server.toml");
        std::fs::write(&path, toml).expect("written");
        Config::load(&Overrides { config: Some(path), ..over }).map_err(|err| err.to_string())
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let over = Overrides {
            http_listen: Some(SocketAddr::from(([127, 0, 0, 1], 9))),
            ..Overrides::default()
        };
        let config = load("http_listen = \"127.0.0.1:8\"\ndata_dir = \"/srv/f\"", over);
        let config = config.expect("valid");
        assert_eq!(config.http_listen.port(), 9);
        assert_eq!(config.database_url(), "sqlite:///srv/f/fleetmend.db");
    }

    #[test]
    fn the_database_address_may_stand_in_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("url");
        let over = |url: Option<&str>, file: Option<&Path>| Overrides {
            database_url: url.map(str::to_owned),
            database_url_file: file.map(Path::to_owned),
            ..Overrides::default()
        };
        std::fs::write(&file, "sqlite:///srv/by-file.db\n").expect("written");
        let toml = format!("database_url_file = {:?}", file.display().to_string());
        let url = |toml: &str, over| load(toml, over).map(|c| c.database_url());
        assert_eq!(url(&toml, over(None, None)), Ok("sqlite:///srv/by-file.db".to_owned()));
        let flag = over(Some("sqlite:///srv/by-flag.db"), None);
        assert_eq!(url(&toml, flag), Ok("sqlite:///srv/by-flag.db".to_owned()));
        let flag = over(None, Some(file.as_path()));
        let both = url("database_url = \"sqlite:///srv/by-toml.db\"", flag);
        assert_eq!(both, Ok("sqlite:///srv/by-file.db".to_owned()));
        let both = format!("{toml}\ndatabase_url = \"sqlite:///x\"");
        assert!(url(&both, over(None, None)).expect_err("both").contains("keep one"));
        std::fs::write(&file, "sqlite:///a\nsecret").expect("written");
        let said = url(&toml, over(None, None)).expect_err("two lines");
        assert!(said.starts_with("database_url_file: ") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn wrong_settings_are_refused_by_name() {
        for (toml, part) in [
            ("htp_listen = 1", "unknown field `htp_listen`"),
            ("http_listen = \"0.0.0.0:7080\"", "http_listen: 0.0.0.0:7080 can be reached"),
            ("http_cert = \"/x\"", "go together"),
            ("certificate_days = 0", "certificate_days: 0 days"),
            ("database_url = \"mysql://me:secret@h/d\"", "database_url: write sqlite:"),
            ("database_url = \"postgres://me:secret@h\"", "database_url: it names no database"),
            ("database_url = \"postgres://h/d?sslmode=maybe\"", "database_url: sslmode=maybe"),
            ("database_url = \"postgres://h/d?sslrootcert=/none\"", "sslrootcert"),
            ("[database]\nmax_connections = 1", "database.max_connections: 1; from 2 to 200"),
            ("[database]\nstatement_seconds = 99", "database.statement_seconds: 99"),
            ("[database]\nstatment_seconds = 9", "unknown field `statment_seconds`"),
            ("log = \"what=ever=\"", "log:"),
            ("[overdue]\nscan = \"7w\"", "\"7w\" is not a span of time"),
            ("[overdue]\nsilent = \"5m\"", "overdue.silent: 5m; from 15m"),
            ("[overdue]\nbackup = \"5m\"", "overdue.backup: 5m; from 60m"),
            ("[[overdue.override]]\nlabel = \"role\"", "overdue.override.label: \"role\": write"),
            ("[[overdue.override]]\nlabel = \"a=b\"\nscn = \"1d\"", "unknown field `scn`"),
            ("[transient]\nfailures = 0", "transient.failures: 0; from 1"),
            ("[retention]\nreports_days = 6", "retention.reports_days: 6 days; from 7 to 3650"),
            ("[retention]\nincidents_days = 59", "retention.incidents_days: 59 days; from 60"),
            ("[retention]\nreports_days = 401", "an incident is kept at least as long"),
            ("[retention]\naudit_days = 9", "unknown field `audit_days`"),
        ] {
            let err = load(toml, Overrides::default()).expect_err(toml);
            assert!(err.contains(part), "{toml}: {err}");
            assert!(!err.contains('\n') && !err.contains("secret"), "{err}");
        }
    }

    #[test]
    fn thresholds_are_read_with_those_of_labels() {
        let toml = "[overdue]\nscan = \"36h\"\nbackup = \"off\"\n\
                    [[overdue.override]]\nlabel = \"role=server\"\nsilent = \"4h\"\nbackup = \"1d\"";
        let config = load(toml, Overrides::default()).expect("valid");
        let rules = config.overdue.rules();
        let labels = [("role".to_owned(), "server".to_owned())].into();
        let (usual, server) = (rules.usual, rules.of(&labels));
        assert_eq!(
            (usual.scan.to_string(), usual.backup.to_string()),
            ("36h".into(), "off".into())
        );
        assert_eq!(
            (server.silent.to_string(), server.backup.to_string()),
            ("4h".into(), "1d".into())
        );
        assert_eq!(server.scan, usual.scan);
        // What is printed can be read again.
        let again = load(&config.to_printable(), Overrides::default()).expect("valid");
        assert_eq!(again.overdue, config.overdue);
    }

    #[test]
    fn printed_settings_hold_no_password() {
        let over = |url: &str| Overrides { database_url: Some(url.into()), ..Overrides::default() };
        let config = load("", over("postgres://me:sec@ret@h/d")).expect("valid").to_printable();
        assert!(config.contains("postgres://me:…@h/d"), "{config}");
        let config = load("", over("postgres://h/d?user=me&password=sec%40ret")).expect("valid");
        assert!(!config.to_printable().contains("%40ret"), "{}", config.to_printable());
        // What is printed can be read again.
        let file = load("[database]\nmax_connections = 7", Overrides::default()).expect("valid");
        assert_eq!(
            load(&file.to_printable(), Overrides::default()),
            Ok(Config { database_url: Some(file.database_url()), ..file })
        );
    }
}
