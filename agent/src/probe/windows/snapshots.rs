//! Questions to the volume shadow copy service.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::time::Timestamp;

use super::disks::volume_of;
use super::{Found, told};
use crate::platform::{Platform, ServiceCall, VolumeRole, VssWriter};
use crate::probe::{with_value, yes_if};

const MIB: u64 = 1024 * 1024;
const SERVICE: &str = "VSS";
/// Writer states while a snapshot is made: waiting for freeze, for thaw, for what comes after it
/// (`VSS_WS_WAITING_FOR_FREEZE` to `VSS_WS_WAITING_FOR_POST_SNAPSHOT`; Microsoft Learn,
/// VSS_WRITER_STATE).
const FREEZING: RangeInclusive<u32> = 2..=4;
/// The writer state while a backup reads from one (`VSS_WS_WAITING_FOR_BACKUP_COMPLETE`).
const READING: RangeInclusive<u32> = 5..=5;
/// No backup is taken to read from a snapshot for longer: a day.
const LONGEST_BACKUP: Duration = Duration::from_hours(24);
/// The first of the writer states that tell of a failure (`VSS_WS_FAILED_AT_IDENTIFY`).
const FAILED: u32 = 6;
/// `VSS_PROV_SYSTEM`.
const OF_SYSTEM: u32 = 1;
/// Microsoft's own providers: software, file shares, Hyper-V guests.
const OF_MICROSOFT: [&str; 3] = [
    "{b5946137-7b9f-4925-af80-51abd60b20d5}",
    "{89300202-3cec-4981-9171-19f59559e0f2}",
    "{74600e39-7dc5-4567-a03b-f091d6c7b092}",
];

pub(super) async fn storage_small(platform: &dyn Platform, min_mib: u64) -> Found {
    let volumes = platform.volumes().await.map_err(told)?;
    let system = volumes.iter().find(|v| v.role == Some(VolumeRole::System));
    let system = system.ok_or("which volume holds the system is not known")?;
    let storage = platform.shadow_storage().await.map_err(told)?;
    let of_system =
        |name: &str| volume_of(&volumes, name).is_some_and(|volume| volume.id == system.id);
    let Some(room) = storage.iter().find(|s| of_system(&s.volume)) else {
        return Err("no room is set aside for shadow copies of the system volume".to_owned());
    };
    let used = room.used_bytes / MIB;
    Ok(match room.max_bytes {
        None => Finding::new(Answer::No, format!("{used} MiB used on {}, no limit", room.on)),
        Some(max) => {
            let max = max / MIB;
            let proof = format!(
                "{used} of at most {max} MiB used on {}; {min_mib} MiB are wanted",
                room.on
            );
            with_value(yes_if(max < min_mib), proof, max.to_string())
        }
    })
}

pub(super) async fn copies_many(platform: &dyn Platform, count: u32) -> Found {
    let copies = platform.shadow_copies().await.map_err(told)?;
    let mut volumes: BTreeMap<&str, u32> = BTreeMap::new();
    for copy in &copies {
        *volumes.entry(&copy.volume).or_default() += 1;
    }
    Ok(match volumes.into_iter().max_by_key(|(_, n)| *n) {
        Some((volume, n)) => {
            with_value(yes_if(n >= count), format!("{volume} has {n} shadow copies"), volume)
        }
        None => Finding::new(Answer::No, "there are no shadow copies"),
    })
}

/// Whether a snapshot is being made, or a backup still reads from one. That the service runs alone
/// says nothing: it stays for minutes after its work, and for ever where it hangs.
pub(super) async fn under_way(platform: &dyn Platform, now: Timestamp) -> Found {
    match platform.service(SERVICE, ServiceCall::Look).await {
        Ok(seen) if !seen.runs() => {
            return Ok(Finding::new(Answer::No, format!("{SERVICE} is {}", seen.state)));
        }
        Ok(_) => {}
        Err(e) => return Err(told(e)),
    }
    let writers = platform.vss_writers().await.map_err(told)?;
    let busy = |states: RangeInclusive<u32>| {
        writers.iter().find(move |writer| states.contains(&writer.state))
    };
    let words = |writer: &VssWriter| {
        format!("{SERVICE} runs, and {} is in state {}", writer.name, writer.state)
    };
    if let Some(writer) = busy(FREEZING) {
        return Ok(with_value(Answer::Yes, words(writer), &writer.id));
    }
    let Some(writer) = busy(READING) else {
        let proof = format!("{SERVICE} runs, none of {} writers is at work", writers.len());
        return Ok(Finding::new(Answer::No, proof));
    };
    // A backup that died leaves its writers so: then there is no snapshot of the last day either.
    let copies = platform.shadow_copies().await.map_err(told)?;
    let newest = copies.iter().map(|copy| copy.at).max();
    let young = newest.is_some_and(|at| now.since(at) <= LONGEST_BACKUP);
    let proof = match newest {
        Some(at) => format!("{}; the newest snapshot is of {at}", words(writer)),
        None => format!("{}; there is no snapshot", words(writer)),
    };
    Ok(if young {
        with_value(Answer::Yes, proof, &writer.id)
    } else {
        Finding::new(Answer::No, proof)
    })
}

pub(super) async fn writer_failed(platform: &dyn Platform) -> Found {
    let writers = platform.vss_writers().await.map_err(told)?;
    if writers.is_empty() {
        return Err("the shadow copy service names no writer".to_owned());
    }
    let failed = writers.iter().find(|w| w.state >= FAILED || w.error != 0);
    Ok(match failed {
        Some(writer) => {
            let proof = format!(
                "{} {} is in state {}, last error 0x{:08X}",
                writer.name, writer.id, writer.state, writer.error
            );
            with_value(Answer::Yes, proof, &writer.id)
        }
        None => Finding::new(Answer::No, format!("{} writers, none failed", writers.len())),
    })
}

pub(super) async fn provider_foreign(platform: &dyn Platform) -> Found {
    let providers = platform.vss_providers().await.map_err(told)?;
    if providers.is_empty() {
        return Err("the shadow copy service names no provider".to_owned());
    }
    let ours = |id: &str| OF_MICROSOFT.iter().any(|known| known.eq_ignore_ascii_case(id));
    let foreign = providers.iter().find(|p| p.kind != OF_SYSTEM && !ours(&p.id));
    Ok(match foreign {
        Some(provider) => {
            let proof = format!("{} {} is registered", provider.name, provider.id);
            with_value(Answer::Yes, proof, &provider.name)
        }
        None => Finding::new(Answer::No, format!("{} providers, all of Windows", providers.len())),
    })
}
