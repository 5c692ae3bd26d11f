//! The host's own limit on what any server may have done here. A local file of the host's admin; no
//! message widens it. Absent, it allows nothing; damaged, it allows nothing and says so loudly.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fleetmend_core::knowledge::{RebootNeed, Remediation, Risk};
use fleetmend_core::time::Timestamp;
use fleetmend_core::words;
use serde::{Deserialize, Serialize};

words! {
    /// The highest risk that the host's admin allows.
    pub enum Allowed ("ceiling") {
        /// Look and report; change nothing.
        Observe = "observe",
        /// Safe remediations.
        Safe = "safe",
        /// Disruptive ones too.
        Disruptive = "disruptive",
        /// Dangerous ones too.
        Dangerous = "dangerous",
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// The highest risk.
    pub risk: Allowed,
    /// Step kinds that may be used (`tool.run`, `file.rename`…, or `file.*`); all, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<String>>,
    /// When work may begin, in UTC: `22:00-05:00`; always, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Jobs that may begin in a day (UTC); unlimited, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions_per_day: Option<u32>,
    /// Whether a restart is allowed.
    #[serde(default)]
    pub reboot: bool,
}

/// A span of the day, in minutes from midnight UTC; may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: u16,
    until: u16,
}

/// A ceiling and what there is to say about its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What holds.
    pub ceiling: Ceiling,
    /// What is wrong with the file, where something is.
    pub problem: Option<String>,
}

/// What is asked of the ceiling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The words for it.
    what: String,
    risk: Risk,
    /// The kinds of its steps.
    kinds: Vec<&'static str>,
    restarts: bool,
}

/// Why a remediation is not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// Never under this ceiling: the job is skipped.
    Refused(String),
    /// Not now: the job waits.
    NotNow(String),
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            risk: Allowed::Observe,
            families: None,
            hours: None,
            actions_per_day: None,
            reboot: false,
        }
    }
}

impl Ceiling {
    /// Reads the file. Read anew for each job, so that lowering it works at once.
    pub fn load(path: &Path) -> Loaded {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Loaded { ceiling: Self::default(), problem: None };
            }
            Err(error) => return Loaded::nothing(path, &error.to_string()),
        };
        if let Some(problem) = writable_by_others(path) {
            return Loaded::nothing(path, &problem);
        }
        match toml::from_str(&text) {
            Ok(ceiling) => Loaded { ceiling, problem: None },
            Err(error) => Loaded::nothing(path, error.message()),
        }
    }

    /// What speaks against beginning it now, with `begun_today` jobs begun already.
    pub fn objection(&self, asked: &Asked, begun_today: u32, now: Timestamp) -> Option<Objection> {
        let refused = |why: String| Some(Objection::Refused(why));
        if !self.allows(asked.risk) {
            return refused(format!(
                "the host's own ceiling is \"{}\" and {} is {}; only the host's admin raises it (ceiling.toml on the host)",
                self.risk, asked.what, asked.risk
            ));
        }
        if let Some(kind) = asked.kinds.iter().find(|kind| !self.allows_kind(kind)) {
            return refused(format!("the host's own ceiling does not allow {kind} steps"));
        }
        if asked.restarts && !self.reboot {
            return refused("the host's own ceiling does not allow a restart".to_owned());
        }
        if let Some(hours) = self.hours.filter(|hours| !hours.hold(now)) {
            let hours = String::from(hours);
            return Some(Objection::NotNow(format!(
                "the host's own hours for work are {hours} UTC"
            )));
        }
        self.actions_per_day.filter(|most| begun_today >= *most).map(|most| {
            Objection::NotNow(format!("the host's own limit of {most} jobs a day is reached"))
        })
    }

    fn allows(&self, risk: Risk) -> bool {
        match risk {
            Risk::Safe => self.risk >= Allowed::Safe,
            Risk::Disruptive => self.risk >= Allowed::Disruptive,
            Risk::Dangerous => self.risk >= Allowed::Dangerous,
            Risk::Guided | Risk::Refused => false,
        }
    }

    fn allows_kind(&self, kind: &str) -> bool {
        let fits = |family: &String| match family.strip_suffix(".*") {
            Some(stem) => kind.split('.').next() == Some(stem),
            None => family == kind,
        };
        self.families.as_ref().is_none_or(|families| families.iter().any(fits))
    }
}

impl Asked {
    /// A remediation's steps.
    pub fn remediation(remediation: &Remediation) -> Self {
        let kinds: Vec<&str> = remediation.steps.iter().map(|s| s.action.kind()).collect();
        Self {
            what: format!("\"{}\"", remediation.id),
            risk: remediation.risk,
            restarts: remediation.reboot == RebootNeed::Always || kinds.contains(&"reboot"),
            kinds,
        }
    }

    /// The restart that a remediation makes.
    pub fn restart(remediation: &Remediation) -> Self {
        let what = format!("the restart of \"{}\"", remediation.id);
        Self { what, risk: remediation.risk, kinds: vec!["reboot"], restarts: true }
    }

