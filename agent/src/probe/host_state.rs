//! The state of a host as the server shows it; here that of Linux. What cannot be found out is left
//! out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fleetmend_core::host::{Disk, HostState, OsFamily, ServiceState, UpdateAuthority};
use fleetmend_core::time::Timestamp;

use super::packages::last_update;
use super::processes::{self, Process};
use super::{below, saved, system, units, windows};
use crate::collect::live::dpkg::Dpkg;
use crate::collect::live::{Zone, added, stanzas};
use crate::platform::Platform;

/// Units that update the system, what runs them, and those of backup products whose records nobody
/// reads here.
const UNITS: [&str; 11] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "packagekit.service",
    "cron.service",
    "systemd-timesyncd.service",
    "acronis_mms.service",
    "bacula-fd.service",
    "bareos-fd.service",
    "duplicati.service",
    "urbackupclientbackend.service",
];
/// File systems that hold a system's own data.
const DISKS: [&str; 12] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "ntfs", "ntfs3", "exfat",
    "overlay",
];
/// What a host is for others while such a program runs on it.
const ROLES: [(&str, &str); 12] = [
    ("corosync", "cluster"),
    ("kubelet", "kubernetes_node"),
    ("k3s", "kubernetes_node"),
    ("libvirtd", "hypervisor"),
    ("pvedaemon", "hypervisor"),
    ("samba", "domain_controller"),
    ("postgres", "database"),
    ("mysqld", "database"),
    ("mariadbd", "database"),
    ("mongod", "database"),
    ("bareos-dir", "backup_server"),
    ("bacula-dir", "backup_server"),
];
/// Programs that repairs must not meet.
const AT_WORK: [&str; 8] =
    ["dpkg", "apt-get", "apt", "unattended-upgr", "dnf", "zypper", "restic", "borg"];
/// Disks told of.
const DISKS_MAX: usize = 64;

/// Finds out the state of the host. How the agent itself does is filled in by the caller.
pub async fn host_state(platform: &dyn Platform, now: Timestamp) -> HostState {
    if let Some(state) = platform.state(now).await {
        return state;
    }
    if platform.facts().is_ok_and(|facts| facts.os == OsFamily::Windows) {
        return windows::host_state(platform, now).await;
    }
    let root = platform.root();
    let mut state = HostState { at: Some(now), ..HostState::default() };
    state.disks = disks(root);
    state.pending_reboot = system::awaited_reboot(root);
    state.booted_at = booted_at(root);
    state.last_scan = last_update(root).map(|(at, _)| at);
    state.last_install = last_install(root);
    let running: Vec<Process> = processes::all(root).into_iter().flatten().collect();
    state.roles = roles(root, &running);
    let at_work = at_work(&running);
    if !at_work.is_empty() {
        state.more.insert("at work".to_owned(), cut(&at_work.join(", ")));
    }
    match Dpkg::read(root) {
        Ok(Some(dpkg)) => {
            state.updates.push(format!("{} packages installed", dpkg.installed));
            let order = dpkg.words().unwrap_or_else(|| "in order".to_owned());
            state.more.insert("dpkg".to_owned(), cut(&order));
        }
        Ok(None) => {}
        Err(e) => {
            state.more.insert("dpkg".to_owned(), cut(&format!("cannot be read: {e}")));
        }
    }
    match services(platform).await {
        Ok(services) => state.services = services,
        Err(why) => {
            state.more.insert("systemd".to_owned(), cut(&why));
        }
    }
    match saved::last_backup(platform).await {
        Ok(at) => state.last_backup = at,
        Err(why) => {
            state.more.entry("systemd".to_owned()).or_insert_with(|| cut(&why));
        }
    }
    let (authority, proof) = authority(root, &state.services);
    state.update_authority = Some(authority);
    state.update_authority_proof = Some(proof);
    state
}

/// Facts are held to 256 bytes each.
fn cut(text: &str) -> String {
    fleetmend_core::words::cut(text, 256).to_owned()
}

async fn services(platform: &dyn Platform) -> Result<Vec<ServiceState>, String> {
    let mut args = vec!["show", "--no-pager", "-p", "Id,LoadState,ActiveState,UnitFileState"];
    args.extend(UNITS);
    let text = units::systemctl(platform, &args).await?;
    let units = text.split("\n\n").map(units::pairs);
    let there = units.filter(|u| u.get("LoadState").is_some_and(|s| s != "not-found"));
    Ok(there
        .filter_map(|mut unit| {
            Some(ServiceState {
                name: unit.remove("Id")?,
                state: unit.remove("ActiveState")?,
                start: unit.remove("UnitFileState").unwrap_or_default(),
            })
        })
        .collect())
}

