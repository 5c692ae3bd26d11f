//! Questions about the machine at large: restarts, clock, profiles, power, memory, security
//! software, installed updates, processes.

use std::fs;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::limits;
use fleetmend_core::step::{Hive, Place};
use fleetmend_core::time::Timestamp;

use super::registry::{text, value};
use super::{Found, told};
use crate::collect::live::dpkg::modified;
use crate::platform::{Platform, RegistryValue, Signature};
use crate::probe::{files, with_value, yes_if};

const MIB: u64 = 1024 * 1024;
const SERVICING: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing";
const AUTO_UPDATE: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update";
const SESSION_MANAGER: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager";
const PROFILES: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";
/// User profiles looked at.
const PROFILES_MOST: usize = 2_000;
/// How long ago the clock may have been set at most to count as right: Windows sets it weekly.
const CLOCK_SET: Duration = Duration::from_hours(30 * 24);

/// Why a restart is awaited; `None` where none is.
pub(super) async fn awaited_reboot(platform: &dyn Platform) -> Result<Option<String>, String> {
    for (key, mark) in [(SERVICING, "RebootPending"), (AUTO_UPDATE, "RebootRequired")] {
        let key = format!(r"{key}\{mark}");
        if platform.registry_key(Hive::LocalMachine, &key).await.map_err(told)?.is_some() {
            return Ok(Some(format!(r"HKLM\{key} exists")));
        }
    }
    let name = "PendingFileRenameOperations";
    let Some(RegistryValue::MultiSz(renames)) = value(platform, SESSION_MANAGER, name).await?
    else {
        return Ok(None);
    };
    Ok(awaited_rename(&renames).map(|file| format!(r"HKLM\{SESSION_MANAGER}\{name}: {file}")))
}