    /// A proof that changes something: it starts a unit, or fetches lists.
    pub fn proof(remediation: &Remediation) -> Self {
        let what = format!("the proof \"{}\", which changes something,", remediation.verification);
        Self { what, risk: Risk::Safe, kinds: Vec::new(), restarts: false }
    }

    /// Taking a remediation back; one that is not known any more counts as *disruptive*.
    pub fn undo(remediation: Option<&Remediation>) -> Self {
        let known = remediation.map(Self::remediation);
        Self {
            what: "taking it back".to_owned(),
            risk: known.as_ref().map_or(Risk::Disruptive, |asked| asked.risk),
            kinds: known.map(|asked| asked.kinds).unwrap_or_default(),
            restarts: false,
        }
    }
}

impl Loaded {
    fn nothing(path: &Path, why: &str) -> Self {
        let problem = format!(
            "{} is not usable ({why}): nothing is allowed on this host until it is corrected or removed",
            path.display()
        );
        Self { ceiling: Ceiling::default(), problem: Some(problem) }
    }
}

impl Hours {
    fn hold(self, now: Timestamp) -> bool {
        let minute = now.as_millis().div_euclid(60_000).rem_euclid(1_440);
        let minute = u16::try_from(minute).unwrap_or(0);
        if self.from <= self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

impl TryFrom<String> for Hours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let clock = |part: &str| -> Option<u16> {
            let (hour, minute) = part.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let span = text
            .split_once('-')
            .and_then(|(from, until)| Some(Self { from: clock(from)?, until: clock(until)? }));
        span.ok_or_else(|| {
            format!("hours \"{text}\": write HH:MM-HH:MM in UTC, such as 22:00-05:00")
        })
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        let clock = |at: u16| format!("{:02}:{:02}", at / 60, at % 60);
        format!("{}-{}", clock(hours.from), clock(hours.until))
    }
}

/// The kill switch: a file named `halt` in the state directory or beside the ceiling.
pub fn halted(state: &Path, ceiling_file: &Path) -> Option<PathBuf> {
    let beside = ceiling_file.parent().map(|dir| dir.join("halt"));
    [Some(state.join("halt")), beside].into_iter().flatten().find(|path| path.exists())
}

fn writable_by_others(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let meta = fs::metadata(path).ok()?;
        let ours = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
        if !ours {
            return Some("it belongs to another user; chown root".to_owned());
        }
        let open = meta.mode() & 0o022 != 0;
        open.then(|| "others than its owner may write it; chmod 0644".to_owned())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Loaded {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("ceiling.toml");
        fs::write(&path, text).expect("written");
        Ceiling::load(&path)
    }

    #[test]
    fn absent_and_damaged_files_allow_nothing() {
        assert_eq!(Ceiling::load(Path::new("/nonexistent/x")).ceiling.risk, Allowed::Observe);
        assert_eq!(Ceiling::load(Path::new("/nonexistent/x")).problem, None);
        for bad in [
            "",
            "risk = \"high\"",
            "risk = \"safe\"\nextra = 1",
            "risk = \"safe\"\nhours = \"9-5\"",
        ] {
            let loaded = read(bad);
            assert_eq!(loaded.ceiling, Ceiling::default(), "{bad:?}");
            assert!(loaded.problem.is_some(), "{bad:?}");
        }
        assert_eq!(read("risk = \"safe\"").ceiling.risk, Allowed::Safe);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_allows_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("ceiling.toml");
        fs::write(&path, "risk = \"dangerous\"").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("set");
        let loaded = Ceiling::load(&path);
        assert_eq!(loaded.ceiling.risk, Allowed::Observe);
        assert!(loaded.problem.is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_another_user_allows_nothing() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("ceiling.toml");
        fs::write(&path, "risk = \"dangerous\"").expect("written");
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
            println!("skipped: only root gives files away");
            return;
        }
        let loaded = Ceiling::load(&path);
        assert_eq!(loaded.ceiling.risk, Allowed::Observe);
        assert!(loaded.problem.is_some_and(|p| p.contains("another user")));
    }

    #[test]
    fn hours_go_over_midnight() {
        let at = |hour: i64, minute: i64| Timestamp::from_millis((hour * 60 + minute) * 60_000);
        let night = Hours::try_from("22:00-05:00".to_owned()).expect("valid");
        assert!(night.hold(at(23, 0)) && night.hold(at(4, 59)));
        assert!(!night.hold(at(5, 0)) && !night.hold(at(21, 59)));
        let day = Hours::try_from("09:00-17:30".to_owned()).expect("valid");
        assert!(day.hold(at(9, 0)) && !day.hold(at(17, 30)));
    }

    #[test]
    fn families_name_kinds_or_whole_families() {
        let ceiling = read("risk = \"safe\"\nfamilies = [\"tool.run\", \"file.*\"]").ceiling;
        assert!(ceiling.allows_kind("tool.run") && ceiling.allows_kind("file.rename"));
        assert!(!ceiling.allows_kind("service.stop") && !ceiling.allows_kind("reboot"));
    }
}
