//! Questions about systemd's units. Where systemd does not run (containers), the answer is
//! *unknown*: that is not health.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::ServiceQuestion;
use fleetmend_core::time::Timestamp;

use super::{ask, ask_for, with_value, words, yes_if};

use crate::collect::live::backups;
use crate::platform::{Exit, Platform};

const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// Units and timers that are named at once.
pub(crate) const NAMED: usize = 32;
/// How long after the start of a host missed runs may take to be made up for.
const MAKE_UP: Duration = Duration::from_hours(24);
/// Parts of the names of units that update or save a system.
const OURS: [&str; 14] = [
    "apt-",
    "dpkg",
    "unattended",
    "packagekit",
    "dnf",
    "yum-",
    "zypp",
    "backup",
    "restic",
    "borg",
    "rsync",
    "snapper",
    "btrbk",
    "rsnapshot",
];

/// A unit's properties; the reason where systemd cannot be asked.
pub(crate) async fn properties(
    platform: &dyn Platform,
    unit: &str,
) -> Result<BTreeMap<String, String>, String> {
    Ok(pairs(&shown(platform, unit).await?))
}

/// A unit's properties as systemctl prints them, with each of its commands. Its commands may hold
/// secrets: they are shown to nobody.
pub(crate) async fn shown(platform: &dyn Platform, unit: &str) -> Result<String, String> {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':' | '\\');
    if unit.starts_with('-') || !unit.chars().all(plain) {
        return Err(format!("{unit:?} is no unit's name"));
    }
    let args = [
        "show",
        "--no-pager",
        "-p",
        "Id,LoadState,ActiveState,SubState,UnitFileState,Result,InvocationID,StateChangeTimestampMonotonic,ExecMainCode,ExecStart",
        unit,
    ];
    systemctl(platform, &args).await
}

pub(crate) fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|l| l.split_once('='));
    pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect()
}

/// What systemctl prints; the reason where it cannot be asked.
pub(crate) async fn systemctl(platform: &dyn Platform, args: &[&str]) -> Result<String, String> {
    printed(&ask(platform, SYSTEMCTL, args).await?)
}

/// The same with its times in UTC, whatever the host's zone is, and with room for more.
pub(super) async fn systemctl_in_utc(
    platform: &dyn Platform,
    args: &[&str],
    max_output: usize,
) -> Result<String, String> {
    // No release before 247 has an option for it.
    let args = [&["TZ=UTC", SYSTEMCTL], args].concat();
    printed(&ask_for(platform, "/usr/bin/env", &args, max_output).await?)
}

fn printed(exit: &Exit) -> Result<String, String> {
    let text = exit.text();
    if text.contains("not been booted with systemd") || text.contains("Failed to connect to bus") {
        return Err("systemd does not run here".to_owned());
    }
    if exit.status != Some(0) {
        return Err(format!("systemctl ended with {:?}: {}", exit.status, words(&text)));
    }
    Ok(text)
}

pub(super) async fn service(
    platform: &dyn Platform,
    unit: &str,
    question: ServiceQuestion,
) -> Finding {
    let found = match properties(platform, unit).await {
        Ok(found) => found,
        Err(why) => return Finding::unknown(why),
    };
    let is =
        |key: &str, values: &[&str]| found.get(key).is_some_and(|v| values.contains(&v.as_str()));
    let missing = is("LoadState", &["not-found"]);
    if missing && question != ServiceQuestion::Missing {
        return Finding::unknown(format!("{unit} does not exist"));
    }
    let so = match question {
        ServiceQuestion::Disabled => is("UnitFileState", &["disabled", "masked", "masked-runtime"]),
        ServiceQuestion::Missing => missing,
        ServiceQuestion::Failed => is("ActiveState", &["failed"]),
        ServiceQuestion::Running => is("ActiveState", &["active", "reloading"]),
        ServiceQuestion::Stopped => !is("ActiveState", &["active", "reloading", "activating"]),
    };
    let get = |key: &str| found.get(key).map_or("?", String::as_str);
    let proof = format!(
        "{unit}: load {}, active {} ({}), file {}, result {}",
        get("LoadState"),
        get("ActiveState"),
        get("SubState"),
        get("UnitFileState"),
        get("Result")
    );
    with_value(yes_if(so), proof, unit)
}

/// Failed units that are looked at.
const FAILED: usize = 128;

