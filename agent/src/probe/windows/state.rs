//! The state of a Windows host as the server shows it. What cannot be found out is left out, and
//! where it matters the reason stands among the further facts.

use std::collections::BTreeMap;

use fleetmend_core::host::{Disk, HostState, ServiceState, UpdateAuthority};
use fleetmend_core::limits;
use fleetmend_core::overdue::foreign_backup;
use fleetmend_core::time::{SourceTime, Timestamp};
use fleetmend_core::words::cut;

use super::disks::name_of;
use super::machine::awaited_reboot;
use super::registry::text;
use super::{authority, roles};
use crate::collect::stamp;
use crate::platform::{EventQuery, Platform, ServiceCall};

const RESULTS: &str =
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\Results";
const UPDATES: &str = "Microsoft-Windows-WindowsUpdateClient";
/// Installations, or ends of jobs, that are looked back over.
const EVENTS: usize = 500;
/// Services that updates and backups stand on.
const SERVICES: [&str; 12] = [
    "wuauserv",
    "UsoSvc",
    "BITS",
    "DoSvc",
    "CryptSvc",
    "TrustedInstaller",
    "msiserver",
    "LanmanWorkstation",
    "VSS",
    "swprv",
    "wbengine",
    "MpsSvc",
];
/// Services that run only while something is at work that a repair must not meet.
const AT_WORK: [&str; 4] = ["TrustedInstaller", "msiserver", "wbengine", "VSS"];
/// Programs of installers and of other vendors' backups: while one runs, a repair waits.
const PROGRAMS_AT_WORK: [&str; 8] = [
    "msiexec.exe",
    "wusa.exe",
    "setuphost.exe",
    "setupprep.exe",
    "wbadmin.exe",
    "Veeam.EndPoint.Backup.exe",
    "VeeamAgent.exe",
    "restic.exe",
];

/// Finds out the state of the host.
pub(crate) async fn host_state(platform: &dyn Platform, now: Timestamp) -> HostState {
    let mut state = HostState { at: Some(now), ..HostState::default() };
    let note = |state: &mut HostState, key: &str, words: &str| {
        state.more.insert(key.to_owned(), cut(words, limits::FACT_BYTES).to_owned());
    };
    match platform.updates().await {
        Ok(updates) => {
            let mut names: Vec<String> = updates.into_iter().map(|u| u.kb).collect();
            names.dedup();
            names.truncate(limits::STATE_UPDATES);
            state.updates = names;
        }
        Err(e) => note(&mut state, "updates", &e.to_string()),
    }
    match platform.volumes().await {
        Ok(mut volumes) => {
            // The system's drive and its like first, what has no place of its own last.
            volumes.sort_by_key(|v| (v.mounts.is_empty(), name_of(v).to_owned()));
            let shown = volumes.iter().filter(|v| v.size_bytes > 0).take(limits::STATE_ROWS);
            state.disks = shown
                .map(|v| Disk {
                    mount: cut(name_of(v), limits::FACT_BYTES).to_owned(),
                    file_system: v.file_system.clone(),
                    size_bytes: v.size_bytes,
                    free_bytes: v.free_bytes,
                    read_only: v.read_only,
                })
                .collect();
        }
        Err(e) => note(&mut state, "disks", &e.to_string()),
    }
    match awaited_reboot(platform).await {
        Ok(why) => state.pending_reboot = why,
        Err(why) => note(&mut state, "pending reboot", &why),
    }
    let mut names: Vec<String> = SERVICES.iter().map(|&name| name.to_owned()).collect();
    match roles::services(platform).await {
        Ok(services) => {
            match roles::roles(platform, &services).await {
                Ok(roles) => state.roles = roles,
                Err(why) => note(&mut state, "roles", &why),
            }
            // That one of another vendor is there is all that can be told of its backups.
            names.extend(services.into_iter().filter(|name| foreign_backup(name).is_some()));
            names.truncate(limits::STATE_ROWS);
        }
        Err(why) => note(&mut state, "roles", &why),
    }
    let (authority, proof) = match authority::authority(platform).await {
        Ok(found) => found,
        Err(why) => (UpdateAuthority::Unknown, why),
    };
    state.update_authority = Some(authority);
    state.update_authority_proof = Some(cut(&proof, limits::FACT_BYTES).to_owned());
    let mut at_work = Vec::new();
    for name in names {
        let Ok(seen) = platform.service(&name, ServiceCall::Look).await else { continue };
        if AT_WORK.contains(&name.as_str()) && seen.runs() {
            at_work.push(name.clone());
        }
        state.services.push(ServiceState {
            name,
            state: seen.state.to_string(),
            start: seen.start.to_string(),
        });
    }
    if let Ok(processes) = platform.processes().await {
        let known = |name: &String| PROGRAMS_AT_WORK.iter().any(|p| p.eq_ignore_ascii_case(name));
        at_work.extend(processes.into_iter().map(|p| p.name).filter(known));
    }
    if !at_work.is_empty() {
        at_work.sort();
        at_work.dedup();
        note(&mut state, "at work", &at_work.join(", "));
    }
    if let Ok(profiles) = platform.firewall(None).await {
        let words = |on: bool| if on { "on" } else { "off" };
        let words: Vec<_> = profiles.iter().map(|(p, on)| format!("{p} {}", words(*on))).collect();
        note(&mut state, "firewall", &words.join(", "));
    }
    if let Ok(products) = platform.antivirus().await {
        let names: Vec<_> = products.into_iter().filter(|p| p.active).map(|p| p.name).collect();
        note(&mut state, "antivirus", &names.join(", "));
    }
    if let Ok(Some(proxy)) = platform.proxy().await {
        note(&mut state, "proxy", &format!("{}:{}", proxy.host, proxy.port));
    }
    state.booted_at = last(platform, "System", &["EventLog"], &[6005]).await;
    let operational = "Microsoft-Windows-WindowsUpdateClient/Operational";
    state.last_scan =
        last(platform, operational, &[UPDATES], &[26]).await.max(result(platform, "Detect").await);
    state.last_install = last_update(platform).await.max(result(platform, "Install").await);
    state.last_backup = last_backup(platform).await;
    state
}