/// Who manages updates, and what proves it.
fn authority(root: &Path, services: &[ServiceState]) -> (UpdateAuthority, String) {
    if !root.join("var/lib/dpkg/status").exists() {
        return dnf_automatic(root);
    }
    if let Some((file, line)) = periodic_upgrade(root) {
        let on = is_on(&line);
        let timer = services.iter().find(|s| s.name == "apt-daily-upgrade.timer");
        if on && timer.is_none_or(|t| t.start == "enabled" || t.state == "active") {
            return (UpdateAuthority::AptTimer, format!("{file}: {line}"));
        }
        if on {
            return (UpdateAuthority::None, "apt-daily-upgrade.timer is not enabled".to_owned());
        }
        return (UpdateAuthority::None, format!("{file}: {line}"));
    }
    (
        UpdateAuthority::None,
        "no APT::Periodic::Unattended-Upgrade in /etc/apt/apt.conf.d".to_owned(),
    )
}

/// Who manages updates on a host without dpkg: dnf-automatic, where a timer of it is enabled that
/// installs. `dnf-automatic-install.timer` installs whatever the file says, those that are named for
/// fetching or telling never do (the manual of dnf-automatic).
fn dnf_automatic(root: &Path) -> (UpdateAuthority, String) {
    let file = "etc/dnf/automatic.conf";
    let text = fs::read_to_string(root.join(file)).ok();
    let dnf = ["usr/bin/dnf", "usr/bin/dnf5"].iter().any(|name| root.join(name).exists());
    if text.is_none() && !dnf {
        return (UpdateAuthority::Unknown, "no dpkg and no dnf here".to_owned());
    }
    let text = text.unwrap_or_default();
    let line = text.lines().map(str::trim).rfind(|line| line.starts_with("apply_updates"));
    let folder = "etc/systemd/system/timers.target.wants";
    let timers = fs::read_dir(root.join(folder)).into_iter().flatten().flatten().take(500);
    let names = timers.map(|e| e.file_name().to_string_lossy().into_owned());
    let enabled: BTreeSet<String> = names
        .filter(|n| n.starts_with("dnf-automatic") || n.starts_with("dnf5-automatic"))
        .collect();
    let value = line.and_then(|l| l.split_once('=')).map(|(_, value)| value.trim().to_lowercase());
    let applies = value.is_some_and(|v| ["yes", "true", "on", "1"].contains(&v.as_str()));
    let installs = |name: &&String| match name.as_str() {
        "dnf-automatic-install.timer" => true,
        "dnf-automatic.timer" | "dnf5-automatic.timer" => applies,
        _ => false,
    };
    let said = format!("/{file}: {}", line.unwrap_or("apply_updates is not set"));
    match (enabled.iter().find(installs), enabled.first()) {
        (Some(timer), _) if timer.contains("install") => {
            (UpdateAuthority::DnfAutomatic, format!("{timer} is enabled"))
        }
        (Some(timer), _) => {
            (UpdateAuthority::DnfAutomatic, cut(&format!("{said}; {timer} is enabled")))
        }
        (None, Some(timer)) => (
            UpdateAuthority::None,
            cut(&format!("{said}; {timer} is enabled and installs nothing")),
        ),
        (None, None) => {
            (UpdateAuthority::None, cut(&format!("{said}; no timer of dnf-automatic is enabled")))
        }
    }
}

/// Whether a line of apt's configuration switches something on.
pub(crate) fn is_on(line: &str) -> bool {
    line.contains("\"1\"") || line.contains(" 1;")
}

/// The last line of apt's configuration that switches periodic upgrades.
pub(crate) fn periodic_upgrade(root: &Path) -> Option<(String, String)> {
    let folder = root.join("etc/apt/apt.conf.d");
    let names: BTreeSet<_> =
        fs::read_dir(&folder).ok()?.flatten().map(|e| e.file_name()).take(500).collect();
    let mut found = None;
    // apt reads them in order of name; the last one holds.
    for name in names {
        let path = folder.join(&name);
        let small = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() < 1 << 20);
        let Some(text) = small.then(|| fs::read_to_string(&path).ok()).flatten() else { continue };
        let line = text.lines().map(str::trim).rfind(|l| {
            !l.starts_with("//")
                && !l.starts_with('#')
                && l.contains("APT::Periodic::Unattended-Upgrade")
        });
        if let Some(line) = line {
            let file = format!("/etc/apt/apt.conf.d/{}", name.to_string_lossy());
            found = Some((file, line.to_owned()));
        }
    }
    found
}

fn last_install(root: &Path) -> Option<Timestamp> {
    let zone = Zone::of(root);
    let piece = added(&root.join("var/log/apt/history.log"), None).ok()??;
    let worked = stanzas(&piece.text).0.into_iter().rfind(|s| s.error.is_none())?;
    Some(zone.source_time(worked.end).to_timestamp(0))
}

fn booted_at(root: &Path) -> Option<Timestamp> {
    let text = fs::read_to_string(root.join("proc/stat")).ok()?;
    let seconds: i64 = text.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// What the host does for others, by the programs that run.
fn roles(root: &Path, running: &[Process]) -> Vec<String> {
    let runs = |program: &str| running.iter().any(|process| process.is(program));
    let by_program = ROLES.iter().filter(|(program, _)| runs(program));
    let mut roles: Vec<&str> = by_program.map(|(_, role)| *role).collect();
    roles.extend(container(root).then_some("container"));
    roles.sort_unstable();
    roles.dedup();
    roles.into_iter().map(str::to_owned).collect()
}

/// Those programs at work that repairs must not meet.
fn at_work(running: &[Process]) -> Vec<&'static str> {
    let runs = |program: &&str| running.iter().any(|process| process.is(program));
    AT_WORK.into_iter().filter(runs).collect()
}

