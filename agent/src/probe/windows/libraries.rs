//! Library locations that lead elsewhere (S1–S8). Windows Backup follows a reparse point where it is
//! itself a library location, or where a folder below it is one; one below an ordinary location is
//! passed over without an error, and is no fault (S15). Files of cloud providers are no links.

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::ReparseTarget;
use std::collections::BTreeSet;
use std::io;

use super::disks::{name_of, volume_of, with_slash};
use super::{Found, told};
use crate::platform::{LibraryLocation, Platform, Reparse, Volume};
use crate::probe::with_value;

/// Locations looked at.
const MOST: usize = 500;

pub(super) async fn reparse(platform: &dyn Platform, wanted: ReparseTarget) -> Found {
    let locations = platform.libraries().await.map_err(told)?;
    if locations.len() > MOST {
        return Err(format!("the libraries hold more than {MOST} folders"));
    }
    let mut volumes = None;
    let (mut looked_at, mut unclear) = (BTreeSet::new(), None);
    for location in &locations {
        // From the location up to its drive: what it lies below leads it elsewhere as well.
        for path in with_parents(&location.path) {
            if !looked_at.insert(path.to_lowercase()) {
                break;
            }
            let Some(link) = link_at(platform, path).await? else { continue };
            let head = head(location, path, &link);
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
            match is(wanted, &link, volume, is_root) {
                Is::So(words) => {
                    return Ok(with_value(Answer::Yes, format!("{head}: {words}"), path));
                }
                Is::Unclear(words) => unclear = Some(format!("{head}: {words}")),
                Is::Not => {}
            }
        }
    }
    if let Some(why) = unclear {
        return Err(why);
    }
    let words = match wanted {
        ReparseTarget::Any => "none is or lies below a reparse point",
        ReparseTarget::Fat => "none leads to a FAT volume",
        ReparseTarget::CompressedVolume => "none is or lies on a mounted volume",
        ReparseTarget::VolumeRoot => "none leads to the root of a volume",
    };
    Ok(Finding::new(Answer::No, format!("{} library locations, {words}", locations.len())))
}

/// A path and the folders that it lies below, its drive's root not among them. Of a share only the
/// path itself: what is above belongs to another machine.
fn with_parents(path: &str) -> impl Iterator<Item = &str> {
    let bare = path.trim_end_matches('\\');
    let first = if bare.ends_with(':') { path } else { bare };
    std::iter::successors(Some(first), |path| parent(path))
}

fn parent(path: &str) -> Option<&str> {
    let parent = &path[..path.rfind('\\')?];
    (!path.starts_with(r"\\") && !parent.is_empty() && !parent.ends_with(':')).then_some(parent)
}

/// The link at a path itself.
async fn link_at(platform: &dyn Platform, path: &str) -> Result<Option<Reparse>, String> {
    match platform.reparse(path).await {
        Ok(link) => Ok(link.filter(Reparse::is_link)),
        // A folder that is gone is no reparse point.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(told(e)),
    }
}

fn head(location: &LibraryLocation, path: &str, link: &Reparse) -> String {
    let (own, library) = (&location.path, &location.library);
    let below = if path.len() < own.trim_end_matches('\\').len() {
        format!("{own}, in the library {library}, lies below {path}, which")
    } else {
        format!("{path}, in the library {library},")
    };
    format!("{below} is a reparse point ({:#010X}) to {}", link.tag, link.target)
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

/// Whether the target is what was asked for.
enum Is {
    /// It is, in words.
    So(String),
    /// That is not known, for this reason.
    Unclear(String),
    /// It is not.
    Not,
}

fn is(wanted: ReparseTarget, link: &Reparse, volume: &Volume, is_root: bool) -> Is {
    let name = name_of(volume);
    let of_fat =
        |name: &str| ["FAT", "FAT32", "exFAT"].iter().any(|f| f.eq_ignore_ascii_case(name));
    match wanted {
        ReparseTarget::Any => Is::So("it is one".to_owned()),
        ReparseTarget::VolumeRoot if is_root => {
            Is::So(format!("that is the root of the volume {name}"))
        }
        ReparseTarget::CompressedVolume if is_root && link.tag == Reparse::MOUNT_POINT => {
            if volume.compressed {
                return Is::So(format!("the volume {name} holds compressed files"));
            }
            // Archives, pictures and films are meant too, and no volume tells of those.
            Is::Unclear(format!(
                "whether the volume {name} holds archives or media files is not known"
            ))
        }
        ReparseTarget::Fat if of_fat(&volume.file_system) => {
            Is::So(format!("the volume {name} is {}", volume.file_system))
        }
        ReparseTarget::Fat if volume.file_system.is_empty() => {
            Is::Unclear(format!("the file system of the volume {name} is not known"))
        }
        ReparseTarget::Fat | ReparseTarget::CompressedVolume | ReparseTarget::VolumeRoot => Is::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_below_its_parents_up_to_the_drive() {
        let all: Vec<_> = with_parents(r"C:\mnt\Photos\2020\").collect();
        assert_eq!(all, [r"C:\mnt\Photos\2020", r"C:\mnt\Photos", r"C:\mnt"]);
        for alone in [r"\\server\share\Photos", r"D:\"] {
            assert_eq!(with_parents(alone).collect::<Vec<_>>(), [alone]);
        }
    }
}