/// The first file that a restart is to replace, or to remove from Windows' own folder. Pairs of
/// *what* and *where to*; an empty second one means removal. Installers leave removals of temporary
/// files behind on healthy machines: they wait for no one.
fn awaited_rename(pairs: &[String]) -> Option<&str> {
    let counts = |what: &str, to: &str| {
        let what = what.to_ascii_lowercase();
        let temporary = what.contains(r"\temp\");
        !what.is_empty() && !temporary && (!to.is_empty() || what.contains(r":\windows\"))
    };
    let mut pairs = pairs.chunks(2);
    let found = pairs.find(|pair| counts(&pair[0], pair.get(1).map_or("", String::as_str)))?;
    Some(found[0].trim_start_matches(r"\??\"))
}

pub(super) async fn reboot_pending(platform: &dyn Platform) -> Found {
    Ok(match awaited_reboot(platform).await? {
        Some(why) => Finding::new(Answer::Yes, why),
        None => Finding::new(Answer::No, "no flag of servicing, of updates or of pending renames"),
    })
}

/// Wrong where the machine holds something from the future; right where it was set lately. A clock
/// that nobody sets may be right all the same.
pub(super) async fn clock_wrong(platform: &dyn Platform, now: Timestamp) -> Found {
    let log = platform.root().join("Windows/Logs/CBS/CBS.log");
    let mut newest = modified(&log).map(|at| (at, "CBS.log"));
    if let Ok(updates) = platform.updates().await {
        let last = updates.iter().filter_map(|u| u.at).max();
        newest = newest.max(last.map(|at| (at, "the newest update")));
    }
    if let Some((at, what)) = newest.filter(|(at, _)| *at > now.after(limits::CLOCK_SKEW)) {
        let proof = format!("the clock says {now}, {what} is of {at}");
        return Ok(Finding::new(Answer::Yes, proof));
    }
    let time = platform.time_source().await.map_err(told)?;
    match (time.source, time.last) {
        (Some(source), Some(last)) if now.since(last) <= CLOCK_SET => {
            Ok(Finding::new(Answer::No, format!("set by {source} at {last}")))
        }
        (Some(source), Some(last)) => {
            Err(format!("{source} set the clock last at {last}: whether it is right is not known"))
        }
        _ => Err("nothing sets the clock: whether it is right is not known".to_owned()),
    }
}

pub(super) async fn profile_missing(platform: &dyn Platform) -> Found {
    let key = platform.registry_key(Hive::LocalMachine, PROFILES).await.map_err(told)?;
    let key = key.ok_or("the registry has no list of profiles")?;
    if key.keys.len() > PROFILES_MOST {
        return Err(format!("there are more than {PROFILES_MOST} profiles"));
    }
    let mut seen = 0;
    for sid in &key.keys {
        let path = text(platform, &format!(r"{PROFILES}\{sid}"), "ProfileImagePath").await?;
        let Some(path) = path else { continue };
        // The system's own profiles are written so.
        let path =
            path.replace("%systemroot%", r"C:\Windows").replace("%SystemRoot%", r"C:\Windows");
        match files::is_there(platform, &path) {
            Ok(true) => seen += 1,
            Ok(false) => {
                let proof = format!("{path}, the profile of {sid}, does not exist");
                return Ok(with_value(Answer::Yes, proof, path));
            }
            Err(why) => return Err(why),
        }
    }
    Ok(Finding::new(Answer::No, format!("{seen} profiles, all with their folder")))
}

pub(super) async fn on_battery(platform: &dyn Platform) -> Found {
    let power = platform.power().await.map_err(told)?;
    let level = power.percent.map(|n| format!(", {n} % left")).unwrap_or_default();
    let from = if power.on_battery { "a battery" } else { "the mains" };
    Ok(Finding::new(yes_if(power.on_battery), format!("the power comes from {from}{level}")))
}

pub(super) async fn metered(platform: &dyn Platform) -> Found {
    let metered = platform.metered().await.map_err(told)?;
    let words = if metered { "is marked as metered" } else { "is not marked as metered" };
    Ok(Finding::new(yes_if(metered), format!("the network in use {words}")))
}

pub(super) async fn memory_low(platform: &dyn Platform, min_mib: u64) -> Found {
    let memory = platform.memory().await.map_err(told)?;
    let (free, commit) = (memory.free_bytes / MIB, memory.commit_free_bytes / MIB);
    let proof = format!("{free} MiB free, {commit} MiB left to commit; {min_mib} MiB are wanted");
    Ok(Finding::new(yes_if(free.min(commit) < min_mib), proof))
}

pub(super) async fn foreign_antivirus(platform: &dyn Platform) -> Found {
    let products = platform.antivirus().await.map_err(told)?;
    let names = |of_windows: bool| {
        let found = products.iter().filter(|p| p.active && p.of_windows == of_windows);
        found.map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let foreign = names(false);
    Ok(if foreign.is_empty() {
        let own = names(true);
        let own = if own.is_empty() { "no scanner".to_owned() } else { own };
        Finding::new(Answer::No, format!("{own} at work, {} known", products.len()))
    } else {
        with_value(Answer::Yes, format!("at work: {foreign}"), foreign)
    })
}

pub(super) async fn update_missing(
    platform: &dyn Platform,
    any_of: &[String],
    builds: &[String],
) -> Found {
    let build = platform.facts().map_err(told)?.os_build;
    let asked = builds.iter().any(|b| {
        build.strip_prefix(b.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    if !asked {
        return Ok(Finding::new(Answer::No, format!("build {build} does not need them")));
    }
    let installed = platform.updates().await.map_err(told)?;
    let found = any_of.iter().find(|kb| installed.iter().any(|i| i.kb.eq_ignore_ascii_case(kb)));
    if let Some(kb) = found {
        return Ok(Finding::new(Answer::No, format!("{kb} is installed")));
    }
    let (wanted, count) = (any_of.join(", "), installed.len());
    let proof = format!("none of {wanted} among {count} installed updates of build {build}");
    Ok(Finding::new(Answer::Yes, proof))
}

pub(super) async fn process_runs(platform: &dyn Platform, names: &[String]) -> Found {
    let processes = platform.processes().await.map_err(told)?;
    let found =
        processes.iter().find(|p| names.iter().any(|name| name.eq_ignore_ascii_case(&p.name)));
    Ok(match found {
        Some(p) => with_value(
            Answer::Yes,
            format!("{} runs as process {}", p.name, p.id),
            p.id.to_string(),
        ),
        None => Finding::new(Answer::No, format!("none among {} processes", processes.len())),
    })
}

/// A file that is not there is another question's.
pub(super) async fn unsigned(platform: &dyn Platform, place: &Place) -> Found {
    let path = files::path_of(platform, place)?;
    let windows = format!("C:{}", path.replace('/', "\\"));
    if !files::is_there(platform, &path)? {
        return Err(format!("{windows} does not exist"));
    }
    Ok(match platform.signature(&windows).await.map_err(told)? {
        Signature::Valid(by) => {
            let ours = by.starts_with("Microsoft ");
            with_value(yes_if(!ours), format!("{windows} is signed by {by}"), windows)
        }
        Signature::Missing => with_value(Answer::Yes, format!("{windows} is not signed"), windows),
        Signature::Invalid(why) => with_value(
            Answer::Yes,
            format!("the signature of {windows} does not hold: {why}"),
            windows,
        ),
    })
}

/// The size of a file of the host in bytes, where it can be read.
pub(super) fn size_of(platform: &dyn Platform, path: &str) -> Option<u64> {
    fs::symlink_metadata(platform.file(path)?).ok().filter(fs::Metadata::is_file).map(|m| m.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_installers_await_no_restart() {
        let of = |pairs: &[&str]| {
            let pairs: Vec<String> = pairs.iter().map(|&p| p.to_owned()).collect();
            awaited_rename(&pairs).map(str::to_owned)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[r"\??\C:\Users\a\AppData\Local\Temp\x.tmp", ""]), None);
        assert_eq!(of(&[r"\??\C:\Windows\Temp\x.dll", ""]), None);
        assert_eq!(of(&[r"\??\C:\Program Files\a\old.dll", ""]), None);
        let system = r"C:\Windows\System32\x.dll";
        let waits = [r"\??\C:\Windows\Temp\y", "", r"\??\C:\Windows\System32\x.dll", ""];
        assert_eq!(of(&waits).as_deref(), Some(system));
        let replaced = [r"\??\C:\Program Files\a\new.dll", r"!\??\C:\Program Files\a\a.dll"];
        assert_eq!(of(&replaced).as_deref(), Some(r"C:\Program Files\a\new.dll"));
    }
}