fn container(root: &Path) -> bool {
    let marks = ["run/.containerenv", ".dockerenv", "run/systemd/container"];
    marks.iter().any(|mark| root.join(mark).exists())
}

fn disks(root: &Path) -> Vec<Disk> {
    let text = fs::read_to_string(root.join("proc/self/mounts"))
        .or_else(|_| fs::read_to_string(root.join("proc/mounts")))
        .unwrap_or_default();
    let mut devices = BTreeSet::new();
    let mut disks = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(device), Some(mount), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        // One device mounted in many places is one disk.
        if !DISKS.contains(&kind) || !devices.insert(device.to_owned()) || disks.len() >= DISKS_MAX
        {
            continue;
        }
        let mount = unescape(mount);
        disks.extend(disk(root, &mount, kind));
    }
    if disks.is_empty() {
        // A host without its mount table (a changed root): at least what holds it.
        disks.extend(disk(root, "/", "unknown"));
    }
    disks
}

fn disk(root: &Path, mount: &str, kind: &str) -> Option<Disk> {
    let space = system::space(&below(root, mount)).ok()?;
    Some(Disk {
        mount: mount.to_owned(),
        file_system: kind.to_owned(),
        size_bytes: space.size,
        free_bytes: space.free,
        read_only: space.read_only,
    })
}

/// The mount table writes blanks as `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_setting_holds() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("etc/apt/apt.conf.d");
        fs::create_dir_all(&folder).expect("made");
        fs::create_dir_all(root.path().join("var/lib/dpkg")).expect("made");
        fs::write(root.path().join("var/lib/dpkg/status"), "").expect("written");
        assert_eq!(authority(root.path(), &[]).0, UpdateAuthority::None);
        let on = "APT::Periodic::Unattended-Upgrade \"1\";\n";
        fs::write(folder.join("20auto-upgrades"), on).expect("written");
        let (found, proof) = authority(root.path(), &[]);
        assert_eq!(found, UpdateAuthority::AptTimer);
        assert!(proof.starts_with("/etc/apt/apt.conf.d/20auto-upgrades: "));
        fs::write(folder.join("99off"), "APT::Periodic::Unattended-Upgrade \"0\";\n")
            .expect("written");
        assert_eq!(authority(root.path(), &[]).0, UpdateAuthority::None);
    }

    #[test]
    fn dnf_automatic_manages_updates_where_its_timer_installs_them() {
        let root = tempfile::tempdir().expect("a folder");
        let of = || authority(root.path(), &[]);
        assert_eq!(of().0, UpdateAuthority::Unknown);
        let timers = root.path().join("etc/systemd/system/timers.target.wants");
        for folder in [timers.as_path(), &root.path().join("etc/dnf")] {
            fs::create_dir_all(folder).expect("made");
        }
        let conf = root.path().join("etc/dnf/automatic.conf");
        let set = |value: &str| {
            fs::write(
                &conf,
                format!("[commands]\n# apply_updates = no\napply_updates = {value}\n"),
            )
            .expect("written");
        };
        set("yes");
        assert_eq!(of().0, UpdateAuthority::None, "no timer starts it");
        let enable = |name: &str| fs::write(timers.join(name), "").expect("written");
        enable("dnf-automatic.timer");
        let (found, proof) = of();
        assert_eq!(found, UpdateAuthority::DnfAutomatic);
        let said = "/etc/dnf/automatic.conf: apply_updates = yes; dnf-automatic.timer is enabled";
        assert_eq!(proof, said);
        set("no");
        assert_eq!(of().0, UpdateAuthority::None);
        enable("dnf-automatic-install.timer");
        assert_eq!(of().0, UpdateAuthority::DnfAutomatic, "whatever the file says");
    }

    #[test]
    fn roles_and_work_are_told_by_what_runs() {
        let root = tempfile::tempdir().expect("a folder");
        let running = || processes::all(root.path()).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(roles(root.path(), &running()), Vec::<String>::new());
        for (id, name) in
            [("10", "postgres"), ("11", "mariadbd"), ("12", "corosync"), ("13", "restic")]
        {
            let folder = root.path().join("proc").join(id);
            fs::create_dir_all(&folder).expect("made");
            fs::write(folder.join("comm"), format!("{name}\n")).expect("written");
        }
        assert_eq!(roles(root.path(), &running()), ["cluster", "database"]);
        assert_eq!(at_work(&running()), ["restic"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_root_without_mounts_has_one_disk() {
        let root = tempfile::tempdir().expect("a folder");
        let disks = disks(root.path());
        assert_eq!(disks.len(), 1);
        assert!(disks[0].size_bytes > 0);
    }
}