/// When a backup of a product whose events are read worked last: as Windows Backup completed, wbengine
/// succeeded, or a job of Veeam Agent ended with no more than information to give.
async fn last_backup(platform: &dyn Platform) -> Option<Timestamp> {
    let by_library = last(platform, "Application", &["Windows Backup"], &[4098]).await;
    let image = "Microsoft-Windows-Backup";
    let by_image = last(platform, image, &[image], &[4]).await;
    let (channel, since) = ("Veeam Agent", Timestamp::from_millis(0));
    let query = EventQuery { channel, providers: &[channel], ids: &[190], since, most: EVENTS };
    let jobs = platform.events(query).await.unwrap_or_default();
    // The same event tells of a failure: its level says which.
    let worked = jobs.iter().find(|job| matches!(job.level, Some(0 | 4 | 5)));
    by_library.max(by_image).max(worked.map(|job| job.at))
}

/// When such an event was written last.
async fn last(
    platform: &dyn Platform,
    channel: &str,
    providers: &[&str],
    ids: &[u32],
) -> Option<Timestamp> {
    let since = Timestamp::from_millis(0);
    let query = EventQuery { channel, providers, ids, since, most: 1 };
    platform.events(query).await.ok()?.first().map(|event| event.at)
}

/// When an update of the system was installed last: not one of the virus scanner's own, nor an app of
/// the store, which come by themselves on a machine that gets no update at all.
async fn last_update(platform: &dyn Platform) -> Option<Timestamp> {
    let since = Timestamp::from_millis(0);
    let providers = [UPDATES];
    let query =
        EventQuery { channel: "System", providers: &providers, ids: &[19], since, most: EVENTS };
    let events = platform.events(query).await.ok()?;
    let by_itself = |title: &str| {
        ["KB2267602", "KB4052623"].iter().any(|kb| title.contains(kb))
            || title.starts_with('9') && title.split_once('-').is_some_and(|(id, _)| id.len() == 12)
    };
    let title =
        |data: &BTreeMap<String, String>| data.get("updateTitle").cloned().unwrap_or_default();
    events.iter().find(|event| !by_itself(&title(&event.data))).map(|event| event.at)
}

/// When the update agent did something well last, as the registry of Windows 7 to early Windows 10
/// has it, in UTC.
async fn result(platform: &dyn Platform, what: &str) -> Option<Timestamp> {
    let key = format!(r"{RESULTS}\{what}");
    let time = text(platform, &key, "LastSuccessTime").await.ok()??;
    let wall = stamp::date_clock(time.as_bytes(), b'-', b' ')?;
    Some(SourceTime::with_offset(wall, 0).to_timestamp(0))
}
