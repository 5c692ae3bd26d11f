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

use super::{with_value, yes_if};
use crate::collect::live::dpkg::modified;

/// Files of a folder that are looked at.
const FILES: usize = 100_000;

/// Whether the place is there; `when` is the answer if it is.
pub(super) fn exists(root: &Path, place: &Place, when: Answer) -> Finding {
    let path = match path_of(place) {
        Ok(path) => path,
        Err(why) => return Finding::unknown(why),
    };
    match look(root, &path) {
        Ok(found) => {
            let proof = format!("{path} {}", if found { "exists" } else { "does not exist" });
            with_value(yes_if(found == (when == Answer::Yes)), proof, path)
        }
        Err(why) => Finding::unknown(why),
    }
}

pub(super) fn stale(
    root: &Path,
    place: &Place,
    days: u32,
    min_mib: u64,
    now: Timestamp,
) -> Finding {
    let path = match path_of(place) {
        Ok(path) => path,
        Err(why) => return Finding::unknown(why),
    };
    match look(root, &path) {
        Ok(true) => {}
        Ok(false) => return Finding::new(Answer::No, format!("{path} does not exist")),
        Err(why) => return Finding::unknown(why),
    }
    let (mut bytes, mut newest, mut seen) = (0, modified(&super::below(root, &path)), 0);
    let mut open = vec![super::below(root, &path)];
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
pub(super) fn failure_path(root: &Path, failure: Option<&FailureReport>) -> Finding {
    let Some(failure) = failure else { return Finding::unknown("no failure to take a path from") };
    let named = failure.subject.as_deref().and_then(path_in).or_else(|| path_in(&failure.message));
    let Some(path) = named else { return Finding::unknown("the failure names no path") };
    match look(root, &path) {
        Ok(true) => Finding::new(Answer::No, format!("{path} exists")),
        Ok(false) => with_value(Answer::Yes, format!("{path} does not exist"), path),
        Err(why) => Finding::unknown(why),
    }
}

/// The first absolute path in a text.
fn path_in(text: &str) -> Option<String> {
    let words = text.split(|c: char| {
        c.is_whitespace() || matches!(c, '\'' | '"' | '(' | ')' | '[' | ']' | ',' | ';')
    });
    let paths = words.map(|w| w.trim_end_matches(['.', ':']));
    let mut absolute = paths.filter(|w| w.starts_with('/') && w.len() > 1 && !w.starts_with("//"));
    absolute.next().map(str::to_owned)
}

/// A place as a path of this host.
fn path_of(place: &Place) -> Result<String, String> {
    match place {
        Place::Below { base, path } => {
            let base = match base {
                Base::Etc => "/etc",
                Base::VarLib => "/var/lib",
                Base::VarCache => "/var/cache",
                Base::VarLog => "/var/log",
                Base::Windows | Base::System32 | Base::ProgramData => {
                    return Err("not a place of this system".to_owned());
                }
            };
            Ok(format!("{base}/{path}"))
        }
        Place::Evidence { evidence } => Err(format!("depends on the value of {evidence}")),
    }
}

/// Whether a path exists below `root`, no link followed.
fn look(root: &Path, path: &str) -> Result<bool, String> {
    let mut at: PathBuf = root.to_owned();
    let parts: Vec<_> = Path::new(path).components().collect();
    let last = parts.len().saturating_sub(1);
    for (n, part) in parts.into_iter().enumerate() {
        match part {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => at.push(name),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(format!("{path} is no plain path"));
            }
        }
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_symlink() && n < last => {
                return Err(format!("{path} leads through a symbolic link"));
            }
            Ok(_) => {}
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(false);
            }
            Err(e) => return Err(format!("{path} cannot be looked at: {e}")),
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
        assert_eq!(look(root.path(), "/var/lib/real"), Ok(true));
        assert_eq!(look(root.path(), "/var/lib/none/x"), Ok(false));
        assert!(look(root.path(), "/var/../etc").is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc", root.path().join("var/lib/link")).expect("linked");
            assert!(look(root.path(), "/var/lib/link/passwd").is_err());
            assert_eq!(look(root.path(), "/var/lib/link"), Ok(true));
        }
    }

    #[test]
    fn a_path_is_found_in_words() {
        assert_eq!(path_in("cannot open '/srv/a b'").as_deref(), Some("/srv/a"));
        assert_eq!(path_in("E: /var/lib/x: missing").as_deref(), Some("/var/lib/x"));
        assert_eq!(path_in("http://x/y or / alone"), None);
    }
}
