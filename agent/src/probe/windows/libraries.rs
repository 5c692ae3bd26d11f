//! Library locations that are reparse points (S1–S8). Windows Backup follows a reparse point only
//! where it is itself a library location; one below an ordinary location is passed over without an
//! error, and is no fault (S15). Files of cloud providers are no links.

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::ReparseTarget;
use std::io;

use super::disks::{name_of, volume_of, with_slash};
use super::{Found, told};
use crate::platform::{Platform, Reparse, Volume};
use crate::probe::with_value;

/// Locations looked at.
const MOST: usize = 500;

pub(super) async fn reparse(platform: &dyn Platform, wanted: ReparseTarget) -> Found {
    let locations = platform.libraries().await.map_err(told)?;
    if locations.len() > MOST {
        return Err(format!("the libraries hold more than {MOST} folders"));
    }
    let mut volumes = None;
    let (mut seen, mut unclear) = (0, None);
    for location in &locations {
        let path = &location.path;
        let link = match platform.reparse(path).await {
            Ok(link) => link.filter(Reparse::is_link),
            // A folder that is gone is no reparse point.
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(told(e)),
        };
        seen += 1;
        let Some(link) = link else { continue };
        let head = format!(
            "{path}, in the library {}, is a reparse point ({:#010X}) to {}",
            location.library, link.tag, link.target
        );
        if wanted == ReparseTarget::Any {
            return Ok(with_value(Answer::Yes, head, path));
        }
        if volumes.is_none() {
            volumes = Some(platform.volumes().await.map_err(told)?);
        }
        let Some((volume, is_root)) = leads_to(&link, volumes.as_deref().unwrap_or_default())
        else {
            unclear = Some(format!("{head}, and that volume is not known"));
            continue;
        };
        if let Some(words) = is(wanted, &link, volume, is_root) {
            return Ok(with_value(Answer::Yes, format!("{head}: {words}"), path));
        }
    }
    if let Some(why) = unclear {
        return Err(why);
    }
    let words = match wanted {
        ReparseTarget::Any => "none is a reparse point",
        ReparseTarget::Fat => "none leads to a FAT volume",
        ReparseTarget::CompressedVolume => "none is a mounted volume with compressed files",
        ReparseTarget::VolumeRoot => "none leads to the root of a volume",
    };
    Ok(Finding::new(Answer::No, format!("{seen} library locations, {words}")))
}

/// The volume that a reparse point leads to, where it is known, and whether to its root.
fn leads_to<'a>(link: &Reparse, volumes: &'a [Volume]) -> Option<(&'a Volume, bool)> {
    let target = link.target.strip_prefix(r"\??\").unwrap_or(&link.target);
    let target = match target.strip_prefix("Volume{") {
        Some(rest) => format!(r"\\?\Volume{{{rest}"),
        None => target.to_owned(),
    };
    let volume = volume_of(volumes, &target)?;
    let same = |name: &String| with_slash(name).eq_ignore_ascii_case(&with_slash(&target));
    Some((volume, volume.mounts.iter().chain([&volume.id]).any(same)))
}

/// What the target is in words, where it is what was asked for.
fn is(wanted: ReparseTarget, link: &Reparse, volume: &Volume, is_root: bool) -> Option<String> {
    let name = name_of(volume);
    let of_fat =
        |name: &str| ["FAT", "FAT32", "exFAT"].iter().any(|f| f.eq_ignore_ascii_case(name));
    match wanted {
        ReparseTarget::Any => Some("it is one".to_owned()),
        ReparseTarget::VolumeRoot => {
            is_root.then(|| format!("that is the root of the volume {name}"))
        }
        ReparseTarget::CompressedVolume => {
            let mounted = is_root && link.tag == Reparse::MOUNT_POINT;
            let so = mounted && volume.compressed;
            so.then(|| format!("the volume {name} holds compressed files"))
        }
        ReparseTarget::Fat => of_fat(&volume.file_system)
            .then(|| format!("the volume {name} is {}", volume.file_system)),
    }
}
