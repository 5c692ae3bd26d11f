//! Questions about power and memory of a Linux host, by /sys and /proc.

use std::fs;
use std::io;
use std::path::Path;

use fleetmend_core::evidence::{Answer, Finding};

use super::yes_if;

/// The supplies of power.
#[derive(Debug, Default)]
struct Supplies {
    seen: usize,
    /// One that is no battery and gives power.
    mains: Option<String>,
    /// A battery that discharges, and what is left in it, in percent.
    discharging: Option<(String, Option<u8>)>,
}

/// On battery where a battery gives power and no other supply does. A machine without a battery of
/// its own (a mouse has one too) runs on the mains.
pub(super) fn on_battery(root: &Path) -> Finding {
    let Supplies { seen, mains, discharging } = match supplies(root) {
        Ok(supplies) => supplies,
        Err(e) => return Finding::unknown(format!("/sys/class/power_supply cannot be read: {e}")),
    };
    match (mains, discharging) {
        (Some(mains), _) => Finding::new(Answer::No, format!("{mains} gives power")),
        (None, Some((battery, left))) => {
            let level = left.map(|left| format!(", {left} % left")).unwrap_or_default();
            Finding::new(Answer::Yes, format!("{battery} is discharging{level}"))
        }
        (None, None) => Finding::new(Answer::No, format!("{seen} supplies, no battery discharges")),
    }
}

/// The same as data.
#[cfg(target_os = "linux")]
pub(crate) fn power(root: &Path) -> io::Result<crate::platform::Power> {
    let found = supplies(root)?;
    let on_battery = found.mains.is_none() && found.discharging.is_some();
    let percent = found.discharging.and_then(|(_, left)| left);
    Ok(crate::platform::Power { on_battery, percent })
}

fn supplies(root: &Path) -> io::Result<Supplies> {
    let mut found = Supplies::default();
    for supply in fs::read_dir(root.join("sys/class/power_supply"))?.flatten().take(64) {
        let read = |name: &str| {
            let text = fs::read_to_string(supply.path().join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        let name = supply.file_name().to_string_lossy().into_owned();
        found.seen += 1;
        match read("type").as_str() {
            "Battery" if read("scope") != "Device" && read("status") == "Discharging" => {
                found.discharging = Some((name, read("capacity").parse().ok()));
            }
            "Mains" | "USB" | "Wireless" if read("online") == "1" => found.mains = Some(name),
            _ => {}
        }
    }
    Ok(found)
}

/// What programs may still take, and where the kernel promises no more than it has, what it may
/// still promise.
pub(super) fn memory_low(root: &Path, min_mib: u64) -> Finding {
    let text = match fs::read_to_string(root.join("proc/meminfo")) {
        Ok(text) => text,
        Err(e) => return Finding::unknown(format!("/proc/meminfo cannot be read: {e}")),
    };
    let mib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    };
    let Some(available) = mib("MemAvailable") else {
        return Finding::unknown("/proc/meminfo does not tell what is available");
    };
    let strict = fs::read_to_string(root.join("proc/sys/vm/overcommit_memory"))
        .is_ok_and(|mode| mode.trim() == "2");
    let commit = mib("CommitLimit").zip(mib("Committed_AS")).filter(|_| strict);
    let commit = commit.map(|(limit, used)| limit.saturating_sub(used));
    let free = available + mib("SwapFree").unwrap_or(0);
    let left = commit.map(|mib| format!(", {mib} MiB left to commit")).unwrap_or_default();
    let proof = format!("{free} MiB free with swap{left}; {min_mib} MiB are wanted");
    Finding::new(yes_if(free.min(commit.unwrap_or(free)) < min_mib), proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn a_laptop_off_the_mains_is_on_battery() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(on_battery(root.path()).answer, Answer::Unknown);
        let supply =
            |path: &str, text| write(root.path(), &format!("sys/class/power_supply/{path}"), text);
        supply("hid-mouse/type", "Battery\n");
        supply("hid-mouse/scope", "Device\n");
        supply("hid-mouse/status", "Discharging\n");
        assert_eq!(on_battery(root.path()).answer, Answer::No, "a mouse is no machine");
        supply("BAT0/type", "Battery\n");
        supply("BAT0/status", "Discharging\n");
        supply("BAT0/capacity", "41\n");
        let found = on_battery(root.path());
        assert_eq!(
            (found.answer, found.proof.as_str()),
            (Answer::Yes, "BAT0 is discharging, 41 % left")
        );
        supply("AC/type", "Mains\n");
        supply("AC/online", "1\n");
        assert_eq!(on_battery(root.path()).answer, Answer::No);
    }

    #[test]
    fn memory_counts_swap_and_the_limit_that_holds() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(memory_low(root.path(), 1).answer, Answer::Unknown);
        let text = "MemTotal: 8192000 kB\nMemAvailable: 204800 kB\nSwapFree: 409600 kB\nCommitLimit: 5120000 kB\nCommitted_AS: 5017600 kB\n";
        write(root.path(), "proc/meminfo", text);
        assert_eq!(memory_low(root.path(), 512).answer, Answer::No, "600 MiB with swap");
        assert_eq!(memory_low(root.path(), 601).answer, Answer::Yes);
        write(root.path(), "proc/sys/vm/overcommit_memory", "2\n");
        let found = memory_low(root.path(), 512);
        assert_eq!(found.answer, Answer::Yes, "100 MiB may be promised: {}", found.proof);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_answers() {
        assert_ne!(memory_low(Path::new("/"), 0).answer, Answer::Unknown);
    }
}
