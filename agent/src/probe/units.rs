//! Questions about systemd's units. Where systemd does not run (containers), the answer is
//! *unknown*: that is not health.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::ServiceQuestion;
use fleetmend_core::time::Timestamp;

use super::{ask, with_value, words, yes_if};
use crate::platform::Platform;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
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
pub(super) async fn properties(
    platform: &dyn Platform,
    unit: &str,
) -> Result<BTreeMap<String, String>, String> {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':' | '\\');
    if unit.starts_with('-') || !unit.chars().all(plain) {
        return Err(format!("{unit:?} is no unit's name"));
    }
    let args = [
        "show",
        "--no-pager",
        "-p",
        "Id,LoadState,ActiveState,SubState,UnitFileState,Result",
        unit,
    ];
    let text = systemctl(platform, &args).await?;
    Ok(pairs(&text))
}

pub(super) fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|l| l.split_once('='));
    pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect()
}

/// What systemctl prints; the reason where it cannot be asked.
pub(super) async fn systemctl(platform: &dyn Platform, args: &[&str]) -> Result<String, String> {
    let exit = ask(platform, SYSTEMCTL, args).await?;
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

pub(super) async fn failed(platform: &dyn Platform) -> Finding {
    let args = ["list-units", "--failed", "--plain", "--no-legend", "--no-pager"];
    let text = match systemctl(platform, &args).await {
        Ok(text) => text,
        Err(why) => return Finding::unknown(why),
    };
    let units = text.lines().filter_map(|l| l.split_whitespace().next());
    let mut ours = units.filter(|u| OURS.iter().any(|part| u.contains(part)));
    match ours.next() {
        Some(unit) => with_value(Answer::Yes, format!("systemctl lists {unit} as failed"), unit),
        None => Finding::new(Answer::No, "no unit that updates or saves the system has failed"),
    }
}

/// A timer, as systemctl lists it (microseconds since the epoch).
#[derive(Debug, serde::Deserialize)]
struct Timer {
    unit: Option<String>,
    last: Option<u64>,
}

pub(super) async fn timer_missed(platform: &dyn Platform, now: Timestamp) -> Finding {
    let args = ["list-timers", "--all", "--no-pager", "--output=json"];
    let text = match systemctl(platform, &args).await {
        Ok(text) => text,
        Err(why) => return Finding::unknown(why),
    };
    let Ok(timers) = serde_json::from_str::<Vec<Timer>>(text.trim()) else {
        return Finding::unknown("systemctl lists its timers in no form known here");
    };
    let mut seen = 0;
    for timer in timers {
        let Some(unit) = timer.unit.filter(|u| OURS.iter().any(|part| u.contains(part))) else {
            continue;
        };
        seen += 1;
        // Those of apt run daily; of others the period is not told, weekly is the rarest usual one.
        let period = if unit.starts_with("apt-") { 24 } else { 7 * 24 };
        let last = timer.last.filter(|us| *us > 0);
        // One that never ran may be new.
        let Some(us) = last else { continue };
        let at = Timestamp::from_millis(i64::try_from(us / 1_000).unwrap_or(0));
        if now.since(at) > Duration::from_hours(2 * period) {
            return with_value(Answer::Yes, format!("{unit} last ran at {at}"), unit);
        }
    }
    Finding::new(Answer::No, format!("{seen} timers that update or save the system, none late"))
}