/// The units that update or save the system and have failed, at most [`NAMED`]: by their names, or by
/// the backup programs that they run.
pub(crate) async fn failed_units(platform: &dyn Platform) -> Result<Vec<String>, String> {
    let args = ["list-units", "--failed", "--full", "--plain", "--no-legend", "--no-pager"];
    let text = systemctl(platform, &args).await?;
    let units = text.lines().filter_map(|l| l.split_whitespace().next()).take(FAILED);
    let mut ours = Vec::new();
    for unit in units {
        if ours.len() < NAMED && (is_ours(unit) || saves(platform, unit).await?) {
            ours.push(unit.to_owned());
        }
    }
    Ok(ours)
}

/// Whether a service runs a backup program.
async fn saves(platform: &dyn Platform, unit: &str) -> Result<bool, String> {
    if !unit.ends_with(".service") {
        return Ok(false);
    }
    let shown = shown(platform, unit).await?;
    Ok(backups::commands(&shown).iter().any(|command| backups::runs(command).is_some()))
}

/// Whether a unit that updates or saves the system has failed: `about`, or any.
pub(super) async fn failed(platform: &dyn Platform, about: Option<&str>) -> Finding {
    if let Some(unit) = about {
        return service(platform, unit, ServiceQuestion::Failed).await;
    }
    match failed_units(platform).await {
        Err(why) => Finding::unknown(why),
        Ok(units) => match units.first() {
            Some(unit) => {
                with_value(Answer::Yes, format!("systemctl lists {unit} as failed"), unit)
            }
            None => Finding::new(Answer::No, "no unit that updates or saves the system has failed"),
        },
    }
}

/// A timer, as systemctl lists it (microseconds since the epoch).
#[derive(Debug, serde::Deserialize)]
struct Timer {
    unit: Option<String>,
    activates: Option<String>,
    last: Option<u64>,
    next: Option<u64>,
}

/// A timer that missed its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Late {
    /// Its name.
    pub unit: String,
    /// When it last ran.
    pub last: Timestamp,
}

/// The timers that update or save the system: those that are late, at most [`NAMED`], and how many
/// there are.
///
/// Those of apt run daily. Of others the period is not told: such a one is late when no run is
/// planned and two weeks have gone by. After a start of the host, what is planned has a day to be
/// made up for. One that never ran may be new.
pub(crate) async fn late_timers(
    platform: &dyn Platform,
    now: Timestamp,
) -> Result<(Vec<Late>, usize), String> {
    let args = ["list-timers", "--all", "--full", "--no-pager", "--output=json"];
    let text = systemctl(platform, &args).await?;
    let timers = serde_json::from_str::<Vec<Timer>>(text.trim())
        .map_err(|_| "systemctl lists its timers in no form known here".to_owned())?;
    let up = super::system::up_for(platform.root());
    let settled = up.is_none_or(|up| up >= MAKE_UP);
    let (mut late, mut seen) = (Vec::new(), 0);
    for timer in timers {
        let Some(unit) = timer.unit else { continue };
        let named = is_ours(&unit) || timer.activates.as_deref().is_some_and(is_ours);
        let daily = unit.starts_with("apt-");
        let planned = timer.next.is_some_and(|us| us > 0);
        seen += usize::from(named);
        let Some(last) = timer.last.filter(|us| *us > 0).map(moment) else { continue };
        let limit = Duration::from_hours(if daily { 48 } else { 14 * 24 });
        let missed = if planned { daily && settled } else { true };
        if missed && now.since(last) > limit && late.len() < NAMED {
            // What a timer starts is asked for only where it matters.
            let saves = match timer.activates.as_deref().filter(|_| !named) {
                Some(started) => saves(platform, started).await?,
                None => named,
            };
            if saves {
                late.push(Late { unit, last });
            }
        }
    }
    Ok((late, seen))
}

/// Whether a timer that updates or saves the system is late: `about`, or any.
pub(super) async fn timer_missed(
    platform: &dyn Platform,
    about: Option<&str>,
    now: Timestamp,
) -> Finding {
    let (late, seen) = match late_timers(platform, now).await {
        Ok(found) => found,
        Err(why) => return Finding::unknown(why),
    };
    let found = late.into_iter().find(|late| about.is_none_or(|unit| unit == late.unit));
    match (found, about) {
        (Some(Late { unit, last }), _) => {
            with_value(Answer::Yes, format!("{unit} last ran at {last}"), unit)
        }
        (None, Some(unit)) => Finding::new(Answer::No, format!("{unit} is not late")),
        (None, None) => {
            let words = format!("{seen} timers that update or save the system, none late");
            Finding::new(Answer::No, words)
        }
    }
}

fn is_ours(unit: &str) -> bool {
    OURS.iter().any(|part| unit.contains(part))
}

fn moment(us: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(us / 1_000).unwrap_or(0))
}
