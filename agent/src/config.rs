//! How the agent is set up: one small file, and the paths that flags may move.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::knowledge::Catalogue;
use serde::Deserialize;

use crate::collect::live::FIRST_LOOK;
use crate::link::backoff::Law;
use crate::watch::Watch;

/// Where the agent keeps its state unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/fleetmend-agent";
/// Where its settings are.
pub const CONFIG: &str = "/etc/fleetmend-agent/agent.toml";
/// Where the host's own limit is.
pub const CEILING: &str = "/etc/fleetmend-agent/ceiling.toml";

/// The settings of one agent.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Identity, spool, journal: readable by root only.
    pub state_dir: PathBuf,
    /// The host's own limit.
    pub ceiling_file: PathBuf,
    /// How often failures are looked for; the server's setting where `None`.
    pub collect_every: Option<Duration>,
    /// How far back the first look at a host's logs goes.
    pub first_look: Duration,
    /// How often the host's state is looked at; the server's setting where `None`.
    pub state_every: Option<Duration>,
    /// How often what blocks a job is looked at again.
    pub recheck_every: Duration,
    /// A proxy, or `none`; over that of the enrolment and of the environment.
    pub proxy: Option<String>,
    /// How long a running step is waited for when the agent is stopped.
    pub grace: Duration,
    /// How long to wait between tries to reach the server.
    pub backoff: Law,
    /// Who looks on.
    pub watch: Option<Arc<dyn Watch>>,
    /// What the agent knows.
    pub catalogue: &'static Catalogue,
}

impl AgentConfig {
    /// The defaults, with state and ceiling where given.
    pub fn new(state_dir: impl Into<PathBuf>, ceiling_file: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            ceiling_file: ceiling_file.into(),
            collect_every: None,
            first_look: FIRST_LOOK,
            state_every: None,
            recheck_every: Duration::from_secs(30),
            proxy: None,
            grace: Duration::from_secs(80),
            backoff: Law::default(),
            watch: None,
            catalogue: fleetmend_catalog::builtin(),
        }
    }

    /// Takes over what the file says; a missing file says nothing.
    pub fn read(mut self, path: &Path) -> Result<Self, ConfigError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self),
            Err(source) => return Err(ConfigError::Io { path: path.to_owned(), source }),
        };
        let bad = |why: String| ConfigError::Bad { path: path.to_owned(), why };
        let file: File = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let seconds = |name: &str, value: Option<u64>| match value {
            Some(s) if !(1..=86_400).contains(&s) => {
                Err(bad(format!("{name} = {s}: write seconds, 1 to 86400")))
            }
            s => Ok(s.map(Duration::from_secs)),
        };
        self.collect_every = seconds("collect_every_s", file.collect_every_s)?;
        self.state_every = seconds("state_every_s", file.state_every_s)?;
        if let Some(every) = seconds("recheck_every_s", file.recheck_every_s)? {
            self.recheck_every = every;
        }
        if let Some(grace) = seconds("grace_s", file.grace_s)? {
            self.grace = grace;
        }
        self.proxy = file.proxy;
        Ok(self)
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says something that it may not.
    #[error("{path}: {why}")]
    Bad {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    collect_every_s: Option<u64>,
    state_every_s: Option<u64>,
    recheck_every_s: Option<u64>,
    grace_s: Option<u64>,
    proxy: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_wrong_ones_named() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("agent.toml");
        let read = |text: &str| {
            fs::write(&path, text).expect("written");
            AgentConfig::new("/s", "/c").read(&path)
        };
        let config = read("collect_every_s = 2\nproxy = \"none\"").expect("valid");
        assert_eq!(config.collect_every, Some(Duration::from_secs(2)));
        assert_eq!(config.proxy.as_deref(), Some("none"));
        let error = read("grace_s = 0").expect_err("refused").to_string();
        assert!(error.contains("grace_s = 0"), "{error}");
        assert!(read("colect_every_s = 2").is_err());
        assert!(AgentConfig::new("/s", "/c").read(Path::new("/nonexistent")).is_ok());
    }
}
