//! Questions about volumes and about where backups are written.

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::{SmallPartition, TargetTrouble};

use super::{Found, told};
use crate::platform::{BackupTarget, Platform, Volume, VolumeRole};
use crate::probe::{with_value, yes_if};

const MIB: u64 = 1024 * 1024;
/// Free bytes below which a backup target counts as full where nobody knows what a backup takes.
const LEAST_FOR_BACKUP: u64 = 1024 * MIB;

/// The volume that a path lies on: the one with the longest mount that the path begins with, or
/// whose id it names.
pub(super) fn volume_of<'a>(volumes: &'a [Volume], path: &str) -> Option<&'a Volume> {
    let path = with_slash(path);
    let begins =
        |mount: &str| path.get(..mount.len()).is_some_and(|head| head.eq_ignore_ascii_case(mount));
    let mounts = volumes.iter().flat_map(|volume| {
        let names = volume.mounts.iter().map(String::as_str).chain([volume.id.as_str()]);
        names.map(move |name| (with_slash(name), volume))
    });
    let under = mounts.filter(|(mount, _)| begins(mount));
    under.max_by_key(|(mount, _)| mount.len()).map(|(_, volume)| volume)
}

/// A path with `\` at its end, so that `C:\Data` is not below `C:\Da`.
pub(super) fn with_slash(path: &str) -> String {
    format!(r"{}\", path.replace('/', "\\").trim_end_matches('\\'))
}

/// A volume's name for a person.
pub(super) fn name_of(volume: &Volume) -> &str {
    volume.mounts.first().map_or(volume.id.as_str(), String::as_str)
}

pub(super) async fn full(platform: &dyn Platform, path: &str, min_mib: u64) -> Found {
    let volumes = platform.volumes().await.map_err(told)?;
    let volume =
        volume_of(&volumes, path).ok_or_else(|| format!("no volume is mounted at {path}"))?;
    if volume.locked || volume.size_bytes == 0 {
        return Err(format!("{path} cannot be read: it is locked"));
    }
    let free = volume.free_bytes / MIB;
    let proof = format!("{path}: {free} MiB free; {min_mib} MiB are wanted");
    Ok(Finding::new(yes_if(free < min_mib), proof))
}

pub(super) async fn partition_small(
    platform: &dyn Platform,
    partition: SmallPartition,
    min_mib: u64,
) -> Found {
    let volumes = platform.volumes().await.map_err(told)?;
    let roles: &[VolumeRole] = match partition {
        SmallPartition::Efi => &[VolumeRole::Efi, VolumeRole::Reserved],
        SmallPartition::Recovery => &[VolumeRole::Recovery],
    };
    let found: Vec<_> = volumes
        .iter()
        .filter(|v| v.role.is_some_and(|role| roles.contains(&role)) && v.size_bytes > 0)
        .collect();
    let Some(tightest) = found.iter().min_by_key(|v| v.free_bytes) else {
        let words = format!("none of {} volumes is its {partition} partition", volumes.len());
        return Ok(Finding::new(Answer::No, words));
    };
    let free = tightest.free_bytes / MIB;
    let size = tightest.size_bytes / MIB;
    let proof = format!(
        "the {partition} partition {}: {free} of {size} MiB free; {min_mib} MiB are wanted",
        tightest.id
    );
    Ok(with_value(yes_if(free < min_mib), proof, free.to_string()))
}

pub(super) async fn backup_target(platform: &dyn Platform, trouble: TargetTrouble) -> Found {
    let targets = platform.backup_targets().await.map_err(told)?;
    if targets.is_empty() {
        return Err("no place for a backup is set that this agent knows of".to_owned());
    }
    let mut unclear = None;
    for target in &targets {
        match has(target, trouble) {
            Ok(None) => {}
            Ok(Some(proof)) => return Ok(with_value(Answer::Yes, proof, &target.place)),
            Err(why) => unclear = Some(why),
        }
    }
    if let Some(why) = unclear {
        return Err(why);
    }
    let places: Vec<_> = targets.iter().map(|t| t.place.as_str()).take(8).collect();
    let proof = format!(
        "{}: {}",
        places.join(", "),
        match trouble {
            TargetTrouble::Missing => "there",
            TargetTrouble::Full => "with room",
            TargetTrouble::Locked => "not locked",
        }
    );
    Ok(Finding::new(Answer::No, proof))
}

/// The proof of a trouble; `None` where the target has it not.
fn has(target: &BackupTarget, trouble: TargetTrouble) -> Result<Option<String>, String> {
    let BackupTarget { product, place, .. } = target;
    match trouble {
        TargetTrouble::Missing => {
            Ok((!target.there).then(|| format!("{place}, the target of {product}, is not there")))
        }
        TargetTrouble::Locked => {
            Ok(target.locked.then(|| format!("{place}, the target of {product}, is locked")))
        }
        TargetTrouble::Full => {
            let Some(free) = target.free_bytes.filter(|_| target.there && !target.locked) else {
                return Err(format!("the room at {place} cannot be asked"));
            };
            let wanted = target.last_bytes.unwrap_or(LEAST_FOR_BACKUP);
            let why = match target.last_bytes {
                Some(_) => "as much as the last backup took",
                None => "the least a backup may need",
            };
            Ok((free < wanted).then(|| {
                let (free, wanted) = (free / MIB, wanted / MIB);
                format!("{place}, the target of {product}: {free} MiB free; {wanted} MiB are wanted, {why}")
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_holds_a_path() {
        let volume = |id: &str, mounts: &[&str]| Volume {
            id: format!(r"\\?\Volume{{{id}}}\"),
            mounts: mounts.iter().map(|&m| m.to_owned()).collect(),
            file_system: String::new(),
            size_bytes: 0,
            free_bytes: 0,
            read_only: false,
            compressed: false,
            locked: false,
            role: None,
        };
        let volumes = [volume("a", &["C:\\"]), volume("b", &["C:\\Data\\", "D:\\"])];
        let id = |path| volume_of(&volumes, path).map(|v| v.id.as_str());
        assert_eq!(id(r"c:\Users\x"), Some(r"\\?\Volume{a}\"));
        assert_eq!(id(r"C:\data\x"), Some(r"\\?\Volume{b}\"));
        assert_eq!(id(r"C:\Database"), Some(r"\\?\Volume{a}\"), "a part of a name is no folder");
        assert_eq!(id(r"\\?\volume{b}"), Some(r"\\?\Volume{b}\"));
        assert_eq!(id("E:\\"), None);
    }
}
