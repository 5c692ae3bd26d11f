//! Questions about files. Symbolic links are never followed: what a link leads to is not the place
//! that was asked about.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::report::FailureReport;
use fleetmend_core::step::{Base, Place};
use fleetmend_core::time::Timestamp;

use super::named::{self, Ends};
use super::{with_value, yes_if};
use crate::collect::live::dpkg::modified;
use crate::platform::Platform;

/// Files of a folder that are looked at.
const FILES: usize = 100_000;

/// Whether the place is there; `when` is the answer if it is.
pub(super) fn exists(platform: &dyn Platform, place: &Place, when: Answer) -> Finding {
    let path = match path_of(platform, place) {
        Ok(path) => path,
        Err(why) => return Finding::unknown(why),
    };
    match is_there(platform, &path) {
        Ok(found) => {
            let proof = format!("{path} {}", if found { "exists" } else { "does not exist" });
            with_value(yes_if(found == (when == Answer::Yes)), proof, path)
        }
        Err(why) => Finding::unknown(why),
    }
}

pub(super) fn stale(
    platform: &dyn Platform,
    place: &Place,
    days: u32,
    min_mib: u64,
    now: Timestamp,
) -> Finding {
    let path = match path_of(platform, place) {
        Ok(path) => path,
        Err(why) => return Finding::unknown(why),
    };
    match is_there(platform, &path) {
        Ok(true) => {}
        Ok(false) => return Finding::new(Answer::No, format!("{path} does not exist")),
        Err(why) => return Finding::unknown(why),
    }
    let folder = super::below(platform.root(), &path);
    let (mut bytes, mut newest, mut seen) = (0, modified(&folder), 0);
    let mut open = vec![folder];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > FILES {
                return Finding::unknown(format!("{path} holds more than {FILES} files"));
            }
            // Of a link this is the link itself.
            let Ok(meta) = entry.metadata() else { continue };
            newest = newest.max(modified(&entry.path()));
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                bytes += meta.len();
            }
        }
    }
    let Some(newest) = newest else { return Finding::unknown(format!("{path} cannot be read")) };
    let old = now.since(newest) > Duration::from_hours(u64::from(days) * 24);
    let mib = bytes / (1024 * 1024);
    let proof = format!("{path}: {mib} MiB, last changed {newest}");
    with_value(yes_if(old && mib >= min_mib), proof, path)
}

/// Whether the path that the failure's words name is missing.
pub(super) fn failure_path(platform: &dyn Platform, failure: Option<&FailureReport>) -> Finding {
    let Some(failure) = failure else { return Finding::unknown("no failure to take a path from") };
    let subject = failure.subject.as_deref().and_then(named::subject);
    let Some(named) = subject.or_else(|| named::in_words(&failure.message)) else {
        return Finding::unknown("the failure names no path");
    };
    let path = named.path;
    match is_there(platform, &path) {
        // Half of a path with blanks would be another one.
        _ if named.ends == Ends::Unclear => Finding::unknown(format!(
            "the failure's words name {path}, and do not say whether the path ends there"
        )),
        Ok(true) => Finding::new(Answer::No, format!("{path} exists")),
        Ok(false) if named.ends == Ends::Likely && !parent_is_there(platform, &path) => {
            Finding::unknown(format!("neither {path} exists nor the folder that it would lie in"))
        }
        Ok(false) => {
            let proof = format!("{path} does not exist");
            if named::is_of_a_file(&path) {
                // No folder is to be made of a file's path.
                return Finding::new(Answer::Yes, proof);
            }
            // As steps name places: from the root of the system's drive.
            let value = match path.strip_prefix("C:").or_else(|| path.strip_prefix("c:")) {
                Some(rest) => rest.replace('\\', "/"),
                None => path.clone(),
            };
            with_value(Answer::Yes, proof, value)
        }
        Err(why) => Finding::unknown(why),
    }
}

fn parent_is_there(platform: &dyn Platform, path: &str) -> bool {
    let parent = path.rfind(['/', '\\']).map(|at| &path[..at]);
    parent.is_some_and(|parent| is_there(platform, parent).unwrap_or(false))
}

/// A place as a path of the host, `/` between its parts.
pub(super) fn path_of(platform: &dyn Platform, place: &Place) -> Result<String, String> {
    match place {
        Place::Below { base, path } => {
            let os = platform.facts().map_err(|e| format!("the system cannot be told: {e}"))?.os;
            if base.system() != os {
                return Err("not a place of this system".to_owned());
            }
            let base = match base {
                Base::Etc => "/etc",
                Base::VarLib => "/var/lib",
                Base::VarCache => "/var/cache",
                Base::VarLog => "/var/log",
                Base::Windows => "/Windows",
                Base::System32 => "/Windows/System32",
                Base::ProgramData => "/ProgramData",
            };
            Ok(format!("{base}/{path}"))
        }
        Place::Evidence { evidence } => Err(format!("depends on the value of {evidence}")),
    }
}

/// Whether a path of the host exists, no link followed.
pub(super) fn is_there(platform: &dyn Platform, path: &str) -> Result<bool, String> {
    let file = platform.file(path);
    let file = file.ok_or_else(|| format!("{path} lies on another volume than the system"))?;
    let root = platform.root();
    look(root, file.strip_prefix(root).unwrap_or(&file)).map_err(|why| format!("{path} {why}"))
}

/// Whether a path exists below `root`, no link followed.
fn look(root: &Path, path: &Path) -> Result<bool, String> {
    let mut at: PathBuf = root.to_owned();
    let parts: Vec<_> = path.components().collect();
    let last = parts.len().saturating_sub(1);
    for (n, part) in parts.into_iter().enumerate() {
        match part {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => at.push(name),
            Component::ParentDir | Component::Prefix(_) => {
                return Err("is no plain path".to_owned());
            }
        }
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_symlink() && n < last => {
                return Err("leads through a symbolic link".to_owned());
            }
            Ok(_) => {}
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(false);
            }
            Err(e) => return Err(format!("cannot be looked at: {e}")),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("var/lib/real")).expect("made");
        let look = |path: &str| look(root.path(), Path::new(path));
        assert_eq!(look("/var/lib/real"), Ok(true));
        assert_eq!(look("/var/lib/none/x"), Ok(false));
        assert!(look("/var/../etc").is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc", root.path().join("var/lib/link")).expect("linked");
            assert!(look("/var/lib/link/passwd").is_err());
            assert_eq!(look("/var/lib/link"), Ok(true));
        }
    }
}
