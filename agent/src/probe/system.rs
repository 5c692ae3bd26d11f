//! Questions about disks, restarts, the clock and names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;

use super::{ask, below, sources, words, yes_if};
use crate::collect::live::dpkg::modified;
use crate::platform::Platform;

/// Hosts of update sources that are looked up.
const HOSTS: usize = 8;

/// Space of the file system that holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) size: u64,
    pub(super) free: u64,
    /// `None` where the file system does not count them.
    pub(super) free_inodes: Option<u64>,
    pub(super) read_only: bool,
}

#[cfg(unix)]
pub(super) fn space(path: &Path) -> std::io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    Ok(Space {
        size: found.f_blocks.saturating_mul(found.f_frsize),
        // What only root may use is free for the system.
        free: found.f_bfree.saturating_mul(found.f_frsize),
        free_inodes: (found.f_files > 0).then_some(found.f_ffree),
        read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

#[cfg(not(unix))]
pub(super) fn space(_path: &Path) -> std::io::Result<Space> {
    Err(std::io::ErrorKind::Unsupported.into())
}

pub(super) fn disk_full(root: &Path, path: &str, min_mib: u64, min_inodes: u64) -> Finding {
    if !path.starts_with('/') {
        return Finding::unknown(format!("{path} is not a path of this system"));
    }
    match space(&below(root, path)) {
        Ok(space) => {
            let free = space.free / (1024 * 1024);
            let inodes = space.free_inodes.map_or("not counted".to_owned(), |n| n.to_string());
            let full = free < min_mib || space.free_inodes.is_some_and(|n| n < min_inodes);
            let proof = format!(
                "{path}: {free} MiB and {inodes} inodes free; {min_mib} MiB and {min_inodes} are wanted"
            );
            Finding::new(yes_if(full), proof)
        }
        Err(e) => Finding::unknown(format!("{path} cannot be asked: {e}")),
    }
}

pub(super) fn read_only(root: &Path, path: &str) -> Finding {
    if !path.starts_with('/') {
        return Finding::unknown(format!("{path} is not a path of this system"));
    }
    match space(&below(root, path)) {
        Ok(space) => {
            let how = if space.read_only { "read-only" } else { "for writing" };
            Finding::new(yes_if(space.read_only), format!("{path} is mounted {how}"))
        }
        Err(e) => Finding::unknown(format!("{path} cannot be asked: {e}")),
    }
}

/// Marks that say that a restart is awaited: of Debian and its kin, and of libzypp.
const AWAITED: [&str; 2] = ["run/reboot-required", "run/reboot-needed"];

/// Why a restart is awaited.
pub(super) fn awaited_reboot(root: &Path) -> Option<String> {
    let mark = AWAITED.iter().find(|mark| fs::symlink_metadata(root.join(mark)).is_ok())?;
    let packages = fs::read_to_string(root.join("run/reboot-required.pkgs")).unwrap_or_default();
    let names: BTreeSet<&str> = packages.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let names: Vec<_> = names.into_iter().take(20).collect();
    Some(if names.is_empty() {
        format!("/{mark} exists")
    } else {
        format!("/{mark} exists, for {}", names.join(", "))
    })
}

/// Whether a restart is awaited. dnf leaves no mark: its own tool is asked where it is installed.
pub(super) async fn reboot_pending(platform: &dyn Platform) -> Finding {
    const TOOL: &str = "/usr/bin/needs-restarting";
    let root = platform.root();
    if let Some(why) = awaited_reboot(root) {
        return Finding::new(Answer::Yes, why);
    }
    if !below(root, TOOL).is_file() {
        return Finding::new(
            Answer::No,
            "neither /run/reboot-required nor /run/reboot-needed exists",
        );
    }
    match ask(platform, TOOL, &["-r"]).await {
        Ok(exit) => {
            let said = words(&exit.text());
            match exit.status {
                Some(0) => Finding::new(Answer::No, format!("needs-restarting -r: {said}")),
                // It ends with 1 for troubles of its own, too.
                Some(1) if said.to_ascii_lowercase().contains("reboot is required") => {
                    Finding::new(Answer::Yes, format!("needs-restarting -r: {said}"))
                }
                other => Finding::unknown(format!("needs-restarting ended with {other:?}: {said}")),
            }
        }
        Err(why) => Finding::unknown(why),
    }
}

/// How long the host has been up, where it says.
pub(crate) fn up_for(root: &Path) -> Option<std::time::Duration> {
    let text = std::fs::read_to_string(root.join("proc/uptime")).ok()?;
    let seconds = text.split_whitespace().next()?.parse::<f64>().ok()?;
    std::time::Duration::try_from_secs_f64(seconds).ok()
}

pub(super) async fn clock_wrong(platform: &dyn Platform, now: Timestamp) -> Finding {
    let lists = platform.root().join("var/lib/apt/lists");
    let files = fs::read_dir(lists).into_iter().flatten().flatten().take(10_000);
    let newest = files.filter_map(|f| modified(&f.path())).max();
    if let Some(newest) = newest.filter(|at| *at > now.after(limits::CLOCK_SKEW)) {
        let proof = format!("the clock says {now}, the package lists are of {newest}");
        return Finding::new(Answer::Yes, proof);
    }
    let args = ["show", "-p", "NTPSynchronized", "--value"];
    match ask(platform, "/usr/bin/timedatectl", &args).await {
        Ok(exit) if exit.status == Some(0) => match exit.text().trim() {
            "yes" => Finding::new(Answer::No, "the clock is synchronised"),
            "no" => Finding::new(Answer::Yes, "timedatectl: the clock is not synchronised"),
            other => Finding::unknown(format!("timedatectl says {}", words(other))),
        },
        Ok(exit) => Finding::unknown(format!("timedatectl: {}", words(&exit.text()))),
        Err(why) => Finding::unknown(why),
    }
}

pub(super) async fn name_resolution(platform: &dyn Platform) -> Finding {
    let root = platform.root();
    match sources::proxy(root) {
        Ok(None) => {}
        Ok(Some(_)) => {
            return Finding::unknown("updates come through a proxy, which looks the names up");
        }
        Err(why) => return Finding::unknown(format!("the proxy cannot be read: {why}")),
    }
    let hosts: BTreeSet<String> = sources::endpoints(root).into_iter().map(|e| e.host).collect();
    if hosts.is_empty() {
        return Finding::unknown("no update source names a host");
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for host in hosts.into_iter().take(HOSTS) {
        match ask(platform, "/usr/bin/getent", &["ahosts", &host]).await {
            Ok(exit) if exit.status == Some(0) => good.push(host),
            // 2: the name was not found.
            Ok(exit) if exit.status == Some(2) => bad.push(host),
            Ok(exit) => return Finding::unknown(format!("getent: {}", words(&exit.text()))),
            Err(why) => return Finding::unknown(why),
        }
    }
    let proof = if bad.is_empty() {
        format!("resolved: {}", good.join(", "))
    } else {
        format!("not resolved: {}", bad.join(", "))
    };
    Finding::new(yes_if(!bad.is_empty()), proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_told_with_its_packages() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(awaited_reboot(root.path()), None);
        fs::create_dir(root.path().join("run")).expect("made");
        fs::write(root.path().join("run/reboot-required"), "").expect("written");
        fs::write(root.path().join("run/reboot-required.pkgs"), "b\na\na\n").expect("written");
        let found = awaited_reboot(root.path());
        assert_eq!(found.as_deref(), Some("/run/reboot-required exists, for a, b"));
    }

    #[cfg(unix)]
    #[test]
    fn space_is_compared_with_what_is_wanted() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(disk_full(root.path(), "/", u64::MAX, 0).answer, Answer::Yes);
        assert_eq!(disk_full(root.path(), "/", 0, 0).answer, Answer::No);
        assert_eq!(disk_full(root.path(), "/none", 0, 0).answer, Answer::Unknown);
        assert_eq!(disk_full(root.path(), "C:\\", 0, 0).answer, Answer::Unknown);
        assert_eq!(read_only(root.path(), "/").answer, Answer::No);
    }
}
