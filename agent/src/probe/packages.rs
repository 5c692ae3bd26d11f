//! Questions about dpkg and apt.

use std::path::Path;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::time::Timestamp;

use super::host_state::{is_on, periodic_upgrade};
use super::{units, with_value, yes_if};
use crate::collect::live::dpkg::{Dpkg, modified};
use crate::collect::live::lock::{LOCKS, holder};
use crate::collect::live::{broken_dependencies, configure_attempt, last_failure};
use crate::platform::Platform;

/// Days after which apt's periodic work is missed.
const IDLE_DAYS: u64 = 7;

/// dpkg's state, when no package tool is at work: what is half done is not broken.
fn at_rest(root: &Path) -> Result<Dpkg, Finding> {
    match holder(root, &LOCKS[..2]) {
        Ok(Some(held)) => {
            return Err(Finding::unknown(format!("a package tool is at work: {held}")));
        }
        Ok(None) => {}
        Err(e) => return Err(Finding::unknown(format!("dpkg's locks cannot be asked: {e}"))),
    }
    match Dpkg::read(root) {
        Ok(Some(dpkg)) => Ok(dpkg),
        Ok(None) => Err(Finding::unknown("this host has no dpkg")),
        Err(e) => Err(Finding::unknown(format!("dpkg's state cannot be read: {e}"))),
    }
}

pub(super) fn interrupted(root: &Path) -> Finding {
    match at_rest(root) {
        Ok(dpkg) => match dpkg.words() {
            Some(words) => Finding::new(Answer::Yes, words),
            None => Finding::new(Answer::No, in_order(&dpkg)),
        },
        Err(unknown) => unknown,
    }
}

pub(super) fn reinstall(root: &Path) -> Finding {
    match at_rest(root) {
        Ok(dpkg) => match dpkg.reinstall().next() {
            Some((name, package)) => {
                let proof = format!("{name} is {} and must be installed again", package.state);
                with_value(Answer::Yes, proof, name)
            }
            None => Finding::new(Answer::No, in_order(&dpkg)),
        },
        Err(unknown) => unknown,
    }
}

pub(super) fn script_fails(root: &Path) -> Finding {
    let dpkg = match at_rest(root) {
        Ok(dpkg) => dpkg,
        Err(unknown) => return unknown,
    };
    if dpkg.journal > 0 {
        // dpkg was stopped itself: no script has had its say.
        return Finding::new(Answer::No, dpkg.words().unwrap_or_default());
    }
    for (name, package) in dpkg.waiting() {
        let Some(attempt) = configure_attempt(root, name) else { continue };
        let words = last_failure(root, name, attempt).map_or_else(
            || format!("dpkg came to its end and left {name} {}", package.state),
            |failure| failure.words,
        );
        return with_value(Answer::Yes, words, name);
    }
    match dpkg.words() {
        Some(words) => Finding::new(Answer::No, format!("{words}; no attempt of theirs failed")),
        None => Finding::new(Answer::No, in_order(&dpkg)),
    }
}

fn in_order(dpkg: &Dpkg) -> String {
    format!("{} packages installed, none waits, /var/lib/dpkg/updates is empty", dpkg.installed)
}

pub(super) async fn broken_deps(platform: &dyn Platform) -> Finding {
    match broken_dependencies(platform).await {
        Ok(Some(words)) => Finding::new(Answer::Yes, words),
        Ok(None) => Finding::new(Answer::No, "apt-get check ended with 0"),
        Err(why) => Finding::unknown(why),
    }
}

pub(super) fn lock_held(root: &Path) -> Finding {
    match holder(root, &LOCKS) {
        Ok(Some(held)) => {
            let value =
                held.pid.map(|pid| format!("{pid} {}", held.name.as_deref().unwrap_or("?")));
            let mut finding = Finding::new(Answer::Yes, held.to_string());
            finding.value = value;
            finding
        }
        Ok(None) => Finding::new(Answer::No, "no process holds a lock of dpkg or apt"),
        Err(e) => Finding::unknown(format!("the locks cannot be asked: {e}")),
    }
}

/// When apt last fetched its lists, and by what that is told.
pub(super) fn last_update(root: &Path) -> Option<(Timestamp, &'static str)> {
    let places = [
        "var/lib/apt/periodic/update-success-stamp",
        "var/lib/apt/periodic/update-stamp",
        "var/lib/apt/lists",
    ];
    let stamps = places.iter().filter_map(|p| Some((modified(&root.join(p))?, *p)));
    // The folder changes with failed fetches too: only where there is no stamp.
    let (stamped, folder): (Vec<_>, Vec<_>) = stamps.partition(|(_, p)| p.ends_with("stamp"));
    stamped.into_iter().max().or_else(|| folder.into_iter().max())
}

pub(super) async fn stale(platform: &dyn Platform, days: u32, now: Timestamp) -> Finding {
    let timer = units::properties(platform, "apt-daily.timer").await;
    if let Ok(timer) = &timer
        && matches!(timer.get("UnitFileState").map(String::as_str), Some("disabled" | "masked"))
    {
        return with_value(Answer::Yes, "apt-daily.timer is disabled", "apt-daily.timer");
    }
    let Some((at, by)) = last_update(platform.root()) else {
        return Finding::unknown("apt keeps no stamp of its periodic work here");
    };
    let age = now.since(at);
    let limit = Duration::from_hours(u64::from(days) * 24);
    let since = match age.as_secs() / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        n => format!("{n} days"),
    };
    let proof = format!("/{by} is of {at}, {since} ago");
    Finding::new(yes_if(age > limit), proof)
}

/// Why apt does not do the periodic upgrades that its own configuration asks for; `None` where it
/// does, or is not asked to.
pub(crate) async fn idle(
    platform: &dyn Platform,
    now: Timestamp,
) -> Result<Option<(Timestamp, String)>, String> {
    let root = platform.root();
    let Some((file, line)) = periodic_upgrade(root).filter(|(_, line)| is_on(line)) else {
        return Ok(None);
    };
    let last = last_update(root);
    for timer in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
        let found = units::properties(platform, timer).await?;
        let start = found.get("UnitFileState").map_or("", String::as_str);
        if matches!(start, "disabled" | "masked") {
            return Ok(Some((now, format!("{timer} is {start}, though {file} says {line}"))));
        }
    }
    // After a start of the host a run has a day to be made up for.
    let up = super::system::up_for(root);
    let settled = up.is_none_or(|up| up >= Duration::from_hours(24));
    let Some((at, by)) = last.filter(|(_, by)| settled && by.ends_with("stamp")) else {
        return Ok(None);
    };
    let days = now.since(at).as_secs() / 86_400;
    let words = format!("/{by} is {days} days old, though {file} says {line}");
    Ok((days > IDLE_DAYS).then_some((at, words)))
}
